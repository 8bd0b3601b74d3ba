"""Bounds on what one row and one person add to a sum: the sensitivity of everything that follows."""

from __future__ import annotations

import numbers
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from fusion.crypto.random import Source, permutation
from fusion.disclosure.masked import refuse_masked
from fusion.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True, slots=True)
class Clipped:
    """A column within its bounds.

    Attributes
    ----------
    values : ndarray, shape (n,)
        The column, every value between the bounds. Integers stay integers when both bounds are integers
        that fit them.
    below, above : int
        How many values were raised to the lower bound and lowered to the upper one. These counts describe the
        data: they are for its owner and carry no noise.
    """

    values: NDArray[np.int64] | NDArray[np.float64] = field(repr=False)
    below: int
    above: int


def clip(values: ArrayLike, low: float, high: float) -> Clipped:
    """Bring every value between two bounds.

    Choose bounds from what the column means, never from the values at hand: bounds that follow the largest
    value reveal it, and no noise covers that.

    Parameters
    ----------
    values : array_like of int or float, shape (n,)
        A column. Infinite values are clipped like any other.
    low, high : float
        Finite bounds in the unit of the column, ``low <= high``.

    Returns
    -------
    Clipped

    Raises
    ------
    InputError
        Bounds in the wrong order or not finite; a column that is not one-dimensional, not numeric, or has
        missing values.
    """
    if not (np.isfinite(low) and np.isfinite(high) and low <= high):
        raise InputError("the bounds of a column are two finite numbers, the lower one first")
    column = _numbers(values)
    if column.dtype == np.int64 and not all(float(end).is_integer() and abs(end) < 2**63 for end in (low, high)):
        column = column.astype(np.float64)
    below, above = column < low, column > high
    clipped = column.copy()
    # assignment, not np.clip: it keeps the dtype
    clipped[below] = low
    clipped[above] = high
    return Clipped(clipped, int(below.sum()), int(above.sum()))


def _numbers(values: ArrayLike) -> NDArray[np.int64] | NDArray[np.float64]:
    """A column as int64 or float64, without missing values."""
    column = values if isinstance(values, pd.Series) else pd.Series(np.asanyarray(values))
    if not pd.api.types.is_numeric_dtype(column) or pd.api.types.is_complex_dtype(column):
        raise InputError("a column to be bounded holds numbers; this one does not")
    missing = int(column.isna().sum())
    if missing:
        raise InputError(f"a column to be bounded has {missing} missing values; fill them or drop their rows")
    if pd.api.types.is_unsigned_integer_dtype(column) and len(column) and column.max() > np.iinfo(np.int64).max:
        raise InputError("a column to be bounded has integers beyond 2**63; give it as floats")
    if pd.api.types.is_float_dtype(column):
        return column.to_numpy(np.float64)
    return column.to_numpy(np.int64)


@dataclass(frozen=True, slots=True)
class Limited:
    """Which rows to keep so that nobody has more than so many.

    Attributes
    ----------
    keep : ndarray of bool, shape (n,)
        True for the rows that stay, in the order of the table.
    dropped : int
        Rows that go.
    people : int
        People who lose rows. Like ``dropped``, for the owner of the data only.
    """

    keep: NDArray[np.bool_] = field(repr=False)
    dropped: int
    people: int


def limit_rows(people: ArrayLike, at_most: int, *, source: Source = os.urandom) -> Limited:
    """Choose at most so many rows of each person, uniformly at random.

    The choice looks at nothing but who a row belongs to. Keeping the first rows or the largest would tie what is
    released to an order or to values that the noise does not cover.

    Parameters
    ----------
    people : array_like, shape (n,)
        Who each row belongs to: any hashable values, none missing.
    at_most : int
        Rows that may stay for each, at least 1.
    source : callable
        Number of bytes -> that many uniform bytes.

    Returns
    -------
    Limited

    Raises
    ------
    InputError
        A missing identity, or a limit below 1.
    """
    if not isinstance(at_most, numbers.Integral) or at_most < 1:
        raise InputError("at least one row of each person stays; give a whole number of 1 or more as the limit")
    refuse_masked(people)
    codes, who = pd.factorize(people if isinstance(people, pd.Series) else np.asarray(people))
    unknown = int((codes < 0).sum())
    if unknown:
        raise InputError(f"{unknown} rows belong to nobody; a limit for each person needs to know whose each row is")
    shuffled = permutation(codes.size, source)
    # rows person by person, each person's in random order
    order = shuffled[np.argsort(codes[shuffled], kind="stable")]
    rows = np.bincount(codes, minlength=len(who))
    rank = np.arange(codes.size) - np.repeat(np.cumsum(rows) - rows, rows)
    keep = np.zeros(codes.size, np.bool_)
    keep[order] = rank < at_most
    return Limited(keep, int(codes.size - keep.sum()), int((rows > at_most).sum()))
