"""What a score is worth to whoever accepts customers by it: curves, bands, swap sets, and how sure a gain is.

For the party that holds the labels, as `fusion.learning.metrics`: scores rise with risk, labels are 1 for bad, ties
count as ties.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from fusion.errors import InputError
from fusion.learning.metrics import _bands, _classes, _columns

__all__ = ["auc_gain", "bands", "roc", "swap_set"]

Floats = npt.NDArray[np.float64]


def auc_gain(y: Any, before: Any, after: Any) -> tuple[float, float]:
    """How much higher the AUC of one score is than that of another on the same rows, and the standard error of that.

    Parameters
    ----------
    y : (n,) of 0 and 1
        At least two of each.
    before, after : (n,) floats

    Returns
    -------
    (float, float)

    Raises
    ------
    InputError

    References
    ----------
    DeLong, DeLong, Clarke-Pearson: Comparing the areas under two or more correlated receiver operating characteristic
    curves (Biometrics 1988).
    """
    labels, old, new = _columns(y=y, before=before, after=after)
    _classes(labels, new, None)
    changes = [now - was for was, now in zip(_placed(labels == 1, old), _placed(labels == 1, new), strict=True)]
    if min(map(len, changes)) < 2:
        raise InputError("two rows of either label are needed to say how sure a gain is")
    return float(changes[0].mean()), float(np.sqrt(sum(change.var(ddof=1) / len(change) for change in changes)))


def _placed(bad: npt.NDArray[np.bool_], risk: Floats) -> list[Floats]:
    """For each bad row the share of good ones below it, and for each good row that of bad ones above; ties half."""
    shares = []
    for own, other in ((risk[bad], np.sort(risk[~bad])), (-risk[~bad], np.sort(-risk[bad]))):
        below = np.searchsorted(other, own, "left") + np.searchsorted(other, own, "right")
        shares.append(below / (2.0 * len(other)))
    return shares


def roc(y: Any, score: Any) -> pd.DataFrame:
    """The shares of good and of bad rows at or above each score: the ROC curve, and where KS is reached.

    Parameters
    ----------
    y : (n,) of 0 and 1
    score : (n,) floats

    Returns
    -------
    DataFrame with columns ``score``, ``good``, ``bad``
        From (0, 0), at a score of infinity, to (1, 1); one point after each distinct score, from the highest down.

    Raises
    ------
    InputError
        On labels other than 0 and 1, of one class only, or columns that do not fit.
    """
    negative, positive = _classes(y, score, None)
    distinct = np.unique(np.asarray(score, dtype=np.float64))[::-1]
    shares = {
        name: np.concatenate([[0.0], np.cumsum(size[::-1]) / size.sum()])
        for name, size in (("good", negative), ("bad", positive))
    }
    return pd.DataFrame({"score": np.concatenate([[np.inf], distinct]), **shares})


def bands(y: Any, score: Any, *, bands: int = 10) -> pd.DataFrame:
    """The bands of a score from the riskiest down, with what each holds and what has been caught so far.

    Parameters
    ----------
    y : (n,) of 0 and 1
    score : (n,) floats
    bands : int
        How many, of about equal size; equal scores share a band.

    Returns
    -------
    DataFrame
        One row a band, the riskiest first: ``rows``, ``bad``, ``bad_rate``, ``lift`` (bad rate over that of all),
        ``caught`` (share of all bad rows, down to here), ``ks`` (that share less the same of good rows).

    Raises
    ------
    InputError
    """
    _classes(y, score, None)
    labels, risk = _columns(y=y, score=score)
    band = _bands(-risk, np.ones(len(risk)), bands)
    rows = np.bincount(band)
    bad = np.bincount(band, weights=labels)
    caught, good = np.cumsum(bad) / bad.sum(), np.cumsum(rows - bad) / (rows - bad).sum()
    return pd.DataFrame(
        {
            "rows": rows,
            "bad": bad.astype(np.int64),
            "bad_rate": bad / rows,
            "lift": bad / rows / labels.mean(),
            "caught": caught,
            "ks": caught - good,
        },
        index=pd.RangeIndex(1, len(rows) + 1, name="band"),
    )


def swap_set(y: Any, before: Any, after: Any, *, accept: Any) -> pd.DataFrame:
    """Whom a new score accepts and rejects where the old one decided otherwise, both accepting the same share.

    Parameters
    ----------
    y : (n,) of 0 and 1
    before, after : (n,) floats
        The old and the new score of the same rows.
    accept : float
        The share of rows accepted, above 0 and below 1: those of lowest score. Rows that tie at the cut-off are all
        accepted.

    Returns
    -------
    DataFrame
        ``rows``, ``bad`` and ``bad_rate`` (NaN without rows) of those that ``accepted by both``, ``swapped in``,
        ``swapped out`` and ``rejected by both``.

    Raises
    ------
    InputError

    Examples
    --------
    >>> swap_set([0, 1, 0, 1], [1, 2, 3, 4], [1, 3, 2, 4], accept=0.5)["rows"].tolist()
    [1, 1, 1, 1]
    """
    labels, old, new = _columns(y=y, before=before, after=after)
    if not np.isin(labels, (0.0, 1.0)).all():
        raise InputError("labels must be 0 or 1")
    if isinstance(accept, bool) or not isinstance(accept, int | float | np.number) or not 0 < accept < 1:
        raise InputError("accept, the share of rows accepted, must lie strictly between 0 and 1")
    taken = max(1, round(float(accept) * len(labels)))
    was, now = (score <= np.partition(score, taken - 1)[taken - 1] for score in (old, new))
    groups = np.select([was & now, ~was & now, was & ~now], [0, 1, 2], default=3)
    rows = np.bincount(groups, minlength=4)
    bad = np.bincount(groups, weights=labels, minlength=4)
    rate = np.divide(bad, rows, out=np.full(4, np.nan), where=rows > 0)
    return pd.DataFrame(
        {"rows": rows, "bad": bad.astype(np.int64), "bad_rate": rate},
        index=pd.Index(["accepted by both", "swapped in", "swapped out", "rejected by both"], name="decision"),
    )
