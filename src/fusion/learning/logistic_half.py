"""What a party holds of a logistic model after a fit: its coefficients as tables and text, and on disk."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pandas as pd

from fusion.errors import InputError
from fusion.learning import files
from fusion.learning.descent import Plan, Targets
from fusion.learning.design import Column, Design
from fusion.learning.summary import text
from fusion.learning.training import Found

__all__ = ["Half", "load", "save"]

Floats = npt.NDArray[np.float64]

_VERSION = 1
_WHAT = "the saved model"


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Half:
    """One party's half of a model.

    Attributes
    ----------
    label : bool
        Whether this is the label party's.
    peer : str
        The other party.
    model : str
        Names the model; both halves have the same.
    design : Design
    own : (k,) floats
        Coefficients of this party's standardised columns.
    intercept : float or None
        The label party's: at the mean of every column of both parties.
    facts : dict of str to float
    losses : list of float
        The label party's: the mean loss on the rows held out after each epoch, if there are any.
    """

    label: bool
    peer: str
    model: str
    design: Design
    own: Floats
    intercept: float | None
    facts: dict[str, float]
    losses: list[float]

    @classmethod
    def of(cls, peer: str, model: str, design: Design, found: Found, plan: Plan, targets: Targets | None) -> Half:
        """This party's half of what training found."""
        facts = {"rows": float(plan.rows), "rows held out": float(plan.held), "epochs": float(found.epochs)}
        if plan.held:
            facts["epoch taken"] = float(found.taken)
        own, intercept = found.coefficients, None
        if targets is not None:
            own, intercept = own[:-1], float(own[-1])
            facts["labels of 1"] = float(targets.y.sum())
        if found.losses:
            facts["validation loss"] = found.losses[found.taken - 1]
        return cls(targets is not None, peer, model, design, own, intercept, facts, found.losses)

    @property
    def coefficients(self) -> pd.DataFrame:
        """Of this party's columns, per unit, with their odds ratios."""
        names = [column.name for column in self.design.columns]
        scales = np.array([column.scale for column in self.design.columns])
        coefficients = self.own / scales
        if self.intercept is not None:
            means = np.array([column.mean for column in self.design.columns])
            names = ["intercept", *names]
            coefficients = np.concatenate([[self.intercept - coefficients @ means], coefficients])
        with np.errstate(over="ignore"):  # of a column of tiny numbers, whose unit is far
            return pd.DataFrame({"coef": coefficients, "odds ratio": np.exp(coefficients)}, index=pd.Index(names))

    @property
    def history(self) -> pd.DataFrame:
        """One row an epoch: the loss on the rows held out."""
        epochs = pd.RangeIndex(1, len(self.losses) + 1, name="epoch")
        return pd.DataFrame({"validation loss": self.losses}, index=epochs, dtype=np.float64)

    def linear(self, X: Any) -> Floats:
        """This party's part of the linear predictor, (n,)."""
        return np.asarray(self.design.apply(X) @ self.own + (self.intercept or 0.0))

    def summary(self) -> str:
        """The fit as text."""
        facts = {name: f"{value:,.6g}" for name, value in self.facts.items()}
        notes = [f"base level of {column}: {level}" for column, level in self.design.bases.items()]
        if self.label:
            notes.append(f"the intercept is that at the mean of the columns of {self.peer}")
        else:
            notes.append(f"the intercept is with {self.peer}")
        return text("Logistic regression", facts, {"own columns, per unit": self.coefficients}, notes)


class _Column(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    source: str
    level: str | None
    mean: float
    scale: float


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    version: int
    estimator: str
    parameters: dict[str, str | int | float | dict[int, float] | None]
    label: bool
    peer: str
    model: str
    sources: list[str]
    columns: list[_Column]
    bases: dict[str, str]
    own: list[float]
    intercept: float | None
    facts: dict[str, float]
    losses: list[float]


def save(path: Path, estimator: str, parameters: dict[str, Any], half: Half) -> None:
    """Write this party's half; InputError when that fails."""
    content = _File(
        _VERSION,
        estimator,
        parameters,
        half.label,
        half.peer,
        half.model,
        list(half.design.sources),
        [_Column(column.source, column.level, column.mean, column.scale) for column in half.design.columns],
        half.design.bases,
        half.own.tolist(),
        half.intercept,
        half.facts,
        half.losses,
    )
    files.write(path, content, _WHAT)


def load(path: Path, estimator: str) -> tuple[dict[str, Any], Half]:
    """What `save` wrote: the estimator's parameters and the half.

    Raises
    ------
    InputError
        When there is no such file, it holds something else, or its parts do not fit together.
    """
    content = files.read(path, _File, _WHAT)
    if content is None:
        raise InputError(f"there is no file {path}")
    if content.version != _VERSION or content.estimator != estimator:
        raise InputError(f"{path} holds another kind of model, or one of another version")
    columns = content.columns
    whole = (
        len(content.own) == len(columns)
        and content.label == (content.intercept is not None)
        and all(column.scale > 0 and column.source in content.sources for column in columns)
        and all(base in content.sources for base in content.bases)
    )
    if not whole:
        raise InputError(f"{path} is damaged; save the model again")
    design = Design(
        tuple(content.sources),
        tuple(Column(column.source, column.level, column.mean, column.scale) for column in columns),
        content.bases,
    )
    half = Half(
        content.label,
        content.peer,
        content.model,
        design,
        np.array(content.own),
        content.intercept,
        content.facts,
        content.losses,
    )
    return content.parameters, half
