"""What each lender scores by: its own columns in coarse classes, as score cards have them."""

from __future__ import annotations

import zlib
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd

from fusion.errors import InputError
from fusion.scenarios.credit.customers import KEYS
from fusion.tables import Table, key_columns

__all__ = ["FEATURES", "canonical", "features", "labels", "training"]

_TRAINING = 7  # of 10

# Classes of few customers join a neighbour; a class that is not named keeps its name.
_PURPOSES = {
    "domestic appliances": "furniture/equipment",
    "repairs": "other",
    "retraining": "other",
    "others": "other",
    "education": "other",
    "business": "other",
}
_SAVINGS = {"500 <= ... < 1000 DM": "... >= 500 DM", "... >= 1000 DM": "... >= 500 DM"}
_EMPLOYMENT = {"unemployed": "... < 1 year"}


FEATURES: Mapping[str, Mapping[str, tuple[str, Mapping[str, str] | None]]] = {
    "bank": {
        "account": ("status_of_existing_checking_account", {}),
        "savings": ("savings_account_and_bonds", _SAVINGS),
        "months": ("duration_in_month", None),
        "amount": ("credit_amount", None),
        "purpose": ("purpose", _PURPOSES),
        "instalments": ("installment_rate_in_percentage_of_disposable_income", None),
        "employment": ("present_employment_since", _EMPLOYMENT),
        "age": ("age_in_years", None),
        "loans here": ("number_of_existing_credits_at_this_bank", None),
    },
    "finance_company": {
        "history": ("credit_history", {}),
        "plans": ("other_installment_plans", {}),
        "guarantors": ("other_debtors_or_guarantors", {}),
        "property": ("property", {}),
        "housing": ("housing", {}),
        "residence": ("present_residence_since", None),
        "telephone": ("telephone", {"yes, registered under the customers name": "yes"}),
    },
}
"""Each lender's features by name: the column, and which of its classes are merged; None for a number."""


def features(party: str, rows: pd.DataFrame) -> pd.DataFrame:
    """Return what a lender's customers are scored by; the index stays.

    Raises
    ------
    InputError
        A column is missing, or one of numbers holds something else.
    """
    made = {}
    for name, (column, merged) in FEATURES[party].items():
        if column not in rows.columns:
            raise InputError(f"the table of {party} has no column {column!r}")
        made[name] = _number(rows[column]) if merged is None else rows[column].replace(merged)
    return pd.DataFrame(made, index=rows.index)


def labels(rows: pd.DataFrame) -> npt.NDArray[np.float64]:
    """Return 1 for a loan that went bad and 0 for one that was paid back.

    Raises
    ------
    InputError
        The outcome is missing, is another word, or is the same everywhere.
    """
    if "creditability" not in rows.columns:
        raise InputError("the table of bank has no column 'creditability'")
    outcome = rows["creditability"]
    if not outcome.isin(("good", "bad")).all():
        raise InputError("column 'creditability' must hold 'good' or 'bad' in every row")
    if outcome.nunique() < 2:
        raise InputError("all loans ended alike, good or bad; a score needs both in the sample")
    return np.asarray(outcome == "bad", dtype=np.float64)


def canonical(party: str, rows: pd.DataFrame) -> npt.NDArray[np.str_]:
    """Return the clean identity numbers of rows that all have one, as after an intersection."""
    return np.array(key_columns(Table.of(rows), KEYS[party]).columns[0].to_pylist(), dtype=np.str_)


def training(party: str, rows: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """Say which customers the score is built on, about 70%; the others judge it.

    A function of the identity number, so that both sides split alike without a message, and the same in every run.
    """
    return np.array([zlib.crc32(number.encode()) % 10 < _TRAINING for number in canonical(party, rows)])


def _number(column: pd.Series) -> pd.Series:
    try:
        return pd.to_numeric(column)
    except (TypeError, ValueError):
        raise InputError(f"column {column.name!r} must hold numbers") from None
