"""What customers that three lenders share owe to all of them together, by district and generation.

Parties
    Three lenders, each with the rows of the customers that all three share, and what each of them owes.
Inputs
    For each lender the outstanding amounts. Who is shared is known to all three by now, from intersections; so is
    where people live and when they were born, from their identity numbers.
Outputs
    All three: the sum over all lenders in every cell, district by decade of birth, of ``MIN_GROUP`` people or more.
Leakage
    What a sum tells: less a lender's own amount, it is what the other two are owed together. A cell of fewer people
    is never added up: every lender counts for itself and leaves the cell out of its vector.
Threat model
    That of `fusion.aggregation.secure_sum` among all.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from fusion import aggregation
from fusion.errors import InputError
from fusion.scenarios.credit.columns import canonical
from fusion.scenarios.credit.customers import DISTRICTS
from fusion.scenarios.outcome import Outcome

__all__ = ["ALL", "BOUND", "MIN_GROUP", "by_cell", "cells", "keep", "summed"]

MIN_GROUP = 10
"""The fewest people whose debts are added up."""
ALL = "all lenders"
"""The column of sums."""
BOUND = 2**27
"""DM; the most that the customers of a cell may owe one lender."""


def cells(party: str, rows: pd.DataFrame) -> pd.DataFrame:
    """Return the people and the lender's own amount in every cell that is large enough, in the order all lenders use.

    Parameters
    ----------
    party : str
    rows : DataFrame
        The lender's rows of the shared customers, in any order.

    Returns
    -------
    DataFrame with columns ``people`` and ``outstanding``
        Indexed by ``district`` and ``born``, a decade.

    Raises
    ------
    InputError
        The amounts are no whole numbers of 0 or more, or no cell is large enough.
    """
    owed = by_cell(party, rows)
    shown = owed[owed["people"] >= MIN_GROUP]
    if shown.empty:
        raise InputError(f"no district and decade has {MIN_GROUP} shared customers, so there is nothing to add up")
    return shown


def by_cell(party: str, rows: pd.DataFrame) -> pd.DataFrame:
    """Return the people and the lender's own amount in every cell that has anybody."""
    if "outstanding" not in rows.columns:
        raise InputError(f"the table of {party} has no column 'outstanding'")
    numbers = pd.Series(canonical(party, rows))
    table = pd.DataFrame(
        {
            "district": numbers.str[:6].map(DISTRICTS).fillna("elsewhere"),
            "born": numbers.str[6:9] + "0s",
            "outstanding": _amounts(rows["outstanding"]),
        }
    )
    return table.groupby(["district", "born"]).agg(people=("outstanding", "size"), outstanding=("outstanding", "sum"))


def summed(peers: Any, own: pd.DataFrame) -> pd.DataFrame:
    """Add up the lenders' amounts; all three call this.

    Parameters
    ----------
    peers : Group
        The channels to both other lenders.
    own : DataFrame
        As from `cells`.

    Returns
    -------
    DataFrame
        The same with a column `ALL`.

    Raises
    ------
    FusionError
        As `fusion.aggregation.secure_sum`.
    """
    total = aggregation.secure_sum(peers, own["outstanding"].to_numpy(), bound=BOUND).total
    return own.assign(**{ALL: total})


def keep(outcome: Outcome, owed: pd.DataFrame) -> None:
    """Put the table that `summed` returns, and its figures, into a lender's outcome."""
    outcome.tables["what shared customers owe"] = owed.reset_index()
    outcome.figures["cells shown"] = len(owed)
    outcome.figures["customers in them"] = float(owed["people"].sum())
    outcome.figures["owed to this lender, DM"] = float(owed["outstanding"].sum())
    outcome.figures["owed to all lenders, DM"] = float(owed[ALL].sum())


def _amounts(column: pd.Series) -> npt.NDArray[np.int64]:
    amounts = pd.to_numeric(column, errors="coerce").to_numpy(np.float64)
    if not ((amounts >= 0) & (amounts < 2**53)).all() or (amounts != np.rint(amounts)).any():
        raise InputError("column 'outstanding' must hold whole amounts of 0 or more, in DM")
    return amounts.astype(np.int64)
