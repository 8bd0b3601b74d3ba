"""A small federation: identities in a folder, a linear model, and an app that trains it on rows of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from flwr.app import Array, ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.common.serde import message_to_proto
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import Result, Strategy

from fusion.channel import Identity
from fusion.flower import InProcessGrid, SecureMod, Terms

NAMES = ("east", "north", "south", "west")


@dataclass(frozen=True)
class Federation:
    """The files of every client."""

    folder: Path
    clients: dict[str, str]

    @classmethod
    def make(cls, folder: Path, names: Sequence[str] = NAMES) -> Federation:
        made = {name: Identity.create(name, folder / f"{name}.key").fingerprint for name in names}
        text = "".join(f'{name} = "{fingerprint}"\n' for name, fingerprint in made.items())
        (folder / "clients.toml").write_text(text)
        return cls(folder, made)

    @property
    def nodes(self) -> list[dict[str, Any]]:
        return [
            {"fusion-identity": str(self.folder / f"{name}.key"), "fusion-clients": str(self.folder / "clients.toml")}
            for name in self.clients
        ]

    def grid(self, app: Any, **more: Any) -> Watched:
        return Watched(app, self.nodes, **more)


class Watched(InProcessGrid):
    """A grid whose messages are kept, as a server keeps them, and may be lost, changed or repeated on the way.

    ``on_the_way`` gets a message and its step and gives those to be delivered, in order; the reply to the last one
    comes back. ``on_return`` gets the reply and its step, and gives what comes back.
    """

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.record: list[Message] = []
        self.on_the_way: Callable[[Message, str], list[Message]] = lambda message, step: [message]
        self.on_return: Callable[[Message, str], Message | None] = lambda reply, step: reply
        self.refusals: list[str] = []

    def deliver(self, message: Message) -> Message | None:
        name = step_of(message)
        reply = None
        for each in self.on_the_way(message, name):
            reply = super().deliver(each)
            if reply is not None:
                self.record.append(reply)
                if reply.has_error():
                    self.refusals.append(str(reply.error.reason))
        return None if reply is None else self.on_return(reply, name)

    def seen(self) -> bytes:
        """Everything that the server has had in its hands."""
        return b"".join(message_to_proto(message).SerializeToString() for message in self.record)


def step_of(message: Message) -> str:
    """``train keys``, ``evaluate answer`` and so on; only the type for other messages."""
    record = message.content.config_records.get("fusion")
    return f"{message.metadata.message_type} {'' if record is None else record['step']}".strip()


def run(grid: InProcessGrid, strategy: Strategy, rounds: int = 3, **more: Any) -> Result:
    """A whole federation; what ``start`` returns."""
    found: list[Result] = []
    server = ServerApp()

    @server.main()
    def main(grid: Grid, context: Context) -> None:
        found.append(strategy.start(grid, more.pop("arrays", initial()), num_rounds=rounds, **more))

    grid.serve(server)
    return found[0]


def rows(context: Context, n: int = 200) -> tuple[np.ndarray, np.ndarray]:
    """Rows of one node; nodes differ in number and in where theirs lie."""
    part = int(context.node_config["partition-id"])
    random = np.random.default_rng(part)
    x = random.normal(part / 4, 1.0, (n + 40 * part, 3))
    return x, x @ np.array([1.0, -2.0, 0.5]) + random.normal(0, 0.1, len(x))


def step(arrays: ArrayRecord, context: Context) -> ArrayRecord:
    """Some steps of gradient descent for least squares."""
    x, y = rows(context)
    weights, offset = arrays.to_numpy_ndarrays()
    for _ in range(5):
        error = x @ weights + offset - y
        weights = weights - 0.1 * (x.T @ error / len(y)).astype(np.float32)
        offset = offset - np.float64(0.1 * error.mean())
    out = dict(zip(arrays, (weights.astype(np.float32), np.array(offset)), strict=True))
    return ArrayRecord({name: _array(value) for name, value in out.items()})


def _array(value: np.ndarray) -> Array:
    return Array(value)


def initial() -> ArrayRecord:
    return ArrayRecord({"weights": _array(np.zeros(3, np.float32)), "offset": _array(np.zeros(()))})


def app(terms: Terms | None, mod: type[SecureMod] = SecureMod) -> ClientApp:
    """Plain without terms."""
    made = ClientApp(mods=[] if terms is None else [mod(terms)])

    @made.train()
    def train(message: Message, context: Context) -> Message:
        arrays = step(message.content["arrays"], context)
        n = len(rows(context)[1])
        metrics = MetricRecord({"num-examples": n, "loss": loss(message.content["arrays"], context)})
        return Message(RecordDict({"arrays": arrays, "metrics": metrics}), reply_to=message)

    @made.evaluate()
    def evaluate(message: Message, context: Context) -> Message:
        n = len(rows(context)[1])
        metrics = MetricRecord({"num-examples": n, "loss": loss(message.content["arrays"], context)})
        return Message(RecordDict({"metrics": metrics}), reply_to=message)

    return made


def loss(arrays: ArrayRecord, context: Context) -> float:
    x, y = rows(context)
    weights, offset = arrays.to_numpy_ndarrays()
    return float(np.square(x @ weights + offset - y).mean())
