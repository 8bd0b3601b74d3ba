"""The linear code that compresses a long sparse vector over GF(2^128) to a short dense one (csrc/excode.h).

The code is public and the same for everybody. docs/decisions/0011 says what is known about its distance.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fusion.errors import InputError
from fusion.kernels._native import ffi, lib
from fusion.kernels._rows import Bytes, pointer, points_below, split
from fusion.kernels.block import WIDTH, blocks, expand_key, operations

SIDE = 16
"""The code works on vectors whose length is a multiple of twice this number."""
MAX_ROWS = 1 << 28
# Elements of a part: few parts, as each has places of its own.
_PART = 1 << 16
_MOST_PARTS = 8
# Columns of the contraction that take a few tenths of a millisecond.
_GRAIN = 2048
_SEED = b"fusion/kernels/code/1"


class Code:
    """The code for vectors of n elements of GF(2^128), which it compresses to n / 2.

    What it draws for one vector it keeps for the next: 4 bytes an element.

    Parameters
    ----------
    n : int
        A multiple of 32, at most 2^28.
    threads : int, optional
        Threads that share the work; None: all CPUs this process may use.
    variant : str, optional
        As in `fusion.kernels.block`.

    Raises
    ------
    InputError
        On another length.
    """

    def __init__(self, n: int, *, threads: int | None = None, variant: str | None = None) -> None:
        if n % (2 * SIDE) or not 0 <= n <= MAX_ROWS:
            raise InputError(f"a vector must have a multiple of {2 * SIDE} rows and at most {MAX_ROWS}, not {n}")
        ops = operations(variant)
        self._n, self._threads = n, threads
        self._c = ffi.new("fusion_excode *")
        self._c.aes, self._c.field, self._c.n = ops.aes, ops.gf128, n
        self._keep = _round_keys(), ffi.from_buffer("uint8_t[]", _weights())
        self._c.round_keys, self._c.weights = self._keep
        self._buckets = lib.fusion_excode_buckets(n)
        self._ranges = _cut(self._buckets, 1)

    def compress(self, vector: Bytes) -> Bytes:
        """Compress a vector.

        Parameters
        ----------
        vector : (n, 16) uint8
            Contiguous and writable. It is used up.

        Returns
        -------
        (n / 2, 16) uint8

        Raises
        ------
        InputError
            On another shape or type, or if the vector cannot be written in place.
        """
        self._check(vector)
        parts = self._first.parts
        before = self._sums(vector, parts)

        def scatter(out: Bytes, following: Any, part: int) -> None:
            lib.fusion_excode_scatter(
                self._c, pointer(out, writable=True), pointer(vector), pointer(before[part]), following, *parts[part]
            )

        return self._compress(scatter, vector)

    def compress_noise(self, points: NDArray[np.uint64], values: Bytes, room: Bytes) -> Bytes:
        """Compress a vector of t equal stretches, each zero but for one element.

        Time and memory access do not depend on where these are.

        Parameters
        ----------
        points : (t,) uint64
            Their places, each within its stretch: below n / t.
        values : (t, 16) uint8
            What they are.
        room : (n, 16) uint8
            Contiguous and writable, to work in.

        Returns
        -------
        (n / 2, 16) uint8

        Raises
        ------
        InputError
            On another shape or type, a number of stretches that does not divide n, or a point out of range.
        """
        self._check(room)
        added = blocks(values, "values")
        if not len(added) or self._n % len(added):
            raise InputError(f"{self._n} rows cannot be cut into {len(added)} equal stretches")
        leaves = self._n // len(added)
        places = points_below(points, leaves)
        if len(places) != len(added):
            raise InputError(f"{len(added)} values need as many points, not {len(places)}")
        ahead = np.arange(len(added), dtype=np.uint64) * np.uint64(leaves) + places
        parts = self._first.parts
        # multiplied and not selected: where the noise stands is secret
        before = [np.bitwise_xor.reduce(added * (ahead < start)[:, None], axis=0) for start, _ in parts]

        def scatter(out: Bytes, following: Any, part: int) -> None:
            lib.fusion_excode_scatter_noise(
                self._c,
                pointer(out, writable=True),
                ffi.from_buffer("uint64_t[]", places),
                pointer(added),
                leaves,
                pointer(before[part]),
                following,
                *parts[part],
            )

        return self._compress(scatter, room)

    def _check(self, vector: Bytes) -> None:
        if blocks(vector, "a vector") is not vector or not vector.flags.writeable:
            raise InputError("a vector must be a contiguous array that can be written")
        if len(vector) != self._n:
            raise InputError(f"this code is for {self._n} rows, not {len(vector)}")

    def _compress(self, scatter: Callable[[Bytes, Any, int], None], room: Bytes) -> Bytes:
        """What `scatter` brings part by part, compressed; `room` is as long as the vector, and may be the vector."""
        x = np.empty((self._n, WIDTH), np.uint8)
        first, second = self._first, self._second
        places = first.places.copy()
        self._for_each(first.parts, lambda part, *_: scatter(x, _words(places[part]), part))
        # From here on the room is free. Each bucket goes through the second pass while it is warm.
        before, places = self._sums(x, second.parts), second.places.copy()
        self._for_each(
            self._ranges,
            lambda part, start, stop: lib.fusion_excode_next_pass(
                self._c,
                pointer(room, writable=True),
                pointer(x),
                _words(first.starts),
                _order(first.order),
                pointer(before[part]),
                _words(places[part]),
                start,
                stop,
            ),
        )
        self._for_each(
            self._ranges,
            lambda _, start, stop: lib.fusion_excode_shuffle(
                pointer(x, writable=True), pointer(room), _words(second.starts), _order(second.order), start, stop
            ),
        )
        split(
            lambda start, stop: lib.fusion_excode_contract(self._c, pointer(x, writable=True), start, stop),
            self._n // (2 * SIDE),
            threads=self._threads,
            grain=_GRAIN,
        )
        x.resize((self._n // 2, WIDTH), refcheck=False)  # gives back what was used up, without a copy; no view is left
        return x

    @functools.cached_property
    def _first(self) -> _Pass:
        return self._pass(0, _cut(self._n, _PART))

    @functools.cached_property
    def _second(self) -> _Pass:
        starts = self._first.starts
        return self._pass(1, [(int(starts[start]), int(starts[stop])) for start, stop in self._ranges])

    def _pass(self, number: int, parts: list[tuple[int, int]]) -> _Pass:
        counts = np.zeros((len(parts), self._buckets), np.uint32)
        self._for_each(
            parts,
            lambda part, start, stop: lib.fusion_excode_count(self._c, _words(counts[part]), number, start, stop),
        )
        starts = np.zeros(self._buckets + 1, np.uint32)
        np.cumsum(counts.sum(axis=0), out=starts[1:])
        places = (np.cumsum(counts, axis=0) - counts + starts[:-1]).astype(np.uint32)
        order = np.empty(self._n, np.uint16)
        self._for_each(
            self._ranges,
            lambda _, start, stop: lib.fusion_excode_order(self._c, _order(order), _words(starts), number, start, stop),
        )
        return _Pass(parts, starts, places, order)

    def _sums(self, x: Bytes, parts: list[tuple[int, int]]) -> Bytes:
        """For each part, the sum of all elements before it."""
        sums = np.zeros((len(parts) + 1, WIDTH), np.uint8)
        self._for_each(
            parts,
            lambda part, start, stop: lib.fusion_excode_sum(
                pointer(sums[part + 1], writable=True), pointer(x), start, stop
            ),
        )
        before: Bytes = np.bitwise_xor.accumulate(sums, axis=0)
        return before

    def _for_each(self, parts: list[tuple[int, int]], work: Callable[[int, int, int], object]) -> None:
        def some(first: int, last: int) -> None:
            for i in range(first, last):
                work(i, *parts[i])

        split(some, len(parts), threads=self._threads, grain=1)


class _Pass(NamedTuple):
    """What a pass does to every vector."""

    parts: list[tuple[int, int]]  # elements that are scattered together
    starts: NDArray[np.uint32]  # of the buckets
    places: NDArray[np.uint32]  # for each part and bucket, where the part's elements begin
    order: NDArray[np.uint16]  # of the elements of each bucket


def _cut(n: int, smallest: int) -> list[tuple[int, int]]:
    """0 to n in at most `_MOST_PARTS` parts."""
    size = max(smallest, -(-n // _MOST_PARTS))
    return [(start, min(start + size, n)) for start in range(0, n, size)]


def _words(array: NDArray[np.uint32]) -> Any:
    return ffi.from_buffer("uint32_t[]", array, require_writable=True)


def _order(array: NDArray[np.uint16]) -> Any:
    return ffi.from_buffer("uint16_t[]", array, require_writable=True)


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
