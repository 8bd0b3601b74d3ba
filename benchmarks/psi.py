"""Set intersection: two processes, TLS on the loopback interface, from one CSV file each to the aligned results.

Peers get the same files, the same cores, and turns between ours. The clock starts when both sides are ready, with
everything imported and the connection up, and stops at the last result.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import csv

import fusion
from benchmarks import BenchmarkError, peers
from benchmarks.children import Child, Report, elapsed, free_ports, run_together
from benchmarks.machine import machine, pinned
from benchmarks.measure import merge_medians, rounded, seconds_of, summarise, take_turns
from benchmarks.pair import RECEIVER, SENDER, run_pair
from benchmarks.psi_party import PROTOCOL

__all__ = ["DEFAULT_N", "LEARN", "PEERS", "benchmark"]

DEFAULT_N = 1 << 16
PEERS = ("secretflow", "openmined")
LEARN = ("both", "one")
_NOTES = {
    "secretflow": "Curve25519, no TLS",
    "openmined": "P-256, one process, no network, no files; it has no mode in which both learn, so the ratio is to our "
    "own time with one learner",
}
_ONE = "fusion, one learns"
_ON = "id"
_CORES = 2
_SECONDS_PER_ROW = 0.003  # ten times what the slowest of all needs
_PARTIES = (RECEIVER, SENDER)

Run = Callable[[], dict[str, Report]]


def benchmark(
    sizes: list[int], *, learn: str, repeat: int, against: tuple[str, ...], python: Path | None = None
) -> dict[str, Any]:
    """Intersect ``n`` rows with ``n`` rows, half of them shared, for every ``n`` of ``sizes``.

    Parameters
    ----------
    learn : "both" or "one"
        Who gets the result: both parties, or the receiver.
    python : Path, optional
        Makes the peers' environments.

    Raises
    ------
    BenchmarkError
        If a peer cannot be installed, a process fails, or a result is wrong.
    """
    pythons = {peer: peers.environment(peer, python) for peer in against}
    with pinned(_CORES):
        facts = machine()
        measured = [_measure(n, learn, repeat, pythons) for n in sizes]
    head = {"benchmark": "psi", "protocol": PROTOCOL}
    if len(measured) == 1:
        return {**head, "n": sizes[0], "learn": learn, "machine": facts, **measured[0]}
    series = [{"n": n, **found} for n, found in zip(sizes, measured, strict=True)]
    return {**head, "n": sizes, "learn": learn, "machine": facts, "series": series}


def _measure(n: int, learn: str, repeat: int, pythons: Mapping[str, Path]) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="fusion-benchmark-") as name:
        folder = Path(name)
        shared = _write_tables(folder, n)
        seconds = 120 + _SECONDS_PER_ROW * n
        contenders: dict[str, Run] = {"fusion": lambda: _ours(folder, learn, shared, seconds)}
        if learn == "both" and "openmined" in pythons:
            contenders[_ONE] = lambda: _ours(folder, "one", shared, seconds)
        for peer, python in pythons.items():
            contenders[peer] = _peer(peer, folder, python, learn, shared, seconds)
        turns = take_turns(contenders, repeat, f"psi {n:,} x {n:,}")
    ours = _summary(turns.pop("fusion"), n)
    one = _summary(turns.pop(_ONE), n) if _ONE in turns else ours
    theirs = {}
    for peer, runs in turns.items():
        found = {"version": peers.version(peer), **_summary(runs, n)}
        alike = one if peer == "openmined" else ours
        theirs[peer] = {**found, "ratio": rounded(found["seconds"] / alike["seconds"]), "note": _NOTES[peer]}
    return {"fusion": {"version": fusion.__version__, **ours}, "peers": theirs}


def _write_tables(folder: Path, n: int) -> int:
    """A CSV file of 18-digit ids for each party, in random order; returns how many ids are in both."""
    for rank, party in enumerate(_PARTIES):
        numbers = np.arange(n, dtype=np.int64) + rank * (n // 2)
        np.random.default_rng(rank).shuffle(numbers)
        ids = np.char.zfill((numbers * 7919 + 100_000_000_000_000_003).astype("U18"), 18)
        csv.write_csv(pa.table({_ON: ids}), _table(folder, party), csv.WriteOptions(quoting_style="none"))
    return n - n // 2


def _table(folder: Path, party: str) -> Path:
    return folder / f"{party}.csv"


def _out(folder: Path, party: str) -> Path:
    return folder / f"{party}-result.csv"


def _ours(folder: Path, learn: str, shared: int, seconds: float) -> dict[str, Report]:
    learners = _PARTIES if learn == "both" else (RECEIVER,)
    jobs = {
        party: {
            "table": str(_table(folder, party)),
            "out": str(_out(folder, party)),
            "on": _ON,
            "learn": "both" if learn == "both" else RECEIVER,
        }
        for party in _PARTIES
    }
    reports = run_pair("benchmarks.psi_party", folder, jobs, seconds=seconds)
    for party in learners:
        _check("fusion", reports[party].details["rows"], shared)
    _check_aligned("fusion", folder, learners)
    return reports


def _peer(peer: str, folder: Path, python: Path, learn: str, shared: int, seconds: float) -> Run:
    runs = {"secretflow": _secretflow, "openmined": _openmined}
    return lambda: runs[peer](folder, python, learn, shared, seconds)


def _secretflow(folder: Path, python: Path, learn: str, shared: int, seconds: float) -> dict[str, Report]:
    learners = _PARTIES if learn == "both" else (RECEIVER,)
    ports = free_ports(2)
    children = {
        party: Child(
            "benchmarks.peers.secretflow_psi",
            {
                "rank": rank,
                "ports": ports,
                "table": str(_table(folder, party)),
                "out": str(_out(folder, party)),
                "on": _ON,
                "both": learn == "both",
            },
            python,
        )
        for rank, party in enumerate(_PARTIES)
    }
    reports = run_together(children, seconds=seconds)
    for party in learners:
        _check("secretflow", reports[party].details["rows"], shared)
    _check_aligned("secretflow", folder, learners)
    return reports


def _openmined(folder: Path, python: Path, learn: str, shared: int, seconds: float) -> dict[str, Report]:
    job = {"client": str(_table(folder, RECEIVER)), "server": str(_table(folder, SENDER))}
    reports = run_together({"both": Child("benchmarks.peers.openmined_psi", job, python)}, seconds=seconds)
    _check("openmined", reports["both"].details["rows"], shared)
    return reports


def _check(who: str, rows: int | None, shared: int) -> None:
    if rows != shared:
        raise BenchmarkError(f"{who} found {rows} shared rows where there are {shared}")


def _check_aligned(who: str, folder: Path, learners: tuple[str, ...]) -> None:
    """With one column each, results that are aligned are the same file."""
    results = [_out(folder, party).read_text("ascii").replace('"', "") for party in learners]
    for party in learners:
        _out(folder, party).unlink()  # so that the next run cannot be taken for this one
    if len(set(results)) != 1:
        raise BenchmarkError(f"{who} gave two results that are not aligned")


def _summary(runs: list[dict[str, Report]], n: int) -> dict[str, Any]:
    parties = list(runs[0])
    found: dict[str, Any] = seconds_of(summarise([elapsed(reports) for reports in runs]))
    slower = [max(reports.values(), key=lambda report: report.ended).details for reports in runs]
    if "phases" in slower[0]:
        found["phases"] = merge_medians([details["phases"] for details in slower])
        found["kernel"] = slower[0]["kernel"]
    if "bytes" in slower[0]:
        found["bytes_per_item"] = rounded(summarise([details["bytes"] for details in slower]).median / n)
    for measure in ("peak_mb", "cpu_seconds"):
        found[measure] = {
            party: rounded(summarise([getattr(reports[party], measure) for reports in runs]).median)
            for party in parties
        }
    return found
