"""The page on the medical scenario shows what the cleartext twin computes, in words and in pictures."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from fusion.report import Chart
from fusion.scenarios import medical_insurance

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "medical-insurance.md").read_text("utf-8")
PICTURES = {"medical-relativities.svg": "Relativities of visits", "medical-double-lift.svg": "Double lift"}


@pytest.fixture(scope="module")
def twin():
    return medical_insurance.ideal(medical_insurance.data())


def test_the_figures_of_the_table(twin):
    figures = twin["insurer"].figures
    for label in ("visits", "claims"):
        (row,) = re.findall(rf"^\| {label} \|(.*)\|$", PAGE, re.MULTILINE)
        gained = f"{figures[f'{label}: D2 gained']:.3f} ± {figures[f'{label}: its error']:.3f}"
        expected = [
            f"{figures[f'{label}: D2, insurer alone']:.3f}",
            f"{figures[f'{label}: D2']:.3f}",
            gained,
            f"{figures[f'{label}: Gini, insurer alone']:.3f}",
            f"{figures[f'{label}: Gini']:.3f}",
        ]
        assert [cell.strip() for cell in row.split("|")] == expected


def test_the_counts_in_the_text(twin):
    figures = twin["insurer"].figures
    members, fitted = figures["members"], figures["members to fit on"]
    assert f"{members:,.0f} people are found" in PAGE
    assert f"**Judge both** on {members - fitted:.0f} of the people" in PAGE
    assert f"Visits scatter {figures['visits: dispersion, insurer alone']:.1f} times" in PAGE


@pytest.mark.parametrize("name", PICTURES)
def test_the_pictures_are_those_of_the_report(twin, name):
    sections = medical_insurance.report(twin).sections
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
