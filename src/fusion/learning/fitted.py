"""What a party holds after a fit: its coefficients as tables and text, and on disk."""

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
from fusion.learning.design import Column, Design
from fusion.learning.families import Family
from fusion.learning.labels import Labels
from fusion.learning.objective import Estimate
from fusion.learning.summary import coefficient_table, text

__all__ = ["Fitted", "load", "save"]

Floats = npt.NDArray[np.float64]

_VERSION = 1
_WHAT = "the saved model"


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Fitted:
    """One party's half of a model. The feature party knows its own coefficients and errors, and no more.

    Attributes
    ----------
    label : bool
        Whether this is the label party's.
    peer : str
        The other party.
    model : str
        Names the model; both halves have the same.
    family : Family
    ridge : float
    design : Design
    own, errors : (k,) floats
        Of this party's standardised columns.
    intercept : float or None
        The label party's: at the mean of every column of both parties.
    intercept_error : float
        At 0 of this party's own columns.
    theirs, their_errors : (m,) floats
        The label party's: of the other's standardised columns.
    facts : dict of str to float
    """

    label: bool
    peer: str
    model: str
    family: Family
    ridge: float
    design: Design
    own: Floats
    errors: Floats
    intercept: float | None
    intercept_error: float
    theirs: Floats
    their_errors: Floats
    facts: dict[str, float]

    @classmethod
    def of_labels(
        cls,
        peer: str,
        model: str,
        family: Family,
        ridge: float,
        design: Design,
        found: Estimate,
        labels: Labels,
        *,
        intercept: bool,
    ) -> Fitted:
        """The label party's half; ``found`` has the other party's columns first, and the intercept last."""
        errors = np.sqrt(np.maximum(np.diag(found.covariance), 0.0))  # what noise may bring below 0
        theirs = len(found.beta) - len(design.columns) - intercept
        own = slice(theirs, theirs + len(design.columns))
        covariance = found.covariance[theirs:, theirs:]
        return cls(
            True,
            peer,
            model,
            family,
            ridge,
            design,
            found.beta[own],
            errors[own],
            float(found.beta[-1]) if intercept else None,
            _intercept_error(covariance, design) if intercept else 0.0,
            found.beta[:theirs],
            errors[:theirs],
            labels.facts(family, found),
        )

    @classmethod
    def of_features(
        cls, peer: str, model: str, family: Family, ridge: float, design: Design, told: Floats, rows: int
    ) -> Fitted:
        """The feature party's half; ``told`` holds its coefficients and then their errors."""
        own, errors = told[: len(design.columns)], told[len(design.columns) :]
        empty = np.empty(0)
        facts = {"rows": float(rows)}
        return cls(False, peer, model, family, ridge, design, own, errors, None, 0.0, empty, empty, facts)

    @property
    def coefficients(self) -> pd.DataFrame:
        """Of this party's columns, per unit."""
        scale = np.array([column.scale for column in self.design.columns])
        names = [column.name for column in self.design.columns]
        coefficients, errors = self.own / scale, self.errors / scale
        if self.intercept is not None:
            means = np.array([column.mean for column in self.design.columns])
            names = ["intercept", *names]
            coefficients = np.concatenate([[self.intercept - coefficients @ means], coefficients])
            errors = np.concatenate([[self.intercept_error], errors])
        return coefficient_table(names, coefficients, errors, log_link=self.family.power > 0)

    @property
    def other(self) -> pd.DataFrame:
        """Of the other party's columns, per standard deviation; they have numbers for names."""
        names = [f"{self.peer}[{i}]" for i in range(len(self.theirs))]
        return coefficient_table(names, self.theirs, self.their_errors, log_link=self.family.power > 0)

    def summary(self) -> str:
        """The fit as text."""
        facts = {name: f"{value:,.6g}" for name, value in self.facts.items()}
        if "converged" in facts:
            facts["converged"] = "yes" if self.facts["converged"] else "no"
        blocks = {"own columns, per unit": self.coefficients}
        notes = [f"base level of {column}: {level}" for column, level in self.design.bases.items()]
        if self.label:
            blocks[f"columns of {self.peer}, per standard deviation"] = self.other
            if self.intercept is not None:
                notes.append(f"the intercept is that at the mean of the columns of {self.peer}")
            if self.ridge:
                notes.append("with a ridge, errors are those of the penalised estimate, which is biased")
        power = f"({self.family.power:g})" if self.family.name == "tweedie" else ""
        link = "log" if self.family.power else "identity"
        return text(f"Generalised linear model: {self.family.name}{power}, {link} link", facts, blocks, notes)


def _intercept_error(covariance: Floats, design: Design) -> float:
    """Standard error of the intercept at 0 of our own columns; the intercept stands last in the covariance."""
    shifts = np.array([-column.mean / column.scale for column in design.columns] + [1.0])
    return float(np.sqrt(max(shifts @ covariance @ shifts, 0.0)))


class _Column(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    source: str
    level: str | None
    mean: float
    scale: float


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    version: int
    estimator: str
    parameters: dict[str, str | float | bool | None]
    label: bool
    peer: str
    model: str
    family: str
    power: float
    ridge: float
    sources: list[str]
    columns: list[_Column]
    bases: dict[str, str]
    own: list[float]
    errors: list[float]
    intercept: float | None
    intercept_error: float
    theirs: list[float]
    their_errors: list[float]
    facts: dict[str, float]


def save(path: Path, estimator: str, parameters: dict[str, Any], fitted: Fitted) -> None:
    """Write this party's half; InputError when that fails."""
    design = fitted.design
    content = _File(
        _VERSION,
        estimator,
        parameters,
        fitted.label,
        fitted.peer,
        fitted.model,
        fitted.family.name,
        fitted.family.power,
        fitted.ridge,
        list(design.sources),
        [_Column(column.source, column.level, column.mean, column.scale) for column in design.columns],
        design.bases,
        fitted.own.tolist(),
        fitted.errors.tolist(),
        fitted.intercept,
        fitted.intercept_error,
        fitted.theirs.tolist(),
        fitted.their_errors.tolist(),
        fitted.facts,
    )
    files.write(path, content, _WHAT)


def load(path: Path, estimator: str) -> tuple[dict[str, Any], Fitted]:
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
        len(content.own) == len(content.errors) == len(columns)
        and len(content.theirs) == len(content.their_errors)
        and all(column.scale > 0 and column.source in content.sources for column in columns)
        and all(base in content.sources for base in content.bases)
    )
    if not whole:
        raise InputError(f"{path} is damaged; save the model again")
    family = Family.of(content.family, content.power if content.family == "tweedie" else None)
    design = Design(
        tuple(content.sources),
        tuple(Column(column.source, column.level, column.mean, column.scale) for column in columns),
        content.bases,
    )
    fitted = Fitted(
        content.label,
        content.peer,
        content.model,
        family,
        content.ridge,
        design,
        np.array(content.own),
        np.array(content.errors),
        content.intercept,
        content.intercept_error,
        np.array(content.theirs),
        np.array(content.their_errors),
        content.facts,
    )
    return content.parameters, fitted
