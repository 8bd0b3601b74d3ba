"""One flight: rows of 16 bytes each way, of counts that both sides know."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from fusion.channel import Channel, Chunk
from fusion.channel.messages import ENDS_BYTES, stream_bytes
from fusion.errors import PeerError

__all__ = ["WIDTH", "Rows", "swap", "traffic"]

WIDTH = 16
_CHUNK = (1 << 20) // WIDTH - 1  # rows that fit one frame, with its header
_STREAM = 1

Rows = NDArray[np.uint8]


def swap(peer: Channel, ours: Rows | None, count: int) -> Rows:
    """Send ``ours``, any array of a multiple of 16 bytes, and return ``count`` rows of the peer's, (count, 16).

    Either side may have nothing to send.

    Raises
    ------
    PeerError
        If the peer sends more rows, or fewer.
    """
    sending = np.empty((0, WIDTH), np.uint8) if ours is None else np.ascontiguousarray(ours).reshape(-1, WIDTH)

    def outgoing() -> Iterator[Chunk]:
        for start in range(0, len(sending), _CHUNK):
            yield Chunk(_STREAM, sending[start : start + _CHUNK])

    theirs, filled = np.empty((count, WIDTH), np.uint8), 0
    for chunk in peer.exchange(outgoing(), {_STREAM: WIDTH} if count else {}):
        end = filled + len(chunk.rows)
        if end > count:
            raise PeerError(f"{peer.peer} sent more than the {count} rows that belong here")
        theirs[filled:end] = chunk.rows
        filled = end
    if filled != count:
        raise PeerError(f"{peer.peer} sent {filled} of the {count} rows that belong here")
    return theirs


def traffic(rows: int) -> int:
    """Bytes, frames included, of a `swap` in which ``rows`` rows travel."""
    return stream_bytes(rows, WIDTH, _CHUNK) + ENDS_BYTES
