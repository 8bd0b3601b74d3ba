"""From labels and an objective to an estimate, telling of every round and keeping where it stands."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fusion.learning import checkpoint as checkpoints
from fusion.learning.binding import Binding
from fusion.learning.families import Family
from fusion.learning.labels import Labels
from fusion.learning.objective import Estimate, Objective, estimate
from fusion.learning.solver import State

__all__ = ["solve"]

Floats = npt.NDArray[np.float64]


def solve(
    family: Family,
    objective: Objective,
    labels: Labels,
    names: Sequence[str],
    *,
    ridge: float,
    tolerance: float,
    rounds: int,
    begin: Callable[[str], None] = lambda text: None,
    tell: Callable[[str], None] = lambda text: None,
    checkpoint: tuple[Path, Binding] | None = None,
) -> Estimate:
    """Fit an objective, whoever computes it; see `estimate`.

    Parameters
    ----------
    names : sequence of str
        Of all columns but the intercept.
    ridge, tolerance, rounds
        As for `fusion.learning.VerticalGLM`.
    begin : callable
        Hears how many rounds there were, in a few words that the other side may read.
    tell : callable
        Hears the deviance after every round.
    checkpoint : (path, Binding), optional
        Where to keep the state, and what must be the same to go on from there.
    """
    null, constant = labels.null(family)

    def accepted(state: State) -> None:
        half = state.loss * objective.weights + constant
        left = state.decrement * objective.weights / null
        begin(f"after round {state.round}")
        tell(f"round {state.round}: deviance {2 * half:,.6g}, about {left:.0e} of it to go")
        if checkpoint is not None:
            checkpoints.save(*checkpoint, state)

    start, curvature = labels.start(family)
    # what a peer sent may be anything: the results are looked at, not every step to them
    with np.errstate(over="ignore", invalid="ignore"):
        return estimate(
            family,
            objective,
            start=start,
            curvature=curvature,
            scale=null / objective.weights,
            noise=objective.noise * (null + abs(constant)) / objective.weights,
            ridge=ridge,
            tolerance=tolerance,
            rounds=rounds,
            names=[*names, "intercept"],
            resume=None if checkpoint is None else checkpoints.load(*checkpoint, objective.columns),
            accepted=accepted,
        )
