"""The cleartext twins: the same models on pooled columns, in one process. The definition of what the protocols compute."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fusion.learning.families import Family, Sums

__all__ = ["Pooled"]

Floats = npt.NDArray[np.float64]


class Pooled:
    """The objective of a generalised linear model over pooled columns; see `fusion.learning.objective.Objective`.

    Parameters
    ----------
    x : (n, k) floats
        All columns, standardised, the intercept's among them.
    intercept : int or None
        Which column is the intercept's.
    y, offset, weight : (n,) floats
    """

    noise = 1e-12

    def __init__(
        self, family: Family, x: Floats, y: Floats, offset: Floats, weight: Floats, intercept: int | None
    ) -> None:
        self.rows, self.columns = x.shape
        self.weights = float(weight.sum())
        self.intercept = intercept
        self._family, self._x, self._y, self._offset, self._weight = family, x, y, offset, weight

    def gram(self) -> Floats:
        gram: Floats = self._x.T @ self._x
        return gram

    def evaluate(self, beta: Floats) -> tuple[float, Floats]:
        p, w, y = self._family.power, self._weight, self._y
        z = self._x @ beta + self._offset
        if p == 0:
            return float(w @ (y - z) ** 2) / 2, self._x.T @ (w * (z - y))
        means, labels = w * np.exp((2 - p) * z), w * y * np.exp((1 - p) * z)
        loss = self._family.loss(Sums(means.sum(), labels.sum()), float(w @ z), float(w @ (y * z)))
        return loss, self._x.T @ (means - labels)

    def fisher(self, beta: Floats) -> tuple[Floats, float]:
        p, w, y = self._family.power, self._weight, self._y
        z = self._x @ beta + self._offset
        mean = z if p == 0 else np.exp(z)
        information = self._x.T @ (self._x * (w if p == 0 else w * mean ** (2 - p))[:, None])
        return information, float(w @ ((y - mean) ** 2 / (1.0 if p == 0 else mean**p)))
