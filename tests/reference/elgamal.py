"""ElGamal over the plain curve, row by row: what the arrays of `fusion.crypto.elgamal` must equal, bit for bit."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from reference import ristretto255 as curve
from reference.ristretto255 import ORDER, Point

Row = list[Point]


def scalars(n: int, source: Callable[[int], bytes]) -> list[int]:
    drawn = source(64 * n)
    return [int.from_bytes(drawn[64 * i : 64 * i + 64], "little") % ORDER for i in range(n)]


def public(secrets: Sequence[int]) -> Row:
    return [curve.multiply(curve.GENERATOR, y) for y in secrets]


def encrypt(keys: Sequence[Point], values: Sequence[int], r: int) -> Row:
    masked = [
        curve.add(curve.multiply(key, r), curve.multiply(curve.GENERATOR, value % ORDER))
        for key, value in zip(keys, values, strict=True)
    ]
    return [curve.multiply(curve.GENERATOR, r), *masked]


def add(a: Row, b: Row) -> Row:
    return [curve.add(p, q) for p, q in zip(a, b, strict=True)]


def encode(rows: Sequence[Row]) -> bytes:
    return b"".join(curve.encode(point) for row in rows for point in row)


def decrypt(secrets: Sequence[int], row: Row, bound: int) -> list[int]:
    """Counts up to the bound."""
    values = []
    for y, point in zip(secrets, row[1:], strict=True):
        opened = curve.encode(curve.add(point, curve.multiply(row[0], -y % ORDER)))
        multiple, value = curve.IDENTITY, 0
        while True:
            if curve.encode(multiple) == opened:
                values.append(value)
                break
            if curve.encode(Point(-multiple.x % curve.P, multiple.y)) == opened:
                values.append(-value)
                break
            multiple, value = curve.add(multiple, curve.GENERATOR), value + 1
            assert value <= bound
    return values
