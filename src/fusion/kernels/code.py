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
from fusion.kernels._rows import Bytes, pointer, points_below, split
from fusion.kernels.block import WIDTH, Operations, blocks, expand_key, operations

SIDE = 16
"""The code works on vectors whose length is a multiple of twice this number."""
MAX_ROWS = 1 << 28
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

    Raises
    ------
    InputError
        On another shape or type, or if the vector cannot be written in place.
    """
    if blocks(vector, "a vector") is not vector or not vector.flags.writeable:
        raise InputError("a vector must be a contiguous array that can be written")
    code = _Code(len(vector), threads, operations(variant))

    def scatter(out: Bytes, before: Bytes, following: Any, start: int, stop: int) -> None:
        lib.fusion_excode_scatter(
            code.c, pointer(out, writable=True), pointer(vector), pointer(before), following, start, stop
        )

    return code.compress(scatter, code.sums(vector, code.parts), vector)


def compress_noise(
    points: NDArray[np.uint64],
    values: Bytes,
    leaves: int,
    *,
    threads: int | None = None,
    variant: str | None = None,
) -> Bytes:
    """Compress a vector of t stretches of ``leaves`` elements, zero but for one in each.

    Time and memory access do not depend on where these are.

    Parameters
    ----------
    points : (t,) uint64
        Their places, each within its stretch: below ``leaves``.
    values : (t, 16) uint8
        What they are.
    leaves : int
        t times it is as the length of a vector in `compress`.
    threads, variant
        As in `compress`.

    Returns
    -------
    (t * leaves / 2, 16) uint8

    Raises
    ------
    InputError
        On another shape or type, or a point out of range.
    """
    added = blocks(values, "values")
    stretches = points_below(points, leaves)
    if len(stretches) != len(added):
        raise InputError(f"{len(added)} values need as many points, not {len(stretches)}")
    code = _Code(len(added) * leaves, threads, operations(variant))
    places = np.arange(len(added), dtype=np.uint64) * np.uint64(leaves) + stretches

    def sum_before(start: int) -> Bytes:
        come: NDArray[np.uint8] = np.bitwise_xor.reduce(added * (places < start)[:, None], axis=0)
        return come

    def scatter(out: Bytes, before: Bytes, following: Any, start: int, stop: int) -> None:
        lib.fusion_excode_scatter_noise(
            code.c,
            pointer(out, writable=True),
            ffi.from_buffer("uint64_t[]", stretches),
            pointer(added),
            leaves,
            pointer(before),
            following,
            start,
            stop,
        )

    befores = np.array([sum_before(start) for start, _ in code.parts], np.uint8).reshape(-1, WIDTH)
    return code.compress(scatter, befores, np.empty((code.n, WIDTH), np.uint8))


_Scatter = Callable[[Bytes, Bytes, Any, int, int], object]


class _Code:
    """The code of one length."""

    def __init__(self, n: int, threads: int | None, ops: Operations) -> None:
        if n % (2 * SIDE) or n > MAX_ROWS:
            raise InputError(f"a vector must have a multiple of {2 * SIDE} rows and at most {MAX_ROWS}, not {n}")
        self.n, self._threads = n, threads
        self.c = ffi.new("fusion_excode *")
        self.c.aes, self.c.field, self.c.n = ops.aes, ops.gf128, n
        self._keep = _round_keys(), ffi.from_buffer("uint8_t[]", _weights())
        self.c.round_keys, self.c.weights = self._keep
        self._buckets = lib.fusion_excode_buckets(n)
        self.parts = _cut(n, _PART)

    def compress(self, first_pass: _Scatter, befores: Bytes, room: Bytes) -> Bytes:
        """What `first_pass` scatters, compressed; `room` is as long as the vector and may hold it."""
        x = np.empty((self.n, WIDTH), np.uint8)
        starts, places = self._places(0, self.parts)
        self._for_each(self.parts, lambda i, start, stop: first_pass(x, befores[i], _words(places[i]), start, stop))
        # the first pass is over with the room; the second reads it bucket by bucket, while they are warm
        ranges = _cut(self._buckets, 1)
        parts = [(int(starts[first]), int(starts[last])) for first, last in ranges]
        befores = self.sums(x, parts)
        ends, places = self._places(1, parts)
        self._for_each(
            ranges,
            lambda i, first, last: lib.fusion_excode_next_pass(
                self.c,
                pointer(room, writable=True),
                pointer(x),
                _words(starts),
                pointer(befores[i]),
                _words(places[i]),
                first,
                last,
            ),
        )
        split(
            lambda first, last: lib.fusion_excode_shuffle(
                self.c, pointer(x, writable=True), pointer(room), _words(ends), first, last
            ),
            self._buckets,
            threads=self._threads,
            grain=1,
        )
        split(
            lambda first, last: lib.fusion_excode_contract(self.c, pointer(x, writable=True), first, last),
            self.n // (2 * SIDE),
            threads=self._threads,
            grain=_GRAIN,
        )
        x.resize((self.n // 2, WIDTH), refcheck=False)  # gives back what was used up, without a copy; no view is left
        return x

    def sums(self, x: Bytes, parts: list[tuple[int, int]]) -> Bytes:
        """For each part, the sum of all elements before it."""
        sums = np.zeros((len(parts) + 1, WIDTH), np.uint8)
        self._for_each(
            parts,
            lambda i, start, stop: lib.fusion_excode_sum(pointer(sums[i + 1], writable=True), pointer(x), start, stop),
        )
        before: Bytes = np.bitwise_xor.accumulate(sums, axis=0)
        return before

    def _places(self, number: int, parts: list[tuple[int, int]]) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
        """Where the buckets of a pass start, and where each part puts its elements: after those of the parts before."""
        counts = np.zeros((len(parts), self._buckets), np.uint32)
        self._for_each(
            parts, lambda i, start, stop: lib.fusion_excode_count(self.c, _words(counts[i]), number, start, stop)
        )
        starts = np.zeros(self._buckets + 1, np.uint32)
        np.cumsum(counts.sum(axis=0), out=starts[1:])
        return starts, (np.cumsum(counts, axis=0) - counts + starts[:-1]).astype(np.uint32)

    def _for_each(self, parts: list[tuple[int, int]], work: Callable[[int, int, int], object]) -> None:
        def some(first: int, last: int) -> None:
            for i in range(first, last):
                work(i, *parts[i])

        split(some, len(parts), threads=self._threads, grain=1)


def _cut(n: int, smallest: int) -> list[tuple[int, int]]:
    """0 to n in at most `_MOST_PARTS` parts."""
    size = max(smallest, -(-n // _MOST_PARTS))
    return [(start, min(start + size, n)) for start in range(0, n, size)]


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
