"""What only the label party has: labels, offset and weights, checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fusion.errors import InputError
from fusion.learning.families import Family, Sums
from fusion.learning.objective import Estimate

__all__ = ["Labels", "offset_of"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, repr=False)
class Labels:
    """Labels, offset and weights, (n,) each."""

    y: Floats
    offset: Floats
    weight: Floats

    @classmethod
    def of(cls, family: Family, y: Any, exposure: Any, offset: Any, weight: Any, rows: int) -> _Labels:
        labels = _column("y", y, rows)
        family.check(labels)
        weights = np.ones(rows) if weight is None else _column("weight", weight, rows)
        if (weights < 0).any() or not weights.any():
            raise InputError("weights must be 0 or more, and not all 0")
        return cls(labels, offset_of(family, exposure, offset, rows), weights)

    def start(self, family: Family) -> tuple[float, float]:
        """The intercept to begin with, and the mean second derivative by the linear predictor there."""
        start = family.start(self.y, self.offset, self.weight)
        if family.power == 0:
            return start, 1.0
        means = np.exp((2 - family.power) * (start + self.offset))
        return start, float(np.average(means, weights=self.weight))

    def facts(self, family: Family, found: Estimate, columns: int) -> dict[str, float]:
        start = family.start(self.y, self.offset, self.weight)
        z = start + self.offset
        p = family.power
        constant = family.constant(self.y, self.weight) if p else 0.0
        if p == 0:
            null = float(self.weight @ (self.y - z) ** 2)
        else:
            sums = Sums(float(self.weight @ np.exp((2 - p) * z)), float(self.weight @ (self.y * np.exp((1 - p) * z))))
            null = 2 * (family.loss(sums, float(self.weight @ z), float((self.weight * self.y) @ z)) + constant)
        deviance = 2 * (found.loss + constant)
        return {
            "rows": float(len(self.y)),
            "columns": float(columns),
            "deviance": deviance,
            "null deviance": null,
            "D2": 1 - deviance / null,
            "dispersion": found.dispersion,
            "rounds": float(found.rounds),
            "converged": float(found.converged),
        }


def _column(name: str, values: Any, rows: int) -> Floats:
    try:
        column = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError(f"{name} must be numbers") from None
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
    return total
