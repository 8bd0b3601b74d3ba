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

# Names for classes; those of few customers join a neighbour. A class that is not here keeps its name.
_ACCOUNTS = {
    "... < 0 DM": "below 0 DM",
    "0 <= ... < 200 DM": "0 to 200 DM",
    "... >= 200 DM / salary assignments for at least 1 year": "200 DM or more, or salary",
    "no checking account": "none",
}
_PURPOSES = {
    "domestic appliances": "furniture/equipment",
    "repairs": "other",
    "retraining": "other",
    "others": "other",
    "education": "other",
    "business": "other",
}
_SAVINGS = {
    "... < 100 DM": "below 100 DM",
    "100 <= ... < 500 DM": "100 to 500 DM",
    "500 <= ... < 1000 DM": "500 DM or more",
    "... >= 1000 DM": "500 DM or more",
    "unknown/ no savings account": "none or unknown",
}
_EMPLOYMENT = {
    "unemployed": "less than 1 year",
    "... < 1 year": "less than 1 year",
    "1 <= ... < 4 years": "1 to 4 years",
    "4 <= ... < 7 years": "4 to 7 years",
    "... >= 7 years": "7 years or more",
}
_HISTORY = {
    "existing credits paid back duly till now": "credits paid back till now",
    "critical account/ other credits existing (not at this bank)": "other credits, or critical",
    "delay in paying off in the past": "delays in the past",
    "all credits at this bank paid back duly": "all paid back at the bank",
    "no credits taken/ all credits paid back duly": "none taken, or all paid back",
}
_PROPERTY = {
    "building society savings agreement/ life insurance": "savings contract or life insurance",
    "car or other, not in attribute Savings account/bonds": "car or other",
    "unknown / no property": "none or unknown",
}


FEATURES: Mapping[str, Mapping[str, tuple[str, Mapping[str, str] | None]]] = {
    "bank": {
        "account": ("status_of_existing_checking_account", _ACCOUNTS),
        "savings": ("savings_account_and_bonds", _SAVINGS),
        "months": ("duration_in_month", None),
        "amount": ("credit_amount", None),
        "purpose": ("purpose", _PURPOSES),
        "instalments": ("installment_rate_in_percentage_of_disposable_income", None),
        "job": ("present_employment_since", _EMPLOYMENT),
        "age": ("age_in_years", None),
        "loans here": ("number_of_existing_credits_at_this_bank", None),
    },
    "finance_company": {
        "history": ("credit_history", _HISTORY),
        "plans": ("other_installment_plans", {}),
        "guarantors": ("other_debtors_or_guarantors", {}),
        "property": ("property", _PROPERTY),
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
