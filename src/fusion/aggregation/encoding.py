"""Fixed point: numbers of a caller become whole numbers within declared limits, and come back exactly.

A value is multiplied by 10^decimals and rounded to a whole number, halves to the even neighbour. The product is exact
(the float's own binary value counts, as in Python's `round`), so 2.675 with two decimals is 2.67.
"""

from __future__ import annotations

import numbers
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from fusion.errors import InputError

__all__ = [
    "MAX_DECIMALS",
    "MAX_GROUPS",
    "MAX_LIMIT",
    "MAX_TERMS",
    "MAX_WIDTH",
    "Row",
    "decode",
    "encode",
    "scaled_limit",
    "whole",
]

Integers = npt.NDArray[Any]
"""int64, or object with Python integers where 64 bits do not hold what was declared."""

MAX_DECIMALS = 18
MAX_LIMIT = (1 << 63) - 1
MAX_TERMS = 1 << 40
MAX_GROUPS = 1 << 20
MAX_WIDTH = 1 << 24


@dataclass(frozen=True, slots=True)
class Row:
    """What one encrypted row may hold: public, declared before anything is encrypted, equal for all that is added.

    Attributes
    ----------
    width : int
        How many values a row holds, at least 1.
    limits : tuple of int
        Largest absolute value of a fresh value, as a whole number: one for all, or one for each of the row.
    terms : int
        Largest sum of absolute weights that any result may have, 1 to 2^40.
    """

    width: int
    limits: tuple[int, ...]
    terms: int

    @property
    def largest(self) -> int:
        """The largest of the limits."""
        return max(self.limits)

    @property
    def dtype(self) -> type[np.int64] | type[object]:
        """What holds every result that these limits allow."""
        return np.int64 if self.largest * self.terms <= MAX_LIMIT else object

    def sums(self, weight: int) -> Integers:
        """Largest absolute result for each value of a row when the weights sum to at most ``weight``: (width,)."""
        limits = np.array([limit * weight for limit in self.limits], dtype=self.dtype)
        return np.broadcast_to(limits, (self.width,))

    def check(self, values: Integers, weight: int, error: Callable[[str], Exception]) -> None:
        """Raise ``error`` naming the first row of ``values`` (n, width) that holds more than the weights allow."""
        beyond = np.flatnonzero((np.abs(values) > self.sums(weight)).any(axis=1))
        if len(beyond):
            raise error(f"row {beyond[0]} holds more than its declared bound and terms allow; its sender broke them")


def whole(value: object, name: str, least: int, most: int) -> int:
    """An argument that has to be a whole number in a range; InputError otherwise."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or not least <= int(value) <= most:
        raise InputError(f"{name} must be a whole number from {least} to {most}")
    return int(value)


def scaled_limit(bound: object, decimals: int, name: str = "bound") -> int:
    """The bound as a whole number of 10^-decimals, rounded up; InputError when 63 bits do not hold it."""
    if isinstance(bound, bool) or not isinstance(bound, numbers.Real):
        raise InputError(f"{name} must be a number above zero")
    try:
        exact = Fraction(int(bound)) if isinstance(bound, numbers.Integral) else Fraction(float(bound))
    except (OverflowError, ValueError):
        raise InputError(f"{name} must be a number above zero, and not so large") from None
    if exact <= 0:
        raise InputError(f"{name} must be a number above zero")
    limit = -int(-exact * 10**decimals // 1)
    if limit > MAX_LIMIT:
        raise InputError(f"{name} times 10^decimals must stay below 2^63; declare fewer decimals or a smaller bound")
    return limit


def encode(values: npt.NDArray[Any], decimals: int, limit: int, column: str = "") -> npt.NDArray[np.int64]:
    """Whole numbers of 10^-decimals, each at most ``limit`` in absolute value.

    Parameters
    ----------
    values : (n, k) array of numbers
        Booleans, integers or floats; objects if all are Python numbers.
    decimals : int
        0 to 18. With 0 floats have to be whole.
    limit : int
        From `scaled_limit`.
    column : str
        Name for errors, where the values are one column of a frame.

    Returns
    -------
    (n, k) int64

    Raises
    ------
    InputError
        Naming row and column, never the value: missing, infinite, beyond the bound, or a fraction that was not
        declared. Another type of values.
    """
    if values.dtype.kind == "O":
        values = _from_objects(values, column)
    if values.dtype.kind in "biu":
        most = limit // 10**decimals
        # compared in the type's own range, where nothing wraps
        inside = values <= most
        if values.dtype.kind == "i":
            inside &= values >= -most
        _refuse(~inside, "is beyond the declared bound", column)
        return values.astype(np.int64) * np.int64(10**decimals) if most else np.zeros(values.shape, np.int64)
    if values.dtype.kind != "f" or values.dtype.itemsize > 8:
        raise InputError(f"{column or 'the array'} holds no numbers; only booleans, integers and floats are encrypted")
    values = values.astype(np.float64)
    _refuse(~np.isfinite(values), "is missing or infinite; fill or drop it first", column)
    _refuse(np.abs(values) > limit / 10**decimals * (1 + 2.0**-50) + 1, "is beyond the declared bound", column)
    if decimals == 0:
        _refuse(np.rint(values) != values, "is no whole number; declare decimals", column)
    # 2^63 is a float, the limit just below it is not
    _refuse(np.abs(values * 10.0**decimals) >= 2.0**63, "is beyond the declared bound", column)
    scaled = _scale(values, decimals)
    _refuse((scaled > limit) | (scaled < -limit), "is beyond the declared bound", column)
    return scaled


def decode(integers: Integers, decimals: int) -> npt.NDArray[Any]:
    """The numbers that whole numbers of 10^-decimals stand for.

    As they are with no decimals; else the nearest float64 of each, rounded once.
    """
    if decimals == 0:
        return integers
    if integers.dtype != object:
        if not integers.size or np.abs(integers).max() <= 1 << 53:
            return np.asarray(integers / 10.0**decimals)
        integers = integers.astype(object)
    # a quotient of two Python integers is rounded once
    return np.asarray(integers / 10**decimals).astype(np.float64)


def _scale(values: npt.NDArray[np.float64], decimals: int) -> npt.NDArray[np.int64]:
    """``values * 10**decimals`` below 2^63, rounded half to even from the exact product."""
    factor = 10.0**decimals
    product = values * factor
    # Dekker, Numer. Math. 18 (1971): the error of a product is itself a float
    high, low = _halves(values)
    factor_high, factor_low = _halves(np.float64(factor))
    error = ((high * factor_high - product) + high * factor_low + low * factor_high) + low * factor_low
    near = np.rint(product)
    rest = product - near
    # A product below 2^52 has a fraction: the error only matters where that is exactly one half.
    tied = (np.abs(rest) == 0.5) & (error != 0)
    correction = np.where(tied & (np.sign(error) == np.sign(rest)), np.sign(rest), 0.0)
    # From 2^52 on the product is whole and the error is what is left to round. At an error of one half the product is
    # even, being itself rounded to even; so rounding the error to even is right.
    large = np.abs(product) >= 2.0**52
    whole_part = np.where(large, product, near).astype(np.int64)
    added = np.rint(error)
    return np.asarray(whole_part + np.where(large, added, correction).astype(np.int64), dtype=np.int64)


def _halves(values: Any) -> tuple[Any, Any]:
    """Veltkamp's split of a float into two of 26 bits each."""
    scaled = values * 134217729.0  # 2^27 + 1
    high = scaled - (scaled - values)
    return high, values - high


def _from_objects(values: npt.NDArray[Any], column: str) -> npt.NDArray[Any]:
    kinds = {type(value) for value in values.ravel()}
    if not all(issubclass(kind, numbers.Real) for kind in kinds):
        _refuse(
            np.array([not isinstance(value, numbers.Real) for value in values.ravel()]).reshape(values.shape),
            "is missing or no number; fill, convert or drop it first",
            column,
        )
    if all(issubclass(kind, numbers.Integral) for kind in kinds):
        _refuse(np.abs(values) > MAX_LIMIT, "is beyond the declared bound", column)
        return values.astype(np.int64)
    try:
        floats = values.astype(np.float64)
    except OverflowError:
        raise InputError(f"{column or 'the array'} holds a number beyond every bound; clip or drop it first") from None
    # a whole number that a float would round belongs to an array of whole numbers
    long = [isinstance(value, numbers.Integral) and abs(int(value)) > 1 << 53 for value in values.ravel()]
    _refuse(np.array(long).reshape(values.shape), "is a whole number too long to stand among fractions", column)
    return floats


def _refuse(bad: npt.NDArray[Any], what: str, column: str) -> None:
    places = np.argwhere(bad)
    if len(places):
        row, position = places[0]
        raise InputError(f"the value in row {row}, column {column or position} {what}")
