"""credit-risk as a whole: against its twin, the twin against scikit-learn and statsmodels, and what leaves."""

from __future__ import annotations

import json
import subprocess
import sys
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
import sklearn.linear_model
import statsmodels.api as sm

import fusion
from fusion import report as reports
from fusion import scenarios
from fusion.errors import InputError
from fusion.learning import metrics
from fusion.learning.design import Design
from fusion.psi import ideal
from fusion.scenarios import credit_risk
from fusion.scenarios.credit import columns
from fusion.scenarios.credit.judging import SCALE
from fusion.scenarios.outcome import Outcome, compare

LENDERS = ("bank", "finance_company", "rural_bank")


@pytest.fixture(scope="module")
def tables() -> dict[str, pd.DataFrame]:
    return credit_risk.data()


@pytest.fixture(scope="module")
def twin(tables) -> dict[str, Outcome]:
    return credit_risk.ideal(tables)


@pytest.fixture(scope="module")
def pooled(tables):
    """Standardised columns of both sides, labels, whom the score is built on, and designs."""
    rows = ideal.intersect(
        {party: (tables[party], credit_risk.KEYS[party]) for party in LENDERS[:2]}, duplicates="first"
    )
    building = columns.training("bank", rows["bank"])
    parts, designs = [], []
    for party in LENDERS[:2]:
        X = columns.features(party, rows[party])
        designs.append(Design.fit(X[building])[0])
        parts.append(designs[-1].apply(X))
    return parts, columns.labels(rows["bank"]), building, designs


def penalised(x, y, ridge=0.01):
    """Probabilities by scikit-learn's logistic regression with the scenario's penalty."""
    model = sklearn.linear_model.LogisticRegression(C=1 / (ridge * len(y)), tol=1e-10, max_iter=10_000)
    return lambda rows: model.fit(x, y).predict_proba(rows)[:, 1]


def test_figures_are_scikit_learns_on_pooled_columns(pooled, twin):
    (bank, finance), bad, building, _ = pooled
    judged = ~building
    for name, x in (("joint score", np.hstack([bank, finance])), ("bank alone", bank)):
        score = penalised(x[building], bad[building])(x[judged])
        for figure, metric in (("AUC", metrics.auc), ("KS", metrics.ks), ("lift of a tenth", metrics.lift)):
            assert twin["bank"].figures[f"{figure}, {name}"] == pytest.approx(metric(bad[judged], score), abs=1e-4)


def test_the_descent_has_ended_where_it_leads(pooled, twin):
    """The twin's steps are those of the protocol; points of numeric columns are scikit-learn's coefficients."""
    parts, bad, building, designs = pooled
    x = np.hstack(parts)[building]
    model = sklearn.linear_model.LogisticRegression(C=1 / (0.01 * len(x)), tol=1e-10, max_iter=10_000)
    wanted = -SCALE.factor * model.fit(x, bad[building]).coef_[0]
    found = 0
    own = [(party, column) for party, design in zip(LENDERS, designs, strict=False) for column in design.columns]
    for (party, column), value in zip(own, wanted, strict=True):
        table = twin[party].tables["points by class"]["points"]
        if column.level is None:
            (points,) = table[table.index.str.startswith(f"{column.source}: ")]
            assert points == pytest.approx(value, abs=1e-3)
            found += 1
    assert found == 6


def test_figures_are_statsmodels_to_the_third_digit(pooled, twin):
    (bank, finance), bad, building, _ = pooled
    x = np.hstack([bank, finance, np.ones((len(bad), 1))])
    penalty = np.full(x.shape[1], 0.01)
    penalty[-1] = 0.0
    model = sm.GLM(bad[building], x[building], family=sm.families.Binomial())
    score = x[~building] @ model.fit_regularized(alpha=penalty, L1_wt=0.0, maxiter=1000).params
    assert twin["bank"].figures["AUC, joint score"] == pytest.approx(metrics.auc(bad[~building], score), abs=5e-4)
    assert twin["bank"].figures["KS, joint score"] == pytest.approx(metrics.ks(bad[~building], score), abs=5e-4)


def test_golden_figures(twin):
    """As scikit-learn has them too; the finance company's columns are worth having."""
    figures = twin["bank"].figures
    wanted = {
        "customers of both": 937,
        "customers of all three": 670,
        "customers to build on": 665,
        "customers to judge by": 272,
        "cells shown": 23,
        "customers in them": 606,
        "owed to this lender, DM": 1_888_615,
        "owed to all lenders, DM": 3_837_380,
        "AUC, joint score": 0.7956,
        "AUC, bank alone": 0.7672,
        "AUC gained": 0.0284,
        "KS, joint score": 0.5126,
        "KS, bank alone": 0.4206,
        "stability, joint score": 0.0161,
        "bad rate accepted, joint score": 33 / 190,
        "bad rate accepted, bank alone": 35 / 190,
    }
    for name, value in wanted.items():
        assert figures[name] == pytest.approx(value, abs=1e-4), name


def test_each_lender_holds_what_it_may(twin):
    assert set(twin["rural_bank"].tables) == {"what shared customers owe"}
    assert set(twin["finance_company"].tables) == {"what shared customers owe", "points by class"}
    assert "swap set" in twin["bank"].tables
    cards = {party: "".join(twin[party].tables["points by class"].index) for party in LENDERS[:2]}
    assert "history" in cards["finance_company"]
    assert "history" not in cards["bank"]
    assert "account" not in cards["finance_company"]


@pytest.mark.slow
def test_lenders_compute_what_the_twin_does(tables, twin):
    def role(party):
        return lambda peers: credit_risk.run(peers, tables[party], party)

    got = fusion.simulate(**{party: role(party) for party in LENDERS})
    compared = compare(got, twin, credit_risk.TOLERANCES)
    assert len(compared) > 30
    assert [each for each in compared if not each.agrees] == []
    for party in LENDERS:
        assert got[party].tables.keys() == twin[party].tables.keys()
        owed = "what shared customers owe"
        pd.testing.assert_frame_equal(got[party].tables[owed], twin[party].tables[owed], check_dtype=False)
    # the rural bank takes no part in the score, and no receipt says that anybody learned another's amounts
    names = {party: [step.name for step in got[party].steps] for party in LENDERS}
    assert "fit the joint score" not in names["rural_bank"]
    assert names["bank"].count("add up what shared customers owe") == 2
    for party in LENDERS:
        for step in got[party].steps:
            assert step.receipt.learned.keys() >= {party}


@pytest.mark.slow
def test_the_command_takes_no_party_a_minute_and_makes_a_report(tmp_path):
    page = tmp_path / "out.html"
    command = [sys.executable, "-m", "fusion", "demo", "credit-risk", "--json", "--report", str(page)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 0, ran.stderr
    answer = json.loads(ran.stdout)
    assert answer["parties"] == list(LENDERS)
    assert answer["agrees_with_cleartext"] is True
    assert max(answer["cpu_seconds"].values()) < 60
    assert "KS table of the joint score" in page.read_text("utf-8")


class Reader(HTMLParser):
    """Texts of headings, and everything that would need a network."""

    def __init__(self) -> None:
        super().__init__()
        self.headings: list[str] = []
        self.links: list[str] = []
        self._inside = False

    def handle_starttag(self, tag, attrs):
        self._inside = tag in ("h1", "h2", "h3", "figcaption")
        self.links += [value for name, value in attrs if name in ("src", "href") and value and "//" in value]

    def handle_data(self, data):
        if self._inside and data.strip():
            self.headings.append(data.strip())


def test_the_report_holds_what_a_risk_modeller_looks_for(twin):
    page = reports.render(credit_risk.report(twin))
    reader = Reader()
    reader.feed(page)
    assert reader.links == []
    for heading in (
        "ROC curve",
        "Share of customers up to each score",
        "Lift by tenth of the customers",
        "Calibration of the joint score",
        "KS table of the joint score",
        "Swap set, joint score against the bank alone",
        "Points of good and bad customers",
        "What shared customers owe",
    ):
        assert heading in page
    assert "from 0.767 to 0.796" in page
    assert page.count("<svg") == 8


def test_the_scenario_has_a_name():
    assert scenarios.load("credit-risk") is credit_risk


def run_with(tables, **changed):
    def role(party, table):
        return lambda peers: credit_risk.run(peers, table, party)

    return fusion.simulate(**{party: role(party, changed.get(party, tables[party])) for party in LENDERS})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda table: table.assign(creditability="good"), "all loans ended alike"),
        (lambda table: table.drop(columns="credit_amount"), "no column 'credit_amount'"),
        (lambda table: table.drop(columns="outstanding"), "no column 'outstanding'"),
        (lambda table: table.drop(columns="id_number"), "id_number"),
        (lambda table: table.head(40), "no district and decade"),
    ],
)
def test_a_bank_with_a_table_that_cannot_be_used_says_why(tables, change, words):
    with pytest.raises(InputError, match=words):
        run_with(tables, bank=change(tables["bank"]))


def test_too_few_customers_to_build_on(tables):
    with pytest.raises(InputError, match=r"too few|at least 10 are needed"):
        run_with(tables, bank=tables["bank"].head(400))


def test_missing_answers_of_the_finance_company_are_named_without_their_values(tables):
    table = tables["finance_company"].assign(housing=None)
    with pytest.raises(InputError, match="housing"):
        run_with(tables, finance_company=table)
