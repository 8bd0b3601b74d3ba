"""A peer that follows the protocol but for one message."""

from __future__ import annotations

from typing import Any

import numpy as np

from fusion.channel import Chunk


class Tampering:
    """A channel that changes the rows of one of the messages that leave through it.

    Attributes
    ----------
    sent : int
        How many messages with rows have left.
    """

    def __init__(self, peer: Any, message: int, mutate: Any) -> None:
        self._peer, self._message, self._mutate, self.sent = peer, message, mutate, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._peer, name)

    def exchange(self, outgoing, widths):
        chunks = list(outgoing)
        if chunks:
            if self.sent == self._message:
                rows = self._mutate(np.concatenate([chunk.rows for chunk in chunks]))
                chunks = [Chunk(1, np.ascontiguousarray(rows))] if len(rows) else []
            self.sent += 1
        return self._peer.exchange(chunks, widths)


def noise(rows):
    return np.random.default_rng(1).integers(0, 256, rows.shape, dtype=np.uint8)


MUTATIONS = {
    "shorter": lambda rows: rows[:-1],
    "longer": lambda rows: np.concatenate([rows, rows[:1]]),
    "nothing": lambda rows: rows[:0],
    "ones": lambda rows: np.full_like(rows, 255),
    "noise": noise,
}


def inside(peer, rows, play):
    """Play in an operation of one channel."""
    with peer.operation("test.products"):
        peer.open(learn="both", kinds=(), rows=rows, parameters={})
        found = play(peer)
        peer.finish({})
    return found
