"""What lies between two parties of a benchmark: the loopback interface, or a relay that makes it slower."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from benchmarks.children import Child, free_ports, serving

__all__ = ["LINKS", "Link", "between"]


@dataclass(frozen=True, slots=True)
class Link:
    """Bandwidth of each direction, and the time that there and back takes."""

    mbit_per_second: float
    round_trip_ms: float
    by: str = "a relay process on the loopback interface; TLS passes through it, TCP starts at full speed"


LINKS: dict[str, Link | None] = {"lan": None, "wan": Link(100, 10)}


@contextlib.contextmanager
def between(link: Link | None, targets: Sequence[int]) -> Iterator[list[int]]:
    """The ports to dial while the block runs in order to reach ``targets``, one or two ports where parties listen.

    What is sent to the first target goes one way, what is sent to the second goes the other; answers go back.
    """
    if link is None:
        yield list(targets)
        return
    doors = free_ports(len(targets))
    routes = [
        {"listen": door, "target": target, "way": way}
        for way, (door, target) in enumerate(zip(doors, targets, strict=True))
    ]
    job = {"routes": routes, "rate": link.mbit_per_second * 1e6 / 8, "delay": link.round_trip_ms / 2000}
    with serving(Child("benchmarks.relay", job)):
        yield doors
