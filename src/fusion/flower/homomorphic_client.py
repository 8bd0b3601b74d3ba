"""The client of an encrypted average: a mod around the train and evaluate functions of a ClientApp.

What it keeps between messages is a public key, seeds and the last claim: the ciphertexts of an update are made again
from a seed.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flwr.app import ArrayRecord, ConfigRecord, Context, Message

from fusion.aggregation.joint import Client
from fusion.errors import PeerError
from fusion.flower import wire
from fusion.flower.homomorphic import joint_parameters
from fusion.flower.seat import Seat
from fusion.flower.secure_client import SecureMod

__all__ = ["HomomorphicMod"]


@dataclass(frozen=True, slots=True)
class HomomorphicMod(SecureMod):
    """Encrypts what a ClientApp returns, for `HomomorphicFedAvg`; nothing of it leaves in any other way.

    Parameters and notes are those of `SecureMod`.

    Examples
    --------
    >>> from flwr.clientapp import ClientApp
    >>> app = ClientApp(mods=[HomomorphicMod(Terms(bound=1.0, max_examples=10_000))])
    """

    def _reply(
        self, step: Any, message: Message, context: Context, call_next: Callable[[Message, Context], Message]
    ) -> ConfigRecord | ArrayRecord:
        seat = Seat("homomorphic", Client, self.terms, self.member(context), message, context)
        if step == "commit":
            return seat.begin(functools.partial(joint_parameters, self.terms), Client.commit)
        if step == "contribute":
            return seat.each(Client.contribute)
        if step == "accept":
            return seat.each(Client.accept)
        if step == "update":
            number = seat.asked(round=int)["round"]
            client = seat.client()
            encrypted = client.encrypt(number, self._trained(seat, client.parameters, call_next))
            seat.keep(client)
            return wire.vector(encrypted, "update")
        if step == "coin":
            claim = seat.asked(claim=bytes)["claim"]
            return wire.config(coin=_taken(seat, Client.coin, claim))
        if step == "projection":
            challenge = seat.asked(challenge=bytes)["challenge"]
            return wire.config(projection=_taken(seat, Client.project, challenge))
        if step == "open":
            seat.asked()
            evidence = wire.vector_of(message, "evidence", "the server", wire.LONG)
            return wire.vector(_taken(seat, Client.open, evidence), "part")
        raise PeerError("the server asks for a step that this version does not know; use the same release at both")


def _taken(seat: Seat[Client], step: Callable[[Client, bytes], bytes], message: bytes) -> bytes:
    """What the client says to a message; after the last round its state is gone."""
    client = seat.client()
    reply = step(client, message)
    if client.finished:
        seat.leave()
    else:
        seat.keep(client)
    return reply
