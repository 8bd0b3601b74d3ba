"""Where a fit stood after its last round, on disk, so that a killed run goes on.

A checkpoint holds a place to begin: coefficients and the shape of the loss around them. Whoever goes on from there
evaluates the loss anew, so a file of another day costs rounds and never a wrong result.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fusion.errors import InputError
from fusion.learning import binding
from fusion.learning.binding import Binding, Bound
from fusion.learning.solver import Start, State

__all__ = ["load", "save"]


class _File(Bound, frozen=True, forbid_unknown_fields=True):
    round: int
    x: list[float]
    inverse: list[list[float]]


def save(path: Path, fit: Binding, state: State) -> None:
    """Replace the file by where the search stands; InputError when that fails."""
    binding.write(path, _File(binding.VERSION, fit.mark, state.round, state.x.tolist(), state.inverse.tolist()))


def load(path: Path, fit: Binding, columns: int) -> Start | None:
    """Where that fit stood; None without a file.

    Raises
    ------
    InputError
        When the file is damaged or belongs to another fit.
    """
    content = binding.read(path, _File, fit)
    if content is None:
        return None
    x = np.array(content.x)
    if x.shape != (columns,) or [len(row) for row in content.inverse] != [columns] * columns or content.round < 1:
        raise InputError(f"{path} is damaged; remove it to start afresh")
    return Start(x, np.array(content.inverse), content.round)
