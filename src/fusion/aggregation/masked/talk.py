"""A masked sum over channels: the messages of `client` and `server`, carried; whoever fails on the way is left out.

The server attends to each client in a thread of its own, and those threads wait for one another between steps. A
client that fails, in whatever step, leaves; the others go on without it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from fusion.aggregation.masked.client import Client
from fusion.aggregation.masked.parameters import Parameters
from fusion.aggregation.masked.server import Round, Server
from fusion.aggregation.masked.threads import Hall, in_parallel
from fusion.channel import Channel, Chunk
from fusion.errors import PeerAborted, PeerError, TransportError

__all__ = ["OPERATION", "Hosted", "LocalSeat", "attend", "gone", "host", "swap"]

OPERATION = "aggregation.secure_sum"
_STREAM = 1
_CHUNK = (1 << 20) - 64  # bytes that fit one frame


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
    """A client in this process, with what it does in a run of one round."""

    def __init__(self, client: Client, values: npt.NDArray[np.int64]) -> None:
        self._client = client
        self._values = values
        self._survivors = b""
        self.size = len(values)
        self.answered = False
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
        answer = self._client.answer(survivors)
        self._survivors, self.answered = survivors, True
        return answer

    def close(self, closing: bytes) -> None:
        self.included, self.total = self._client.confirm(self._survivors, closing)


@dataclass(frozen=True, slots=True)
class Hosted:
    """What a server has at the end."""

    total: npt.NDArray[np.int64]
    included: tuple[str, ...]
    notes: tuple[str, ...]  # why others were left out, where this side knows, and whose answers were of no use


class _Service:
    """The server's side of one sum, shared by the threads that attend to the clients."""

    def __init__(
        self, names: Collection[str], settle: Callable[[Mapping[str, int]], Parameters], *, tell: bool
    ) -> None:
        self.hall = Hall(names)
        self.hosted: Hosted | None = None
        self.notes: list[str] = []
        self._settle = settle
        self._tell = tell
        self._sizes: dict[str, int] = {}
        self._server: Server
        self._round: Round

    def attend(self, name: str, size: int, place: Callable[[Parameters], Seat]) -> Hosted:
        """Take one client from its keys to the end, in step with all the others."""
        together, one_at_a_time = self.hall.together, self.hall.lock
        with one_at_a_time:
            self._sizes[name] = size
        seat = place(together(name, self._begin))
        keys = seat.keys()
        with one_at_a_time:
            self._server.add_keys(name, keys)
        shares = seat.shares(together(name, self._server.roster))
        with one_at_a_time:
            self._server.add_shares(name, shares)
        masked = seat.masked(together(name, self._begin_round)[name])
        with one_at_a_time:
            self._round.add_masked(name, masked)
        answer = seat.answer(together(name, self._round.survivors))
        with one_at_a_time:
            self._round.add_answer(name, answer)
        hosted, closing = together(name, self._end)
        seat.close(closing)
        return hosted

    def _begin(self) -> Parameters:
        parameters = self._settle(self._sizes)
        self._server = Server(parameters)
        return parameters

    def _begin_round(self) -> dict[str, bytes]:
        inboxes = self._server.inboxes()
        self._round = self._server.round(0)
        return inboxes

    def _end(self) -> tuple[Hosted, bytes]:
        total = self._round.total()
        self.notes += [
            f"{name}: its answer does not fit the others', which were enough; it or one that dealt to it is at fault"
            for name in self._round.wrong
        ]
        self.hosted = Hosted(total, self._round.included, tuple(self.notes))
        return self.hosted, self._round.closing(total if self._tell else None)


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
    service = _Service({*channels, *(local[:1] if local else ())}, settle, tell=tell)
    hall = service.hall

    def remote(name: str) -> None:
        channel = channels[name]
        try:
            with channel.operation(OPERATION):
                size = announce(channel)
                channel.phase("adding up masked vectors")
                hosted = service.attend(name, size, lambda p: _RemoteSeat(channel, len(p.clients), p.size * p.word))
                try:
                    finish(channel, hosted)
                except PeerError as error:
                    hall.fail(error)  # its bytes are not what it sent: then the sum is not what it seems
                    raise
        except BaseException as error:
            # one client's trouble is its own, malformed bytes included; a difference in what was asked is everybody's
            if not gone(error) and not isinstance(error, PeerError):
                hall.fail(error)
            service.notes.append(f"{name} dropped out: {error}")
            raise
        finally:
            hall.leave(name)

    def own(name: str, seat: LocalSeat) -> None:
        try:
            service.attend(name, seat.size, lambda parameters: seat)
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
    if service.hosted is None:
        raise next((error for error in outcomes.values() if error is not None), TransportError("every client has left"))
    return service.hosted
