"""What every protocol ends in: tags of both sides, which of them are equal, and in which order equal ones stand.

Everything here sorts 64-bit prefixes and falls back to whole rows only when two different rows share one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt

__all__ = ["Matches", "first_occurrences", "has_repeats", "match", "tag_bytes"]

Rows = npt.NDArray[np.uint8]
Indices = npt.NDArray[np.int64]
_Words = npt.NDArray[np.uint64]

_STATISTICAL_SECURITY = 40


@dataclass(frozen=True, slots=True, repr=False)
class Matches:
    """The items of a learner that the other side also holds, in an order that both learners share.

    Attributes
    ----------
    ours : (k,) int64
        Which of this side's items they are.
    tags : (k, t) uint8
        Their tags, ascending; two learners have the same.
    """

    ours: Indices
    tags: Rows


def tag_bytes(ours: int, theirs: int) -> int:
    """Width of a tag for two sets of these sizes: two different items share one with probability 2^-40 in all."""
    bits = _STATISTICAL_SECURITY + sum(math.ceil(math.log2(max(size, 2))) for size in (ours, theirs))
    return min(-(-bits // 8), 32)


def _word(rows: Rows, start: int) -> _Words:
    """Eight bytes of each row as a number whose order is that of the bytes; what is missing counts as zero."""
    part = np.ascontiguousarray(rows[:, start : start + 8])
    if part.shape[1] < 8:
        part = np.pad(part, ((0, 0), (0, 8 - part.shape[1])))
    return part.view(">u8").ravel().astype(np.uint64)


def _sorted(rows: Rows) -> tuple[Indices, npt.NDArray[np.bool_]]:
    """An order that sorts ``rows``, equal ones by index, and whether each row in it equals the one before."""
    prefix = _word(rows, 0)
    order = np.argsort(prefix)
    prefix = prefix[order]
    equal = np.zeros(len(rows), np.bool_)
    equal[1:] = prefix[1:] == prefix[:-1]
    after = np.zeros(len(rows), np.bool_)
    after[:-1] = equal[1:]
    # Nearly all that share a prefix are two equal rows, one of each side.
    second = np.flatnonzero(equal & ~after)
    second = second[~equal[second - 1]]
    one, other = order[second - 1], order[second]
    same = (rows[one, 8:] == rows[other, 8:]).all(axis=1)
    second = second[same]
    order[second - 1] = np.minimum(one, other)[same]
    order[second] = np.maximum(one, other)[same]
    rest = equal | after
    rest[second - 1] = rest[second] = False
    if rest.any():
        # look at the whole of those rows only that share a prefix in another way
        places = order[rest]
        words = [_word(rows[places], start) for start in range(0, rows.shape[1], 8)]
        within = np.lexsort((places, *words[::-1]))
        order[rest] = places[within]
        repeated = np.ones(len(within) - 1, np.bool_)
        for word in words:
            repeated &= word[within][1:] == word[within][:-1]
        equal[rest] = np.concatenate(([False], repeated))
    return order, equal


def first_occurrences(rows: Rows) -> Indices:
    """Indices, ascending, of the rows (n, width) that equal no earlier one."""
    order, equal = _sorted(rows)
    # the first of a run of equal rows is the earliest
    return np.sort(order[~equal]).astype(np.int64)


def has_repeats(rows: Rows) -> bool:
    """Whether two rows of (n, width) are equal."""
    return bool(_sorted(rows)[1].any())


def match(ours: Rows, theirs: Rows) -> tuple[Indices, Indices]:
    """Where equal rows stand: ``ours[i[k]] == theirs[j[k]]`` for every k, in the order of the rows' bytes.

    Neither side may repeat a row (`has_repeats`); what repeats is matched once.
    """
    n = len(ours)
    order, equal = _sorted(np.concatenate((ours, theirs)))
    second = np.flatnonzero(equal & (order >= n))
    second = second[order[second - 1] < n]
    return cast(Indices, order[second - 1].astype(np.int64)), cast(Indices, (order[second] - n).astype(np.int64))
