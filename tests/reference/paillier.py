"""Paillier from its definition, over Python integers: the oracle of `fusion.crypto.paillier`."""

from __future__ import annotations

import hashlib
import math


def base(n: int) -> int:
    """An n-th power that everybody derives from n: the square of a hash, to the power n."""
    size = -(-n.bit_length() // 8)
    digest = hashlib.shake_256(b"fusion/crypto/paillier/base/1" + n.to_bytes(size, "big")).digest(size + 16)
    return pow(int.from_bytes(digest, "big"), 2 * n, n * n)


def encrypt(n: int, m: int, r: int) -> int:
    return (1 + m * n) * pow(base(n), r, n * n) % (n * n)


def decrypt(p: int, q: int, c: int) -> int:
    """Carmichael's function and its quotient (Paillier 1999, section 4), centred."""
    n, order = p * q, math.lcm(p - 1, q - 1)
    m = (pow(c, order, n * n) - 1) // n * pow(order, -1, n) % n
    return m - n if m > n // 2 else m


def digits(number: int, width: int, k: int) -> list[int]:
    """Signed digits by centred residues, the lowest first."""
    found = []
    for _ in range(k):
        digit = (number + (1 << (width - 1))) % (1 << width) - (1 << (width - 1))
        found.append(digit)
        number = (number - digit) >> width
    assert number == 0
    return found
