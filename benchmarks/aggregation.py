"""Encrypted columns: each scheme over arrays on one core, beside the libraries that a Python user has today.

Every run is a fresh process that makes its own key first. The clock is that process's processor time.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import fusion
from benchmarks import BenchmarkError, peers
from benchmarks.children import Child, run_together
from benchmarks.machine import machine, pinned
from benchmarks.measure import rounded, summarise, take_turns

__all__ = ["PEERS", "benchmark"]

PEERS = ("phe", "heu", "tenseal")
_SECONDS = 600.0
BITS = 3072  # 128-bit security (NIST SP 800-57)
_OU_BITS = 2048  # what HEU's documentation recommends; its OU draws 110-bit randomness
# Their values a run: enough for a steady figure, few enough for a run of seconds.
_PEER_JOBS: Mapping[str, Mapping[str, Any]] = {
    "phe": {"bits": BITS, "values": 60},
    "heu": {"bits": BITS, "ou_bits": _OU_BITS, "values": 1000},
    "tenseal": {"seed": 1},
}
# Whose scheme stands beside which of ours: that for the same work.
_BESIDE = {"paillier": "paillier", "ou": "elgamal", "ckks": "lattice"}


def benchmark(n: int, *, repeat: int, against: tuple[str, ...], python: Path | None) -> dict[str, Any]:
    """Measure every scheme; ``n`` is how many sums ElGamal decrypts.

    Raises
    ------
    BenchmarkError
        If a peer cannot be installed, or anybody decrypts something other than what was encrypted.
    """
    environments = {peer: peers.environment(peer, python) for peer in against}
    with pinned(1):
        facts = machine()
        contenders: dict[str, Callable[[], dict[str, Any]]] = {
            "fusion": partial(_run, "fusion", Child("benchmarks.aggregation_columns", {"sums": n, "bits": BITS}))
        }
        for peer, environment in environments.items():
            child = Child(f"benchmarks.peers.{peer}_columns", _PEER_JOBS[peer], environment)
            contenders[peer] = partial(_run, peer, child)
        turns = take_turns(contenders, repeat, "aggregation")
    ours = _summary(turns.pop("fusion"))
    theirs = {}
    for peer, runs in turns.items():
        found = _summary(runs)
        for scheme, operations in found["schemes"].items():
            for operation, told in operations.items():
                own = ours["schemes"][_BESIDE[scheme]].get(operation)
                if own is not None:
                    told["ratio"] = rounded(told["microseconds"] / own["microseconds"])
        theirs[peer] = {"version": peers.version(peer), **found}
    return {
        "benchmark": "aggregation",
        "protocol": ",".join(ours["schemes"]),
        "n": n,
        "machine": facts,
        "fusion": {"version": fusion.__version__, **ours},
        "peers": theirs,
    }


def _run(name: str, child: Child) -> dict[str, Any]:
    (report,) = run_together({name: child}, seconds=_SECONDS).values()
    if not report.details["right"]:
        raise BenchmarkError(f"{name} decrypted something other than what was encrypted")
    return {**report.details, "peak_mb": report.peak_mb}


def _summary(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Microseconds a value for every scheme and operation, and bytes a value where a run tells them."""
    schemes: dict[str, Any] = {}
    for scheme, operations in runs[0]["rates"].items():
        schemes[scheme] = {}
        for operation in operations:
            summary = summarise([1e6 / run["rates"][scheme][operation] for run in runs])
            schemes[scheme][operation] = {
                "microseconds": rounded(summary.median),
                "spread": summary.spread,
                "per_second": rounded(1e6 / summary.median),
            }
    return {
        "schemes": schemes,
        "bytes_per_value": {key: rounded(value) for key, value in runs[0].get("bytes_per_value", {}).items()},
        "peak_mb": rounded(statistics.median(run["peak_mb"] for run in runs)),
    }
