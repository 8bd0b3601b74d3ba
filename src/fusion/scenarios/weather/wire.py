"""Bytes within an operation, one direction at a time."""

from __future__ import annotations

import numpy as np

from fusion.channel import Channel, Chunk
from fusion.errors import PeerError

__all__ = ["receive", "send"]

_STREAM = 1
_FRAME = 1 << 18


def send(peer: Channel, data: bytes) -> None:
    """Send bytes while the peer sends none."""
    rows = np.frombuffer(data, np.uint8).reshape(-1, 1)
    for _ in peer.exchange((Chunk(_STREAM, rows[i : i + _FRAME]) for i in range(0, len(rows), _FRAME)), {}):
        pass  # a chunk on a stream that is not allowed has raised


def receive(peer: Channel, limit: int) -> bytes:
    """Receive bytes, at most so many; PeerError beyond."""
    received = bytearray()
    for chunk in peer.exchange((), {_STREAM: 1}):
        received += chunk.rows.tobytes()
        if len(received) > limit:
            raise PeerError(f"{peer.peer} sends more than the {limit} bytes that belong here; check its version")
    return bytes(received)
