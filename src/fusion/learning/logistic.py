"""`VerticalLogistic`: logistic regression over columns of two parties, trained on shares."""

from __future__ import annotations

import hashlib
import math
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from fusion.channel import Channel
from fusion.errors import InputError, PeerError
from fusion.learning.binding import Binding
from fusion.learning.descent import LARGEST_COLUMN, LARGEST_WEIGHT, Plan, Targets, check_batches, prepare
from fusion.learning.design import Design
from fusion.learning.estimator import VerticalEstimator
from fusion.learning.labels import binary_labels, check_same_rows, row_weights
from fusion.learning.logistic_half import LogisticHalf
from fusion.learning.training import train
from fusion.learning.vertical import one_channel, swap_numbers

__all__ = ["RangeWarning", "VerticalLogistic"]

Floats = npt.NDArray[np.float64]

# A coefficient is worth some 17 bits about labels: with 20 rows a column that is less than a bit for each label, and
# below some 300 rows what it is worth can be computed. docs/decisions/0022 has the count.
_ROWS_PER_COLUMN = 10
_ROWS_PER_THEIR_COLUMN = 20
_FEWEST_ROWS = 300
_FEWEST_HELD = 20
_FEWEST_LABELS = 10
_STEPS = 240
_FEWEST_EPOCHS = 8
_MOST_STEPS = 1 << 13
_MOST_BATCH = 4096
# Below, a step moves weights by so few of their last digits that how these were rounded tells labels of single rows;
# above, columns are so short that in a step all but a few rows are rounded to 0. docs/decisions/0022 has both.
LEAST_RATE = 1e-6
MOST_RIDGE = 1e3
_FAR = 12.0
_FARTHEST = 16.0


class RangeWarning(UserWarning):
    """Linear predictors may lie where the series of the logistic function is off by more than 2e-3."""


class VerticalLogistic(VerticalEstimator[LogisticHalf]):
    """Logistic regression with columns of two parties; one of them, the label party, also holds the labels.

    Both parties build it with the same parameters, and call `fit` on their own columns of the same rows in the same
    order, as `fusion.psi.intersect` returns them. Weights and residuals are shared between them all the while; in the
    end each learns the coefficients of its own columns, and what these say about the other side's data.

    Parameters
    ----------
    ridge : float
        Adds half of it times the squared standardised coefficients, intercept apart, to the mean loss; at most 1000.
    class_weight : "balanced", {0: number, 1: number} or None
        What rows of a label weigh; balanced lets both labels weigh the same in all.
    epochs : int, optional
        How often to go over the rows; None: for at least 240 steps, and at least 8 times.
    batch : int
        Most rows in a step, at most 4096.
    rate : float
        Length of a step, from 1e-6 to 2; columns are prepared so that 2 suits all data. Weights may need less.
    validation : float
        Share of the rows, below 0.5, held out to stop early; 0: none.
    patience : int
        With rows held out: stop when the loss on them has not fallen for so many epochs, and take the best model.

    Notes
    -----
    Columns are standardised by each party alone. Text and categorical columns get a column for each level but the most
    frequent, the base. `coefficients` are per unit of the party's own columns, with their odds ratios.

    The logistic function is a series of sines, within 2e-4 for linear predictors from -8 to 8 and 2e-3 from -12 to 12.
    A fit whose linear predictors may lie beyond 12 warns, and beyond 16 it is an error.

    Parameters are checked against the other side's in the opening. `get_params` and `set_params` are those of
    scikit-learn, and ``sklearn.base.clone`` works; ``Pipeline`` and ``GridSearchCV`` do not, as `fit` takes a channel.
    """

    _NAME = "VerticalLogistic"
    _OPERATION = "learning.logistic"
    _PARAMETERS = ("ridge", "class_weight", "epochs", "batch", "rate", "validation", "patience")
    _HALF = LogisticHalf

    def __init__(
        self,
        *,
        ridge: float = 1e-4,
        class_weight: str | Mapping[int, float] | None = None,
        epochs: int | None = None,
        batch: int = 1024,
        rate: float = 2.0,
        validation: float = 0.0,
        patience: int = 3,
    ) -> None:
        self.ridge = ridge
        self.class_weight = class_weight
        self.epochs = epochs
        self.batch = batch
        self.rate = rate
        self.validation = validation
        self.patience = patience

    def fit(
        self, peer: Channel, X: Any, y: Any = None, *, weight: Any = None, checkpoint: str | Path | None = None
    ) -> Self:
        """Fit with the other party. Both sides call this, the label party with ``y``.

        Parameters
        ----------
        peer : Channel
        X : pandas, polars or pyarrow table, or (n, k) array
            This party's columns; the label party may have none, as ``df[[]]``.
        y : (n,) numbers
            Labels, 0 or 1: the label party only, as are weights. A Series must have the index of X.
        weight : (n,) numbers, optional
            How much a row counts; only proportions matter.
        checkpoint : path, optional
            Where this party writes its shares after every epoch. If both parties have theirs the run goes on from
            there; the files are removed at the end.

        Raises
        ------
        InputError
            On columns or labels that cannot be used; with fewer rows to train on than 300, or than 20 for each column
            of the feature party and 10 for each of the label party; with fewer than 20 rows held out, if there are
            any, or fewer than 10 of a label, rows of weight 0 not counted; when a column of the feature party
            is the same in all but 9 rows or fewer; or when linear predictors may lie beyond 16.
        MismatchError
            When parameters, row counts or the order of rows differ.

        Warns
        -----
        RangeWarning, AlignmentWarning
        """
        channel = one_channel(peer)
        with channel.operation(f"{self._OPERATION}.fit"):
            self._checked()
            channel.phase("reading columns")
            design, x = Design.fit(X)
            targets = None
            if y is None:
                if weight is not None:
                    raise InputError("weight belongs to the label party, who passes y")
                design.check_common(x)
            else:
                check_same_rows(X, y=y, weight=weight)
                labels = binary_labels(y, len(x))
                targets = Targets(labels, row_weights(labels, weight, self.class_weight))
                self._check_labels(targets)
            met = self._meet(channel, X, x, label=targets is not None, constant=True)
            plan = self._plan(len(x), hashlib.sha256(b"fusion/learning/run/1/" + met.session).digest())
            if targets is None:
                self._check_counts(plan, met.theirs, x.shape[1], np.ones(len(x)))
            else:
                self._check_counts(plan, x.shape[1] + 1, met.theirs, targets.weight)
            names = [column.name for column in design.columns]
            columns = prepare(x, float(self.ridge), names, intercept=targets is not None)
            epochs = self._most_epochs(plan)
            check_batches(plan, columns.x, epochs, LARGEST_COLUMN, "columns")
            kept = None
            parts: tuple[Floats, ...] = ()
            if targets is not None:
                check_batches(plan, targets.weight[:, None], epochs, LARGEST_WEIGHT, "weights")
                parts = (targets.y, targets.weight)
            if checkpoint is not None:
                announced = repr((self._announced(), met.theirs, x.shape))
                kept = Path(checkpoint), Binding(met.order, announced, x, *parts)
            found = train(
                channel, plan, columns, met.theirs, targets, epochs=epochs, patience=int(self.patience), checkpoint=kept
            )
            design_columns = x if targets is None else np.column_stack([x, np.ones(len(x))])
            reach = math.ceil(float(np.abs(design_columns @ found.coefficients).max()))
            farthest = self._check_reach(channel, reach)
            self._part(channel, met.label, checkpoint)
            self._half = LogisticHalf.of(channel.peer, met.model, design, found, plan, targets)
        if farthest > _FAR:
            warnings.warn(
                f"linear predictors may lie as far out as {farthest:.0f}, and beyond {_FAR:.0f} the logistic function "
                "is off by more than 2e-3; raise ridge, or cap extreme values",
                RangeWarning,
                stacklevel=2,
            )
        return self

    def predict(self, peer: Channel, X: Any) -> Floats | None:
        """Predict probabilities of label 1 with the other party; the label party of the fit gets them, the other None.

        Parameters
        ----------
        peer : Channel
        X : DataFrame or (n, k) array
            This party's columns of the same rows as over there, in the same order.

        Raises
        ------
        InputError
            Before a fit, with another peer than in it, or on columns that the model cannot take.
        MismatchError
            When the other side's half is of another model, or its rows are not these.

        Notes
        -----
        One flight: the feature party sends its part of the linear predictor of every row, which the label party could
        compute from any prediction anyhow.
        """
        return self._predict(peer, X, probabilities)

    def decision_function(self, peer: Channel, X: Any) -> Floats | None:
        """The linear predictor, (n,), whose logistic function `predict` returns; the same otherwise."""
        return self._predict(peer, X, lambda z: z)

    @property
    def history(self) -> pd.DataFrame:
        """For the label party of a fit with validation: the mean loss on the rows held out after each epoch."""
        return self._known().history

    def leakage(self) -> dict[str, list[str]]:
        """What each side of a fit learns: sentences for the ``"label"`` and for the ``"feature"`` party."""
        both = [
            "how many columns and rows the other side has, how many epochs were run, and which the model is of",
            "the largest part of a linear predictor that is the other side's, rounded up to a whole number",
            "where the other side's checkpoint stands, if it has one",
        ]
        held = ["after every epoch, the mean loss on the rows held out"] if self.validation else []
        return {
            "label": ["its own coefficients and the intercept", *held, *both],
            "feature": [
                "its own coefficients, hence sums of labels over its columns if the other side has none",
                *both,
            ],
        }

    def _announced(self) -> dict[str, str | int]:
        weights = self.class_weight
        if isinstance(weights, Mapping):
            weights = " ".join(float(weights[label]).hex() for label in (0, 1))
        return {
            "ridge": float(self.ridge).hex(),
            "class_weight": weights or "none",
            "epochs": 0 if self.epochs is None else int(self.epochs),
            "batch": int(self.batch),
            "rate": float(self.rate).hex(),
            "validation": float(self.validation).hex(),
            "patience": int(self.patience),
        }

    def _checked(self) -> None:
        """Raise InputError on parameters out of range."""
        self._check_numbers("ridge", "rate", "validation", "batch", "patience", optional="epochs")
        for name, most in (("batch", _MOST_BATCH), ("patience", _MOST_STEPS), ("epochs", _MOST_STEPS)):
            value = getattr(self, name)
            if value is not None and not (1 <= value <= most and value == int(value)):
                raise InputError(f"{name} must be a whole number from 1 to {most}")
        if not 0 <= self.ridge <= MOST_RIDGE:
            raise InputError(f"ridge must be from 0 to {MOST_RIDGE:g}; with more, few rows would count in a step")
        if not LEAST_RATE <= self.rate <= 2:
            raise InputError(
                f"rate must be from {LEAST_RATE:g} to 2; shorter steps would tell labels by their rounding"
            )
        if not 0 <= self.validation < 0.5:
            raise InputError("validation must be 0 or more and below 0.5")
        weights = self.class_weight
        if isinstance(weights, Mapping):
            good = set(weights) == {0, 1} and all(0 < float(value) < np.inf for value in weights.values())
        else:
            good = weights is None or weights == "balanced"
        if not good:
            raise InputError("class_weight must be 'balanced', None, or a number above 0 for each of 0 and 1")

    def _check_labels(self, targets: Targets) -> None:
        """Refuse labels so rare that coefficients are about the few rows that have them."""
        ones = targets.y[targets.weight > 0].sum()
        if min(ones, (targets.weight > 0).sum() - ones) < _FEWEST_LABELS:
            raise InputError(
                f"fewer than {_FEWEST_LABELS} rows have one of the labels, so coefficients would tell which; pass more "
                "rows"
            )

    def _check_counts(self, plan: Plan, of_label: int, of_feature: int, weight: Floats) -> None:
        """Refuse fits from whose coefficients labels could be computed; rows without weight do not count."""
        if not of_feature:
            raise InputError("the feature party has no column to fit; pass at least one")
        held = sum(int((weight[batch] > 0).sum()) for batch in plan.held_out())
        rows = int((weight > 0).sum()) - held
        needed = max(_FEWEST_ROWS, _ROWS_PER_COLUMN * of_label + _ROWS_PER_THEIR_COLUMN * of_feature)
        if rows < needed:
            raise InputError(
                f"{rows} rows to train on are too few: {of_feature} columns of the feature party and {of_label} of the "
                f"label party need {needed}, lest coefficients tell labels; leave columns out"
            )
        if self.validation and held < _FEWEST_HELD:
            raise InputError(
                f"{held} rows held out are too few, lest losses tell about single rows; hold out {_FEWEST_HELD}, or "
                "none"
            )

    def _plan(self, rows: int, seed: bytes) -> Plan:
        return Plan(rows, int(rows * float(self.validation)), int(self.batch), float(self.rate), seed)

    def _most_epochs(self, plan: Plan) -> int:
        epochs = max(_FEWEST_EPOCHS, -(-_STEPS // plan.batches)) if self.epochs is None else int(self.epochs)
        if epochs * plan.batches > _MOST_STEPS:
            raise InputError(
                f"{epochs} epochs of {plan.batches} steps are more than {_MOST_STEPS} steps; take fewer epochs, or a "
                "larger batch"
            )
        return epochs

    def _check_reach(self, peer: Channel, ours: int) -> float:
        """How far out a linear predictor may lie, by the largest parts of both sides."""
        (theirs,) = swap_numbers(peer, np.array([float(ours)]))
        if theirs != int(theirs) or theirs < 0:
            raise PeerError(f"{peer.peer} announced a largest part that is none; check that both run the same version")
        if ours + theirs > _FARTHEST:
            raise InputError(
                f"linear predictors may lie beyond {_FARTHEST:.0f}, where the series of the logistic function turns "
                "back; raise ridge, cap extreme values, or look for columns that separate the labels"
            )
        return float(ours + theirs)


def probabilities(z: Floats) -> Floats:
    """The logistic function."""
    with np.errstate(over="ignore"):
        found: Floats = 1 / (1 + np.exp(-z))
    return found
