"""Families of generalised linear models, written in the sums that two parties can compute together.

With a log link, the mean of a row is ``exp(a + b)``, a the feature party's part of the linear predictor and b the label
party's, offset included. Everything that fitting needs is then a sum over rows of a product of a value of one party and
a value of the other; `Sums` holds those that give loss, deviance and dispersion.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fusion.errors import InputError

__all__ = ["FAMILIES", "Family", "Sums"]

Floats = npt.NDArray[np.float64]

FAMILIES = ("gaussian", "poisson", "gamma", "tweedie")


@dataclass(frozen=True, slots=True)
class Sums:
    """Weighted sums over the rows, w the weights and m the means.

    Attributes
    ----------
    means : float
        Sum of w m^(2-p).
    labels : float
        Sum of w y m^(1-p).
    """

    means: float
    labels: float


@dataclass(frozen=True, slots=True)
class Family:
    """A family with variance proportional to a power of the mean.

    Attributes
    ----------
    name : str
    power : float
        0 Gaussian (identity link), 1 Poisson, 2 Gamma, between 1 and 2 Tweedie (log link).
    """

    name: str
    power: float

    @classmethod
    def of(cls, name: str, power: float | None) -> Family:
        """The family of that name; ``power`` for ``"tweedie"`` only.

        Raises
        ------
        InputError
            On an unknown name, or a power that is missing, superfluous or not strictly between 1 and 2.
        """
        powers = {"gaussian": 0.0, "poisson": 1.0, "gamma": 2.0}
        if name == "tweedie":
            if power is None or not 1 < power < 2:
                raise InputError("family='tweedie' needs a power strictly between 1 and 2, such as power=1.5")
            return cls(name, float(power))
        if name not in FAMILIES:
            raise InputError(f"no family {name!r}; there is {', '.join(FAMILIES)}")
        if power is not None:
            raise InputError(f"power is for family='tweedie', not for {name!r}; leave it out")
        return cls(name, powers[name])

    def check(self, y: Floats, weight: Floats) -> None:
        """Raise InputError when labels lie outside the family's range, or leave nothing to fit."""
        counted = y[weight > 0]
        if self.power == 0:
            if np.ptp(counted) == 0:
                raise InputError("all labels are equal, so there is nothing to fit")
            return
        low = "above 0" if self.power == 2 else "0 or more"
        if (y < 0).any() or (self.power == 2 and (y == 0).any()):
            raise InputError(f"labels of family {self.name!r} must be {low}")
        if not counted.any():
            raise InputError("all labels are 0, so there is nothing to fit")

    @property
    def dispersed(self) -> bool:
        """Whether the dispersion is estimated; for the Poisson family it is 1."""
        return self.power != 1

    def loss(self, sums: Sums, linear: float, labels_linear: float) -> float:
        """Half the deviance, up to a constant of the labels.

        Parameters
        ----------
        sums : Sums
        linear : float
            Sum of w z over the linear predictors z; used where the power is 2.
        labels_linear : float
            Sum of w y z; used where the power is 1.
        """
        if self.power == 1:
            return sums.means - labels_linear
        if self.power == 2:
            return linear + sums.labels
        return sums.means / (2 - self.power) - sums.labels / (1 - self.power)

    def constant(self, y: Floats, weight: Floats) -> float:
        """What `loss` leaves out: half the deviance is the loss plus this."""
        p = self.power
        if p == 1:
            positive = y > 0
            logs = np.log(y, where=positive, out=np.zeros_like(y))
            return float(weight @ (y * logs - y))
        if p == 2:
            return float(weight @ (-np.log(y) - 1))
        return float(weight @ (y ** (2 - p))) / ((1 - p) * (2 - p))

    def start(self, y: Floats, offset: Floats, weight: Floats) -> float:
        """The intercept with which one rate for everybody fits best."""
        if self.power == 0:
            return float(np.average(y - offset, weights=weight))
        # the mean equation sum w (y - m) m^(1-p) = 0 with m = exp(c + offset)
        scaled = np.exp((1 - self.power) * offset) * weight
        return math.log(float(scaled @ y) / float(scaled @ np.exp(offset)))
