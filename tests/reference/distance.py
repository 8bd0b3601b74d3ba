"""How likely a randomly drawn code of `fusion.kernels.code` has a word of low weight: the sum in docs/decisions/0011.

Exact up to the bounds named there, with logarithms to base 2; time grows with n^3, so for short codes only.
"""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
SIDE = 16


@functools.cache
def log_factorials(n: int) -> Array:
    return np.concatenate([[0.0], np.cumsum(np.log2(np.arange(1, n + 1)))])


def choose(n: int, a: object, b: object) -> Array:
    """log2 of binomial coefficients a over b, for a up to n; minus infinity where there is none."""
    top, bottom = np.broadcast_arrays(np.asarray(a), np.asarray(b))
    possible = (bottom >= 0) & (bottom <= top)
    top, bottom = np.where(possible, top, 0), np.where(possible, bottom, 0)
    table = log_factorials(n)
    return np.where(possible, table[top] - table[bottom] - table[top - bottom], -np.inf)


def add_up(terms: Array, axis: int) -> Array:
    largest = np.max(terms, axis=axis, keepdims=True)
    largest = np.where(np.isfinite(largest), largest, 0)
    with np.errstate(divide="ignore"):
        return (np.log2(np.sum(np.exp2(terms - largest), axis=axis, keepdims=True)) + largest).squeeze(axis)


def accumulator(n: int, price: float) -> Array:
    """[w, h]: log2 of the expected 2^(-price * endings) over the ways a word of weight w becomes one of weight h.

    A word of weight h is a number of runs; a run that stops before the end does so by one equation over the field.
    """
    weights, out = np.arange(n + 1)[:, None], np.full((n + 1, n + 1), -np.inf)
    for h in range(1, n + 1):
        runs = np.arange(1, h + 1)[None, :]
        for last_reaches_end in (0, 1):
            endings = runs - last_reaches_end
            changes_within = weights - runs - endings
            ways = choose(n, h - 1, runs - 1) + choose(n, n - h, endings) + choose(n, h - runs, changes_within)
            out[:, h] = np.logaddexp2(out[:, h], add_up(ways - price * endings, 1))
    return out - choose(n, n, weights)


def failure(n: int, distance: float, price: float = 6.0) -> float:
    """log2 of a bound on the probability that some word of the code has weight at most distance * n."""
    blocks, weights = n // (2 * SIDE), np.arange(n + 1)
    words = np.full(n + 1, -np.inf)
    for b in range(1, blocks + 1):
        ways = choose(n, blocks, b) + choose(n, 2 * SIDE * b, weights) + price * (weights - SIDE * b - 1)
        words = np.logaddexp2(words, np.where(weights > SIDE * b + b - 1, ways, -np.inf))
    step = accumulator(n, price)
    for _ in range(2):
        words = add_up(words[:, None] + step, 0)
    return float(add_up(words[1 : int(distance * n) + 1], 0))
