"""Sums of rows of elements by group and by bin.

A row is `width` elements side by side, each summed on its own. Memory access shows groups and bins to whoever shares
the machine's caches; the elements it does not show. ``threads`` and ``variant`` are those of
`fusion.kernels.ristretto`; encodings of the sums depend on neither.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusion.errors import InputError
from fusion.kernels import ristretto
from fusion.kernels._dispatch import operations
from fusion.kernels._native import ffi, lib
from fusion.kernels._rows import Bytes, aligned, cpus, pointer, split
from fusion.kernels.ristretto import Points, _rows_of

_POINT = 128
_SUM = 192
_LANES = 8
# Rows of one call into C: some tens of milliseconds, so that an interrupt is served.
_PIECE = 1 << 16
# Rows that are worth a thread and its own sums.
_PART = 1 << 13


def negate(points: Points) -> Points:
    """The negatives of elements."""
    rows = _rows_of(points)
    out = np.empty_like(rows)
    lib.fusion_negate_points(pointer(out, writable=True), pointer(rows), len(rows))
    return Points(out)


def identities(n: int) -> Points:
    """The identity, n times."""
    row = np.zeros(_POINT, dtype=np.uint8)
    row[[32, 64]] = 1  # y = z = 1
    return Points(np.broadcast_to(row, (n, _POINT)))


def histogram(
    codes: NDArray[Any],
    bins: int,
    points: Points,
    width: int,
    *,
    threads: int | None = None,
    variant: str | None = None,
) -> Points:
    """For every feature, sum the rows of each bin.

    Parameters
    ----------
    codes : (n, features) uint8 or uint16
        Below `bins`.
    points : Points
        n * width.

    Returns
    -------
    Points
        features * bins * width: an empty bin has identities.
    """
    n, features = codes.shape
    ops, rows = operations(variant, "elgamal"), _table(points, n, width)
    if codes.dtype not in (np.uint8, np.uint16) or (codes.size and int(codes.max()) >= bins):
        raise InputError("codes must be uint8 or uint16 and below the number of bins")
    groups = -(-features // _LANES)
    busy = cpus() if threads is None else threads
    parts = max(1, min(-(-busy // max(1, groups * width)), n // _PART))
    out = np.empty((parts, features, bins, width, _POINT), dtype=np.uint8)

    def work(task: int) -> None:
        part, group, element = task // width // groups, task // width % groups, task % width
        first, last = group * _LANES, min((group + 1) * _LANES, features)
        sums = aligned(_LANES * bins * _SUM)
        ops.clear_sums(pointer(sums, writable=True), _LANES * bins)
        stop = n * (part + 1) // parts
        for a in range(n * part // parts, stop, _PIECE):
            b = min(a + _PIECE, stop)
            block = np.zeros((b - a, _LANES), dtype=np.uint16)
            block[:, : last - first] = codes[a:b, first:last]
            ops.histogram(
                pointer(sums, writable=True),
                ffi.from_buffer("uint16_t[]", block),
                bins,
                pointer(rows[(a * width + element) * _POINT :]),
                width * _POINT,
                b - a,
            )
        target = out[part, first:last].reshape(-1)[element * _POINT :]
        if len(target):
            count = (last - first) * bins
            ops.close_sums(pointer(target, writable=True), width * _POINT, pointer(sums), count)

    _each(work, parts * groups * width, threads)
    total = Points(out[0].reshape(-1, _POINT))
    for part in out[1:]:
        total = ristretto.add(total, Points(part.reshape(-1, _POINT)), threads=threads, variant=variant)
    return total


def group_sum(
    codes: NDArray[np.int64],
    groups: int,
    points: Points,
    width: int,
    *,
    threads: int | None = None,
    variant: str | None = None,
) -> Points:
    """Sum the rows of each group.

    Rows are sorted by group and cut into runs, one a lane. A group that is cut has a sum in each of its runs: sum
    g + l of lane l is that of group g, and no two lanes share one.

    Parameters
    ----------
    codes : (n,) int64
        0 to ``groups - 1``.
    points : Points
        n * width.

    Returns
    -------
    Points
        groups * width: an empty group has identities.
    """
    n = len(codes)
    ops, rows = operations(variant, "elgamal"), _table(points, n, width)
    if groups >= 2**31:
        raise InputError("sums are of fewer than 2^31 groups at a time")
    if n and not (int(codes.min()) >= 0 and int(codes.max()) < groups):
        raise InputError("codes must be at least 0 and below the number of groups")
    out = np.array(identities(groups * width)._rows).reshape(groups, width, _POINT)
    if not n:
        return Points(out.reshape(-1, _POINT))
    # numpy sorts integers of 16 bits by digits, ten times as fast as wider ones
    order = np.argsort(codes.astype(np.uint16) if groups <= 2**16 else codes, kind="stable")
    labels = codes[order]
    busy = cpus() if threads is None else threads
    parts = -(-n // min(max(_PART, -(-n // busy)), 8 * _PIECE))
    bounds = [n * part // parts for part in range(parts + 1)]
    closed: dict[tuple[int, int], Bytes] = {}

    def work(task: int) -> None:
        part, element = divmod(task, width)
        start, stop = bounds[part], bounds[part + 1]
        least, count = int(labels[start]), int(labels[stop - 1] - labels[start]) + _LANES
        run = -(-(stop - start) // _LANES)
        at = np.full(_LANES * run, count, dtype=np.uint32)  # past the last: sums nobody reads
        at[: stop - start] = labels[start:stop] - least
        at += np.arange(_LANES, dtype=np.uint32).repeat(run)
        picked = np.zeros(_LANES * run, dtype=np.uint32)
        picked[: stop - start] = order[start:stop]
        sums = aligned((count + _LANES) * _SUM)
        ops.clear_sums(pointer(sums, writable=True), count + _LANES)
        ops.group_sum(
            pointer(sums, writable=True),
            ffi.from_buffer("uint32_t[]", _by_lane(at)),
            ffi.from_buffer("uint32_t[]", _by_lane(picked)),
            pointer(rows[element * _POINT :]),
            width * _POINT,
            run,
        )
        own = np.empty((count, _POINT), dtype=np.uint8)
        ops.close_sums(pointer(own, writable=True), _POINT, pointer(sums), count)
        closed[part, element] = own

    _each(work, parts * width, threads)
    for part in range(parts):
        start, stop = bounds[part], bounds[part + 1]
        run = -(-(stop - start) // _LANES)
        for lane in range(_LANES):
            a, b = min(start + lane * run, stop), min(start + (lane + 1) * run, stop)
            if a == b:
                continue
            first, last, place = int(labels[a]), int(labels[b - 1]), int(labels[a] - labels[start]) + lane
            own = np.stack([closed[part, element][place : place + last - first + 1] for element in range(width)], 1)
            joined = ristretto.add(Points(out[first]), Points(own[0]), threads=1, variant=variant)
            out[first] = joined._rows
            out[first + 1 : last + 1] = own[1:]
    return Points(out.reshape(-1, _POINT))


def _table(points: Points, n: int, width: int) -> Bytes:
    rows = _rows_of(points)
    if len(rows) != n * width:
        raise InputError(f"{n} rows of {width} elements are {n * width}, not {len(rows)}")
    if n >= 2**32:
        raise InputError("sums take fewer than 2^32 rows at a time")
    return rows.reshape(-1)


def _each(work: Callable[[int], object], tasks: int, threads: int | None) -> None:
    split(lambda a, b: [work(task) for task in range(a, b)], tasks, threads=threads, grain=1)


def _by_lane(runs: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Runs one after the other -> the first of each, the second of each, and so on."""
    return np.ascontiguousarray(runs.reshape(_LANES, -1).T)
