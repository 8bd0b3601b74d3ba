"""The compressing code over lists of integers, written from its definition: the oracle of the kernel."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator

from reference import aes, gf128

SIDE = 16
KEY = hashlib.sha256(b"fusion/kernels/code/1").digest()[:16]


def words(stream: int, width: int) -> Iterator[int]:
    """AES in counter mode, cut into words of ``width`` bytes."""
    counter = 0
    while True:
        block = aes.encrypt(KEY, counter.to_bytes(8, "little") + stream.to_bytes(8, "little"))
        for i in range(0, 16, width):
            yield int.from_bytes(block[i : i + width], "little")
        counter += 1


def bucket_count(n: int) -> int:
    buckets = 1
    while n > 4096 * buckets:
        buckets *= 2
    return buckets


def order(n: int, streams: int, buckets: int) -> list[int]:
    """Which element comes first, second, and so on."""
    table: list[list[int]] = [[] for _ in range(buckets)]
    for i, word in zip(range(n), words(streams + 1, 2), strict=False):
        table[word % buckets].append(i)
    places = [i for bucket in table for i in bucket]
    ends = [end for bucket in table for end in [len(bucket)] * len(bucket)]
    starts, reached = [], 0
    for bucket in table:
        starts += [reached] * len(bucket)
        reached += len(bucket)
    for g, word in zip(range(n), words(streams + 2, 8), strict=False):
        there = g + (word * (starts[g] + ends[g] - g) >> 64)
        places[g], places[there] = places[there], places[g]
    return places


def compress(x: list[int], *, buckets: Callable[[int], int] = bucket_count) -> list[int]:
    n = len(x)
    for stage in range(2):
        labels, total, v = words(4 * stage, 16), 0, []
        for element in x:
            total ^= element
            v.append(gf128.multiply(next(labels), total))
        x = [v[i] for i in order(n, 4 * stage, buckets(n))]
    columns = n // (2 * SIDE)
    weights = [gf128.invert(SIDE + k) for k in range(SIDE)]
    y = x[: n // 2]
    for j in range(SIDE):
        for i in range(SIDE):
            for column in range(columns):
                y[columns * j + column] ^= gf128.multiply(weights[j ^ i], x[columns * (SIDE + i) + column])
    return y
