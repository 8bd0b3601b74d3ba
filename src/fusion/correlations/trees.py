"""Trees whose leaves one party knows all, and the other all but one: punctured pseudorandom functions from transfers.

The sender grows trees from random roots. Of each level it offers the sum of the left and the sum of the right
children, one transfer a level; the receiver takes the one beside the path to its missing leaf, and so can grow
everything off that path (csrc/ggm.h). One level of one tree has an AES key of its own, so that an attacker who
guesses blocks tests each guess against one unknown node, not against thousands.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fusion.correlations._wire import WIDTH, Rows
from fusion.kernels import hashing

__all__ = ["choices", "hide", "level_keys", "reveal"]

_DOMAIN = b"fusion/correlations/trees/1/"


def level_keys(label: bytes, trees: int, depth: int) -> Rows:
    """Public AES keys, (trees, depth, 16), different for each label."""
    numbers = np.arange(trees * depth).astype("<u8").view(np.uint8).reshape(-1, 8)
    return hashing.sha256_rows(_DOMAIN + label, numbers, WIDTH).reshape(trees, depth, WIDTH)


def choices(points: NDArray[np.uint64], depth: int) -> Rows:
    """The receiver's bits, (trees * depth,): at each level the side that the path does not take."""
    levels = np.arange(depth, dtype=np.uint64)
    return (1 - (points[:, None] >> levels & np.uint64(1))).astype(np.uint8).reshape(-1)


def hide(sums: Rows, keys: Rows) -> Rows:
    """What the sender sends: (trees, depth, 2, 16) sums under both keys of each transfer, (trees * depth, 2, 16)."""
    return sums ^ keys.reshape(sums.shape)


def reveal(message: Rows, bits: Rows, keys: Rows, trees: int) -> Rows:
    """The sums that the receiver chose, (trees, depth, 16), from its bits and keys, (trees * depth, 16)."""
    both = message.reshape(-1, 2, WIDTH)
    chosen = both[:, 0] ^ (both[:, 0] ^ both[:, 1]) & -bits[:, None]
    return (chosen ^ keys).reshape(trees, -1, WIDTH)
