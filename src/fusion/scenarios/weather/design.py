"""The bureau's side of a portfolio in the clear: seasons, payouts, price sheet and the offer made of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from fusion.errors import InputError
from fusion.scenarios.weather.basis import moments
from fusion.scenarios.weather.burn import burn
from fusion.scenarios.weather.grid import Grid
from fusion.scenarios.weather.offer import Offer, Sheet
from fusion.scenarios.weather.products import MIN_YEARS, THOUSAND, Product, thousandths
from fusion.scenarios.weather.record import Record
from fusion.scenarios.weather.totals import Query

__all__ = ["Design", "both_query", "design", "portfolio_query", "sheet_table", "together_query"]

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Design:
    """What the bureau knows; only the offer leaves.

    Attributes
    ----------
    offer : Offer
    payouts : (years, products x cells) int64
        Thousandths of the sum insured, the cells of the first product first: the weights of a portfolio.
    reference : (basis years,) int64
        Thousandths that the basis place's index pays.
    """

    offer: Offer
    payouts: Integers
    reference: Integers

    def together(self) -> Integers:
        """Weights that add up payout times loss for each other place: (places, places x years)."""
        return np.kron(np.eye(len(self.offer.places) - 1, dtype=np.int64), self.reference)

    def both(self) -> Integers:
        """Weights that count the years in which both are above zero, likewise."""
        return np.kron(np.eye(len(self.offer.places) - 1, dtype=np.int64), (self.reference > 0) * THOUSAND)


def design(
    record: Record,
    products: Sequence[Product],
    *,
    grid: Grid,
    cells: Integers,
    places: Sequence[str],
    step: int,
    basis_place: str,
    basis_step: int,
    min_years: int = MIN_YEARS,
) -> Design:
    """Compute payouts of every product, cell and season, and what of it is published.

    Parameters
    ----------
    record : Record
    products : sequence of Product
        Their names differ; the last one is the one whose basis risk is measured.
    grid : Grid
    cells : (cells,) int64
        Ascending numbers of the record's columns.
    places : sequence of str
        What each is called.
    step : int
        To what totals of payouts are rounded, in yuan.
    basis_place : str
        Whose index is compared with losses elsewhere.
    basis_step : int
        To what its sums are rounded, in thousandths.
    min_years : int
        How many seasons all cells must have in common.

    Raises
    ------
    InputError
        Fewer seasons in common, two places in one cell, or a basis place that is none of them.
    """
    if len(set(cells.tolist())) != len(cells) or len(set(places)) != len(cells):
        raise InputError("each cell has one place with one name; keep one station a cell, or take a finer grid")
    if basis_place not in places:
        raise InputError("the place whose index is compared is none of those offered; choose one of them")
    seasons = [product.seasons(record) for product in products]
    shares = [product.schedule.share(each.values) for product, each in zip(products, seasons, strict=True)]
    tables = [pd.DataFrame(share, each.years) for share, each in zip(shares, seasons, strict=True)]
    common = pd.concat(tables, axis=1).dropna()
    if len(common) < min_years:
        raise InputError(
            f"the cells have {len(common)} seasons in common where {min_years} are needed; "
            "leave out the cell with the shortest record"
        )
    prices = pd.concat(
        [
            burn(table.to_numpy(), names=[f"{product.name}, {place}" for place in places])
            for product, table in zip(products, tables, strict=True)
        ]
    )
    of_basis = tables[-1].set_axis(list(places), axis=1)
    own = of_basis[basis_place].dropna()
    reference = thousandths(own.to_numpy())
    offer = Offer(
        grid=str(grid),
        day_ends=record.day_ends,
        products=[product.name for product in products],
        terms=[product.terms for product in products],
        cells=cells.tolist(),
        places=list(places),
        years=common.index.tolist(),
        step=step,
        basis_place=basis_place,
        basis_product=products[-1].name,
        basis_years=own.index.tolist(),
        basis_step=basis_step,
        basis_moments=[int(each[0]) for each in moments(reference[:, None])],
        prices=_sheet(prices),
        correlations=_sheet(of_basis.corr(min_periods=min_years).fillna(0.0)),
    )
    return Design(offer, thousandths(common.to_numpy()), reference)


def portfolio_query(offer: Offer) -> Query:
    """What a book's payout by year asks: a row for each product and cell, insured there or not."""
    return Query(
        purpose="payout of the portfolio by year",
        terms=offer.digest,
        rows=len(offer.products) * len(offer.cells),
        subjects=[f"the season {year}" for year in offer.years],
        unit="yuan",
        step=offer.step,
    )


def together_query(offer: Offer) -> Query:
    """What the sum of payout times loss of each place asks: a row for each place and year, with a loss or not."""
    return _basis_query(offer, "sum of payout times loss by place", offer.basis_step)


def both_query(offer: Offer) -> Query:
    """What the number of years with payout and loss asks."""
    return _basis_query(offer, "years with payout and loss by place", 0)


def sheet_table(sheet: Sheet) -> pd.DataFrame:
    """Return a sheet of an offer as a table."""
    return pd.DataFrame(sheet.columns, index=pd.Index(sheet.index))


def _basis_query(offer: Offer, purpose: str, step: int) -> Query:
    others = [place for place in offer.places if place != offer.basis_place]
    return Query(
        purpose=purpose,
        terms=offer.digest,
        rows=len(others) * len(offer.basis_years),
        subjects=[f"the basis of {place}" for place in others],
        unit="thousandths",
        step=step,
    )


def _sheet(table: pd.DataFrame) -> Sheet:
    """Round to thousandths: a quantile in full would be a payout of the series in full."""
    rounded = table.astype(float).round(3)
    return Sheet(list(map(str, rounded.index)), {str(name): rounded[name].tolist() for name in rounded.columns})
