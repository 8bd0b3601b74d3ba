"""Multiples of fixed elements: r times a key plus m times the generator, for n secret pairs (r, m)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fusion.kernels import ristretto
from fusion.kernels._rows import Bytes
from fusion.kernels.ristretto import ORDER, Points


class Table:
    def __init__(self, element: Points, *, variant: str | None = None) -> None:
        self.element = element


def random_scalars(n: int, source, *, threads: int | None = None) -> Bytes:
    uniform = source(64 * n)
    reduced = [int.from_bytes(uniform[64 * i : 64 * i + 64], "little") % ORDER for i in range(n)]
    joined = b"".join(value.to_bytes(32, "little") for value in reduced)
    return np.frombuffer(joined, dtype=np.uint8).reshape(n, 32).copy()


def encrypt(
    scalars: Bytes, values: NDArray[np.int64], keys: list[Table], *, threads: int | None, variant: str | None
) -> Points:
    n, width = len(scalars), 1 + len(keys)
    out = np.empty((n, width, 128), dtype=np.uint8)
    out[:, 0] = ristretto.multiply_base(scalars, threads=threads, variant=variant)._rows
    for j, key in enumerate(keys):
        masks = _multiples(scalars, key.element, threads, variant)
        small = np.array([int(v) % ORDER for v in values[:, j]], dtype=object)
        joined = b"".join(int(v).to_bytes(32, "little") for v in small)
        ms = ristretto.multiply_base(np.frombuffer(joined, dtype=np.uint8).reshape(n, 32), threads=threads)
        out[:, 1 + j] = ristretto.add(masks, ms, threads=threads, variant=variant)._rows
    return Points(out.reshape(-1, 128))


def _multiples(scalars: Bytes, element: Points, threads: int | None, variant: str | None) -> Points:
    n = len(scalars)
    bits = np.unpackbits(scalars, axis=1, bitorder="little").astype(bool)
    total = ristretto.decode(np.zeros((n, 32), dtype=np.uint8))[0]
    power = element
    for i in range(253):
        more = ristretto.add(total, power[np.zeros(n, dtype=np.int64)], threads=threads, variant=variant)
        total = Points(np.where(bits[:, i : i + 1], more._rows, total._rows))
        power = ristretto.add(power, power)
    return total
