"""What fitting a model asks of the joined columns, whoever computes it, and the fitting itself.

`Objective` is what the label party sees: sums over all rows, never a row of the other side. The cleartext twin computes
them from pooled columns, the protocol from two halves.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from fusion.errors import InputError
from fusion.learning.families import Family
from fusion.learning.solver import Start, State, minimise

__all__ = ["ConvergenceWarning", "Estimate", "Objective", "estimate"]

Floats = npt.NDArray[np.float64]

# Smallest over largest eigenvalue of a correlation matrix that can still be solved with: so much, or so many times what
# fixed point leaves of it.
_COLLINEAR = 1e-8
_ABOVE_NOISE = 4
_LONGEST = 4.0  # of a standardised coefficient
_OUT_OF_RANGE = "the sums over both sides' columns are out of range; look for extreme values on either side"


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
    pearson : float
        Pearson's statistic.
    dispersion : float
        Pearson's statistic over the residual degrees of freedom; 1 for the Poisson family.
    loss : float
        Half the deviance, up to the family's constant, without the ridge.
    rounds : int
    converged : bool
    """

    beta: Floats
    covariance: Floats
    pearson: float
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
    scale: float,
    noise: float,
    ridge: float,
    tolerance: float,
    rounds: int,
    names: Sequence[str],
    resume: Start | None = None,
    accepted: Callable[[State], None] = lambda state: None,
) -> Estimate:
    """Minimise the mean half deviance plus half of ``ridge`` times the squared coefficients, intercept apart.

    Parameters
    ----------
    start, curvature : float
        The intercept to begin with, and the mean second derivative by the linear predictor there.
    scale, noise : float
        The mean half deviance that ``tolerance`` is relative to, and by how much two losses may differ that are equal.
    tolerance : float
        See `fusion.learning.solver.minimise`.
    names : sequence of str
        Of all columns, for messages.
    resume : Start, optional
        Go on from here.
    accepted : callable
        Called after every accepted step.

    Raises
    ------
    InputError
        When columns are collinear, or the labels so extreme that the search cannot begin.

    Warns
    -----
    ConvergenceWarning
        When ``rounds`` did not suffice.
    """
    penalty = np.full(objective.columns, ridge)
    if objective.intercept is not None:
        penalty[objective.intercept] = 0.0
    gram = objective.gram() / objective.rows
    least = max(_COLLINEAR, _ABOVE_NOISE * objective.noise)
    _check_collinear(gram + np.diag(penalty), least, names)

    def penalised(beta: Floats) -> tuple[float, Floats]:
        loss, gradient = objective.evaluate(beta)
        if np.isnan(loss) or not np.isfinite(gradient).all():
            raise InputError(_OUT_OF_RANGE)
        return (
            loss / objective.weights + float(penalty @ beta**2) / 2,
            gradient / objective.weights + penalty * beta,
        )

    if resume is None:
        beta = np.zeros(objective.columns)
        if objective.intercept is not None:
            beta[objective.intercept] = start
        resume = Start(beta, np.linalg.inv(curvature * gram + np.diag(penalty)).astype(np.float64))
    # a step that is too long is out of range with a log link, and right with the identity
    longest = _LONGEST if family.power else np.inf
    search = minimise(resume, penalised, tolerance=tolerance * scale, rounds=rounds, noise=noise, longest=longest)
    state = next(search)
    if not np.isfinite(state.loss):
        raise InputError("the linear predictor is out of range from the start; rescale labels, exposure or offset")
    accepted(state)
    for state in search:
        accepted(state)
    left = state.decrement / scale
    converged = left <= tolerance
    if not converged:
        warnings.warn(
            f"no convergence after {state.round} rounds (about {left:.1e} of the deviance left, wanted "
            f"{tolerance:.1e}); raise max_rounds, add a little ridge, or look for columns that separate the labels",
            ConvergenceWarning,
            stacklevel=2,
        )
    information, pearson = objective.fisher(state.x)
    # the ridge is no part of the information; with it the covariance is that of the penalised estimate
    whole = information + objective.weights * np.diag(penalty)
    _check_collinear(whole, least, names, ", or separate the labels")
    bread = np.linalg.inv(whole)
    # The exact Hessian is here anyway: one more step, of Newton, costs nothing and squares what error is left.
    beta = state.x - (objective.weights * bread) @ state.gradient if converged else state.x
    dispersion = pearson / (objective.rows - objective.columns) if family.dispersed else 1.0
    return Estimate(
        beta,
        dispersion * bread @ information @ bread,
        pearson,
        dispersion,
        (state.loss - float(penalty @ state.x**2) / 2) * objective.weights,
        state.round,
        converged,
    )


def _check_collinear(matrix: Floats, least: float, names: Sequence[str], more: str = "") -> None:
    if not np.isfinite(matrix).all():
        raise InputError(_OUT_OF_RANGE)
    diagonal = np.diag(matrix)
    guilty = np.flatnonzero(diagonal <= 0).tolist()
    if not guilty:
        scale = 1 / np.sqrt(diagonal)
        try:
            values, vectors = np.linalg.eigh(matrix * np.outer(scale, scale))
        except np.linalg.LinAlgError:
            raise InputError(_OUT_OF_RANGE) from None
        if values[0] > least * values[-1]:
            return
        guilty = np.flatnonzero(np.abs(vectors[:, 0]) > 0.1 * np.abs(vectors[:, 0]).max()).tolist()
    raise InputError(
        f"columns {', '.join(names[i] for i in guilty)} add up to a constant or to each other, or nearly so{more}; "
        "leave one out, or raise ridge"
    )
