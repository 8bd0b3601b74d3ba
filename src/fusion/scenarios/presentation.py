"""The whole report of a scenario: its own part, then what every scenario has to show."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import pandas as pd

from fusion.report import Report, Section, Table, learned, receipts, traffic
from fusion.scenarios import Scenario
from fusion.scenarios.outcome import Comparison, Outcome, agree

__all__ = ["comparison_table", "figure", "whole_report"]


def figure(value: float) -> str:
    """A figure as it is read: whole numbers as such, others to four decimals."""
    if value != value:
        return "none"
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.4f}"


def comparison_table(compared: Sequence[Comparison]) -> pd.DataFrame:
    """Every figure beside its twin's, as text."""
    return pd.DataFrame(
        {
            "party": [each.party for each in compared],
            "figure": [each.name for each in compared],
            "between the parties": [figure(each.value) for each in compared],
            "in the clear": [figure(each.cleartext) for each in compared],
            "apart by": [
                f"{abs(each.value - each.cleartext):.1e}" if each.value != each.cleartext else "0" for each in compared
            ],
            "allowed": [f"{each.tolerance:g}" for each in compared],
            "agrees": ["yes" if each.agrees else "NO" for each in compared],
        }
    )


def whole_report(
    scenario: Scenario, outcomes: Mapping[str, Outcome], compared: Sequence[Comparison], facts: Mapping[str, str]
) -> Report:
    """Add to a scenario's own report the comparison with its twin, who learned what, sizes, time and receipts.

    Parameters
    ----------
    scenario : Scenario
    outcomes : mapping of str to Outcome
    compared : sequence of Comparison
    facts : mapping of str to str
        Of the run: what it ran on, and how long it took.
    """
    own = scenario.report(outcomes)
    steps = {party: outcome.steps for party, outcome in outcomes.items()}
    verdict = (
        "Every figure agrees with its cleartext twin: the same computation by one process that sees all tables."
        if agree(compared)
        else "At least one figure differs from its cleartext twin by more than is allowed. Please report this."
    )
    check = Section("Checked against the clear", [verdict, Table("", comparison_table(compared))])
    took = traffic(steps)
    run = pd.DataFrame({"of this run": facts.keys(), "": facts.values()})
    took = dataclasses.replace(took, parts=[*took.parts, Table("", run)])
    return dataclasses.replace(own, sections=[*own.sections, check, learned(steps), took, receipts(steps)])
