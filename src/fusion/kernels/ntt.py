"""Polynomials modulo X^n + 1 and a few primes: the negacyclic number-theoretic transform, and arithmetic on its values.

A `Ring` is the degree and the primes. Its elements come in arrays of shape (rows, limbs, n), uint64, limb l holding
residues below ``primes[l]``; csrc/ntt.h says what stands where after the transform.

Every function takes ``threads``, the number of threads that share the rows (None: all CPUs this process may use), and
``variant``, one of ``fusion.kernels.variants("ntt")`` (None: the active one). Results do not depend on either, and
running time depends on sizes alone.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusion.errors import InputError
from fusion.kernels._dispatch import operations
from fusion.kernels._native import ffi, lib
from fusion.kernels._rows import split

DEGREES = (4096, 8192)
PRIME_BITS = 50
MAX_LIMBS = 4

Words = NDArray[np.uint64]


class Ring:
    """Polynomials modulo X^degree + 1 and each of a few primes; made by `ring`, which keeps it.

    Attributes
    ----------
    degree : int
    primes : tuple of int
    moduli : cdata
        The constants, as the kernels take them.
    """

    def __init__(self, degree: int, primes: tuple[int, ...]) -> None:
        self.degree, self.primes = degree, primes
        self.moduli: Any = ffi.new("fusion_modulus[]", len(primes))
        self._roots = np.empty((len(primes), 4 * degree), np.uint64)
        for limb, prime in enumerate(primes):
            lib.fusion_modulus_init(self.moduli + limb, words(self._roots[limb]), prime, degree)

    @property
    def limbs(self) -> int:
        """Number of primes."""
        return len(self.primes)

    def empty(self, rows: int) -> Words:
        """Room for so many polynomials."""
        return np.empty((rows, self.limbs, self.degree), np.uint64)


@functools.cache
def ring(degree: int, primes: tuple[int, ...]) -> Ring:
    """The ring of a degree and 1 to 4 primes.

    Parameters
    ----------
    degree : {4096, 8192}
    primes : tuple of int
        Different primes of at most 50 bits that are 1 modulo twice the degree.

    Raises
    ------
    InputError
        On anything else.
    """
    if degree not in DEGREES:
        raise InputError(f"a ring has degree {' or '.join(map(str, DEGREES))}, not {degree}")
    if not 1 <= len(primes) <= MAX_LIMBS or len(set(primes)) != len(primes):
        raise InputError(f"a ring has 1 to {MAX_LIMBS} different primes")
    for p in primes:
        if p.bit_length() > PRIME_BITS or p % (2 * degree) != 1 or not is_prime(p):
            raise InputError(f"{p} is no prime of at most {PRIME_BITS} bits that is 1 modulo {2 * degree}")
    return Ring(degree, primes)


def is_prime(n: int) -> bool:
    """Miller and Rabin's test of a number below 2^64; with these bases it never errs (Sorenson and Webster, 2015)."""
    bases = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37)
    if n < 2 or any(n % p == 0 for p in bases):
        return n in bases
    twos = ((n - 1) & -(n - 1)).bit_length() - 1
    return all(_passes(n, base, (n - 1) >> twos, twos) for base in bases)


def _passes(n: int, base: int, odd: int, twos: int) -> bool:
    x = pow(base, odd, n)
    return x in (1, n - 1) or any((x := x * x % n) == n - 1 for _ in range(twos - 1))


def forward(ring: Ring, x: Words, *, threads: int | None = None, variant: str | None = None) -> None:
    """Transform coefficients to values, in place.

    Parameters
    ----------
    x : (rows, limbs, n) uint64
        Contiguous and writable.

    Raises
    ------
    InputError
        On another shape or type.
    """
    _in_place(operations(variant, "ntt").forward, ring, x, threads)


def inverse(ring: Ring, x: Words, *, threads: int | None = None, variant: str | None = None) -> None:
    """Transform values back to coefficients, in place; parameters and errors are those of `forward`."""
    _in_place(operations(variant, "ntt").inverse, ring, x, threads)


def add(
    ring: Ring,
    a: Words,
    b: Words,
    *,
    out: Words | None = None,
    threads: int | None = None,
    variant: str | None = None,
) -> Words:
    """Sums, row by row.

    Parameters
    ----------
    a, b : (rows, limbs, n) uint64
    out : (rows, limbs, n) uint64, optional
        Where to put them, contiguous and writable; may be `a` or `b`. None: a new array.

    Returns
    -------
    (rows, limbs, n) uint64

    Raises
    ------
    InputError
        On another shape or type, or unequal lengths.
    """
    return _pairwise(operations(variant, "ntt").add, ring, a, b, out, threads)


def subtract(
    ring: Ring,
    a: Words,
    b: Words,
    *,
    out: Words | None = None,
    threads: int | None = None,
    variant: str | None = None,
) -> Words:
    """Differences, row by row; parameters, result and errors are those of `add`."""
    return _pairwise(operations(variant, "ntt").subtract, ring, a, b, out, threads)


def multiply(ring: Ring, a: Words, b: Words, *, threads: int | None = None, variant: str | None = None) -> Words:
    """Products of transformed polynomials, row by row.

    Parameters
    ----------
    a : (rows, limbs, n) uint64
    b : (rows, limbs, n) or (1, limbs, n) uint64
        One row multiplies all.

    Returns
    -------
    (rows, limbs, n) uint64

    Raises
    ------
    InputError
        On another shape or type.
    """
    left, right = elements(ring, a, "a"), elements(ring, b, "b")
    if len(right) not in (1, len(left)):
        raise InputError(f"b must have one row, or as many as a: {len(left)}, not {len(right)}")
    step = 0 if len(right) == 1 else 1
    return _multiply(ring, len(left), (left, 1), (right, step), 1, threads, variant)


def inner(ring: Ring, a: Words, b: Words, *, threads: int | None = None, variant: str | None = None) -> Words:
    """Sums of products of transformed polynomials.

    Parameters
    ----------
    a : (terms, limbs, n) uint64
    b : (rows, terms, limbs, n) uint64

    Returns
    -------
    (rows, limbs, n) uint64
        Row r is the sum over i of ``a[i] * b[r, i]``.

    Raises
    ------
    InputError
        On another shape or type, or without terms.
    """
    left = elements(ring, a, "a")
    if not len(left):
        raise InputError("an inner product needs at least one term")
    right = _array(b, (len(left), ring.limbs, ring.degree), "b")
    return _multiply(ring, len(right), (left, 0), (right, len(left)), len(left), threads, variant)


def elements(ring: Ring, x: object, what: str) -> Words:
    """`x` as contiguous (rows, limbs, n) uint64, or an InputError. Residues are not checked."""
    return _array(x, (ring.limbs, ring.degree), what)


def _array(x: object, row: tuple[int, ...], what: str) -> Words:
    if not isinstance(x, np.ndarray) or x.dtype != np.uint64 or x.shape[1:] != row or not x.ndim:
        raise InputError(f"{what} must be a numpy array of uint64 of shape (rows, {', '.join(map(str, row))})")
    return np.ascontiguousarray(x)


def in_place(ring: Ring, x: object, what: str) -> Words:
    """`x` itself, if it is what `elements` returns and can be written; else an InputError."""
    rows = elements(ring, x, what)
    if rows is not x or not rows.flags.writeable:
        raise InputError(f"{what} must be a contiguous array that can be written")
    return rows


def words(array: NDArray[Any]) -> Any:
    """A contiguous array of 64-bit words as C sees it; it must outlive the call."""
    return ffi.from_buffer("int64_t[]" if array.dtype == np.int64 else "uint64_t[]", array)


def _in_place(operation: Any, ring: Ring, x: Words, threads: int | None) -> None:
    rows = in_place(ring, x, "x")
    split(lambda i, j: operation(words(rows[i:j]), ring.moduli, ring.limbs, j - i), len(rows), threads=threads, grain=1)


def _pairwise(operation: Any, ring: Ring, a: Words, b: Words, out: Words | None, threads: int | None) -> Words:
    left, right = elements(ring, a, "a"), elements(ring, b, "b")
    out = ring.empty(len(left)) if out is None else in_place(ring, out, "out")
    if len(left) != len(right) or len(left) != len(out):
        raise InputError(f"the arrays must have equal length, not {len(left)} and {len(right)}")
    split(
        lambda i, j: operation(words(out[i:j]), words(left[i:j]), words(right[i:j]), ring.moduli, ring.limbs, j - i),
        len(left),
        threads=threads,
        grain=1,
    )
    return out


def _multiply(
    ring: Ring,
    rows: int,
    a: tuple[Words, int],
    b: tuple[Words, int],
    terms: int,
    threads: int | None,
    variant: str | None,
) -> Words:
    out, operation = ring.empty(rows), operations(variant, "ntt").multiply
    (left, left_step), (right, right_step) = a, b

    def work(i: int, j: int) -> None:
        operation(
            words(out[i:j]),
            words(left[i:] if left_step else left),
            left_step,
            words(right[i:] if right_step else right),
            right_step,
            terms,
            ring.moduli,
            ring.limbs,
            j - i,
        )

    split(work, rows, threads=threads, grain=1)
    return out
