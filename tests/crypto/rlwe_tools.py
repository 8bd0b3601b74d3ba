"""What the tests of lattice encryption share: seeded sources, and a look inside ciphertexts."""

from __future__ import annotations

import hashlib
import math

import numpy as np
from reference import rlwe as twin

from fusion.crypto import rlwe
from fusion.kernels import ntt


class Seeded:
    """A source of randomness that remembers what it gave."""

    def __init__(self, name: str) -> None:
        self.given: list[bytes] = []
        self._name = name

    def __call__(self, n: int) -> bytes:
        self.given.append(hashlib.shake_256(f"{self._name} {len(self.given)}".encode()).digest(n))
        return self.given[-1]


def integers(parameters: rlwe.Parameters, x: np.ndarray) -> list[list[int]]:
    """Transformed elements as coefficients below q."""
    plain = np.ascontiguousarray(x).copy()
    ntt.inverse(parameters.ring, plain)
    return [
        [twin.from_residues(column, parameters.primes) for column in zip(*limbs, strict=True)]
        for limbs in plain.tolist()
    ]


def elements(parameters: rlwe.Parameters, rows: list[list[int]]) -> np.ndarray:
    """Coefficients of any size as transformed elements."""
    x = np.array([[[c % p for c in row] for p in parameters.primes] for row in rows], np.uint64)
    ntt.forward(parameters.ring, x)
    return x


def noise_of(secret: rlwe.SecretKey, ciphertexts: rlwe.Ciphertexts, messages: np.ndarray) -> list[list[float]]:
    """What c0 + c1 s has beside (q/t) m, of the least absolute value modulo q."""
    p, q, t = secret.parameters, math.prod(secret.parameters.primes), secret.parameters.plain_modulus
    phase = ntt.add(p.ring, ntt.multiply(p.ring, ciphertexts.c1, secret._values()), ciphertexts.c0)
    rows = []
    for row, message in zip(integers(p, phase), messages.tolist(), strict=True):
        # t times the noise is an integer
        scaled = ((t * x - q * m + t * q // 2) % (t * q) - t * q // 2 for x, m in zip(row, message, strict=True))
        rows.append([value / t for value in scaled])
    return rows


def product_modulo(a: list[int], b: list[int], t: int) -> list[int]:
    return [x % t for x in twin.product(a, b)]


def chi_square(words: np.ndarray, top: int) -> float:
    """The statistic of 256 equal classes of numbers below `top`, 255 degrees of freedom: above 377 once in 10^6."""
    classes = np.bincount((words.astype(object) * 256 // top).astype(np.int64).ravel(), minlength=256)
    expected = words.size / 256
    return float(((classes - expected) ** 2 / expected).sum())
