"""The linear algebra of the key-value store in `fusion.crypto.okvs`, over arrays.

``threads`` and ``variant`` are those of `fusion.kernels.block`; results do not depend on either.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusion.errors import InputError
from fusion.kernels import block
from fusion.kernels._native import ffi, lib
from fusion.kernels._rows import Bytes, aligned, pointer, split

BAND = 15
"""Blocks of 32 columns in a key's band."""

# Rows for which a table of sums pays.
_GRAIN = 8192


class _Rows:
    """The keys, hashed far enough to be sorted by where their bands start."""

    def __init__(
        self, bins: int, slots: int, seed: bytes, keys: Bytes, threads: int | None, variant: str | None
    ) -> None:
        if bins < 1 or slots < 1 or bins * (slots + BAND) >= 2**32:
            raise InputError("a store needs at least one bin and one slot, and fewer than 2^32 blocks")
        if len(keys) >= 2**32:
            raise InputError("a store takes fewer than 2^32 keys at a time")
        self.keys = keys
        self.aes = block.operations(variant).aes
        self.okvs = ffi.new("fusion_okvs *")
        lib.fusion_okvs_init(self.okvs, block.block(seed, "the seed"), bins, slots)
        slot = np.empty(len(keys), dtype=np.uint32)
        split(
            lambda a, b: lib.fusion_okvs_slots(self.okvs, self.aes, _words(slot[a:b]), pointer(keys[a:b]), b - a),
            len(keys),
            threads=threads,
            grain=_GRAIN,
        )
        self.order = np.empty(len(keys), dtype=np.uint32)
        self.first = np.empty(bins * slots + 2, dtype=np.uint32)
        lib.fusion_okvs_sort(self.okvs, _words(self.order), _words(self.first), _words(slot), len(keys))


def columns(bins: int, slots: int) -> int:
    """Columns of a store with that many bins, each of that many slots."""
    return 32 * bins * (slots + BAND - 1)


def encode(
    bins: int,
    slots: int,
    seed: bytes,
    keys: Bytes,
    values: Bytes,
    *,
    threads: int | None = None,
    variant: str | None = None,
) -> Bytes | None:
    """Solve for the columns from which every key recovers its value.

    Parameters
    ----------
    bins, slots : int
        The geometry; see okvs.h.
    seed : bytes
        16 bytes.
    keys, values : (n, 16) uint8

    Returns
    -------
    (columns, 16) uint8 or None
        None if the keys' equations depend on each other, as they always do when a key occurs twice.

    Raises
    ------
    InputError
        On another shape, type or length, or sizes out of range.
    """
    items, sums = block.blocks(keys, "keys"), block.blocks(values, "values")
    if len(items) != len(sums):
        raise InputError(f"keys and values must have equal length, not {len(items)} and {len(sums)}")
    rows = _Rows(bins, slots, seed, items, threads, variant)
    store = np.empty((columns(bins, slots), block.WIDTH), dtype=np.uint8)
    solved = []

    def solve(start: int, stop: int) -> None:
        scratch = aligned(lib.fusion_okvs_encode_scratch(rows.okvs))
        solved.append(
            lib.fusion_okvs_encode(
                rows.okvs,
                rows.aes,
                pointer(store, writable=True),
                pointer(items),
                pointer(sums),
                _words(rows.order),
                _words(rows.first),
                pointer(scratch, writable=True),
                start,
                stop,
            )
        )

    split(solve, bins, threads=threads, grain=1)
    return None if any(solved) else store


def decode(
    bins: int,
    slots: int,
    seed: bytes,
    keys: Bytes,
    store: Bytes,
    *,
    threads: int | None = None,
    variant: str | None = None,
) -> Bytes:
    """Recover a value for every key, of the store or not.

    Parameters
    ----------
    bins, slots, seed
        Those of `encode`.
    keys : (n, 16) uint8
    store : (columns, 16) uint8
        Any bytes.

    Returns
    -------
    (n, 16) uint8

    Raises
    ------
    InputError
        On another shape, type or length, or sizes out of range.
    """
    items, held = block.blocks(keys, "keys"), block.blocks(store, "the store")
    rows = _Rows(bins, slots, seed, items, threads, variant)
    if len(held) != columns(bins, slots):
        raise InputError(f"the store must have {columns(bins, slots)} columns, not {len(held)}")
    values = np.empty_like(items)

    def sum_columns(start: int, stop: int) -> None:
        scratch = aligned(lib.fusion_okvs_decode_scratch())
        lib.fusion_okvs_decode(
            rows.okvs,
            rows.aes,
            pointer(values, writable=True),
            pointer(items),
            pointer(held),
            _words(rows.order),
            pointer(scratch, writable=True),
            start,
            stop,
        )

    split(sum_columns, len(items), threads=threads, grain=_GRAIN)
    return values


def _words(array: NDArray[np.uint32]) -> Any:
    return ffi.from_buffer("uint32_t[]", array, require_writable=True)
