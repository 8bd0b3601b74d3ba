"""The linear code that compresses a long sparse vector over GF(2^128) to a short dense one (csrc/excode.h).

The code is public and the same for everybody. docs/decisions/0011 says what is known about its distance.
"""

from __future__ import annotations

import functools
import hashlib
from typing import Any

import numpy as np

from fusion.errors import InputError
from fusion.kernels._native import lib
from fusion.kernels._rows import Bytes, pointer
from fusion.kernels.block import WIDTH, blocks, expand_key, operations

SIDE = 16
"""The code works on vectors whose length is a multiple of twice this number."""
MAX_ROWS = 1 << 31
_SEED = b"fusion/kernels/code/1"


def compress(vector: Bytes, *, variant: str | None = None) -> Bytes:
    """Compress n elements of GF(2^128) to n / 2.

    Parameters
    ----------
    vector : (n, 16) uint8
        Contiguous and writable, n a multiple of 32, at most 2^31. It is used up.
    variant : str, optional
        As in `fusion.kernels.block`.

    Returns
    -------
    (n / 2, 16) uint8
        The first half of `vector`, in place.

    Raises
    ------
    InputError
        On another shape or type, or if `vector` cannot be written in place.
    """
    n = len(vector)
    if blocks(vector, "vector") is not vector or not vector.flags.writeable:
        raise InputError("vector must be a contiguous array that can be written")
    if n % (2 * SIDE) or n > MAX_ROWS:
        raise InputError(f"vector must have a multiple of {2 * SIDE} rows and at most {MAX_ROWS}, not {n}")
    ops = operations(variant)
    scratch = np.empty_like(vector)
    lib.fusion_excode(
        ops.aes,
        ops.gf128,
        pointer(vector, writable=True),
        pointer(scratch, writable=True),
        _round_keys(),
        _weights(),
        n,
    )
    return vector[: n // 2]


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
