"""What shared customers owe: only in cells of ten people or more, exactly, and nothing of others leaves."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import fusion
from fusion import aggregation
from fusion.errors import InputError
from fusion.psi import ideal
from fusion.scenarios.credit import customers, exposures
from fusion.scenarios.credit.columns import canonical
from fusion.scenarios.outcome import Outcome

LENDERS = customers.PARTIES


@pytest.fixture(scope="module")
def shared() -> dict[str, pd.DataFrame]:
    """Each lender's rows of the customers of all three, found by plain joins."""
    tables = customers.data()
    numbers = {}
    for party, table in tables.items():
        first = ideal.intersect(
            {party: (table, customers.KEYS[party]), "same": (table, customers.KEYS[party])}, duplicates="first"
        )[party]
        numbers[party] = pd.Series(canonical(party, first)), first.reset_index(drop=True)
    common = set.intersection(*(set(keys) for keys, _ in numbers.values()))
    return {party: rows[keys.isin(common)] for party, (keys, rows) in numbers.items()}


def by_hand(party: str, rows: pd.DataFrame) -> dict[tuple[str, str], tuple[int, int]]:
    found: dict[tuple[str, str], tuple[int, int]] = {}
    for number, owed in zip(canonical(party, rows), rows["outstanding"], strict=True):
        cell = customers.DISTRICTS[number[:6]], f"{number[6:9]}0s"
        people, total = found.get(cell, (0, 0))
        found[cell] = people + 1, total + owed
    return found


def test_cells_are_those_of_a_plain_loop_without_the_small_ones(shared):
    for party, rows in shared.items():
        every = by_hand(party, rows)
        wanted = {cell: figures for cell, figures in every.items() if figures[0] >= 10}
        found = exposures.cells(party, rows)
        assert {cell: (row["people"], row["outstanding"]) for cell, row in found.iterrows()} == wanted
        assert 0 < len(wanted) < len(every)


def test_all_lenders_make_the_same_cells_whatever_the_order_of_their_rows(shared):
    tables = [exposures.cells(party, rows.sample(frac=1, random_state=1)) for party, rows in shared.items()]
    assert all(table.index.equals(tables[0].index) for table in tables)
    assert all(table["people"].equals(tables[0]["people"]) for table in tables)


def test_sums_are_exact_and_small_cells_are_not_sent(shared, monkeypatch):
    sent = []
    true = aggregation.secure_sum

    def watched(peers, vector, **arguments):
        sent.append(np.asarray(vector).copy())
        return true(peers, vector, **arguments)

    monkeypatch.setattr(aggregation, "secure_sum", watched)
    own = {party: exposures.cells(party, rows) for party, rows in shared.items()}
    out = fusion.simulate(
        **{party: lambda peers, party=party: exposures.summed(peers, own[party]) for party in LENDERS}
    )
    wanted = sum(table["outstanding"].to_numpy() for table in own.values())
    for party in LENDERS:
        assert out[party][exposures.ALL].tolist() == wanted.tolist()
        assert out[party]["outstanding"].equals(own[party]["outstanding"])
    assert [len(vector) for vector in sent] == [len(own["bank"])] * 3


def test_what_a_lender_keeps_adds_up(shared):
    outcome = Outcome()
    own = exposures.cells("bank", shared["bank"])
    exposures.keep(outcome, own.assign(**{exposures.ALL: own["outstanding"] * 3}))
    assert outcome.figures["owed to all lenders, DM"] == 3 * outcome.figures["owed to this lender, DM"]
    assert outcome.figures["customers in them"] == own["people"].sum()
    assert len(outcome.tables["what shared customers owe"]) == outcome.figures["cells shown"]


def test_nothing_is_shown_of_few_people(shared):
    with pytest.raises(InputError, match="no district and decade has 10 shared customers"):
        exposures.cells("bank", shared["bank"].head(8))


@pytest.mark.parametrize("amount", [-1, 0.5, np.nan, np.inf, "much"])
def test_amounts_that_are_no_whole_money_are_refused(shared, amount):
    rows = shared["bank"].assign(outstanding=[amount, *shared["bank"]["outstanding"].iloc[1:]])
    with pytest.raises(InputError, match="column 'outstanding' must hold whole amounts"):
        exposures.cells("bank", rows)


def test_a_table_without_amounts_is_refused(shared):
    with pytest.raises(InputError, match="the table of bank has no column 'outstanding'"):
        exposures.cells("bank", shared["bank"].drop(columns="outstanding"))


def test_amounts_beyond_the_bound_are_refused_before_anything_leaves(shared):
    own = {party: exposures.cells(party, rows) for party, rows in shared.items()}
    own["bank"] = own["bank"].assign(outstanding=exposures.BOUND + 1)
    with pytest.raises(InputError, match="bound"):
        fusion.simulate(**{party: lambda peers, party=party: exposures.summed(peers, own[party]) for party in LENDERS})
