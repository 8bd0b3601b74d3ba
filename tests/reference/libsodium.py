"""libsodium's ristretto255, the independent second opinion, over arrays of rows.

The package rbcl bundles a libsodium built with it; the one inside PyNaCl is built without.
"""

from __future__ import annotations

import ctypes

import numpy as np
from numpy.typing import NDArray
from rbcl._sodium import _sodium

Bytes = NDArray[np.uint8]


assert _sodium.sodium_init() >= 0


def from_uniform(uniform: Bytes) -> Bytes:
    """(n, 64) uniform bytes to (n, 32) encodings."""
    return _rows(_sodium.crypto_core_ristretto255_from_hash, uniform)


def is_valid(encodings: Bytes) -> NDArray[np.bool_]:
    """Which rows decode. Version 1.0.18 overlooks bit 255; RFC 9496, 4.3.1 refuses it."""
    valid = [_sodium.crypto_core_ristretto255_is_valid_point(e.tobytes()) == 1 for e in encodings]
    return np.array(valid, dtype=bool) & (encodings[:, 31] < 128)


def multiply(encodings: Bytes, scalar: bytes) -> Bytes:
    """One scalar times encoded elements; libsodium refuses an identity result, whose row stays zero."""
    out = np.zeros((len(encodings), 32), dtype=np.uint8)
    buffer = ctypes.create_string_buffer(32)
    for i, encoding in enumerate(encodings):
        if _sodium.crypto_scalarmult_ristretto255(buffer, scalar, encoding.tobytes()) == 0:
            out[i] = np.frombuffer(buffer.raw, dtype=np.uint8)
    return out


def multiply_base(scalars: Bytes) -> Bytes:
    out = np.zeros((len(scalars), 32), dtype=np.uint8)
    buffer = ctypes.create_string_buffer(32)
    for i, scalar in enumerate(scalars):
        if _sodium.crypto_scalarmult_ristretto255_base(buffer, scalar.tobytes()) == 0:
            out[i] = np.frombuffer(buffer.raw, dtype=np.uint8)
    return out


def add(left: Bytes, right: Bytes) -> Bytes:
    out = np.zeros((len(left), 32), dtype=np.uint8)
    buffer = ctypes.create_string_buffer(32)
    for i in range(len(left)):
        assert _sodium.crypto_core_ristretto255_add(buffer, left[i].tobytes(), right[i].tobytes()) == 0
        out[i] = np.frombuffer(buffer.raw, dtype=np.uint8)
    return out


def _rows(function: ctypes._FuncPointer, rows: Bytes) -> Bytes:  # type: ignore[name-defined]
    out = np.zeros((len(rows), 32), dtype=np.uint8)
    buffer = ctypes.create_string_buffer(32)
    for i, row in enumerate(rows):
        assert function(buffer, row.tobytes()) == 0
        out[i] = np.frombuffer(buffer.raw, dtype=np.uint8)
    return out
