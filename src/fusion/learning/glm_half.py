"""What a party holds of a generalised linear model after a fit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from fusion.learning.design import Design
from fusion.learning.families import Family
from fusion.learning.half import Half
from fusion.learning.labels import Labels
from fusion.learning.objective import Estimate
from fusion.learning.summary import coefficient_table, text

__all__ = ["GLMHalf"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class GLMHalf(Half):
    """One party's half. The feature party knows its own coefficients and errors, and no more.

    Attributes
    ----------
    family : str
    power : float
        Of the variance.
    ridge : float
    errors : (k,) floats
        Of `own`.
    intercept_error : float
        At 0 of this party's own columns.
    theirs, their_errors : (m,) floats
        The label party's: of the other's standardised columns.
    """

    family: str
    power: float
    ridge: float
    errors: Floats
    intercept_error: float
    theirs: Floats
    their_errors: Floats

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
    ) -> GLMHalf:
        """The label party's half; ``found`` has the other party's columns first, and the intercept last."""
        errors = np.sqrt(np.maximum(np.diag(found.covariance), 0.0))  # what noise may bring below 0
        theirs = len(found.beta) - len(design.columns) - intercept
        own = slice(theirs, theirs + len(design.columns))
        return cls(
            label=True,
            peer=peer,
            model=model,
            design=design,
            own=found.beta[own],
            intercept=float(found.beta[-1]) if intercept else None,
            facts=labels.facts(family, found),
            family=family.name,
            power=family.power,
            ridge=ridge,
            errors=errors[own],
            intercept_error=_intercept_error(found.covariance[theirs:, theirs:], design) if intercept else 0.0,
            theirs=found.beta[:theirs],
            their_errors=errors[:theirs],
        )

    @classmethod
    def of_features(
        cls, peer: str, model: str, family: Family, ridge: float, design: Design, told: Floats, rows: int
    ) -> GLMHalf:
        """The feature party's half; ``told`` holds its coefficients and then their errors."""
        own, errors = told[: len(design.columns)], told[len(design.columns) :]
        none, facts = np.empty(0), {"rows": float(rows)}
        return cls(
            False, peer, model, design, own, None, facts, family.name, family.power, ridge, errors, 0.0, none, none
        )

    @property
    def kind(self) -> Family:
        """The family."""
        return Family.of(self.family, self.power if self.family == "tweedie" else None)

    @property
    def coefficients(self) -> pd.DataFrame:
        """Of this party's columns, per unit, with their errors."""
        names, coefficients = self.per_unit()
        errors = self.errors / np.array([column.scale for column in self.design.columns])
        if self.intercept is not None:
            errors = np.concatenate([[self.intercept_error], errors])
        return coefficient_table(names, coefficients, errors, log_link=self.power > 0)

    @property
    def other(self) -> pd.DataFrame:
        """Of the other party's columns, per standard deviation; they have numbers for names."""
        names = [f"{self.peer}[{i}]" for i in range(len(self.theirs))]
        return coefficient_table(names, self.theirs, self.their_errors, log_link=self.power > 0)

    def summary(self) -> str:
        """The fit as text."""
        facts = {name: f"{value:,.6g}" for name, value in self.facts.items()}
        if "converged" in facts:
            facts["converged"] = "yes" if self.facts["converged"] else "no"
        blocks, notes = {"own columns, per unit": self.coefficients}, self.bases()
        if self.label:
            blocks[f"columns of {self.peer}, per standard deviation"] = self.other
            if self.intercept is not None:
                notes.append(f"the intercept is that at the mean of the columns of {self.peer}")
            if self.ridge:
                notes.append("with a ridge, errors are those of the penalised estimate, which is biased")
        power = f"({self.power:g})" if self.family == "tweedie" else ""
        link = "log" if self.power else "identity"
        return text(f"Generalised linear model: {self.family}{power}, {link} link", facts, blocks, notes)

    def fits(self) -> bool:
        """Whether there is an error for each coefficient; InputError on another family than there is.

        A label party without intercept has centred no column.
        """
        return (
            len(self.errors) == len(self.own)
            and len(self.theirs) == len(self.their_errors)
            and self.kind.power == self.power
            and (not self.label or self.intercept is not None or not any(each.mean for each in self.design.columns))
        )


def _intercept_error(covariance: Floats, design: Design) -> float:
    """Standard error of the intercept at 0 of our own columns; the intercept stands last in the covariance."""
    shifts = np.array([-column.mean / column.scale for column in design.columns] + [1.0])
    return float(np.sqrt(max(shifts @ covariance @ shifts, 0.0)))
