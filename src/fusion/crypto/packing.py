"""Several signed integers in one large one, for ciphertexts that add large integers.

`join` and `split` are the bare encoding: k digits of w bits each, sum over j of v_j 2^(w j), with signed v_j. Sums,
differences and integer multiples of such integers are those of their digits, as long as every digit stays within
[-2^(w-1), 2^(w-1)): from there on it spills into its neighbour. `Packing` chooses w so that this cannot happen within
declared bounds, and notices most of what breaks them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusion.errors import InputError, PeerError

Int64 = NDArray[np.int64]

# Bits are handled one a byte; so many bytes at a time.
_WORKSPACE = 1 << 24


def join(values: Int64, width: int) -> list[int]:
    """Write each row's values as the signed digits of one integer, the first value lowest.

    Parameters
    ----------
    values : (n, k) int64
        Each at least ``-2^(width - 1)`` and below ``2^(width - 1)``.
    width : int
        Bits of a digit, at least 1.

    Returns
    -------
    list of n int
        Below ``2^(width k)`` in absolute value.

    Raises
    ------
    InputError
        On another shape or type, or a value out of range.
    """
    _matrix(values)
    _positive(width, "width")
    n, k = values.shape
    if width < 64 and values.size and not -(2 ** (width - 1)) <= values.min() <= values.max() < 2 ** (width - 1):
        raise InputError(f"a value does not fit a digit of {width} bits; declare a larger bound")
    middle = _middle(width, k)
    step = max(1, _WORKSPACE // max(1, k * max(width, 64)))
    joined: list[int] = []
    for start in range(0, n, step):
        some = np.ascontiguousarray(values[start : start + step], dtype="<i8")
        bits = _bits(some.view(np.uint8).reshape(len(some), k, 8), width)
        bits[:, :, -1] ^= 1
        rows = np.packbits(bits.reshape(len(some), k * width), axis=1, bitorder="little")
        joined += [int.from_bytes(row.tobytes(), "little") - middle for row in rows]
    return joined


def split(numbers: list[int], width: int, k: int) -> NDArray[Any]:
    """Read the k signed digits of each integer: what `join` wrote, or sums and multiples of it.

    Parameters
    ----------
    numbers : list of n int
    width : int
        Bits of a digit, at least 1.
    k : int
        Digits of a number, at least 1.

    Returns
    -------
    (n, k) int64, or object (Python integers) if width is above 64
        Each at least ``-2^(width - 1)`` and below ``2^(width - 1)``: the only such digits that give this number.

    Raises
    ------
    PeerError
        If a number has more than k digits; names its place.
    """
    _positive(width, "width")
    _positive(k, "k")
    middle, size = _middle(width, k), -(-width * k // 8)
    words = -(-width // 64)
    result = np.empty((len(numbers), k), dtype=np.int64 if words == 1 else object)
    step = max(1, _WORKSPACE // (k * words * 64))
    for start in range(0, len(numbers), step):
        shifted = [int(number) + middle for number in numbers[start : start + step]]
        for i, number in enumerate(shifted):
            if number < 0 or number >> (width * k):
                raise PeerError(f"number {start + i} has more than {k} digits of {width} bits; a sum left its bounds")
        data = b"".join(number.to_bytes(size, "little") for number in shifted)
        rows = np.frombuffer(data, dtype=np.uint8).reshape(len(shifted), size)
        bits = np.unpackbits(rows, axis=1, count=k * width, bitorder="little").reshape(len(shifted), k, width)
        bits[:, :, -1] ^= 1
        packed = np.packbits(_extend(bits, 64 * words), axis=2, bitorder="little")
        low = packed.view("<u8")
        high = packed.view("<i8")[:, :, -1]
        if words == 1:
            result[start : start + step] = high
            continue
        total = high.astype(object)
        for word in range(words - 2, -1, -1):
            total = (total << 64) + low[:, :, word].astype(object)
        result[start : start + step] = total
    return result


@dataclass(frozen=True, slots=True)
class Packing:
    """Rows of k integers as one plaintext each, with a counter of terms and guard bits.

    Digit 0 of a fresh row is 1; then come the values. In a sum of rows it is the sum of their weights: how many rows
    were added, if all weights are 1. The width leaves a bit free above the largest permitted sum, and `unpack` refuses
    what uses it. A row that breaks its own bound can still change its neighbours unnoticed: whoever encrypts is trusted
    to keep the bounds.

    Parameters
    ----------
    bound : int
        Largest absolute value, 1 to 2^63 - 1.
    terms : int
        Largest sum of absolute weights of any result, at least 1.
    values : int
        k, at least 1.
    """

    bound: int
    terms: int
    values: int

    def __post_init__(self) -> None:
        _positive(self.bound, "bound")
        _positive(self.terms, "terms")
        _positive(self.values, "values")
        if self.bound >= 2**63:
            raise InputError("bound must be below 2^63; scale the values down")

    @staticmethod
    def capacity(bound: int, terms: int, bits: int) -> int:
        """How many values fit a plaintext of a key of that many bits; 0 if none."""
        return max(0, (bits - 2) // Packing(bound, terms, 1).width - 1)

    @property
    def width(self) -> int:
        """Bits of a digit: the largest sum, its sign, and a guard bit."""
        return (self.bound * self.terms).bit_length() + 2

    @property
    def bits(self) -> int:
        """Bits of a whole row: a plaintext is at most 2^(bits - 1) in absolute value, but for a unit."""
        return self.width * (self.values + 1)

    def pack(self, values: Int64) -> list[int]:
        """Write rows as plaintexts, each with a counter of 1.

        Parameters
        ----------
        values : (n, k) int64
            At most `bound` in absolute value.

        Returns
        -------
        list of n int

        Raises
        ------
        InputError
            On another shape or type, or a value beyond the bound; names row and column.
        """
        _matrix(values)
        n, k = values.shape
        if k != self.values:
            raise InputError(f"this packing takes {self.values} values a row, not {k}")
        beyond = np.argwhere((values > self.bound) | (values < -self.bound))
        if len(beyond):
            row, column = beyond[0]
            raise InputError(f"the value in row {row}, column {column} exceeds the bound; clip it, or declare more")
        return join(np.concatenate((np.ones((n, 1), dtype=np.int64), values), axis=1), self.width)

    def unpack(self, plaintexts: list[int], *, weight: int | None = None) -> tuple[NDArray[Any], NDArray[Any]]:
        """Read sums of rows.

        Parameters
        ----------
        plaintexts : list of n int
        weight : int, optional
            A bound on the sum of absolute weights of each plaintext, known to both sides. None: no weight was
            negative, and the counter is that sum.

        Returns
        -------
        counters : (n,) int64, or object if `width` is above 64
        values : (n, k) of the same type

        Raises
        ------
        InputError
            If weight is negative or above `terms`.
        PeerError
            If a counter or a value is beyond what the weight allows; names row and column.
        """
        if weight is not None and not 0 <= weight <= self.terms:
            raise InputError(f"weight must be from 0 to the declared {self.terms} terms")
        digits = split(plaintexts, self.width, self.values + 1)
        counters, values = digits[:, 0], digits[:, 1:]
        if weight is None:
            refused = np.flatnonzero((counters < 0) | (counters > self.terms))
            largest = counters * self.bound
        else:
            refused = np.flatnonzero((counters < -weight) | (counters > weight))
            largest = np.full_like(counters, weight * self.bound)
        if len(refused):
            raise PeerError(f"row {refused[0]} counts more terms than were declared; declare more, or add fewer")
        beyond = np.argwhere((values > largest[:, None]) | (values < -largest[:, None]))
        if len(beyond):
            row, column = beyond[0]
            raise PeerError(f"the sum in row {row}, column {column} exceeds its bound; someone broke the declared one")
        return counters, values


def _middle(width: int, k: int) -> int:
    """The number whose digits are all 2^(width - 1): added, it makes every digit positive."""
    return ((1 << (width * k)) - 1) // ((1 << width) - 1) << (width - 1)


def _bits(data: NDArray[np.uint8], width: int) -> NDArray[np.uint8]:
    """(n, k, 8) bytes of int64 as (n, k, width) bits, the lowest first."""
    bits = np.unpackbits(data, axis=2, bitorder="little")
    return _extend(bits, width) if width > 64 else np.ascontiguousarray(bits[:, :, :width])


def _extend(bits: NDArray[np.uint8], width: int) -> NDArray[np.uint8]:
    """Repeat each number's sign, its last bit, up to the width."""
    n, k, have = bits.shape
    extended = np.empty((n, k, width), dtype=np.uint8)
    extended[:, :, :have] = bits
    extended[:, :, have:] = bits[:, :, -1:]
    return extended


def _matrix(values: object) -> None:
    if not isinstance(values, np.ndarray) or values.dtype != np.int64 or values.ndim != 2 or not values.shape[1]:
        raise InputError("values must be an int64 array of shape (n, k) with k at least 1")


def _positive(value: object, what: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InputError(f"{what} must be an integer of at least 1")
