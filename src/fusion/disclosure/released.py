"""A table of counts and sums, made fit to leave the house."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from fusion.disclosure.noise import Guarantee, Noise, gaussian, laplace
from fusion.disclosure.suppression import suppress
from fusion.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

TOTAL = "total"
"""The label of the totals in a released table."""

# What `agg` calls statistics whose total over groups is not their sum.
_NO_SUMS = frozenset({"max", "mean", "median", "min", "std", "var"})


@dataclass(frozen=True, slots=True)
class Release:
    """What may be shown, and what was held back.

    Attributes
    ----------
    table : pandas.DataFrame
        The groups and their totals, the label ``"total"`` standing for all groups; hidden cells are ``<NA>``.
    min_group : int
        No group below it is shown.
    small : int
        Cells hidden because they are small, totals among them. For the owner of the table, like the next one: a
        reader who knows how many of the hidden cells are small knows more than :func:`suppress` assumes.
    protecting : int
        Cells hidden because a small one could be computed from them.
    guarantee : Guarantee or None
        What epsilon covers, when there is noise.
    """

    table: pd.DataFrame = field(repr=False)
    min_group: int
    small: int
    protecting: int
    guarantee: Guarantee | None

    def __str__(self) -> str:
        hidden = (
            f"{len(self.table)} cells with totals: {self.small} hidden below {self.min_group}, "
            f"{self.protecting} more to protect them."
        )
        return hidden if self.guarantee is None else f"{hidden}\n{self.guarantee}"


def release(table: pd.DataFrame, *, min_group: int = 10, count: str = "count", noise: Noise | None = None) -> Release:
    """Hide small groups in a table of counts and sums, and every cell they could be computed from.

    Parameters
    ----------
    table : pandas.DataFrame
        One row a group, labelled by an index of one or two levels (one- and two-way tables), such as
        ``groupby(...).agg(...)`` gives. One column holds how many people are in each group; every other column
        holds sums. Derive means and variances from what is released.
    min_group : int
        The smallest group that may be shown, at least 1.
    count : str
        The column of counts.
    noise : Noise, optional
        Noise for every count and sum. What is small is then judged by the noisy counts, and totals are those of the
        noisy cells: neither touches the data again.

    Returns
    -------
    Release

    Raises
    ------
    InputError
        Labels that are missing, repeated, of three or more levels or equal to ``"total"``; counts that are not whole
        numbers of 0 or more; columns that are not numbers or not finite, or have the name of a statistic that does not
        add up, such as "mean"; noise without bounds for a column of sums.

    Notes
    -----
    A two-way table is filled up with the groups that have nobody, and these are hidden like other small ones. The
    labels themselves are shown: where it tells something that a label occurs at all, give all possible labels, those
    of empty groups with zeros.

    The hidden cells are chosen by the counts (:mod:`fusion.disclosure.suppression` states what that promises); sums
    are hidden where counts are. A hidden sum cannot be computed from shown ones. Where all values are of one sign,
    the shown totals still limit it from above, and a group of enough people may owe most of its sum to one of them:
    clip the rows, or take noise, when that matters.
    """
    counts, sums, labels = _grid(table, count)
    guarantee = None
    if noise is not None:
        counts, sums = _noisy(counts, sums, noise, {name: table[name].dtype.kind in "iu" for name in sums})
        guarantee = Guarantee(noise.epsilon, noise.delta or 0.0, noise.per_person, (count, *sums))
    judged = np.maximum(counts, 0)
    hidden = suppress(judged, min_group)
    shown = {count: counts, **sums}
    columns = {str(name): pd.array(_with_totals(shown[name]).ravel()) for name in table.columns}  # nullable types
    out = pd.DataFrame(columns, index=labels)
    out[hidden.ravel()] = pd.NA
    small = int((_with_totals(judged) < min_group).sum())
    return Release(out, min_group, small, int(hidden.sum()) - small, guarantee)


def _grid(table: pd.DataFrame, count: str) -> tuple[NDArray[np.int64], dict[str, NDArray[Any]], pd.Index]:
    """The counts and sums as arrays of one or two axes, and the labels of the table with totals."""
    if not isinstance(table, pd.DataFrame):
        raise InputError("a pandas frame is released, with a column of counts; series.to_frame() makes one of a series")
    if table.columns.nlevels > 1:
        raise InputError("the statistics of one column are released at a time; select it first, as in table['cost']")
    index = table.index
    if index.nlevels > 2:
        raise InputError(f"tables of one or two ways can be released, not of {index.nlevels}; release it in slices")
    if count not in table.columns:
        raise InputError(f"the table has no column {count!r} of counts; name it with count=")
    if not table.columns.is_unique or not all(isinstance(name, str) for name in table.columns):
        raise InputError("the columns of a table to be released have names, each its own")
    if not index.is_unique:
        raise InputError("a group occurs twice in the table; add its rows up first")
    levels = [index.unique(level) for level in range(index.nlevels)]
    if any(level.hasnans or TOTAL in level for level in levels):
        raise InputError(f"the label of a group is missing, or is {TOTAL!r}, which stands for all groups; rename it")
    for name in table.columns:
        if name in _NO_SUMS and name != count:
            raise InputError(f"column {name!r} does not add up over groups; release counts and sums, and divide those")
        values = table[name]
        if not pd.api.types.is_numeric_dtype(values) or values.dtype.kind not in "iuf":
            raise InputError(f"column {name!r} of the table is not of real numbers; leave it out of the release")
        if values.isna().any() or not np.isfinite(values.to_numpy(np.float64)).all():
            raise InputError(f"column {name!r} of the table has missing or infinite values; fill them or leave it out")
        if values.dtype.kind in "iu" and np.abs(values.to_numpy(np.float64)).sum() >= 2.0**62:
            raise InputError(f"column {name!r} of the table has a total beyond 2**62; give it as floats")
    people = table[count].to_numpy(np.float64)
    if (people != np.floor(people)).any() or (people < 0).any():
        raise InputError(f"column {count!r} of the table counts people: whole numbers, none negative")

    if len(levels) == 2:
        # labels in their own order: that of the table may follow values
        levels = [level.sort_values() for level in levels]
        table = table.reindex(pd.MultiIndex.from_product(levels, names=index.names), fill_value=0)
    shape = tuple(map(len, levels))
    counts = table[count].to_numpy().reshape(shape).astype(np.int64)
    sums = {
        str(name): table[name].to_numpy(np.int64 if table[name].dtype.kind in "iu" else np.float64).reshape(shape)
        for name in table.columns
        if name != count
    }
    closed = [pd.Index([*level, TOTAL], dtype=object, name=level.name) for level in levels]
    return counts, sums, closed[0] if len(closed) == 1 else pd.MultiIndex.from_product(closed)


def _noisy(
    counts: NDArray[np.int64], sums: dict[str, NDArray[Any]], noise: Noise, whole: dict[str, bool]
) -> tuple[NDArray[np.int64], dict[str, NDArray[Any]]]:
    """Noise for every column, each with an equal part of epsilon and delta."""
    share = 1 + len(sums)

    def add(values: NDArray[np.int64], sensitivity: int) -> NDArray[np.int64]:
        epsilon = noise.epsilon / share
        if noise.delta is None:
            return laplace(values, sensitivity=sensitivity, epsilon=epsilon)
        # all rows of a person may fall into one cell, so the Euclidean norm is no smaller than the sum
        return gaussian(values, sensitivity=sensitivity, epsilon=epsilon, delta=noise.delta / share)

    step = 10**noise.decimals
    out: dict[str, NDArray[Any]] = {}
    for name, values in sums.items():
        steps = np.rint(values.astype(np.float64) * step)
        if values.size and np.abs(steps).max() > 2.0**53:
            raise InputError(f"the sums of column {name!r} have too many digits for noise; take fewer decimals")
        noisy = add(steps.astype(np.int64), noise.sensitivity(name, whole=whole[name]))
        out[name] = noisy if noise.decimals == 0 else noisy / step
    return add(counts, noise.per_person), out


def _with_totals(values: NDArray[Any]) -> NDArray[Any]:
    """An array with its totals at the end of each axis."""
    for axis in range(values.ndim):
        values = np.concatenate([values, values.sum(axis, keepdims=True)], axis)
    return values
