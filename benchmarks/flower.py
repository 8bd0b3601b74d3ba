"""Federated averaging in Flower: what masks and encryption cost clients and server, beside plain averaging and TenSEAL.

All federations run in this process, on the grid without ray, message by message; messages are encoded as between
processes. Clocks count processor time, in the client's app and in the strategy, not in the grid. TenSEAL does by itself
what a homomorphic average needs of it, in its own environment.
"""

from __future__ import annotations

import json
import logging
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from flwr.app import Array, ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.common.serde import recorddict_to_proto
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg, Strategy

import fusion
from benchmarks import BenchmarkError, peers
from benchmarks.machine import machine, pinned
from benchmarks.measure import progress, rounded, summarise
from fusion.channel import Identity
from fusion.flower import HomomorphicFedAvg, HomomorphicMod, InProcessGrid, Noise, SecureFedAvg, SecureMod, Terms

__all__ = ["PEERS", "benchmark"]

PEERS = ("flower", "tenseal")
_ROOT = Path(__file__).resolve().parent.parent
_BOUND = 1.0
_NOISE = {"gaussian": Noise(epsilon=4.0, delta=1e-6), "laplace": Noise(epsilon=4.0)}
_OURS = ((SecureFedAvg, SecureMod), (HomomorphicFedAvg, HomomorphicMod))


def benchmark(n: int, *, clients: int, repeat: int, against: tuple[str, ...]) -> dict[str, Any]:
    """Average models of ``n`` float32 over so many clients, for ``repeat`` rounds after a first one.

    Raises
    ------
    BenchmarkError
        If an average is wrong, or a peer cannot be run.
    """
    if not 3 <= clients <= 100:
        raise BenchmarkError("--clients is a number from 3 to 100")
    python = peers.environment("tenseal") if "tenseal" in against else None
    logging.getLogger("flwr").setLevel(logging.ERROR)
    with pinned(1), tempfile.TemporaryDirectory() as folder:
        facts = machine()
        progress(f"flower: plain averaging of {clients} clients")
        plain = _plain(n, clients, repeat)
        ours = {}
        for strategy, mod in _OURS:
            progress(f"flower: {strategy.__name__} of {clients} clients")
            ours[strategy.__name__] = _ours(n, clients, repeat, Path(folder), strategy, mod)
        progress("flower: noise")
        noise = {name: _noise(n, clients, repeat, each) for name, each in _NOISE.items()}
        ckks = None
        if python is not None:
            progress("flower: tenseal")
            command = [str(python), "-m", "benchmarks.peers.tenseal_average", str(n), str(clients), str(repeat)]
            ckks = json.loads(peers.run(command, "tenseal does not run", cwd=_ROOT))
    told = {}
    for name, found in ours.items():
        error = float(np.abs(plain.model - found.model).max())
        # a millionth of the range of a value each round, and what float32 itself keeps, 2^-24 of a value
        if error > _BOUND * (2e-6 * (1 + repeat) + 2**-20):
            raise BenchmarkError(f"the average of {name} is not that of plain averaging")
        told[name] = found.told(plain) | {"largest_error": rounded(error)}
    return {
        "benchmark": "flower",
        "protocol": "masks, lattice",
        "n": n,
        "clients": clients,
        "machine": facts,
        "fusion": {"version": fusion.__version__, "strategies": told, "noise": noise},
        "peers": ({"flower": {"version": _flower_version(), **plain.told(plain)}} if "flower" in against else {})
        | ({} if ckks is None else {"tenseal": {"version": peers.version("tenseal"), **ckks}}),
    }


@dataclass
class _Watch:
    """Seconds of each client by round, of the server by round, and of the grid; bytes of replies by round."""

    client: dict[str, dict[int, float]] = field(default_factory=dict)
    sent: dict[str, int] = field(default_factory=dict)
    server: dict[str, float] = field(default_factory=dict)
    grid: float = 0.0
    model: Any = None

    def told(self, plain: _Watch) -> dict[str, Any]:
        """Milliseconds and bytes of one client and of the server in a round; the first round is left out."""
        rounds = [each for each in self.client if each not in ("", "0", "1")]
        # the fastest client of each round: the others meet what else the machine does
        best = summarise([1e3 * min(self.client[each].values()) for each in rounds])
        theirs = statistics.median(1e3 * min(plain.client[each].values()) for each in rounds)
        sent = max(self.sent[each] for each in rounds)
        told = {
            "client_milliseconds": rounded(best.median),
            "spread": [rounded(best.low), rounded(best.high)],
            "server_milliseconds": rounded(statistics.median(1e3 * self.server[each] for each in rounds)),
            "bytes_sent": sent,
        }
        if self is not plain:
            told["client_milliseconds_beyond_plain"] = rounded(best.median - theirs)
            told["expansion"] = rounded(sent / max(plain.sent[each] for each in rounds))
            told["setup_milliseconds"] = rounded(1e3 * min(self.client["0"].values()))
        return told


def _watched(app: ClientApp, watch: _Watch) -> Callable[[Message, Context], Message]:
    def run(message: Message, context: Context) -> Message:
        began = time.process_time()
        reply = app(message, context)
        seconds = time.process_time() - began
        number = _round_of(message)
        at = watch.client.setdefault(number, {})
        at[context.node_id] = at.get(context.node_id, 0.0) + seconds
        if reply.has_error():
            raise BenchmarkError(f"a client failed: {reply.error.reason}")
        if context.node_id == 1:
            size = recorddict_to_proto(reply.content).ByteSize()
            watch.sent[number] = watch.sent.get(number, 0) + size
        return reply

    return run


def _round_of(message: Message) -> str:
    """Plain averaging names its rounds in the configuration, ours in the group too."""
    configuration = message.content.config_records.get("config")
    return message.metadata.group_id if configuration is None else str(configuration["server-round"])


class _Grid(InProcessGrid):
    """A grid that counts the seconds it takes, clients and the encoding of messages included."""

    def __init__(self, watch: _Watch, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._watch = watch

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        began = time.process_time()
        pushed = super().push_messages(messages)
        self._watch.grid += time.process_time() - began
        return pushed


class _Server:
    """The seconds of a strategy's own work: what the grid and the clients take within a round is not counted."""

    def __init__(self, strategy: Strategy, watch: _Watch) -> None:
        aggregate = strategy.aggregate_train

        def aggregated(server_round: int, replies: Any) -> Any:
            replies = list(replies)
            before = watch.grid
            began = time.process_time()
            result = aggregate(server_round, replies)
            watch.server[str(server_round)] = time.process_time() - began - (watch.grid - before)
            return result

        strategy.aggregate_train = aggregated  # type: ignore[method-assign]


def _federation(watch: _Watch, app: ClientApp, strategy: Strategy, n: int, nodes: Any, rounds: int) -> _Watch:
    _Server(strategy, watch)
    server = ServerApp()

    @server.main()
    def main(grid: Grid, context: Context) -> None:
        start = ArrayRecord({"model": Array(np.zeros(n, np.float32))})
        watch.model = strategy.start(grid, start, num_rounds=rounds).arrays["model"].numpy()

    _Grid(watch, _watched(app, watch), nodes).serve(server)
    return watch


def _app(n: int, *mods: Any) -> ClientApp:
    app = ClientApp(mods=list(mods))

    @app.train()
    def train(message: Message, context: Context) -> Message:
        model = message.content["arrays"]["model"].numpy()
        change = np.random.default_rng(context.node_id).uniform(-0.1, 0.1, n).astype(np.float32)
        arrays = ArrayRecord({"model": Array(model + change)})
        metrics = MetricRecord({"num-examples": 100 * context.node_id})
        return Message(RecordDict({"arrays": arrays, "metrics": metrics}), reply_to=message)

    return app


def _plain(n: int, clients: int, repeat: int) -> _Watch:
    strategy = FedAvg(fraction_evaluate=0.0, min_train_nodes=clients, min_available_nodes=clients)
    return _federation(_Watch(), _app(n), strategy, n, clients, 1 + repeat)


def _ours(
    n: int, clients: int, repeat: int, folder: Path, strategy: type[SecureFedAvg], mod: type[SecureMod]
) -> _Watch:
    folder = folder / strategy.__name__
    folder.mkdir()
    names = [f"client-{number:02d}" for number in range(clients)]
    pins = {name: Identity.create(name, folder / f"{name}.key").fingerprint for name in names}
    (folder / "clients.toml").write_text("".join(f'{name} = "{pin}"\n' for name, pin in pins.items()))
    nodes = [
        {"fusion-identity": str(folder / f"{name}.key"), "fusion-clients": str(folder / "clients.toml")}
        for name in names
    ]
    terms = Terms(bound=_BOUND, max_examples=100 * clients)
    return _federation(_Watch(), _app(n, mod(terms)), strategy(terms, pins), n, nodes, 1 + repeat)


def _noise(n: int, clients: int, repeat: int, noise: Noise) -> dict[str, Any]:
    """One client's share for one of twenty rounds: microseconds a value, median, and of how many it is one."""
    terms = Terms(clip=_BOUND, noise=noise)
    names = [f"client-{number:02d}" for number in range(clients)]
    amount = terms.plan(terms.parameters(names, lane="train", values=n, rounds=20, about=b"")).amount
    if amount is None:
        raise BenchmarkError("the terms have no noise")
    seconds = []
    for _ in range(repeat):
        began = time.process_time()
        amount.share(n)
        seconds.append(time.process_time() - began)
    return {"microseconds_per_value": rounded(1e6 * statistics.median(seconds) / n), "shares": amount.holders}


def _flower_version() -> str:
    from importlib.metadata import version

    return version("flwr")
