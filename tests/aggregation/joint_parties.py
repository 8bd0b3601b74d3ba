"""Clients and a server of encrypted sums, and a run of them that a test can bend at any message."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from fusion.aggregation.joint import Client, Parameters, Round, Server
from fusion.aggregation.masked import Rounds
from fusion.aggregation.masked.messages import decode, encode

from .sum_parties import fingerprint, seeded

Change = Callable[[str, bytes], bytes]
RUN = bytes(range(32))


def keep(_: str, message: bytes) -> bytes:
    return message


def altered(data: bytes, kind: type, **fields: Any) -> bytes:
    return encode(msgspec.structs.replace(decode(data, kind, "test"), **fields))


@dataclass
class Cast:
    """Everybody in one run."""

    parameters: Parameters
    keys: dict[str, Ed25519PrivateKey]
    clients: dict[str, Client]
    server: Server
    values: dict[str, np.ndarray]
    memory: Path | None = None
    sent: dict[str, bytes] = field(default_factory=dict)
    round: Round | None = None

    @classmethod
    def make(
        cls, n: int = 4, *, size: int = 5, memory: Path | None = None, seed: int = 0, draw: object = 0, **options: Any
    ) -> Cast:
        names = [f"c{index:03d}" for index in range(n)]
        keys = {name: Ed25519PrivateKey.from_private_bytes(seeded((seed, name))(32)) for name in names}
        parameters = Parameters.choose(names, size=size, run=options.pop("run", RUN), **options)
        pins = {name: fingerprint(key) for name, key in keys.items()}
        clients = {
            name: Client(
                name,
                parameters,
                pins,
                keys[name].sign,
                Rounds(None if memory is None else memory / name),
                seeded((seed, name, draw)),
            )
            for name in names
        }
        rng = np.random.default_rng(seed)
        limit = parameters.limit
        values = {name: rng.integers(-limit, limit, size, np.int64, endpoint=True) for name in names}
        return cls(parameters, keys, clients, Server(parameters), values, memory)

    @property
    def pins(self) -> dict[str, str]:
        return {name: fingerprint(key) for name, key in self.keys.items()}

    @property
    def names(self) -> list[str]:
        return list(self.clients)

    def set_up(self, change: Change = keep) -> Cast:
        """The key; ``change`` sees every list with its receiver."""
        for name in self.names:
            self.server.add_commitment(name, self.clients[name].commit())
        message = self.sent["commitments"] = self.server.commitments()
        for name in self.names:
            shown = change(name, message)  # which may put another client in its place
            self.server.add_contribution(name, self.clients[name].contribute(shown))
        message = self.sent["contributions"] = self.server.contributions()
        for name in self.names:
            shown = change(name, message)
            self.clients[name].accept(shown)
        return self

    def claim(self, number: int = 0, *, missing: Collection[str] = ()) -> bytes:
        """Everybody but the missing sends an update."""
        self.round = self.server.round(number)
        for name in self.names:
            if name not in missing:
                self.round.add_update(name, self.clients[name].encrypt(number, self.values[name]))
        return self.round.claim()

    def challenge(self, number: int = 0, *, missing: Collection[str] = (), change: Change = keep) -> bytes:
        claim = self.claim(number, missing=missing)
        assert self.round is not None
        for name in self.names:
            shown = change(name, claim)
            self.round.add_coin(name, self.clients[name].coin(shown))
        return self.round.challenge()

    def evidence(self, number: int = 0, *, missing: Collection[str] = (), change: Change = keep) -> bytes:
        challenge = self.challenge(number, missing=missing, change=change)
        assert self.round is not None
        for name in self.round.included:
            shown = change(name, challenge)
            self.round.add_projection(name, self.clients[name].project(shown))
        return self.round.evidence()

    def total(self, number: int = 0, *, missing: Collection[str] = (), change: Change = keep) -> np.ndarray:
        evidence = self.evidence(number, missing=missing, change=change)
        assert self.round is not None
        for name in self.names:
            shown = change(name, evidence)
            self.round.add_part(name, self.clients[name].open(shown))
        return self.round.total()

    def sum(self, names: Collection[str]) -> np.ndarray:
        return sum((self.values[name] for name in names), np.zeros(self.parameters.size, np.int64))

    def restart(self, name: str) -> None:
        """A fresh process: nothing but the state and the file is left."""
        assert self.memory is not None
        state = self.clients[name].state()
        draw = seeded((name, state))
        self.clients[name] = Client.restore(state, self.pins, self.keys[name].sign, Rounds(self.memory / name), draw)
