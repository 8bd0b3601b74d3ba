"""The joint score of a bank, which knows how loans ended, and a finance company, which knows the household.

Parties
    The bank (label party) and the finance company (feature party), with the rows of the customers they share, aligned.
Inputs
    The bank's columns and labels; the finance company's columns. Both split by a hash of the identity number.
Outputs
    The bank: its coefficients, and a probability for every customer. The finance company: its own coefficients, from
    which it can say which of its columns cost a customer points.
Leakage
    As `fusion.learning.VerticalLogistic` says; from a probability and its own half the bank knows what all columns of
    the finance company together add for that customer.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from fusion.channel import Channel
from fusion.learning import VerticalLogistic
from fusion.learning.ideal import Logistic
from fusion.learning.points import average, card, parts
from fusion.scenarios.credit import columns
from fusion.scenarios.credit.judging import SCALE, Scores, judge
from fusion.scenarios.outcome import Outcome

__all__ = ["as_bank", "as_finance_company", "in_the_clear"]

Floats = npt.NDArray[np.float64]

# with this ridge, coefficients are within 2e-5 of where they end after so many epochs of one step
_SETTINGS: Mapping[str, Any] = {"ridge": 0.01, "epochs": 120}
_ACCOUNT = ["account", "savings", "loans here"]


def as_bank(peer: Channel, rows: pd.DataFrame, outcome: Outcome) -> None:
    """Fit and judge the score, from the bank's side, and put what it holds into its outcome."""
    X, bad, building = columns.features("bank", rows), columns.labels(rows), columns.training("bank", rows)
    model = VerticalLogistic(**_SETTINGS).fit(peer, X.iloc[building], bad[building])
    outcome.step("fit the joint score", peer)
    joint = model.predict(peer, X)
    outcome.step("score the customers", peer)
    assert joint is not None  # noqa: S101 - the label party gets them
    _judge(model, X, bad, building, joint, outcome)


def as_finance_company(peer: Channel, rows: pd.DataFrame, outcome: Outcome) -> None:
    """The finance company's side of the same."""
    X, building = columns.features("finance_company", rows), columns.training("finance_company", rows)
    model = VerticalLogistic(**_SETTINGS).fit(peer, X.iloc[building])
    outcome.step("fit the joint score", peer)
    model.predict(peer, X)
    outcome.step("score the customers", peer)
    _keep_card(model, outcome)


def in_the_clear(rows: Mapping[str, pd.DataFrame], outcomes: Mapping[str, Outcome]) -> None:
    """Put what both hold into their outcomes, from the columns of both in one place."""
    X = {party: columns.features(party, own) for party, own in rows.items()}
    bad, building = columns.labels(rows["bank"]), columns.training("bank", rows["bank"])
    model = Logistic(**_SETTINGS)
    model.fit({party: own[building] for party, own in X.items()}, bad[building], label="bank")
    _judge(model.parties["bank"], X["bank"], bad, building, model.predict(X), outcomes["bank"])
    _keep_card(model.parties["finance_company"], outcomes["finance_company"])


def _judge(
    model: VerticalLogistic,
    X: pd.DataFrame,
    bad: Floats,
    building: npt.NDArray[np.bool_],
    joint: Floats,
    outcome: Outcome,
) -> None:
    scores = Scores(bad, building, joint, _alone(X, bad, building), parts(SCALE, model, X), average(SCALE, model))
    judge(scores, outcome)
    _keep_card(model, outcome)


def _keep_card(model: VerticalLogistic, outcome: Outcome) -> None:
    found = card(SCALE, model)
    classes = pd.Index(found["column"] + ": " + found["class"], name="class")
    outcome.tables["points by class"] = found[["points"]].set_axis(classes)


def _alone(X: pd.DataFrame, bad: Floats, building: npt.NDArray[np.bool_]) -> Floats:
    """Probabilities by the model that the bank would build from its own columns: two halves of one table."""
    halves = {"account": X[_ACCOUNT], "loan": X.drop(columns=_ACCOUNT)}
    alone = Logistic(**_SETTINGS)
    alone.fit({name: own[building] for name, own in halves.items()}, bad[building], label="loan")
    return alone.predict(halves)
