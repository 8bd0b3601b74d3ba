"""Arithmetic modulo one odd number over lists of GMP integers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import gmpy2
import numpy as np
from numpy.typing import NDArray

from fusion.errors import InputError
from fusion.kernels._rows import split

Plaintexts = Sequence[int] | NDArray[Any]
"""Integers: a list, or a one-dimensional array of an integer type or of Python integers."""

# Exponentiations that are worth a thread, and the most between two looks at interrupts: about half a second.
GRAIN, PIECE = 4, 64

# GMP's exponentiations leave the interpreter to other threads, but only in gmpy2's functions for lists.


def powers(bases: list[int], exponents: list[int], modulus: int, threads: int | None) -> list[int]:
    """Raise each base to its exponent, which is not negative: GMP would divide by zero for a base without inverse."""
    results = [0] * len(bases)

    def work(start: int, stop: int) -> None:
        for i in range(start, stop):
            (results[i],) = gmpy2.powmod_base_list([bases[i]], exponents[i], modulus)

    split(work, len(bases), threads=threads, grain=GRAIN, largest=PIECE)
    return results


def squeeze(values: list[int], shift: int, per: int, modulus: int, threads: int | None) -> list[int]:
    """Of every `per` values, and of the rest, multiply value i to the power ``2^(shift i)``."""
    results = [0] * -(-len(values) // per)

    def work(start: int, stop: int) -> None:
        totals: list[int] = []
        for i in range(per - 1, -1, -1):
            column = values[start * per + i : stop * per : per]
            shifted = gmpy2.powmod_base_list(totals, 1 << shift, modulus)
            added = [total * value % modulus for total, value in zip(shifted, column, strict=False)]
            totals = added + column[len(totals) :]
        results[start:stop] = totals

    split(work, len(results), threads=threads, grain=1, largest=PIECE)
    return results


def inverses(values: list[int], modulus: int) -> list[int]:
    """Invert units by one inversion and three multiplications each (Montgomery 1987, section 10.3.1)."""
    products = [gmpy2.mpz(1)]
    for value in values:
        products.append(products[-1] * value % modulus)
    inverse, result = gmpy2.invert(products.pop(), modulus), []
    for value, product in zip(reversed(values), reversed(products), strict=True):
        result.append(inverse * product % modulus)
        inverse = inverse * value % modulus
    return result[::-1]


def group_products(codes: Iterable[int], groups: int, values: list[int], modulus: int) -> list[int]:
    """Multiply the values of each group; 1 for an empty one."""
    products = [gmpy2.mpz(1)] * groups
    for code, value in zip(codes, values, strict=True):
        products[code] = products[code] * value % modulus
    return products


def power_product(exponents: list[int], values: list[int], modulus: int) -> int:
    """Multiply positive powers of the values.

    Exponents are cut into digits. From the highest digit down, values with the same digit are multiplied first
    (Pippenger 1976), so that a digit costs one multiplication a value and two for each value a digit can have.
    """
    bits = max((exponent.bit_length() for exponent in exponents), default=0)
    width = min(range(1, 17), key=lambda w: -(-bits // w) * (len(values) + 2 ** (w + 1)))
    total = gmpy2.mpz(1)
    for shift in range((bits - 1) // width * width, -1, -width):
        for _ in range(width if total != 1 else 0):
            total = total * total % modulus
        digits = (exponent >> shift & ((1 << width) - 1) for exponent in exponents)
        buckets = group_products(digits, 1 << width, values, modulus)
        running = gmpy2.mpz(1)
        for bucket in buckets[:0:-1]:
            running = running * bucket % modulus
            total = total * running % modulus
    return total  # type: ignore[no-any-return]


def first_fault(values: list[int], root: int) -> int | None:
    """Where the first value stands that is no unit modulo `root`, or not below its square; None: nowhere."""
    square, product = root * root, gmpy2.mpz(1)
    for value in values:
        product = product * value % root
    if gmpy2.gcd(product, root) == 1 and all(0 < value < square for value in values):
        return None
    return next(i for i, value in enumerate(values) if not 0 < value < square or gmpy2.gcd(value, root) != 1)


def integers(values: Plaintexts) -> list[int]:
    """Read integers of any kind; InputError names the place of what is none."""
    if isinstance(values, np.ndarray):
        if values.ndim != 1 or values.dtype.kind not in "iuO":
            raise InputError("integers must come as a list, or as a one-dimensional array of an integer type")
        values = values.tolist()
    for i, value in enumerate(values):
        if not isinstance(value, int | np.integer | gmpy2.mpz) or isinstance(value, bool):
            raise InputError(f"the value in place {i} is no integer; scale and round fractions first")
    return [int(value) for value in values]


def same_length(numbers: Sequence[int], values: Sequence[int]) -> None:
    """InputError unless there is an integer for each ciphertext."""
    if len(numbers) != len(values):
        raise InputError(f"{len(numbers)} integers do not go with {len(values)} ciphertexts")
