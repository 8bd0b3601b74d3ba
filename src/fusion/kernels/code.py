"""The linear code that compresses a long sparse vector over GF(2^128) to a short dense one (csrc/excode.h).

The code is public and the same for everybody. docs/decisions/0011 says what is known about its distance.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusion.errors import InputError
from fusion.kernels._native import ffi, lib
from fusion.kernels._rows import Bytes, pointer, split
from fusion.kernels.block import WIDTH, Operations, blocks, expand_key, operations

SIDE = 16
"""The code works on vectors whose length is a multiple of twice this number."""
MAX_ROWS = 1 << 28
_PASSES = 2
_BATCH = 512
# Elements of a part: few parts, as each has places of its own.
_PART = 1 << 16
_MOST_PARTS = 8
# Columns of the contraction that take a few tenths of a millisecond.
_GRAIN = 2048
_SEED = b"fusion/kernels/code/1"


def compress(vector: Bytes, *, threads: int | None = None, variant: str | None = None) -> Bytes:
    """Compress a vector of n elements of GF(2^128) to n / 2.

    Parameters
    ----------
    vector : (n, 16) uint8
        Contiguous and writable, n a multiple of 32 and at most 2^28. It is used up.
    threads : int, optional
        Threads that share it; None: all CPUs this process may use.
    variant : str, optional
        As in `fusion.kernels.block`.

    Returns
    -------
    (n / 2, 16) uint8
        The first half of the vector, in place.

    Raises
    ------
    InputError
        On another shape or type, or if the vector cannot be written in place.
    """
    if blocks(vector, "a vector") is not vector or not vector.flags.writeable:
        raise InputError("a vector must be a contiguous array that can be written")
    n = len(vector)
    if n % (2 * SIDE) or n > MAX_ROWS:
        raise InputError(f"a vector must have a multiple of {2 * SIDE} rows and at most {MAX_ROWS}, not {n}")
    _Code(n, threads, operations(variant)).compress(vector)
    return vector[: n // 2]


class _Code:
    """The code of one length."""

    def __init__(self, n: int, threads: int | None, ops: Operations) -> None:
        self._n, self._threads = n, threads
        self._buckets = lib.fusion_excode_buckets(n)
        size = max(_PART, -(-n // (_MOST_PARTS * _BATCH)) * _BATCH)
        self._parts = [(start, min(start + size, n)) for start in range(0, n, size)]
        self._c = ffi.new("fusion_excode *")
        self._c.aes, self._c.field, self._c.n = ops.aes, ops.gf128, n
        self._keep = _round_keys(), ffi.from_buffer("uint8_t[]", _weights())
        self._c.round_keys, self._c.weights = self._keep

    def compress(self, vector: Bytes) -> None:
        scratch = np.empty((self._n, WIDTH), np.uint8)
        for number in range(_PASSES):
            counts = self._count(number)
            starts = np.zeros(self._buckets + 1, np.uint32)
            np.cumsum(counts.sum(axis=0), out=starts[1:])
            # where each part puts its elements: after those of the parts before
            places = (np.cumsum(counts, axis=0) - counts + starts[:-1]).astype(np.uint32)
            self._permute(vector, scratch, number, starts, places)
        self._contract(vector)

    def _count(self, number: int) -> NDArray[np.uint32]:
        counts = np.zeros((len(self._parts), self._buckets), np.uint32)
        self._for_parts(lambda i, start, stop: lib.fusion_excode_count(self._c, _words(counts[i]), number, start, stop))
        return counts

    def _contract(self, x: Bytes) -> None:
        split(
            lambda first, last: lib.fusion_excode_contract(self._c, pointer(x, writable=True), first, last),
            self._n // (2 * SIDE),
            threads=self._threads,
            grain=_GRAIN,
        )

    def _permute(
        self, x: Bytes, scratch: Bytes, number: int, starts: NDArray[np.uint32], places: NDArray[np.uint32]
    ) -> None:
        """One pass: accumulate, label, permute."""
        sums = np.zeros((len(self._parts) + 1, WIDTH), np.uint8)
        self._for_parts(
            lambda i, start, stop: lib.fusion_excode_sum(pointer(sums[i + 1], writable=True), pointer(x), start, stop)
        )
        before = np.bitwise_xor.accumulate(sums, axis=0)
        self._for_parts(
            lambda i, start, stop: lib.fusion_excode_scatter(
                self._c,
                pointer(scratch, writable=True),
                pointer(x),
                pointer(before[i]),
                _words(places[i]),
                number,
                start,
                stop,
            )
        )
        split(
            lambda first, last: lib.fusion_excode_shuffle(
                self._c, pointer(x, writable=True), pointer(scratch), _words(starts), number, first, last
            ),
            self._buckets,
            threads=self._threads,
            grain=1,
        )

    def _for_parts(self, work: Callable[[int, int, int], object]) -> None:
        def some(first: int, last: int) -> None:
            for i in range(first, last):
                work(i, *self._parts[i])

        split(some, len(self._parts), threads=self._threads, grain=1)


def _words(array: NDArray[np.uint32]) -> Any:
    return ffi.from_buffer("uint32_t[]", array, require_writable=True)


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
