"""The linear code that compresses a long sparse vector over GF(2^128) to a short dense one (csrc/excode.h).

The code is public and the same for everybody. docs/decisions/0011 says what is known about its distance.
"""

from __future__ import annotations

import functools
import hashlib
from typing import Any

import numpy as np

from fusion.errors import InputError
from fusion.kernels._native import ffi, lib
from fusion.kernels._rows import Bytes, pointer, split
from fusion.kernels.block import WIDTH, blocks, expand_key, operations

SIDE = 16
"""The code works on vectors whose length is a multiple of twice this number."""
MAX_ROWS = 1 << 28
_SEED = b"fusion/kernels/code/1"


def compress(*vectors: Bytes, threads: int | None = None, variant: str | None = None) -> list[Bytes]:
    """Compress vectors of n elements of GF(2^128) to n / 2 each.

    Parameters
    ----------
    *vectors : (n, 16) uint8
        Contiguous and writable, of equal length n, a multiple of 32 and at most 2^28. They are used up.
    threads : int, optional
        Threads that share the vectors; None: all CPUs this process may use.
    variant : str, optional
        As in `fusion.kernels.block`.

    Returns
    -------
    list of (n / 2, 16) uint8
        The first half of each vector, in place.

    Raises
    ------
    InputError
        On another shape or type, or if a vector cannot be written in place.
    """
    n = len(vectors[0]) if vectors else 0
    for vector in vectors:
        if blocks(vector, "a vector") is not vector or not vector.flags.writeable:
            raise InputError("a vector must be a contiguous array that can be written")
        if len(vector) != n:
            raise InputError("the vectors must have equal length")
    if n % (2 * SIDE) or n > MAX_ROWS:
        raise InputError(f"a vector must have a multiple of {2 * SIDE} rows and at most {MAX_ROWS}, not {n}")
    ops = operations(variant)

    def work(first: int, stop: int) -> None:
        scratch = np.empty((n, WIDTH), np.uint8)
        starts = np.empty(2 * _bucket_count(n) + 1, np.uint32)
        for vector in vectors[first:stop]:
            lib.fusion_excode(
                ops.aes,
                ops.gf128,
                pointer(vector, writable=True),
                pointer(scratch, writable=True),
                ffi.from_buffer("uint32_t[]", starts, require_writable=True),
                _round_keys(),
                _weights(),
                n,
            )

    split(work, len(vectors), threads=threads, grain=1)
    return [vector[: n // 2] for vector in vectors]


def _bucket_count(n: int) -> int:
    return 1 << max(0, (n - 1).bit_length() - 12)


@functools.cache
def _round_keys() -> Any:
    return expand_key(hashlib.sha256(_SEED).digest()[:WIDTH])


@functools.cache
def _weights() -> bytes:
    return b"".join(_inverse(SIDE + k).to_bytes(WIDTH, "little") for k in range(SIDE))


def _inverse(a: int) -> int:
    """1 / a in GF(2^128), by Euclid's algorithm on polynomials."""
    r, s, u, v = 1 << 128 | 0x87, a, 0, 1
    while s > 1:
        shift = r.bit_length() - s.bit_length()
        if shift < 0:
            r, s, u, v = s, r, v, u
            continue
        r, u = r ^ s << shift, u ^ v << shift
    return v
