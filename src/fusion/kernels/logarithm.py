"""Logarithms of small integers: m from m G.

Shanks's baby steps and giant steps. A table holds the multiples 0 to c - 1 of 4 G by their y-coordinates, which a point
shares with its negative, so that a match settles 2 c - 1 integers. Four times an element is one point, whichever
representative stands in memory; giant steps go both ways from it at once and share one inversion.
"""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusion.errors import InputError
from fusion.kernels import multiples, ristretto
from fusion.kernels._dispatch import operations
from fusion.kernels._native import ffi, lib
from fusion.kernels._rows import Bytes, pointer, split
from fusion.kernels.ristretto import Points, _rows_of

LARGEST_BOUND = 2**62
# The largest table has 2^21 multiples in 2^22 places of 8 bytes: 32 MB. The smallest serves bounds that need no search.
_LARGEST, _SMALLEST = 21, 8
_STEPS = 64
# Centres of one round, if so few rows are left that each has several: a round costs some hundred microseconds.
_CENTRES = 512
# Rows of one call into C: their keys stay in the second-level cache.
_ROWS = 64
_POINT = 128

_lock = threading.Lock()
_tables: list[tuple[int, NDArray[np.uint64]]] = []


def table(bound: int, *, variant: str | None = None) -> tuple[int, NDArray[np.uint64]]:
    """Return the logarithm of the table's size, and the table, which is as large as the bound needs or larger.

    It is made when first needed and kept: a tenth of a second and 32 MB for bounds of 2^20 or more, less for smaller
    ones.
    """
    size = min(_LARGEST, max(_SMALLEST, bound.bit_length()))
    with _lock:
        if not _tables or _tables[-1][0] < size:
            _tables[:] = [(size, _fill(size, variant)[0])]
        return _tables[-1]


def _fill(size: int, variant: str | None) -> tuple[NDArray[np.uint64], int]:
    """The table, and how many of its keys occur twice."""
    ops = operations(variant, "elgamal")
    places = np.zeros(2 << size, dtype=np.uint64)
    steps = _multiples_of_4(np.arange(_STEPS), variant)
    gap = 2 * _STEPS - 1
    twice = 0
    centres = np.arange(0, (1 << size) + _STEPS, gap)
    for part in np.array_split(centres, -(-len(centres) // 1024)):
        rows = _multiples_of_4(part, variant)
        keys = np.empty(2 * _STEPS * len(part), dtype=np.uint64)
        ops.neighbours(_words(keys), pointer(rows), len(part), pointer(steps), _STEPS)
        first = int(part[0])
        twice += lib.fusion_logarithm_insert(
            _words(places), size + 1, 1 << size, _words(keys), first, gap, len(part), _STEPS
        )
    return places, twice


def logarithms(
    points: Points, bound: int, *, threads: int | None = None, variant: str | None = None
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Find m with ``abs(m) <= bound`` for elements m G.

    Every match is verified. Time depends on the integers.

    Parameters
    ----------
    bound : int
        0 to 2^62.

    Returns
    -------
    values : (n,) int64
        0 where there is none.
    found : (n,) bool

    Raises
    ------
    InputError
        If the bound is out of range.
    """
    if not 0 <= bound <= LARGEST_BOUND:
        raise InputError("the bound must lie between 0 and 2^62")
    size, places = table(bound, variant=variant)
    values, found = np.zeros(len(points), dtype=np.int64), np.zeros(len(points), dtype=bool)
    gap = (2 << size) - 1
    farthest = -(-max(0, bound - (1 << size) + 1) // gap)
    offsets = np.arange(min(_STEPS, farthest + 1)) * gap
    steps = _multiples_of_4(offsets, variant)
    # The steps reach so many gaps either way; a centre beyond is the point less a multiple of all that they span.
    reach = len(offsets) - 1
    span, last = (2 * reach + 1) * gap, -(-(farthest - reach) // (2 * reach + 1))
    pending, start = np.arange(len(points)), 0
    while len(pending) and start <= last:
        stop = min(start + max(1, _CENTRES // len(pending)), last + 1)
        shifts = np.unique(np.concatenate((-np.arange(start, stop), np.arange(start, stop)))) * span
        rows, base = np.repeat(pending, len(shifts)), np.tile(shifts, len(pending))
        shifted = multiples.multiply_small(-shifts, threads=threads, variant=variant)
        shifted = shifted[np.tile(np.arange(len(shifts)), len(pending))]
        centres = _quadruple(ristretto.add(points[rows], shifted, threads=threads, variant=variant), threads, variant)
        todo, skip = np.arange(len(rows)), np.zeros(len(rows), dtype=np.int64)
        while len(todo):
            place, multiple = _match(centres[todo], steps, size, places, skip, threads, variant)
            hit = place >= 0
            todo, place, multiple = todo[hit], place[hit], multiple[hit]
            # centre +- step = +-multiple, so the centre is -+step +- multiple
            middle = base[todo] + (2 * (place % 2) - 1) * offsets[place // 2]
            own = rows[todo]
            right = _verify(points[own], own, (middle + multiple, middle - multiple), values, threads, variant)
            found[own[right]] = True
            # A key has 64 bits of y's 255: the rare match of another point is passed over.
            todo, skip = todo[~right], place[~right] + 1
        pending, start = pending[~found[pending]], stop
    outside = np.abs(values) > bound
    values[outside], found[outside] = 0, False
    return values, found


def _verify(
    points: Points,
    rows: NDArray[np.int64],
    candidates: tuple[NDArray[np.int64], ...],
    values: NDArray[np.int64],
    threads: int | None,
    variant: str | None,
) -> NDArray[np.bool_]:
    """Enter the candidates that are logarithms of the points into those rows of `values`; which have one."""
    encodings = ristretto.encode(points, threads=threads, variant=variant)
    right = np.zeros(len(rows), dtype=bool)
    for candidate in candidates:
        own = multiples.multiply_small(candidate, threads=threads, variant=variant)
        same = (ristretto.encode(own, threads=threads, variant=variant) == encodings).all(axis=1)
        values[rows[same]] = candidate[same]
        right |= same
    return right


def _match(
    centres: Bytes,
    steps: Bytes,
    size: int,
    places: NDArray[np.uint64],
    skip: NDArray[np.int64],
    threads: int | None,
    variant: str | None,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    ops = operations(variant, "elgamal")
    n, m = len(centres), len(steps)
    place, multiple = np.empty(n, dtype=np.int64), np.empty(n, dtype=np.int64)

    def work(start: int, stop: int) -> None:
        keys = np.empty(2 * m * _ROWS, dtype=np.uint64)
        for a in range(start, stop, _ROWS):
            b = min(a + _ROWS, stop)
            lib.fusion_logarithm_search(
                ops,
                _words(places),
                size + 1,
                _signed(place[a:b]),
                _signed(multiple[a:b]),
                _signed(skip[a:b]),
                _words(keys),
                pointer(centres[a:b]),
                b - a,
                pointer(steps),
                m,
            )

    split(work, n, threads=threads, grain=_ROWS)
    return place, multiple


def _quadruple(points: Points, threads: int | None, variant: str | None) -> Bytes:
    rows, ops = _rows_of(points), operations(variant, "elgamal")
    out = np.empty_like(rows)
    split(
        lambda a, b: ops.quadruple(pointer(out[a:b], writable=True), pointer(rows[a:b]), b - a),
        len(rows),
        threads=threads,
        grain=256,
    )
    return out


def _multiples_of_4(values: NDArray[np.int64], variant: str | None) -> Bytes:
    return _quadruple(multiples.multiply_small(values, threads=1, variant=variant), 1, variant)


def _words(array: NDArray[np.uint64]) -> Any:
    return ffi.from_buffer("uint64_t[]", array)


def _signed(array: NDArray[np.int64]) -> Any:
    return ffi.from_buffer("int64_t[]", array)
