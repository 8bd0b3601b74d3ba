"""GF(2^128) over integers, bit i the coefficient of x^i: the definition the kernel is compared with."""

from __future__ import annotations

MODULUS = 1 << 128 | 1 << 7 | 1 << 2 | 1 << 1 | 1


def multiply(a: int, b: int) -> int:
    product = 0
    for i in range(128):
        if b >> i & 1:
            product ^= a << i
    for i in range(254, 127, -1):
        if product >> i & 1:
            product ^= MODULUS << (i - 128)
    return product


def power(a: int, exponent: int) -> int:
    result = 1
    while exponent:
        if exponent & 1:
            result = multiply(result, a)
        a = multiply(a, a)
        exponent >>= 1
    return result


def invert(a: int) -> int:
    """a^(2^128 - 2); zero for zero."""
    return power(a, 2**128 - 2)
