"""What runs at each lender."""

from __future__ import annotations

from pathlib import Path

from flwr.app import Context, Message
from flwr.clientapp import ClientApp

from fusion.flower import attend
from lenders import roles

app = ClientApp()


@app.query()
def query(message: Message, context: Context) -> Message:
    """Take part in what the server introduces us for: these two operations and no others."""
    node = dict(context.node_config)
    if "partition-id" in node:
        # Flower's own simulation: one machine plays both
        home = Path(str(context.run_config["folder"])) / ("bank", "partner")[int(node["partition-id"])]
        node |= {"fusion-party": str(home / "party.toml"), "data": str(home / "applicants.csv")}
    return attend(message, context, {"match": roles.match, "model": roles.model}, node=node)
