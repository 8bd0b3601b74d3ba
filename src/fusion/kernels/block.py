"""Blocks of 16 bytes: AES-128 (FIPS 197) and the field GF(2^128), over arrays.

An element of the field is 16 bytes, little-endian: bit i of byte j is the coefficient of x^(8 j + i), and
x^128 = x^7 + x^2 + x + 1. Addition is exclusive or.

Every function takes ``threads``, the number of threads that share the rows (None: all CPUs this process may use), and
``variant``, one of `variants()` (None: the fastest, or the portable one if the environment variable
``FUSION_KERNEL`` is ``"portable"``). Results do not depend on either. Running time depends on n alone.
"""

from __future__ import annotations

import os
from typing import Any, NamedTuple

import numpy as np

from fusion.errors import InputError
from fusion.kernels._native import ffi, lib
from fusion.kernels._rows import Bytes, byte_rows, byte_string, pointer, split

WIDTH = 16
# Rows that take a few tenths of a millisecond in the slowest variant.
_GRAIN = 4096


class Operations(NamedTuple):
    """The tables of one variant, as other kernels written in C take them."""

    aes: Any
    gf128: Any


def _usable() -> dict[str, Operations]:
    found: dict[str, Operations] = {}
    while (aes := lib.fusion_aes_variant(len(found))) != ffi.NULL:
        found[ffi.string(aes.name).decode()] = Operations(aes, lib.fusion_gf128_variant(len(found)))
    return found


_VARIANTS = _usable()


def variants() -> tuple[str, ...]:
    """Names of the variants this CPU can run, fastest first; ``"portable"`` is always the last."""
    return tuple(_VARIANTS)


def operations(variant: str | None) -> Operations:
    """The tables of a variant; for None, of the fastest unless ``FUSION_KERNEL`` is ``"portable"``.

    Raises
    ------
    InputError
        If this CPU cannot run the variant.
    """
    if variant is None:
        variant = "portable" if os.environ.get("FUSION_KERNEL") == "portable" else variants()[0]
    if variant not in _VARIANTS:
        raise InputError(f"block variant {variant!r} cannot run here; choose one of {', '.join(_VARIANTS)}")
    return _VARIANTS[variant]


def blocks(array: object, what: str) -> Bytes:
    """`array` as contiguous (n, 16) uint8, or an InputError."""
    return byte_rows(array, WIDTH, what)


def block(value: object, what: str) -> bytes:
    """`value` as 16 bytes, or an InputError."""
    one = byte_string(value, what)
    if len(one) != WIDTH:
        raise InputError(f"{what} must have {WIDTH} bytes, not {len(one)}")
    return one


def expand_key(key: bytes) -> Any:
    """The round keys of a 16-byte AES key (FIPS 197, 5.2), as the kernels take them."""
    round_keys = ffi.new("uint8_t[176]")
    lib.fusion_aes128_expand(round_keys, block(key, "the key"))
    return round_keys


def encrypt(key: bytes, rows: Bytes, *, threads: int | None = None, variant: str | None = None) -> Bytes:
    """AES-128 of every row, each on its own.

    Parameters
    ----------
    key : bytes
        16 bytes.
    rows : (n, 16) uint8

    Returns
    -------
    (n, 16) uint8

    Raises
    ------
    InputError
        On another shape, type or length.
    """
    return _rowwise(operations(variant).aes.encrypt, expand_key(key), blocks(rows, "rows"), threads)


def compress(key: bytes, rows: Bytes, *, threads: int | None = None, variant: str | None = None) -> Bytes:
    """``encrypt(key, rows) ^ rows``: with a fixed public key, a one-way function of every row.

    Parameters, result and errors are those of `encrypt`. Matyas, Meyer and Oseas, "Generating strong one-way functions
    with cryptographic algorithm", 1985.
    """
    return _rowwise(operations(variant).aes.compress, expand_key(key), blocks(rows, "rows"), threads)


def multiply(a: Bytes, b: Bytes, *, threads: int | None = None, variant: str | None = None) -> Bytes:
    """Products in GF(2^128), row by row.

    Parameters
    ----------
    a, b : (n, 16) uint8

    Returns
    -------
    (n, 16) uint8

    Raises
    ------
    InputError
        On another shape or type, or on unequal lengths.
    """
    left, right, ops = blocks(a, "a"), blocks(b, "b"), operations(variant).gf128
    _check_equal(left, right)
    out = np.empty_like(left)
    split(
        lambda i, j: ops.multiply(pointer(out[i:j], writable=True), pointer(left[i:j]), pointer(right[i:j]), j - i),
        len(left),
        threads=threads,
        grain=_GRAIN,
    )
    return out


def scale(a: Bytes, s: bytes, *, threads: int | None = None, variant: str | None = None) -> Bytes:
    """Every row times one element of GF(2^128).

    Parameters
    ----------
    a : (n, 16) uint8
    s : bytes
        16 bytes.

    Returns
    -------
    (n, 16) uint8

    Raises
    ------
    InputError
        On another shape, type or length.
    """
    return _rowwise(operations(variant).gf128.scale, block(s, "s"), blocks(a, "a"), threads)


def scale_add(out: Bytes, a: Bytes, s: bytes, *, threads: int | None = None, variant: str | None = None) -> None:
    """Add every row of `a` times one element of GF(2^128) to the rows of `out`, in place.

    Parameters
    ----------
    out : (n, 16) uint8
        Contiguous and writable.
    a : (n, 16) uint8
    s : bytes
        16 bytes.

    Raises
    ------
    InputError
        On another shape, type or length, or if `out` cannot be written in place.
    """
    rows, factor, ops = blocks(a, "a"), block(s, "s"), operations(variant).gf128
    if blocks(out, "out") is not out or not out.flags.writeable:
        raise InputError("out must be a contiguous array that can be written")
    _check_equal(out, rows)
    split(
        lambda i, j: ops.scale_add(pointer(out[i:j], writable=True), pointer(rows[i:j]), factor, j - i),
        len(rows),
        threads=threads,
        grain=_GRAIN,
    )


def _rowwise(operation: Any, constant: Any, rows: Bytes, threads: int | None) -> Bytes:
    """`operation(out, rows, constant, n)` over pieces of the rows."""
    out = np.empty_like(rows)
    split(
        lambda i, j: operation(pointer(out[i:j], writable=True), pointer(rows[i:j]), constant, j - i),
        len(rows),
        threads=threads,
        grain=_GRAIN,
    )
    return out


def _check_equal(a: Bytes, b: Bytes) -> None:
    if len(a) != len(b):
        raise InputError(f"the arrays must have equal length, not {len(a)} and {len(b)}")
