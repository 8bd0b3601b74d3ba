"""The cleartext twins: the same models on pooled columns, in one process. They define what the protocols compute."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from fusion.errors import InputError
from fusion.learning.design import Design
from fusion.learning.families import Family, Sums
from fusion.learning.fitted import Fitted
from fusion.learning.glm import VerticalGLM
from fusion.learning.labels import Labels, offset_of
from fusion.learning.solving import solve

__all__ = ["GLM", "Pooled"]

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


class GLM(VerticalGLM):
    """`fusion.learning.VerticalGLM` fitted by somebody who sees the columns of both parties; same parameters.

    `parties` holds after a fit what each of them would hold; `coefficients`, `facts` and `summary` are the label
    party's.
    """

    parties: dict[str, VerticalGLM]

    def fit(  # type: ignore[override]
        self,
        X_parts: Mapping[str, Any],
        y: Any,
        *,
        label: str,
        exposure: Any = None,
        offset: Any = None,
        weight: Any = None,
    ) -> GLM:
        """Fit.

        Parameters
        ----------
        X_parts : mapping
            For each of two parties its columns; row i of both belong together.
        y, exposure, offset, weight
            As for `VerticalGLM.fit`.
        label : str
            The label party.

        Raises
        ------
        InputError
        """
        family = self._checked()
        if len(X_parts) != 2 or label not in X_parts:
            raise InputError("X_parts must name two parties, the label party among them")
        (feature,) = X_parts.keys() - {label}
        designs = {party: Design.fit(X, centre=bool(self.fit_intercept)) for party, X in X_parts.items()}
        (theirs, xa), (ours, xb) = designs[feature], designs[label]
        if len(xa) != len(xb):
            raise InputError(f"{feature} has {len(xa)} rows, {label} {len(xb)}; they must be the same")
        self._check_counts(len(xb), xb.shape[1] + bool(self.fit_intercept), xa.shape[1])
        labels = Labels.of(family, y, exposure, offset, weight, len(xb))
        x = np.column_stack([xa, xb, *([np.ones(len(xb))] if self.fit_intercept else [])])
        intercept = x.shape[1] - 1 if self.fit_intercept else None
        objective = Pooled(family, x, labels.y, labels.offset, labels.weight, intercept)
        names = [f"{feature}[{i}]" for i in range(xa.shape[1])] + [column.name for column in ours.columns]
        found = solve(
            family,
            objective,
            labels,
            names,
            ridge=self.ridge,
            tolerance=self.tolerance,
            rounds=int(self.max_rounds),
        )
        own = Fitted.of_labels(feature, "", family, self.ridge, ours, found, labels, intercept=bool(self.fit_intercept))
        told = np.concatenate([own.theirs, own.their_errors])
        other = Fitted.of_features(label, "", family, self.ridge, theirs, told, len(xb))
        self.parties = {}
        for party, half in ((label, own), (feature, other)):
            self.parties[party] = VerticalGLM(**self.get_params())
            self.parties[party]._fitted = half
        self._fitted = own
        return self

    def predict(  # type: ignore[override]
        self, X_parts: Mapping[str, Any], *, exposure: Any = None, offset: Any = None
    ) -> Floats:
        """Predicted means, (n,): what the label party of `VerticalGLM.predict` gets."""
        fitted = self._known()
        if X_parts.keys() != self.parties.keys():
            raise InputError(f"X_parts must name {' and '.join(self.parties)}")
        z: Floats = np.asarray(fitted.intercept or 0.0)
        for party, X in X_parts.items():
            half = self.parties[party]._known()
            z = z + half.design.apply(X) @ half.own
        z = z + offset_of(fitted.family, exposure, offset, len(z))
        return np.exp(z) if fitted.family.power else z
