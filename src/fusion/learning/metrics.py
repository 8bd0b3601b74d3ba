"""How good a model is, for the party that holds the labels: what actuaries and risk modellers look at.

Everything here is computed in the clear by one party from its own labels and the predictions it was given. Arrays are
one-dimensional and of equal length. Ties in a score count as ties: a metric does not depend on the order of the rows.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from fusion.errors import InputError

__all__ = [
    "FAMILIES",
    "actual_expected",
    "auc",
    "calibration",
    "d2",
    "d2_gain",
    "deviance",
    "double_lift",
    "gini",
    "ks",
    "lift",
    "lorenz",
    "population_stability",
]

FAMILIES = ("gaussian", "poisson", "gamma", "tweedie", "binomial")

Floats = npt.NDArray[np.float64]


def _columns(**columns: Any) -> tuple[Floats, ...]:
    """Every column as finite floats, all of one length; None becomes ones."""
    found: dict[str, Floats | None] = {}
    for name, values in columns.items():
        if values is None:
            found[name] = None
            continue
        try:
            array = np.asarray(values, dtype=np.float64)
        except (TypeError, ValueError):
            raise InputError(f"{name} must be numbers") from None
        if array.ndim != 1:
            raise InputError(f"{name} must have one dimension, not {array.ndim}")
        if not np.isfinite(array).all():
            raise InputError(f"{name} holds NaN or infinity; leave those rows out, or fill them")
        found[name] = array
    lengths = {name: len(array) for name, array in found.items() if array is not None}
    if len(set(lengths.values())) > 1:
        raise InputError("columns differ in length: " + ", ".join(f"{name} {n}" for name, n in lengths.items()))
    (rows,) = set(lengths.values())
    if rows == 0:
        raise InputError("there are no rows to judge by")
    return tuple(np.ones(rows) if array is None else array for array in found.values())


def _weights(name: str, values: Floats) -> Floats:
    if (values < 0).any() or not values.sum() > 0:
        raise InputError(f"{name} must be 0 or more, and not all 0")
    return values


def _unit_deviance(y: Floats, predicted: Floats, family: str, power: float) -> Floats:
    """Unit deviance (McCullagh, Nelder: Generalized Linear Models, 2nd ed., section 2.3; Tweedie: Jorgensen 1987)."""
    if family not in FAMILIES:
        raise InputError(f"no family {family!r}; there is {', '.join(FAMILIES)}")
    if family == "gaussian":
        return (y - predicted) ** 2
    if family == "binomial":
        if ((y < 0) | (y > 1)).any() or ((predicted <= 0) | (predicted >= 1)).any():
            raise InputError("for the binomial family labels lie from 0 to 1 and predictions strictly between")
        return 2 * (_x_log_ratio(y, predicted) + _x_log_ratio(1 - y, 1 - predicted))
    if (predicted <= 0).any():
        raise InputError(f"for the {family} family predictions must be above 0")
    if family == "gamma":
        if (y <= 0).any():
            raise InputError("for the gamma family labels must be above 0")
        return 2 * (y / predicted - 1 - np.log(y / predicted))
    if (y < 0).any():
        raise InputError(f"for the {family} family labels must be 0 or more")
    if family == "poisson":
        return 2 * (_x_log_ratio(y, predicted) - (y - predicted))
    if not 1 < power < 2:
        raise InputError("the power of a Tweedie family lies strictly between 1 and 2")
    return 2 * (
        y ** (2 - power) / ((1 - power) * (2 - power))
        - y * predicted ** (1 - power) / (1 - power)
        + predicted ** (2 - power) / (2 - power)
    )


def _x_log_ratio(x: Floats, y: Floats) -> Floats:
    """x log(x / y), which is 0 at x = 0."""
    positive = x > 0
    return np.where(positive, x * np.log(np.where(positive, x, 1.0) / np.where(positive, y, 1.0)), 0.0)


def deviance(y: Any, predicted: Any, *, family: str, power: float = 1.5, weight: Any = None) -> float:
    """Weighted mean of the unit deviances: 0 for perfect predictions, in squared units of y for the Gaussian.

    Parameters
    ----------
    y, predicted : (n,) floats
        Labels and predictions in the same unit; for counts over an exposure, predictions of the count.
    family : str
        ``"gaussian"``, ``"poisson"``, ``"gamma"``, ``"tweedie"`` (with ``power`` between 1 and 2) or ``"binomial"``.
    weight : (n,) floats, optional

    Raises
    ------
    InputError
        On columns of other lengths, NaN, or values that the family does not know.
    """
    y, predicted, weight = _columns(y=y, predicted=predicted, weight=weight)
    return float(np.average(_unit_deviance(y, predicted, family, power), weights=_weights("weight", weight)))


def d2(
    y: Any,
    predicted: Any,
    *,
    family: str,
    power: float = 1.5,
    exposure: Any = None,
    weight: Any = None,
    base: float | None = None,
) -> float:
    """Share of the deviance that the model explains: 1 is perfect, 0 no better than one rate for everybody.

    Parameters
    ----------
    exposure : (n,) floats, optional
        The model without columns predicts ``base`` times the exposure.
    base : float, optional
        That rate, usually of the rows that the model was fitted on; by default of these rows.

    Examples
    --------
    >>> round(d2([0, 1, 4], [0.5, 1.5, 3.0], family="poisson"), 4)
    0.7508
    """
    y, predicted, exposure, weight = _columns(y=y, predicted=predicted, exposure=exposure, weight=weight)
    exposure, weight = _weights("exposure", exposure), _weights("weight", weight)
    if base is None:
        base = float((weight * y).sum() / (weight * exposure).sum())
    null = _unit_deviance(y, base * exposure, family, power) @ weight
    if not null > 0:
        raise InputError("all labels equal their mean, so there is no deviance to explain")
    return float(1 - _unit_deviance(y, predicted, family, power) @ weight / null)


def d2_gain(
    y: Any,
    first: Any,
    second: Any,
    *,
    family: str,
    power: float = 1.5,
    exposure: Any = None,
    weight: Any = None,
    base: float | None = None,
) -> tuple[float, float]:
    """How much more of the deviance the second model explains than the first, and the standard error of that.

    Parameters
    ----------
    y, first, second : (n,) floats
        Labels and what either model predicted, of rows that neither was fitted on.
    exposure, weight, base
        As for `d2`.

    Notes
    -----
    The error is that of a ratio of two sums over independent rows (Cochran: Sampling techniques, 3rd ed., section 6.4);
    it speaks of the rows, not of the fits.
    """
    y, first, second, exposure, weight = _columns(y=y, first=first, second=second, exposure=exposure, weight=weight)
    exposure, weight = _weights("exposure", exposure), _weights("weight", weight)
    if len(y) < 2:
        raise InputError("an error needs at least two rows")
    if base is None:
        base = float((weight * y).sum() / (weight * exposure).sum())
    null = weight * _unit_deviance(y, base * exposure, family, power)
    less = weight * (_unit_deviance(y, first, family, power) - _unit_deviance(y, second, family, power))
    if not null.sum() > 0:
        raise InputError("all labels equal their mean, so there is no deviance to explain")
    gain = float(less.sum() / null.sum())
    error = np.sqrt(len(y) / (len(y) - 1) * np.sum((less - gain * null) ** 2)) / null.sum()
    return gain, float(error)


def lorenz(y: Any, score: Any, *, exposure: Any = None) -> pd.DataFrame:
    """The ordered Lorenz curve: rows by rising score, shares of exposure and of y so far.

    Parameters
    ----------
    y : (n,) floats
        Claims, costs or events; 0 or more.
    score : (n,) floats
        What the model says of each row per unit of exposure, such as a predicted frequency.
    exposure : (n,) floats, optional

    Returns
    -------
    DataFrame with columns ``exposure`` and ``y``
        From (0, 0) to (1, 1), one point after each distinct score.
    """
    y, score, exposure = _columns(y=y, score=score, exposure=exposure)
    y, exposure = _weights("y", y), _weights("exposure", exposure)
    _, group = np.unique(score, return_inverse=True)
    shares = {}
    for name, values in (("exposure", exposure), ("y", y)):
        running = np.cumsum(np.bincount(group, weights=values))
        shares[name] = np.concatenate(([0.0], running / running[-1]))
    return pd.DataFrame(shares)


def gini(y: Any, score: Any, *, exposure: Any = None) -> float:
    """Gini index of the ordered Lorenz curve: twice the area between it and the diagonal; 0 if the score says nothing.

    References
    ----------
    Frees, Meyers, Cummings: Summarizing insurance scores using a Gini index (JASA 2011).
    """
    curve = lorenz(y, score, exposure=exposure)
    x, share = curve["exposure"].to_numpy(), curve["y"].to_numpy()
    return float(1 - np.sum(np.diff(x) * (share[1:] + share[:-1])))


def _classes(y: Any, score: Any, weight: Any) -> tuple[Floats, Floats]:
    """Weight of negatives and of positives at each distinct score, ascending."""
    y, score, weight = _columns(y=y, score=score, weight=weight)
    if not np.isin(y, (0.0, 1.0)).all():
        raise InputError("labels must be 0 or 1")
    weight = _weights("weight", weight)
    _, group = np.unique(score, return_inverse=True)
    negative = np.bincount(group, weights=weight * (1 - y)).astype(np.float64)
    positive = np.bincount(group, weights=weight * y).astype(np.float64)
    if not (negative.sum() > 0 and positive.sum() > 0):
        raise InputError("both labels, 0 and 1, must occur")
    return negative, positive


def auc(y: Any, score: Any, *, weight: Any = None) -> float:
    """Area under the ROC curve: how likely a positive scores above a negative, ties counting half.

    Examples
    --------
    >>> auc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    0.75
    """
    negative, positive = _classes(y, score, weight)
    below = np.cumsum(negative) - negative / 2
    return float(positive @ below / (negative.sum() * positive.sum()))


def ks(y: Any, score: Any, *, weight: Any = None) -> float:
    """Kolmogorov-Smirnov distance: the largest gap between the score's distributions of positives and negatives."""
    negative, positive = _classes(y, score, weight)
    gap = np.cumsum(negative) / negative.sum() - np.cumsum(positive) / positive.sum()
    return float(np.abs(gap).max())


def lift(y: Any, score: Any, *, share: float = 0.1, weight: Any = None) -> float:
    """Mean of y in the highest-scored ``share`` of the rows, over the mean of all; 1 if the score says nothing.

    Rows that tie at the boundary count in part, so that exactly that share is taken.
    """
    y, score, weight = _columns(y=y, score=score, weight=weight)
    if not 0 < share <= 1:
        raise InputError("share must be above 0 and at most 1")
    weight = _weights("weight", weight)
    _, group = np.unique(-score, return_inverse=True)
    size, total = np.bincount(group, weights=weight), np.bincount(group, weights=weight * y)
    if not total.sum() > 0:
        raise InputError("y must have a sum above 0")
    wanted = share * size.sum()
    taken = np.clip(wanted - (np.cumsum(size) - size), 0, size)
    mean = (total * np.divide(taken, size, out=np.zeros_like(size), where=size > 0)).sum() / wanted
    return float(mean / (total.sum() / size.sum()))


def _bands(score: Floats, weight: Floats, bands: int) -> npt.NDArray[np.intp]:
    """Bands of about equal weight by rising score, numbered from 0; equal scores share a band."""
    if bands < 1:
        raise InputError("there must be at least one band")
    _, group = np.unique(score, return_inverse=True)
    size = np.bincount(group, weights=weight)
    middle = (np.cumsum(size) - size / 2) / size.sum()
    _, band = np.unique(np.minimum((middle * bands).astype(np.intp), bands - 1), return_inverse=True)
    return band[group]


def calibration(y: Any, predicted: Any, *, bands: int = 10, weight: Any = None) -> pd.DataFrame:
    """Mean prediction beside mean label, in bands of about equal weight by rising prediction.

    Returns
    -------
    DataFrame with columns ``weight``, ``predicted``, ``actual``
        One row a band; fewer than ``bands`` where predictions tie.
    """
    y, predicted, weight = _columns(y=y, predicted=predicted, weight=weight)
    weight = _weights("weight", weight)
    band = _bands(predicted, weight, bands)
    size = np.bincount(band, weights=weight)
    means = [np.bincount(band, weights=weight * values) / size for values in (predicted, y)]
    return pd.DataFrame(
        {"weight": size, "predicted": means[0], "actual": means[1]}, index=pd.RangeIndex(1, len(size) + 1, name="band")
    )


def actual_expected(y: Any, predicted: Any, *, exposure: Any = None, bands: int = 10) -> pd.DataFrame:
    """Actual over expected, in bands of about equal exposure by rising predicted rate.

    Parameters
    ----------
    y, predicted : (n,) floats
        What happened and what was predicted, both for the whole exposure of the row.
    exposure : (n,) floats, optional

    Returns
    -------
    DataFrame with columns ``exposure``, ``actual``, ``expected``, ``ratio``
        One row a band; the ratio is NaN where nothing was expected.
    """
    y, predicted, exposure = _columns(y=y, predicted=predicted, exposure=exposure)
    exposure = _weights("exposure", exposure)
    if not (exposure > 0).all():
        raise InputError("every exposure must be above 0; leave rows without exposure out")
    band = _bands(predicted / exposure, exposure, bands)
    sums = {
        name: np.bincount(band, weights=values)
        for name, values in (("exposure", exposure), ("actual", y), ("expected", predicted))
    }
    expected = sums["expected"]
    ratio = np.divide(sums["actual"], expected, out=np.full_like(expected, np.nan), where=expected != 0)
    return pd.DataFrame({**sums, "ratio": ratio}, index=pd.RangeIndex(1, len(ratio) + 1, name="band"))


def double_lift(y: Any, first: Any, second: Any, *, exposure: Any = None, bands: int = 10) -> pd.DataFrame:
    """Two models where they disagree: bands of about equal exposure by rising ratio of the second to the first.

    Whichever of the two follows what happened from band to band is the better one.

    Parameters
    ----------
    y, first, second : (n,) floats
        What happened and what either model predicted, all for the whole exposure of the row; predictions above 0.
    exposure : (n,) floats, optional

    Returns
    -------
    DataFrame with columns ``exposure``, ``actual``, ``first``, ``second``
        One row a band: sums.
    """
    y, first, second, exposure = _columns(y=y, first=first, second=second, exposure=exposure)
    if not ((first > 0).all() and (second > 0).all()):
        raise InputError("predictions must be above 0 to be divided")
    exposure = _weights("exposure", exposure)
    band = _bands(second / first, exposure, bands)
    columns = {"exposure": exposure, "actual": y, "first": first, "second": second}
    sums = {name: np.bincount(band, weights=values) for name, values in columns.items()}
    return pd.DataFrame(sums, index=pd.RangeIndex(1, band.max() + 2, name="band"))


def population_stability(expected: Any, actual: Any, *, bands: int = 10) -> float:
    """Population stability index of a score: how far its distribution has moved between two populations.

    Bands are those of about equal size in ``expected``; an empty one counts as half a row. By custom, below 0.1 is
    stable and above 0.25 a shift. (The other PSI: for set intersection see `fusion.psi`.)

    Parameters
    ----------
    expected, actual : (n,) and (m,) floats
        Scores of the population that the model was built on, and of the one it is used on.

    Examples
    --------
    >>> population_stability(range(100), range(100))
    0.0
    """
    (expected,) = _columns(expected=expected)
    (actual,) = _columns(actual=actual)
    band = _bands(expected, np.ones(len(expected)), bands)
    highest = np.full(band.max() + 1, -np.inf)
    np.maximum.at(highest, band, expected)
    counts = [
        np.bincount(np.searchsorted(highest[:-1], scores, side="left"), minlength=len(highest))
        for scores in (expected, actual)
    ]
    before, now = (np.maximum(count, 0.5) / count.sum() for count in counts)
    return float(np.sum((now - before) * np.log(now / before)))
