"""What only the label party has: labels, offset and weights, checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from fusion.errors import InputError
from fusion.learning.design import check_common
from fusion.learning.families import Family, Sums
from fusion.learning.objective import Estimate

__all__ = ["Labels", "binary_labels", "check_same_rows", "offset_of", "row_weights"]

Floats = npt.NDArray[np.float64]

_LARGEST_OFFSET = 1e9  # of the identity link, whose offsets are plain numbers
_LARGEST_LOG = 25.0


@dataclass(frozen=True, slots=True, repr=False)
class Labels:
    """Labels, offset and weights, (n,) each."""

    y: Floats
    offset: Floats
    weight: Floats

    @classmethod
    def of(cls, family: Family, y: Any, exposure: Any, offset: Any, weight: Any, rows: int) -> Labels:
        labels = _column("y", y, rows)
        weights = np.ones(rows) if weight is None else _column("weight", weight, rows)
        if (weights < 0).any() or not weights.any():
            raise InputError("weights must be 0 or more, and not all 0")
        family.check(labels, weights)
        offsets = offset_of(family, exposure, offset, rows)
        counted = weights > 0
        for what, values in (("weight", weights), ("y", labels[counted]), ("exposure or offset", offsets[counted])):
            check_common(what, values, "Pass more rows, or leave those out on both sides")
        return cls(labels, offsets, weights)

    @property
    def rows(self) -> int:
        """How many count."""
        return int((self.weight > 0).sum())

    def start(self, family: Family) -> tuple[float, float]:
        """The intercept to begin with, and the mean second derivative by the linear predictor there."""
        start = family.start(self.y, self.offset, self.weight)
        if family.power == 0:
            return start, 1.0
        means = np.exp((2 - family.power) * (start + self.offset))
        return start, float(np.average(means, weights=self.weight))

    def null(self, family: Family) -> tuple[float, float]:
        """Half the deviance of one rate for everybody, and the constant of the family that is in it."""
        start = family.start(self.y, self.offset, self.weight)
        z, p = start + self.offset, family.power
        if p == 0:
            return float(self.weight @ (self.y - z) ** 2) / 2, 0.0
        constant = family.constant(self.y, self.weight)
        sums = Sums(float(self.weight @ np.exp((2 - p) * z)), float(self.weight @ (self.y * np.exp((1 - p) * z))))
        return family.loss(sums, float(self.weight @ z), float((self.weight * self.y) @ z)) + constant, constant

    def facts(self, family: Family, found: Estimate) -> dict[str, float]:
        """What a summary tells of the fit."""
        null, constant = self.null(family)
        half = found.loss + constant
        return {
            "rows": float(len(self.y)),
            "columns": float(len(found.beta)),
            "deviance": 2 * half,
            "null deviance": 2 * null,
            "D2": 1 - half / null,
            "Pearson chi2": found.pearson,
            "dispersion": found.dispersion,
            "rounds": float(found.rounds),
            "converged": float(found.converged),
        }


def check_same_rows(X: Any, **columns: Any) -> None:
    """Raise InputError when a Series is of other rows than X, or of the same in another order, by their indexes.

    Values without an index, or beside an X without one, go by position.
    """
    if not isinstance(X, pd.DataFrame):
        return
    for name, values in columns.items():
        if isinstance(values, pd.Series) and len(values) == len(X) and not values.index.equals(X.index):
            raise InputError(
                f"{name} and X have different indexes, so row i may be two people; take both from the same table, or "
                f"pass {name}.to_numpy() if they are in the same order"
            )


def binary_labels(y: Any, rows: int) -> Floats:
    """Labels of 0 and 1, both of which occur; InputError otherwise."""
    labels = _column("y", y, rows, "; turn labels into 0 and 1, such as y == 'bad'")
    if not np.isin(labels, (0.0, 1.0)).all():
        raise InputError("labels must be 0 or 1; turn them into these, such as y == 'bad'")
    if labels.min() == labels.max():
        raise InputError("all labels are the same, so there is nothing to tell apart; both 0 and 1 must occur")
    return labels


def row_weights(y: Floats, weight: Any, classes: str | Mapping[int, float] | None) -> Floats:
    """Weights of mean 1, (n,): those of the rows times those of the classes.

    Parameters
    ----------
    y : (n,) floats
        0 or 1.
    weight : (n,) numbers or None
    classes : "balanced", {0: number, 1: number} or None
        Balanced weighs both classes the same in all.
    """
    found = np.ones(len(y)) if weight is None else _column("weight", weight, len(y))
    if (found < 0).any():
        raise InputError("weights must be 0 or more")
    totals = [float(found[y == label].sum()) for label in (0, 1)]
    if min(totals) <= 0:
        raise InputError("all rows of a label have weight 0; both labels must count")
    if classes == "balanced":
        found = np.where(y == 1, found / totals[1], found / totals[0])
    elif isinstance(classes, Mapping):
        found = found * np.where(y == 1, classes[1], classes[0])
    weights: Floats = found / found.mean()
    return weights


def _column(name: str, values: Any, rows: int, hint: str = "") -> Floats:
    try:
        column = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError(f"{name} must be numbers{hint}") from None
    if column.shape != (rows,):
        raise InputError(f"{name} has shape {column.shape}, X has {rows} rows; pass one number a row")
    if not np.isfinite(column).all():
        raise InputError(f"{name} holds NaN or infinity; leave those rows out on both sides")
    return column


def offset_of(family: Family, exposure: Any, offset: Any, rows: int) -> Floats:
    total = np.zeros(rows)
    if offset is not None:
        total = total + _column("offset", offset, rows)
    if exposure is not None:
        if family.power == 0:
            raise InputError("the gaussian family has no exposure; pass weight, or an offset")
        values = _column("exposure", exposure, rows)
        if not (values > 0).all():
            raise InputError("every exposure must be above 0; leave rows without exposure out on both sides")
        total = total + np.log(values)
    if np.abs(total).max() > (_LARGEST_LOG if family.power else _LARGEST_OFFSET):
        raise InputError("offset, or the log of the exposure, is out of range; choose another unit")
    return total
