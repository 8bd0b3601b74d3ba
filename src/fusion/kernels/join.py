"""Equal rows, of two sets or of one, found in partitions that stay in the processor's cache (csrc/join.h).

Every function takes ``threads``, the number of threads that share the rows (None: all CPUs this process may use).
Results do not depend on it. Running time depends on the rows; whatever they are, on their number n as n log n at most.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fusion.errors import InputError
from fusion.kernels._native import ffi, lib
from fusion.kernels._rows import Bytes, byte_rows, pointer, split

__all__ = ["join", "repeated"]

# Rows of a partition, of all sets: its entries and their copies fill a first-level cache.
_PARTITION = 1024
_MOST_BITS = 16
_ENTRY = 16  # bytes
# Rows of a part: few parts, as each counts by itself.
_PART = 1 << 16
_MOST_PARTS = 32
# Partitions that take a few tenths of a millisecond.
_GRAIN = 32


def join(ours: Bytes, theirs: Bytes, *, threads: int | None = None) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where equal rows of two sets stand.

    Parameters
    ----------
    ours, theirs : (n, width) and (m, width) uint8
        Fewer than 2^32 rows each.

    Returns
    -------
    i, j : (k,) int64
        ``ours[i[p]]`` equals ``theirs[j[p]]`` for every p, in the order of the rows' bytes. A row that is repeated in
        a set counts where it stands first.

    Raises
    ------
    InputError
        On another type or shape, or unequal widths.
    """
    a, b = byte_rows(ours, None, "ours"), byte_rows(theirs, None, "theirs")
    if a.shape[1] != b.shape[1]:
        raise InputError(f"rows of both sets must have equal width, not {a.shape[1]} and {b.shape[1]}")
    bits = _bits(len(a) + len(b))
    one, other = _spread(a, bits, threads), _spread(b, bits, threads)
    # pairs of partitions from `start` on go where the first set's rows of them begin
    i, j = np.empty((2, len(a)), np.int64)
    found: dict[int, slice] = {}

    def match(start: int, stop: int) -> None:
        begin = int(one.first[start])
        count = lib.fusion_join_match(
            _longs(i[begin:]),
            _longs(j[begin:]),
            one.c,
            other.c,
            a.shape[1],
            bits,
            start,
            stop,
            _scratch(start, stop, one, other),
        )
        found[start] = slice(begin, begin + count)

    split(match, 1 << bits, threads=threads, grain=_GRAIN)
    pairs = [found[start] for start in sorted(found)]
    return np.concatenate([i[pair] for pair in pairs]), np.concatenate([j[pair] for pair in pairs])


def repeated(rows: Bytes, *, threads: int | None = None) -> NDArray[np.bool_]:
    """Which rows equal one before them.

    Parameters
    ----------
    rows : (n, width) uint8
        Fewer than 2^32.

    Returns
    -------
    (n,) bool

    Raises
    ------
    InputError
        On another type or shape.
    """
    a = byte_rows(rows, None, "rows")
    bits = _bits(len(a))
    one = _spread(a, bits, threads)
    flags = np.zeros(len(a), np.uint8)
    split(
        lambda start, stop: lib.fusion_join_repeats(
            pointer(flags, writable=True), one.c, a.shape[1], bits, start, stop, _scratch(start, stop, one)
        ),
        1 << bits,
        threads=threads,
        grain=_GRAIN,
    )
    return flags.view(np.bool_)


class _Set(NamedTuple):
    """The entries of a set, in partitions; `c` points into the others."""

    c: Any
    first: NDArray[np.uint32]
    entries: Bytes
    rows: Bytes


def _bits(n: int) -> int:
    return min(max(n // _PARTITION, 1).bit_length(), _MOST_BITS)


def _spread(rows: Bytes, bits: int, threads: int | None) -> _Set:
    n, width = rows.shape
    if n >= 2**32:
        raise InputError("a set has fewer than 2^32 rows")
    size = max(_PART, -(-n // _MOST_PARTS))
    parts = -(-n // size)
    counts = np.zeros((parts, 1 << bits), np.uint32)
    entries = np.empty((n, _ENTRY), np.uint8)

    def count(first: int, last: int) -> None:
        for part in range(first, last):
            start = part * size
            lib.fusion_join_count(_words(counts[part]), pointer(rows), width, n, bits, start, min(start + size, n))

    split(count, parts, threads=threads, grain=1)
    first = np.zeros((1 << bits) + 1, np.uint32)
    np.cumsum(counts.sum(axis=0), out=first[1:])
    # within a partition part after part, so that rows stay in order
    following = (np.cumsum(counts, axis=0) - counts + first[:-1]).astype(np.uint32)

    def spread(first: int, last: int) -> None:
        for part in range(first, last):
            start = part * size
            lib.fusion_join_spread(
                ffi.from_buffer("fusion_join_entry[]", entries, require_writable=True),
                _words(following[part]),
                pointer(rows),
                width,
                n,
                bits,
                start,
                min(start + size, n),
            )

    split(spread, parts, threads=threads, grain=1)
    c = ffi.new("fusion_join_set *")
    c.entries = ffi.from_buffer("fusion_join_entry[]", entries, require_writable=True)
    c.first = _words(first)
    c.rows = pointer(rows)
    return _Set(c, first, entries, rows)


def _scratch(start: int, stop: int, *sets: _Set) -> Any:
    most = max(int(np.diff(one.first[start : stop + 1]).max()) for one in sets)
    return ffi.from_buffer("fusion_join_entry[]", np.empty((most, _ENTRY), np.uint8), require_writable=True)


def _words(array: NDArray[np.uint32]) -> Any:
    return ffi.from_buffer("uint32_t[]", array, require_writable=True)


def _longs(array: NDArray[np.int64]) -> Any:
    return ffi.from_buffer("int64_t[]", array, require_writable=True)
