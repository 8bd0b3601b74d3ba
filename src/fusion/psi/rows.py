"""Rows of fixed width: which of them are equal, and in which order do equal ones stand.

Everything here sorts 64-bit prefixes and falls back to whole rows only when two different rows share one.
"""

from __future__ import annotations

from typing import cast

import numpy as np
import numpy.typing as npt

__all__ = ["first_occurrences", "has_repeats", "match"]

Rows = npt.NDArray[np.uint8]
Indices = npt.NDArray[np.int64]
_Words = npt.NDArray[np.uint64]


def _words(rows: Rows) -> list[_Words]:
    """The columns of ``rows`` as big-endian 64-bit words, zero-padded, so that their order is that of the bytes."""
    n, width = rows.shape
    padded = np.zeros((n, -(-width // 8) * 8), np.uint8)
    padded[:, :width] = rows
    words = padded.view(">u8").astype(np.uint64)
    return [words[:, i] for i in range(words.shape[1])]


def _sorted(rows: Rows) -> tuple[Indices, npt.NDArray[np.bool_]]:
    """A stable sorting order of ``rows``, and whether each row in it equals the one before."""
    words = _words(rows)
    order = np.argsort(words[0], kind="stable")
    first = words[0][order]
    tied = np.zeros(len(rows), np.bool_)
    tied[1:] = first[1:] == first[:-1]
    if not tied.any():
        return order, tied
    order = np.lexsort(words[::-1])
    equal = np.zeros(len(rows), np.bool_)
    equal[1:] = True
    for word in words:
        in_order = word[order]
        equal[1:] &= in_order[1:] == in_order[:-1]
    return order, equal


def first_occurrences(rows: Rows) -> Indices:
    """Indices, ascending, of the rows (n, width) that equal no earlier one."""
    order, equal = _sorted(rows)
    # the order is stable, so the first of a run of equal rows is the earliest
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
