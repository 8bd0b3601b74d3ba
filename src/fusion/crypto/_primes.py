"""Primes for moduli that nobody can factor, and what can be told about a modulus that somebody else made."""

from __future__ import annotations

import functools

import gmpy2
import numpy as np

from fusion.crypto.random import Source
from fusion.errors import InputError

# A key can be this small only in tests.
SMALLEST = 128
# Larger moduli cost a receiver more than they protect.
LARGEST = 8192

# Composites pass with a chance far below 2^-128: random candidates of this size fail one round in less than 2^-60
# cases (Damgard, Landrock and Pomerance 1993), and nobody chose them against us.
_ROUNDS = 40


@functools.cache
def _products() -> tuple[int, int]:
    """The products of the odd primes below 2^8, and of those from there to 2^16."""
    below = np.ones(2**16, dtype=bool)
    below[:3] = False
    below[4::2] = False
    for i in range(3, 2**8, 2):
        if below[i]:
            below[i * i :: i] = False
    primes = np.flatnonzero(below).tolist()
    return _product([x for x in primes if x < 2**8]), _product([x for x in primes if x >= 2**8])


def _product(factors: list[int]) -> int:
    while len(factors) > 1:
        factors = [gmpy2.mpz(a) * b for a, b in zip(factors[::2], [*factors[1::2], 1], strict=False)]
    return factors[0]


def blum_prime(bits: int, source: Source) -> int:
    """Draw a prime of exactly that many bits, its two highest set, that is 3 modulo 4 and fit for a modulus.

    Half of p - 1 has no prime factor below 2^16, so nearly every element of the group has a huge order. Every
    candidate is drawn afresh: stepping to the next prime would favour primes after long gaps.
    """
    tiny, small = _products()
    top = 3 << (bits - 2)
    while True:
        p = gmpy2.mpz(int.from_bytes(source(-(-bits // 8)), "little") % (1 << bits)) | top | 3
        both = p * (p >> 1)
        if gmpy2.gcd(both, tiny) == 1 and gmpy2.gcd(both, small) == 1 and gmpy2.is_prime(p, _ROUNDS):
            return p  # type: ignore[no-any-return]


def prime_pair(bits: int, source: Source) -> tuple[int, int]:
    """Draw two primes whose product has exactly `bits` bits and resists the known ways to factor it (FIPS 186-5)."""
    half = bits // 2
    while True:
        p, q = blum_prime(half, source), blum_prime(half, source)
        if abs(p - q) >> max(half - 100, half // 2) and gmpy2.gcd(p - 1, q - 1) == 2:
            return p, q


def check_size(bits: object) -> None:
    """InputError unless keys of that size can be made at all."""
    if isinstance(bits, bool) or not isinstance(bits, int) or not SMALLEST <= bits <= LARGEST or bits % 16:
        raise InputError(f"bits must be a multiple of 16, at most {LARGEST}; take 3072 (tests: from {SMALLEST})")


def fault(n: int) -> str | None:
    """Say what makes n unfit to be a modulus, as far as can be told without its factors; None: nothing found."""
    tiny, small = _products()
    if n % 2 == 0:
        return "it is even"
    if gmpy2.gcd(n, tiny) != 1 or gmpy2.gcd(n, small) != 1:
        return "it has a small factor"
    if gmpy2.is_power(n):
        return "it is a perfect power"
    if gmpy2.is_prime(n):
        return "it is a prime"
    return None
