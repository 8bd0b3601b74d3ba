"""The client of an encrypted average: a mod around the train and evaluate functions of a ClientApp.

As with masked averages, what a client must keep stands in ``context.state`` and what it must not do twice in a file of
its own. The state is a public key, seeds and the last claim: the ciphertexts of an update are made again from a seed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec
from flwr.app import ConfigRecord, Context, Message, MessageType, RecordDict

from fusion.aggregation.joint import Client
from fusion.aggregation.masked import Rounds
from fusion.errors import InputError, MismatchError, PeerError
from fusion.flower import updates, wire
from fusion.flower.homomorphic import joint_parameters
from fusion.flower.member import Member
from fusion.flower.secure_client import SecureMod
from fusion.flower.terms import Terms

__all__ = ["HomomorphicMod"]

_ANNOUNCED = {"step": str, "terms": bytes, "clients": bytes, "rounds": int, "values": int, "layout": bytes}


@dataclass(frozen=True, slots=True)
class HomomorphicMod(SecureMod):
    """Encrypts what a ClientApp returns, for `HomomorphicFedAvg`; nothing of it leaves in any other way.

    Parameters and notes are those of `SecureMod`.

    Examples
    --------
    >>> from flwr.clientapp import ClientApp
    >>> app = ClientApp(mods=[HomomorphicMod(Terms(bound=1.0, max_examples=10_000))])
    """

    def _content(
        self, message: Message, context: Context, call_next: Callable[[Message, Context], Message], lane: str
    ) -> RecordDict:
        record = message.content.config_records.get(wire.RECORD)
        if record is None:
            raise PeerError(f"the server asks this app to {lane} and reply in clear; it runs another strategy")
        seat = _Seat(self.terms, self.member(context), context, message.metadata.run_id)
        step = record.get("step")

        def asked(**fields: type) -> dict[str, Any]:
            return wire.config_of(message, {"step": str, **fields}, "the server")

        lanes: dict[str, type] = dict.fromkeys(self.terms.lanes, bytes)
        if step == "commit":
            return RecordDict({wire.RECORD: seat.commit(wire.config_of(message, _ANNOUNCED, "the server"))})
        if step == "contribute":
            return RecordDict({wire.RECORD: seat.contribute(asked(**lanes))})
        if step == "accept":
            return RecordDict({wire.RECORD: seat.accept(asked(**lanes))})
        if step == "update":
            return self._update(message, context, call_next, lane, seat, asked(round=int)["round"])
        if step == "coin":
            return RecordDict({wire.RECORD: seat.small(lane, "coin", asked(claim=bytes)["claim"])})
        if step == "projection":
            return RecordDict({wire.RECORD: seat.small(lane, "projection", asked(challenge=bytes)["challenge"])})
        if step == "open":
            asked()
            return RecordDict({wire.RECORD: seat.open(lane, message)})
        raise PeerError("the server asks for a step that this version does not know; use the same release at both")

    def _update(
        self,
        message: Message,
        context: Context,
        call_next: Callable[[Message, Context], Message],
        lane: str,
        seat: _Seat,
        number: int,
    ) -> RecordDict:
        client = seat.client(lane)
        seat.check_layout(message)
        sent = wire.only_arrays(message.content, "the server")
        del message.content[wire.RECORD]
        reply = call_next(message, context)
        if reply.has_error():
            raise InputError("the app replied with an error; see the log of this node")
        encrypted = client.encrypt(number, self._values(client, lane, sent, reply.content))
        seat.keep(lane, client)
        return RecordDict({wire.RECORD: wire.vector(encrypted, "update")})


@dataclass(frozen=True, slots=True)
class _Seat:
    """One member in one run, for one message."""

    terms: Terms
    member: Member
    context: Context
    run: int

    @property
    def _state(self) -> str:
        # runs of one series share a context
        return f"fusion.homomorphic.{self.run}"

    def commit(self, found: dict[str, Any]) -> ConfigRecord:
        """Commit to a share of the key of every lane; once a run."""
        self.terms.check(found["terms"])
        if found["clients"] != msgspec.msgpack.encode(dict(self.member.clients)):
            raise MismatchError("the file of clients", sorted(self.member.clients), "another one")
        if self._state in self.context.state:
            raise PeerError("the server asks for the keys of this run a second time; begin a new run")
        if len(found["layout"]) != 32 or found["values"] < 0:
            raise PeerError("the server announced a model that is none; use the same release at both")
        about = found["layout"] + self.run.to_bytes(8, "little")
        kept: dict[str, Any] = {"layout": found["layout"]}
        said = {}
        for lane in self.terms.lanes:
            parameters = joint_parameters(
                self.terms,
                list(self.member.clients),
                lane=lane,
                values=found["values"] if lane == MessageType.TRAIN else 0,
                rounds=found["rounds"],
                about=about,
            )
            own = self.member.identity
            client = Client(own.name, parameters, self.member.clients, own.sign, self._rounds())
            kept[lane] = self._sealed(lane, client)
            said[lane] = client.commit()
        self.context.state[self._state] = ConfigRecord(kept)
        return wire.config(**said)

    def contribute(self, found: dict[str, Any]) -> ConfigRecord:
        """Show the contributions to the keys; once a run."""
        said = {}
        for lane in self.terms.lanes:
            client = self.client(lane)
            said[lane] = client.contribute(found[lane])
            self.keep(lane, client)
        return wire.config(**said)

    def accept(self, found: dict[str, Any]) -> ConfigRecord:
        """Take the keys."""
        for lane in self.terms.lanes:
            client = self.client(lane)
            client.accept(found[lane])
            self.keep(lane, client)
        return wire.config()

    def small(self, lane: str, step: str, message: bytes) -> ConfigRecord:
        """A coin for a claim, or a projection for a challenge; once a round."""
        client = self.client(lane)
        reply = client.coin(message) if step == "coin" else client.project(message)
        self.keep(lane, client)
        return wire.config(**{step: reply})

    def open(self, lane: str, message: Message) -> Any:
        """A part of a sum that is shown to be one; once a round. After the last round the state is gone."""
        client = self.client(lane)
        part = client.open(wire.vector_of(message, "evidence", "the server", wire.LONG))
        if client.finished:
            del self.context.state.config_records[self._state][lane]
        else:
            self.keep(lane, client)
        return wire.vector(part, "part")

    def check_layout(self, message: Message) -> None:
        """Whether the model that came is the one that was announced."""
        layout = updates.Layout.of(wire.only_arrays(message.content, "the server"), "the server")
        if layout.digest != self.context.state.config_records[self._state]["layout"]:
            raise PeerError("the server sent a model of other arrays than it announced; begin a new run")

    def client(self, lane: str) -> Client:
        """The client of a lane as its last message left it."""
        state = self.context.state.config_records.get(self._state, ConfigRecord()).get(lane)
        if not isinstance(state, bytes):
            raise PeerError("this client has no key for this step; it takes part again from the next run on")
        member = self.member
        kept = member.unseal(state, f"{self._state}/{lane}")
        return Client.restore(kept, member.clients, member.identity.sign, self._rounds())

    def keep(self, lane: str, client: Client) -> None:
        """What the next message needs."""
        self.context.state.config_records[self._state][lane] = self._sealed(lane, client)

    def _sealed(self, lane: str, client: Client) -> bytes:
        return self.member.seal(client.state(), f"{self._state}/{lane}")

    def _rounds(self) -> Rounds:
        return Rounds(self.member.memory)
