"""Bytes of keys, arrays and frames across a channel."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from fusion.channel import Channel
from fusion.channel.messages import Chunk
from fusion.errors import InputError, PeerError

__all__ = ["exchange"]

_WIDTH = 1024
_ROWS = 256  # a quarter of a mebibyte at a time
_LENGTH_BYTES = 8


def exchange(peer: Channel, data: bytes = b"", *, limit: int = 1 << 30) -> bytes:
    """Send bytes to the peer and receive what it sends: keys, encrypted arrays, results.

    Parties: two, who call this at the same time. Inputs: bytes of each, possibly none. Outputs: the other's bytes.
    Leakage: the lengths. Threat model: the channel's; what arrives is only bytes, and ``from_bytes`` judges them.

    Parameters
    ----------
    peer : Channel
        As given by `fusion.simulate` and `fusion.connect`.
    data : bytes
        What ``to_bytes()`` returned; nothing by default, to receive only.
    limit : int
        How many bytes to accept at most, 1 GiB by default.

    Raises
    ------
    PeerError
        When the peer announces more than the limit, before any of it is read, or sends another number than announced.
    """
    if not isinstance(data, bytes | bytearray):
        raise InputError("bytes are exchanged; call to_bytes() on keys, arrays and frames")
    with peer.operation("aggregation.exchange"):
        padding = -(_LENGTH_BYTES + len(data)) % _WIDTH
        framed = b"".join((len(data).to_bytes(_LENGTH_BYTES, "little"), data, bytes(padding)))
        rows = np.frombuffer(framed, np.uint8).reshape(-1, _WIDTH)
        session = peer.open(learn="both", kinds=(), rows=len(rows), parameters={"suite": "bytes/1"})
        theirs = session.theirs.rows
        if theirs * _WIDTH > limit + _LENGTH_BYTES + _WIDTH:
            raise PeerError(f"{peer.peer} announces more than the limit of {limit} bytes; agree on a larger one")

        def outgoing() -> Iterator[Chunk | None]:
            for start in range(0, len(rows), _ROWS):
                yield Chunk(0, rows[start : start + _ROWS])
                peer.advance(min(_ROWS, len(rows) - start))

        peer.phase("exchanging bytes", len(rows))
        parts: list[bytes] = []
        count = 0
        for chunk in peer.exchange(outgoing(), {0: _WIDTH}):
            count += len(chunk.rows)
            if count > theirs or (len(chunk.rows) != _ROWS and count != theirs):
                raise PeerError(f"{peer.peer} sent other bytes than it announced; check its version")
            parts.append(chunk.rows.tobytes())
        received = b"".join(parts)
        length = int.from_bytes(received[:_LENGTH_BYTES], "little")
        end = _LENGTH_BYTES + length
        if count != theirs or not 0 <= len(received) - end < _WIDTH or any(received[end:]):
            raise PeerError(f"{peer.peer} sent other bytes than it announced; check its version")
        peer.finish(
            {
                peer.name: [f"{length:,} bytes that {peer.peer} chose to send"],
                peer.peer: [f"{len(data):,} bytes that {peer.name} chose to send"],
            }
        )
    return received[_LENGTH_BYTES:end]
