"""A hospital and a health insurer find the people they share, and model their medical use over both sides' columns."""

from __future__ import annotations

import importlib.util
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from fusion.errors import InputError
from fusion.report import Report
from fusion.scenarios import Tables
from fusion.scenarios._people import DATE_DIRT, ID_DIRT, identity_numbers, soil, uniform
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

TITLE = "A hospital and a health insurer price medical cover together"
SECTOR = "数据要素×医疗健康"
SOURCE = (
    "The people, their health, plans and claims are records of the RAND Health Insurance Experiment "
    "(public domain, from statsmodels). Identity numbers and dates of birth are synthetic."
)
PARTIES = ("hospital", "insurer")
KEYS: Mapping[str, Mapping[str, str]] = {
    "hospital": {"id_number": "cn_id", "birth_date": "date"},
    "insurer": {"member_id": "cn_id", "born": "date"},
}
TOLERANCES: Mapping[str, float] = {
    f"{label}: {name}": tolerance
    for label in ("visits", "claims")
    for name, tolerance in (
        ("D2", 1e-4),
        ("D2 gained", 1e-4),
        ("its error", 1e-4),
        ("Gini", 1e-4),
        ("relativities", 1e-4),
        # computed in the clear in either case, but in another order of rows, in which others of them tie
        ("D2, insurer alone", 1e-9),
        ("dispersion, insurer alone", 1e-9),
        ("Gini, insurer alone", 1e-5),
    )
}
SHOWN = ("visits: relativities", "claims: relativities")

_PART = {"hospital": "cohort", "insurer": "sample"}  # the columns that say what a person is for: "fit" or "judge"
_KNOWN = {"hospital": 0.80, "insurer": 0.75}  # share of the people that a side has
_TWICE = 0.005  # share of its rows that a side has twice

_HEALTH = ["physlm", "disea", "hlthg", "hlthf", "hlthp", "mhi", "ghindx"]
_PLAN = ["income", "coins", "idp", "lpi", "fmde"]
_READ = {*_HEALTH, *_PLAN, "zper", "year", "site", "time", "mdvis", "meddol", "xage", "female"}

# One district (GB/T 2260) for each of the experiment's six sites.
_DISTRICTS = {1: "110101", 2: "310101", 3: "330106", 4: "420106", 5: "440106", 6: "510107"}
_FIRST_YEAR = pd.Timestamp("1975-01-01")  # people joined from November 1974 to February 1977


def data() -> dict[str, Tables]:
    """Return the two tables, one row a person, each side with its own people in its own order.

    The records are those of the RAND Health Insurance Experiment (1974 to 1982; 20,190 person-years of
    5,912 people), in the public domain, as distributed with statsmodels. Identity numbers and dates of
    birth are synthetic: the number is valid by GB 11643-1999, with one district for each site of the
    experiment, a date of birth that agrees with the recorded age and an order code that agrees with the
    recorded sex.

    Neither side has everyone, a few rows stand twice, and the keys carry everyday dirt. All of it is a
    function of the person's number, so the tables are the same on every machine.

    =======================================  ========  =======
    rows                                     hospital  insurer
    =======================================  ========  =======
    people                                       4723     4432
    rows, some people standing twice             4747     4460
    numbers in the 15 digits of before 1999       209      179
    numbers in full-width digits                  142      134
    numbers with inner spaces                      86      100
    numbers with outer spaces                      88       83
    numbers with a lower-case x                   179      132
    numbers that fail their checksum               39       55
    numbers missing                                19       26
    dates with slashes                            249      219
    dates in eight digits                         191      177
    dates in Chinese                              141      130
    dates missing                                  25       22
    =======================================  ========  =======

    3,535 people are on both sides; 3,392 of them have usable keys on both.

    Returns
    -------
    dict
        ``"hospital"``: `id_number`, `birth_date` and health at enrolment: `physlm` (physical limitation),
        `disea` (index of chronic diseases), `hlthg`, `hlthf`, `hlthp` (self-rated good, fair, poor), `mhi`
        (mental health index), `ghindx` (general health index, often missing); and `cohort`. ``"insurer"``: `member_id`,
        `born`, `sex`, `age` (years at enrolment), `income` (dollars a year) and the plan: `coins`
        (coinsurance, percent), `idp` (individual deductible), `lpi` (log incentive payment), `fmde` (log
        maximum expenditure); and over all years `exposure` (years), `visits` to a physician and `claims`
        (medical expenditure, dollars); and `sample`. `cohort` and `sample` are the split both have agreed on: 70 of
        100 people are for ``"fit"``, the others for ``"judge"``, by the CRC-32 of their number in the experiment.

    Raises
    ------
    InputError
        statsmodels is not installed, or its file is another one; nothing of it is imported, only that file is read.
    """
    people = _people()
    return {
        "hospital": _held_by(
            "hospital", people, ["physlm", "disea", "hlthg", "hlthf", "hlthp", "mhi", "ghindx", "cohort"]
        ),
        "insurer": _held_by(
            "insurer",
            people,
            ["sex", "age", *_PLAN, "exposure", "visits", "claims", "sample"],
        ),
    }


def run(peers: Any, tables: Any, party: str) -> Outcome:
    """Play one party's side: find the shared people, then model what they cost over the columns of both.

    Parameters
    ----------
    peers : Channel
        The channel to the other party.
    tables : DataFrame
        This party's table.
    party : str
        ``"hospital"`` or ``"insurer"``: whose columns these are.

    Returns
    -------
    Outcome
        Of the insurer: D2 and Gini on people that were not fitted on, with the hospital's columns and without; bands,
        Lorenz curves; coefficients and relativities of its own columns. Of the hospital: those of its own columns.
    """
    from fusion import psi
    from fusion.scenarios.medical import models

    outcome = Outcome()
    members = psi.intersect(peers, tables, on=KEYS[party], duplicates="first")
    outcome.step("find the members", peers)
    fitting = _counted(outcome, members, party)
    side = models.hospital if party == "hospital" else models.insurer
    side(peers, members, fitting, outcome)
    return outcome


def ideal(tables: Mapping[str, Any]) -> dict[str, Outcome]:
    """Compute in the clear what :func:`run` returns to each party, from both tables."""
    from fusion.psi import ideal as cleartext
    from fusion.scenarios.medical import models

    sides = {party: (table, KEYS[party]) for party, table in tables.items()}
    members = cleartext.intersect(sides, duplicates="first")
    outcomes = {party: Outcome() for party in PARTIES}
    fitting = [_counted(outcomes[party], members[party], party) for party in PARTIES]
    models.ideal(members, fitting[0], outcomes)
    return outcomes


def report(outcomes: Mapping[str, Outcome]) -> Report:
    """Present what was found."""
    from fusion.scenarios.medical.presentation import present

    return present(outcomes, title=TITLE, kicker=SECTOR, source=SOURCE)


def _counted(outcome: Outcome, members: pd.DataFrame, party: str) -> npt.NDArray[np.bool_]:
    """Which of the members models are fitted on, and how many there are."""
    fitting: npt.NDArray[np.bool_] = (members[_PART[party]] == "fit").to_numpy()
    outcome.figures["members"] = len(members)
    outcome.figures["members to fit on"] = int(fitting.sum())
    return fitting


def _records() -> Path:
    """Return the path of the experiment's records without importing the package that holds them."""
    spec = importlib.util.find_spec("statsmodels")
    for folder in (spec.submodule_search_locations if spec else None) or ():
        path = Path(folder, "datasets", "randhie", "src", "randhie.csv")
        if path.is_file():
            return path
    raise InputError('this scenario reads data of statsmodels: pip install "privacy-fusion[examples]"')


def _people() -> pd.DataFrame:
    """Return one row a person with clean synthetic keys, by ascending person number."""
    years = pd.read_csv(_records())
    missing = sorted(_READ - set(years.columns))
    if missing:
        raise InputError(
            f"the records of statsmodels have no column {', '.join(missing)}; install a release from 0.14 on"
        )
    years = years.sort_values(["zper", "year"])
    by_person = years.groupby("zper")
    # `first` would skip nulls and so mix years
    people = by_person.head(1).set_index("zper")
    people["exposure"] = by_person["time"].sum().round(6)
    people["visits"] = by_person["mdvis"].sum()
    people["claims"] = by_person["meddol"].sum().round(2)
    people["age"] = people["xage"].astype(int)
    people["sex"] = people["female"].map({0: "male", 1: "female"})
    fitting = [zlib.crc32(str(person).encode()) % 10 < 7 for person in people.index]
    people["cohort"] = people["sample"] = np.where(fitting, "fit", "judge")
    joined = _FIRST_YEAR + pd.to_timedelta((people["year"] - 1) * 365, unit="D")
    birth = (joined - pd.to_timedelta((people["xage"] * 365.2425).round(), unit="D")).dt.normalize()
    people["id"] = identity_numbers(people["site"].map(_DISTRICTS), birth, people["female"] == 1)
    people["birth"] = birth.dt.strftime("%Y-%m-%d")
    return people.reset_index(names="person")


def _held_by(party: str, people: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    """Return the rows that one party holds: its people, its order, its dirt."""
    person = people["person"].to_numpy()
    held = people[uniform(person, f"{party}/holds") < _KNOWN[party]]
    twice = held[uniform(held["person"].to_numpy(), f"{party}/twice") < _TWICE]
    both = pd.concat([held, twice], ignore_index=True)
    rows = both["person"].to_numpy() * 2 + np.repeat([0, 1], [len(held), len(twice)])
    id_column, birth_column = KEYS[party]
    table = pd.DataFrame(
        {
            id_column: soil(both["id"], rows, f"{party}/id", ID_DIRT),
            birth_column: soil(both["birth"], rows, f"{party}/date", DATE_DIRT),
            **{name: both[name] for name in columns},
        }
    )
    return table.iloc[np.argsort(uniform(rows, f"{party}/order"))].reset_index(drop=True)
