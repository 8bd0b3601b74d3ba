"""The page on the credit scenario shows what the cleartext twin computes, and its example runs."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from fusion.report import Chart
from fusion.scenarios import credit_risk

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "credit-risk.md").read_text("utf-8")
WORDS = " ".join(PAGE.split())
NUMBER = r"-?\d[\d,]*\.?\d*"


@pytest.fixture(scope="module")
def twin():
    return credit_risk.ideal(credit_risk.data())


@pytest.mark.parametrize(
    ("row", "figure", "style"),
    [
        ("AUC", "AUC", ".3f"),
        ("KS", "KS", ".3f"),
        ("lift of the riskiest tenth", "lift of a tenth", ".2f"),
        ("bad loans among the best 70%", "bad rate accepted", ".1%"),
    ],
)
def test_the_figures_of_the_table(twin, row, figure, style):
    figures = twin["bank"].figures
    alone, joint = (format(figures[f"{figure}, {name}"], style) for name in ("bank alone", "joint score"))
    assert f"| {row} | {alone} | {joint} |" in PAGE


def test_the_figures_in_the_text(twin):
    bank = twin["bank"]
    figures, swaps = bank.figures, bank.tables["swap set"]
    assert f"share {figures['customers of both']} customers, and {figures['customers of all three']} of these" in WORDS
    assert f"on {figures['customers to build on']:.0f} of the shared customers" in WORDS
    assert f"on the {figures['customers to judge by']:.0f} others" in WORDS
    gained, error = figures["AUC gained"], figures["standard error of that"]
    assert f"gains {gained:.3f} with a standard error of {error:.3f}" in WORDS
    assert f"index between the two samples is {figures['stability, joint score']:.3f}" in WORDS
    taken, left = (swaps.loc[name] for name in ("swapped in", "swapped out"))
    assert f"takes in {taken['rows']:.0f} customers" in WORDS
    assert f"rejected, {taken['bad']:.0f} of them bad, and rejects {left['rows']:.0f}, {left['bad']:.0f} of" in WORDS
    owed = [figures[f"owed to {name}, DM"] / 1e6 for name in ("all lenders", "this lender")]
    cells = figures["cells shown"]
    assert f"{owed[0]:.2f} million DM in {cells} cells, of which the bank sees {owed[1]:.2f}" in WORDS


def test_the_picture_is_that_of_the_report(twin):
    sections = credit_risk.report(twin).sections
    charts = [part for section in sections for part in section.parts if isinstance(part, Chart)]
    chart = next(chart for chart in charts if chart.title == "Share of customers up to each score")
    if os.environ.get("FUSION_DRAW"):  # FUSION_DRAW=1 draws it again
        (DOCS / "credit-ks.svg").write_text(chart.svg + "\n", "utf-8")
    assert "](credit-ks.svg)" in PAGE
    kept = (DOCS / "credit-ks.svg").read_text("utf-8")
    assert re.sub(NUMBER, "0", kept) == re.sub(NUMBER, "0", chart.svg + "\n")
    found = [[float(n.replace(",", "")) for n in re.findall(r"-?\d+\.?\d*", text)] for text in (kept, chart.svg)]
    assert found[0] == pytest.approx(found[1], abs=0.5)


def test_the_example_prints_what_is_printed(capsys):
    (block,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names = {}
    exec(block, names)  # noqa: S102 - our own page
    (expected,) = re.findall(r"```text\n(.*?)```", PAGE, re.DOTALL)
    printed = capsys.readouterr().out
    assert re.sub(NUMBER, "0", printed).split() == re.sub(NUMBER, "0", expected).split()
    numbers = [[float(n.replace(",", "")) for n in re.findall(NUMBER, one)] for one in (printed, expected)]
    assert numbers[0] == pytest.approx(numbers[1], abs=1)
    assert list(names["reasons"].columns) == ["1", "2"]
    assert set(names["reasons"]["1"].dropna()) == {"months", "savings", "elsewhere"}
