"""Minimising a convex loss whose every value costs a round between two parties.

Quasi-Newton by Broyden, Fletcher, Goldfarb and Shanno from a good first Hessian, with backtracking (Nocedal, Wright:
Numerical Optimization, 2nd ed., chapters 3 and 6). Loss and gradient carry a little noise from fixed point, which the
line search allows for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

__all__ = ["Start", "State", "minimise"]

Floats = npt.NDArray[np.float64]

_SUFFICIENT = 1e-4  # Armijo's constant
_SHRINK = 0.5
_CURVATURE = 1e-12


@dataclass(frozen=True, slots=True)
class Start:
    """Where a search begins, or goes on.

    Attributes
    ----------
    x : (k,) floats
    inverse : (k, k) floats
        The approximate inverse Hessian.
    round : int
        Evaluations so far.
    """

    x: Floats
    inverse: Floats
    round: int = 0


@dataclass(frozen=True, slots=True)
class State(Start):
    """Where a search stands.

    Attributes
    ----------
    loss, gradient
        At x.
    decrement : float
        Half the squared Newton decrement: about how much loss a full step would still save.
    """

    loss: float = field(kw_only=True)
    gradient: Floats = field(kw_only=True)

    @property
    def decrement(self) -> float:
        return float(self.gradient @ self.inverse @ self.gradient) / 2


def minimise(
    start: Start,
    evaluate: Callable[[Floats], tuple[float, Floats]],
    *,
    tolerance: float,
    rounds: int,
    noise: float,
    longest: float,
) -> Iterator[State]:
    """Search until half the squared Newton decrement falls below ``tolerance``, or ``rounds`` are used up.

    Yields the state after every accepted step, the first evaluation included; the caller looks at
    ``state.decrement`` to see whether the last one has converged.

    Parameters
    ----------
    start : Start
    evaluate : callable
        x -> (loss, gradient); a loss of infinity says that x is out of range, and its gradient is not looked at.
    tolerance : float
        In units of the loss.
    rounds : int
        The most evaluations, those before ``start`` included; there is always one.
    noise : float
        By how much two losses may differ that are equal.
    longest : float
        A step that moves an entry of x by more is cut.
    """
    loss, gradient = evaluate(start.x)
    state = State(start.x, start.inverse, start.round + 1, loss=loss, gradient=gradient)
    yield state
    used = state.round
    while state.decrement > tolerance and used < rounds:
        direction = -state.inverse @ state.gradient
        slope = float(state.gradient @ direction)
        step = min(1.0, longest / max(float(np.abs(direction).max()), 1e-300))
        while used < rounds:
            x = state.x + step * direction
            loss, gradient = evaluate(x)
            used += 1
            if loss <= state.loss + _SUFFICIENT * step * slope + noise:
                inverse = _updated(state.inverse, x - state.x, gradient - state.gradient)
                state = State(x, inverse, used, loss=loss, gradient=gradient)
                yield state
                break
            step *= _SHRINK


def _updated(inverse: Floats, moved: Floats, turned: Floats) -> Floats:
    """The inverse Hessian that maps ``turned`` to ``moved`` and stays positive definite."""
    curvature = float(moved @ turned)
    if curvature <= _CURVATURE * float(np.linalg.norm(moved) * np.linalg.norm(turned)):
        return inverse
    rest = np.eye(len(moved)) - np.outer(moved, turned) / curvature
    updated: Floats = rest @ inverse @ rest.T + np.outer(moved, moved) / curvature
    return updated
