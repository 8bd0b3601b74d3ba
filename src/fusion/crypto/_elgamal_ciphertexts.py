"""ElGamal ciphertexts on ristretto255, and all that is computed with them without a key; `fusion.crypto.elgamal` has
the keys."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from fusion.errors import InputError, PeerError
from fusion.kernels import ristretto, sums
from fusion.kernels._rows import Bytes, byte_rows
from fusion.kernels.ristretto import Points

ELEMENT_BYTES = 32
# Digits of a matrix of small integers: four bits, signed.
_DIGIT = 4

Ints = NDArray[np.int64]


class Ciphertexts:
    """An array of n encrypted rows, opaque.

    Indexing with a slice, a boolean mask or an integer array picks rows; `columns` picks slots. Not pickled; what
    `to_bytes` writes is what may travel.

    Attributes
    ----------
    slots : tuple of int
        Which slots of the key the columns belong to.
    """

    __slots__ = ("_points", "slots")

    def __init__(self, points: Points, slots: tuple[int, ...]) -> None:
        if len(points) % (1 + len(slots)):
            raise InputError(f"{len(points)} points do not make rows of {1 + len(slots)}")
        self._points = points
        self.slots = slots

    @property
    def width(self) -> int:
        """Elements in a row: one more than slots."""
        return 1 + len(self.slots)

    def __len__(self) -> int:
        return len(self._points) // self.width

    def __getitem__(self, index: slice | NDArray[Any]) -> Ciphertexts:
        if not isinstance(index, slice | np.ndarray):
            raise InputError("rows are indexed by a slice, a boolean mask or an integer array")
        try:
            rows = np.arange(len(self))[index]
        except (IndexError, TypeError, ValueError):
            raise InputError(f"the index does not fit {len(self)} rows") from None
        if rows.ndim != 1:
            raise InputError("the index of rows must have one dimension")
        return Ciphertexts(self._points[_elements(rows, self.width)], self.slots)

    def columns(self, slots: Sequence[int]) -> Ciphertexts:
        """Keep only those slots of the key, in that order; InputError for one that is not here or named twice."""
        kept = tuple(slots)
        if len(set(kept)) != len(kept) or not set(kept) <= set(self.slots):
            raise InputError(f"columns are picked among the slots {self.slots}, each at most once")
        places = np.array([0, *(1 + self.slots.index(slot) for slot in kept)], dtype=np.int64)
        at = (np.arange(len(self))[:, None] * self.width + places).ravel()
        return Ciphertexts(self._points[at], kept)

    def column(self, place: int) -> Points:
        """The elements of one column: 0 is r G, j the column of ``slots[j - 1]``."""
        return self._points[place :: self.width]

    def to_bytes(self, *, threads: int | None = None, variant: str | None = None) -> Bytes:
        """Encode as (n, 32 * width) uint8, canonical: each row's elements one after the other.

        Raises
        ------
        InputError
            If a row hides nothing, as a trivial encryption does: its first element is the identity. Re-randomise what
            leaves the process.
        """
        rows = ristretto.encode(self._points, threads=threads, variant=variant)
        rows = rows.reshape(-1, ELEMENT_BYTES * self.width)
        open_rows = np.flatnonzero(~rows[:, :ELEMENT_BYTES].any(axis=1))
        if len(open_rows):
            raise InputError(f"row {open_rows[0]} is a trivial encryption, open to all; rerandomise before sending")
        return rows

    @classmethod
    def from_bytes(
        cls, data: Bytes, slots: Sequence[int], *, threads: int | None = None, variant: str | None = None
    ) -> Ciphertexts:
        """Read what `to_bytes` wrote.

        The first element of a row is never the identity: a re-randomised row has r = 0 with a chance of 2^-252, and
        with r = 0 it would hide nothing. Any other may be the identity, as the sum of any two things may be.

        Parameters
        ----------
        data : (n, 32 * (1 + len(slots))) uint8
        slots : sequence of int
            The key's slots that the columns belong to, as both sides have agreed.

        Raises
        ------
        PeerError
            If an element is not canonical, or the first of a row is the identity; names the first bad row.
        InputError
            On another shape or type.
        """
        kept = tuple(slots)
        if len(set(kept)) != len(kept) or any(slot < 0 for slot in kept):
            raise InputError("slots are numbers from 0 on, each at most once")
        width = 1 + len(kept)
        rows = byte_rows(data, ELEMENT_BYTES * width, "ciphertexts")
        points, valid = ristretto.decode(rows.reshape(-1, ELEMENT_BYTES), threads=threads, variant=variant)
        good = valid.reshape(-1, width)
        bad = np.flatnonzero(~good.all(axis=1))
        if len(bad):
            column = int(np.flatnonzero(~good[bad[0]])[0])
            raise PeerError(f"row {bad[0]} of the ciphertexts: element {column} is not a canonical encoding")
        bad = np.flatnonzero(~rows[:, :ELEMENT_BYTES].any(axis=1))
        if len(bad):
            raise PeerError(f"row {bad[0]} of the ciphertexts is not encrypted: its first element is the identity")
        return cls(points, kept)

    def __reduce__(self) -> NoReturn:
        raise InputError("ciphertexts are not pickled; send what to_bytes makes of them")

    def __repr__(self) -> str:
        return f"<Ciphertexts of {len(self)} rows, slots {self.slots}>"


def add(a: Ciphertexts, b: Ciphertexts, *, threads: int | None = None, variant: str | None = None) -> Ciphertexts:
    """Add two arrays of equal length and slots, row by row."""
    if a.slots != b.slots:
        raise InputError(f"only rows of the same slots can be added, not {a.slots} and {b.slots}")
    return Ciphertexts(ristretto.add(a._points, b._points, threads=threads, variant=variant), a.slots)


def negate(a: Ciphertexts) -> Ciphertexts:
    """Change the sign of every integer."""
    return Ciphertexts(sums.negate(a._points), a.slots)


def scale(a: Ciphertexts, factors: Ints, *, threads: int | None = None, variant: str | None = None) -> Ciphertexts:
    """Multiply row i by the integer ``factors[i]``.

    Time depends on the largest factor, and memory access on all: they belong to whoever computes.
    """
    weights = integers(factors, "factors")
    if weights.shape != (len(a),):
        raise InputError(f"one factor a row makes shape ({len(a)},), not {weights.shape}")
    _check_factors(weights)
    signed, sizes = _choose(weights < 0, a, negate(a)), np.abs(weights)
    total = nothing = trivial(len(a), a.slots)
    for bit in reversed(range(int(sizes.max(initial=0)).bit_length())):
        total = add(total, total, threads=threads, variant=variant)
        taken = (sizes >> bit & 1).astype(bool)
        total = add(total, _choose(taken, nothing, signed), threads=threads, variant=variant)
    return total


def combine(matrix: Ints, a: Ciphertexts, *, threads: int | None = None, variant: str | None = None) -> Ciphertexts:
    """Multiply by a matrix of small integers: row i of the result is the sum of ``matrix[i, j]`` times row j.

    Parameters
    ----------
    matrix : (m, n) int64
        Time grows with the number of bits of the largest entry.
    """
    weights = integers(matrix, "the matrix")
    if weights.ndim != 2 or weights.shape[1] != len(a):
        raise InputError(f"the matrix must have shape (m, {len(a)}), one column a row, not {weights.shape}")
    digits = _digits(weights)
    total = trivial(len(weights), a.slots)
    for digit in reversed(digits):
        for _ in range(_DIGIT):
            total = add(total, total, threads=threads, variant=variant)
        buckets = histogram((digit.T + 8).astype(np.uint8), 16, a, threads=threads, variant=variant)
        for sign, largest in ((1, 7), (-1, 8)):
            # sum of size * bucket: each running sum from the largest size down is added once
            running = part = trivial(len(weights), a.slots)
            for size in range(largest, 0, -1):
                at = np.arange(len(weights)) * 16 + 8 + sign * size
                running = add(running, buckets[at], threads=threads, variant=variant)
                part = add(part, running, threads=threads, variant=variant)
            total = add(total, part if sign > 0 else negate(part), threads=threads, variant=variant)
    return total


def group_sum(
    codes: NDArray[Any], groups: int, a: Ciphertexts, *, threads: int | None = None, variant: str | None = None
) -> Ciphertexts:
    """Add up the rows of each group.

    Parameters
    ----------
    codes : (n,) integers
        0 to ``groups - 1``: the group of each row.

    Returns
    -------
    Ciphertexts
        ``groups`` rows; an empty group is a trivial encryption of zero.
    """
    labels = integers(codes, "codes")
    if labels.shape != (len(a),):
        raise InputError(f"one code a row makes shape ({len(a)},), not {labels.shape}")
    _check_codes(labels, groups)
    return Ciphertexts(sums.group_sum(labels, groups, a._points, a.width, threads=threads, variant=variant), a.slots)


def histogram(
    codes: NDArray[Any], bins: int, a: Ciphertexts, *, threads: int | None = None, variant: str | None = None
) -> Ciphertexts:
    """For every feature, add up the rows of each bin.

    The bins that rows fall in are read from memory and decide which sums are written: on a machine shared with others
    the pattern of access, seen through its caches, shows them. They belong to whoever computes the histogram; the
    encrypted values stay hidden from him, too.

    Parameters
    ----------
    codes : (n, features) uint8 or uint16
        0 to ``bins - 1``: the bin of each row, by feature.

    Returns
    -------
    Ciphertexts
        ``features * bins`` rows, feature by feature; an empty bin is a trivial encryption of zero.
    """
    _check_bin_codes(codes)
    if len(codes) != len(a):
        raise InputError(f"codes need one row a ciphertext, {len(a)}, not {len(codes)}")
    _check_codes(codes, bins)
    return Ciphertexts(sums.histogram(codes, bins, a._points, a.width, threads=threads, variant=variant), a.slots)


def _choose(mask: NDArray[np.bool_], no: Ciphertexts, yes: Ciphertexts) -> Ciphertexts:
    rows = np.where(np.repeat(mask, no.width)[:, None], yes._points._rows, no._points._rows)
    return Ciphertexts(Points(rows), no.slots)


def _digits(values: Ints) -> list[Ints]:
    """Signed digits, -8 to 7, lowest first: the sum of ``digits[i] * 16**i``; as many as the largest value needs."""
    _check_factors(values)
    rest, digits = values, []
    while rest.any():
        digits.append(((rest + 8) & 15) - 8)
        rest = (rest - digits[-1]) >> _DIGIT
    return digits


def _check_factors(factors: Ints) -> None:
    if factors.size and (factors.min() <= -(2**62) or factors.max() >= 2**62):
        raise InputError("factors must be below 2^62 in size")


def trivial(n: int, slots: tuple[int, ...]) -> Ciphertexts:
    """Zeros with r = 0, which hide nothing."""
    if n < 0:
        raise InputError(f"an array has 0 rows or more, not {n}")
    return Ciphertexts(sums.identities(n * (1 + len(slots))), slots)


def _elements(rows: NDArray[np.int64], width: int) -> NDArray[np.int64]:
    return (rows[:, None] * width + np.arange(width)).ravel()


def integers(array: object, what: str) -> Ints:
    """The array as int64, or an InputError."""
    if not isinstance(array, np.ndarray) or not np.can_cast(array.dtype, np.int64) or array.dtype == np.bool_:
        raise InputError(f"{what} must be a numpy array of integers that int64 holds")
    return np.ascontiguousarray(array, dtype=np.int64)


def _check_bin_codes(codes: object) -> None:
    if not isinstance(codes, np.ndarray) or codes.dtype not in (np.uint8, np.uint16) or codes.ndim != 2:
        raise InputError("codes must be a numpy array of uint8 or uint16 of two dimensions")


def _check_codes(codes: NDArray[Any], count: int) -> None:
    if count < 0:
        raise InputError(f"there are 0 bins or more, not {count}")
    if codes.size and not (codes.min() >= 0 and codes.max() < count):
        raise InputError(f"codes must lie between 0 and {count - 1}")
