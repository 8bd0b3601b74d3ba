"""What every protocol ends in: tags of both sides, and which items of a learner have an equal one."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Matches", "tag_bytes"]

Rows = npt.NDArray[np.uint8]
Indices = npt.NDArray[np.int64]

_STATISTICAL_SECURITY = 40


@dataclass(frozen=True, slots=True, repr=False)
class Matches:
    """The items of a learner that the other side also holds, in an order that both learners share.

    Attributes
    ----------
    ours : (k,) int64
        Which of this side's items they are.
    tags : (k, t) uint8, or None
        Their tags, ascending, for two learners to compare: they have the same.
    """

    ours: Indices
    tags: Rows | None


def tag_bytes(ours: int, theirs: int) -> int:
    """Width of a tag for two sets of these sizes: two different items share one with probability 2^-40 in all."""
    bits = _STATISTICAL_SECURITY + sum(math.ceil(math.log2(max(size, 2))) for size in (ours, theirs))
    return min(-(-bits // 8), 32)
