"""Exact noise on whole numbers, whole columns at a time; also in shares of several parties that add up to it.

Everything is decided by uniform whole numbers, without a logarithm or a float. Probabilities in tables have 128 bits,
and tails beyond exp(-87) are cut; either changes a value with a probability below 2^-110.

References: C. Canonne, G. Kamath, T. Steinke, "The Discrete Gaussian for Differential Privacy" (NeurIPS 2020),
algorithms 1 to 3. S. Goryczka, L. Xiong, "A Comprehensive Comparison of Multiparty Secure Additions with Differential
Privacy" (IEEE TDSC 2017), for shares of Laplace noise. J. Kingman, "Poisson Processes" (1993), for how the points of
one are thinned and added up.
"""

from __future__ import annotations

import decimal
import functools
import os

import numpy as np
import numpy.typing as npt
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from fusion.crypto.random import Source
from fusion.errors import InputError

__all__ = ["MOST_SCALE", "gaussian_noise", "laplace_share"]

Integers = npt.NDArray[np.int64]
Truths = npt.NDArray[np.bool_]

MOST_SCALE = 1 << 27
"""The largest scale: squares of what can come of it fit 63 bits."""

_CUT = 100  # exp(-100) is below 2^-144
_PART = 1 << 18  # candidates at a time


def gaussian_noise(size: int, *, scale: int, source: Source = os.urandom) -> Integers:
    """Discrete Gaussian noise: P(k) proportional to exp(-k^2 / (2 scale^2)).

    Parameters
    ----------
    size : int
        How many.
    scale : int
        Its standard deviation but for rounding, 1 to 2^27.
    source : callable
        Number of bytes -> that many uniform bytes; 32 are taken.

    Returns
    -------
    (size,) int64
    """
    bits = _Bits(source)
    scale = _checked(size, scale)
    found = [np.empty(0, np.int64)]
    missing = size
    while missing > 0:
        # of the candidates, two in five are kept
        laplace = _laplace(bits, scale, min(_PART, 3 * missing + 64))
        # beyond 15 the exponent is over 98, and nothing is kept
        laplace = laplace[np.abs(laplace) < 15 * scale]
        kept = laplace[_exp_of(bits, (np.abs(laplace) - scale) ** 2, 2 * scale * scale)]
        found.append(kept[:missing])
        missing -= len(found[-1])
    return np.concatenate(found)


def laplace_share(size: int, *, scale: int, parties: int, source: Source = os.urandom) -> Integers:
    """One party's share of discrete Laplace noise: the sum of ``parties`` of them has P(k) ~ exp(-|k| / scale).

    With more shares there is more noise. One party alone makes the whole.

    Parameters
    ----------
    size : int
        How many.
    scale : int
        1 to 2^27.
    parties : int
        How many shares make the noise, at least 1.
    source : callable
        Number of bytes -> that many uniform bytes; 32 are taken.

    Returns
    -------
    (size,) int64

    Notes
    -----
    Discrete Laplace noise is the difference of two geometric variables. Each is the sum of the points of a Poisson
    process on the whole numbers with intensity exp(-k / scale) / k, as the logarithm of its generating function shows;
    so a share is that of a process with the intensity divided by the number of parties. Candidates come from a larger
    intensity, 2^-b on the numbers of b + 1 bits, and each is kept with the quotient of the two.
    """
    bits = _Bits(source)
    scale = _checked(size, scale)
    if parties < 1:
        raise InputError("noise is shared by at least one party")
    blocks = (2 * _CUT * scale).bit_length()
    out = np.zeros(size, np.int64)
    # two signs, `blocks` intervals, one candidate in each on average, divided by the parties
    left = _poisson(bits, 2 * blocks * size, parties)
    while left > 0:
        count = min(left, _PART)
        left -= count
        place = bits.below(size, count)
        low = np.int64(1) << bits.below(blocks, count)
        value = low + (bits.words(count) & (low - 1))
        keep = np.flatnonzero(_quotient(bits, low, value))
        place, value = place[keep], value[keep]
        keep = np.flatnonzero(_exp_of(bits, value, scale))
        place, value = place[keep], value[keep]
        np.add.at(out, place, np.where(bits.words(len(value)) & 1, value, -value))
    return out


class _Bits:
    """Uniform words, from the key stream of AES-256 under a fresh key."""

    def __init__(self, source: Source) -> None:
        self._stream = Cipher(algorithms.AES(source(32)), modes.CTR(bytes(16))).encryptor()

    def words(self, count: int) -> Integers:
        """Uniform in 0 to 2^63 - 1."""
        return np.frombuffer(self._stream.update(bytes(8 * count)), "<i8") & np.int64((1 << 63) - 1)

    def below(self, most: int, count: int) -> Integers:
        """Uniform in 0 to ``most - 1``."""
        mask = np.int64((1 << (most - 1).bit_length()) - 1)
        out = self.words(count) & mask
        wrong = np.flatnonzero(out >= most)
        while len(wrong):
            out[wrong] = self.words(len(wrong)) & mask
            wrong = wrong[out[wrong] >= most]
        return out

    def ranks(self, table: tuple[int, ...], count: int) -> Integers:
        """How many entries of an ascending table of 126-bit numbers are at most a uniform one."""
        high, low = self.words(count), self.words(count)
        heads = np.array([entry >> 63 for entry in table], np.int64)
        out = np.searchsorted(heads, high, side="left").astype(np.int64)
        # where the upper halves are equal the lower ones decide
        for place in np.flatnonzero(np.searchsorted(heads, high, side="right") > out):
            value = (int(high[place]) << 63) | int(low[place])
            out[place] = sum(entry <= value for entry in table)
        return out


def _checked(size: int, scale: int) -> int:
    if size < 0 or not 1 <= scale <= MOST_SCALE:
        raise InputError(f"the scale of noise is a whole number from 1 to {MOST_SCALE}")
    return int(scale)


def _laplace(bits: _Bits, scale: int, candidates: int) -> Integers:
    """Discrete Laplace noise, some two of it for three candidates."""
    rest = bits.below(scale, candidates)
    rest = rest[_exp_below_one(bits, rest, scale)]
    value = rest + scale * bits.ranks(_exp_table(), len(rest))
    sign = bits.words(len(value)) & 1
    keep = (value > 0) | (sign == 0)  # zero has one sign
    return np.asarray(np.where(sign, -value, value)[keep], np.int64)


def _exp_of(bits: _Bits, above: Integers, below: int) -> Truths:
    """True with probability exp(-above / below)."""
    # exp(-n) for the whole part, and the rest if that came out true
    out = bits.ranks(_exp_table(), len(above)) >= above // below
    left = np.flatnonzero(out)
    out[left] = _exp_below_one(bits, above[left] % below, below)
    return out


def _exp_below_one(bits: _Bits, above: Integers, below: int) -> Truths:
    """True with probability exp(-above / below) for quotients up to one, by the parity of a run of trials."""
    out = np.ones(len(above), np.bool_)
    active = np.arange(len(above))
    turn = 1
    while len(active):
        # the k-th trial succeeds with probability above / (k below); an even number of successes is a yes
        active = active[bits.below(turn * below, len(active)) < above[active]]
        out[active] = ~out[active]
        turn += 1
    return out


def _quotient(bits: _Bits, low: Integers, value: Integers) -> Truths:
    """True with probability ``low / value`` where low is a power of two and value below twice that."""
    drawn = bits.words(len(low)) & (2 * low - 1)
    again = np.flatnonzero(drawn >= value)
    while len(again):
        drawn[again] = bits.words(len(again)) & (2 * low[again] - 1)
        again = again[drawn[again] >= value[again]]
    return np.asarray(drawn < low)


def _poisson(bits: _Bits, above: int, below: int) -> int:
    """One Poisson variable of mean ``above / below``."""
    whole, rest = divmod(above, below)
    large, small = divmod(whole, 64)
    total = int(bits.ranks(_poisson_table(64), large).sum() + bits.ranks(_poisson_table(1), small).sum())
    # of the points of a process with mean one, each stays with the probability of the fraction
    points = int(bits.ranks(_poisson_table(1), 1)[0])
    return total + int((bits.below(below, points) < rest).sum())


@functools.cache
def _exp_table() -> tuple[int, ...]:
    """P(V < v) for v from 1, as numbers of 126 bits, where P(V >= v) = exp(-v)."""
    with decimal.localcontext(prec=80):
        unit = decimal.Decimal(1 << 126)
        return tuple(int(unit * (1 - decimal.Decimal(-v).exp())) for v in range(1, _CUT))


@functools.cache
def _poisson_table(mean: int) -> tuple[int, ...]:
    """P(V < v) for v from 1, as numbers of 126 bits."""
    with decimal.localcontext(prec=80):
        unit = decimal.Decimal(1 << 126)
        term = total = decimal.Decimal(-mean).exp()
        table = [int(unit * total)]
        for v in range(1, 2 * mean + 60 + 8 * mean):
            term = term * mean / v
            total += term
            table.append(int(unit * total))
            if table[-1] == table[-2] and v > mean:
                break
        return tuple(table[:-1])
