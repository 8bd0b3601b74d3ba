"""German credit, all 1,000 records cut in two: figures computed elsewhere, by the twin of the vertical model.

The figures are those of iteratively reweighted least squares on dummy columns, 70% of the rows to train on; they were
computed once, with other code.
"""

from __future__ import annotations

import zlib

import numpy as np
import pytest

from fusion.learning import metrics
from fusion.learning.ideal import Logistic
from fusion.scenarios.credit import customers

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


@pytest.mark.parametrize(
    ("halves", "auc", "ks"),
    [
        ((BANK[:3], BANK[3:]), 0.755, 0.366),
        ((BUREAU[:4], BUREAU[4:]), 0.654, 0.253),
        ((BUREAU, BANK), 0.767, 0.461),
    ],
    ids=["bank", "bureau", "both"],
)
def test_auc_and_ks_are_those_known(halves, auc, ks):
    table = customers.records()
    bad = (table["creditability"] == "bad").to_numpy(np.float64)
    train = np.array([zlib.crc32(str(row).encode()) % 10 < 7 for row in range(len(table))])
    X = {name: table[columns] for name, columns in zip(("features", "labels"), halves, strict=True)}
    model = Logistic(ridge=0.5 / train.sum(), epochs=600)
    model.fit({party: own[train] for party, own in X.items()}, bad[train], label="labels")
    found = model.predict({party: own[~train] for party, own in X.items()})
    assert metrics.auc(bad[~train], found) == pytest.approx(auc, abs=1e-3)
    assert metrics.ks(bad[~train], found) == pytest.approx(ks, abs=0.006)
