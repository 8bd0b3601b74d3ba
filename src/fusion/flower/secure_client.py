"""The client of a masked average: a mod around the train and evaluate functions of a ClientApp."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from flwr.app import ArrayRecord, ConfigRecord, Context, Message, MessageType, RecordDict

from fusion.aggregation import joint
from fusion.aggregation.masked import Client, Parameters
from fusion.aggregation.masked.messages import Survivors, decode
from fusion.errors import FusionError, InputError, PeerError
from fusion.flower import updates, wire
from fusion.flower.member import Member
from fusion.flower.seat import Seat
from fusion.flower.terms import Terms

__all__ = ["LANES", "SecureMod"]

LANES = (MessageType.TRAIN, MessageType.EVALUATE)
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
            record = message.content.config_records.get(wire.RECORD)
            if record is None:
                raise PeerError(f"the server asks this app to {lane} and reply in clear; it runs another strategy")
            reply = self._reply(record.get("step"), message, context, call_next)
            return Message(RecordDict({wire.RECORD: reply}), reply_to=message)
        except FusionError as error:
            _log.warning("refused: %s", error)
            return wire.refusal(message, error)
        except Exception as error:
            # the text of a stranger's exception may quote data: it stays here
            _log.exception("the app failed")
            return wire.refusal(message, error)

    def _reply(
        self, step: Any, message: Message, context: Context, call_next: Callable[[Message, Context], Message]
    ) -> ConfigRecord | ArrayRecord:
        """Take one step of the protocol."""
        seat = Seat("secure", Client, self.terms, self.member(context), message, context)
        if step == "keys":
            return seat.begin(self.terms.parameters, Client.keys)
        if step == "shares":
            return seat.each(Client.shares)
        if step == "vector":
            found = seat.asked(round=int, inbox=bytes)
            client = _ready(seat, found["inbox"])
            values = self._trained(seat, client.parameters, call_next)
            return wire.vector(client.mask(found["round"], values), "masked")
        if step == "answer":
            found = seat.asked(round=int, survivors=bytes)
            return _answer(seat, found["round"], found["survivors"])
        raise PeerError("the server asks for a step that this version does not know; use the same release at both")

    def _trained(
        self,
        seat: Seat[Any],
        parameters: Parameters | joint.Parameters,
        call_next: Callable[[Message, Context], Message],
    ) -> npt.NDArray[np.int64]:
        """Run the app on the model that came; what it returns, as the values of a sum."""
        sent = seat.model()
        del seat.message.content[wire.RECORD]
        reply = call_next(seat.message, seat.context)
        if reply.has_error():
            raise InputError("the app replied with an error; see the log of this node")
        weight, metrics = updates.weight_and_metrics(self.terms, reply.content, seat.lane)
        change = updates.NOTHING
        if seat.lane == MessageType.TRAIN:
            change = updates.clipped(self.terms, updates.update(sent, wire.only_arrays(reply.content, "the app")))
        plan = self.terms.plan(parameters)
        values = updates.encoded(self.terms, plan, seat.lane, weight, metrics, change)
        if plan.amount is not None and plan.amount.noise.by == "clients":
            values += plan.amount.share(values.size)
        return values


def _ready(seat: Seat[Client], inbox: bytes) -> Client:
    """The client, with its inbox taken: the first time that it comes."""
    client = seat.client()
    taken = hashlib.sha256(inbox).digest()
    if seat.kept.get(f"{seat.lane} inbox") != taken:
        client.accept(inbox)
        seat.keep(client)
        seat.kept[f"{seat.lane} inbox"] = taken
    return client


def _answer(seat: Seat[Client], number: int, survivors: bytes) -> ConfigRecord:
    """Shares for one list of survivors; once a round. After the last round the state is gone."""
    if decode(survivors, Survivors, "the server").round != number:
        raise PeerError("the server sent a list of survivors of another round than it asks about")
    client = seat.client()
    answer = client.answer(survivors)
    if number + 1 == client.parameters.rounds:
        seat.leave()
    return wire.config(answer=answer)
