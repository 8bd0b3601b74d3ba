"""A model of two parties in two processes, TLS between them, beside the model of pooled columns.

The clock starts when both sides are ready, with data loaded and the connection up, and stops when both have their
coefficients. The pooled model is statsmodels', in one process.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import fusion
from benchmarks import BenchmarkError
from benchmarks.children import Child, Report, elapsed, run_together
from benchmarks.machine import machine, pinned
from benchmarks.measure import merge_medians, rounded, seconds_of, summarise, take_turns
from benchmarks.pair import RECEIVER, SENDER, run_pair

__all__ = ["FAMILIES", "MODELS", "PEERS", "benchmark"]

FAMILIES = ("poisson", "gamma", "tweedie", "gaussian")
MODELS = ("glm", "logistic")
PEERS = ("pooled",)
_POWER = 1.5
_CORES = 2
_LABEL, _FEATURE = RECEIVER, SENDER


def benchmark(
    n: int, *, columns: int, repeat: int, against: Sequence[str], model: str = "glm", family: str = "poisson"
) -> dict[str, Any]:
    """Fit ``n`` rows of ``columns`` normal columns on either side; ``family`` is the generalised linear model's.

    Raises
    ------
    BenchmarkError
        If a process fails, or the model is not that of the pooled columns.
    """
    family = "binomial" if model == "logistic" else family
    with pinned(_CORES), tempfile.TemporaryDirectory(prefix="fusion-benchmark-") as folder:
        facts = machine()
        data = Path(folder) / "data.npz"
        _draw(data, n, columns, family)
        job = {"data": str(data), "model": model, "family": family, "power": _POWER if family == "tweedie" else None}
        contenders: dict[str, Callable[[], Mapping[str, Report]]] = {
            "fusion": partial(_ours, Path(folder), job),
            **{peer: partial(_pooled, job) for peer in against},
        }
        turns = take_turns(contenders, repeat, f"learning {family} {n:,} x ({columns} + {columns})")
    found = {who: _summary(runs) for who, runs in turns.items()}
    found["fusion"]["version"] = fusion.__version__
    for peer in against:
        found[peer]["ratio"] = rounded(found[peer]["seconds"] / found["fusion"]["seconds"])
        found[peer]["note"] = "one process that holds all columns, without any protection"
        error = _logistic_error if model == "logistic" else _error
        found["fusion"]["error"] = error(turns["fusion"][-1], turns[peer][-1][peer])
    return {
        "benchmark": "learning",
        "protocol": f"{model}, {family}",
        "link": "loopback",
        "n": n,
        "columns": [columns, columns],
        "machine": facts,
        "fusion": found["fusion"],
        "peers": {peer: found[peer] for peer in against},
    }


def _draw(path: Path, n: int, columns: int, family: str) -> None:
    random = np.random.default_rng(1)
    x = random.normal(size=(n, 2 * columns))
    mean = np.exp(x @ random.normal(size=2 * columns) * 0.1)
    labels = {
        "poisson": lambda: random.poisson(mean),
        "gamma": lambda: random.gamma(2, mean / 2),
        "tweedie": lambda: random.gamma(np.maximum(random.poisson(mean), 1e-9)),
        "gaussian": lambda: np.log(mean) + random.normal(size=n),
        "binomial": lambda: random.random(n) < 1 / (1 + mean**-3),
    }
    y = labels[family]().astype(np.float64)
    y[y < 1e-6] *= family != "tweedie"
    np.savez(path, feature=x[:, :columns], label=x[:, columns:], y=y)


def _ours(folder: Path, job: Mapping[str, Any]) -> dict[str, Report]:
    jobs = {party: {**job, "part": part} for party, part in ((_LABEL, "label"), (_FEATURE, "feature"))}
    return run_pair("benchmarks.learning_party", folder, jobs, seconds=600)


def _pooled(job: Mapping[str, Any]) -> dict[str, Report]:
    return run_together({"pooled": Child("benchmarks.peers.pooled_glm", job)}, seconds=600)


def _error(ours: Mapping[str, Report], pooled: Report) -> dict[str, float]:
    """The largest errors, relative: of a coefficient, by its standard error where that is larger, and of those."""
    coefficients, errors = (
        np.array(ours[_FEATURE].details[key] + ours[_LABEL].details[key][1:]) for key in ("coef", "std err")
    )
    expected, theirs = np.array(pooled.details["coef"][1:]), np.array(pooled.details["std err"][1:])
    found = {
        "coefficients": float(np.max(np.abs(coefficients - expected) / np.maximum(np.abs(expected), theirs))),
        "standard_errors": float(np.max(np.abs(errors / theirs - 1))),
    }
    if not (found["coefficients"] < 1e-4 and found["standard_errors"] < 1e-3):
        raise BenchmarkError("the fit is not that of the pooled columns")
    return {name: float(f"{value:.2g}") for name, value in found.items()}


def _logistic_error(ours: Mapping[str, Report], pooled: Report) -> dict[str, float]:
    """The largest error of a coefficient, per standard deviation of its column, and how far the AUC is off."""
    coefficients = np.array(ours[_FEATURE].details["coef"] + ours[_LABEL].details["coef"][1:])
    found = {
        "coefficients": float(np.abs(coefficients - np.array(pooled.details["coef"][1:])).max()),
        "auc": abs(ours[_LABEL].details["auc"] - pooled.details["auc"]),
    }
    if not (found["coefficients"] < 2e-2 and found["auc"] < 2e-3):
        raise BenchmarkError("the fit is not that of the pooled columns")
    return {name: float(f"{value:.2g}") for name, value in found.items()}


def _summary(runs: Sequence[Mapping[str, Report]]) -> dict[str, Any]:
    found: dict[str, Any] = seconds_of(summarise([elapsed(reports) for reports in runs]))
    found["runs"] = len(runs)
    first = runs[0]
    found["version"] = next(iter(first.values())).details.get("version", "")
    if len(first) > 1:
        found["rounds"] = first[_LABEL].details["rounds"]  # or epochs
        found["phases"] = {
            party: merge_medians([reports[party].details["phases"] for reports in runs]) for party in first
        }
    found["bytes"] = int(summarise([sum(r.bytes_received for r in reports.values()) for reports in runs]).median)
    for measure in ("peak_mb", "cpu_seconds"):
        found[measure] = {
            party: rounded(summarise([getattr(reports[party], measure) for reports in runs]).median) for party in first
        }
    return found
