"""A member's seat in a run, for one message: what it keeps between messages, whichever client of sums sits there.

A ClientApp is a fresh process for every message. What a client must keep stands in ``context.state``, which stays at
its own SuperNode; what it must not do twice stands in a file of its own, which outlives that too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import msgspec
from flwr.app import ArrayRecord, ConfigRecord, Context, Message, MessageType

from fusion.aggregation.masked import Participant, Rounds
from fusion.errors import MismatchError, PeerError
from fusion.flower import updates, wire
from fusion.flower.member import Member
from fusion.flower.terms import Terms

__all__ = ["Seat"]

C = TypeVar("C", bound=Participant[Any, Any])
_ANNOUNCED = {"terms": bytes, "clients": bytes, "rounds": int, "values": int, "layout": bytes}


@dataclass(frozen=True, slots=True)
class Seat(Generic[C]):
    """One member in one run, for one message.

    Attributes
    ----------
    protocol : str
        Names what is kept.
    kind : type
        Of the client that sits here, one for each lane.
    """

    protocol: str
    kind: type[C]
    terms: Terms
    member: Member
    message: Message
    context: Context

    @property
    def lane(self) -> str:
        """The lane that the message is about; `begin` and `each` take all of them."""
        return self.message.metadata.message_type.partition(".")[0]

    @property
    def kept(self) -> ConfigRecord:
        """What is kept of this run, by lane, and beside it."""
        return self.context.state.config_records[self._name]

    def asked(self, **fields: type) -> dict[str, Any]:
        """What the message holds, each field of the given type."""
        return wire.config_of(self.message, {"step": str, **fields}, "the server")

    def begin(self, parameters: Callable[..., Any], first: Callable[[C], bytes]) -> ConfigRecord:
        """Take what the server announces, and say the first words of every lane; once a run."""
        found = self.asked(**_ANNOUNCED)
        own, clients = self.member.identity, self.member.clients
        self.terms.check(found["terms"])
        if found["clients"] != msgspec.msgpack.encode(dict(clients)):
            raise MismatchError("the file of clients", sorted(clients), "another one")
        if self._name in self.context.state:
            raise PeerError("the server asks for the keys of this run a second time; begin a new run")
        if len(found["layout"]) != 32 or found["values"] < 0:
            raise PeerError("the server announced a model that is none; use the same release at both")
        about = found["layout"] + self.message.metadata.run_id.to_bytes(8, "little")
        kept: dict[str, Any] = {"layout": found["layout"]}
        said = {}
        for lane in self.terms.lanes:
            chosen = parameters(
                list(clients),
                lane=lane,
                values=found["values"] if lane == MessageType.TRAIN else 0,
                rounds=found["rounds"],
                about=about,
            )
            client = self.kind(own.name, chosen, clients, own.sign, self._rounds())
            kept[lane] = self._sealed(lane, client)
            said[lane] = first(client)
        self.context.state[self._name] = ConfigRecord(kept)
        return wire.config(**said)

    def each(self, step: Callable[[C, bytes], bytes | None]) -> ConfigRecord:
        """A step of every lane, with what the message holds for it, and what the clients say to that."""
        found = self.asked(**dict.fromkeys(self.terms.lanes, bytes))
        said = {}
        for lane in self.terms.lanes:
            client = self.client(lane)
            reply = step(client, found[lane])
            if reply is not None:
                said[lane] = reply
            self.keep(client, lane)
        return wire.config(**said)

    def model(self) -> ArrayRecord:
        """The model that came, which must be the one that was announced."""
        arrays = wire.only_arrays(self.message.content, "the server")
        if updates.Layout.of(arrays, "the server").digest != self.kept["layout"]:
            raise PeerError("the server sent a model of other arrays than it announced; begin a new run")
        return arrays

    def client(self, lane: str | None = None) -> C:
        """The client of a lane as its last message left it; of the message's lane unless given."""
        lane = lane or self.lane
        state = self.context.state.config_records.get(self._name, ConfigRecord()).get(lane)
        if not isinstance(state, bytes):
            raise PeerError("this client has no keys for this step; it takes part again from the next run on")
        kept = self.member.unseal(state, f"{self._name}/{lane}")
        return self.kind.restore(kept, self.member.clients, self.member.identity.sign, self._rounds())

    def keep(self, client: C, lane: str | None = None) -> None:
        """What the next message needs."""
        lane = lane or self.lane
        self.kept[lane] = self._sealed(lane, client)

    def leave(self) -> None:
        """Forget the secrets of the message's lane, after its last round."""
        del self.kept[self.lane]

    @property
    def _name(self) -> str:
        # runs of one series share a context
        return f"fusion.{self.protocol}.{self.message.metadata.run_id}"

    def _sealed(self, lane: str, client: C) -> bytes:
        return self.member.seal(client.state(), f"{self._name}/{lane}")

    def _rounds(self) -> Rounds:
        return Rounds(self.member.memory)
