"""A masked sum over channels: the messages of `client` and `server`, carried; whoever fails on the way is left out.

The server attends to each client in a thread of its own, and those threads wait for one another between steps. A
client that fails, in whatever step, leaves; the others go on without it.
"""

from __future__ import annotations

import contextvars
import functools
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from fusion.aggregation.masked.client import Client
from fusion.aggregation.masked.messages import Survivors, decode
from fusion.aggregation.masked.parameters import Parameters
from fusion.aggregation.masked.server import Round, Server
from fusion.channel import Channel, Chunk
from fusion.errors import PeerAborted, PeerError, TransportError

__all__ = ["OPERATION", "Hosted", "LocalSeat", "attend", "gone", "host", "in_parallel", "swap"]

OPERATION = "aggregation.secure_sum"
_STREAM = 1
_CHUNK = (1 << 20) - 64  # bytes that fit one frame

T = TypeVar("T")


def gone(error: BaseException) -> bool:
    """Whether an error on a channel means that the party at its other end has left, and nothing else."""
    return isinstance(error, TransportError | PeerAborted)


def limit_for(clients: int, vector: int = 0) -> int:
    """Bytes that no message to or from one client exceeds, with a vector of so many bytes in it."""
    return 4096 + 512 * clients + vector


def swap(peer: Channel, ours: bytes | None, limit: int = 0) -> bytes:
    """Send one message, or none, and return the peer's, of at most ``limit`` bytes."""

    def outgoing() -> Iterator[Chunk]:
        data = np.frombuffer(ours or b"", np.uint8)
        for start in range(0, len(data), _CHUNK):
            yield Chunk(_STREAM, data[start : start + _CHUNK].reshape(-1, 1))

    theirs = bytearray()
    for chunk in peer.exchange(outgoing(), {_STREAM: 1} if limit else {}):
        if len(theirs) + len(chunk.rows) > limit:
            raise PeerError(f"{peer.peer} sent more than the {limit} bytes that a message has here")
        theirs += chunk.rows.data
    return bytes(theirs)


def attend(peer: Channel, parameters: Parameters, seat: LocalSeat) -> None:
    """A client's part, over its channel to the server."""
    limit = limit_for(len(parameters.clients))
    swap(peer, seat.keys())
    peer.phase("sharing secrets")
    swap(peer, seat.shares(swap(peer, None, limit)))
    inbox = swap(peer, None, limit)
    peer.phase("masking")
    swap(peer, seat.masked(inbox))
    peer.phase("waiting for the others")
    survivors = swap(peer, None, limit)
    peer.phase("unmasking")
    swap(peer, seat.answer(survivors))
    seat.close(swap(peer, None, limit + parameters.size * parameters.word))


class Seat(Protocol):
    """One client, as the server meets it."""

    def keys(self) -> bytes: ...
    def shares(self, roster: bytes) -> bytes: ...
    def masked(self, inbox: bytes) -> bytes: ...
    def answer(self, survivors: bytes) -> bytes: ...
    def close(self, closing: bytes) -> None: ...


class _RemoteSeat:
    def __init__(self, peer: Channel, clients: int, vector: int) -> None:
        self._peer = peer
        self._limit = limit_for(clients)
        self._vector = vector

    def keys(self) -> bytes:
        return swap(self._peer, None, self._limit)

    def shares(self, roster: bytes) -> bytes:
        swap(self._peer, roster)
        return swap(self._peer, None, self._limit)

    def masked(self, inbox: bytes) -> bytes:
        swap(self._peer, inbox)
        return swap(self._peer, None, self._limit + self._vector)

    def answer(self, survivors: bytes) -> bytes:
        swap(self._peer, survivors)
        return swap(self._peer, None, self._limit)

    def close(self, closing: bytes) -> None:
        swap(self._peer, closing)


class LocalSeat:
    """A client in this process, with what it does in a run of one round.

    ``allowed``, where it is given, is the only set of names for whose sum it answers.
    """

    def __init__(self, client: Client, values: npt.NDArray[np.int64], allowed: frozenset[str] | None = None) -> None:
        self._client = client
        self._values = values
        self._allowed = allowed
        self._survivors = b""
        self.size = len(values)
        self.refused = False
        self.answered: frozenset[str] | None = None
        self.included: tuple[str, ...] = ()
        self.total: npt.NDArray[np.int64] | None = None

    def keys(self) -> bytes:
        return self._client.keys()

    def shares(self, roster: bytes) -> bytes:
        return self._client.shares(roster)

    def masked(self, inbox: bytes) -> bytes:
        self._client.accept(inbox)
        return self._client.mask(0, self._values)

    def answer(self, survivors: bytes) -> bytes:
        names = self._client.parameters.clients
        listed = decode(survivors, Survivors, "the server").included
        included = frozenset(names[index] for index in listed if index < len(names))
        if self._allowed is not None and included != self._allowed:
            self.refused = True
            raise TransportError(
                "the party that added up left when this party had answered, and others left with it; a sum over the "
                "rest could be set against the first one, so there is none: run again with those who are there"
            )
        answer = self._client.answer(survivors)
        self._survivors, self.answered = survivors, included
        return answer

    def close(self, closing: bytes) -> None:
        self.included, self.total = self._client.confirm(self._survivors, closing)


class _Hall:
    """Where the threads that attend to one client each wait for one another."""

    def __init__(self, names: set[str]) -> None:
        self._present = set(names)
        self._changed = threading.Condition()
        self._meeting = _Meeting()
        self.failure: BaseException | None = None

    @property
    def lock(self) -> threading.Condition:
        return self._changed

    def together(self, name: str, action: Callable[[], T]) -> T:
        """Wait for all who are still present; the last one does ``action``, and everybody gets what it gave."""
        with self._changed:
            meeting = self._meeting
            meeting.action = action
            meeting.waiting.add(name)
            self._settle()
            while not meeting.done and self.failure is None:
                self._changed.wait(0.25)
            if self.failure is not None:
                raise self.failure
            result: T = meeting.result
            return result

    def leave(self, name: str) -> None:
        """Go on without this one."""
        with self._changed:
            self._present.discard(name)
            self._settle()

    def fail(self, error: BaseException) -> None:
        """Nobody goes on."""
        with self._changed:
            if self.failure is None:
                self.failure = error
            self._changed.notify_all()

    def _settle(self) -> None:
        meeting = self._meeting
        if self.failure is not None or not meeting.waiting or not meeting.waiting >= self._present:
            return
        self._meeting = _Meeting()
        try:
            meeting.result = meeting.action()
            meeting.done = True
        except BaseException as error:
            self.failure = error
        self._changed.notify_all()


class _Meeting:
    def __init__(self) -> None:
        self.waiting: set[str] = set()
        self.action: Callable[[], Any] = lambda: None
        self.result: Any = None
        self.done = False


@dataclass(frozen=True, slots=True)
class Hosted:
    """What a server has at the end."""

    total: npt.NDArray[np.int64]
    included: tuple[str, ...]
    left: tuple[str, ...]  # why each of the others was left out, where this side knows


def host(
    channels: Mapping[str, Channel],
    *,
    announce: Callable[[Channel], int],
    settle: Callable[[Mapping[str, int]], Parameters],
    finish: Callable[[Channel, Hosted], None],
    tell: bool,
    local: tuple[str, LocalSeat] | None = None,
) -> Hosted:
    """Run the server's part with everybody at once.

    Parameters
    ----------
    channels : mapping
        A channel to each client.
    announce : callable
        Opens the operation on a channel and returns how many values that client brings.
    settle : callable
        The parameters, from the numbers of values of those who came, by name.
    finish : callable
        Ends the operation on a channel.
    tell : bool
        Whether the clients get the sum.
    local : optional
        This party's own name and place among the clients.
    """
    everybody = {*channels, *(local[:1] if local else ())}
    hall = _Hall(everybody)
    sizes: dict[str, int] = {}
    state: dict[str, Any] = {}
    hosted: list[Hosted] = []
    left: list[str] = []

    def begin() -> Parameters:
        parameters = settle(sizes)
        state["server"] = Server(parameters)
        return parameters

    def next_round() -> dict[str, bytes]:
        inboxes = server().inboxes()
        state["round"] = server().round(0)
        return inboxes

    def server() -> Server:
        found: Server = state["server"]
        return found

    def round_() -> Round:
        found: Round = state["round"]
        return found

    def end() -> bytes:
        total = round_().total()
        hosted.append(Hosted(total, round_().included, tuple(left)))
        return round_().closing(total if tell else None)

    def serve(name: str, size: int, place: Callable[[Parameters], Seat]) -> None:
        with hall.lock:
            sizes[name] = size
        seat = place(hall.together(name, begin))
        keys = seat.keys()
        with hall.lock:
            server().add_keys(name, keys)
        shares = seat.shares(hall.together(name, lambda: server().roster()))
        with hall.lock:
            server().add_shares(name, shares)
        masked = seat.masked(hall.together(name, next_round)[name])
        with hall.lock:
            round_().add_masked(name, masked)
        answer = seat.answer(hall.together(name, lambda: round_().survivors()))
        with hall.lock:
            round_().add_answer(name, answer)
        seat.close(hall.together(name, end))

    def remote(name: str) -> None:
        channel = channels[name]
        try:
            with channel.operation(OPERATION):
                size = announce(channel)
                channel.phase("adding up masked vectors")
                serve(name, size, lambda p: _RemoteSeat(channel, len(p.clients), p.size * p.word))
                try:
                    finish(channel, hosted[0])
                except PeerError as error:
                    hall.fail(error)  # its bytes are not what it sent: then the sum is not what it seems
                    raise
        except BaseException as error:
            # one client's trouble is its own, malformed bytes included; a difference in what was asked is everybody's
            if not gone(error) and not isinstance(error, PeerError):
                hall.fail(error)
            left.append(f"{name} dropped out: {error}")
            raise
        finally:
            hall.leave(name)

    def own(name: str, seat: LocalSeat) -> None:
        try:
            serve(name, seat.size, lambda parameters: seat)
        except BaseException as error:
            hall.fail(error)
            raise
        finally:
            hall.leave(name)

    jobs: dict[str, Callable[[], None]] = {name: functools.partial(remote, name) for name in channels}
    if local is not None:
        jobs[local[0]] = functools.partial(own, *local)
    try:
        outcomes = in_parallel(jobs)
    except BaseException as error:
        hall.fail(error)
        raise
    if hall.failure is not None:
        raise hall.failure
    if not hosted:
        raise next((error for error in outcomes.values() if error is not None), TransportError("every client has left"))
    return hosted[0]


def in_parallel(jobs: Mapping[str, Callable[[], None]]) -> dict[str, BaseException | None]:
    """Run every job in a thread of its own; for each, the exception that it raised, if any."""
    outcomes: dict[str, BaseException | None] = {}
    ended = {name: threading.Event() for name in jobs}

    def play(name: str, job: Callable[[], None]) -> None:
        try:
            job()
            outcomes[name] = None
        except BaseException as error:
            outcomes[name] = error
        finally:
            ended[name].set()

    for name, job in jobs.items():
        context = contextvars.copy_context()
        threading.Thread(target=context.run, args=(play, name, job), name=f"fusion-sum-{name}", daemon=True).start()
    for event in ended.values():
        while not event.wait(0.25):  # short waits, so that Ctrl-C is heard
            pass
    return {name: outcomes[name] for name in jobs}
