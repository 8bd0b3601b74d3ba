"""Multiples of fixed elements by secret scalars, from tables.

``threads`` and ``variant`` are those of `fusion.kernels.ristretto`. Running time depends on no scalar and no value.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusion.errors import InputError
from fusion.kernels import ristretto
from fusion.kernels._dispatch import active, operations
from fusion.kernels._native import ffi, lib
from fusion.kernels._rows import Bytes, aligned, byte_rows, pointer, split
from fusion.kernels.ristretto import Points, _rows_of

_POINT = 128
_GRAIN = 64
_ONE = (1).to_bytes(32, "little")


class Multiples:
    """A table of multiples of one element: 30 to 40 KB, filled in a fraction of a millisecond.

    Parameters
    ----------
    element : Points
        Of length 1.
    """

    __slots__ = ("_ops", "_table")

    def __init__(self, element: Points, *, variant: str | None = None) -> None:
        rows = _rows_of(element)
        if len(rows) != 1:
            raise InputError(f"a table is of one element, not of {len(rows)}")
        self._ops = operations(variant, "elgamal")
        self._table = aligned(self._ops.table_bytes)
        self._ops.fill_table(pointer(self._table, writable=True), pointer(rows))


@functools.cache
def _generator(variant: str) -> Multiples:
    scalar = np.frombuffer(_ONE, dtype=np.uint8).reshape(1, 32)
    return Multiples(ristretto.multiply_base(scalar, threads=1, variant=variant), variant=variant)


def reduce_scalars(uniform: Bytes, *, threads: int | None = None) -> Bytes:
    """Reduce rows of 64 bytes, little-endian, by the group order: (n, 32) uint8, uniform up to a bias of 2^-259."""
    rows = byte_rows(uniform, 64, "uniform")
    out = np.empty((len(rows), 32), dtype=np.uint8)
    split(
        lambda a, b: lib.fusion_reduce_scalars(pointer(out[a:b], writable=True), pointer(rows[a:b]), b - a),
        len(rows),
        threads=threads,
        grain=1024,
    )
    return out


def encrypt(
    scalars: Bytes,
    values: NDArray[np.int64],
    keys: Sequence[Multiples],
    *,
    threads: int | None = None,
    variant: str | None = None,
) -> Points:
    """Make rows (r G, r Y_1 + m_1 G, ..., r Y_k + m_k G).

    Parameters
    ----------
    scalars : (n, 32) uint8
        One r a row, each below the group order.
    values : (n, k) int64
        The m of each row.
    keys : sequence of k Multiples
        Of the Y; made for the same variant.

    Returns
    -------
    Points
        n * (1 + k), row by row.
    """
    rows = byte_rows(scalars, 32, "scalars")
    ristretto._check_scalars(rows)
    n, width = len(rows), 1 + len(keys)
    if values.shape != (n, len(keys)) or values.dtype != np.int64:
        raise InputError(f"values must be ({n}, {len(keys)}) int64")
    ops = operations(variant, "elgamal")
    if any(key._ops != ops for key in keys):
        raise InputError("tables of one kernel variant do not serve another")
    generator = _generator(variant or active("elgamal"))
    columns = np.ascontiguousarray(values.T)
    out = np.empty((n, width * _POINT), dtype=np.uint8)

    def work(a: int, b: int) -> None:
        own = pointer(rows[a:b])
        target = out[a:b].reshape(-1)
        if not len(target):
            return
        base = pointer(generator._table)
        ops.multiply_fixed(pointer(target, writable=True), width * _POINT, base, own, ffi.NULL, ffi.NULL, b - a)
        for j, key in enumerate(keys):
            ops.multiply_fixed(
                pointer(target[(1 + j) * _POINT :], writable=True),
                width * _POINT,
                pointer(key._table),
                own,
                base,
                _int64(columns[j, a:b]),
                b - a,
            )

    split(work, n, threads=threads, grain=_GRAIN)
    return Points(out.reshape(-1, _POINT))


def multiply_small(values: NDArray[np.int64], *, threads: int | None = None, variant: str | None = None) -> Points:
    """Multiply the generator by integers of any sign, (n,) int64."""
    own = np.ascontiguousarray(values, dtype=np.int64)
    ops, generator = operations(variant, "elgamal"), _generator(variant or active("elgamal"))
    out = np.empty((len(own), _POINT), dtype=np.uint8)
    split(
        lambda a, b: ops.multiply_fixed(
            pointer(out[a:b], writable=True),
            _POINT,
            ffi.NULL,
            ffi.NULL,
            pointer(generator._table),
            _int64(own[a:b]),
            b - a,
        ),
        len(own),
        threads=threads,
        grain=_GRAIN,
    )
    return Points(out)


def _int64(array: NDArray[np.int64]) -> Any:
    return ffi.from_buffer("int64_t[]", array)
