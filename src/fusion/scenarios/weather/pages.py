"""The pages of the weather-insurance report."""

from __future__ import annotations

import pandas as pd

from fusion.report import Chart, Figure, Figures, Section, Table, charts
from fusion.scenarios.outcome import Outcome

__all__ = ["sections", "summary"]

_SHARES = ("burn rate", "std deviation", "paid in", "worst year", "false negatives", "false positives")


def summary(insurer: Outcome) -> str:
    """What was found, in two sentences."""
    figures, prices = insurer.figures, insurer.tables["prices"]
    return (
        f"The insurer's {figures['policies']:,.0f} policies would have cost "
        f"{figures['burn rate']:.1%} of their sum insured in a mean year, and in the worst one "
        f"{figures['worst year, yuan'] / figures['sum insured, yuan']:.0%}. The bureau computed this for "
        f"{len(prices)} pairs of product and cell without seeing which are insured, and its daily records stayed home."
    )


def sections(insurer: Outcome, step: int, place: str) -> list[Section]:
    """Portfolio, prices, basis risk and who saw what, from what the insurer holds at the end.

    Parameters
    ----------
    insurer : Outcome
    step : int
        To what totals were rounded, in yuan.
    place : str
        Whose index was compared with losses elsewhere.
    """
    return [_portfolio(insurer, step), _prices(insurer), _basis(insurer, place), _seen(step)]


def _portfolio(insurer: Outcome, step: int) -> Section:
    figures, paid = insurer.figures, insurer.tables["payout by year"]["payout, yuan"]
    insured = figures["sum insured, yuan"]
    headlines = Figures(
        [
            Figure("policies", f"{figures['policies']:,.0f}", f"{insured:,.0f} yuan insured"),
            Figure("burn rate", f"{figures['burn rate']:.1%}", "mean yearly payout of the sum insured"),
            Figure("1 in 10 years", f"{figures['1 in 10 years, yuan'] / insured:.0%}", "of the sum insured, or more"),
            Figure("worst year", f"{paid.idxmax()}", f"{paid.max():,.0f} yuan"),
        ]
    )
    by_year = charts.bars(
        "Payout by year",
        paid.rename("payout").to_frame().set_axis([f"{year % 100:02d}" for year in paid.index]) / 1000,
        x=f"season, {paid.index[0]} to {paid.index[-1]}",
        y="thousand yuan",
        caption=f"What the whole portfolio would have paid. Each total is within {step / 2:,.0f} yuan of the truth.",
    )
    described = insurer.tables["portfolio"]
    levels = described.filter(regex="^1 in|^worst").T.rename(columns={"portfolio": "payout"})
    returns = charts.bars(
        "Return levels",
        levels,
        y="share of the sum insured",
        reference=float(described["burn rate"].iloc[0]),
        caption="How much a year paid that is exceeded once in so many. The dashed line is the burn rate.",
        write=_percent,
    )
    words = (
        "The insurer encrypted its sums insured by product and cell. The bureau weighted them with what each cell "
        "would have paid in each season and sent back one encrypted total a season, which only the insurer can read."
    )
    return Section("The portfolio", [words, headlines, by_year, returns, _table("Burn analysis", described)])


def _prices(insurer: Outcome) -> Section:
    prices = insurer.tables["prices"]
    split = prices.index.to_series().str.partition(", ")
    rates = pd.DataFrame({"product": split[0], "place": split[2], "rate": prices["burn rate"]})
    by_place = rates.pivot_table(index="place", columns="product", values="rate", sort=False)
    chart = charts.bars(
        "Burn rate by product and cell",
        by_place,
        y="share of the sum insured",
        caption="The mean yearly payout over each cell's own record: the pure premium.",
        write=_percent,
    )
    heat = charts.heat(
        "Do cells pay in the same years?",
        _numbered(insurer.tables["correlations"]),
        x="cells by their numbers at the left",
        caption="Correlation of yearly payouts of the rain layer. Cells that pay together diversify little.",
    )
    words = (
        "The bureau publishes this sheet to anybody: the burn analysis of each product in each cell, over the cell's "
        "own record, rounded to thousandths."
    )
    products = Table("Products", insurer.tables["products"])
    return Section("The bureau's price sheet", [words, products, chart, heat, _table("Price sheet", prices)])


def _basis(insurer: Outcome, place: str) -> Section:
    risk = insurer.tables["basis risk"]
    apart = charts.points(
        "Correlation by distance",
        {"correlation": pd.Series(risk["correlation"].to_numpy(), index=risk["km"].to_numpy())},
        x=f"kilometres from {place}",
        y="correlation of payout and loss",
        caption="Each mark is a place where the insurer knows its losses.",
        zero=True,
    )
    wrong: Chart = charts.bars(
        "Where the index errs",
        risk[["false negatives", "false positives"]],
        y="share of the years",
        caption="Years with a loss that paid nothing, and years without one that paid.",
        write=_percent,
    )
    words = (
        f"Suppose all places are settled on the index of {place}. The insurer's losses reached the bureau encrypted, "
        "the bureau's payouts stayed home, and two sums a place came back."
    )
    return Section("Basis risk", [words, apart, wrong, _table("Basis risk", risk)])


def _numbered(square: pd.DataFrame) -> pd.DataFrame:
    """Rows by number and name, columns by number: names would not fit below narrow columns."""
    numbers = [str(number + 1) for number in range(len(square))]
    named = [f"{number}  {name}" for number, name in zip(numbers, square.index, strict=True)]
    return square.set_axis(named, axis=0).set_axis(numbers, axis=1)


def _seen(step: int) -> Section:
    rows = [
        ("daily records of the stations", "the bureau", "nobody else"),
        ("payout of each cell and season", "the bureau", "nobody else"),
        ("policies, places, sums insured, losses", "the insurer", "nobody else"),
        ("which cells and products are insured", "the insurer", "nobody else"),
        ("cells offered, terms, price sheet", "the bureau", "everybody"),
        ("one total a season", "nobody alone", f"the insurer, within {step / 2:,.0f} yuan"),
        ("two sums a place for basis risk", "nobody alone", "the insurer"),
    ]
    words = (
        "A total is one equation about the weather of a season. The bureau answers two of each season to an insurer "
        "and then refuses, and the noise that rounds a total hides its last digits. A simple season can still be read "
        "off: a total of nothing says that no insured cell paid."
    )
    table = Table("", pd.DataFrame(rows, columns=["what", "held by", "shown to"]))
    return Section("Who sees what", [words, table])


def _table(title: str, frame: pd.DataFrame) -> Table:
    shares = {str(name): ".1%" for name in frame.columns if str(name) in _SHARES or str(name).startswith("1 in")}
    return Table(title, frame, formats={**shares, "correlation": ".3f", "rmse": ".3f", "km": ",.0f", "years": ",.0f"})


def _percent(value: float) -> str:
    return f"{value:.0%}"
