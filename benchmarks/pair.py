"""Two parties of a benchmark on the loopback interface: identities, addresses, and the two processes at work."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.children import Child, Report, free_ports, run_together
from benchmarks.link import Link, between
from fusion.channel.config import Party, Peer
from fusion.channel.identity import Identity

__all__ = ["RECEIVER", "SENDER", "party", "run_pair"]

RECEIVER, SENDER = "receiver", "sender"
_TIMEOUT = 120.0


def run_pair(
    module: str,
    folder: Path,
    jobs: Mapping[str, Mapping[str, Any]],
    *,
    seconds: float,
    ports: int = 1,
    link: Link | None = None,
) -> dict[str, Report]:
    """Let both parties play ``module``, each with its own job, and return what each reported.

    The receiver listens on each of ``ports`` ports; over a ``link``, the other party dials the relay's instead.
    Identities are made in ``folder`` once. A job gains ``who``, from which `party` makes a party of Fusion.
    """
    keys = {}
    for name in jobs:
        path = folder / f"{name}.key"
        keys[name] = Identity.load(path) if path.exists() else Identity.create(name, path)
    listening = free_ports(ports)
    with between(link, listening) as dialled:
        children = {}
        for name, job in jobs.items():
            (other,) = jobs.keys() - {name}
            who = {
                "name": name,
                "key": str(keys[name].path),
                "peer": other,
                "fingerprint": keys[other].fingerprint,
                "ports": listening if name == RECEIVER else dialled,
            }
            children[name] = Child(module, {**job, "who": who})
        return run_together(children, seconds=seconds)


def party(who: Mapping[str, Any]) -> Party:
    """The party that a job's ``who`` describes; the receiver listens."""
    address = f"127.0.0.1:{who['ports'][0]}"
    listens = who["name"] == RECEIVER
    peer = Peer(who["peer"], who["fingerprint"], None if listens else address)
    identity = Identity.load(who["key"])
    return Party(who["name"], identity, address if listens else None, {peer.name: peer}, _TIMEOUT)
