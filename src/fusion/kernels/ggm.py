"""GGM trees: from one block to many, and the same leaves but one (csrc/ggm.h says which hash and which order).

Every function takes ``threads``, the number of threads that share the trees (None: all CPUs this process may use);
those that hash take ``variant``, as in `fusion.kernels.block`. Running time depends on the sizes alone.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fusion.errors import InputError
from fusion.kernels._native import ffi, lib
from fusion.kernels._rows import Bytes, pointer, points_below, split
from fusion.kernels.block import WIDTH, operations

MAX_LEAVES = 1 << 31


def depth(leaves: int) -> int:
    """Levels of children in a tree of so many leaves.

    Raises
    ------
    InputError
        Unless there are 2 to 2^31 leaves.
    """
    if not 2 <= leaves <= MAX_LEAVES:
        raise InputError(f"a tree has 2 to {MAX_LEAVES} leaves, not {leaves}")
    return (leaves - 1).bit_length()


def expand(
    seeds: Bytes, keys: Bytes, leaves: int, *, threads: int | None = None, variant: str | None = None
) -> tuple[Bytes, Bytes]:
    """Grow whole trees.

    Parameters
    ----------
    seeds : (t, 16) uint8
        The roots.
    keys : (t, depth, 16) uint8
        A public AES key for each level of each tree.
    leaves : int
        Leaves of each tree, 2 to 2^31.

    Returns
    -------
    leaves : (t, leaves, 16) uint8
    sums : (t, depth, 2, 16) uint8
        For each level, the sum of all left children and that of all right ones.

    Raises
    ------
    InputError
        On another shape or type.
    """
    trees, levels, aes = len(seeds), depth(leaves), operations(variant).aes
    roots, level_keys = _blocks(seeds, (trees,), "seeds"), _blocks(keys, (trees, levels), "keys")
    out = np.empty((trees, leaves, WIDTH), np.uint8)
    sums = np.empty((trees, levels, 2, WIDTH), np.uint8)
    split(
        lambda a, b: lib.fusion_ggm_expand(
            aes,
            pointer(out[a:b], writable=True),
            pointer(sums[a:b], writable=True),
            pointer(roots[a:b]),
            pointer(level_keys[a:b]),
            leaves,
            levels,
            b - a,
        ),
        trees,
        threads=threads,
        grain=1,
    )
    return out, sums


def puncture(
    out: Bytes,
    hints: Bytes,
    points: NDArray[np.uint64],
    keys: Bytes,
    *,
    threads: int | None = None,
    variant: str | None = None,
) -> Bytes:
    """Grow the same trees without knowing their roots, but for one leaf in each.

    Parameters
    ----------
    out : (t, leaves, 16) uint8
        Contiguous and writable; gets the leaves, and zero for the missing ones.
    hints : (t, depth, 16) uint8
        For each level, the one of the two sums of `expand` that the missing leaf is not below: at level d that of the
        left children if bit d of the point is 1, that of the right ones if it is 0.
    points : (t,) uint64
        The place of the missing leaf of each tree, below `leaves`; secret.
    keys
        As in `expand`.

    Returns
    -------
    (t, 16) uint8
        The sum of all other leaves.

    Raises
    ------
    InputError
        On another shape or type, or a point out of range.
    """
    trees, leaves = _written(out)
    levels, aes, places = depth(leaves), operations(variant).aes, points_below(points, leaves)
    if len(places) != trees:
        raise InputError(f"{trees} trees need as many points, not {len(places)}")
    known, level_keys = _blocks(hints, (trees, levels), "hints"), _blocks(keys, (trees, levels), "keys")
    totals = np.empty((trees, WIDTH), np.uint8)
    split(
        lambda a, b: lib.fusion_ggm_puncture(
            aes,
            pointer(out[a:b], writable=True),
            pointer(totals[a:b], writable=True),
            pointer(known[a:b]),
            ffi.from_buffer("uint64_t[]", places[a:b]),
            pointer(level_keys[a:b]),
            leaves,
            levels,
            b - a,
        ),
        trees,
        threads=threads,
        grain=1,
    )
    return totals


def place(out: Bytes, points: NDArray[np.uint64], values: Bytes, *, threads: int | None = None) -> None:
    """Add one block to one leaf of each tree, in place.

    Parameters
    ----------
    out : (t, leaves, 16) uint8
        Contiguous and writable.
    points : (t,) uint64
        Places below `leaves`; secret.
    values : (t, 16) uint8

    Raises
    ------
    InputError
        On another shape or type, or a point out of range.
    """
    trees, leaves = _written(out)
    places, added = points_below(points, leaves), _blocks(values, (trees,), "values")
    if len(places) != trees:
        raise InputError(f"{trees} trees need as many points, not {len(places)}")
    split(
        lambda a, b: lib.fusion_ggm_place(
            pointer(out[a:b], writable=True),
            ffi.from_buffer("uint64_t[]", places[a:b]),
            pointer(added[a:b]),
            leaves,
            b - a,
        ),
        trees,
        threads=threads,
        grain=1,
    )


def _written(out: Bytes) -> tuple[int, int]:
    """Trees and leaves of an array that can be filled."""
    trees, leaves = np.shape(out)[:2] if np.ndim(out) == 3 else (0, 0)
    if _blocks(out, (trees, leaves), "out") is not out or not out.flags.writeable:
        raise InputError("out must be a contiguous array that can be written")
    return trees, leaves


def _blocks(array: object, shape: tuple[int, ...], what: str) -> Bytes:
    expected = (*shape, WIDTH)
    if not isinstance(array, np.ndarray) or array.dtype != np.uint8 or array.shape != expected:
        raise InputError(f"{what} must be a numpy array of uint8 of shape {expected}")
    return np.ascontiguousarray(array)
