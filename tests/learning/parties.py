"""Two parties with columns of the same people, and the same model by statsmodels from all columns."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import statsmodels.api as sm

import fusion
from fusion.learning import VerticalGLM

LABEL, FEATURE = "insurer", "hospital"
INDEX = "pair-0123456789abcdef"


@dataclass
class Joined:
    """Columns of both parties with labels; ``extra`` goes to fit beside them."""

    feature: pd.DataFrame
    label: pd.DataFrame
    y: np.ndarray
    extra: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def draw(cls, family: str, rows: int = 1500, *, seed: int = 1, power: float | None = None) -> Joined:
        """Numeric columns of any scale, a yes or no, a text column on each side, exposure or offset, and weights."""
        random = np.random.default_rng(seed)
        index = pd.RangeIndex(rows, name=INDEX)
        feature = pd.DataFrame(
            {
                "pressure": random.normal(130, 15, rows),
                "cost": random.gamma(2, 500, rows),
                "smokes": random.random(rows) < 0.3,
                "ward": random.choice(["east", "north", "west"], rows, p=[0.3, 0.5, 0.2]),
            },
            index=index,
        )
        label = pd.DataFrame(
            {
                "age": random.integers(18, 90, rows),
                "plan": pd.Categorical(random.choice(["A", "B"], rows, p=[0.4, 0.6])),
            },
            index=index,
        )
        z = (
            0.01 * (feature.pressure - 130)
            + 0.0002 * feature.cost
            + 0.3 * feature.smokes
            + 0.2 * (feature.ward == "west")
            - 0.008 * (label.age - 50)
            + 0.25 * (label.plan == "A")
        ).to_numpy()
        extra: dict[str, Any] = {"weight": random.integers(1, 4, rows).astype(float)}
        if family == "gaussian":
            extra["offset"] = random.normal(0, 1, rows)
            return cls(feature, label, 1000 + 3 * z + extra["offset"] + random.normal(0, 1, rows), extra)
        extra["exposure"] = random.uniform(0.2, 2, rows)
        mean = np.exp(z) * extra["exposure"]
        if family == "gamma":
            return cls(feature, label, random.gamma(2, mean / 2), extra)
        counts = random.poisson(mean)
        if family == "tweedie":
            return cls(feature, label, random.gamma(np.maximum(counts, 1e-9)) * (counts > 0), extra)
        return cls(feature, label, counts.astype(float), extra)


def columns(frame: pd.DataFrame, bases: dict[str, str]) -> pd.DataFrame:
    """The columns that a model has for a frame, by pandas."""
    parts = []
    for name in frame:
        if name in bases:
            dummies = pd.get_dummies(frame[name].astype(str)).drop(columns=bases[name]).astype(float)
            parts.append(dummies.rename(columns=lambda level, name=name: f"{name}[{level}]"))
        else:
            parts.append(frame[[name]].astype(float))
    return pd.concat(parts, axis=1)


def by_statsmodels(joined: Joined, bases: dict[str, str], family: str, *, power=None, intercept=True):
    families = {
        "gaussian": sm.families.Gaussian,
        "poisson": sm.families.Poisson,
        "gamma": lambda: sm.families.Gamma(sm.families.links.Log()),
        "tweedie": lambda: sm.families.Tweedie(sm.families.links.Log(), power),
    }
    x = pd.concat([columns(joined.feature, bases), columns(joined.label, bases)], axis=1)
    # standardised, so that the solution of the normal equations is precise
    scales, means = x.std(ddof=0), x.mean()
    z = (x - means) / scales if intercept else x / scales
    if intercept:
        z.insert(0, "intercept", 1.0)
    extra = {"var_weights" if name == "weight" else name: value for name, value in joined.extra.items()}
    return sm.GLM(joined.y, z, family=families[family](), **extra).fit(tol=1e-13, maxiter=100), means, scales


def fit_both(joined: Joined, *, peers=None, **parameters) -> tuple[VerticalGLM, VerticalGLM]:
    """The models of label and feature party."""
    out = fusion.simulate(
        **{
            LABEL: lambda peer: VerticalGLM(**parameters).fit(peer, joined.label, joined.y, **joined.extra),
            FEATURE: lambda peer: VerticalGLM(**parameters).fit(peer, joined.feature),
        }
    )
    return out[LABEL], out[FEATURE]


def compare(label: VerticalGLM, feature: VerticalGLM, joined: Joined, family: str, *, coef, error, **options) -> None:
    """With statsmodels' fit: coefficients relative to the larger of them and their error, errors relative."""
    bases = {**label._half.design.bases, **feature._half.design.bases}
    fit, means, scales = by_statsmodels(joined, bases, family, **options)
    for model, names in (
        (feature, feature.coefficients.index),
        (label, label.coefficients.index.drop("intercept", errors="ignore")),
    ):
        got = model.coefficients.loc[names]
        expected, errors = fit.params[names] / scales[names], fit.bse[names] / scales[names]
        off = np.abs(got["coef"] - expected) / np.maximum(np.abs(expected), errors)
        assert off.max() < coef, off
        np.testing.assert_allclose(got["std err"], errors, rtol=error)
        np.testing.assert_allclose(got["z"], got["coef"] / got["std err"], rtol=1e-12)
    if "intercept" in label.coefficients.index:
        own = label.coefficients.index.drop("intercept")
        shift = pd.Series(0.0, index=fit.params.index)
        shift["intercept"] = 1.0
        shift[own] = -means[own] / scales[own]
        row = label.coefficients.loc["intercept"]
        assert abs(row["coef"] - shift @ fit.params) < coef * max(abs(row["coef"]), row["std err"])
        assert row["std err"] == pytest_approx(np.sqrt(shift @ fit.cov_params() @ shift), error)
    facts = label.facts
    assert facts["deviance"] == pytest_approx(fit.deviance, 1e-6)
    assert facts["Pearson chi2"] == pytest_approx(fit.pearson_chi2, 1e-4)
    assert facts["dispersion"] == pytest_approx(fit.scale, 1e-4)
    assert facts["converged"]


def pytest_approx(value: float, relative: float):
    import pytest

    return pytest.approx(value, rel=relative)
