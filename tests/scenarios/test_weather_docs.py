"""The page on the weather scenario shows what the cleartext twin computes, in words, in code and in pictures."""

from __future__ import annotations

import contextlib
import io
import os
import re
from pathlib import Path

import pytest

from fusion.report import Chart
from fusion.scenarios import weather_insurance
from fusion.scenarios.outcome import Outcome

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "weather-insurance.md").read_text("utf-8")
PICTURES = {"weather-payouts.svg": "Payout by year", "weather-correlations.svg": "Do cells pay in the same years?"}


@pytest.fixture(scope="module")
def twin() -> dict[str, Outcome]:
    return weather_insurance.ideal(weather_insurance.data())


def cells(label: str) -> list[str]:
    (row,) = re.findall(rf"^\| {label} \|(.*)\|$", PAGE, re.MULTILINE)
    return [cell.strip() for cell in row.split("|")]


def test_the_figures_of_the_portfolio(twin: dict[str, Outcome]) -> None:
    row = twin["insurer"].tables["portfolio"].iloc[0]
    for name in ("burn rate", "std deviation", "1 in 5 years", "1 in 10 years", "1 in 20 years", "worst year"):
        assert cells(name) == [f"{row[name]:.1%}"]
    figures = twin["insurer"].figures
    assert f"Portfolio of {figures['policies']:.0f} policies, {row['years']:.0f} seasons" in PAGE


def test_the_figures_of_basis_risk(twin: dict[str, Outcome]) -> None:
    risk = twin["insurer"].tables["basis risk"]
    assert len(risk) == 5
    for place, row in risk.iterrows():
        shares = [f"{row[name]:.0%}" for name in ("false negatives", "false positives")]
        assert cells(str(place)) == [f"{row['correlation']:.3f}", f"{row['rmse']:.3f}", *shares]


def test_the_code_prints_what_the_page_shows() -> None:
    (code, shown), *_ = re.findall(r"```python\n(.*?)```\n\n```text\n(.*?)```", PAGE, re.DOTALL)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(code, {})  # noqa: S102 - our own page
    assert [line.rstrip() for line in printed.getvalue().splitlines()] == shown.splitlines()


@pytest.mark.parametrize("name", PICTURES)
def test_the_pictures_are_those_of_the_report(twin: dict[str, Outcome], name: str) -> None:
    sections = weather_insurance.report(twin).sections
    charts = [part for section in sections for part in section.parts if isinstance(part, Chart)]
    chart = next(chart for chart in charts if chart.title == PICTURES[name])
    if os.environ.get("FUSION_DRAW"):  # FUSION_DRAW=1 draws them again
        (DOCS / name).write_text(chart.svg + "\n", "utf-8")
    assert f"]({name})" in PAGE
    kept = (DOCS / name).read_text("utf-8")
    number = r"-?\d+\.?\d*"
    assert re.sub(number, "0", kept) == re.sub(number, "0", chart.svg + "\n")
    found = [[float(n) for n in re.findall(number, text)] for text in (kept, chart.svg)]
    assert found[0] == pytest.approx(found[1], abs=0.02)
