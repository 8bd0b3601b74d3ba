"""The model of all columns in one process, by statsmodels."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import statsmodels
import statsmodels.api as sm

from benchmarks import child
from fusion.learning import metrics


@contextlib.contextmanager
def prepare(job: dict[str, Any]) -> Iterator[Callable[[], dict[str, Any]]]:
    """Load; the job names the ``data`` and the family."""
    with np.load(job["data"]) as arrays:
        x = sm.add_constant(np.column_stack([arrays["feature"], arrays["label"]]))
        y = arrays["y"]
    families = {
        "binomial": sm.families.Binomial,
        "gaussian": sm.families.Gaussian,
        "poisson": sm.families.Poisson,
        "gamma": lambda: sm.families.Gamma(sm.families.links.Log()),
        "tweedie": lambda: sm.families.Tweedie(sm.families.links.Log(), job["power"]),
    }

    def run() -> dict[str, Any]:
        fit = sm.GLM(y, x, family=families[job["family"]]()).fit(tol=1e-12)
        found = {"coef": fit.params.tolist(), "std err": fit.bse.tolist(), "version": statsmodels.__version__}
        return {**found, "auc": metrics.auc(y, fit.fittedvalues)} if job["family"] == "binomial" else found

    yield run


if __name__ == "__main__":
    child.play(prepare)
