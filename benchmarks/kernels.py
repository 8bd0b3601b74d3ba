"""The kernels, one operation after the other on one core, and libsodium in an equally tight loop of C.

Clocks count the processor time of this process, so that other programs disturb little. Where libsodium does the same,
and between variants, the results are compared byte for byte.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

import fusion
from benchmarks import BenchmarkError
from benchmarks.machine import machine, pinned
from benchmarks.measure import rounded, summarise, take_turns
from benchmarks.operations import PUBLISHED, Operation, long_operations, short_operations
from benchmarks.peers import libsodium

__all__ = ["PEERS", "benchmark"]

PEERS = ("libsodium",)


def benchmark(n: int, n_long: int, *, repeat: int, against: tuple[str, ...]) -> dict[str, Any]:
    """Measure operations of the curve and of hashing over ``n`` rows, those of long vectors over ``n_long``.

    Raises
    ------
    BenchmarkError
        If libsodium cannot be built, or disagrees with us.
    """
    sodium = libsodium.load() if "libsodium" in against else None
    ours: dict[str, Any] = {}
    theirs: dict[str, Any] = {}
    with pinned(1):
        facts = machine()
        for operation in short_operations(n):
            summaries = _measure(operation, n, repeat, sodium)
            peer = summaries.pop("libsodium", None)
            ours[operation.name] = summaries
            if peer is not None:
                ratio = {name: rounded(peer["microseconds"] / own["microseconds"]) for name, own in summaries.items()}
                theirs[operation.name] = {**peer, "ratio": ratio}
        long = {operation.name: _measure(operation, n_long, repeat, None) for operation in long_operations(n_long)}
        for measured in (measured for variants in long.values() for measured in variants.values()):
            measured["milliseconds"] = rounded(measured["microseconds"] * n_long / 1000)
    return {
        "benchmark": "kernels",
        "protocol": "ristretto255",
        "n": n,
        "machine": facts,
        "fusion": {
            "version": fusion.__version__,
            "operations": ours,
            "long": {"n": n_long, "operations": long, "published": PUBLISHED},
        },
        "peers": {} if sodium is None else {"libsodium": {"version": sodium.version, "operations": theirs}},
    }


def _measure(
    operation: Operation, n: int, repeat: int, sodium: libsodium.Libsodium | None
) -> dict[str, dict[str, Any]]:
    """Microseconds a row, for every variant and for libsodium."""
    work: dict[str, Callable[[], object]] = {}
    for variant in operation.variants:
        work[variant] = _with(operation.ours, variant)
    if sodium is not None and operation.theirs is not None:
        work["libsodium"] = _with(operation.theirs, sodium)
    _agree(operation.name, {name: call() for name, call in work.items()})
    turns = take_turns({name: _clocked(call) for name, call in work.items()}, repeat, operation.name)
    found: dict[str, dict[str, Any]] = {}
    for name, seconds in turns.items():
        summary = summarise([1e6 * value / n for value in seconds])
        found[name] = {"microseconds": rounded(summary.median), "spread": summary.spread}
    return found


def _with(function: Callable[[Any], object], argument: object) -> Callable[[], object]:
    return lambda: function(argument)


def _clocked(call: Callable[[], object]) -> Callable[[], float]:
    def clocked() -> float:
        began = time.process_time()
        call()
        return time.process_time() - began

    return clocked


def _agree(name: str, results: Mapping[str, object]) -> None:
    arrays = {contender: rows for contender, rows in results.items() if isinstance(rows, np.ndarray)}
    for contender, rows in arrays.items():
        if not np.array_equal(rows, next(iter(arrays.values()))):
            raise BenchmarkError(f"{name}: {contender} and {next(iter(arrays))} disagree")
