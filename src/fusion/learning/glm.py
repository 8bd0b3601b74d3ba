"""`VerticalGLM`: a generalised linear model over columns of two parties that never meet."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from fusion.channel import Channel
from fusion.errors import InputError, PeerError
from fusion.learning import inner_products
from fusion.learning.binding import Binding
from fusion.learning.design import Design
from fusion.learning.estimator import Meeting, VerticalEstimator
from fusion.learning.families import Family
from fusion.learning.glm_half import GLMHalf
from fusion.learning.labels import Labels, check_same_rows, offset_of
from fusion.learning.solving import solve
from fusion.learning.vertical import (
    VerticalObjective,
    ask_to_stop,
    one_channel,
    receive_numbers,
    send_numbers,
    serve,
)

__all__ = ["VerticalGLM"]

Floats = npt.NDArray[np.float64]

_ROWS_PER_COLUMN = 20
_ROWS_PER_ROUND = 5
_ROWS_PER_PAIR = 5  # of columns of the label party: the Fisher matrix has a sum for each
_FEWEST_ROWS = 300  # below, columns of few values can be computed from sums by lattice reduction


class VerticalGLM(VerticalEstimator[GLMHalf]):
    """Generalised linear model with columns of two parties; one of them, the label party, also holds the labels.

    Both parties build it with the same parameters, and call `fit` on their own columns of the same rows in the same
    order, as `fusion.psi.intersect` returns them. The log link needs no approximation: the fit is that of the pooled
    columns to the stated tolerance.

    Parameters
    ----------
    family : str
        ``"poisson"``, ``"gamma"`` or ``"tweedie"``, with log link; ``"gaussian"`` with identity link.
    power : float, optional
        Of the Tweedie family's variance, strictly between 1 and 2.
    ridge : float
        Adds half of it times the squared standardised coefficients, intercept apart, to the mean half deviance.
    fit_intercept : bool
    max_rounds : int
        The most evaluations of the objective; each is a round between the parties.
    tolerance : float
        Stop when a step would lower the deviance by less than so much of that of one rate for everybody.

    Notes
    -----
    Columns are standardised by each party alone. Text and categorical columns get a column for each level but the most
    frequent, the base. `coefficients` are per unit of the party's own columns, with standard error, z, p, interval and
    relativity; the other party's stand per standard deviation of theirs.

    Parameters are checked against the other side's in the opening. `get_params` and `set_params` are those of
    scikit-learn, and ``sklearn.base.clone`` works; ``Pipeline`` and ``GridSearchCV`` do not, as `fit` takes a channel.
    """

    _NAME = "VerticalGLM"
    _OPERATION = "learning.glm"
    _PARAMETERS = ("family", "power", "ridge", "fit_intercept", "max_rounds", "tolerance")
    _HALF = GLMHalf

    def __init__(
        self,
        family: str = "poisson",
        *,
        power: float | None = None,
        ridge: float = 0.0,
        fit_intercept: bool = True,
        max_rounds: int = 40,
        tolerance: float = 1e-10,
    ) -> None:
        self.family = family
        self.power = power
        self.ridge = ridge
        self.fit_intercept = fit_intercept
        self.max_rounds = max_rounds
        self.tolerance = tolerance

    def fit(
        self,
        peer: Channel,
        X: Any,
        y: Any = None,
        *,
        exposure: Any = None,
        offset: Any = None,
        weight: Any = None,
        checkpoint: str | Path | None = None,
    ) -> Self:
        """Fit with the other party. Both sides call this, the label party with ``y``.

        Parameters
        ----------
        peer : Channel
        X : pandas, polars or pyarrow table, or (n, k) array
            This party's columns; the label party may have none, as ``df[[]]``.
        y : (n,) numbers
            Labels: the label party only, as is all that follows. A Series must have the index of X.
        exposure, offset : (n,) numbers, optional
            The log of the exposure, or the offset, is added to the linear predictor; with the Gaussian family only
            the offset.
        weight : (n,) numbers, optional
            Variance is inversely proportional to it, as to statsmodels' ``var_weights``.
        checkpoint : path, optional
            The label party writes where it stands after every round, and goes on from there if the file exists; it is
            removed at the end. The feature party just calls `fit` again.

        Raises
        ------
        InputError
            On columns or labels that cannot be used; with fewer rows of weight above 0 than 300, or than 20 a column, 5
            for each of ``max_rounds`` and 5 for each pair of the label party's columns; or when a column of either
            side, or labels, offsets or weights, are the same in all but 9 rows or fewer. What the label party sees
            would then say too much about single rows.
        MismatchError
            When parameters, row counts or the order of rows differ.

        Warns
        -----
        ConvergenceWarning, AlignmentWarning
        """
        channel = one_channel(peer)
        with channel.operation(f"{self._OPERATION}.fit"):
            family = self._checked()
            channel.phase("reading columns")
            design, x = Design.fit(X, centre=bool(self.fit_intercept))
            design.check_common(x)
            labels = None
            if y is None:
                if not (exposure is None and offset is None and weight is None and checkpoint is None):
                    raise InputError("exposure, offset, weight and checkpoint belong to the label party, who passes y")
            else:
                check_same_rows(X, y=y, exposure=exposure, offset=offset, weight=weight)
                labels = Labels.of(family, y, exposure, offset, weight, len(x))
                design.check_common(x[labels.weight > 0])
            met = self._meet(channel, X, x, label=labels is not None, constant=bool(self.fit_intercept))
            if labels is None:
                self._check_counts(len(x), met.theirs, x.shape[1])
                half = self._answer(channel, family, x, design, met)
            else:
                self._check_counts(labels.rows, x.shape[1] + bool(self.fit_intercept), met.theirs)
                path = None if checkpoint is None else Path(checkpoint)
                half = self._ask(channel, family, x, design, met, labels, path)
            self._part(channel, met.label, checkpoint)
            self._half = half
        return self

    def _ask(
        self,
        peer: Channel,
        family: Family,
        x: Floats,
        design: Design,
        met: Meeting,
        labels: Labels,
        path: Path | None,
    ) -> GLMHalf:
        """The label party's part."""
        products = inner_products.Asking(peer)
        objective = VerticalObjective(
            peer,
            products,
            family,
            x,
            labels.y,
            labels.offset,
            labels.weight,
            theirs=met.theirs,
            intercept=self.fit_intercept,
        )
        names = [f"{peer.peer}[{i}]" for i in range(met.theirs)] + [column.name for column in design.columns]
        kept = None
        if path is not None:
            announced = repr((self._announced(), met.theirs, x.shape))
            kept = path, Binding(met.order, announced, x, labels.y, labels.offset, labels.weight)
        try:
            found = solve(
                family,
                objective,
                labels,
                names,
                ridge=self.ridge,
                tolerance=self.tolerance,
                rounds=int(self.max_rounds),
                begin=peer.phase,
                tell=peer.tell,
                checkpoint=kept,
            )
        finally:
            products.wipe()
        ask_to_stop(peer, met.theirs)
        half = GLMHalf.of_labels(
            peer.peer, met.model, family, self.ridge, design, found, labels, intercept=self.fit_intercept
        )
        send_numbers(peer, np.concatenate([half.theirs, half.their_errors]))
        return half

    def _answer(self, peer: Channel, family: Family, x: Floats, design: Design, met: Meeting) -> GLMHalf:
        """The feature party's part."""
        peer.phase(f"answering {peer.peer}")
        products = inner_products.Answering(peer)
        try:
            serve(peer, products, family, x, theirs=met.theirs, intercept=self.fit_intercept)
        finally:
            products.wipe()
        told = receive_numbers(peer, 2 * x.shape[1])
        if (told[x.shape[1] :] < 0).any():
            raise PeerError(f"{peer.peer} sent standard errors below 0; check that both run the same version")
        return GLMHalf.of_features(peer.peer, met.model, family, self.ridge, design, told, len(x))

    def predict(self, peer: Channel, X: Any, *, exposure: Any = None, offset: Any = None) -> Floats | None:
        """Predict means with the other party; the label party of the fit gets them, the other None.

        Parameters
        ----------
        peer : Channel
        X : DataFrame or (n, k) array
            This party's columns of the same rows as over there, in the same order.
        exposure, offset : (n,) numbers, optional
            The label party's, as in `fit`; without them, means are those of exposure 1.

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

        def added(rows: int) -> Floats:
            if not half.label and not (exposure is None and offset is None):
                raise InputError("exposure and offset belong to the label party")
            check_same_rows(X, exposure=exposure, offset=offset)
            return offset_of(half.kind, exposure, offset, rows)

        def means(z: Floats) -> Floats:
            with np.errstate(over="ignore"):
                found: Floats = np.exp(z) if half.power else z
            if not np.isfinite(found).all():
                raise InputError("a prediction is out of range; look for values far from those fitted on")
            return found

        half = self._known()
        return self._predict(peer, X, means, added)

    @property
    def other_coefficients(self) -> pd.DataFrame:
        """What the label party knows of the other party's: the same, per standard deviation of their columns."""
        return self._known().other

    def leakage(self) -> dict[str, list[str]]:
        """What each side of a fit learns: sentences for the ``"label"`` and for the ``"feature"`` party."""
        sizes = "how many columns and rows the other side has"
        coefficients = "all coefficients and standard errors, the other side's per standard deviation of its columns"
        correlations = "the correlations of the other side's columns among each other and with its own"
        norms = "of each vector that the other side multiplies, the power of two next to its norm"
        if self.family == "gaussian":
            weighted = (
                "the sums over all rows of each of the other side's columns times the weighted labels, and of the "
                "weighted products of all columns (the Fisher matrix), once"
            )
            return {
                "label": [coefficients, correlations, weighted, norms, sizes],
                "feature": ["its own coefficients and their standard errors", sizes],
            }
        apart = "" if self.family == "tweedie" else ", for means and labels apart"
        return {
            "label": [
                coefficients,
                "in every round, the sum over all rows of each of the other side's columns times the residuals (the "
                f"gradient){apart}, and the deviance",
                correlations,
                "the same sums of products weighted by the means (the Fisher matrix), and the sum of squared residuals "
                "(Pearson's), once, at the end",
                norms,
                "in every round, whether the other side's part of a linear predictor is out of range",
                sizes,
            ],
            "feature": ["its own coefficients and their standard errors, and its coefficients in every round", sizes],
        }

    def _announced(self) -> dict[str, str | int]:
        return {
            "family": self.family,
            "power": "none" if self.power is None else float(self.power).hex(),
            "ridge": float(self.ridge).hex(),
            "fit_intercept": int(self.fit_intercept),
            "max_rounds": int(self.max_rounds),
            "tolerance": float(self.tolerance).hex(),
        }

    def _checked(self) -> Family:
        """Raise InputError on parameters out of range."""
        self._check_numbers("ridge", "tolerance", "max_rounds", optional="power")
        family = Family.of(self.family, self.power)
        if not 0 <= self.ridge < np.inf:
            raise InputError("ridge must be a number of 0 or more")
        if not (self.max_rounds == int(self.max_rounds) and self.max_rounds >= 1):
            raise InputError("max_rounds must be a whole number of 1 or more")
        if not 0 < self.tolerance < 1:
            raise InputError("tolerance must lie between 0 and 1")
        if self.fit_intercept not in (True, False):
            raise InputError("fit_intercept must be True or False")
        return family

    def _check_counts(self, rows: int, of_label: int, of_feature: int) -> None:
        if not of_feature or not of_label:
            raise InputError("one of the two sides has no column to fit; pass at least one")
        pairs = of_label * (of_label + 1) // 2
        needed = max(
            _FEWEST_ROWS,
            _ROWS_PER_COLUMN * (of_label + of_feature)
            + _ROWS_PER_ROUND * int(self.max_rounds)
            + _ROWS_PER_PAIR * pairs,
        )
        if rows < needed:
            raise InputError(
                f"{rows} rows are too few: {of_feature} columns of the feature party, {of_label} of the label party "
                f"and max_rounds={self.max_rounds} need {needed}, lest sums tell about single rows; leave columns out"
            )
