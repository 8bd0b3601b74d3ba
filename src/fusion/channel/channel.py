"""A channel: how this party talks to one peer. Every protocol is a plain function of one.

    with peer.operation("psi.intersect"):
        session = peer.open(learn="both", kinds=("cn_id",), rows=5912, parameters={"protocol": "ecdh"})
        for chunk in peer.exchange(outgoing, widths={MASKS: 32}):
            ...
        peer.finish(learned)

Leaving the block by an exception tells the peer the exception's class, never its message; the peer raises
`PeerAborted`, and both sides may begin the next operation on the same channel.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from fusion import progress
from fusion.channel.frames import Frame, Kind, Memory
from fusion.channel.mailbox import Deadline, Mailbox
from fusion.channel.messages import (
    MAX_ROWS,
    NONCE_BYTES,
    Abort,
    Chunk,
    Finish,
    Opening,
    State,
    decode,
    decode_chunk,
    encode,
    encode_chunk,
    printable,
)
from fusion.channel.policy import Policy, allow_all
from fusion.channel.transcript import Receipt, Transcript
from fusion.errors import InputError, MismatchError, PeerAborted, PeerError

__all__ = ["Channel", "Group", "Session"]

# An operation may take this long in all: generous for one core and the portable kernel, finite for everybody else.
_LIMIT_TIMEOUTS = 10.0
_LIMIT_SECONDS_PER_ROW = 0.001


class _Transport(Protocol):
    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Session:
    """An operation that both sides have announced alike.

    ``id`` is 32 bytes, equal on both sides, fresh for every operation, and bound to both announcements, both nonces
    and both fingerprints.
    """

    id: bytes
    ours: Opening
    theirs: Opening


class Channel:
    """A connection to one peer. Made by `fusion.connect` and `fusion.simulate`.

    Attributes
    ----------
    name, peer : str
        This party and the other.
    """

    def __init__(
        self,
        name: str,
        peer: str,
        mailbox: Mailbox,
        transport: _Transport,
        *,
        fingerprints: tuple[str, str],
        timeout: float,
        policy: Policy = allow_all,
    ) -> None:
        self.name = name
        self.peer = peer
        self._mailbox = mailbox
        self._transport = transport
        self._fingerprints = fingerprints
        self._timeout = timeout
        self._policy = policy
        self._in_use = threading.Lock()
        self._memory = Memory()
        self._process = os.getpid()
        self._number = 0
        self._receipt: Receipt | None = None
        self._session: Session | None = None
        self._reset("")

    def __repr__(self) -> str:
        return f"<Channel from {self.name} to {self.peer}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Leave for good. What was sent before still arrives."""
        self._transport.close()

    @contextlib.contextmanager
    def operation(self, name: str) -> Iterator[None]:
        """Everything that happens in one operation, from reading tables to the receipt."""
        if os.getpid() != self._process:
            raise InputError(f"this channel to {self.peer} belongs to the process that connected it; connect here too")
        if not self._in_use.acquire(blocking=False):
            raise InputError(
                f"an operation with {self.peer} is under way on this channel; wait for it, or connect again"
            )
        try:
            self._number += 1
            self._reset(name)
            try:
                yield
            except BaseException as error:
                self._abort(error)
                raise
            finally:
                self._operation = ""
                self._set_activity("", "", "idle")
        finally:
            self._in_use.release()

    def open(self, *, learn: str, kinds: Sequence[str], rows: int, parameters: Mapping[str, str | int]) -> Session:
        """Announce the operation, hear the peer's announcement, and compare.

        Parameters
        ----------
        learn : str
            ``"both"``, or the name of the one party that gets the result.
        kinds : sequence of str
            What kind of thing each key column holds, in order. Names of columns never travel.
        rows : int
            Rows that this side brings in. The peer learns this number.
        parameters : mapping
            Whatever else must be equal on both sides.

        Raises
        ------
        MismatchError
            On both sides, naming the first field that differs.
        PolicyError
            When this side's policy objects.
        """
        if not self._operation:
            raise RuntimeError("open comes inside `with peer.operation(...)`")
        if learn not in ("both", self.name, self.peer):
            raise InputError(f"learn={learn!r} names nobody here; write 'both', {self.name!r} or {self.peer!r}")
        ours = Opening(self._operation, learn, tuple(kinds), dict(parameters), rows, secrets.token_bytes(NONCE_BYTES))
        self._policy(self.peer, ours, None)
        self.phase(f"waiting for {self.peer}")
        payload = encode(ours)
        self._put(Kind.OPEN, payload)
        frame = self._get(Kind.OPEN)
        theirs = decode(frame.payload, Opening)
        _compare(ours, theirs)
        if not 0 <= theirs.rows <= MAX_ROWS or len(theirs.nonce) != NONCE_BYTES or theirs.nonce == ours.nonce:
            raise PeerError(f"{self.peer} announced rows or a nonce out of range")
        self._policy(self.peer, ours, theirs)
        announced = {
            self.name: (self._fingerprints[0], payload),
            self.peer: (self._fingerprints[1], bytes(frame.payload)),
        }
        digest = hashlib.sha256(b"fusion/session/1")
        for name in sorted(announced):
            for part in (name.encode(), announced[name][0].encode(), announced[name][1]):
                digest.update(len(part).to_bytes(4, "little") + part)
        self._limit = time.monotonic() + _LIMIT_TIMEOUTS * self._timeout + _LIMIT_SECONDS_PER_ROW * (rows + theirs.rows)
        self._session = Session(digest.digest(), ours, theirs)
        return self._session

    def exchange(self, outgoing: Iterable[Chunk | None], widths: Mapping[int, int]) -> Iterator[Chunk]:
        """Send chunks while yielding those that arrive, until both sides have no more.

        Receiving comes first, and at most one window is sent ahead, so two sides that both send without end still
        meet. ``outgoing`` may yield None: nothing to send until more has arrived.

        Parameters
        ----------
        outgoing : iterable of Chunk or None
            What to send, made when there is room for it.
        widths : mapping
            The streams that the peer may use and the bytes in a row of each.
        """
        source = iter(outgoing)
        sending = receiving = True
        starved = False
        allowed = dict(widths)
        while sending or receiving:
            if self._mailbox.ready(self._deadline(), to_send=sending and not starved):
                starved = False
                frame = self._get(Kind.CHUNK, Kind.END)
                if not receiving:
                    raise PeerError(f"{self.peer} sent rows after the end of its rows")
                if frame.kind is Kind.END:
                    receiving = False
                else:
                    yield decode_chunk(frame.stream, frame.payload, allowed)
                continue
            try:
                chunk = next(source)
            except StopIteration:
                self._put(Kind.END, b"")
                sending = False
                continue
            if chunk is None:
                if not receiving:
                    raise PeerError(f"{self.peer} ended its rows before the number it announced")
                starved = True
            else:
                self._put(Kind.CHUNK, encode_chunk(chunk, self._memory), chunk.stream)

    def finish(
        self,
        learned: Mapping[str, Sequence[str]],
        *,
        result: bytes = b"",
        notes: Sequence[str] = (),
        settled: Mapping[str, str | int] | None = None,
    ) -> None:
        """Compare transcripts, and ``result`` where both sides hold the same one, then make the receipt.

        Nothing that was computed may be used before this returns.

        Parameters
        ----------
        learned : mapping
            For each party, what it learned, in sentences.
        result : bytes
            At most 64 bytes that must be equal on both sides.
        notes : sequence of str
            What this side should know about its own data.
        settled : mapping, optional
            What announced parameters came to mean once both sides had announced; the receipt shows it in their place.
        """
        self.phase("comparing transcripts")
        session = self._session
        if session is None:
            raise RuntimeError("finish comes after open")
        sent, received = self._transcript.hashes()
        self._put(Kind.FINISH, encode(Finish(sent, received, result)))
        theirs = decode(self._get(Kind.FINISH).payload, Finish)
        if theirs.sent != received or theirs.received != sent:
            raise PeerError(
                f"{self.peer} and this side saw different bytes; the connection was tampered with, run again"
            )
        if theirs.result != result:
            raise PeerError(
                f"{self.peer} and this side computed different results; check that both run the same version"
            )
        self._receipt = self._transcript.receipt(
            parties=(self.name, self.peer),
            session=session.id,
            ours=session.ours,
            theirs=session.theirs,
            hashes=(sent, received),
            learned={party: list(sentences) for party, sentences in learned.items()},
            notes=tuple(notes),
            settled=dict(settled or {}),
        )

    def receipt(self) -> Receipt:
        """What the last finished operation on this channel was."""
        if self._receipt is None:
            raise InputError("no operation has finished on this channel yet")
        return self._receipt

    def phase(self, text: str, total: int = 0) -> None:
        """Say what comes now: in progress events here, in heartbeats there."""
        self._set_activity(self._operation, text, "busy")
        self._done, self._total = 0, total
        self._emit()

    def advance(self, rows: int) -> None:
        """Say that ``rows`` more are done in this phase."""
        self._done += rows
        self._emit()

    def tell(self, text: str) -> None:
        """Say how it goes, here alone: unlike a phase, this stays out of heartbeats, and may hold what is private."""
        progress.emit(progress.Event(self.name, self._operation, text, self._done, self._total))

    def _emit(self) -> None:
        activity = self._mailbox.activity
        progress.emit(progress.Event(self.name, activity.operation, activity.phase, self._done, self._total))

    def _reset(self, operation: str) -> None:
        self._operation = operation
        self._transcript = Transcript()
        self._session = None
        self._left = False
        self._sent = self._received = 0
        self._limit = time.monotonic() + 60 * self._timeout
        self._done = self._total = 0
        self._set_activity(operation, "starting", "busy" if operation else "idle")

    def _set_activity(self, operation: str, phase: str, state: State) -> None:
        # changed in place: in memory, the other end holds the same object
        activity = self._mailbox.activity
        activity.operation, activity.phase, activity.state = operation, phase, state

    def _deadline(self) -> Deadline:
        return Deadline(self._timeout, max(self._limit - time.monotonic(), 0.0))

    def _put(self, kind: Kind, payload: bytes | memoryview, stream: int = 0) -> None:
        frame = Frame(kind, payload, self._number, self._sent, stream)
        self._sent += 1
        self._transcript.sent.add(frame)
        self._mailbox.put(frame, self._deadline())

    def _get(self, *expected: Kind) -> Frame:
        frame = self._mailbox.get(self._deadline())
        while frame.kind is Kind.ABORT and frame.operation < self._number:
            # the peer failed after it had sent its FINISH; that operation is complete here
            frame = self._mailbox.get(self._deadline())
        if frame.operation != self._number:
            raise PeerError(f"{self.peer} sent a frame of another operation")
        if frame.kind is Kind.ABORT:
            last = decode(frame.payload, Abort)
            self._mailbox.leave(self._number, None)
            self._left = True
            raise PeerAborted(self.peer, printable(last.error), printable(last.field))
        if frame.sequence != self._received:
            raise PeerError(f"{self.peer} sent frames that are repeated, missing or out of order")
        self._received += 1
        if frame.kind not in expected:
            raise PeerError(f"{self.peer} sent {frame.kind.name} where {' or '.join(k.name for k in expected)} belongs")
        self._transcript.received.add(frame)
        return frame

    def _abort(self, error: BaseException) -> None:
        if self._left:
            return  # it was this peer who left; an error on the channel to another one must still be told
        field = error.field if isinstance(error, MismatchError) else ""
        # the class of an error of ours says what to do; that of any other says what this side's data did to a library
        ours = isinstance(error, KeyboardInterrupt) or type(error).__module__.partition(".")[0] == "fusion"
        name = type(error).__name__ if ours else "Exception"
        last = encode(Abort(name[:64], str(field)[:64]))
        self._mailbox.leave(self._number, Frame(Kind.ABORT, last, self._number))


def _compare(ours: Opening, theirs: Opening) -> None:
    pairs: list[tuple[str, object, object]] = [("operation", ours.operation, theirs.operation)]
    for name in sorted({*ours.parameters, *theirs.parameters}):
        pairs.append((name, ours.parameters.get(name), theirs.parameters.get(name)))
    pairs += [("kinds", ours.kinds, theirs.kinds), ("learn", ours.learn, theirs.learn)]
    for field, mine, other in pairs:
        if mine != other:
            raise MismatchError(field, mine, other)


class Group(Mapping[str, Channel]):
    """Channels by the name of the peer: ``group["hospital"]``."""

    def __init__(self, name: str, channels: Mapping[str, Channel]) -> None:
        self.name = name
        self._channels = dict(channels)

    def __getitem__(self, peer: str) -> Channel:
        return self._channels[peer]

    def __iter__(self) -> Iterator[str]:
        return iter(self._channels)

    def __len__(self) -> int:
        return len(self._channels)

    def __repr__(self) -> str:
        return f"<Group of {self.name} with {', '.join(self._channels)}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Leave every channel for good."""
        for channel in self._channels.values():
            channel.close()
