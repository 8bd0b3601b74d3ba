"""Where a fit stood after its last round, on disk, so that a killed run goes on."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import numpy as np

from fusion.errors import InputError
from fusion.learning.solver import State

__all__ = ["load", "save"]

_VERSION = 1


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    version: int
    fit: str  # a hash of everything that must be the same when the run goes on
    round: int
    loss: float
    x: list[float]
    gradient: list[float]
    inverse: list[list[float]]


def save(path: Path, fit: str, state: State) -> None:
    """Replace the file as a whole, so that it is never half written."""
    if state.loss is None or state.gradient is None:
        raise RuntimeError("a state is saved after its first evaluation")
    content = _File(
        _VERSION, fit, state.round, state.loss, state.x.tolist(), state.gradient.tolist(), state.inverse.tolist()
    )
    beside = path.with_name(path.name + ".new")
    try:
        with beside.open("wb") as file:
            file.write(msgspec.json.encode(content))
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as error:
        raise InputError(f"cannot write the checkpoint {path}: {error.strerror}") from None


def load(path: Path, fit: str, columns: int) -> State | None:
    """Where that fit stood; None without a file.

    Raises
    ------
    InputError
        When the file is damaged or belongs to another fit.
    """
    try:
        content = msgspec.json.decode(path.read_bytes(), type=_File)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InputError(f"cannot read the checkpoint {path}: {error.strerror}") from None
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise InputError(f"{path} is no checkpoint of a fit; remove it to start afresh") from None
    if content.version != _VERSION or content.fit != fit:
        raise InputError(f"{path} belongs to a fit of other data or parameters; remove it to start afresh")
    x, gradient = np.array(content.x), np.array(content.gradient)
    if x.shape != (columns,) or gradient.shape != (columns,) or {len(row) for row in content.inverse} != {columns}:
        raise InputError(f"{path} is damaged; remove it to start afresh")
    return State(x, np.array(content.inverse), content.loss, gradient, content.round)
