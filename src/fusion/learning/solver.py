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

__all__ = ["State", "minimise"]

Floats = npt.NDArray[np.float64]

_SUFFICIENT = 1e-4  # Armijo's constant
_SHRINK = 0.5
_LONGEST = 4.0  # a step that moves a standardised coefficient by more is cut: with exp, too far is out of range
_CURVATURE = 1e-12


@dataclass(slots=True)
class State:
    """Where the search stands; enough to go on from.

    Attributes
    ----------
    x : (k,) floats
    inverse : (k, k) floats
        The approximate inverse Hessian.
    loss, gradient
        At x; None before the first evaluation.
    round : int
        Evaluations so far.
    decrement : float
        Half the squared Newton decrement: about how much loss a full step would still save.
    """

    x: Floats
    inverse: Floats
    loss: float | None = None
    gradient: Floats | None = None
    round: int = 0
    decrement: float = field(default=np.inf)


def minimise(
    state: State, evaluate: Callable[[Floats], tuple[float, Floats]], *, tolerance: float, rounds: int, noise: float
) -> Iterator[State]:
    """Search until half the squared Newton decrement falls below ``tolerance``, or ``rounds`` are used up.

    Yields the state after every accepted step, the first evaluation included; the caller looks at
    ``state.decrement`` to see whether the last one has converged.

    Parameters
    ----------
    state : State
        Begin here; changed in place.
    evaluate : callable
        x -> (loss, gradient).
    tolerance : float
        In units of the loss.
    rounds : int
        The most evaluations, those before included.
    noise : float
        By how much two losses may differ that are equal.
    """
    if state.gradient is None:
        state.loss, state.gradient = evaluate(state.x)
        state.round += 1
        _judge(state)
        yield state
    while state.decrement > tolerance and state.round < rounds:
        assert state.loss is not None and state.gradient is not None  # noqa: S101 - set above
        direction = -state.inverse @ state.gradient
        slope = float(state.gradient @ direction)
        step = min(1.0, _LONGEST / max(float(np.abs(direction).max()), 1e-300))
        while True:
            x = state.x + step * direction
            loss, gradient = evaluate(x)
            state.round += 1
            if loss <= state.loss + _SUFFICIENT * step * slope + noise:
                break
            if state.round >= rounds:
                return
            step *= _SHRINK
        moved, turned = x - state.x, gradient - state.gradient
        state.x, state.loss, state.gradient = x, loss, gradient
        state.inverse = _updated(state.inverse, moved, turned)
        _judge(state)
        yield state


def _judge(state: State) -> None:
    assert state.gradient is not None  # noqa: S101 - set by the caller
    state.decrement = float(state.gradient @ state.inverse @ state.gradient) / 2


def _updated(inverse: Floats, moved: Floats, turned: Floats) -> Floats:
    """The inverse Hessian that maps ``turned`` to ``moved`` and stays positive definite."""
    curvature = float(moved @ turned)
    if curvature <= _CURVATURE * float(np.linalg.norm(moved) * np.linalg.norm(turned)):
        return inverse
    rest = np.eye(len(moved)) - np.outer(moved, turned) / curvature
    updated: Floats = rest @ inverse @ rest.T + np.outer(moved, moved) / curvature
    return updated
