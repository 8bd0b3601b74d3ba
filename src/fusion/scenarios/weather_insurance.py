"""A weather bureau and a crop insurer find what an index portfolio would have paid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from fusion.errors import InputError, MismatchError
from fusion.report import Report
from fusion.scenarios import Tables
from fusion.scenarios._people import uniform
from fusion.scenarios.outcome import Outcome
from fusion.scenarios.weather.allowance import Allowance
from fusion.scenarios.weather.basis import Sums, basis, moments
from fusion.scenarios.weather.burn import burn
from fusion.scenarios.weather.design import (
    Design,
    both_query,
    design,
    portfolio_query,
    sheet_table,
    together_query,
)
from fusion.scenarios.weather.files import climate, households
from fusion.scenarios.weather.grid import Grid
from fusion.scenarios.weather.indices import Index
from fusion.scenarios.weather.offer import Offer, publish, read
from fusion.scenarios.weather.pages import sections, summary
from fusion.scenarios.weather.products import ANHUI_RICE_HEAT, THOUSAND, Layer, Product, fit_layer, thousandths
from fusion.scenarios.weather.record import Record
from fusion.scenarios.weather.totals import answer, ask

__all__ = [
    "GRID",
    "PARTIES",
    "SECTOR",
    "SHOWN",
    "SOURCE",
    "STATIONS",
    "TITLE",
    "TOLERANCES",
    "data",
    "ideal",
    "report",
    "run",
]

Integers = npt.NDArray[np.int64]

TITLE = "A weather bureau and a crop insurer find what an index portfolio would have paid"
SECTOR = "数据要素×气象服务"
SOURCE = (
    "The policies are rice farmers who took weather insurance in Cai, de Janvry and Sadoulet (2015), from causaldata; "
    "the weather is that of seven stations in Britain and America, from aquacrop. That the Chinese villages lie beside "
    "these stations is illustrative, and so are places, sums insured and losses."
)
PARTIES = ("bureau", "insurer")

STEP = 1000  # yuan
BASIS_STEP = 10  # thousandths of the sum insured
_MEAN, _DEVIATION, _ONE_IN_10, _WORST = (
    "mean yearly payout, yuan",
    "std deviation of a year, yuan",
    "1 in 10 years, yuan",
    "worst year, yuan",
)
_MEASURES = ("correlation", "rmse", "false negatives", "false positives")
_NEAREST = " of the nearest place"
TOLERANCES: Mapping[str, float] = {
    # A yearly payout below half a step counts as none, so each is off by a step at most; a mean and a quantile then
    # are, too, and a standard deviation of n years by sqrt(n / (n - 1)) steps.
    **dict.fromkeys((_MEAN, _ONE_IN_10, _WORST), float(STEP)),
    _DEVIATION: 1.03 * STEP,
    "burn rate": 0.001,
    f"correlation{_NEAREST}": 0.005,
    f"rmse{_NEAREST}": 0.005,
}
SHOWN: tuple[str, ...] = ("portfolio", "basis risk")

# The package does not say where its stations stand: the places are towns of the name. Degrees, WGS-84.
STATIONS: Mapping[str, tuple[str, float, float]] = {
    "cambridge": ("Cambridge", 52.20, 0.12),
    "champion": ("Champion", 40.47, -101.75),
    "lincolnshire": ("Lincolnshire", 53.23, -0.54),
    "norfolk": ("Norfolk", 52.63, 1.30),
    "north_yorks": ("North Yorkshire", 54.34, -1.43),
    "northumberland": ("Northumberland", 55.17, -1.69),
    "suffolk": ("Suffolk", 52.06, 1.15),
}
GRID = Grid(-90.0, -180.0, 90.0, 180.0, 0.25)
BASIS_PLACE = "Cambridge"
DAY_ENDS = "an hour that the source of the record does not tell"

RICE_HEAT = replace(ANHUI_RICE_HEAT, day_ends=DAY_ENDS)
RAIN_INDEX = Index("rain", (5, 1), (8, 31), "sum")
_RAIN = "rain-deficit"
_RAIN_SOURCE = (
    "Trigger and exit are the 20th and 5th percentile of each cell's own years, as designs of IRI choose them (Zambia "
    "FISP, 2021)."
)
_BUREAU = {
    "stations": ("station", "place", "latitude", "longitude"),
    "weather": ("station", "date", "tmin_c", "tmax_c", "rain_mm"),
}
_INSURER = {
    "policies": ("latitude", "longitude", "product", "sum_insured"),
    "losses": ("latitude", "longitude", "year", "lost"),
}
_YUAN_A_MU = 200  # sum insured; ours
_MOST_TOTALS = 2  # of a season, or of the basis of a place, for each insurer


def data() -> dict[str, Tables]:
    """Return what each party brings.

    The policies are the 645 households of Cai, de Janvry and Sadoulet, Social networks and the decision to insure
    (American Economic Journal: Applied Economics 7, 2015), that took up weather insurance and told the area of their
    rice, as distributed with causaldata. Villages are dealt out to the seven stations by name; within a village
    products and within a cell places are drawn by number. The sum insured is 200 yuan a mu.

    Losses stand in for what insurers know: in five places, what a layer on the place's own rain would have paid, with
    trigger and exit at the 20th and 5th percentile of its own years.

    Returns
    -------
    dict
        ``"bureau"``: `stations` (`station`, `place`, `latitude`, `longitude`) and `weather` (`station`, `date`,
        `tmin_c`, `tmax_c`, `rain_mm`), the daily records of aquacrop, 1982 to 2021. ``"insurer"``: `policies`
        (`policy`, `village`, `latitude`, `longitude`, `product`, `area_mu`, `sum_insured` in yuan) and `losses`
        (`latitude`, `longitude`, `year`, `lost` as a share of the sum insured).

    Raises
    ------
    InputError
        aquacrop or causaldata is not installed, or its file has another shape. Only their data files are read.
    """
    stations = pd.DataFrame(
        [(station, *where) for station, where in STATIONS.items()],
        columns=["station", "place", "latitude", "longitude"],
    )
    weather = pd.concat([climate(station).assign(station=station) for station in STATIONS], ignore_index=True)
    bureau = {"stations": stations, "weather": weather[["station", "date", "tmin_c", "tmax_c", "rain_mm"]]}
    return {"bureau": bureau, "insurer": {"policies": _policies(stations), "losses": _losses(bureau)}}


def run(peers: Any, tables: Any, party: str) -> Outcome:
    """Compute the portfolio's payouts and its basis risk from one party's side.

    Parameters
    ----------
    peers : Channel
        The channel to the other party.
    tables : dict of DataFrame
        This party's tables, see `data`.
    party : str
        ``"bureau"`` or ``"insurer"``.
    """
    return _bureau(peers, tables) if party == PARTIES[0] else _insurer(peers, tables)


def ideal(tables: Mapping[str, Any]) -> dict[str, Outcome]:
    """Compute in the clear what :func:`run` returns to each party, from the tables of both, exactly."""
    known = _design(tables["bureau"])
    book, lost = _book(tables["insurer"]["policies"], known.offer), _lost(tables["insurer"]["losses"], known.offer)
    losses = lost.T.ravel()
    totals = known.payouts @ book
    together, both = known.together() @ losses, known.both() @ (losses > 0) // THOUSAND
    return {
        "bureau": _bureau_outcome(known),
        "insurer": _insurer_outcome(tables["insurer"]["policies"], known.offer, totals, lost, together, both),
    }


def report(outcomes: Mapping[str, Outcome]) -> Report:
    """Present what was found."""
    insurer = outcomes["insurer"]
    return Report(
        TITLE,
        sections(insurer, STEP, BASIS_PLACE),
        kicker=SECTOR,
        summary=summary(insurer),
        source=SOURCE,
    )


def _bureau(peer: Any, tables: Mapping[str, pd.DataFrame]) -> Outcome:
    known = _design(tables)
    outcome, allowance = _bureau_outcome(known), Allowance(_MOST_TOTALS)
    publish(peer, known.offer)
    outcome.step("publish cells, products and prices", peer)
    answer(peer, portfolio_query(known.offer), known.payouts, allowance=allowance)
    outcome.step("payout of the portfolio by year", peer)
    answer(peer, together_query(known.offer), known.together(), allowance=allowance)
    outcome.step("basis risk: payout times loss", peer)
    answer(peer, both_query(known.offer), known.both(), allowance=allowance)
    outcome.step("basis risk: years with both", peer)
    return outcome


def _insurer(peer: Any, tables: Mapping[str, pd.DataFrame]) -> Outcome:
    _need(tables, _INSURER)
    offer = read(peer)
    for field, ours, theirs in (
        ("grid", str(GRID), offer.grid),
        ("products", _products(), dict(zip(offer.products, offer.terms, strict=True))),
    ):
        if ours != theirs:
            raise MismatchError(field, ours, theirs)
    steps = Outcome()
    steps.step("publish cells, products and prices", peer)
    book, lost = _book(tables["policies"], offer), _lost(tables["losses"], offer)
    losses = lost.T.ravel()
    totals = ask(peer, portfolio_query(offer), book)
    steps.step("payout of the portfolio by year", peer)
    together = ask(peer, together_query(offer), losses)
    steps.step("basis risk: payout times loss", peer)
    both = ask(peer, both_query(offer), (losses > 0).astype(np.int64)) // THOUSAND
    steps.step("basis risk: years with both", peer)
    outcome = _insurer_outcome(tables["policies"], offer, totals, lost, together, both)
    outcome.steps = steps.steps
    return outcome


def _products() -> dict[str, str]:
    """Terms of the products by name, as both sides know them from their contract."""
    of_each_cell = Layer(np.ones(1), np.zeros(1))
    return {product.name: product.terms for product in (RICE_HEAT, _rain_deficit(of_each_cell))}


def _rain_deficit(layer: Layer) -> Product:
    return Product(_RAIN, RAIN_INDEX, layer, DAY_ENDS, _RAIN_SOURCE)


def _design(tables: Mapping[str, pd.DataFrame]) -> Design:
    """Everything the bureau computes alone."""
    _need(tables, _BUREAU)
    stations = tables["stations"]
    cells = GRID.cells(stations["latitude"], stations["longitude"], crs="WGS-84")
    stations = stations.assign(cell=cells).sort_values("cell")
    record = _record(tables["weather"], stations["station"].tolist())
    layer = fit_layer(RAIN_INDEX.seasons(record).values)
    return design(
        record,
        [RICE_HEAT, _rain_deficit(layer)],
        grid=GRID,
        cells=stations["cell"].to_numpy(),
        places=stations["place"].tolist(),
        step=STEP,
        basis_place=BASIS_PLACE,
        basis_step=BASIS_STEP,
    )


def _record(weather: pd.DataFrame, stations: list[str]) -> Record:
    codes = _positions(weather["station"], stations)
    columns = {"tmin": weather["tmin_c"], "tmax": weather["tmax_c"], "rain": weather["rain_mm"]}
    return Record.build(weather["date"].to_numpy(), codes, columns, cells=len(stations), day_ends=DAY_ENDS)


def _book(policies: pd.DataFrame, offer: Offer) -> Integers:
    """Sums insured in yuan by product and cell of the offer."""
    cells = _columns(policies, offer)
    products = _positions(policies["product"], offer.products)
    if (products < 0).any():
        raise InputError(f"row {int((products < 0).argmax())} of the policies has a product that is not on offer")
    sums = policies["sum_insured"].to_numpy()
    if sums.dtype.kind not in "iu" or (sums <= 0).any():
        raise InputError("sums insured are whole, positive yuan; round them first")
    book = np.zeros(len(offer.products) * len(offer.cells), np.int64)
    np.add.at(book, products * len(offer.cells) + cells, sums)
    return book


def _lost(losses: pd.DataFrame, offer: Offer) -> Integers:
    """Losses in thousandths, (basis years, places but the basis place); 0 where none are known."""
    places = [place for place in offer.places if place != offer.basis_place]
    columns = _positions(np.array(offer.places)[_columns(losses, offer)], places)
    years = _positions(losses["year"], offer.basis_years)
    if (columns < 0).any() or (years < 0).any():
        raise InputError("losses lie in other places than the index, in years that the offer compares")
    if not losses["lost"].between(0.0, 1.0).all():
        raise InputError("losses are shares of the sum insured, 0 to 1; leave out years that are not known")
    lost = np.zeros((len(offer.basis_years), len(places)), np.int64)
    lost[years, columns] = thousandths(losses["lost"].to_numpy())
    if not lost.any():
        raise InputError("the losses hold no loss above half a thousandth; basis risk needs some")
    return lost


def _columns(table: pd.DataFrame, offer: Offer) -> Integers:
    """Where each row's cell stands in the offer."""
    cells = GRID.cells(table["latitude"], table["longitude"], crs="WGS-84")
    found = _positions(cells, offer.cells)
    if (found < 0).any():
        raise InputError(f"row {int((found < 0).argmax())} lies in a cell that the bureau does not offer")
    return found


def _need(tables: Mapping[str, pd.DataFrame], columns: Mapping[str, Sequence[str]]) -> None:
    """Check that a party's tables are there with their columns."""
    for name, wanted in columns.items():
        missing = [column for column in wanted if name not in tables or column not in tables[name]]
        if missing:
            raise InputError(f"the table {name} needs the columns {', '.join(missing)}")


def _positions(values: Any, known: Sequence[Any]) -> Integers:
    """Where each value stands among the known ones, -1 where it does not."""
    return np.asarray(pd.Index(known).get_indexer(pd.Index(values)), np.int64)


def _bureau_outcome(known: Design) -> Outcome:
    offer = known.offer
    totals = len(offer.years) + 2 * (len(offer.places) - 1)
    return Outcome(figures={"cells offered": len(offer.cells), "totals answered": totals})


def _insurer_outcome(
    policies: pd.DataFrame, offer: Offer, totals: Integers, lost: Integers, together: Integers, both: Integers
) -> Outcome:
    """What follows from the totals, whoever computed them."""
    paid = np.where(totals > STEP * THOUSAND / 2, totals / THOUSAND, 0.0)  # less cannot be told from nothing
    insured = int(policies["sum_insured"].sum())
    described = burn(paid[:, None], insured, names=["portfolio"])
    risk = _basis_risk(offer, lost, together, both)
    own, nearest = described.iloc[0].to_dict(), risk.iloc[0].to_dict()
    return Outcome(
        figures={
            "policies": len(policies),
            "sum insured, yuan": insured,
            _MEAN: own["burn rate"] * insured,
            _DEVIATION: own["std deviation"] * insured,
            _ONE_IN_10: own["1 in 10 years"] * insured,
            _WORST: own["worst year"] * insured,
            "burn rate": own["burn rate"],
            **{measure + _NEAREST: nearest[measure] for measure in _MEASURES},
        },
        tables={
            "portfolio": described,
            "payout by year": pd.DataFrame({"payout, yuan": paid}, index=pd.Index(offer.years, name="year")),
            "basis risk": risk,
            "products": pd.DataFrame({"terms": offer.terms}, index=pd.Index(offer.products, name="product")),
            "prices": sheet_table(offer.prices),
            "correlations": sheet_table(offer.correlations),
        },
    )


def _basis_risk(offer: Offer, lost: Integers, together: Integers, both: Integers) -> pd.DataFrame:
    """Basis risk of the places with losses, the nearest first."""
    others = [place for place in offer.places if place != offer.basis_place]
    each = np.ones(len(others), np.int64)
    paid, paid_squared, paying = (each * moment for moment in offer.basis_moments)
    sums = Sums(each * len(offer.basis_years), paid, paid_squared, paying, *moments(lost), together, both)
    cells = dict(zip(offer.places, offer.cells, strict=True))
    risk = basis(sums, others)
    risk["km"] = GRID.distances(cells[offer.basis_place], [cells[place] for place in others])
    return risk.iloc[np.flatnonzero(lost.any(axis=0))].sort_values("km")


def _policies(stations: pd.DataFrame) -> pd.DataFrame:
    """The book: households that took up insurance and told their area."""
    homes = households().reset_index(names="household")
    homes = homes[(homes["takeup_survey"] == 1) & homes["ricearea_2010"].notna()].reset_index(drop=True)
    number = homes["household"].to_numpy()
    villages = np.sort(homes["village"].unique())
    station = stations.iloc[np.searchsorted(villages, homes["village"].to_numpy()) % len(stations)]
    corner = [np.floor(station[name].to_numpy() / GRID.step) * GRID.step for name in ("latitude", "longitude")]
    within = [np.floor(uniform(number, f"weather/{axis}") * GRID.step * 1e4) / 1e4 for axis in ("north", "east")]
    # only one of the stations is hot enough for the heat product
    heat = (station["place"].to_numpy() == "Champion") & (uniform(number, "weather/product") < 0.7)
    return pd.DataFrame(
        {
            "policy": [f"P{n:04d}" for n in number],
            "village": homes["village"].to_numpy(),
            "latitude": (corner[0] + within[0]).round(4),
            "longitude": (corner[1] + within[1]).round(4),
            "product": np.where(heat, RICE_HEAT.name, _RAIN),
            "area_mu": homes["ricearea_2010"].to_numpy(),
            "sum_insured": np.rint(homes["ricearea_2010"].to_numpy() * _YUAN_A_MU).astype(np.int64),
        }
    )


def _losses(bureau: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Losses by place and year: illustrative, see `data`."""
    stations = bureau["stations"]
    seasons = RAIN_INDEX.seasons(_record(bureau["weather"], stations["station"].tolist()))
    shares = fit_layer(seasons.values).share(seasons.values)
    table = pd.DataFrame(shares.round(3), seasons.years, stations["place"].tolist())
    wide = table.drop(columns=[BASIS_PLACE, "Champion"]).dropna()
    long = wide.rename_axis("year").reset_index().melt("year", var_name="place", value_name="lost")
    where = stations.set_index("place")[["latitude", "longitude"]]
    return long.join(where, on="place")[["latitude", "longitude", "year", "lost"]]
