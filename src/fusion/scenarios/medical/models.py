"""Frequency and cost of medical use over the columns of a hospital and an insurer.

The insurer holds the labels: visits (Poisson, log of the years insured as offset) and claims (Tweedie of power 1.5,
which takes the many zeros and the long tail of costs together). Models are fitted on some people and judged on the
others; which is which both sides have agreed on.

Visits scatter more than a Poisson variable does. The insurer weighs every row by one over the dispersion of the model
of its own columns: that leaves the coefficients alone and gives both sides the errors of a quasi-Poisson model
(McCullagh, Nelder: Generalized Linear Models, 2nd ed., section 6.2.3), without a word more between them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from fusion.channel import Channel
from fusion.learning import VerticalGLM, metrics
from fusion.learning.ideal import GLM
from fusion.report.drawing import number
from fusion.scenarios.outcome import Outcome

__all__ = ["HOSPITAL", "MODELS", "PERSON", "PLAN", "Model", "hospital", "ideal", "insurer"]

Floats = npt.NDArray[np.float64]

PLAN = ["coins", "idp", "lpi", "fmde"]
PERSON = ["income", "age", "sex"]
HOSPITAL = ["physlm", "disea", "hlthg", "hlthf", "hlthp", "mhi"]
_INSURER = [*PLAN, *PERSON]

_BANDS = 10
_QUANTILE = 1.959963984540054  # of the standard normal distribution, at 0.975


@dataclass(frozen=True, slots=True)
class Model:
    """What is modelled: a column of the insurer, by which family."""

    label: str
    family: str
    power: float | None
    unit: str

    def estimator(self) -> VerticalGLM:
        """The estimator, which both sides build alike."""
        return VerticalGLM(self.family, power=self.power)


MODELS = (
    Model("visits", "poisson", None, "visits a year"),
    Model("claims", "tweedie", 1.5, "dollars a year"),
)


def insurer(peer: Channel, rows: pd.DataFrame, fitting: npt.NDArray[np.bool_], outcome: Outcome) -> None:
    """The insurer's side of every model; ``fitting`` marks the rows to fit on, the others are for judging."""
    train, test = rows[fitting], rows[~fitting]
    for model in MODELS:
        alone, weight = _alone(model, train, test, outcome)
        half = model.estimator()
        half.fit(peer, train[_INSURER], train[model.label], exposure=train["exposure"], weight=weight)
        outcome.step(f"fit {model.label}", peer)
        predicted = half.predict(peer, test[_INSURER], exposure=test["exposure"])
        outcome.step(f"predict {model.label}", peer)
        assert predicted is not None  # noqa: S101 - the label party gets them
        _judge(outcome, model, train, test, predicted, alone)
        _hold(outcome, model, half, train[_INSURER])


def hospital(peer: Channel, rows: pd.DataFrame, fitting: npt.NDArray[np.bool_], outcome: Outcome) -> None:
    """The hospital's side of every model."""
    train, test = rows[fitting], rows[~fitting]
    for model in MODELS:
        half = model.estimator().fit(peer, train[HOSPITAL])
        outcome.step(f"fit {model.label}", peer)
        half.predict(peer, test[HOSPITAL])
        outcome.step(f"predict {model.label}", peer)
        _hold(outcome, model, half, train[HOSPITAL])


def ideal(rows: Mapping[str, pd.DataFrame], fitting: npt.NDArray[np.bool_], outcomes: Mapping[str, Outcome]) -> None:
    """What both sides come to hold, by somebody who sees the columns of both."""
    train = {party: table[fitting] for party, table in rows.items()}
    test = {party: table[~fitting] for party, table in rows.items()}
    columns = {"hospital": HOSPITAL, "insurer": _INSURER}
    own = train["insurer"]
    for model in MODELS:
        alone, weight = _alone(model, own, test["insurer"], outcomes["insurer"])
        pooled = GLM(model.family, power=model.power)
        parts = {party: train[party][names] for party, names in columns.items()}
        pooled.fit(parts, own[model.label], label="insurer", exposure=own["exposure"], weight=weight)
        unseen = {party: test[party][names] for party, names in columns.items()}
        predicted = pooled.predict(unseen, exposure=test["insurer"]["exposure"])
        _judge(outcomes["insurer"], model, own, test["insurer"], predicted, alone)
        for party, names in columns.items():
            _hold(outcomes[party], model, pooled.parties[party], train[party][names])


def _alone(model: Model, train: pd.DataFrame, test: pd.DataFrame, outcome: Outcome) -> tuple[Floats, Floats | None]:
    """What the insurer predicts from its own columns, which need nobody else, and how it weighs rows from then on."""

    def parts(rows: pd.DataFrame) -> dict[str, Any]:
        return {"plan": rows[PLAN], "person": rows[PERSON]}  # two parts of one table

    alone = GLM(model.family, power=model.power)
    alone.fit(parts(train), train[model.label], label="person", exposure=train["exposure"])
    weight = None
    if model.family == "poisson":
        facts = alone.facts
        dispersion = facts["Pearson chi2"] / (facts["rows"] - facts["columns"])
        outcome.figures[f"{model.label}: dispersion, insurer alone"] = dispersion
        weight = np.full(len(train), 1 / dispersion)
    return alone.predict(parts(test), exposure=test["exposure"]), weight


def _judge(
    outcome: Outcome, model: Model, train: pd.DataFrame, test: pd.DataFrame, predicted: Floats, alone: Floats
) -> None:
    """Figures and bands by the rows that were not fitted on, beside those of the insurer alone."""
    y, exposure = test[model.label].to_numpy(dtype=float), test["exposure"].to_numpy(dtype=float)
    rate = float(train[model.label].sum() / train["exposure"].sum())
    for who, values in (("", predicted), (", insurer alone", alone)):
        outcome.figures[f"{model.label}: D2{who}"] = metrics.d2(
            y, values, family=model.family, power=model.power or 1.5, exposure=exposure, base=rate
        )
        outcome.figures[f"{model.label}: Gini{who}"] = metrics.gini(y, values / exposure, exposure=exposure)
        bands = metrics.actual_expected(y, values, exposure=exposure, bands=_BANDS)
        outcome.tables[f"{model.label}: bands{who}"] = bands
        outcome.tables[f"{model.label}: Lorenz curve{who}"] = metrics.lorenz(y, values / exposure, exposure=exposure)
    gain = metrics.d2_gain(
        y, alone, predicted, family=model.family, power=model.power or 1.5, exposure=exposure, base=rate
    )
    outcome.figures |= dict(zip((f"{model.label}: D2 gained", f"{model.label}: its error"), gain, strict=True))
    outcome.tables[f"{model.label}: double lift"] = metrics.double_lift(y, alone, predicted, exposure=exposure, bands=5)


def _hold(outcome: Outcome, model: Model, half: VerticalGLM, columns: pd.DataFrame) -> None:
    """A party's own coefficients, per unit and as relativities."""
    outcome.tables[f"{model.label}: coefficients"] = half.coefficients
    outcome.tables[f"{model.label}: relativities"] = _relativities(half.coefficients, columns)


def _relativities(coefficients: pd.DataFrame, columns: pd.DataFrame) -> pd.DataFrame:
    """Relativities that can be compared: of a standard deviation, to three digits, or of yes against no."""
    steps, units = {}, {}
    for name in coefficients.index.drop("intercept", errors="ignore"):
        numeric = name in columns and not columns[name].isin((0, 1)).all()
        steps[name] = float(f"{columns[name].std(ddof=0):.3g}") if numeric else 1.0
        units[name] = f"{number(steps[name])} more" if numeric else "yes against no"
    own = coefficients.loc[list(steps)]
    step = pd.Series(steps, dtype=float)
    return pd.DataFrame(
        {
            "relativity": np.exp(own["coef"] * step),
            "lower": np.exp((own["coef"] - _QUANTILE * own["std err"]) * step),
            "upper": np.exp((own["coef"] + _QUANTILE * own["std err"]) * step),
            "of": pd.Series(units),
            "std err": own["std err"] * step,
            "p": own["P>|z|"],
        }
    )
