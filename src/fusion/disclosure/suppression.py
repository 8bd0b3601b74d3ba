"""Which cells of a table to hide, so that small groups stay hidden although totals are shown.

Hiding a small cell is not enough: its row's total less the other cells of the row gives it back. More cells have to
go, and the question is how many.

**What is promised.** Let the reader know every shown cell, every shown total, and that counts are not negative. For
each small cell (below ``min_group``) take the least and the greatest value it has in any table that agrees with all
of that. These two differ by at least ``min_group``.

**What follows.** No small cell can be computed, and none can be told to lie below ``min_group``: its least value is
not negative, so its greatest is at least ``min_group``. The same for hidden cells together: if their sum can be
computed and one of them is small, the sum is at least that one's greatest value, so at least ``min_group``. A cell that
is hidden to protect another moves in step with it and cannot be computed either.

**Why it holds.** Put the totals into the table as one more row and one more column, those of the margins with a minus
sign. Then every row and every column of the larger table sums to zero, and two tables agree with what is shown exactly
if they differ by a table whose rows and columns sum to zero and which is zero where a cell is shown. Take rows and
columns as the vertices of a bipartite graph and cells as its edges: such differences are the circulations on the
hidden edges. Raising a cell by d means sending d from its column back to its row along other hidden edges, alternately
lowering and raising the cells on the way; a count may be lowered to zero and raised without limit, and totals follow.
The greatest rise is a maximal flow, the greatest fall another, found
exactly by augmenting paths (Ford and Fulkerson 1956), and whole numbers suffice because the capacities are whole. For
each small cell in turn :func:`suppress` computes both over the cells already hidden; while their sum is below
``min_group`` it augments along the cheapest path through cells still shown and hides those. Hiding more cells
afterwards only allows more tables, so no earlier cell loses its protection. A path always exists, as the totals may be
hidden too, at a price that makes them the last resort.

**What it does not cover.** The reader who knows rows of the table (his own, say), other tables of the same people, or
how small cells attract hidden neighbours, knows more than the promise assumes. Noise is the answer to those.

Reference: L. H. Cox, "Network models for complementary cell suppression", JASA 90 (1995); the cheapest paths one cell
after the other are a heuristic for how little is hidden, never for the protection.
"""

from __future__ import annotations

import numbers
import operator
from typing import TYPE_CHECKING

import numpy as np

from fusion.disclosure.masked import refuse_masked
from fusion.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

# Totals stay far from 2**63, and their prices exact in a float.
_LARGEST = 1 << 40
_CELLS = 1 << 14


def suppress(counts: ArrayLike, min_group: int) -> NDArray[np.bool_]:
    """Choose the cells to hide in a table that is shown with its totals.

    Parameters
    ----------
    counts : array_like of int, shape (n,) or (r, c)
        People in each cell, 0 to 2**40, for at most 2**14 cells. Zero counts as small: that nobody is in a group
        is told as surely as that one person is.
    min_group : int
        The smallest count that may be shown, at least 1.

    Returns
    -------
    ndarray of bool, shape (n + 1,) or (r + 1, c + 1)
        True for what must be hidden. The last entry of each axis stands for the total over it.

    Raises
    ------
    InputError
        Counts that are not whole numbers in range, or a table of more than two ways: its totals overlap in more
        ways than the protection computed here accounts for.
    """
    refuse_masked(counts)
    table = np.asarray(counts)
    if table.ndim not in (1, 2):
        raise InputError(f"tables of one or two ways can be protected, not of {table.ndim}; release it in slices")
    if table.size and table.dtype.kind not in "iu":
        raise InputError("counts of people are whole numbers; give them as integers")
    if table.size > _CELLS:
        raise InputError(f"a table of {table.size} cells is beyond the 2**14 that can be protected; use fewer groups")
    if table.size and (table.min() < 0 or table.max() > _LARGEST):
        raise InputError("counts of people lie between 0 and 2**40")
    if not isinstance(min_group, numbers.Integral) or not 1 <= min_group <= _LARGEST:
        raise InputError("the smallest group that may be shown has at least 1 member, and at most 2**40")
    table = table.astype(np.int64)
    return _one_way(table, operator.index(min_group)) if table.ndim == 1 else _two_way(table, operator.index(min_group))


def _one_way(counts: NDArray[np.int64], min_group: int) -> NDArray[np.bool_]:
    """With one equation, each of two or more hidden cells ranges over 0 to their sum."""
    total = counts.sum()
    hidden = np.append(counts, total) < min_group
    small = hidden[:-1]
    if not small.any() or hidden[-1]:
        # a hidden total leaves every hidden cell without an upper limit
        return hidden
    by_size = np.argsort(counts, kind="stable")
    sums = np.cumsum(counts[by_size])
    # one small cell alone is never enough
    enough = np.flatnonzero((sums >= min_group) & (np.arange(1, counts.size + 1) >= small.sum()))
    hidden[by_size[: enough[0] + 1]] = True  # the total is large enough, so all cells together are
    return hidden


def _two_way(counts: NDArray[np.int64], min_group: int) -> NDArray[np.bool_]:
    """Hide what is small, then for each small cell what lets it move by ``min_group``."""
    rows, columns = counts.shape
    values = np.zeros((rows + 1, columns + 1), np.int64)
    values[:-1, :-1] = counts
    values[:-1, -1] = counts.sum(1)
    values[-1, :-1] = counts.sum(0)
    values[-1, -1] = counts.sum()
    margin = np.zeros(values.shape, np.bool_)
    margin[:-1, -1] = margin[-1, :-1] = True

    # How far an entry with its sign can rise and fall; no more than min_group is ever asked for. Only inner cells set
    # a limit: while they are not negative, neither are totals.
    rise = np.full(values.shape, min_group)
    fall = rise.copy()
    fall[:-1, :-1] = np.minimum(counts, min_group)
    price = values + 1.0
    price[margin] += counts.sum() + counts.size
    price[-1, -1] += (rows + columns + 1) * price[margin].sum()
    hidden = values < min_group
    for i, j in np.argwhere(hidden):
        # the sign of a margin: its total rises when the entry falls
        up, down = (fall, rise) if margin[i, j] else (rise, fall)
        free = np.where(hidden, 0.0, np.inf)
        fallen, _ = _shift((i, j), down, up, free, int(min(values[i, j], min_group)))
        risen, _ = _shift((i, j), up, down, free, min_group - fallen)
        if fallen + risen < min_group:
            _, used = _shift((i, j), up, down, np.where(hidden, 0.0, price), min_group - fallen)
            hidden |= used
    return hidden


def _shift(
    cell: tuple[int, int],
    up: NDArray[np.int64],
    down: NDArray[np.int64],
    price: NDArray[np.float64],
    need: int,
) -> tuple[int, NDArray[np.bool_]]:
    """Raise a cell by as much as needed along the cheapest paths; ``up`` and ``down`` swapped, lower it.

    Returns how far it went, and the cells that moved.
    """
    up, down, price = up.copy(), down.copy(), price.copy()
    price[cell] = np.inf  # the path comes back through other cells
    used = np.zeros(up.shape, np.bool_)
    done = 0
    while done < need:
        path = _cheapest(cell, up, down, price)
        if path is None:
            break
        lowered, raised = path[0::2], path[1::2]
        step = need - done
        step = min(step, *(int(down[at]) for at in lowered), *(int(up[at]) for at in raised))
        for at in lowered:
            down[at] -= step
            up[at] += step
        for at in raised:
            up[at] -= step
            down[at] += step
        for at in path:
            price[at] = 0.0
            used[at] = True
        done += step
    return done, used


def _cheapest(
    cell: tuple[int, int], up: NDArray[np.int64], down: NDArray[np.int64], price: NDArray[np.float64]
) -> list[tuple[int, int]] | None:
    """The cheapest path from a cell's column to its row: cells to lower and to raise, in turn (Bellman and Ford)."""
    rows, columns = up.shape
    lower = np.where(down > 0, price, np.inf)  # steps from a column to a row
    higher = np.where(up > 0, price, np.inf)  # and from a row to a column
    to_row, to_column = np.full(rows, np.inf), np.full(columns, np.inf)
    from_column, from_row = np.zeros(rows, np.int64), np.zeros(columns, np.int64)
    goal, start = int(cell[0]), int(cell[1])
    to_column[start] = 0.0
    while to_row[goal] > 0.0:
        offers = lower + to_column
        best = offers.argmin(1)
        offered = offers[np.arange(rows), best]
        better = offered < to_row
        if not better.any():
            break
        to_row[better], from_column[better] = offered[better], best[better]
        offers = higher + to_row[:, np.newaxis]
        best = offers.argmin(0)
        offered = offers[best, np.arange(columns)]
        better = offered < to_column
        to_column[better], from_row[better] = offered[better], best[better]
    if not np.isfinite(to_row[goal]):
        return None
    path, row = [], goal
    while True:
        column = int(from_column[row])
        path.append((row, column))
        if column == start:
            return path  # from the goal backwards: both of its ends are cells to lower
        row = int(from_row[column])
        path.append((row, column))
