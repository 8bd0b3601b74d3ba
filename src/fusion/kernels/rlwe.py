"""What ring learning with errors needs beside the transform: samples, passages between moduli, packed words.

Elements of a ring are those of `fusion.kernels.ntt`. csrc/rlwe.h defines the streams that samples are drawn from and
the roundings. A stream belongs to a 16-byte key and serves one purpose. Functions take
``threads`` as there, and results do not depend on it. Running time depends on sizes alone, but for `uniform`, which is
for what is public.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusion.errors import InputError
from fusion.kernels import block
from fusion.kernels._dispatch import operations
from fusion.kernels._native import ffi, lib
from fusion.kernels._rows import Bytes, pointer, split
from fusion.kernels.ntt import Ring, Words, elements, words

Integers = NDArray[np.int64]

ERROR_BOUND = 21
"""No error is larger: centred binomial of 42 bits, standard deviation 3.24."""
MAX_FLOOD_BITS = 256


class Scale:
    """The constants between a ring's modulus q, a plain modulus t and 2^bits; made by `scale`, which keeps it."""

    def __init__(self, ring: Ring, t: int, bits: int) -> None:
        q, primes = math.prod(ring.primes), ring.primes
        self.t, self.bits = t, bits
        self.native: Any = ffi.new("fusion_scale *")
        native = self.native
        native.t, native.half, native.one = t, t // 2, 2**64 // t
        native.q, native.q_ratio = _with_ratio(q, t)
        native.q_inverse, native.q_inverse_ratio = _with_ratio(pow(q, -1, t), t)
        native.half_q = (q - 1) // 2 % t
        native.bits, native.half_q_word, native.q_inverse_word = bits, (q - 1) // 2 % 2**64, pow(q, -1, 2**64)
        for limb, p in enumerate(primes):
            native.p[limb], native.p_ratio[limb] = _with_ratio(p, t)
            native.t_residue[limb], native.t_residue_ratio[limb] = _with_ratio(t, p)
            native.t_inverse[limb], native.t_inverse_ratio[limb] = _with_ratio(pow(t, -1, p), p)
            native.power[limb], native.power_ratio[limb] = _with_ratio(2**bits, p)
            for before, other in enumerate(primes[:limb]):
                native.garner[limb][before], native.garner_ratio[limb][before] = _with_ratio(pow(other, -1, p), p)


def _with_ratio(w: int, m: int) -> tuple[int, int]:
    return w % m, (w % m) * 2**64 // m


@functools.cache
def scale(ring: Ring, t: int, bits: int) -> Scale:
    """The passages between a ring's modulus q, a plain modulus t and 2^bits.

    Parameters
    ----------
    ring : Ring
        Its primes at least a quarter of `t`, and none of them dividing it.
    t : int
        2 to 2^50.
    bits : int
        1 to 64.

    Raises
    ------
    InputError
        On anything else.
    """
    if not 2 <= t <= 2**50 or not 1 <= bits <= 64:
        raise InputError("a plain modulus is 2 to 2^50, and a power of two has 1 to 64 bits")
    if any(t % p == 0 or 4 * p < t for p in ring.primes):
        raise InputError("the plain modulus must be no multiple of a prime, nor above four times one")
    return Scale(ring, t, bits)


def uniform(ring: Ring, key: bytes, rows: int, *, threads: int | None = None) -> Words:
    """Uniform elements, by rejection; for public ones only.

    Returns
    -------
    (rows, limbs, n) uint64
    """
    out, aes, round_keys = ring.empty(rows), block.operations(None).aes, block.expand_key(key)
    split(
        lambda i, j: lib.fusion_rlwe_uniform(aes, words(out[i:j]), round_keys, ring.moduli, ring.limbs, i, j - i),
        rows,
        threads=threads,
        grain=1,
    )
    return out


def ternary(degree: int, key: bytes, rows: int, *, threads: int | None = None) -> Integers:
    """Polynomials whose coefficients are -1, 0 or 1, each as often, up to a distance of 2^-63; (rows, degree) int64."""
    return _small(_operations().ternary, degree, key, rows, threads)


def error(degree: int, key: bytes, rows: int, *, threads: int | None = None) -> Integers:
    """Polynomials whose coefficients are centred binomial of 42 bits; (rows, degree) int64."""
    return _small(_operations().error, degree, key, rows, threads)


def _small(sample: Callable[..., None], degree: int, key: bytes, rows: int, threads: int | None) -> Integers:
    out, aes, round_keys = np.empty((rows, degree), np.int64), block.operations(None).aes, block.expand_key(key)
    split(lambda i, j: sample(aes, words(out[i:j]), round_keys, degree, i, j - i), rows, threads=threads, grain=1)
    _wipe(round_keys)
    return out


def flood(ring: Ring, x: Words, key: bytes, bits: int, *, threads: int | None = None) -> None:
    """Add an integer uniform in [-2^(bits - 1), 2^(bits - 1)) to every coefficient, in place.

    Parameters
    ----------
    x : (rows, limbs, k) uint64
        Any k coefficients of each polynomial, contiguous and writable.
    bits : int
        1 to 256.

    Raises
    ------
    InputError
        On another shape, type or number of bits.
    """
    rows = _coefficients(ring, x)
    if rows is not x or not rows.flags.writeable:
        raise InputError("x must be a contiguous array that can be written")
    if not 1 <= bits <= MAX_FLOOD_BITS:
        raise InputError(f"noise has 1 to {MAX_FLOOD_BITS} bits, not {bits}")
    aes, round_keys, flooded = block.operations(None).aes, block.expand_key(key), _operations().flood
    split(
        lambda i, j: flooded(aes, words(rows[i:j]), round_keys, bits, ring.moduli, ring.limbs, rows.shape[2], i, j - i),
        len(rows),
        threads=threads,
        grain=1,
    )
    _wipe(round_keys)


def _wipe(round_keys: Any) -> None:
    ffi.memmove(round_keys, bytes(ffi.sizeof(round_keys)), ffi.sizeof(round_keys))


def lift(ring: Ring, x: Integers, *, threads: int | None = None) -> Words:
    """Residues of (rows, n) int64, whose absolute values must be below every prime."""
    rows, out = _polynomials(ring, x, np.int64, "x"), ring.empty(len(x))
    split(
        lambda i, j: lib.fusion_rlwe_lift(words(out[i:j]), words(rows[i:j]), ring.moduli, ring.limbs, j - i),
        len(rows),
        threads=threads,
        grain=1,
    )
    return out


def reduce(ring: Ring, x: Words, *, threads: int | None = None) -> Words:
    """Residues of (rows, n) uint64, any words."""
    rows, out = _polynomials(ring, x, np.uint64, "x"), ring.empty(len(x))
    split(
        lambda i, j: lib.fusion_rlwe_reduce(words(out[i:j]), words(rows[i:j]), ring.moduli, ring.limbs, j - i),
        len(rows),
        threads=threads,
        grain=1,
    )
    return out


def encode(ring: Ring, scale: Scale, m: Words, e: Integers, *, threads: int | None = None) -> Words:
    """The integers nearest to q/t times the messages, plus errors.

    Parameters
    ----------
    m : (rows, n) uint64
        Below t, which is not checked.
    e : (rows, n) int64
        Absolute values below every prime.

    Returns
    -------
    (rows, limbs, n) uint64
        Coefficients.
    """
    messages, errors = _polynomials(ring, m, np.uint64, "m"), _polynomials(ring, e, np.int64, "e")
    if len(messages) != len(errors):
        raise InputError(f"the arrays must have equal length, not {len(messages)} and {len(errors)}")
    out = ring.empty(len(messages))
    split(
        lambda i, j: lib.fusion_rlwe_encode(
            words(out[i:j]), words(messages[i:j]), words(errors[i:j]), scale.native, ring.moduli, ring.limbs, j - i
        ),
        len(messages),
        threads=threads,
        grain=1,
    )
    return out


def decode(ring: Ring, scale: Scale, x: Words, *, threads: int | None = None) -> Words:
    """t/q times the coefficients `x`, (rows, limbs, n), to the nearest integer modulo t; (rows, n) uint64."""
    rows = elements(ring, x, "x")
    out = np.empty((len(rows), ring.degree), np.uint64)
    split(
        lambda i, j: lib.fusion_rlwe_decode(
            words(out[i:j]), words(rows[i:j]), scale.native, ring.moduli, ring.limbs, j - i
        ),
        len(rows),
        threads=threads,
        grain=1,
    )
    return out


def switch(ring: Ring, scale: Scale, x: Words, *, threads: int | None = None) -> Words:
    """2^bits/q times any k coefficients of each row, to the nearest integer modulo 2^bits.

    Parameters
    ----------
    x : (rows, limbs, k) uint64

    Returns
    -------
    (rows, k) uint64
    """
    rows = _coefficients(ring, x)
    n, operation = rows.shape[2], _operations().switch_words
    out = np.empty((len(rows), n), np.uint64)
    split(
        lambda i, j: operation(words(out[i:j]), words(rows[i:j]), scale.native, ring.moduli, ring.limbs, n, j - i),
        len(rows),
        threads=threads,
        grain=1,
    )
    return out


def join(ring: Ring, x: Words, *, threads: int | None = None) -> Words:
    """Integers below 2^79 in absolute value, from residues modulo two primes of 50 bits, as words modulo 2^64.

    Parameters
    ----------
    x : (rows, 2, n) uint64

    Returns
    -------
    (rows, n) uint64

    Raises
    ------
    InputError
        If the ring has other than two primes of 50 bits, or on another shape or type.
    """
    if [p.bit_length() for p in ring.primes] != [50, 50]:
        raise InputError("only residues of two primes of 50 bits are joined")
    rows = elements(ring, x, "x")
    inverse = _with_ratio(pow(ring.primes[0], -1, ring.primes[1]), ring.primes[1])
    out = np.empty((len(rows), ring.degree), np.uint64)
    split(
        lambda i, j: lib.fusion_rlwe_join(words(out[i:j]), words(rows[i:j]), *inverse, ring.moduli, j - i),
        len(rows),
        threads=threads,
        grain=1,
    )
    return out


def round_words(scale: Scale, x: Words) -> Words:
    """t/2^bits times words below 2^bits, to the nearest integer modulo t; the shape of `x`."""
    out = np.array(x, np.uint64, order="C")
    lib.fusion_rlwe_round(words(out), scale.native, out.size)
    return out


def pack(x: Words, bits: int) -> bytes:
    """Words of `bits` bits, 1 to 64, one after the other from the low bit of the first byte; zeros at the end."""
    flat = np.ascontiguousarray(x, np.uint64).reshape(-1)
    if not 1 <= bits <= 64:
        raise InputError(f"a packed word has 1 to 64 bits, not {bits}")
    if bits < 64 and int(flat.max(initial=0)) >> bits:
        raise InputError(f"a word does not fit into {bits} bits")
    out = np.empty(packed_bytes(flat.size, bits), np.uint8)
    _operations().pack(pointer(out, writable=True), words(flat), bits, flat.size)
    return out.tobytes()


def unpack(data: bytes | Bytes, bits: int, n: int) -> Words:
    """The n words that `pack` wrote, as (n,) uint64.

    Raises
    ------
    InputError
        Unless there are just as many bytes as n words fill, and zeros after the last one.
    """
    if not 1 <= bits <= 64:
        raise InputError(f"a packed word has 1 to 64 bits, not {bits}")
    if len(data) != packed_bytes(n, bits):
        raise InputError(f"{n} words of {bits} bits take {packed_bytes(n, bits)} bytes, not {len(data)}")
    spare = 8 * len(data) - n * bits
    if spare and data[-1] >> (8 - spare):
        raise InputError("the last byte must end in zeros")
    out = np.empty(n, np.uint64)
    _operations().unpack(words(out), ffi.from_buffer("uint8_t[]", data), bits, n)
    return out


def packed_bytes(n: int, bits: int) -> int:
    """Length of what `pack` returns for n words."""
    return -(-n * bits // 8)


def _operations() -> Any:
    return operations(None, "rlwe")


def _coefficients(ring: Ring, x: object) -> Words:
    if not isinstance(x, np.ndarray) or x.dtype != np.uint64 or x.ndim != 3 or x.shape[1] != ring.limbs:
        raise InputError(f"x must be a numpy array of uint64 of shape (rows, {ring.limbs}, k)")
    return np.ascontiguousarray(x)


def _polynomials(ring: Ring, x: object, dtype: type, what: str) -> NDArray[Any]:
    if not isinstance(x, np.ndarray) or x.dtype != dtype or x.ndim != 2 or x.shape[1] != ring.degree:
        raise InputError(f"{what} must be a numpy array of {dtype.__name__} of shape (rows, {ring.degree})")
    return np.ascontiguousarray(x)
