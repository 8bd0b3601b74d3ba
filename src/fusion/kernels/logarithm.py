"""Small logarithms to the base of the generator."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fusion.kernels import ristretto
from fusion.kernels.ristretto import ORDER, Points


def _multiples(values: list[int]) -> Points:
    joined = b"".join((v % ORDER).to_bytes(32, "little") for v in values)
    return ristretto.multiply_base(np.frombuffer(joined, dtype=np.uint8).reshape(-1, 32))


def logarithms(
    points: Points, bound: int, *, threads: int | None, variant: str | None
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    n = len(points)
    half = min(bound, 2**14)
    table = {e.tobytes(): i - half for i, e in enumerate(ristretto.encode(_multiples(list(range(-half, half + 1)))))}
    values, found = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=bool)
    stride = 2 * half + 1
    for step in range(-(-max(0, bound - half) // stride) + 1):
        for sign in (1, -1) if step else (1,):
            pending = np.flatnonzero(~found)
            shift = _multiples([-sign * step * stride])[np.zeros(len(pending), dtype=np.int64)]
            for row, e in zip(pending, ristretto.encode(ristretto.add(points[pending], shift)), strict=True):
                hit = table.get(e.tobytes())
                if hit is not None and abs(hit + sign * step * stride) <= bound:
                    values[row], found[row] = hit + sign * step * stride, True
    return values, found
