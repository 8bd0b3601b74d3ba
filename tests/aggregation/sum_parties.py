"""Clients and a server of masked sums without channels, and a run of them that a test can bend at any message."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from fusion.aggregation.masked import Client, Parameters, Round, Rounds, Server

Change = Callable[[str, bytes], bytes]


def seeded(seed: object) -> Callable[[int], bytes]:
    return random.Random(repr(seed)).randbytes


@dataclass
class Cast:
    """Everybody in one run."""

    parameters: Parameters
    keys: dict[str, Ed25519PrivateKey]
    clients: dict[str, Client]
    server: Server
    values: dict[str, np.ndarray]
    round: Round | None = None
    survivors: bytes = b""
    answers: dict[str, bytes] = field(default_factory=dict)

    @classmethod
    def make(
        cls,
        n: int = 4,
        *,
        size: int = 5,
        limit: int = 1000,
        memory: Any = None,
        seed: int = 0,
        draw: object = 0,
        **options: Any,
    ) -> Cast:
        names = [f"c{index:03d}" for index in range(n)]
        keys = {name: Ed25519PrivateKey.from_private_bytes(seeded((seed, name))(32)) for name in names}
        parameters = Parameters.choose(names, size=size, limit=limit, **options)
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
        values = {name: rng.integers(-limit, limit, size, np.int64, endpoint=True) for name in names}
        return cls(parameters, keys, clients, Server(parameters), values)

    @property
    def pins(self) -> dict[str, str]:
        return {name: fingerprint(key) for name, key in self.keys.items()}

    @property
    def names(self) -> list[str]:
        return list(self.clients)

    def set_up(
        self, *, no_keys: Collection[str] = (), no_shares: Collection[str] = (), change: Change = lambda _, m: m
    ):
        """Keys, shares and inboxes; ``change`` sees every roster and inbox with its receiver."""
        for name in self.names:
            if name not in no_keys:
                self.server.add_keys(name, self.clients[name].keys())
        roster = self.server.roster()
        for name in self.names:
            if name not in no_keys and name not in no_shares:
                self.server.add_shares(name, self.clients[name].shares(change(name, roster)))
        for name, inbox in self.server.inboxes().items():
            self.clients[name].accept(change(name, inbox))
        return self

    def mask(self, number: int = 0, *, missing: Collection[str] = ()) -> Cast:
        """Everybody but the missing sends a vector."""
        self.round = self.server.round(number)
        self.answers = {}
        for name in self.names:
            if name not in missing:
                self.round.add_masked(name, self.clients[name].mask(number, self.values[name]))
        self.survivors = self.round.survivors()
        return self

    def answer(self, who: Sequence[str] | None = None) -> Cast:
        """Survivors answer, all of them unless named."""
        assert self.round is not None
        for name in self.round.included if who is None else who:
            self.answers[name] = self.clients[name].answer(self.survivors)
            self.round.add_answer(name, self.answers[name])
        return self

    def sum(self, names: Collection[str]) -> np.ndarray:
        return sum((self.values[name] for name in names), np.zeros(self.parameters.size, np.int64))


def fingerprint(key: Ed25519PrivateKey) -> str:
    return "ed25519:" + key.public_key().public_bytes_raw().hex()
