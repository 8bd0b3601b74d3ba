"""The medical-insurance scenario: real records, synthetic identities, known dirt; models as statsmodels has them."""

from __future__ import annotations

import hashlib
import importlib.util
import re
import subprocess
import sys
import unicodedata
import zlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

import fusion
from fusion import psi, report, scenarios
from fusion.errors import InputError
from fusion.learning import metrics
from fusion.psi import ideal as psi_ideal
from fusion.scenarios import _people, medical_insurance
from fusion.scenarios._people import identity_numbers, uniform
from fusion.scenarios.medical import models
from fusion.scenarios.outcome import Outcome, compare
from fusion.scenarios.presentation import whole_report

SIDES = ("hospital", "insurer")
LABELS = [model.label for model in models.MODELS]


@pytest.fixture(scope="module")
def tables() -> dict[str, pd.DataFrame]:
    return medical_insurance.data()


@pytest.fixture(scope="module")
def people() -> pd.DataFrame:
    return medical_insurance._people()


def checksum_holds(number: str) -> bool:
    """ISO 7064 MOD 11-2 as GB 11643-1999 states it: the polynomial of all 18 digits is 1 modulo 11."""
    total = 0
    for digit in number:
        total = total * 2 + (10 if digit == "X" else int(digit))
    return total % 11 == 1


def test_the_checksum_oracle_knows_the_example_of_the_standard() -> None:
    assert checksum_holds("11010519491231002X")  # GB 11643-1999, clause 5
    assert not checksum_holds("110105194912310021")


def cleaned(cells: pd.Series) -> list[str | None]:
    """Return numbers as 18 digits where that needs no checksum: a plain twin of what the kind cn_id undoes."""
    out: list[str | None] = []
    for cell in cells:
        text = None
        if isinstance(cell, str):
            text = unicodedata.normalize("NFKC", cell).replace(" ", "").upper()
            if len(text) == 15:
                body = text[:6] + "19" + text[6:]
                text = body + next(c for c in "0123456789X" if checksum_holds(body + c))
        out.append(text)
    return out


def usable(table: pd.DataFrame, side: str) -> set[str]:
    """Return the numbers of one side that can match."""
    number, birth = medical_insurance.KEYS[side]
    pairs = zip(cleaned(table[number]), table[birth].notna(), strict=True)
    return {text for text, dated in pairs if text and dated and checksum_holds(text)}


def test_identity_numbers_are_valid_different_and_agree_with_the_records(people: pd.DataFrame) -> None:
    assert people["id"].is_unique
    assert people["id"].str.fullmatch(r"\d{17}[\dX]").all()
    assert all(map(checksum_holds, people["id"]))
    assert (people["id"].str.slice(6, 14) == people["birth"].str.replace("-", "")).all()
    assert (people["id"].str.slice(16, 17).astype(int) % 2 == 1 - people["female"]).all()
    assert people["id"].str.slice(0, 6).nunique() == people["site"].nunique() == 6
    age = (pd.Timestamp("1975-01-01") - pd.to_datetime(people["birth"])).dt.days / 365.2425 + people["year"] - 1
    assert (age - people["xage"]).abs().max() < 0.01


def test_no_more_than_500_share_region_day_and_sex() -> None:
    region, birth = pd.Series(["110101"] * 501), pd.Series([pd.Timestamp("1960-02-29")] * 501)
    numbers = identity_numbers(region[:500], birth[:500], pd.Series([True] * 500))
    assert numbers.is_unique
    assert all(map(checksum_holds, numbers))
    with pytest.raises(ValueError, match="500"):
        identity_numbers(region, birth, pd.Series([True] * 501))


def test_the_figures_are_those_of_the_experiment(people: pd.DataFrame) -> None:
    raw = pd.read_csv(medical_insurance._records())
    assert len(people) == raw["zper"].nunique() == 5912
    assert people["visits"].sum() == raw["mdvis"].sum()
    assert people["claims"].sum() == pytest.approx(raw["meddol"].sum(), rel=1e-5)
    assert people["exposure"].sum() == pytest.approx(raw["time"].sum())
    one = raw[raw["zper"] == 125024].sort_values("year")
    ours = people.set_index("person").loc[125024]
    assert (ours["disea"], ours["mhi"], ours["visits"]) == (13.73189, 95.0, one["mdvis"].sum())
    assert (ours["age"], ours["sex"]) == (42, "male")


def test_health_is_of_the_first_year_even_where_it_is_missing(people: pd.DataFrame) -> None:
    assert (
        people["ghindx"].isna().sum()
        == pd.read_csv(medical_insurance._records()).sort_values("year").groupby("zper").head(1)["ghindx"].isna().sum()
    )


def test_the_documented_counts_are_the_measured_ones(tables: dict[str, pd.DataFrame], people: pd.DataFrame) -> None:
    def measured(side: str) -> list[int]:
        number, birth = (tables[side][name] for name in medical_insurance.KEYS[side])
        broken = [text for text in cleaned(number) if text and not checksum_holds(text)]
        known = set(people["id"])
        assert known.isdisjoint(broken)
        held = tables[side].drop(columns=[number.name, birth.name])
        text = number.dropna()
        return [
            len(held) - int(_twice(people, side)),
            len(held),
            (text.str.strip().str.len() == 15).sum(),
            text.str.contains("[０-９]").sum(),
            text.str.contains(r"^\d+ ").sum(),
            text.str.startswith(" ").sum(),
            text.str.contains("x").sum(),
            len(broken),
            number.isna().sum(),
            birth.str.contains("/").sum(),
            birth.str.fullmatch(r"\d{8}").sum(),
            birth.str.contains("年").sum(),
            birth.isna().sum(),
        ]

    documented = re.findall(r"^ +[a-z].*?  +(\d+) +(\d+)$", medical_insurance.data.__doc__ or "", re.MULTILINE)
    assert [int(row[0]) for row in documented] == measured("hospital")
    assert [int(row[1]) for row in documented] == measured("insurer")


def _twice(people: pd.DataFrame, side: str) -> int:
    number = people["person"].to_numpy()
    held = number[uniform(number, f"{side}/holds") < medical_insurance._KNOWN[side]]
    return int((uniform(held, f"{side}/twice") < medical_insurance._TWICE).sum())


def test_neither_side_has_everyone_and_3392_can_be_found(tables: dict[str, pd.DataFrame]) -> None:
    hospital, insurer = (usable(tables[side], side) for side in SIDES)
    assert len(hospital & insurer) == 3392
    assert hospital - insurer
    assert insurer - hospital


@pytest.mark.parametrize("side", SIDES)
def test_each_side_has_its_own_order(tables: dict[str, pd.DataFrame], people: pd.DataFrame, side: str) -> None:
    place = dict(zip(people["id"], people.index, strict=True))
    places = [place[text] for text in cleaned(tables[side].iloc[:, 0]) if text in place]
    assert abs(np.corrcoef(places, range(len(places)))[0, 1]) < 0.05


def test_the_tables_are_the_same_everywhere(tables: dict[str, pd.DataFrame]) -> None:
    again = medical_insurance.data()
    for side in SIDES:
        pd.testing.assert_frame_equal(tables[side], again[side])
    keys = "".join(tables[side][list(medical_insurance.KEYS[side])].to_csv(index=False) for side in SIDES)
    assert (
        hashlib.sha256(keys.encode()).hexdigest() == "73175a560ee2121a0a0163f0fd26d135bc6a596daef838f80ef70db76b31c4c2"
    )


def test_names_of_columns_differ_and_kinds_agree(tables: dict[str, pd.DataFrame]) -> None:
    keys = medical_insurance.KEYS
    assert list(keys["hospital"].values()) == list(keys["insurer"].values())
    assert set(tables["hospital"].columns).isdisjoint(tables["insurer"].columns)
    for side in SIDES:
        assert list(tables[side].columns)[:2] == list(keys[side])


def test_purposes_are_unrelated() -> None:
    numbers = np.arange(100_000)
    one, other = uniform(numbers, "one"), uniform(numbers, "other")
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.015  # 4.7 standard deviations
    assert one.min() >= 0
    assert one.max() < 1
    assert abs(one.mean() - 0.5) < 0.005


def test_dirt_leaves_the_rest_alone() -> None:
    cells = pd.Series(["11010519491231002X"] * 1000)
    dirty = _people.soil(cells, np.arange(1000), "test/id", _people.ID_DIRT)
    assert (cells == "11010519491231002X").all()
    share = sum(share for _, share, _ in _people.ID_DIRT)
    assert ((dirty != cells) | dirty.isna()).mean() == pytest.approx(share, abs=0.06)


def test_without_statsmodels_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=re.escape('pip install "privacy-fusion[examples]"')):
        medical_insurance.data()


def test_a_file_of_another_shape_says_which_columns_are_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    records = pd.read_csv(medical_insurance._records()).drop(columns=["meddol", "disea"])
    records.to_csv(tmp_path / "randhie.csv", index=False)
    monkeypatch.setattr(medical_insurance, "_records", lambda: tmp_path / "randhie.csv")
    with pytest.raises(InputError, match="no column disea, meddol"):
        medical_insurance.data()


def test_statsmodels_is_not_imported() -> None:
    code = (
        "import sys; from fusion.scenarios import medical_insurance as m; m.data();"
        "sys.exit('statsmodels' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_unknown_scenario() -> None:
    assert "medical-insurance" in scenarios.NAMES
    assert scenarios.load("medical-insurance") is medical_insurance  # type: ignore[comparison-overlap]
    with pytest.raises(InputError, match="medical-insurance"):
        scenarios.load("horoscope")


def test_the_pairs_are_those_of_the_cleartext_twin(tables: dict[str, pd.DataFrame]) -> None:
    keys = medical_insurance.KEYS
    got = fusion.simulate(
        **{
            side: lambda peer, side=side: psi.intersect(peer, tables[side], on=keys[side], duplicates="first")
            for side in SIDES
        }
    )
    wanted = psi_ideal.intersect({side: (tables[side], keys[side]) for side in SIDES}, duplicates="first")
    for side in SIDES:
        assert len(got[side]) == len(wanted[side]) == 3392
        assert list(got[side].columns) == list(tables[side].columns)
    # the order of pairs is free, so compare them sorted, side by side
    frames = [pd.concat([result[side].reset_index(drop=True) for side in SIDES], axis=1) for result in (got, wanted)]
    by = list(frames[0].columns)
    one, other = (frame.sort_values(by).reset_index(drop=True) for frame in frames)
    pd.testing.assert_frame_equal(one, other)
    same_person = [a == b for a, b in zip(cleaned(one["id_number"]), cleaned(one["member_id"]), strict=True)]
    assert all(same_person)


def test_both_sides_agree_on_who_is_fitted_on(tables: dict[str, pd.DataFrame], people: pd.DataFrame) -> None:
    fitting = [zlib.crc32(str(person).encode()) % 10 < 7 for person in people["person"]]
    assert (people["cohort"] == np.where(fitting, "fit", "judge")).all()
    assert 0.65 < np.mean(fitting) < 0.75
    assert (people["cohort"] == people["sample"]).all()
    assert set(tables["hospital"]["cohort"]) == set(tables["insurer"]["sample"]) == {"fit", "judge"}


@pytest.fixture(scope="module")
def twin(tables: dict[str, pd.DataFrame]) -> dict[str, Outcome]:
    return medical_insurance.ideal(tables)


@pytest.fixture(scope="module")
def outcomes(tables: dict[str, pd.DataFrame]) -> dict[str, Outcome]:
    return fusion.simulate(
        **{side: lambda peer, side=side: medical_insurance.run(peer, tables[side], side) for side in SIDES}
    )


def test_every_number_agrees_with_the_cleartext_twin(outcomes: dict[str, Outcome], twin: dict[str, Outcome]) -> None:
    compared = compare(outcomes, twin, medical_insurance.TOLERANCES)
    assert [each for each in compared if not each.agrees] == []
    names = {(each.party, each.name.partition(",")[0]) for each in compared}
    for side in SIDES:
        assert {(side, "members"), (side, "visits: relativities"), (side, "claims: relativities")} <= names
        steps = [step.name for step in outcomes[side].steps]
        assert steps == ["find the members", "fit visits", "predict visits", "fit claims", "predict claims"]
        assert outcomes[side].tables.keys() == twin[side].tables.keys()
    assert outcomes["insurer"].figures["members"] == 3392
    assert outcomes["insurer"].figures["members to fit on"] == 2418


def test_tables_that_are_drawn_agree_too(outcomes: dict[str, Outcome], twin: dict[str, Outcome]) -> None:
    for side in SIDES:
        for name, table in twin[side].tables.items():
            if "Lorenz" not in name:  # its points move where predictions nearly tie
                pd.testing.assert_frame_equal(outcomes[side].tables[name], table, rtol=2e-3, atol=1e-4)


def test_neither_party_holds_what_is_the_others(outcomes: dict[str, Outcome]) -> None:
    hospital, insurer = outcomes["hospital"], outcomes["insurer"]
    assert not any("D2" in name or "Gini" in name or "dispersion" in name for name in hospital.figures)
    assert set(hospital.tables) == {f"{label}: {n}" for label in LABELS for n in ("coefficients", "relativities")}
    for label in LABELS:
        assert list(hospital.tables[f"{label}: relativities"].index) == models.HOSPITAL
        assert set(insurer.tables[f"{label}: relativities"].index).isdisjoint(models.HOSPITAL)


def by_statsmodels(train: pd.DataFrame, test: pd.DataFrame, columns: list[str], model: models.Model, weight=None):
    """D2, Gini and the fit, by statsmodels on columns in one place."""
    families = {"poisson": sm.families.Poisson(), "tweedie": sm.families.Tweedie(sm.families.links.Log(), 1.5)}
    fit = sm.GLM(
        train[model.label],
        sm.add_constant(train[columns].astype(float)),
        family=families[model.family],
        exposure=train["exposure"],
        var_weights=weight,
    ).fit(tol=1e-12, maxiter=200)
    predicted = fit.predict(sm.add_constant(test[columns].astype(float)), exposure=test["exposure"]).to_numpy()
    y, exposure = test[model.label].to_numpy(), test["exposure"].to_numpy()
    base = train[model.label].sum() / train["exposure"].sum()
    d2 = metrics.d2(y, predicted, family=model.family, power=1.5, exposure=exposure, base=base)
    return d2, metrics.gini(y, predicted / exposure, exposure=exposure), fit


@pytest.mark.parametrize("model", models.MODELS, ids=LABELS)
def test_the_twin_is_what_statsmodels_says(
    tables: dict[str, pd.DataFrame], twin: dict[str, Outcome], model: models.Model
) -> None:
    keys = medical_insurance.KEYS
    rows = psi_ideal.intersect({side: (tables[side], keys[side]) for side in SIDES}, duplicates="first")
    both = pd.concat([rows[side].reset_index(drop=True) for side in SIDES], axis=1)
    base = both.loc[both["sample"] == "fit", "sex"].mode()[0]
    male = next(level for level in ("male", "female") if level != base)
    both[f"sex[{male}]"] = (both["sex"] == male).astype(float)
    train, test = both[both["sample"] == "fit"], both[both["sample"] == "judge"]
    own = [*models.PLAN, "income", "age", f"sex[{male}]"]
    figures, label = twin["insurer"].figures, model.label
    *alone, fit = by_statsmodels(train, test, own, model)
    weight = None
    if model.family == "poisson":
        dispersion = fit.pearson_chi2 / fit.df_resid
        assert figures[f"{label}: dispersion, insurer alone"] == pytest.approx(dispersion, rel=1e-6)
        weight = np.full(len(train), 1 / dispersion)
    d2, gini, fit = by_statsmodels(train, test, [*own, *models.HOSPITAL], model, weight)
    assert (figures[f"{label}: D2"], figures[f"{label}: Gini"]) == pytest.approx((d2, gini), abs=1e-5)
    assert tuple(figures[f"{label}: {n}, insurer alone"] for n in ("D2", "Gini")) == pytest.approx(alone, abs=1e-5)
    for side, columns in (("insurer", own), ("hospital", models.HOSPITAL)):
        held = twin[side].tables[f"{label}: relativities"].loc[columns]
        for name in columns:
            binary = train[name].isin((0, 1)).all()
            step = 1.0 if binary else float(f"{train[name].std(ddof=0):.3g}")
            middle, error = fit.params[name] * step, fit.bse[name] * step
            expected = np.exp([middle, middle - 1.959964 * error, middle + 1.959964 * error])
            assert held.loc[name, ["relativity", "lower", "upper"]].tolist() == pytest.approx(expected, rel=2e-4)
            assert held.loc[name, "p"] == pytest.approx(fit.pvalues[name], abs=1e-5)
            assert (held.loc[name, "of"] == "yes against no") == binary


# D2 and Gini of the pooled columns on all years of all people, as tests/learning/test_rand.py has them, and of the
# hospital's columns alone
PUBLISHED = {"visits": (0.111, 0.228), "claims": (0.184, 0.413)}
HOSPITAL_ALONE = (0.066, 0.166)


def person_years() -> dict[str, pd.DataFrame]:
    """All years of all people, aligned, with the names that the models know."""
    years = pd.read_csv(medical_insurance._records())
    names = {"xage": "age", "time": "exposure", "mdvis": "visits", "meddol": "claims"}
    rows = years.rename(columns=names).dropna(subset=[*names.values(), *models.HOSPITAL, *models.PLAN, "income"])
    rows["sex"] = rows["female"].map({0: "male", 1: "female"})
    rows.index = pd.RangeIndex(len(rows), name="pair-0123456789abcdef")
    return {"hospital": rows[[*models.HOSPITAL, "zper"]], "insurer": rows.drop(columns=models.HOSPITAL)}


def fitting_years(rows: dict[str, pd.DataFrame]) -> np.ndarray:
    return np.array([zlib.crc32(str(person).encode()) % 10 < 7 for person in rows["insurer"]["zper"]])


def test_the_twin_reaches_the_published_figures_on_all_years() -> None:
    rows = person_years()
    outcomes = {side: Outcome() for side in SIDES}
    models.ideal(rows, fitting_years(rows), outcomes)
    for label, published in PUBLISHED.items():
        figures = outcomes["insurer"].figures
        assert (figures[f"{label}: D2"], figures[f"{label}: Gini"]) == pytest.approx(published, abs=5e-4)
        assert figures[f"{label}: D2, insurer alone"] < published[0] - 0.02
        assert figures[f"{label}: Gini, insurer alone"] < published[1] - 0.02
    both = rows["insurer"].join(rows["hospital"][models.HOSPITAL])
    fitting = fitting_years(rows)
    alone = by_statsmodels(both[fitting], both[~fitting], models.HOSPITAL, models.MODELS[0])[:2]
    assert alone == pytest.approx(HOSPITAL_ALONE, abs=5e-4)


def test_the_published_figures_under_encryption() -> None:
    rows = person_years()
    fitting = fitting_years(rows)
    outcomes = {side: Outcome() for side in SIDES}
    fusion.simulate(
        hospital=lambda peer: models.hospital(peer, rows["hospital"], fitting, outcomes["hospital"]),
        insurer=lambda peer: models.insurer(peer, rows["insurer"], fitting, outcomes["insurer"]),
    )
    figures = outcomes["insurer"].figures
    for label, published in PUBLISHED.items():
        assert (figures[f"{label}: D2"], figures[f"{label}: Gini"]) == pytest.approx(published, abs=5e-4)


def test_the_report_shows_both_and_tells_of_consent(outcomes: dict[str, Outcome], twin: dict[str, Outcome]) -> None:
    compared = compare(outcomes, twin, medical_insurance.TOLERANCES)
    page = report.render(whole_report(medical_insurance, outcomes, compared, {"cores": "2"}))  # type: ignore[arg-type]
    d2 = outcomes["insurer"].figures["visits: D2"]
    assert f"{d2:.3f}" in page
    assert f"{d2:.4f}" in page
    assert "consent" in page
    assert page.count("<svg") == 10
    for words in ("Checked against the clear", "Who learned what", "Sizes, bytes and time", "Receipts", "synthetic"):
        assert words in page
    for side in SIDES:
        for step in outcomes[side].steps:
            assert step.receipt.transcript in page


def test_too_few_members_are_an_error_that_says_so(tables: dict[str, pd.DataFrame]) -> None:
    with pytest.raises(InputError, match=r"rows are too few|in all but|is constant"):
        fusion.simulate(
            **{
                side: lambda peer, side=side: medical_insurance.run(peer, tables[side].head(1700), side)
                for side in SIDES
            }
        )
