"""`VerticalGLM`: a generalised linear model over columns of two parties that never meet."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from fusion.channel import Channel, Group, Session
from fusion.errors import InputError, PeerError
from fusion.learning import checkpoint as checkpoints
from fusion.learning.alignment import check_alignment, fingerprint
from fusion.learning.design import Design
from fusion.learning.families import Family
from fusion.learning.labels import Labels, offset_of
from fusion.learning.objective import estimate
from fusion.learning.solver import State
from fusion.learning.summary import coefficient_table, text
from fusion.learning.vertical import (
    Answering,
    Asking,
    VerticalObjective,
    ask_to_stop,
    receive_numbers,
    send_numbers,
    serve,
)

__all__ = ["VerticalGLM"]

Floats = npt.NDArray[np.float64]

_ROWS_PER_COLUMN = 20
_MOST_COLUMNS = 10_000
_PARAMETERS = ("family", "power", "ridge", "fit_intercept", "max_rounds", "tolerance")


@dataclass(frozen=True, slots=True)
class _Fitted:
    """What a party holds after a fit. The feature party knows its own coefficients and errors, and no more."""

    label: bool
    peer: str
    model: str  # both parties have the same
    design: Design
    own: Floats  # of this side's standardised columns
    errors: Floats
    intercept: float  # of the label party: at the mean of every column of both
    intercept_error: float  # at 0 of its own columns
    theirs: Floats
    their_errors: Floats
    facts: dict[str, float]


class VerticalGLM:
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
        Stop when a step would lower the mean half deviance by less.

    Notes
    -----
    Columns are standardised by each party alone. Text and categorical columns get a column for each level but the most
    frequent, the base. `coefficients` are per unit of the party's own columns; the other party's stand per standard
    deviation of theirs.

    Parameters are checked against the other side's in the opening. `get_params` and `set_params` are those of
    scikit-learn, and ``sklearn.base.clone`` works; ``Pipeline`` and ``GridSearchCV`` do not, as `fit` takes a channel.
    """

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
        self._fitted: _Fitted | None = None

    def __repr__(self) -> str:
        return f"VerticalGLM({', '.join(f'{name}={value!r}' for name, value in self.get_params().items())})"

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The parameters of the constructor."""
        return {name: getattr(self, name) for name in _PARAMETERS}

    def set_params(self, **parameters: Any) -> Self:
        """Change parameters before a fit."""
        for name, value in parameters.items():
            if name not in _PARAMETERS:
                raise InputError(f"there is no parameter {name!r}; there is {', '.join(_PARAMETERS)}")
            setattr(self, name, value)
        return self

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
        X : DataFrame or (n, k) array
            This party's columns; the label party may have none, as ``df[[]]``.
        y : (n,) numbers
            Labels: the label party only, as is all that follows.
        exposure, offset : (n,) numbers, optional
            The log of the exposure, or the offset, is added to the linear predictor; with the Gaussian family only
            the offset.
        weight : (n,) numbers, optional
            Case weights.
        checkpoint : path, optional
            The label party writes where it stands after every round, and goes on from there if the file exists; it is
            removed at the end.

        Raises
        ------
        InputError
            On columns or labels that cannot be used, and with fewer than 20 rows a column: what the label party sees
            would then say too much about single rows.
        MismatchError
            When parameters, row counts or the order of rows differ.

        Warns
        -----
        ConvergenceWarning, AlignmentWarning
        """
        from fusion.learning import inner_products

        return self._fit(
            peer, X, y, exposure, offset, weight, checkpoint, inner_products.Asking, inner_products.Answering
        )

    def _fit(
        self,
        peer: Channel,
        X: Any,
        y: Any,
        exposure: Any,
        offset: Any,
        weight: Any,
        checkpoint: str | Path | None,
        asking: Callable[[Channel], Asking],
        answering: Callable[[Channel], Answering],
    ) -> Self:
        if isinstance(peer, Group):
            raise InputError("two parties fit this model; pass one channel, such as group['hospital']")
        with peer.operation("learning.glm.fit"):
            family = self._checked()
            peer.phase("reading columns")
            design, x = (
                Design.fit(X) if len(getattr(X, "columns", [0])) else (Design((), (), {}), np.empty((len(X), 0)))
            )
            labels = None if y is None else Labels.of(family, y, exposure, offset, weight, len(x))
            if y is None and not (exposure is None and offset is None and weight is None):
                raise InputError("exposure, offset and weight belong to the label party, which also passes y")
            label = peer.peer if labels is None else peer.name
            session = peer.open(learn=label, kinds=(), rows=len(x), parameters=self._announced())
            check_alignment(peer, session, fingerprint(X))
            ours = x.shape[1] + (self.fit_intercept and labels is not None)
            theirs = _swap_counts(peer, ours)
            if not theirs or not ours:
                raise InputError("one of the two sides has no column to fit; pass at least one")
            if len(x) < _ROWS_PER_COLUMN * (ours + theirs):
                raise InputError(
                    f"{len(x)} rows are too few for {ours + theirs} columns: at least {_ROWS_PER_COLUMN} a column are "
                    "needed, lest sums tell about single rows; leave columns out"
                )
            model = hashlib.sha256(b"fusion/learning/model/1/" + session.id).hexdigest()[:32]
            if labels is None:
                fitted = self._feature(peer, family, x, design, theirs, model, answering(peer))
            else:
                path = None if checkpoint is None else Path(checkpoint)
                fit = hashlib.sha256(repr((self._announced(), ours, theirs, x.shape)).encode() + fingerprint(X))
                fitted = self._label(
                    peer, family, x, design, theirs, model, labels, asking(peer), path, fit.hexdigest()
                )
                if path is not None:
                    path.unlink(missing_ok=True)
            peer.finish({label: self.leakage("label"), (set((peer.name, peer.peer)) - {label}).pop(): self.leakage()})
            self._fitted = fitted
        return self

    def _label(
        self,
        peer: Channel,
        family: Family,
        x: Floats,
        design: Design,
        theirs: int,
        model: str,
        labels: Labels,
        products: Asking,
        path: Path | None,
        fit: str,
    ) -> _Fitted:
        objective = VerticalObjective(
            peer,
            products,
            family,
            x,
            labels.y,
            labels.offset,
            labels.weight,
            theirs=theirs,
            intercept=self.fit_intercept,
        )

        def accepted(state: State) -> None:
            peer.phase(f"round {state.round}: half deviance {state.loss:.6g}, about {state.decrement:.1e} to go")
            if path is not None:
                checkpoints.save(path, fit, state)

        start, curvature = labels.start(family)
        found = estimate(
            family,
            objective,
            start=start,
            curvature=curvature,
            ridge=self.ridge,
            tolerance=self.tolerance,
            rounds=self.max_rounds,
            resume=None if path is None else checkpoints.load(path, fit, objective.columns),
            accepted=accepted,
        )
        errors = np.sqrt(np.diag(found.covariance))
        ask_to_stop(peer, theirs)
        send_numbers(peer, np.concatenate([found.beta[:theirs], errors[:theirs]]))
        own = slice(theirs, theirs + x.shape[1])
        intercept = found.beta[-1] if self.fit_intercept else 0.0
        return _Fitted(
            label=True,
            peer=peer.peer,
            model=model,
            design=design,
            own=found.beta[own],
            errors=errors[own],
            intercept=float(intercept),
            intercept_error=_intercept_error(found.covariance[theirs:, theirs:], design) if self.fit_intercept else 0.0,
            theirs=found.beta[:theirs],
            their_errors=errors[:theirs],
            facts=labels.facts(family, found, objective.columns),
        )

    def _feature(
        self, peer: Channel, family: Family, x: Floats, design: Design, theirs: int, model: str, products: Answering
    ) -> _Fitted:
        peer.phase(f"answering {peer.peer}")
        serve(peer, products, family, x, theirs=theirs)
        told = receive_numbers(peer, 2 * x.shape[1])
        own, errors = told[: x.shape[1]], told[x.shape[1] :]
        if (errors < 0).any():
            raise PeerError(f"{peer.peer} sent standard errors below 0; check that both run the same version")
        empty = np.empty(0)
        return _Fitted(False, peer.peer, model, design, own, errors, 0.0, 0.0, empty, empty, {"rows": float(len(x))})

    def predict(self, peer: Channel, X: Any, *, exposure: Any = None, offset: Any = None) -> Floats | None:
        """Predict means with the other party; the label party of the fit gets them, the other None.

        Parameters
        ----------
        X : DataFrame or (n, k) array
            This party's columns of the same rows as over there, none left out.
        exposure, offset : (n,) numbers, optional
            The label party's, as in `fit`.

        Notes
        -----
        One flight: the feature party sends its part of the linear predictor of every row, which the label party could
        compute from any prediction anyhow.
        """
        fitted = self._known()
        with peer.operation("learning.glm.predict"):
            if peer.peer != fitted.peer:
                raise InputError(f"this model was fitted with {fitted.peer!r}, not with {peer.peer!r}")
            peer.phase("predicting")
            x = fitted.design.apply(X) if fitted.design.sources else np.empty((len(X), 0))
            label = peer.name if fitted.label else peer.peer
            session = peer.open(learn=label, kinds=(), rows=len(x), parameters={"model": fitted.model})
            check_alignment(peer, session, fingerprint(X))
            z = x @ fitted.own
            if not fitted.label:
                if exposure is not None or offset is not None:
                    raise InputError("exposure and offset belong to the label party")
                send_numbers(peer, z)
                result = None
            else:
                z = z + receive_numbers(peer, len(x)) + fitted.intercept
                z = z + offset_of(self._checked(), exposure, offset, len(x))
                result = z if self.family == "gaussian" else np.exp(z)
            other = ({peer.name, peer.peer} - {label}).pop()
            peer.finish(
                {
                    label: ["the other side's part of the linear predictor of every row", "a prediction for every row"],
                    other: ["how many rows were predicted"],
                }
            )
        return result

    @property
    def coefficients(self) -> pd.DataFrame:
        """This party's coefficients per unit of its own columns: estimate, standard error, z, p, interval, relativity.

        The label party's include the intercept: at 0 of its own columns, and at the mean of the other party's.
        """
        fitted = self._known()
        scale = np.array([column.scale for column in fitted.design.columns])
        names = [column.name for column in fitted.design.columns]
        coefficients, errors = fitted.own / scale, fitted.errors / scale
        if fitted.label and self.fit_intercept:
            means = np.array([column.mean for column in fitted.design.columns])
            names = ["intercept", *names]
            coefficients = np.concatenate([[fitted.intercept - coefficients @ means], coefficients])
            errors = np.concatenate([[fitted.intercept_error], errors])
        return coefficient_table(names, coefficients, errors, log_link=self.family != "gaussian")

    def summary(self) -> str:
        """The fit as text: facts, this party's coefficients, and for the label party the other's, standardised."""
        fitted = self._known()
        facts = {name: f"{value:,.6g}" for name, value in fitted.facts.items()}
        power = "" if self.power is None else f"({self.power:g})"
        blocks = {"own columns, per unit": self.coefficients}
        notes = [f"base level of {column}: {level}" for column, level in fitted.design.bases.items()]
        if fitted.label:
            names = [f"{fitted.peer}[{i}]" for i in range(len(fitted.theirs))]
            blocks[f"columns of {fitted.peer}, per standard deviation"] = coefficient_table(
                names, fitted.theirs, fitted.their_errors, log_link=self.family != "gaussian"
            )
            notes.append(f"the intercept is that at the mean of the columns of {fitted.peer}")
            if self.ridge:
                notes.append("with a ridge, errors are those of the penalised estimate, which is biased")
        link = "identity" if self.family == "gaussian" else "log"
        return text(f"Generalised linear model: {self.family}{power}, {link} link", facts, blocks, notes)

    def leakage(self, role: str = "feature") -> list[str]:
        """What each side of a fit learns beyond its own coefficients: ``"label"`` or ``"feature"`` party."""
        if role == "feature":
            return [
                "its own coefficients and their standard errors, and its coefficients after every round",
                "how many columns and rows the other side has",
            ]
        return [
            "all coefficients, the other side's per standard deviation of its columns",
            "in every round, sums over all rows of the other side's columns against the residuals (the gradient)",
            "sums of products of every two columns, unweighted and, at the end, weighted by the means (Gram and Fisher "
            "matrices)",
            "how many columns and rows the other side has",
        ]

    def _known(self) -> _Fitted:
        if self._fitted is None:
            raise InputError("this model has not been fitted; call fit on both sides first")
        return self._fitted

    def _announced(self) -> dict[str, str | int]:
        return {name: repr(value) for name, value in self.get_params().items()}

    def _checked(self) -> Family:
        family = Family.of(self.family, self.power)
        if not (isinstance(self.ridge, int | float) and 0 <= self.ridge < np.inf):
            raise InputError("ridge must be a number of 0 or more")
        if not (isinstance(self.max_rounds, int) and self.max_rounds >= 1):
            raise InputError("max_rounds must be 1 or more")
        if not (isinstance(self.tolerance, float) and 0 < self.tolerance < 1):
            raise InputError("tolerance must lie between 0 and 1")
        return family


def _swap_counts(peer: Channel, ours: int) -> int:
    """Tell how many columns this side has, and hear it of the other."""
    if peer.name < peer.peer:
        send_numbers(peer, np.array([float(ours)]))
        theirs = receive_numbers(peer, 1)[0]
    else:
        theirs = receive_numbers(peer, 1)[0]
        send_numbers(peer, np.array([float(ours)]))
    if not (theirs == int(theirs) and 0 <= theirs <= _MOST_COLUMNS):
        raise PeerError(f"{peer.peer} announced a number of columns out of range; check that both run the same version")
    return int(theirs)


def _intercept_error(covariance: Floats, design: Design) -> float:
    """Standard error of the intercept at 0 of our own columns; the intercept stands last in the covariance."""
    shifts = np.array([-column.mean / column.scale for column in design.columns] + [1.0])
    return float(np.sqrt(shifts @ covariance @ shifts))
