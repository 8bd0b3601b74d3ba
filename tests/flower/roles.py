"""What the parties of the session tests do; a session's own process imports this by name."""

from __future__ import annotations

import functools
import os
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

import fusion
from fusion.channel import Channel, Opening, Policy
from fusion.errors import InputError, PolicyError


def match(peer: Channel, parameters: Mapping[str, Any], node: Mapping[str, Any]) -> dict[str, Any]:
    """Intersect the numbers that this node holds."""
    start, count = int(node["start"]), int(parameters["count"])
    table = pd.DataFrame({"id": range(start, start + count)})
    rows = fusion.psi.intersect(peer, table, on=["id"])
    runs = Path(node["runs"])
    runs.write_text(runs.read_text() + f"{peer.name}\n" if runs.exists() else f"{peer.name}\n")
    return {"rows": len(rows), "first": int(rows["id"].min()), "pair": str(rows.index.name), "pid": os.getpid()}


def fail(peer: Channel, parameters: Mapping[str, Any], node: Mapping[str, Any]) -> None:
    """One side has no table; its text must not reach the server."""
    with peer.operation("test.fail"):
        if node["start"] == 0:
            raise InputError("canary-table.csv is missing; put it back")
        peer.open(learn="both", kinds=(), rows=0, parameters={})


def talk(peer: Channel, parameters: Mapping[str, Any], node: Mapping[str, Any]) -> dict[str, Any]:
    """Return more than single values."""
    return {"rows": [1, 2, 3]}


def die(peer: Channel, parameters: Mapping[str, Any], node: Mapping[str, Any]) -> None:
    """The process is killed in the middle."""
    if node["start"] == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    match(peer, {"count": 10}, node)


def slow(peer: Channel, parameters: Mapping[str, Any], node: Mapping[str, Any]) -> dict[str, Any]:
    """Compute for longer than a visitor waits."""
    time.sleep(float(parameters["seconds"]))
    return match(peer, parameters, node)


def few_rows(peer: str, ours: Opening, theirs: Opening | None) -> None:
    """Intersect with a partner that brings fewer than 500 rows."""
    if (peer, ours.operation) == ("partner", "psi.intersect") and theirs is not None and theirs.rows >= 500:
        raise PolicyError("canary: these are too many rows")


def at_most(rows: int) -> Callable[[Policy], Policy]:
    """Policies with a limit of their own."""

    def limited(policy: Policy) -> Policy:
        @functools.wraps(policy)
        def check(peer: str, ours: Opening, theirs: Opening | None) -> None:
            if theirs is not None and theirs.rows > rows:
                raise PolicyError("too many rows")
            policy(peer, ours, theirs)

        return check

    return limited


@at_most(1000)
def limited(peer: str, ours: Opening, theirs: Opening | None) -> None:
    """Nothing beyond the limit."""
