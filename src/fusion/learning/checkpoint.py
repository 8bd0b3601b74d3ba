"""Where a fit stood after its last round, on disk, so that a killed run goes on.

A checkpoint holds a place to begin: coefficients and the shape of the loss around them. Whoever goes on from there
evaluates the loss anew, so a file of another day costs rounds and never a wrong result.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np

from fusion.errors import InputError
from fusion.learning import files
from fusion.learning.solver import Start, State

__all__ = ["load", "save"]

_VERSION = 1
_WHAT = "the checkpoint"


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    version: int
    fit: str  # a hash of everything that must be the same when the run goes on
    round: int
    x: list[float]
    inverse: list[list[float]]


def save(path: Path, fit: str, state: State) -> None:
    """Replace the file by where the search stands; InputError when that fails."""
    files.write(path, _File(_VERSION, fit, state.round, state.x.tolist(), state.inverse.tolist()), _WHAT)


def load(path: Path, fit: str, columns: int) -> Start | None:
    """Where that fit stood; None without a file.

    Raises
    ------
    InputError
        When the file is damaged or belongs to another fit.
    """
    content = files.read(path, _File, _WHAT)
    if content is None:
        return None
    if content.version != _VERSION or content.fit != fit:
        raise InputError(f"{path} belongs to a fit of other data or parameters; remove it to start afresh")
    x = np.array(content.x)
    if x.shape != (columns,) or [len(row) for row in content.inverse] != [columns] * columns or content.round < 1:
        raise InputError(f"{path} is damaged; remove it to start afresh")
    return Start(x, np.array(content.inverse), content.round)
