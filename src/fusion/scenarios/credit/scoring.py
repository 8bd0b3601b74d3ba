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
from fusion.learning import VerticalLogistic, ideal
from fusion.learning.design import Design
from fusion.learning.points import card, parts
from fusion.scenarios.credit import columns
from fusion.scenarios.credit.judging import SCALE, Scores, judge
from fusion.scenarios.outcome import Outcome

__all__ = ["as_bank", "as_finance_company", "in_the_clear"]

Floats = npt.NDArray[np.float64]

_RIDGE = 0.01
_STEPS = 50


def as_bank(peer: Channel, rows: pd.DataFrame, outcome: Outcome) -> None:
    """Fit and judge the score, from the bank's side, and put what it holds into its outcome."""
    X, bad, building = columns.features("bank", rows), columns.labels(rows), columns.training("bank", rows)
    model = VerticalLogistic(ridge=_RIDGE)
    model.fit(peer, X.iloc[building], bad[building])
    outcome.step("fit the joint score", peer)
    joint = model.predict(peer, X)
    outcome.step("score the customers", peer)
    _judge(model, X, bad, building, joint, outcome)


def as_finance_company(peer: Channel, rows: pd.DataFrame, outcome: Outcome) -> None:
    """The finance company's side of the same."""
    X, building = columns.features("finance_company", rows), columns.training("finance_company", rows)
    model = VerticalLogistic(ridge=_RIDGE)
    model.fit(peer, X.iloc[building])
    outcome.step("fit the joint score", peer)
    model.predict(peer, X)
    outcome.step("score the customers", peer)
    _card(model, outcome)


def in_the_clear(rows: Mapping[str, pd.DataFrame], outcomes: Mapping[str, Outcome]) -> None:
    """Put what both hold into their outcomes, from the columns of both in one place."""
    X = {party: columns.features(party, own) for party, own in rows.items()}
    bad, building = columns.labels(rows["bank"]), columns.training("bank", rows["bank"])
    model = ideal.Logistic(ridge=_RIDGE)
    model.fit({party: own.iloc[building] for party, own in X.items()}, bad[building], label="bank")
    _judge(model.parties["bank"], X["bank"], bad, building, model.predict(X), outcomes["bank"])
    _card(model.parties["finance_company"], outcomes["finance_company"])


def _judge(
    model: Any, X: pd.DataFrame, bad: Floats, building: npt.NDArray[np.bool_], joint: Floats, outcome: Outcome
) -> None:
    half = model._known()
    own = parts(SCALE, half.design, half.own, X)
    average = SCALE.offset - SCALE.factor * half.intercept
    judge(Scores(bad, building, joint, _alone(X, bad, building), own, average), outcome)
    _card(model, outcome)


def _card(model: Any, outcome: Outcome) -> None:
    half = model._known()
    outcome.tables["points by class"] = card(SCALE, half.design, half.own)


def _alone(X: pd.DataFrame, bad: Floats, building: npt.NDArray[np.bool_]) -> Floats:
    """Probabilities by the model that the bank would build from its own columns, with the same penalty."""
    design, x = Design.fit(X[building])
    beta = newton(np.column_stack([x, np.ones(len(x))]), bad[building], _RIDGE)
    return np.asarray(1 / (1 + np.exp(-design.apply(X) @ beta[:-1] - beta[-1])))


def newton(x: Floats, y: Floats, ridge: float) -> Floats:
    """Coefficients of a logistic model, (k,), by Newton's method; the last column is the intercept's, and free."""
    penalty = np.full(x.shape[1], ridge * len(x))
    penalty[-1] = 0.0
    beta = np.zeros(x.shape[1])
    for _ in range(_STEPS):
        p = 1 / (1 + np.exp(-x @ beta))
        step = np.linalg.solve((x.T * (p * (1 - p))) @ x + np.diag(penalty), x.T @ (y - p) - penalty * beta)
        beta += step
        if np.abs(step).max() < 1e-12:
            break
    return beta
