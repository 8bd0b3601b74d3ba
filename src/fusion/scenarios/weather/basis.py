"""Basis risk: how well an index pays for what was lost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from fusion.errors import InputError
from fusion.scenarios.weather.products import THOUSAND

__all__ = ["Sums", "basis"]

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Sums:
    """Nine whole numbers for each of k places, from which every measure follows. All arrays are (k,) int64.

    Attributes
    ----------
    years
        How many.
    paid, paid_squared, paying_years
        Of what the index paid, in thousandths of the sum insured: sum, sum of squares, years above zero.
    lost, lost_squared, losing_years
        Of what was lost, likewise.
    together, both_years
        Sum of products of both, and years with both above zero: the only two that need the two sides.
    """

    years: Integers
    paid: Integers
    paid_squared: Integers
    paying_years: Integers
    lost: Integers
    lost_squared: Integers
    losing_years: Integers
    together: Integers
    both_years: Integers

    @classmethod
    def of(cls, paid: npt.ArrayLike, lost: npt.ArrayLike) -> Sums:
        """Add up payouts and losses, (years, k) thousandths each, in the clear."""
        x, y = whole(paid), whole(lost)
        if x.shape != y.shape:
            raise InputError("payouts and losses have a row for each year and a column for each place")
        return cls(
            np.full(x.shape[1], len(x), np.int64),
            *moments(x),
            *moments(y),
            (x * y).sum(axis=0),
            ((x > 0) & (y > 0)).sum(axis=0),
        )


def moments(shares: Integers) -> tuple[Integers, Integers, Integers]:
    """Sum, sum of squares and years above zero of (years, k) thousandths: what one side adds up alone."""
    return shares.sum(axis=0), (shares * shares).sum(axis=0), (shares > 0).sum(axis=0)


def whole(shares: npt.ArrayLike) -> Integers:
    """Check (years, k) whole thousandths, 0 to 1000."""
    values = np.asarray(shares)
    if values.ndim != 2 or values.dtype.kind not in "iu" or (values < 0).any() or (values > THOUSAND).any():
        raise InputError(f"shares of the sum insured are whole thousandths, 0 to {THOUSAND}, by year and place")
    return values.astype(np.int64)


def basis(sums: Sums, names: Sequence[str]) -> pd.DataFrame:
    """Measure basis risk from its sums.

    Returns
    -------
    pandas.DataFrame
        By name: `years`, `correlation` (Pearson's, of payout and loss), `rmse` (of the difference, as a share of the
        sum insured), `false negatives` (of the years with a loss, how many had no payout) and `false positives` (of
        the years without a loss, how many had one). NaN where nothing defines it: no loss, no variation.
    """
    n = sums.years.astype(np.float64)
    difference = sums.paid_squared - 2 * sums.together + sums.lost_squared  # whole numbers: nothing cancels
    covariance = sums.years * sums.together - sums.paid * sums.lost
    spread_paid = sums.years * sums.paid_squared - sums.paid**2
    spread_lost = sums.years * sums.lost_squared - sums.lost**2
    with np.errstate(divide="ignore", invalid="ignore"):
        table = {
            "years": sums.years,
            "correlation": covariance / (np.sqrt(spread_paid) * np.sqrt(spread_lost)),
            "rmse": np.sqrt(difference / n) / THOUSAND,
            "false negatives": (sums.losing_years - sums.both_years) / sums.losing_years,
            "false positives": (sums.paying_years - sums.both_years) / (sums.years - sums.losing_years),
        }
    return pd.DataFrame(table, index=pd.Index(names, name="place"))
