"""Two parties in an operation, with randomness that a test can repeat and read."""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Callable
from typing import Any

from fusion.channel import Channel, Session

# `fusion.channel.simulate` names the function, not the module
_simulate = importlib.import_module("fusion.channel.simulate")

Role = Callable[[Channel, Session], Any]


class Seeded:
    """A source of bytes that depend on the seed and on what was drawn before; it remembers what it gave."""

    def __init__(self, seed: str) -> None:
        self._seed = seed.encode()
        self.given: list[bytes] = []

    def __call__(self, n: int) -> bytes:
        drawn = hashlib.shake_256(self._seed + len(self.given).to_bytes(4, "little")).digest(n)
        self.given.append(drawn)
        return drawn


def run(sender: Role, receiver: Role, *, window: int = 1) -> tuple[Any, Any]:
    """What each returned, after both finished an operation over a channel of one frame's window."""

    def role(function: Role) -> Callable[[Channel], Any]:
        def play(peer: Channel) -> Any:
            with peer.operation("test.correlations"):
                session = peer.open(learn="both", kinds=(), rows=0, parameters={})
                result = function(peer, session)
                peer.finish({})
                return result

        return play

    out = _simulate.run({"sender": role(sender), "receiver": role(receiver)}, window=window)
    return out["sender"], out["receiver"]


def raises_at(name: str, error: BaseException) -> bool:
    """Whether it was this party that raised."""
    return any(f"role {name!r}" in note for note in getattr(error, "__notes__", []))
