"""Where a descent on shares stood after its last two epochs, on disk, so that a killed run goes on.

Each party writes its own shares, which tell nothing by themselves; who has the files of both has the weights. Of two
parties one may be killed an epoch ahead of the other, so both keep two.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fusion.errors import InputError
from fusion.learning import binding
from fusion.learning.binding import Binding, Bound
from fusion.learning.descent import State
from fusion.learning.shares import MODULUS

__all__ = ["Kept", "load", "save"]


@dataclass(frozen=True, slots=True)
class Kept:
    """What a file holds.

    Attributes
    ----------
    run : bytes
        Names the run that both parties began.
    states : tuple of State
        The last two, or fewer.
    losses : list of float
        The label party's, one for each epoch.
    """

    run: bytes
    states: tuple[State, ...]
    losses: list[float]


class _File(Bound, frozen=True, forbid_unknown_fields=True):
    run: str
    own: list[list[int]]
    theirs: list[list[int]]
    own_sums: list[list[int]]
    their_sums: list[list[int]]
    losses: list[float]


def save(path: Path, fit: Binding, kept: Kept) -> None:
    """Replace the file; InputError when that fails."""
    last = kept.states[-1]
    content = _File(
        binding.VERSION,
        fit.mark,
        kept.run.hex(),
        [state.own.tolist() for state in kept.states],
        [state.theirs.tolist() for state in kept.states],
        last.own_sums.tolist(),
        last.their_sums.tolist(),
        kept.losses,
    )
    binding.write(path, content)


def load(path: Path, fit: Binding, ours: int, theirs: int) -> Kept | None:
    """What `save` wrote; None without a file.

    Raises
    ------
    InputError
        When the file is damaged or belongs to another fit.
    """
    content = binding.read(path, _File, fit)
    if content is None:
        return None
    epochs, states = len(content.own_sums) - 1, len(content.own)
    try:
        run = bytes.fromhex(content.run)
        arrays = [
            np.array(values, dtype=np.uint64).reshape(rows, columns)
            for values, rows, columns in (
                (content.own, states, ours),
                (content.theirs, states, theirs),
                (content.own_sums, epochs + 1, ours),
                (content.their_sums, epochs + 1, theirs),
            )
        ]
    except (ValueError, OverflowError):
        arrays, run = [], b""
    if not arrays or not 1 <= states <= min(2, epochs) or any((array >= MODULUS).any() for array in arrays):
        raise InputError(f"{path} is damaged; remove it to start afresh")
    own, other, own_sums, their_sums = arrays
    found = []
    for i in range(states):
        until = epochs + 1 - (states - 1 - i)
        found.append(State(own[i], other[i], own_sums[:until], their_sums[:until]))
    return Kept(run, tuple(found), content.losses)
