"""Many powers of one base modulo N^2: a table instead of squarings, and entries of half the length.

With digits r_i of the exponent to base 2^w, g^r is the product of the entries g^(r_i 2^(w i)): one multiplication a
digit and no squaring. Every unit modulo N^2 is a (1 + t N) for one a below N and one t modulo N, and such factors
multiply as (1 + t N)(1 + u N) = 1 + (t + u) N. So an entry is kept as a and t: the product of the short a is taken
modulo N^2, the t are only added up. A multiplication of 2 L by L limbs with its reduction takes 0.54 of one of 2 L by
2 L limbs with L = 48.

Which entries are read depends on the exponent: the time and the cache show something of it to other programs on the
same processor.
"""

from __future__ import annotations

import threading

import gmpy2
import numpy as np

from fusion.crypto.random import Source
from fusion.kernels._rows import Bytes

# Table of 4-bit digits from so many powers on, then one of 8-bit digits: where each has paid for itself.
_PAYS = {4: 4, 8: 400}

# Digit by digit for so many exponents at once: they and a row of the table stay in the cache.
_BATCH = 256

_Row = tuple[list[int], list[int]]


def exponents(n: int, bits: int, source: Source) -> Bytes:
    """Draw n exponents of half a modulus's bits, rounded up to bytes: (n, length) uint8 little-endian."""
    size = -(-bits // 16)
    return np.frombuffer(source(n * size), dtype=np.uint8).reshape(n, size)


class Powers:
    """Powers of one base modulo the square of an integer.

    Threads share it; the tables are made when they pay.

    Parameters
    ----------
    base : int
        A unit modulo `root`.
    root : int
        N, odd.
    """

    __slots__ = ("_base", "_lock", "_root", "_seen", "_square", "_table", "_width")

    def __init__(self, base: int, root: int) -> None:
        self._root = gmpy2.mpz(root)
        self._square = self._root * self._root
        self._base = gmpy2.mpz(base) % self._square
        self._lock = threading.Lock()
        self._seen = 0
        self._width = 0
        self._table: list[_Row] = []

    def of(self, exponents: Bytes) -> list[int]:
        """Raise the base to each row of `exponents`, (n, length) uint8 little-endian; rows always have one length."""
        width, table = self._prepare(len(exponents), exponents.shape[1])
        if not width:
            numbers = [gmpy2.mpz(int.from_bytes(row.tobytes(), "little")) for row in exponents]
            return [gmpy2.powmod(self._base, number, self._square) for number in numbers]
        if width == 4:
            exponents = np.stack((exponents & 15, exponents >> 4), axis=2).reshape(
                len(exponents), 2 * exponents.shape[1]
            )
        starts = range(0, len(exponents), _BATCH)
        return [power for start in starts for power in self._batch(table, exponents[start : start + _BATCH])]

    def _batch(self, table: list[_Row], digits: Bytes) -> list[int]:
        root, square = self._root, self._square
        products, totals = [gmpy2.mpz(1)] * len(digits), [gmpy2.mpz(0)] * len(digits)
        for (short, logs), column in zip(table, digits.T.tolist(), strict=True):
            products = [product * short[digit] % square for product, digit in zip(products, column, strict=True)]
            totals = [total + logs[digit] for total, digit in zip(totals, column, strict=True)]
        return [p * (1 + t % root * root) % square for p, t in zip(products, totals, strict=True)]

    def _prepare(self, n: int, length: int) -> tuple[int, list[_Row]]:
        with self._lock:
            self._seen += n
            width = max((width for width, least in _PAYS.items() if self._seen >= least), default=0)
            if width > self._width:
                self._table = self._build(width, length * 8 // width)
                self._width = width
            return self._width, self._table

    def _build(self, width: int, rows: int) -> list[_Row]:
        root, base, table = self._root, self._base, []
        for _ in range(rows):
            high, first = gmpy2.f_divmod(base, root)
            inverse = gmpy2.invert(first, root)
            step = high * inverse % root
            a, backwards, t = gmpy2.mpz(1), gmpy2.mpz(1), gmpy2.mpz(0)
            short, logs = [a], [t]
            for _ in range(2**width - 1):
                carry, a = gmpy2.f_divmod(a * first, root)
                backwards = backwards * inverse % root
                t = (t + step + carry * backwards) % root
                short.append(a)
                logs.append(t)
            table.append((short, logs))
            base = gmpy2.powmod(base, 1 << width, self._square)
        return table
