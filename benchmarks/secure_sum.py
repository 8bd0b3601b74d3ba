"""Sums by masks: what one client of several computes and sends, and what the server computes, on one core.

The whole protocol runs in this process, message by message, without a network. Clocks count processor time. Totals
are compared with numpy's.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

import fusion
from benchmarks import BenchmarkError
from benchmarks.machine import machine, pinned
from benchmarks.measure import progress, rounded, summarise
from fusion.aggregation.encoding import encode, scaled_limit
from fusion.aggregation.masked import Client, Parameters, Rounds, Server

__all__ = ["benchmark"]

_VALUES = {  # what is summed: bound and decimals
    "integers, 4-byte words": (2**20, 0),
    "integers, 8-byte words": (2**40, 0),
    "floats, 6 decimals": (10, 6),
}
T = TypeVar("T")


def benchmark(n: int, *, clients: int, repeat: int) -> dict[str, Any]:
    """Sum ``n`` values of so many clients, with everybody there and with as many gone as may be.

    Raises
    ------
    BenchmarkError
        If a total is wrong.
    """
    if not 3 <= clients <= 100:
        raise BenchmarkError("--clients is a number from 3 to 100")
    found: dict[str, Any] = {}
    with pinned(1):
        facts = machine()
        for what, (bound, decimals) in _VALUES.items():
            runs = []
            for turn in range(repeat):
                progress(f"secure-sum: run {turn + 1} of {repeat}, {what}")
                runs += [_run(n, clients, bound, decimals, leave=leave) for leave in (False, True)]
            everybody, fewer = runs[::2], runs[1::2]
            # the fastest client of each run: the others meet what else the machine does
            best = summarise([min(run.client.values()) for run in everybody])
            found[what] = {
                "client_milliseconds": rounded(1e3 * best.median),
                "spread": [rounded(1e3 * best.low), rounded(1e3 * best.high)],
                "server_milliseconds": rounded(1e3 * summarise([run.server for run in everybody]).median),
                "server_milliseconds_after_dropouts": rounded(1e3 * summarise([run.server for run in fewer]).median),
                "bytes_sent": everybody[0].sent,
                "expansion": rounded(everybody[0].sent / (n * everybody[0].word)),
            }
    return {
        "benchmark": "secure-sum",
        "protocol": "masks",
        "n": n,
        "clients": clients,
        "machine": facts,
        "fusion": {"version": fusion.__version__, "values": found},
        "peers": {},
    }


@dataclass
class _Run:
    word: int = 0
    server: float = 0.0
    sent: int = 0
    client: dict[str, float] = field(default_factory=dict)

    def at(self, name: str, act: Callable[[], T]) -> T:
        """Do something as a client, or as the server when nobody is named."""
        began = time.process_time()
        result = act()
        seconds = time.process_time() - began
        if name:
            self.client[name] = self.client.get(name, 0.0) + seconds
        else:
            self.server += seconds
        return result


def _run(n: int, count: int, bound: int, decimals: int, *, leave: bool) -> _Run:
    names = [f"client-{number:02d}" for number in range(count)]
    values = {name: _values(n, number, bound, decimals) for number, name in enumerate(names)}
    limit = scaled_limit(bound, decimals)
    parameters = Parameters.choose(names, size=n, limit=limit)
    keys = {name: Ed25519PrivateKey.generate() for name in names}
    pins = {name: "ed25519:" + key.public_key().public_bytes_raw().hex() for name, key in keys.items()}
    people = {name: Client(name, parameters, pins, keys[name].sign, Rounds()) for name in names}
    server, run = Server(parameters), _Run(parameters.word)
    stay = names[count - parameters.threshold :] if leave else names
    sent = dict.fromkeys(names, 0)

    def say(name: str, message: bytes) -> bytes:
        sent[name] += len(message)
        return message

    fixed: dict[str, npt.NDArray[np.int64]] = {}
    for name, person in people.items():
        server.add_keys(name, say(name, run.at(name, person.keys)))
    roster = server.roster()
    for name, person in people.items():
        server.add_shares(name, say(name, run.at(name, lambda person=person: person.shares(roster))))
    for name, inbox in server.inboxes().items():
        run.at(name, lambda name=name, inbox=inbox: people[name].accept(inbox))
    current = server.round(0)
    for name in stay:
        fixed[name] = run.at(name, lambda name=name: encode(values[name].reshape(-1, 1), decimals, limit).ravel())
        masked = say(name, run.at(name, lambda name=name: people[name].mask(0, fixed[name])))
        run.at("", lambda name=name, masked=masked: current.add_masked(name, masked))
    survivors = current.survivors()
    for name in stay:
        answer = say(name, run.at(name, lambda name=name: people[name].answer(survivors)))
        current.add_answer(name, answer)
    total = run.at("", current.total)
    if not np.array_equal(total, sum(fixed.values(), np.zeros(n, np.int64))):
        raise BenchmarkError("the total is not the sum")
    run.sent = sent[stay[0]]
    return run


def _values(n: int, seed: int, bound: int, decimals: int) -> npt.NDArray[Any]:
    random = np.random.default_rng(seed)
    return random.uniform(-bound, bound, n) if decimals else random.integers(-bound, bound, n)
