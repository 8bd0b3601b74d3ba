"""What a party holds of a logistic model after a fit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from fusion.learning.descent import Plan, Targets
from fusion.learning.design import Design
from fusion.learning.half import Half
from fusion.learning.summary import text
from fusion.learning.training import Found

__all__ = ["LogisticHalf"]


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class LogisticHalf(Half):
    """One party's half.

    Attributes
    ----------
    losses : list of float
        The label party's: the mean loss on the rows held out after each epoch, if there are any.
    """

    losses: list[float]

    @classmethod
    def of(
        cls, peer: str, model: str, design: Design, found: Found, plan: Plan, targets: Targets | None
    ) -> LogisticHalf:
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
        names, coefficients = self.per_unit()
        with np.errstate(over="ignore"):  # of a column of tiny numbers, whose unit is far
            return pd.DataFrame({"coef": coefficients, "odds ratio": np.exp(coefficients)}, index=pd.Index(names))

    @property
    def history(self) -> pd.DataFrame:
        """One row an epoch: the loss on the rows held out."""
        epochs = pd.RangeIndex(1, len(self.losses) + 1, name="epoch")
        return pd.DataFrame({"validation loss": self.losses}, index=epochs, dtype=np.float64)

    def summary(self) -> str:
        """The fit as text."""
        facts = {name: f"{value:,.6g}" for name, value in self.facts.items()}
        where = f"that at the mean of the columns of {self.peer}" if self.label else f"with {self.peer}"
        notes = [*self.bases(), f"the intercept is {where}"]
        return text("Logistic regression", facts, {"own columns, per unit": self.coefficients}, notes)

    def fits(self) -> bool:
        """Whether the label party, and nobody else, has the intercept."""
        return self.label == (self.intercept is not None)
