"""A small federation: identities in a folder, a linear model, and an app that trains it on rows of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

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

    def grid(self, app: Any, **more: Any) -> InProcessGrid:
        return InProcessGrid(app, self.nodes, **more)


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


def _array(value: np.ndarray) -> Any:
    from flwr.app import Array

    return Array(value)


def initial() -> ArrayRecord:
    return ArrayRecord({"weights": _array(np.zeros(3, np.float32)), "offset": _array(np.zeros(()))})


def app(terms: Terms | None) -> ClientApp:
    """Plain without terms."""
    made = ClientApp(mods=[] if terms is None else [SecureMod(terms)])

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
