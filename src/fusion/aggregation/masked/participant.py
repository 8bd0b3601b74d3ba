"""What every client of sums holds: who it is, whom it knows, and what it has done, also when its process ends.

A protocol adds its state and its steps. Everything that it draws for a run comes from the state's one secret, so that
the state is short; each step that must not be taken twice is a `Step`, claimed before anything of it leaves.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Set
from typing import Generic, Protocol, Self, TypeVar

import msgspec

from fusion.aggregation.masked.messages import Hash
from fusion.aggregation.masked.rounds import Rounds, Step
from fusion.channel.identity import check_fingerprint
from fusion.crypto.masks import KEY_BYTES
from fusion.crypto.random import Source
from fusion.errors import InputError

__all__ = ["Participant", "State"]

KEPT = Step(0, "")  # that the state was handed out; noted, and never refused


class _Parameters(Protocol):
    @property
    def clients(self) -> tuple[str, ...]: ...


P = TypeVar("P", bound=_Parameters)


class State(msgspec.Struct, Generic[P], forbid_unknown_fields=True):
    """What a client must keep between messages. Secret."""

    name: str
    parameters: P
    secret: Hash

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


S = TypeVar("S", bound=State)  # type: ignore[type-arg]


class Participant(ABC, Generic[P, S]):
    """One client in one run.

    Parameters
    ----------
    name : str
        Its own.
    parameters : Parameters
        As all have them.
    pins : mapping of str to str
        The fingerprint of every client, by name, from where this client trusts it: never from the server.
    sign : callable
        Bytes -> the 64-byte Ed25519 signature of this client's own fingerprint.
    rounds : Rounds
        What it has done before. With a file, from the beginning, when `state` is kept between processes.
    source : callable
        Number of bytes -> that many uniform bytes.
    """

    _kind: type[S]

    def __init__(
        self,
        name: str,
        parameters: P,
        pins: Mapping[str, str],
        sign: Callable[[bytes], bytes],
        rounds: Rounds,
        source: Source = os.urandom,
    ) -> None:
        self.name = name
        self.parameters = parameters
        self._check_names(pins.keys())
        for fingerprint in pins.values():
            check_fingerprint(fingerprint)
        if len(set(pins.values())) != len(pins):
            raise InputError("two clients are pinned with the same fingerprint; each has a key of its own")
        self._index = parameters.clients.index(name)
        self._pins = dict(pins)
        self._sign = sign
        self._rounds = rounds
        self._source = source
        self._state = self._kind(name, parameters, source(KEY_BYTES))
        self._resume()

    def __repr__(self) -> str:
        return f"<Client {self.name} of {len(self.parameters.clients)}>"

    def __reduce__(self) -> str:
        raise InputError("a client holds secrets and is not pickled; keep state() in a file that only its owner reads")

    def state(self) -> bytes:
        """Everything this client must keep between messages: **secret**, for a place that only its owner can read.

        Raises
        ------
        InputError
            If ``rounds`` has no file: what was done would be forgotten with the process.
        """
        if not self._rounds.lasting:
            raise InputError("a client whose state is kept needs Rounds with a file, from its first step on")
        self._rounds.note(self._subject, 0, KEPT)
        return msgspec.msgpack.encode(self._state)

    @classmethod
    def restore(
        cls,
        state: bytes,
        pins: Mapping[str, str],
        sign: Callable[[bytes], bytes],
        rounds: Rounds,
        source: Source = os.urandom,
    ) -> Self:
        """The client that `state` was taken from, with the file of rounds that it had then.

        Raises
        ------
        InputError
            If ``state`` is none, or the file is lost or not the one that went with it: what this client has already
            done cannot be known, and only a new run is safe.
        """
        try:
            kept = msgspec.msgpack.decode(state, type=cls._kind)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise InputError("this is no state of a client; begin a new run") from None
        client = cls(kept.name, kept.parameters, pins, sign, rounds, source)
        client._state = kept
        steps = [(client._subject, 0, KEPT), *client._resume()]
        if not rounds.lasting or not all(rounds.holds(*step) for step in steps):
            raise InputError("the file of rounds is lost, or does not go with this state; begin a new run")
        return client

    # What a protocol says

    @property
    @abstractmethod
    def _subject(self) -> bytes:
        """32 bytes that stand for the secret of this run, before the run has a name."""

    @abstractmethod
    def _check_names(self, pinned: Set[str]) -> None:
        """Raise InputError unless fingerprints are pinned for those that the sum needs."""

    @abstractmethod
    def _resume(self) -> Iterable[tuple[bytes, int, Step]]:
        """Take up what follows from the state, and give the steps that it says were taken: subject, round, step."""
