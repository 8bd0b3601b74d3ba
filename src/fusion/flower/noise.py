"""Noise for whole runs: how much each round gets, who adds it, and what has been spent."""

from __future__ import annotations

import functools
import math
import os
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from fusion.crypto.random import Source
from fusion.disclosure.noise import gaussian_epsilon, gaussian_scale
from fusion.disclosure.samplers import MOST_SCALE, gaussian_noise, laplace_share
from fusion.errors import InputError

__all__ = ["Amount", "Noise"]

_UNIT = 1 << 20  # scales are found for this sensitivity; they grow with it
_TAIL_GAUSSIAN, _TAIL_LAPLACE = 12, 60  # beyond it, in scales, a value has a probability below 2^-85
_LEAST_STEPS = 1 << 10
_LEAST_SCALE = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """Noise on the sums of a run, and what it is to hide: everything that one client contributes, in all its rounds.

    Attributes
    ----------
    epsilon : float
        For the whole run. Greater than 0, at most 100.
    delta : float or None
        None for discrete Laplace noise; updates are then clipped in the sum of magnitudes. Between 0 and 1 for discrete
        Gaussian noise, and updates clipped in the Euclidean norm.
    by : str
        ``"clients"``: each adds a share, and those of the clients that do not work with the server make it whole. The
        server sees noisy sums only. ``"server"``: it adds the noise to the exact sums that it sees. That protects
        against whoever gets the models, and **not against the server**.

    Notes
    -----
    Epsilon compares a run with one in which a client's updates and metrics are all zero. Who took part, who refused
    and why is not covered, nor are other runs: each spends its own epsilon.

    With ``by="clients"`` it holds against the server and ``colluding`` clients, since of every sum's ``threshold``
    terms at least ``threshold - colluding`` come from others, and so many shares make the noise whole; further ones
    add to it. Laplace shares sum to discrete Laplace noise exactly. Discrete Gaussian shares do so up to a factor of
    exp(t) in each probability, t = 10 sum exp(-2 pi^2 s^2 k / (k + 1)) over k from 1 to the number of shares less one
    (Kairouz, Liu, Steinke, "The Distributed Discrete Gaussian Mechanism", ICML 2021); at the standard deviation s of
    8 or more that is allowed here, t is below 10^-260, and left out. Rounds compose by concentrated differential
    privacy, as OpenDP computes it, or, for Laplace noise, by adding up.
    """

    epsilon: float
    delta: float | None = None
    by: str = "clients"

    def __post_init__(self) -> None:
        if self.by not in ("clients", "server"):
            raise InputError('noise is added by "clients" or by "server"')
        if isinstance(self.epsilon, bool) or not 0 < self.epsilon <= 100:
            raise InputError("epsilon lies between 0 and 100, and hides little above 10")
        if self.delta is not None and not 0 < self.delta < 1:
            raise InputError("delta lies between 0 and 1; leave it out for Laplace noise")
        # 1 and 1.0 are one epsilon, in its encoding too
        object.__setattr__(self, "epsilon", float(self.epsilon))

    def amount(self, limit: int, *, parts: int, rounds: int, honest: int) -> Amount:
        """How much there is in each round.

        Parameters
        ----------
        limit : int
            The largest whole number that a client may send for one value.
        parts : int
            What a client contributes: its update, clipped, and each metric, clipped to as much.
        rounds : int
            Of the run.
        honest : int
            Clients in every sum that add their shares as they should.

        Raises
        ------
        InputError
            If the noise is too much for the numbers, or OpenDP is missing.
        """
        holders = honest if self.by == "clients" else 1
        per_unit = self._scale_for(parts, rounds)
        steps = limit
        if self.by == "clients":
            # a share of Laplace noise is long in the tail whatever the number of holders
            tail = _TAIL_LAPLACE * per_unit if self.delta is None else _TAIL_GAUSSIAN * per_unit / math.sqrt(holders)
            steps = int((limit - 2 * _TAIL_LAPLACE) / (1 + tail))
        steps = min(steps, int(MOST_SCALE / per_unit) - 1)
        if steps < _LEAST_STEPS:
            raise InputError("this epsilon needs more noise than the sums can hold; take more, or fewer rounds")
        # a power of two: all find the same, also where their searches for a scale end a little apart
        steps = 1 << (steps.bit_length() - 1)
        if self.delta is None:
            scale = math.ceil(parts * rounds * steps / Fraction(self.epsilon))
        else:
            scale = max(_LEAST_SCALE, math.ceil(per_unit * steps / math.sqrt(holders)))
        return Amount(self, steps, scale, parts, rounds, holders)

    def _scale_for(self, parts: int, rounds: int) -> float:
        """The scale of the noise of one round, for an update clipped to 1."""
        if self.delta is None:
            return parts * rounds / self.epsilon
        # an update and each metric have a length of 1, and so has every round
        return _scale_for_one(self.epsilon, self.delta) * math.sqrt(parts * rounds) * (1 + 2.0**-30)


@functools.lru_cache(maxsize=64)
def _scale_for_one(epsilon: float, delta: float) -> float:
    """The standard deviation for one release of length 1; found by a search, that no round needs to repeat."""
    return gaussian_scale(sensitivity=_UNIT, epsilon=epsilon, delta=delta) / _UNIT


@dataclass(frozen=True, slots=True)
class Amount:
    """The noise of every round of a run, in whole numbers.

    Attributes
    ----------
    noise : Noise
        What it is for.
    steps : int
        The whole number that stands for the clip.
    scale : int
        Of discrete Laplace noise, or the standard deviation of one holder's discrete Gaussian noise.
    parts, rounds : int
        What was asked for.
    holders : int
        How many shares make the noise whole.
    """

    noise: Noise
    steps: int
    scale: int
    parts: int
    rounds: int
    holders: int

    def share(self, size: int, source: Source = os.urandom) -> npt.NDArray[np.int64]:
        """What one holder adds in one round, (size,)."""
        if self.noise.delta is None:
            return laplace_share(size, scale=self.scale, parties=self.holders, source=source)
        return gaussian_noise(size, scale=self.scale, source=source)

    def spent(self, rounds: int) -> float:
        """The epsilon of so many rounds, at the delta that was asked for."""
        if rounds == 0:
            return 0.0
        if self.noise.delta is None:
            return rounds * self.parts * self.steps / self.scale
        return gaussian_epsilon(
            sensitivity=self.steps * math.sqrt(self.parts * rounds) * (1 + 2.0**-40),
            scale=self.scale * math.sqrt(self.holders) * (1 - 2.0**-40),
            delta=self.noise.delta,
        )
