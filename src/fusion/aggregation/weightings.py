"""Weighted sums of rows, written down before they are computed: a sparse matrix of whole numbers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fusion.aggregation.schemes import Indices

__all__ = ["Weighting"]


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Weighting:
    """What each row of a result takes of which row of a source.

    Attributes
    ----------
    results : int
        How many rows the result has.
    row, source, weight : (k,) int64
        The rows of the result, in ascending order; for each the rows of the source, ascending and all different; and
        how often they count, never zero.
    """

    results: int
    row: Indices
    source: Indices
    weight: Indices

    @classmethod
    def of(cls, results: int, row: Indices, source: Indices, weight: Indices) -> Weighting:
        """From entries in any order; those of one place are added."""
        order = np.lexsort((source, row))
        row, source, weight = row[order], source[order], weight[order]
        if len(row):
            first = np.ones(len(row), bool)
            first[1:] = (row[1:] != row[:-1]) | (source[1:] != source[:-1])
            row, source, weight = row[first], source[first], np.add.reduceat(weight, np.flatnonzero(first))
        kept = weight != 0
        return cls(results, row[kept], source[kept], weight[kept])

    @classmethod
    def identity(cls, rows: int) -> Weighting:
        """Each row once."""
        each = np.arange(rows)
        return cls(rows, each, each, np.ones(rows, np.int64))

    @property
    def largest(self) -> float:
        """The largest sum of absolute weights of a row; exact below 2^53, and never wrapped."""
        return float(np.bincount(self.row, np.abs(self.weight)).max(initial=0))

    def __add__(self, other: Weighting) -> Weighting:
        """Weights added up, for as many results."""
        row, source, weight = (
            np.concatenate((getattr(self, name), getattr(other, name))) for name in ("row", "source", "weight")
        )
        return Weighting.of(self.results, row, source, weight)

    def after(self, inner: Weighting) -> Weighting:
        """This weighting of the results of another one, as a weighting of that one's source."""
        first, last = (np.searchsorted(inner.row, self.source, side) for side in ("left", "right"))
        counts = last - first
        mine = np.repeat(np.arange(len(counts)), counts)
        theirs = np.arange(len(mine)) + np.repeat(first - np.cumsum(counts) + counts, counts)
        weight = self.weight[mine] * inner.weight[theirs]
        return Weighting.of(self.results, self.row[mine], inner.source[theirs], weight)

    def between(self, first: int, last: int) -> Weighting:
        """Some rows of the result, numbered from 0."""
        begin, end = np.searchsorted(self.row, (first, last))
        chosen = slice(begin, end)
        return Weighting(last - first, self.row[chosen] - first, self.source[chosen], self.weight[chosen])
