"""The cleartext twins: the same models on pooled columns, in one process. They define what the protocols compute."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from fusion.errors import InputError
from fusion.learning.descent import Columns, Plan, Targets, prepare
from fusion.learning.design import Design
from fusion.learning.estimator import VerticalEstimator
from fusion.learning.families import Family, Sums
from fusion.learning.glm import VerticalGLM
from fusion.learning.glm_half import GLMHalf
from fusion.learning.labels import Labels, binary_labels, offset_of, row_weights
from fusion.learning.logistic import VerticalLogistic, probabilities
from fusion.learning.logistic_half import LogisticHalf
from fusion.learning.solving import solve
from fusion.learning.training import Found, best_epoch, stops

__all__ = ["GLM", "Logistic", "Pooled", "descend"]

Floats = npt.NDArray[np.float64]
E = TypeVar("E", bound=VerticalEstimator[Any])


def _columns(
    X_parts: Mapping[str, Any], label: str, *, centre: bool = True
) -> tuple[str, tuple[Design, Floats], tuple[Design, Floats]]:
    """The feature party's name, and designs with columns: its own, and the label party's."""
    if len(X_parts) != 2 or label not in X_parts:
        raise InputError("X_parts must name two parties, the label party among them")
    (feature,) = X_parts.keys() - {label}
    theirs, ours = (Design.fit(X_parts[party], centre=centre) for party in (feature, label))
    if len(theirs[1]) != len(ours[1]):
        raise InputError(f"{feature} has {len(theirs[1])} rows, {label} {len(ours[1])}; they must be the same")
    theirs[0].check_common(theirs[1])
    return feature, theirs, ours


def _holding(model: E, half: Any) -> E:
    """A model of one party."""
    model._half = half
    return model


def _linear(parties: Mapping[str, VerticalEstimator[Any]], X_parts: Mapping[str, Any]) -> Floats:
    """The linear predictor of both parties' columns."""
    if X_parts.keys() != parties.keys():
        raise InputError(f"X_parts must name {' and '.join(parties)}")
    return np.asarray(sum(parties[party]._known().linear(X) for party, X in X_parts.items()))


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
        feature, (theirs, xa), (ours, xb) = _columns(X_parts, label, centre=bool(self.fit_intercept))
        labels = Labels.of(family, y, exposure, offset, weight, len(xb))
        for rows in (xb, xb[labels.weight > 0]):
            ours.check_common(rows)
        self._check_counts(labels.rows, xb.shape[1] + bool(self.fit_intercept), xa.shape[1])
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
        intercept_too = bool(self.fit_intercept)
        own = GLMHalf.of_labels(feature, "", family, self.ridge, ours, found, labels, intercept=intercept_too)
        told = np.concatenate([own.theirs, own.their_errors])
        other = GLMHalf.of_features(label, "", family, self.ridge, theirs, told, len(xb))
        self.parties = {
            party: _holding(VerticalGLM(**self.get_params()), half) for party, half in ((label, own), (feature, other))
        }
        return _holding(self, own)

    def predict(  # type: ignore[override]
        self, X_parts: Mapping[str, Any], *, exposure: Any = None, offset: Any = None
    ) -> Floats:
        """Predicted means, (n,): what the label party of `VerticalGLM.predict` gets."""
        half = self._known()
        z = _linear(self.parties, X_parts)
        z = z + offset_of(half.kind, exposure, offset, len(z))
        return np.exp(z) if half.power else z


def descend(
    plan: Plan,
    feature: Columns,
    label: Columns,
    targets: Targets,
    *,
    epochs: int,
    patience: int,
    function: Callable[[Floats], Floats] = probabilities,
) -> tuple[Found, Found]:
    """What `fusion.learning.training.train` computes on both sides, from pooled columns; ``function`` is the logistic.

    Returns
    -------
    Found, Found
        The feature party's and the label party's.
    """
    split, y, weight = feature.x.shape[1], targets.y, targets.weight
    x = np.column_stack([feature.x, label.x])
    beta = np.zeros(x.shape[1])
    start = float(np.average(y, weights=weight))
    beta[-1] = np.log(start / (1 - start)) / label.back[-1, -1]
    sums, losses = [np.zeros_like(beta)], list[float]()

    def model(epoch: int) -> Floats:
        early = epoch // 2
        found: Floats = (sums[epoch] - sums[early]) / ((epoch - early) * plan.batches)
        return found

    while len(sums) <= epochs and not (losses and stops(losses, patience)):
        total = sums[-1].copy()
        for batch in plan.epoch(len(sums) - 1):
            residuals = weight[batch] * (function(x[batch] @ beta) - y[batch])
            ridge = np.concatenate([feature.penalty @ beta[:split], label.penalty @ beta[split:]])
            beta = beta - plan.rate * (x[batch].T @ residuals / plan.mean + ridge)
            total += beta
        sums.append(total)
        if plan.held:
            held = np.concatenate(plan.held_out())
            z = x[held] @ model(len(sums) - 1)
            losses.append(float(np.average(np.logaddexp(0, z) - y[held] * z, weights=weight[held])))
    last = len(sums) - 1
    taken = best_epoch(losses) if losses else last
    found = model(taken)
    return (
        Found(feature.back @ found[:split], last, taken, []),
        Found(label.back @ found[split:], last, taken, losses),
    )


class Logistic(VerticalLogistic):
    """`fusion.learning.VerticalLogistic` fitted by somebody who sees the columns of both parties; same parameters.

    `parties` holds after a fit what each of them would hold; `coefficients`, `history`, `facts` and `summary` are the
    label party's. Rows come in an order of their own, so that a fit of both differs by the noise of batches.
    """

    parties: dict[str, VerticalLogistic]

    def fit(  # type: ignore[override]
        self, X_parts: Mapping[str, Any], y: Any, *, label: str, weight: Any = None
    ) -> Logistic:
        """Fit.

        Parameters
        ----------
        X_parts : mapping
            For each of two parties its columns; row i of both belong together.
        y, weight
            As for `VerticalLogistic.fit`.
        label : str
            The label party.

        Raises
        ------
        InputError
        """
        self._checked()
        feature, (theirs, xa), (ours, xb) = _columns(X_parts, label)
        plan = self._plan(len(xb), b"ideal")
        labels = binary_labels(y, len(xb))
        targets = Targets(labels, row_weights(labels, weight, self.class_weight))
        self._check_labels(targets)
        self._check_counts(plan, xb.shape[1] + 1, xa.shape[1], targets.weight)
        halves = [
            prepare(x, float(self.ridge), [column.name for column in design.columns], intercept=design is ours)
            for design, x in ((theirs, xa), (ours, xb))
        ]
        found = descend(
            plan, halves[0], halves[1], targets, epochs=self._most_epochs(plan), patience=int(self.patience)
        )
        self.parties = {
            party: _holding(
                VerticalLogistic(**self.get_params()), LogisticHalf.of(other, "", design, half, plan, its_targets)
            )
            for party, other, design, half, its_targets in (
                (feature, label, theirs, found[0], None),
                (label, feature, ours, found[1], targets),
            )
        }
        return _holding(self, self.parties[label]._known())

    def predict(self, X_parts: Mapping[str, Any]) -> Floats:  # type: ignore[override]
        """Probabilities of label 1, (n,): what the label party of `VerticalLogistic.predict` gets."""
        return probabilities(self.decision_function(X_parts))

    def decision_function(self, X_parts: Mapping[str, Any]) -> Floats:  # type: ignore[override]
        """The linear predictor, (n,)."""
        self._known()
        return _linear(self.parties, X_parts)
