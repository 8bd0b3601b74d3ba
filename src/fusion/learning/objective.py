"""What fitting a model asks of the joined columns, whoever computes it, and the fitting itself.

`Objective` is what the label party sees: sums over all rows, never a row of the other side. The cleartext twin computes
them from pooled columns, the protocol from two halves.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from fusion.errors import InputError
from fusion.learning.families import Family
from fusion.learning.solver import State, minimise

__all__ = ["ConvergenceWarning", "Estimate", "Objective", "estimate"]

Floats = npt.NDArray[np.float64]

_COLLINEAR = 1e-8  # smallest over largest eigenvalue of a correlation matrix that can still be solved with


class ConvergenceWarning(UserWarning):
    """A fit stopped before it had converged; its coefficients are not those of the best model."""


class Objective(Protocol):
    """Sums over the rows, as functions of the coefficients of all standardised columns.

    The intercept stands at ``intercept`` among the ``columns`` coefficients. ``rows`` is their number, ``weights`` the
    sum of their weights.
    """

    columns: int
    intercept: int | None
    rows: int
    weights: float
    noise: float

    def gram(self) -> Floats:
        """Sum over the rows of x x', (k, k), unweighted."""
        ...

    def evaluate(self, beta: Floats) -> tuple[float, Floats]:
        """Half the deviance up to a constant, and its gradient (k,)."""
        ...

    def fisher(self, beta: Floats) -> tuple[Floats, float]:
        """Expected second derivative of half the deviance (k, k), and Pearson's statistic."""
        ...


@dataclass(frozen=True, slots=True)
class Estimate:
    """Fitted coefficients of the standardised columns, and what standard errors need.

    Attributes
    ----------
    beta : (k,) floats
    covariance : (k, k) floats
        The dispersion is in it.
    dispersion : float
        Pearson's statistic over the residual degrees of freedom; 1 for the Poisson family.
    loss : float
        Half the deviance, up to the family's constant, without the ridge.
    rounds : int
    converged : bool
    """

    beta: Floats
    covariance: Floats
    dispersion: float
    loss: float
    rounds: int
    converged: bool


def estimate(
    family: Family,
    objective: Objective,
    *,
    start: float,
    curvature: float,
    ridge: float,
    tolerance: float,
    rounds: int,
    resume: State | None = None,
    accepted: Callable[[State], None] = lambda state: None,
) -> Estimate:
    """Minimise the mean half deviance plus half of ``ridge`` times the squared coefficients, intercept apart.

    Parameters
    ----------
    start, curvature : float
        The intercept to begin with, and the mean second derivative by the linear predictor there.
    tolerance : float
        In units of the mean half deviance; see `fusion.learning.solver.minimise`.
    resume : State, optional
        Go on from here.
    accepted : callable
        Called after every accepted step.

    Raises
    ------
    InputError
        When columns are collinear.

    Warns
    -----
    ConvergenceWarning
        When ``rounds`` did not suffice.
    """
    penalty = np.full(objective.columns, ridge)
    if objective.intercept is not None:
        penalty[objective.intercept] = 0.0
    gram = objective.gram() / objective.rows
    _check_collinear(gram, ridge)

    def penalised(beta: Floats) -> tuple[float, Floats]:
        loss, gradient = objective.evaluate(beta)
        return (
            loss / objective.weights + float(penalty @ beta**2) / 2,
            gradient / objective.weights + penalty * beta,
        )

    if resume is None:
        beta = np.zeros(objective.columns)
        if objective.intercept is not None:
            beta[objective.intercept] = start
        inverse: Floats = np.linalg.inv(curvature * gram + np.diag(penalty))
        resume = State(beta, inverse)
    state = resume
    for state in minimise(resume, penalised, tolerance=tolerance, rounds=rounds, noise=objective.noise):
        accepted(state)
    converged = state.decrement <= tolerance
    if not converged:
        warnings.warn(
            f"no convergence after {state.round} rounds (about {state.decrement:.1e} of loss left, wanted "
            f"{tolerance:.1e}); raise max_rounds, add a little ridge, or look for columns that separate the labels",
            ConvergenceWarning,
            stacklevel=2,
        )
    information, pearson = objective.fisher(state.x)
    # the ridge is no part of the information; with it the covariance is that of the penalised estimate
    bread = np.linalg.inv(information + objective.weights * np.diag(penalty))
    assert state.loss is not None and state.gradient is not None  # noqa: S101, PT018 - at least one evaluation
    # The exact Hessian is here anyway: one more step, of Newton, costs nothing and squares what error is left.
    beta = state.x - objective.weights * (bread @ state.gradient)
    dispersion = pearson / (objective.rows - objective.columns) if family.dispersed else 1.0
    return Estimate(
        beta,
        dispersion * bread @ information @ bread,
        dispersion,
        (state.loss - float(penalty @ state.x**2) / 2) * objective.weights,
        state.round,
        converged,
    )


def _check_collinear(gram: Floats, ridge: float) -> None:
    scale = 1 / np.sqrt(np.diag(gram))
    values, vectors = np.linalg.eigh(gram * np.outer(scale, scale))
    if values[0] > _COLLINEAR * values[-1] or ridge > 0:
        return
    guilty = np.flatnonzero(np.abs(vectors[:, 0]) > 0.1 * np.abs(vectors[:, 0]).max())
    raise InputError(
        f"columns {', '.join(str(i) for i in guilty)} (of both sides, counted in order) add up to a constant or to each "
        "other; leave one out, or set ridge above 0"
    )
