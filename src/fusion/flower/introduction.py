"""A ServerApp's side of a session of two parties: find them, introduce them, carry what they have sealed."""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec
from flwr.app import Message, MessageType, RecordDict
from flwr.serverapp import Grid

from fusion.channel.messages import printable
from fusion.errors import InputError, PeerError, TransportError
from fusion.flower import wire
from fusion.flower.descriptor import Descriptor, Scalar

__all__ = ["find_parties", "introduce"]

_MESSAGE = 90.0  # seconds for one message: a visitor waits 45
_LOOK = 0.2  # seconds between two looks for replies
_EMPTY = 40  # bytes of a packet that holds nothing but its header
_TRIES = 3  # messages to one node in a row that fail or get lost
_GRACE = 4  # turns that a party gets to hear that the other has failed


def find_parties(
    grid: Grid, names: Sequence[str], *, wait: float = 120.0, message_type: str = MessageType.QUERY
) -> dict[str, int]:
    """Ask every node which party it is, until all of ``names`` have answered; the node of each.

    The answer is only the node's word. A wrong one fails later, when the other party does not find the pinned key.

    Raises
    ------
    TransportError
        When a party has not answered within ``wait`` seconds.
    """
    found: dict[str, int] = {}
    expires = time.monotonic() + wait
    while True:
        asked = [node for node in grid.get_node_ids() if node not in found.values()]
        ask = [
            Message(RecordDict({wire.RECORD: wire.config(step="who")}), node, message_type, group_id="fusion")
            for node in asked
        ]
        for reply in _exchange(grid, ask):
            if reply.has_content() and "party" in reply.content.config_records.get(wire.RECORD, {}):
                name = wire.config_of(reply, {"party": str}, "a node")["party"]
                if found.setdefault(name, reply.metadata.src_node_id) != reply.metadata.src_node_id:
                    raise PeerError(f"two nodes say that they are {name[:64]!r}; give each its own party file")
        if missing := [name for name in names if name not in found]:
            if time.monotonic() > expires:
                raise TransportError(
                    f"no node says that it is {missing[0]!r}; start its SuperNode with its file, and see its log"
                )
            time.sleep(1.0)
            continue
        return {name: found[name] for name in names}


@dataclass(slots=True)
class _Party:
    name: str
    node: int
    mail: bytes = b""
    state: str = "busy"
    failures: int = 0
    error: str = ""
    result: dict[str, Scalar] = field(default_factory=dict)

    @property
    def over(self) -> bool:
        return self.state in ("done", "failed")


def introduce(
    grid: Grid,
    parties: Mapping[str, int],
    operation: str,
    parameters: Mapping[str, Scalar] | None = None,
    *,
    via: Literal["relay", "tls"] = "relay",
    timeout: float = 3600.0,
    message_type: str = MessageType.QUERY,
) -> dict[str, dict[str, Scalar]]:
    """Have two parties run an operation together, and return what each says of it.

    Both run ``attend`` with a role for the operation.

    Parameters
    ----------
    grid : Grid
        The ServerApp's.
    parties : mapping of str to int
        The two parties and their nodes, from `find_parties`.
    operation : str
        Which of their roles.
    parameters : mapping, optional
        What both roles are told, the same: up to 64 numbers, truth values and short texts. Both compare them.
    via : "relay" or "tls"
        "relay": their channel runs through this server's messages, sealed from end to end. A message takes seconds,
        so this is for protocols of few flights, such as an intersection. "tls": they are introduced by one message
        each and talk directly, as their files say who listens and where: for everything else.
    timeout : float
        Seconds for all of it.

    Returns
    -------
    dict of str to dict
        What each party's role returned, by the party's name.

    Raises
    ------
    TransportError
        When a party failed or is not heard of any more. Why stands in that node's log; here is the error's class.

    Notes
    -----
    Parties: the server, and two nodes with party files that hold each other's fingerprint.

    Leakage: to the server, what the roles return, sizes and times of what the parties send each other, and how long
    each computes. It can refuse to carry, but neither read nor change nor put two sessions together.

    Rounds: by "relay" a message for every flight between the parties. An intersection by Diffie-Hellman has seven
    flights and takes eight turns. By "tls" one message each, and one more for every 45 s that they compute.
    """
    if len(parties) != 2:
        raise InputError("a session has two parties; give two names and their nodes")
    a, b = both = [_Party(name, node) for name, node in parties.items()]
    names = (a.name, b.name)
    words = _words(Descriptor(1, secrets.token_hex(16), operation, via, names, dict(parameters or {})))
    expires = time.monotonic() + timeout
    grace = _GRACE
    while not (a.over and b.over):
        if time.monotonic() > expires:
            raise TransportError(f"the parties did not finish {operation!r} within {timeout:g} s; see their logs")
        if a.state == "failed" or b.state == "failed":
            grace -= 1
            if grace < 0:
                break
        turn = [one for one in both if one.state == "busy" or len(one.mail) > _EMPTY] or both
        _visit(grid, turn, words, a, b, message_type)
    failed = [f"{one.name} with {one.error}" for one in both if one.state == "failed"]
    if failed:
        raise TransportError(f"{operation!r} failed: {', '.join(failed)}; why stands in the log of that node")
    return {one.name: one.result for one in both}


def _words(descriptor: Descriptor) -> bytes:
    """The descriptor's bytes, if they are such as the parties take."""
    with contextlib.suppress(TypeError, msgspec.MsgspecError):
        words = descriptor.encoded()
        msgspec.msgpack.decode(words, type=Descriptor)
        return words
    raise InputError(
        "operation and parameters have names of at most 64 characters without spaces, and the parameters, 64 at most, "
        'are numbers, truth values or texts of at most 256; via= is "relay" or "tls"'
    )


def _visit(grid: Grid, turn: list[_Party], words: bytes, a: _Party, b: _Party, message_type: str) -> None:
    """One message to each whose turn it is, pushed together, and what their replies say."""
    messages = []
    brought = {}
    for one in turn:
        brought[one.node] = one
        content: dict[str, Any] = {
            wire.RECORD: wire.config(step="visit", descriptor=words),
            "packet": wire.vector(one.mail, "packet"),
        }
        messages.append(Message(RecordDict(content), one.node, message_type, group_id="fusion"))
    replies = {
        reply.metadata.src_node_id: reply
        for reply in _exchange(grid, messages)
        if not reply.has_error() and reply.metadata.src_node_id in brought
    }
    for one in turn:
        if one.node in replies:
            one.mail, one.failures = b"", 0
            continue
        one.failures += 1
        if one.failures == _TRIES:
            raise TransportError(f"{one.name} did not answer {_TRIES} messages in a row; see the log of its node")
    for node, reply in replies.items():
        one = brought[node]
        said = wire.config_of(reply, {"state": str, "error": str, "field": str}, one.name)
        other = b if one is a else a
        if packet := wire.vector_of(reply, "packet", one.name, name="packet"):
            other.mail = packet
        if said["state"] not in ("waiting", "busy", "done", "failed"):
            raise PeerError(f"{one.name} replied what it may not; use the same release at both")
        if not one.over:
            one.state = said["state"]
            one.error = printable(said["error"][:64] + (f" ({said['field'][:64]})" if said["field"] else ""))
            one.result = dict(reply.content.config_records.get("result", {}))  # type: ignore[arg-type]


def _exchange(grid: Grid, messages: list[Message]) -> list[Message]:
    """Push messages together and wait for their replies; those that come in time.

    As Flower's ``send_and_receive``, which looks for replies every three seconds only: too long for many short turns.
    """
    waiting = set(grid.push_messages(messages)) if messages else set()
    expires = time.monotonic() + _MESSAGE
    replies: list[Message] = []
    while waiting:
        came = list(grid.pull_messages(list(waiting)))
        replies += came
        waiting -= {reply.metadata.reply_to_message_id for reply in came}
        if time.monotonic() > expires:
            break
        if waiting:
            time.sleep(_LOOK)
    return replies
