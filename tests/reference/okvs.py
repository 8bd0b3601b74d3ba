"""The key-value store over plain integers, and the bound on its failures: what the kernel is compared with.

A row of the linear system is an integer, bit c for column c; a value is an integer of 128 bits.
"""

from __future__ import annotations

import functools
import math

import numpy as np
from numpy.typing import NDArray

from .aes import encrypt as aes

BAND, BLOCK = 15, 32


@functools.cache
def _round_seeds(seed: bytes) -> list[bytes]:
    return [aes(seed, b"fusion/okvs/1/" + bytes([j, 0])) for j in range(4)]


def columns(bins: int, slots: int) -> int:
    return BLOCK * bins * (slots + BAND - 1)


def row(seed: bytes, key: bytes, bins: int, slots: int) -> int:
    """The columns that a key selects."""
    digest = b"".join(aes(k, key) for k in _round_seeds(seed))
    words = [int.from_bytes(digest[i : i + 4], "little") for i in range(0, 64, 4)]
    slot = words[15] * bins * slots >> 32
    first = slot + slot // slots * (BAND - 1)
    unused = (first + BAND) % 16
    words[15], words[unused] = words[unused], 0
    return sum(words[b % 16] << BLOCK * b for b in range(first, first + BAND))


def encode(seed: bytes, keys: list[bytes], values: list[bytes], bins: int, slots: int) -> list[bytes] | None:
    """The solution whose free columns are zero: of the reduced system, each pivot the lowest column of its row."""
    pivots: dict[int, tuple[int, int]] = {}
    for key, value in zip(keys, values, strict=True):
        equation, total = row(seed, key, bins, slots), int.from_bytes(value, "little")
        while equation:
            low = (equation & -equation).bit_length() - 1
            if low not in pivots:
                pivots[low] = equation, total
                break
            equation, total = equation ^ pivots[low][0], total ^ pivots[low][1]
        else:
            return None
    solution = [0] * columns(bins, slots)
    for low in sorted(pivots, reverse=True):
        equation, total = pivots[low]
        solution[low] = functools.reduce(int.__xor__, _chosen(equation, solution), total)
    return [x.to_bytes(16, "little") for x in solution]


def decode(seed: bytes, key: bytes, store: list[bytes], bins: int, slots: int) -> bytes:
    chosen = _chosen(row(seed, key, bins, slots), [int.from_bytes(x, "little") for x in store])
    return functools.reduce(int.__xor__, chosen, 0).to_bytes(16, "little")


def _chosen(equation: int, solution: list[int]) -> list[int]:
    return [solution[c] for c in range(equation.bit_length()) if equation >> c & 1]


def failure_of_one_slot(n: int) -> float:
    """The chance that n uniform rows of one band are dependent: no bound but the value."""
    width = BAND * BLOCK
    independent = math.prod(1 - 2.0 ** (i - width) for i in range(n))
    return 1 - independent


def log2_failure_bound(n: int, slots: int) -> float:
    """Base-2 logarithm of an upper bound on the chance that encoding n keys fails, `slots` of all bins together.

    docs/decisions/0010 proves it for every c and every t between 0 and theta, at most log 2. The best of a grid is
    taken.
    """
    rate = n / (BLOCK * slots) * (1 + slots / 2**32)
    if rate >= 1:
        return 0.0
    theta = _root(rate)
    width, best = (BAND - 1) * BLOCK, math.inf
    for c in (x / 2 for x in range(80)):
        hit = theta * (c - width)
        for k in range(1, 40):
            t = min(theta, math.log(2)) - k / (8 * width)
            if t <= 0:
                break
            ratio = math.exp(BLOCK * (rate * math.expm1(t) - t))
            rest = -t * width + math.log(ratio / (1 - ratio)) - (math.log(2) - t) * c
            best = min(best, max(hit, rest) + math.log1p(math.exp(-abs(hit - rest))))
    return 1 + math.log2(slots) + best / math.log(2)


def _root(rate: float) -> float:
    """The positive theta with rate (e^theta - 1) = theta."""
    low, high = 0.0, 64.0
    while high - low > 1e-13 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if rate * math.expm1(middle) < middle else (low, middle)
    return low


def failure_of_poisson_keys(mean: float, bins: int, slots: int) -> float:
    """The chance that encoding fails when the number of keys is Poisson with this mean: no bound but the value.

    Follows q, the number of pivots beyond the slots done so far. The i-th of a slot's keys depends on the others with
    chance 2^(q + i - width); if none does, of the Q pivots then pending a block takes as many as a uniform Q x 32
    matrix has rank. Pivots that fail are not followed, so this holds up to the square of the result.
    """
    width, rate = BAND * BLOCK, mean / (bins * slots)
    most = int(rate + 12 * math.sqrt(rate) + 20)
    arrivals = [math.exp(k * math.log(rate) - rate - math.lgamma(k + 1)) for k in range(most)]
    rank = _rank_table(width + 1)
    step, failure = np.zeros((width + 1, width + 1)), np.zeros(width + 1)
    for q in range(width + 1):
        survival = 0.0  # logarithm
        for k in range(most):
            total = q + k
            failure[q] += arrivals[k] * (1.0 if total > width else -math.expm1(survival))
            if total <= width:
                step[q] += arrivals[k] * math.exp(survival) * rank[total]
                survival += math.log1p(-(2.0 ** (total - width))) if total < width else -math.inf
    state, failed = np.zeros(width + 1), 0.0
    state[0] = 1
    for _ in range(slots):
        failed += float(state @ failure)
        state = state @ step
    return -math.expm1(bins * math.log1p(-failed))


def _rank_table(rows: int) -> NDArray[np.float64]:
    """[Q, q]: the chance that a uniform Q x 32 matrix over GF(2) has rank Q - q."""
    table = np.zeros((rows, rows))
    chance = np.zeros(BLOCK + 1)
    chance[0] = 1
    for total in range(rows):
        for rank in range(min(total, BLOCK) + 1):
            table[total, total - rank] = chance[rank]
        inside = 2.0 ** (np.arange(BLOCK + 1) - BLOCK)
        chance = chance * inside + np.concatenate(([0.0], (chance * (1 - inside))[:-1]))
    return table


def inside_interval(failures: int, runs: int, chance: float, confidence: float = 0.999) -> bool:
    """Whether the Clopper-Pearson interval of a measured rate holds a chance: neither binomial tail is too thin."""

    def logarithm(k: int) -> float:
        ways = math.lgamma(runs + 1) - math.lgamma(k + 1) - math.lgamma(runs - k + 1)
        return ways + k * math.log(chance) + (runs - k) * math.log1p(-chance)

    thin = (1 - confidence) / 2
    at_most = math.fsum(math.exp(logarithm(k)) for k in range(failures + 1))
    at_least = math.fsum(math.exp(logarithm(k)) for k in range(failures, runs + 1))
    return at_most > thin and at_least > thin
