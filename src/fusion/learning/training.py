"""A descent from its start to its end: how many epochs, when to stop, what to keep, what to tell."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fusion.channel import Channel
from fusion.errors import PeerError
from fusion.learning import descent_checkpoint as checkpoints
from fusion.learning.binding import Binding
from fusion.learning.descent import Columns, Descent, Plan, Targets
from fusion.learning.descent_checkpoint import Kept
from fusion.learning.shares import Shared
from fusion.learning.vertical import receive_numbers, send_numbers, swap_numbers

__all__ = ["Found", "best_epoch", "stops", "train"]

Floats = npt.NDArray[np.float64]

_RUN_BYTES = 6  # of a run's name that are compared: as many as a number holds


@dataclass(frozen=True, slots=True)
class Found:
    """What a party has in the end.

    Attributes
    ----------
    coefficients : (k,) floats
        Of its standardised columns; the label party's constant's last.
    epochs, taken : int
        How many were run, and after which the model was as it is.
    losses : list of float
        The label party's: the mean loss on the rows held out after each epoch.
    """

    coefficients: Floats
    epochs: int
    taken: int
    losses: list[float]


def stops(losses: list[float], patience: int) -> bool:
    """Whether the last losses were no better than one before them."""
    return len(losses) - best_epoch(losses) >= patience


def best_epoch(losses: list[float]) -> int:
    """The epoch, from 1, of the least loss."""
    return int(np.argmin(losses)) + 1


def train(
    peer: Channel,
    plan: Plan,
    columns: Columns,
    theirs: int,
    targets: Targets | None,
    *,
    epochs: int,
    patience: int,
    checkpoint: tuple[Path, Binding] | None = None,
) -> Found:
    """Run one party's side.

    Parameters
    ----------
    peer : Channel
        Inside an operation that has been opened.
    plan, columns, theirs, targets
        As for `Descent`.
    epochs : int
        The most.
    patience : int
        With rows held out: stop when the loss has not fallen for so many.
    checkpoint : (path, Binding), optional
        Where to keep the shares, and what must be the same to go on from there.

    Raises
    ------
    InputError
        When the checkpoint is of something else.
    PeerError
        When the other side decides what it cannot.
    """
    plan, kept = _agreed(peer, plan, columns.x.shape[1], theirs, checkpoint)
    shared = Shared(peer, label=targets is not None)
    try:
        descent = Descent(shared, plan, columns, theirs, targets)
        states = list(kept.states) or [descent.start()]
        losses = list(kept.losses)
        clock, done = time.monotonic(), states[-1].epochs
        stop = False
        while not stop and states[-1].epochs < epochs:
            number = states[-1].epochs + 1
            peer.phase(_progress(number, epochs, number - 1 - done, time.monotonic() - clock), total=plan.batches)
            state = descent.epoch(states[-1], _advance(peer))
            states = [*(states[-1:] if states[-1].epochs else []), state]
            if plan.held:
                loss = descent.loss(state)
                if loss is not None:
                    losses.append(loss)
                    peer.tell(f"epoch {number} of {epochs}: loss {loss:.5f} on the rows held out")
                stop = bool(_decided(peer, targets, stops(losses, patience) if losses else False))
            if checkpoint is not None:
                checkpoints.save(*checkpoint, Kept(plan.seed, tuple(states), losses))
        last = states[-1].epochs
        taken = _decided(peer, targets, best_epoch(losses) if losses else last) if plan.held else last
        if not 1 <= taken <= last:
            raise PeerError(f"{peer.peer} took a model of an epoch that there was not; check its version")
        peer.phase("opening the model")
        return Found(descent.open(states[-1], taken), last, taken, losses)
    finally:
        shared.wipe()


def _agreed(
    peer: Channel, plan: Plan, ours: int, theirs: int, checkpoint: tuple[Path, Binding] | None
) -> tuple[Plan, Kept]:
    """Where both sides can go on: at the last epoch that both kept of the same run, or at the start of a new one."""
    fresh = Kept(plan.seed, (), [])
    kept = fresh
    if checkpoint is not None:
        kept = checkpoints.load(*checkpoint, ours, theirs) or fresh
    epochs = [state.epochs for state in kept.states]
    mine = [float(int.from_bytes(kept.run[:_RUN_BYTES], "little")), *([0.0, 0.0, *epochs][-2:])]
    told = swap_numbers(peer, np.array(mine))
    common = {float(epoch) for epoch in epochs} & set(told[1:].tolist())
    if told[0] != mine[0] or not common:
        return plan, fresh
    last = max(common)
    states = tuple(state for state in kept.states if state.epochs <= last)
    return replace(plan, seed=kept.run), Kept(kept.run, states, kept.losses[: int(last)])


def _decided(peer: Channel, targets: Targets | None, ours: int) -> int:
    """What the label party decides."""
    if targets is not None:
        send_numbers(peer, np.array([float(ours)]))
        return ours
    return int(receive_numbers(peer, 1)[0])


def _progress(number: int, epochs: int, done: int, seconds: float) -> str:
    left = f", about {seconds / done * (epochs - number + 1):,.0f} s to go" if done else ""
    return f"epoch {number} of {epochs}{left}"


def _advance(peer: Channel) -> Callable[[], None]:
    return lambda: peer.advance(1)
