"""Ring learning with errors in plain Python: integers of any size, no transform, no residues.

A polynomial modulo X^n + 1 is a list of n integers, lowest coefficient first. Written from the definitions in
docs/decisions/0019 and csrc/rlwe.h, sharing no code with the package.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

Poly = list[int]


def product(a: Sequence[int], b: Sequence[int]) -> Poly:
    """The product modulo X^n + 1 over the integers, by one product of long integers (Kronecker's substitution)."""
    n = len(a)
    width = (n * (1 + max(map(abs, a))) * (1 + max(map(abs, b)))).bit_length() // 8 + 1
    wide = _signed(evaluate_at_power(a, width) * evaluate_at_power(b, width), width, 2 * n)
    return [low - high for low, high in zip(wide[:n], wide[n:], strict=True)]


def evaluate_at_power(a: Sequence[int], width: int) -> int:
    """The value at 256^width."""
    positive = b"".join(max(x, 0).to_bytes(width, "little") for x in a)
    negative = b"".join(max(-x, 0).to_bytes(width, "little") for x in a)
    return int.from_bytes(positive, "little") - int.from_bytes(negative, "little")


def _signed(value: int, width: int, n: int) -> Poly:
    """The coefficients of a value at 256^width, each of absolute value below half of that."""
    half = 1 << (8 * width - 1)
    offset = int.from_bytes(half.to_bytes(width, "little") * n, "little")
    data = (value + offset).to_bytes(width * n + 1, "little")
    return [int.from_bytes(data[i : i + width], "little") - half for i in range(0, width * n, width)]


def schoolbook(a: Sequence[int], b: Sequence[int]) -> Poly:
    """The same product by its definition."""
    n = len(a)
    out = [0] * n
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            out[(i + j) % n] += x * y if i + j < n else -x * y
    return out


def value_at(a: Sequence[int], x: int, p: int) -> int:
    """The value at x modulo p."""
    result = 0
    for coefficient in reversed(a):
        result = (result * x + coefficient) % p
    return result


def first_root(p: int, n: int) -> int:
    """The first of 2^e, 3^e, 4^e, ... that is a root of X^n + 1, for e = (p - 1) / 2n."""
    base = 2
    while pow(root := pow(base, (p - 1) // (2 * n), p), n, p) != p - 1:
        base += 1
    return root


def reverse(i: int, bits: int) -> int:
    return int(f"{i:0{bits}b}"[::-1], 2)


def words(round_key: bytes, row: int, kind: int) -> Iterator[int]:
    """The 64-bit words of a stream: AES-128 of block numbers, rows and kinds."""
    encryptor = Cipher(algorithms.AES(round_key), modes.ECB()).encryptor()  # noqa: S305 (single blocks)
    start = 0
    while True:
        tail = row.to_bytes(4, "little") + kind.to_bytes(4, "little")
        blocks = encryptor.update(b"".join(i.to_bytes(8, "little") + tail for i in range(start, start + 64)))
        yield from (int.from_bytes(blocks[i : i + 8], "little") for i in range(0, len(blocks), 8))
        start += 64


def key(purpose: bytes, seed: bytes) -> bytes:
    """The AES key of a stream."""
    return hashlib.sha256(b"fusion rlwe 1 " + purpose + b"\0" + seed).digest()[:16]


def uniform(stream: Iterator[int], p: int, n: int) -> Poly:
    mask = (1 << p.bit_length()) - 1
    accepted = (w & mask for w in stream if w & mask < p)
    return [next(accepted) for _ in range(n)]


def ternary(stream: Iterator[int], n: int) -> Poly:
    return [3 * next(stream) // 2**64 - 1 for _ in range(n)]


def error(stream: Iterator[int], n: int) -> Poly:
    drawn = (next(stream) for _ in range(n))
    return [(w & 0x1FFFFF).bit_count() - (w >> 21 & 0x1FFFFF).bit_count() for w in drawn]


def flood(stream: Iterator[int], bits: int, n: int) -> Poly:
    out = []
    for _ in range(n):
        value = sum(next(stream) << 64 * j for j in range(4))
        out.append(value % 2**bits - 2 ** (bits - 1))
    return out


def rescale(x: int, to: int, of: int) -> int:
    """The integer nearest to x to / of, halves up."""
    return (2 * x * to + of) // (2 * of)


def from_residues(residues: Sequence[int], primes: Sequence[int]) -> int:
    """The integer below the product of the primes that has these residues."""
    x, q = 0, 1
    for r, p in zip(residues, primes, strict=True):
        x += q * ((r - x) * pow(q, -1, p) % p)
        q *= p
    return x


def uniform_values(round_key: bytes, row: int, primes: Sequence[int], n: int) -> list[Poly]:
    """What a uniform element's words are, limb by limb; they count as transformed."""
    return [uniform(words(round_key, row, limb), p, n) for limb, p in enumerate(primes)]


def secret_of(seed: bytes, n: int) -> tuple[Poly, Poly]:
    """A key's secret, and its error."""
    return ternary(words(key(b"secret", seed), 0, 0), n), error(words(key(b"key error", seed), 0, 0), n)


def scaled(m: Sequence[int], e: Sequence[int], q: int, t: int) -> Poly:
    """The integers nearest to q m / t, plus errors."""
    return [rescale(x, q, t) + y for x, y in zip(m, e, strict=True)]


def combination(*pairs: tuple[Sequence[int], Sequence[int]], plus: Sequence[int], q: int) -> Poly:
    """Sums of products, plus a polynomial, modulo q."""
    total = list(plus)
    for a, b in pairs:
        total = [x + y for x, y in zip(total, product(a, b), strict=True)]
    return [x % q for x in total]


def encrypt_secretly(m: Poly, row: int, seed: bytes, c1: Poly, s: Poly, q: int, t: int) -> Poly:
    """c0 of an encryption under a secret key, given c1."""
    e = error(words(key(b"error", seed), row, 0), len(m))
    return combination(([-x for x in c1], s), plus=scaled(m, e, q, t), q=q)


def encrypt_publicly(m: Poly, row: int, rows: int, seed: bytes, a: Poly, b: Poly, q: int, t: int) -> tuple[Poly, Poly]:
    """An encryption under a public key."""
    u = ternary(words(key(b"mask", seed), row, 0), len(m))
    e0, e1 = (error(words(key(b"error", seed), i, 0), len(m)) for i in (row, rows + row))
    return combination((u, b), plus=scaled(m, e0, q, t), q=q), combination((u, a), plus=e1, q=q)


def decrypt(c0: Poly, c1: Poly, s: Poly, q: int, t: int) -> Poly:
    """Modulo any q, also that of a response."""
    return [rescale(x, t, q) % t for x in combination((c1, s), plus=c0, q=q)]
