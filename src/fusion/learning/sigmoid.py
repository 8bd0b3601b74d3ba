"""The logistic function as a short series of sines, for an argument that two parties share.

sin(k c (a + b)) = sin(k c a) cos(k c b) + cos(k c a) sin(k c b): each term is two products of what one party has and
what the other has. A series is periodic, so the parts a and b may be shares modulo its period, which tell nothing.

Odd multiples alone are symmetric about a quarter of the period, where the logistic function is flat. From there on the
series runs backwards: `reach` says how far it may be trusted.

Reference
    Least squares on Chebyshev's points, which comes near the best uniform approximation: Trefethen, Approximation
    Theory and Approximation Practice (SIAM 2013), chapter 10.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["DOMAIN", "TERMS", "Series", "logistic", "loss"]

Floats = npt.NDArray[np.float64]

DOMAIN = 8.0
"""Up to where, on both sides of 0, the series of the logistic function is within 2e-4."""

TERMS = 8
_POINTS = 4001
_FITTED = 9.0  # beyond, the logistic is symmetric about a quarter of the period
_LOSS_FITTED = 14.0  # the loss should still grow where rows are far out


@dataclass(frozen=True, slots=True)
class Series:
    """constant + sum of sines[i] sin(k[i] t) + cosines[i] cos(k[i] t), where t is 2 pi z / period.

    Attributes
    ----------
    multiples : (terms,) ints
        k.
    sines, cosines : (terms,) floats
    constant, period : float
    """

    multiples: npt.NDArray[np.int64]
    sines: Floats
    cosines: Floats
    constant: float
    period: float

    def __call__(self, z: Floats) -> Floats:
        """The value at each z, (n,)."""
        turned = np.exp(1j * np.outer(2 * np.pi * z / self.period, self.multiples))
        found: Floats = self.constant + turned.imag @ self.sines + turned.real @ self.cosines
        return found


@functools.cache
def logistic(period: float) -> Series:
    """1 / (1 + exp(-z)); the period should be about four times `DOMAIN`, and a little more."""
    z = _points(_FITTED)
    multiples = np.arange(1, 2 * TERMS, 2)
    sines = _fitted(np.sin(np.outer(2 * np.pi * z / period, multiples)), np.tanh(z / 2) / 2)
    return Series(multiples, sines, np.zeros(TERMS), 0.5, period)


@functools.cache
def loss(period: float) -> tuple[Series, Series]:
    """log(1 + exp(z)) - z / 2, which is even, and z / 2, which is odd, each in as many terms as the logistic."""
    z = _points(_LOSS_FITTED)
    multiples = np.arange(1, TERMS + 1)
    angles = np.outer(2 * np.pi * z / period, multiples)
    even = np.logaddexp(z / 2, -z / 2)
    cosines = _fitted(np.column_stack([np.cos(angles), np.ones(len(z))]), even)
    sines = _fitted(np.sin(angles), z / 2)
    nothing = np.zeros(TERMS)
    return (
        Series(multiples, nothing, cosines[:-1], float(cosines[-1]), period),
        Series(multiples, sines, nothing, 0.0, period),
    )


def _points(domain: float) -> Floats:
    """Chebyshev's points on both sides of 0."""
    found: Floats = domain * np.cos(np.pi * (np.arange(_POINTS) + 0.5) / _POINTS)
    return found


def _fitted(basis: Floats, values: Floats) -> Floats:
    """The coefficients of least squares; small ones where many will do."""
    return np.asarray(np.linalg.lstsq(basis, values, rcond=1e-3)[0], dtype=np.float64)
