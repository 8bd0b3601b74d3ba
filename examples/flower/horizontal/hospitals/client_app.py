"""What runs at each hospital."""

from __future__ import annotations

from pathlib import Path

from flwr.app import Array, ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

from fusion.errors import InputError
from fusion.flower import Member, SecureMod
from hospitals import model


def home(context: Context) -> Path | None:
    """In Flower's own simulation one machine plays all hospitals, and finds their folders here; else None."""
    if "partition-id" not in context.node_config:
        return None
    names = sorted(Path(str(context.run_config["folder"])).glob("hospital-*"))
    return names[int(context.node_config["partition-id"])]


def member(context: Context) -> Member:
    """Who this hospital is: from its own node's configuration, never from the server."""
    folder = home(context)
    if folder is None:
        return Member.of_node(context)
    return Member.load(folder / f"{folder.name}.key", folder.parent / "clients.toml")


def data(context: Context) -> Path:
    """This hospital's rows."""
    folder = home(context)
    if folder is not None:
        return folder / "claims.csv"
    if "data" not in context.node_config:
        raise InputError("this node has no data; start its SuperNode with --node-config 'data=\"FILE.csv\" ...'")
    return Path(str(context.node_config["data"]))


app = ClientApp(mods=[SecureMod(model.TERMS, member)])


@app.train()
def train(message: Message, context: Context) -> Message:
    """One step from the model that came; the mod masks what is returned."""
    x, y = model.read(data(context))
    weights = message.content.array_records["arrays"]["weights"].numpy()
    found = {
        "arrays": ArrayRecord({"weights": Array(model.step(weights, x, y))}),
        "metrics": MetricRecord({"num-examples": len(y), "deviance": model.deviance(weights, x, y)}),
    }
    return Message(RecordDict(found), reply_to=message)
