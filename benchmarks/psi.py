"""Set intersection: two processes, TLS between them, from one file each to the aligned results.

Peers get the same files, the same cores, the same link, and turns between ours. The clock starts when both sides are
ready, with everything imported and the connection up, and stops at the last result.
"""

from __future__ import annotations

import dataclasses
import math
import tempfile
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import fusion
from benchmarks import BenchmarkError, peers
from benchmarks.children import Report, elapsed
from benchmarks.link import LINKS
from benchmarks.machine import machine, pinned
from benchmarks.measure import merge_medians, rounded, seconds_of, summarise, take_turns
from benchmarks.psi_runs import FILES, Run, Setting, openmined, ours, secretflow

__all__ = ["FILES", "PEERS", "PROTOCOLS", "benchmark"]

PROTOCOLS = ("auto", "vole", "ecdh")
PEERS = ("secretflow", "openmined")
_NAMES = {
    ("secretflow", "ecdh"): "ECDH on Curve25519",
    ("secretflow", "vole"): "RR22, fast mode",
    ("openmined", "ecdh"): "ECDH on P-256",
}
_NOTES = {
    "secretflow": "no TLS",
    "openmined": "one process, no network, no files; it has no mode in which both learn, so the ratio is to our own "
    "time with one learner",
}
_CORES = 2
# In a series, who takes so many seconds is measured once, and a peer sits out the larger sizes.
_LONG = 15.0


class _Contender(NamedTuple):
    who: str
    protocol: str
    learn: str

    def __str__(self) -> str:
        return f"{self.who} {self.protocol}, {self.learn} learn{'s' * (self.learn == 'one')}"


def benchmark(
    sizes: Sequence[int],
    *,
    protocols: Sequence[str],
    learn: str,
    link: str,
    repeat: int,
    against: Sequence[str],
    files: str = "csv",
    python: Path | None = None,
) -> dict[str, Any]:
    """Intersect ``n`` rows with ``n`` rows, half of them shared, for every ``n`` of ``sizes``.

    Parameters
    ----------
    protocols : sequence of str
        Of `PROTOCOLS`.
    learn : "both" or "one"
        Who gets the result: both parties, or the receiver.
    link : str
        Of `benchmarks.link.LINKS`.
    files : str
        Of `FILES`: what tables and results are.
    python : Path, optional
        Makes the peers' environments.

    Raises
    ------
    BenchmarkError
        If a peer cannot be installed, reads no such files or has no network to slow down, a process fails, or a
        result is wrong.
    """
    between = LINKS[link]
    if between is not None and "openmined" in against:
        raise BenchmarkError(f"openmined uses no network, so it cannot run over {link}; leave it out")
    if files != "csv" and against:
        raise BenchmarkError(f"peers read CSV files only; measure {files} without them")
    pythons = {peer: peers.environment(peer, python) for peer in against}
    patience = _LONG if len(sizes) > 1 else math.inf
    series: list[dict[str, Any]] = []
    slow: set[_Contender] = set()
    with pinned(_CORES):
        facts = machine()
        for n in sizes:
            with tempfile.TemporaryDirectory(prefix="fusion-benchmark-") as folder:
                setting = Setting.create(Path(folder), n, between, files)
                contenders = _contenders(setting, protocols, learn, pythons)
                taking_part = {who: run for who, run in contenders.items() if who not in slow}
                turns = take_turns(taking_part, repeat, f"psi {n:,} x {n:,}", patience)
            series += [_entry(n, protocol, learn, turns) for protocol in protocols]
            slow |= {who for who, runs in turns.items() if who.who in PEERS and elapsed(runs[-1]) > patience}
    head = {
        "benchmark": "psi",
        "protocol": protocols[0] if len(protocols) == 1 else list(protocols),
        "link": link,
        "files": files,
        **({} if between is None else {"relay": dataclasses.asdict(between)}),
        "n": sizes[0] if len(sizes) == 1 else list(sizes),
        "learn": learn,
        "machine": facts,
    }
    if len(series) > 1:
        return {**head, "series": series}
    return {**head, "fusion": series[0]["fusion"], "peers": series[0]["peers"]}


def _ran(protocol: str, n: int, learn: str) -> str:
    """The protocol that "auto" stands for is the first one of an estimate."""
    return next(iter(fusion.psi.estimate(n, n, learn=learn))) if protocol == "auto" else protocol


def _contenders(
    setting: Setting, protocols: Sequence[str], learn: str, pythons: Mapping[str, Path]
) -> dict[_Contender, Run]:
    """Who takes turns at one size; a peer runs what we run, or the one protocol that it has."""
    found: dict[_Contender, Run] = {}
    for protocol in protocols:
        found[_Contender("fusion", protocol, learn)] = partial(ours, setting, protocol, learn)
        if "secretflow" in pythons:
            ran = _ran(protocol, setting.n, learn)
            found[_Contender("secretflow", ran, learn)] = partial(
                secretflow, setting, pythons["secretflow"], ran, learn
            )
        if "openmined" in pythons:
            found[_Contender("fusion", protocol, "one")] = partial(ours, setting, protocol, "one")
            found[_Contender("openmined", "ecdh", "one")] = partial(openmined, setting, pythons["openmined"])
    return found


def _entry(
    n: int, protocol: str, learn: str, turns: Mapping[_Contender, Sequence[Mapping[str, Report]]]
) -> dict[str, Any]:
    """What one of our protocols did at one size, and its peers."""
    ran = _ran(protocol, n, learn)
    own = {"version": fusion.__version__, "protocol": ran, **_summary(turns[_Contender("fusion", protocol, learn)], n)}
    theirs = {}
    for peer in (_Contender("secretflow", ran, learn), _Contender("openmined", "ecdh", "one")):
        if peer in turns:
            found = _summary(turns[peer], n)
            alike = _summary(turns[_Contender("fusion", protocol, peer.learn)], n)
            theirs[peer.who] = {
                "version": peers.version(peer.who),
                "protocol": _NAMES[peer.who, peer.protocol],
                **found,
                "ratio": rounded(found["seconds"] / alike["seconds"]),
                "note": _NOTES[peer.who],
            }
    return {"protocol": protocol, "n": n, "fusion": own, "peers": theirs}


def _summary(runs: Sequence[Mapping[str, Report]], n: int) -> dict[str, Any]:
    parties = list(runs[0])
    found: dict[str, Any] = seconds_of(summarise([elapsed(reports) for reports in runs]))
    found["runs"] = len(runs)
    if all("phases" in report.details for report in runs[0].values()):
        found["phases"] = {
            party: merge_medians([reports[party].details["phases"] for reports in runs]) for party in parties
        }
        found["kernel"] = runs[0][parties[0]].details["kernel"]
    moved = [sum(r.bytes_received + r.details.get("bytes", 0) for r in reports.values()) for reports in runs]
    found["bytes_per_item"] = rounded(summarise(moved).median / n)
    for measure in ("peak_mb", "cpu_seconds"):
        found[measure] = {
            party: rounded(summarise([getattr(reports[party], measure) for reports in runs]).median)
            for party in parties
        }
    return found
