"""A Poisson model of visits to a doctor, and one step of its fit on the rows of one hospital."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from fusion.flower import Terms

# So that all columns are of one size: agreed beforehand, and nothing of any hospital's data.
SCALES = {"coins": 100, "idp": 1, "physlm": 1, "disea": 25, "hlthg": 1, "hlthf": 1, "hlthp": 1, "xage": 50, "female": 1}
NAMES = ["intercept", *SCALES]
# What hospitals and server agree on. A change of a coefficient beyond `bound` is refused by the hospital itself.
TERMS = Terms(bound=8.0, max_examples=100_000, metrics={"deviance": 100.0})

Floats = npt.NDArray[np.float64]


def read(path: str | Path) -> tuple[Floats, Floats]:
    """The columns, intercept first, and the number of visits, of people for whom all are known."""
    table = pd.read_csv(path)[["mdvis", *SCALES]].dropna()
    columns = table[list(SCALES)].to_numpy(float) / np.array(list(SCALES.values()))
    return np.column_stack([np.ones(len(table)), columns]), table["mdvis"].to_numpy(float)


def step(weights: Floats, x: Floats, y: Floats) -> Floats:
    """The weights after one step of Newton's method."""
    mean = np.exp(np.clip(x @ weights, -10, 10))
    return weights + np.linalg.solve(x.T @ (mean[:, None] * x) + 1e-3 * np.eye(len(weights)), x.T @ (y - mean))


def deviance(weights: Floats, x: Floats, y: Floats) -> float:
    """Mean Poisson deviance."""
    mean = np.exp(np.clip(x @ weights, -10, 10))
    log = np.log(np.where(y > 0, y / mean, 1.0))
    return float(2 * np.mean(y * log - (y - mean)))
