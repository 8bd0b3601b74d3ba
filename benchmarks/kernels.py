"""The kernels, one operation after the other on one core, and libsodium in an equally tight loop of C.

Clocks count the processor time of the one thread that works, so that other programs disturb little. Where libsodium
does the same, the results are compared byte for byte.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

import fusion
from benchmarks import BenchmarkError
from benchmarks.machine import machine, pinned
from benchmarks.measure import rounded, summarise, take_turns
from benchmarks.peers import libsodium
from fusion import kernels
from fusion.kernels import hashing, ristretto

__all__ = ["DEFAULT_N", "PEERS", "Operation", "benchmark"]

DEFAULT_N = 1 << 13
PEERS = ("libsodium",)
_DST = b"RFC9497-OPRFV1-\x00-ristretto255-SHA512"
_NATIVE = "native"  # what has no variants

Rows = NDArray[np.uint8]
Ours = Callable[[str], object]  # takes the name of a variant
Theirs = Callable[[libsodium.Libsodium], object]


@dataclass(frozen=True, slots=True)
class Operation:
    """What is measured: ``ours`` for every variant, or once, and ``theirs`` if libsodium does the same."""

    name: str
    ours: Ours
    theirs: Theirs | None = None
    variants: bool = True


def benchmark(n: int, *, repeat: int, against: tuple[str, ...]) -> dict[str, Any]:
    """Measure every operation over ``n`` rows.

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
        for operation in _operations(n):
            summaries = _measure(operation, n, repeat, sodium)
            peer = summaries.pop("libsodium", None)
            ours[operation.name] = summaries
            if peer is not None:
                ratio = {name: rounded(peer["microseconds"] / own["microseconds"]) for name, own in summaries.items()}
                theirs[operation.name] = {**peer, "ratio": ratio}
    return {
        "benchmark": "kernels",
        "protocol": "ristretto255",
        "n": n,
        "machine": facts,
        "fusion": {"version": fusion.__version__, "operations": ours},
        "peers": {} if sodium is None else {"libsodium": {"version": sodium.version, "operations": theirs}},
    }


def _operations(n: int) -> list[Operation]:
    random = np.random.default_rng(n)
    uniform = _bytes(random, n, 64)
    digests = _bytes(random, n, 32)
    scalars = _bytes(random, n, 32)
    scalars[:, 31] &= 0x0F  # below the order, whatever the rest
    scalar = scalars[0].tobytes()
    one = ristretto.from_uniform(uniform, threads=1)
    p = ristretto.encode(one, threads=1)
    q = p[::-1].copy()
    digits = random.integers(ord("0"), ord("9") + 1, (n, 18), dtype=np.uint8)
    column = pa.array(digits.view("S18").ravel().astype("U18"))
    prefixed = np.concatenate((np.tile(np.array([18, 0, 0, 0], np.uint8), (n, 1)), digits), axis=1)
    key = b"benchmark key of the length that intersections use, more or less"

    def decoded(encodings: Rows, variant: str) -> ristretto.Points:
        points, valid = ristretto.decode(encodings, threads=1, variant=variant)
        if not valid.all():
            raise BenchmarkError("the kernel refuses a valid encoding")
        return points

    def encoded(points: ristretto.Points, variant: str) -> Rows:
        return ristretto.encode(points, threads=1, variant=variant)

    def hash_to_group(variant: str) -> Rows:
        expanded = hashing.expand_message_xmd(digests, _DST, threads=1)
        return encoded(ristretto.from_uniform(expanded, threads=1, variant=variant), variant)

    return [
        Operation(
            "multiply",
            lambda v: ristretto.multiply_encode(decoded(p, v), scalar, threads=1, variant=v),
            lambda sodium: sodium.multiply(p, scalar),
        ),
        Operation(
            "multiply_base",
            lambda v: encoded(ristretto.multiply_base(scalars, threads=1, variant=v), v),
            lambda sodium: sodium.multiply_base(scalars),
        ),
        Operation("hash_to_group", hash_to_group, lambda sodium: sodium.hash_to_group(digests, _DST)),
        Operation(
            "from_uniform",
            lambda v: encoded(ristretto.from_uniform(uniform, threads=1, variant=v), v),
            lambda sodium: sodium.from_uniform(uniform),
        ),
        Operation("decode", lambda v: decoded(p, v) and None, lambda sodium: sodium.decode(p)),
        Operation("encode", lambda v: encoded(one, v)),
        Operation(
            "add",
            lambda v: encoded(ristretto.add(decoded(p, v), decoded(q, v), threads=1, variant=v), v),
            lambda sodium: sodium.add(p, q),
        ),
        Operation("add_points", lambda v: ristretto.add(one, one, threads=1, variant=v) and None),
        Operation(
            "expand_message_xmd",
            lambda _: hashing.expand_message_xmd(digests, _DST, threads=1),
            lambda sodium: sodium.expand(digests, _DST),
            variants=False,
        ),
        Operation(
            "sha256",
            lambda _: hashing.sha256_rows(key, p, 32, threads=1),
            lambda sodium: sodium.sha256(key, p),
            variants=False,
        ),
        Operation(
            "hmac_sha256",
            lambda _: hashing.hmac_columns(key, [column], threads=1),
            lambda sodium: sodium.hmac_sha256(key, prefixed),
            variants=False,
        ),
    ]


def _bytes(random: np.random.Generator, n: int, width: int) -> Rows:
    return random.integers(0, 256, (n, width), dtype=np.uint8)


def _measure(
    operation: Operation, n: int, repeat: int, sodium: libsodium.Libsodium | None
) -> dict[str, dict[str, Any]]:
    """Microseconds a row, for every variant and for libsodium."""
    work: dict[str, Callable[[], object]] = {}
    for variant in kernels.variants() if operation.variants else (_NATIVE,):
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
        began = time.thread_time()
        call()
        return time.thread_time() - began

    return clocked


def _agree(name: str, results: Mapping[str, object]) -> None:
    arrays = {contender: rows for contender, rows in results.items() if isinstance(rows, np.ndarray)}
    for contender, rows in arrays.items():
        if not np.array_equal(rows, next(iter(arrays.values()))):
            raise BenchmarkError(f"{name}: {contender} and {next(iter(arrays))} disagree")
