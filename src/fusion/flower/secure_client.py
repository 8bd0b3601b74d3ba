"""The client of a masked average: a mod around the train and evaluate functions of a ClientApp.

A ClientApp is a fresh process for every message. What a client must keep stands in ``context.state``, which stays at
its own SuperNode; what it must not do twice stands in a file of its own, which outlives that too.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec
from flwr.app import ConfigRecord, Context, Message, MessageType, RecordDict

from fusion.aggregation import joint
from fusion.aggregation.masked import Client, Rounds
from fusion.aggregation.masked.messages import Survivors, decode
from fusion.errors import FusionError, InputError, MismatchError, PeerError
from fusion.flower import updates, wire
from fusion.flower.member import Member
from fusion.flower.terms import Terms

__all__ = ["LANES", "SecureMod"]

LANES = (MessageType.TRAIN, MessageType.EVALUATE)
_ANNOUNCED = {"step": str, "terms": bytes, "clients": bytes, "rounds": int, "values": int, "layout": bytes}
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SecureMod:
    """Masks what a ClientApp returns, for `SecureFedAvg`; nothing of it leaves in any other way.

    Parameters
    ----------
    terms : Terms
        As the server has them.
    member : callable
        Context -> `Member`: who this client is. The node's configuration says so, unless given.

    Notes
    -----
    Called like any mod, with the message, the context and the function that trains; so it is that function's plain
    wrapper as well. A train or evaluate message that is not of the protocol is refused: its reply would be in clear.

    Examples
    --------
    >>> from flwr.clientapp import ClientApp
    >>> app = ClientApp(mods=[SecureMod(Terms(bound=1.0, max_examples=10_000))])
    """

    terms: Terms
    member: Callable[[Context], Member] = Member.of_node

    def __call__(self, message: Message, context: Context, call_next: Callable[[Message, Context], Message]) -> Message:
        """Handle one message; the reply holds no more than the protocol says, or why there is none."""
        lane = message.metadata.message_type.partition(".")[0]
        if lane not in LANES:
            return call_next(message, context)
        try:
            return Message(self._content(message, context, call_next, lane), reply_to=message)
        except FusionError as error:
            _log.warning("refused: %s", error)
            return wire.refusal(message, error)
        except Exception as error:
            # the text of a stranger's exception may quote data: it stays here
            _log.exception("the app failed")
            return wire.refusal(message, error)

    def _content(
        self, message: Message, context: Context, call_next: Callable[[Message, Context], Message], lane: str
    ) -> RecordDict:
        record = message.content.config_records.get(wire.RECORD)
        if record is None:
            raise PeerError(f"the server asks this app to {lane} and reply in clear; it runs another strategy")
        seat = _Seat(self.terms, self.member(context), context, message.metadata.run_id)
        step = record.get("step")
        if step == "keys":
            return RecordDict({wire.RECORD: seat.keys(wire.config_of(message, _ANNOUNCED, "the server"))})
        if step == "shares":
            lanes = dict.fromkeys(self.terms.lanes, bytes)
            return RecordDict({wire.RECORD: seat.shares(wire.config_of(message, {"step": str, **lanes}, "the server"))})
        if step == "vector":
            found = wire.config_of(message, {"step": str, "round": int, "inbox": bytes}, "the server")
            client = seat.ready(lane, found["inbox"])
            seat.check_layout(message)
            sent = wire.only_arrays(message.content, "the server")
            del message.content[wire.RECORD]
            reply = call_next(message, context)
            if reply.has_error():
                raise InputError("the app replied with an error; see the log of this node")
            values = self._values(client, lane, sent, reply.content)
            return RecordDict({wire.RECORD: wire.vector(client.mask(found["round"], values), "masked")})
        if step == "answer":
            found = wire.config_of(message, {"step": str, "round": int, "survivors": bytes}, "the server")
            return RecordDict({wire.RECORD: seat.answer(lane, found["round"], found["survivors"])})
        raise PeerError("the server asks for a step that this version does not know; use the same release at both")

    def _values(self, client: Client | joint.Client, lane: str, sent: Any, content: RecordDict) -> Any:
        weight, metrics = updates.weight_and_metrics(self.terms, content, lane)
        change = updates.NOTHING
        if lane == MessageType.TRAIN:
            change = updates.clipped(self.terms, updates.update(sent, wire.only_arrays(content, "the app")))
        plan = self.terms.plan(client.parameters)
        values = updates.encoded(self.terms, plan, lane, weight, metrics, change)
        if plan.amount is not None and plan.amount.noise.by == "clients":
            values += plan.amount.share(values.size)
        return values


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
        return f"fusion.secure.{self.run}"

    def keys(self, found: dict[str, Any]) -> ConfigRecord:
        """Announce keys for every lane; once a run."""
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
            parameters = self.terms.parameters(
                list(self.member.clients),
                lane=lane,
                values=found["values"] if lane == MessageType.TRAIN else 0,
                rounds=found["rounds"],
                about=about,
            )
            name = self.member.identity.name
            client = Client(name, parameters, self.member.clients, self.member.identity.sign, self._rounds())
            kept[lane] = self._sealed(lane, client)
            said[lane] = client.keys()
        self.context.state[self._state] = ConfigRecord(kept)
        return wire.config(**said)

    def shares(self, found: dict[str, Any]) -> ConfigRecord:
        """Share the secrets of every lane among the clients of its roster; once a run."""
        said = {}
        for lane in self.terms.lanes:
            client = self._client(lane)
            said[lane] = client.shares(found[lane])
            self._keep(lane, client)
        return wire.config(**said)

    def ready(self, lane: str, inbox: bytes) -> Client:
        """The client of a lane, with its inbox taken: the first time that it comes."""
        client = self._client(lane)
        taken = hashlib.sha256(inbox).digest()
        kept = self.context.state.config_records[self._state]
        if kept.get(f"{lane} inbox") != taken:
            client.accept(inbox)
            self._keep(lane, client)
            kept[f"{lane} inbox"] = taken
        return client

    def check_layout(self, message: Message) -> None:
        """Whether the model that came is the one that was announced."""
        layout = updates.Layout.of(wire.only_arrays(message.content, "the server"), "the server")
        if layout.digest != self.context.state.config_records[self._state]["layout"]:
            raise PeerError("the server sent a model of other arrays than it announced; begin a new run")

    def answer(self, lane: str, number: int, survivors: bytes) -> ConfigRecord:
        """Shares for one list of survivors; once a round. After the last round the state is gone."""
        if decode(survivors, Survivors, "the server").round != number:
            raise PeerError("the server sent a list of survivors of another round than it asks about")
        client = self._client(lane)
        answer = client.answer(survivors)
        if number + 1 == client.parameters.rounds:
            del self.context.state.config_records[self._state][lane]
        return wire.config(answer=answer)

    def _client(self, lane: str) -> Client:
        state = self.context.state.config_records.get(self._state, ConfigRecord()).get(lane)
        if not isinstance(state, bytes):
            raise PeerError("this client has no keys for this step; it takes part again from the next run on")
        member = self.member
        kept = member.unseal(state, f"{self._state}/{lane}")
        return Client.restore(kept, member.clients, member.identity.sign, self._rounds())

    def _keep(self, lane: str, client: Client) -> None:
        self.context.state.config_records[self._state][lane] = self._sealed(lane, client)

    def _sealed(self, lane: str, client: Client) -> bytes:
        return self.member.seal(client.state(), f"{self._state}/{lane}")

    def _rounds(self) -> Rounds:
        return Rounds(self.member.memory)
