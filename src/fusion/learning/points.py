"""Probabilities as points of a score card, and where a customer's points come from."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from fusion.errors import InputError
from fusion.learning.logistic import VerticalLogistic

__all__ = ["PointScale", "average", "card", "parts", "reason_codes"]

Floats = npt.NDArray[np.float64]

_LARGEST = 1e6  # of points; beyond it somebody mistook probabilities, money or a missing value for points


@dataclass(frozen=True, slots=True)
class PointScale:
    """How odds become points: the more points, the better the customer.

    Points grow with the logarithm of the odds: ``base_points`` at odds of ``base_odds`` good customers to a bad one,
    and ``pdo`` more whenever the odds double.

    Attributes
    ----------
    pdo : float
        Points to double the odds, above 0.
    base_points : float
    base_odds : float
        Good customers to one bad one, above 0.

    Raises
    ------
    InputError
        On figures that are not numbers or give no scale.

    References
    ----------
    Siddiqi: Credit Risk Scorecards (2006), on scaling.

    Examples
    --------
    >>> scale = PointScale(pdo=20, base_points=600, base_odds=50)
    >>> scale.points([1 / 51, 1 / 101]).round(6).tolist()
    [600.0, 620.0]
    """

    pdo: float = 20.0
    base_points: float = 600.0
    base_odds: float = 50.0

    def __post_init__(self) -> None:
        for name in ("pdo", "base_points", "base_odds"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
                raise InputError(f"{name} must be a number")
            if not math.isfinite(value):
                raise InputError(f"{name} must be finite")
        if not 0 < self.pdo <= _LARGEST:
            raise InputError("pdo, the points that double the odds, must be above 0; 20 is usual")
        if not abs(self.base_points) <= _LARGEST:
            raise InputError("base_points is out of range; 600 is usual")
        if not 1e-6 <= self.base_odds <= 1e6:
            raise InputError("base_odds, of good customers to a bad one, must be above 0; 50 is usual")

    @property
    def factor(self) -> float:
        """Points for each unit of the logarithm of the odds."""
        return float(self.pdo) / math.log(2)

    @property
    def offset(self) -> float:
        """Points at even odds."""
        return float(self.base_points) - self.factor * math.log(self.base_odds)

    def points(self, probability: Any) -> Floats:
        """Points of customers who turn bad with these probabilities, (n,), each strictly between 0 and 1.

        Raises
        ------
        InputError
        """
        p = _numbers(probability, "probability")
        if not ((p > 0) & (p < 1)).all():
            raise InputError("probabilities must lie strictly between 0 and 1; 0 and 1 have no odds")
        return np.asarray(self.offset + self.factor * (np.log1p(-p) - np.log(p)))

    def probability(self, points: Any) -> Floats:
        """The probabilities, (n,), that stand behind points.

        Raises
        ------
        InputError
        """
        odds = (_numbers(points, "points") - self.offset) / self.factor
        return np.asarray(np.exp(-np.logaddexp(0.0, odds)))


def average(scale: PointScale, model: VerticalLogistic) -> float:
    """The points of the average customer fitted on, one at the mean of every column of both parties.

    Parameters
    ----------
    scale : PointScale
    model : VerticalLogistic
        The label party's half, with 1 for the label of customers who turned bad.

    Raises
    ------
    InputError
        Before a fit, or from the feature party's half, which has no intercept.
    """
    intercept = model._known().intercept
    if intercept is None:
        raise InputError("the label party alone has the intercept, and so the points of the average customer")
    return scale.offset - scale.factor * intercept


def parts(scale: PointScale, model: VerticalLogistic, X: Any) -> pd.DataFrame:
    """The points that each of a party's columns adds for each customer, against the average customer fitted on.

    Each party computes this alone, from its own half of a model and its own columns. The points of a customer are those
    of the average customer plus the parts of both parties: over the rows fitted on, every column adds 0 on average.

    Parameters
    ----------
    scale : PointScale
    model : VerticalLogistic
        This party's half, with 1 for the label of customers who turned bad.
    X : table of n rows
        This party's columns.

    Returns
    -------
    DataFrame, (n, columns of the frame fitted on)
        The levels of a categorical column are one column here.

    Raises
    ------
    InputError
        Before a fit, or on columns that the model cannot take.
    """
    half = model._known()
    design = half.design
    by_level = -scale.factor * design.apply(X) * half.own
    sources = np.array([design.sources.index(column.source) for column in design.columns])
    table = np.zeros((len(by_level), len(design.sources)))
    for i, source in enumerate(sources):
        table[:, source] += by_level[:, i]
    index = X.index if isinstance(X, pd.DataFrame) else None
    return pd.DataFrame(table, columns=list(design.sources), index=index)


def card(scale: PointScale, model: VerticalLogistic) -> pd.DataFrame:
    """The score card of a party's columns: the points of every class, against the average customer fitted on.

    Parameters
    ----------
    scale, model
        As for `parts`.

    Returns
    -------
    DataFrame with columns ``column``, ``class``, ``points``
        One row a level of a categorical column. One row a numeric column, with the points of a customer one standard
        deviation above its mean.
    """
    half = model._known()
    design = half.design
    rows: list[tuple[str, str, float]] = []
    points = dict(zip(design.columns, -scale.factor * half.own, strict=True))
    for source in design.sources:
        own = {column: value for column, value in points.items() if column.source == source}
        if source not in design.bases:
            rows += [(source, f"{c.scale:,.4g} above the mean of {c.mean:,.4g}", value) for c, value in own.items()]
            continue
        mean = sum(value * column.mean / column.scale for column, value in own.items())
        rows.append((source, design.bases[source], -mean))
        rows += [(source, str(column.level), value / column.scale - mean) for column, value in own.items()]
    return pd.DataFrame(rows, columns=["column", "class", "points"])


def reason_codes(points: pd.DataFrame, *, most: Any = 3) -> pd.DataFrame:
    """For each customer the columns that cost most points against the average customer, the costliest first.

    Parameters
    ----------
    points : DataFrame, (n, columns)
        As from `parts`; several parties' parts side by side, or one column for all of the other party's.
    most : int
        How many reasons, at least 1.

    Returns
    -------
    DataFrame, (n, most), of text
        Columns ``1``, ``2`` and so on; missing where fewer columns cost points. Of equal ones the first comes first.

    Raises
    ------
    InputError

    Examples
    --------
    >>> reason_codes(pd.DataFrame({"age": [-5.0, 3.0], "history": [-9.0, -1.0]}), most=2).fillna("").values.tolist()
    [['history', 'age'], ['history', '']]
    """
    if isinstance(most, bool) or not isinstance(most, int | np.integer) or most < 1:
        raise InputError("most, the number of reasons, must be a whole number of 1 or more")
    values = points.to_numpy(np.float64)
    if not np.isfinite(values).all():
        raise InputError("points hold NaN or infinity; leave those rows out, or fill them")
    order = np.argsort(values, axis=1, kind="stable")[:, :most]
    names = points.columns.to_numpy(dtype=object)[order]
    names[np.take_along_axis(values, order, axis=1) >= 0] = None
    codes = np.full((len(points), most), None, dtype=object)
    codes[:, : names.shape[1]] = names
    return pd.DataFrame(codes, index=points.index, columns=[str(i) for i in range(1, most + 1)])


def _numbers(values: Any, name: str) -> Floats:
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError(f"{name} must be numbers") from None
    if array.ndim != 1:
        raise InputError(f"{name} must have one dimension, not {array.ndim}")
    if not np.isfinite(array).all():
        raise InputError(f"{name} holds NaN or infinity; leave those rows out, or fill them")
    return array
