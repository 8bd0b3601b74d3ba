"""Ristretto255 (RFC 9496) over arrays of elements.

Every function takes ``threads``, the number of threads that share the rows (None: all CPUs this process may
use), and ``variant``, the name of a kernel variant (None: see `fusion.kernels.active`). Encodings do not
depend on either. Running time does not depend on scalars or elements.
"""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from fusion.errors import InputError
from fusion.kernels._dispatch import operations
from fusion.kernels._rows import Bytes, byte_rows, byte_string, pointer, split

# 2^252 + 27742317777372353535851937790883648493, RFC 9496 section 4.
ORDER = 2**252 + 27742317777372353535851937790883648493
_POINT = 128
# Rows that take a few tenths of a millisecond; a multiple of the block that shares an inversion.
_GRAIN = 64


class Points:
    """An array of group elements, opaque.

    Made by `from_uniform`, `decode`, `multiply`, `multiply_base` and `add`; `encode` turns it into bytes.
    Indexing with a slice, a boolean mask or an integer array gives another `Points`. Elements are compared by
    their encodings: the memory inside is not unique and must not be stored or sent, as it says more about a scalar
    than the encoding does.
    """

    __slots__ = ("_rows",)

    def __init__(self, rows: Bytes) -> None:
        self._rows = byte_rows(rows, _POINT, "points")  # C reads by this width, whoever made the rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: slice | NDArray[Any]) -> Points:
        if not isinstance(index, slice | np.ndarray):
            raise InputError("points are indexed by a slice, a boolean mask or an integer array")
        try:
            rows = self._rows[index]
        except IndexError:
            raise InputError(f"the index does not fit {len(self)} points") from None
        return Points(rows)

    def __reduce__(self) -> NoReturn:
        raise InputError("points are not pickled; store what encode makes of them")

    def __repr__(self) -> str:
        return f"<Points of length {len(self)}>"


def _rows_of(points: Points) -> Bytes:
    if not isinstance(points, Points):
        raise InputError("points must be a Points, as decode and from_uniform make them")
    return points._rows


def _check_scalars(rows: Bytes) -> None:
    """Every row below the group order; compares from the highest word down, all rows at once."""
    words = rows.view("<u8")
    below = np.zeros(len(rows), dtype=bool)
    equal = np.ones(len(rows), dtype=bool)
    for i in range(3, -1, -1):
        limit = np.uint64(ORDER >> (64 * i) & (2**64 - 1))
        below |= equal & (words[:, i] < limit)
        equal &= words[:, i] == limit
    if not below.all():
        raise InputError("a scalar must be below the group order; reduce it first")


def _one_scalar(scalar: bytes) -> bytes:
    value = byte_string(scalar, "the scalar")
    if len(value) != 32:
        raise InputError(f"the scalar must have 32 bytes, not {len(value)}")
    _check_scalars(np.frombuffer(value, dtype=np.uint8).reshape(1, 32))
    return value


def from_uniform(uniform: Bytes, *, threads: int | None = None, variant: str | None = None) -> Points:
    """Map rows of 64 uniform bytes to elements (RFC 9496, 4.3.4).

    Parameters
    ----------
    uniform : (n, 64) uint8

    Raises
    ------
    InputError
        On another shape or type.
    """
    rows, ops = byte_rows(uniform, 64, "uniform"), operations(variant)
    out = np.empty((len(rows), _POINT), dtype=np.uint8)
    split(
        lambda a, b: ops.from_uniform(pointer(out[a:b], writable=True), pointer(rows[a:b]), b - a),
        len(rows),
        threads=threads,
        grain=_GRAIN,
    )
    return Points(out)


def decode(
    encodings: Bytes, *, threads: int | None = None, variant: str | None = None
) -> tuple[Points, NDArray[np.bool_]]:
    """Decode rows of 32 bytes (RFC 9496, 4.3.1).

    Parameters
    ----------
    encodings : (n, 32) uint8

    Returns
    -------
    points : Points
        An invalid row gives the identity.
    valid : (n,) bool
        Which rows are the canonical encoding of an element. The identity, 32 zero bytes, is one; a protocol
        that must refuse it does so itself.

    Raises
    ------
    InputError
        On another shape or type.
    """
    rows, ops = byte_rows(encodings, 32, "encodings"), operations(variant)
    out = np.empty((len(rows), _POINT), dtype=np.uint8)
    valid = np.empty(len(rows), dtype=np.uint8)
    split(
        lambda a, b: ops.decode(
            pointer(out[a:b], writable=True), pointer(valid[a:b], writable=True), pointer(rows[a:b]), b - a
        ),
        len(rows),
        threads=threads,
        grain=_GRAIN,
    )
    return Points(out), valid.astype(bool)


def encode(points: Points, *, threads: int | None = None, variant: str | None = None) -> Bytes:
    """Encode elements (RFC 9496, 4.3.2) as (n, 32) uint8; equal elements give equal rows."""
    rows, ops = _rows_of(points), operations(variant)
    out = np.empty((len(rows), 32), dtype=np.uint8)
    split(
        lambda a, b: ops.encode(pointer(out[a:b], writable=True), pointer(rows[a:b]), b - a),
        len(rows),
        threads=threads,
        grain=_GRAIN,
    )
    return out


def multiply(points: Points, scalar: bytes, *, threads: int | None = None, variant: str | None = None) -> Points:
    """Multiply every element by one scalar.

    Parameters
    ----------
    scalar : bytes
        32 bytes little-endian, below the group order.

    Raises
    ------
    InputError
        If the scalar has another length or is not reduced.
    """
    rows, k, ops = _rows_of(points), _one_scalar(scalar), operations(variant)
    out = np.empty((len(rows), _POINT), dtype=np.uint8)
    split(
        lambda a, b: ops.multiply(pointer(out[a:b], writable=True), pointer(rows[a:b]), k, b - a),
        len(rows),
        threads=threads,
        grain=_GRAIN,
    )
    return Points(out)


def multiply_encode(points: Points, scalar: bytes, *, threads: int | None = None, variant: str | None = None) -> Bytes:
    """Encode the multiples of every element by one scalar: ``encode(multiply(points, scalar))``, but faster.

    Parameters
    ----------
    scalar : bytes
        32 bytes little-endian, below the group order.

    Returns
    -------
    (n, 32) uint8

    Raises
    ------
    InputError
        If the scalar has another length or is not reduced.
    """
    rows, k, ops = _rows_of(points), _one_scalar(scalar), operations(variant)
    out = np.empty((len(rows), 32), dtype=np.uint8)
    split(
        lambda a, b: ops.multiply_encode(pointer(out[a:b], writable=True), pointer(rows[a:b]), k, b - a),
        len(rows),
        threads=threads,
        grain=_GRAIN,
    )
    return out


def multiply_base(scalars: Bytes, *, threads: int | None = None, variant: str | None = None) -> Points:
    """Multiply the generator by each of n scalars.

    Parameters
    ----------
    scalars : (n, 32) uint8
        Little-endian, each below the group order.

    Raises
    ------
    InputError
        On another shape or type, or if a scalar is not reduced.
    """
    rows, ops = byte_rows(scalars, 32, "scalars"), operations(variant)
    _check_scalars(rows)
    out = np.empty((len(rows), _POINT), dtype=np.uint8)
    split(
        lambda a, b: ops.multiply_base(pointer(out[a:b], writable=True), pointer(rows[a:b]), b - a),
        len(rows),
        threads=threads,
        grain=_GRAIN,
    )
    return Points(out)


def add(p: Points, q: Points, *, threads: int | None = None, variant: str | None = None) -> Points:
    """Add two arrays of elements of equal length, row by row."""
    left, right, ops = _rows_of(p), _rows_of(q), operations(variant)
    if len(left) != len(right):
        raise InputError(f"only arrays of equal length can be added, not of {len(left)} and {len(right)}")
    out = np.empty((len(left), _POINT), dtype=np.uint8)
    split(
        lambda a, b: ops.add(pointer(out[a:b], writable=True), pointer(left[a:b]), pointer(right[a:b]), b - a),
        len(left),
        threads=threads,
        grain=16 * _GRAIN,
    )
    return Points(out)
