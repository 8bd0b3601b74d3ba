"""The weather-insurance scenario: its tables, both sides against the twin, its report, and data that cannot be used."""

from __future__ import annotations

import itertools
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import fusion
from fusion import report as reports
from fusion import scenarios
from fusion.errors import InputError, MismatchError
from fusion.scenarios import weather_insurance as weather
from fusion.scenarios.outcome import Outcome, compare
from fusion.scenarios.presentation import whole_report
from fusion.scenarios.weather import files, totals

Tables = dict[str, Any]


@pytest.fixture(scope="module")
def tables() -> Tables:
    return weather.data()


@pytest.fixture(scope="module")
def outcomes(tables: Tables) -> dict[str, Outcome]:
    return played(tables)


def played(tables: Tables) -> dict[str, Outcome]:
    return fusion.simulate(
        bureau=lambda peer: weather.run(peer, tables["bureau"], "bureau"),
        insurer=lambda peer: weather.run(peer, tables["insurer"], "insurer"),
    )


def test_the_book_is_that_of_the_households_who_insured(tables: Tables) -> None:
    policies = tables["insurer"]["policies"]
    homes = files.households()
    homes = homes[(homes["takeup_survey"] == 1) & homes["ricearea_2010"].notna()]
    assert len(policies) == len(homes) == 645
    assert policies["policy"].is_unique
    assert policies["area_mu"].sum() == pytest.approx(homes["ricearea_2010"].sum())
    assert (policies["sum_insured"] == (policies["area_mu"] * 200).round()).all()
    assert policies.groupby("village").size().to_dict() == homes.groupby("village").size().to_dict()


def test_every_policy_lies_in_a_cell_on_offer_and_villages_are_not_torn_apart(tables: Tables) -> None:
    policies, stations = tables["insurer"]["policies"], tables["bureau"]["stations"]
    cells = weather.GRID.cells(policies["latitude"], policies["longitude"], crs="WGS-84")
    offered = weather.GRID.cells(stations["latitude"], stations["longitude"], crs="WGS-84")
    assert set(cells) == set(offered)
    assert pd.Series(cells).groupby(policies["village"].to_numpy()).nunique().max() == 1
    assert set(policies.loc[policies["product"] == "rice-heat", "longitude"] < -100) == {True}


def test_both_sides_agree_with_the_twin_within_what_is_stated(outcomes: dict[str, Outcome], tables: Tables) -> None:
    compared = compare(outcomes, weather.ideal(tables), weather.TOLERANCES)
    assert len(compared) == 13
    assert [each.name for each in compared if not each.agrees] == []


def test_without_noise_both_sides_agree_exactly(tables: Tables, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(totals, "rounding_noise", lambda count, step, source: np.zeros(count, np.int64))
    exact, twin = played(tables)["insurer"], weather.ideal(tables)["insurer"]
    assert exact.figures == twin.figures
    for name, table in twin.tables.items():
        pd.testing.assert_frame_equal(exact.tables[name], table)


def test_each_season_is_within_half_a_step_or_below_one(outcomes: dict[str, Outcome], tables: Tables) -> None:
    paid, true = (one["insurer"].tables["payout by year"]["payout, yuan"] for one in (outcomes, weather.ideal(tables)))
    told = paid > 0
    assert (paid - true)[told].abs().max() <= weather.STEP / 2
    assert true[~told].max() <= weather.STEP
    assert (paid - true)[told].abs().max() > 0, "nothing was rounded"


def test_the_twin_is_what_loops_over_policies_pay(tables: Tables) -> None:
    known = weather._design(tables["bureau"])
    offer, policies = known.offer, tables["insurer"]["policies"]
    cells = weather.GRID.cells(policies["latitude"], policies["longitude"], crs="WGS-84")
    paid = dict.fromkeys(offer.years, 0)
    for cell, product, insured in zip(cells.tolist(), policies["product"], policies["sum_insured"], strict=True):
        column = offer.products.index(product) * len(offer.cells) + offer.cells.index(cell)
        for row, year in enumerate(offer.years):
            paid[year] += int(known.payouts[row, column]) * insured
    table = weather.ideal(tables)["insurer"].tables["payout by year"]["payout, yuan"]
    assert table.to_dict() == {year: total / 1000 if total > 500_000 else 0 for year, total in paid.items()}


def test_basis_risk_between_the_parties_has_the_known_figures(outcomes: dict[str, Outcome]) -> None:
    risk = outcomes["insurer"].tables["basis risk"]
    assert list(risk.index) == ["Suffolk", "Norfolk", "Lincolnshire", "North Yorkshire", "Northumberland"]
    assert risk["km"].is_monotonic_increasing
    for place, wanted in {
        "Suffolk": (0.75, 0.226, 0.33, 0.08),
        "Northumberland": (0.72, 0.237, 0.17, 0.04),
        "Lincolnshire": (0.85, 0.166, 0.17, 0.04),
    }.items():
        row = risk.loc[place]
        assert row["correlation"] == pytest.approx(wanted[0], abs=0.008)
        assert row["rmse"] == pytest.approx(wanted[1], abs=0.002)
        assert row["false negatives"] == pytest.approx(wanted[2], abs=0.005)
        assert row["false positives"] == pytest.approx(wanted[3], abs=0.005)


def test_the_bureau_learns_sizes_that_do_not_depend_on_the_book(tables: Tables) -> None:
    def received(policies: pd.DataFrame) -> list[tuple[str, int]]:
        insurer = {**tables["insurer"], "policies": policies}
        steps = played({"bureau": tables["bureau"], "insurer": insurer})["bureau"].steps
        return [(step.name, step.receipt.sizes["insurer"]) for step in steps]

    policies = tables["insurer"]["policies"]
    assert received(policies) == received(policies.head(1))


def test_noise_leaves_thousands_of_explanations_where_exact_totals_leave_a_few(tables: Tables) -> None:
    known = weather._design(tables["bureau"])
    book = weather._book(tables["insurer"]["policies"], known.offer)
    shares, half = np.arange(1001), weather.STEP * 1000 // 2
    for year in (1997, 2009):  # one and two of the insured pairs of product and cell paid
        total = int(known.payouts[known.offer.years.index(year)] @ book)
        exact = noisy = 0
        for a, b in itertools.combinations(book[book > 0].tolist(), 2):
            explained = shares[:, None] * a + shares * b - total
            exact += int((explained == 0).sum())
            noisy += int((np.abs(explained) <= half).sum())
        assert 1 <= exact < 25
        assert noisy > 20_000


def test_what_is_published_is_coarse(tables: Tables) -> None:
    offer = weather._design(tables["bureau"]).offer
    for sheet in (offer.prices, offer.correlations):
        values = np.array(list(sheet.columns.values()))
        assert (values == values.round(3)).all()
    assert len(offer.years) == 28
    assert (offer.years[0], offer.years[-1]) == (1991, 2018)


def test_the_report_is_whole(outcomes: dict[str, Outcome], tables: Tables, tmp_path: Path) -> None:
    compared = compare(outcomes, weather.ideal(tables), weather.TOLERANCES)
    scenario = scenarios.load("weather-insurance")
    page = reports.render(whole_report(scenario, outcomes, compared, {"cores": "2"}))
    for words in ("Payout by year", "Return levels", "price sheet", "Basis risk", "Who sees what", "illustrative"):
        assert words in page, words
    assert page.count("<svg") == 6
    assert re.search(r"\bnan\b", page, re.IGNORECASE) is None


def test_the_demo_between_two_processes_agrees_and_is_quick(tmp_path: Path) -> None:
    target = tmp_path / "report.html"
    command = [sys.executable, "-m", "fusion", "demo", "weather-insurance", "--json", "--report", str(target)]
    said = json.loads(subprocess.run(command, check=True, capture_output=True, timeout=100).stdout)
    assert said["agrees_with_cleartext"] is True
    assert max(said["cpu_seconds"].values()) < 10
    assert said["bytes_sent"]["insurer"] < 40_000
    assert said["figures"]["insurer"]["policies"]["value"] == 645
    assert "<svg" in target.read_text("utf-8")


# ---- data that cannot be used


def test_only_the_data_files_of_the_packages_are_read() -> None:
    code = (
        "import sys; from fusion.scenarios import weather_insurance as w; w.data(); "
        "assert not {'aquacrop', 'causaldata', 'statsmodels', 'numba'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=100)


@pytest.mark.parametrize("package", ["aquacrop", "causaldata"])
def test_a_missing_package_names_the_extra(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    real = files.importlib.util.find_spec
    monkeypatch.setattr(files.importlib.util, "find_spec", lambda name: None if name == package else real(name))
    with pytest.raises(InputError, match=rf"data of {package}: pip install \"privacy-fusion\[examples\]\""):
        weather.data()


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", "cannot be read as a table"),
        ("Day Month Year MinTemp MaxTemp Precipitation ReferenceET\n1 1 2000 1 2 3 4\n", "other columns"),
        ("Day Month Year Tmin(C) Tmax(C) Prcp(mm) Et0(mm)\n31 2 2000 1 2 3 4\n", "days or values that are none"),
        ("Day Month Year Tmin(C) Tmax(C) Prcp(mm) Et0(mm)\n1 2 2000 1 x 3 4\n", "days or values that are none"),
    ],
)
def test_a_climate_file_of_another_shape(
    text: str, match: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "champion_climate.txt"
    path.write_text(text, "utf-8")
    monkeypatch.setattr(files, "_inside", lambda *_: path)
    with pytest.raises(InputError, match=match):
        files.climate("champion")


def test_a_policy_file_of_another_shape(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "Cai_2015.csv"
    path.write_text("address,village\na,b\n", "utf-8")
    monkeypatch.setattr(files, "_inside", lambda *_: path)
    with pytest.raises(InputError, match="lacks the columns takeup_survey, ricearea_2010"):
        files.households()


def spoilt(table: pd.DataFrame, column: str, value: object) -> pd.DataFrame:
    changed = table.copy()
    changed[column] = changed[column].astype(object)
    changed.loc[changed.index[2], column] = value
    return changed.infer_objects()


@pytest.mark.parametrize(
    ("column", "value", "match"),
    [
        ("latitude", 10.0, "row 2 lies in a cell that the bureau does not offer"),
        ("latitude", 95.0, "row 2 lies outside the grid"),
        ("latitude", np.nan, "row 2 has no coordinates"),
        ("product", "hail", "row 2 of the policies has a product that is not on offer"),
        ("sum_insured", 10.5, "whole, positive yuan"),
        ("sum_insured", 0, "whole, positive yuan"),
        ("sum_insured", -1, "whole, positive yuan"),
        ("sum_insured", 2**40, "take a larger unit"),
    ],
)
def test_policies_that_cannot_be_asked_about(tables: Tables, column: str, value: object, match: str) -> None:
    insurer = {**tables["insurer"], "policies": spoilt(tables["insurer"]["policies"], column, value)}
    with pytest.raises(InputError, match=match):
        played({"bureau": tables["bureau"], "insurer": insurer})


@pytest.mark.parametrize(
    ("column", "value", "match"),
    [
        ("year", 1900, "years that the offer compares"),
        ("latitude", 52.2, "cell that the bureau does not offer|other places than the index"),
        ("lost", 1.5, "shares of the sum insured"),
        ("lost", -0.1, "shares of the sum insured"),
        ("lost", np.nan, "leave out years that are not known"),
    ],
)
def test_losses_that_cannot_be_compared(tables: Tables, column: str, value: object, match: str) -> None:
    insurer = {**tables["insurer"], "losses": spoilt(tables["insurer"]["losses"], column, value)}
    with pytest.raises(InputError, match=match):
        played({"bureau": tables["bureau"], "insurer": insurer})


@pytest.mark.parametrize("column", ["latitude", "product", "sum_insured"])
def test_a_table_without_a_column_says_which(tables: Tables, column: str) -> None:
    insurer = {**tables["insurer"], "policies": tables["insurer"]["policies"].drop(columns=column)}
    with pytest.raises(InputError, match=f"the table policies needs the columns {column}"):
        played({"bureau": tables["bureau"], "insurer": insurer})
    with pytest.raises(InputError, match="the table stations needs the columns station, place"):
        weather._design({"weather": tables["bureau"]["weather"]})


def of_weather(change: Callable[[pd.DataFrame], pd.DataFrame]) -> Callable[[Tables], Tables]:
    return lambda bureau: {**bureau, "weather": change(bureau["weather"])}


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (of_weather(lambda w: w[w["date"] != pd.Timestamp("2003-06-01")]), "lacks 1 days of the season 2003"),
        (of_weather(lambda w: w[w["date"] > pd.Timestamp("2005-01-01")]), "seasons where 20 are needed"),
        (of_weather(lambda w: pd.concat([w, w.head(1)])), "twice"),
        (of_weather(lambda w: w.assign(tmax_c=w["tmax_c"] + 273.15)), "impossible in degrees Celsius"),
        (of_weather(lambda w: w.assign(station="elsewhere")), "number of its cell"),
    ],
)
def test_weather_that_cannot_be_used(tables: Tables, change: Callable[[Tables], Tables], match: str) -> None:
    with pytest.raises(InputError, match=match):
        weather._design(change(tables["bureau"]))


@pytest.mark.parametrize(
    "change", [{"grid": "another"}, {"products": ["rain-deficit", "rice-heat"]}], ids=["grid", "products"]
)
def test_another_grid_or_product_over_there_is_a_mismatch(tables: Tables, change: dict[str, Any]) -> None:
    known = weather._design(tables["bureau"])

    def bureau(peer: Any) -> None:
        import msgspec

        from fusion.scenarios.weather.offer import publish

        publish(peer, msgspec.structs.replace(known.offer, **change))

    with pytest.raises(MismatchError, match=next(iter(change))):
        fusion.simulate(bureau=bureau, insurer=lambda peer: weather.run(peer, tables["insurer"], "insurer"))


def test_stations_share_no_cell_and_the_index_is_one_of_them(tables: Tables) -> None:
    stations = tables["bureau"]["stations"]
    beside = stations.assign(latitude=stations["latitude"].iloc[0], longitude=stations["longitude"].iloc[0])
    with pytest.raises(InputError, match="one station a cell"):
        weather._design({**tables["bureau"], "stations": beside})
    elsewhere = stations.assign(place=stations["place"].str.upper())
    with pytest.raises(InputError, match="none of those offered"):
        weather._design({**tables["bureau"], "stations": elsewhere})


def test_losses_of_nothing_say_so(tables: Tables) -> None:
    losses = tables["insurer"]["losses"].assign(lost=0.0)
    with pytest.raises(InputError, match="needs some"):
        played({"bureau": tables["bureau"], "insurer": {**tables["insurer"], "losses": losses}})
