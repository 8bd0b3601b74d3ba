"""Burn analysis: what a product or a book would have paid in each year of a record."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from fusion.errors import InputError
from fusion.scenarios.weather.products import MIN_YEARS, enough_years

__all__ = ["burn"]


def burn(
    payouts: npt.ArrayLike,
    insured: npt.ArrayLike = 1.0,
    *,
    names: Sequence[str],
    periods: Sequence[int] = (5, 10, 20),
    min_years: int = MIN_YEARS,
) -> pd.DataFrame:
    """Describe yearly payouts as an actuary does before pricing them.

    Parameters
    ----------
    payouts : (years, k) float
        What each of k products, cells or books would have paid; NaN where it has no such year.
    insured : float or (k,) float
        The sum insured of each, in the same unit; 1 for payouts that are shares already.
    names : sequence of str
        What the k are called.
    periods : sequence of int
        Return periods, in years.
    min_years : int
        How many years each needs at least.

    Returns
    -------
    pandas.DataFrame
        By name, all as shares of the sum insured: `years`, `burn rate` (the mean yearly payout: the pure premium),
        `std deviation` (of a year, n - 1 in the denominator), `paid in` (the share of years with any payout), `1 in T
        years` (exceeded once in T years on average: the quantile 1 - 1/T of the years, interpolated linearly) and
        `worst year`.

    Raises
    ------
    InputError
        Too few years, a return period beyond the years there are, or a sum insured that is not positive.
    """
    values = np.asarray(payouts, np.float64)
    if values.ndim != 2 or values.shape[1] != len(names):
        raise InputError("payouts have a row for each year and a column for each name")
    sums = np.asarray(insured, np.float64)
    if not (np.isfinite(sums) & (sums > 0)).all():
        raise InputError("sums insured are positive; leave out cells without policies")
    years = enough_years(values, min_years)
    if any(not 1 < period <= years.min() for period in periods):
        raise InputError(f"return periods are 2 to {years.min()} years: a record shows no rarer ones")
    shares = values / sums
    table = {
        "years": years,
        "burn rate": np.nanmean(shares, axis=0),
        "std deviation": np.nanstd(shares, axis=0, ddof=1),
        "paid in": (shares > 0).sum(axis=0) / years,
        **{f"1 in {period} years": np.nanquantile(shares, 1 - 1 / period, axis=0) for period in periods},
        "worst year": np.nanmax(shares, axis=0),
    }
    return pd.DataFrame(table, index=pd.Index(names, name="of"))
