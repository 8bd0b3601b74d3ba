"""Lattice encryption, one operation after the other on one core, and SEAL through TenSEAL.

Clocks count the processor time of the process that computes. Contenders take turns: every variant of our kernel, then
the peer, in a process of its own.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import fusion
from benchmarks import BenchmarkError, peers
from benchmarks.machine import machine, pinned
from benchmarks.measure import rounded, summarise, take_turns
from benchmarks.operations import kernel
from fusion import kernels
from fusion.crypto import rlwe

__all__ = ["PEERS", "benchmark"]

PEERS = ("tenseal",)
_ROOT = Path(__file__).resolve().parent.parent
_DEGREE = 8192


def benchmark(calls: int, *, repeat: int, against: tuple[str, ...]) -> dict[str, Any]:
    """Measure each operation on one polynomial of degree 8192, with messages of 50 bits and four primes.

    Raises
    ------
    BenchmarkError
        If the peer cannot be run, or our result is wrong.
    """
    python = peers.environment("tenseal") if "tenseal" in against else None
    with pinned(1):
        facts = machine()
        contenders: dict[str, Callable[[], dict[str, Any]]] = {
            variant: _ours(variant, calls) for variant in kernels.variants("ntt")
        }
        if python is not None:
            contenders["tenseal"] = _theirs(python, calls)
        turns = take_turns(contenders, repeat, "rlwe")
    told = {name: _merged(found) for name, found in turns.items()}
    peer = told.pop("tenseal", None)
    ours = told[next(iter(told))]
    if peer is not None:
        for name, operation in peer["operations"].items():
            operation["ratio"] = rounded(operation["milliseconds"] / ours["operations"][name]["milliseconds"])
    return {
        "benchmark": "rlwe",
        "protocol": "bfv",
        "n": calls,
        "degree": _DEGREE,
        "machine": facts,
        "fusion": {"version": fusion.__version__, "variants": told},
        "peers": {} if peer is None else {"tenseal": {"version": peers.version("tenseal"), **peer}},
    }


def _merged(found: list[dict[str, Any]]) -> dict[str, Any]:
    operations = {}
    for name in found[0]["milliseconds"]:
        summary = summarise([each["milliseconds"][name] for each in found])
        operations[name] = {"milliseconds": rounded(summary.median), "spread": summary.spread}
    return {"operations": operations, "bytes": found[-1]["bytes"]}


def _theirs(python: Path, calls: int) -> Callable[[], dict[str, Any]]:
    def run() -> dict[str, Any]:
        command = [str(python), "-m", "benchmarks.peers.tenseal_bfv", str(calls)]
        found: dict[str, Any] = json.loads(peers.run(command, "tenseal does not run", cwd=_ROOT))
        return found

    return run


def _ours(variant: str, calls: int) -> Callable[[], dict[str, Any]]:
    def run() -> dict[str, Any]:
        with kernel(variant):
            return _measure(calls)

    return run


def _measure(calls: int) -> dict[str, Any]:
    p = rlwe.parameters(50)
    secret, random = rlwe.generate(p), np.random.default_rng(1)
    public, last = secret.public, [p.degree - 1]
    message = random.integers(0, p.plain_modulus, (1, p.degree), dtype=np.uint64)
    multiplier = random.integers(-p.multiplier, p.multiplier, (1, p.degree))
    kept, fresh = rlwe.prepare(p, multiplier), secret.encrypt(message)
    product = fresh.multiply(kept)
    response, mask = public.respond(product, last)
    exact = sum(x * y for x, y in zip(message[0].tolist(), multiplier[0, ::-1].tolist(), strict=True))
    if (int(secret.open(response)[0, 0]) - int(mask[0, 0]) - exact) % p.plain_modulus:
        raise BenchmarkError("an inner product is wrong")
    operations: dict[str, Callable[[], object]] = {
        "encrypt": lambda: public.encrypt(message, threads=1),
        "encrypt_secret": lambda: secret.encrypt(message, threads=1),
        "product": lambda: fresh.multiply(rlwe.prepare(p, multiplier, threads=1), threads=1),
        "product_kept": lambda: fresh.multiply(kept, threads=1),
        "decrypt": lambda: secret.decrypt(fresh, threads=1),
        "respond": lambda: public.respond(product, last, threads=1),
        "open": lambda: secret.open(response, threads=1),
        "write": fresh.to_bytes,
    }
    sizes = {"pair": len(public.encrypt(message).to_bytes()), "seeded": len(fresh.to_bytes())}
    sizes["response"] = len(response.to_bytes())
    return {"milliseconds": {name: _clocked(call, calls) for name, call in operations.items()}, "bytes": sizes}


def _clocked(call: Callable[[], object], calls: int) -> float:
    call()
    began = time.process_time()
    for _ in range(calls):
        call()
    return 1e3 * (time.process_time() - began) / calls
