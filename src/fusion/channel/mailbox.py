"""What a channel and its transport share: frames waiting to leave, frames that have come, and the state of both ends.

Every wait has a deadline. A deadline moves only when the other side shows progress: a frame, or a heartbeat that
says it is computing. Idling never moves it, and nothing moves it past its limit.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import takewhile

from fusion.channel.frames import Frame, Kind
from fusion.channel.messages import State, printable
from fusion.errors import PeerError, TransportError

__all__ = ["Activity", "Deadline", "Mailbox"]


@dataclass(slots=True)
class Activity:
    """What one end is doing, as its heartbeats say."""

    operation: str = ""
    phase: str = ""
    state: State = "idle"


class Deadline:
    """``patience`` seconds without progress, ``limit`` seconds in all."""

    def __init__(self, patience: float, limit: float) -> None:
        now = time.monotonic()
        self.patience = patience
        self.end = now + limit
        self._expires = min(now + patience, self.end)

    def renew(self) -> None:
        self._expires = min(time.monotonic() + self.patience, self.end)

    def remaining(self) -> float:
        return self._expires - time.monotonic()


@dataclass(eq=False)
class Mailbox:
    """One end's mail. ``window`` bounds both queues, in frames.

    `put` and `get` are called by the channel's thread; a transport moves frames between `outgoing` and the wire and
    calls `deliver` and `fail`. All of it happens under ``changed``.
    """

    window: int
    changed: threading.Condition = field(default_factory=threading.Condition)
    outgoing: deque[Frame] = field(default_factory=deque)
    incoming: deque[Frame] = field(default_factory=deque)
    activity: Activity = field(default_factory=Activity)
    peer_activity: Activity = field(default_factory=Activity)
    failure: TransportError | PeerError | None = None
    on_put: Callable[[], None] = lambda: None
    on_get: Callable[[], None] = lambda: None
    stalled: Callable[[], bool] = lambda: False
    sending: bool = False
    _oldest: int = 0

    def put(self, frame: Frame, deadline: Deadline) -> None:
        """Queue a frame, waiting while the window is full.

        When the other side has aborted, the frame is dropped instead: the abort is what the next `get` returns.
        """
        with self.changed:
            self.sending = True
            try:
                self._wait(lambda: self.room or self.failure is not None or self._aborted(frame.operation), deadline)
            finally:
                self.sending = False
            if self._aborted(frame.operation):
                return
            self._raise_failure()
            self.outgoing.append(frame)
            self.changed.notify_all()
        self.on_put()

    def get(self, deadline: Deadline) -> Frame:
        """The next frame that came in."""
        with self.changed:
            self._wait(self._has_mail, deadline)
            frame = self.incoming.popleft()
            self.changed.notify_all()
        self.on_get()
        return frame

    def ready(self, deadline: Deadline, *, to_send: bool) -> bool:
        """Wait until a frame has come in (True) or, if asked, until one may be sent (False)."""
        with self.changed:
            self._wait(lambda: self._has_mail() or (to_send and self.room), deadline)
            return bool(self.incoming)

    @property
    def room(self) -> bool:
        """Whether the window has room for one more frame out."""
        return len(self.outgoing) < self.window

    @property
    def full(self) -> bool:
        """Whether the transport must leave further frames on the wire for now."""
        return len(self.incoming) >= self.window

    def deliver(self, frame: Frame) -> None:
        """Take in a frame from the wire, unless its operation, or everything, is over here."""
        with self.changed:
            if frame.operation >= self._oldest and self.failure is None:
                self.incoming.append(frame)
            self.changed.notify_all()

    def leave(self, operation: int, last_words: Frame | None) -> None:
        """Drop what is queued of ``operation``, and what still comes; send ``last_words`` instead.

        Outwards only rows are dropped, and what follows them. The end of an earlier operation, our announcement and
        our transcript still go out: both sides are to name a disagreement, and to agree on what was complete.
        """
        with self.changed:
            self._oldest = operation + 1
            theirs = [frame for frame in self.incoming if frame.operation > operation]
            ours = takewhile(lambda f: f.operation < operation or f.kind not in (Kind.CHUNK, Kind.END), self.outgoing)
            for queue, kept in ((self.incoming, theirs), (self.outgoing, list(ours))):
                queue.clear()
                queue.extend(kept)
            if last_words is not None and self.failure is None:
                self.outgoing.append(last_words)
            self.changed.notify_all()
        self.on_put()
        self.on_get()

    def fail(self, error: TransportError | PeerError) -> None:
        """No more frames will come or go; whoever waits, or will wait, gets ``error``."""
        with self.changed:
            if self.failure is None:
                self.failure = error
            self.changed.notify_all()

    def _has_mail(self) -> bool:
        while self.incoming and self.incoming[0].operation < self._oldest:
            self.incoming.popleft()
        return bool(self.incoming)

    def _raise_failure(self) -> None:
        if self.failure is not None:
            # a fresh one each time: a raised exception gathers a traceback and notes
            raise type(self.failure)(*self.failure.args)

    def _aborted(self, operation: int) -> bool:
        return any(frame.kind is Kind.ABORT and frame.operation == operation for frame in self.incoming)

    def _wait(self, ready: Callable[[], bool], deadline: Deadline) -> None:
        was, self.activity.state = self.activity.state, "waiting"
        try:
            while not ready():
                self._raise_failure()
                if self.stalled():
                    raise TransportError(
                        "both sides wait to send and neither receives; the protocol overran its window"
                    )
                if self.peer_activity.state == "busy":
                    deadline.renew()
                remaining = deadline.remaining()
                if remaining <= 0:
                    raise TransportError(self._silence(deadline))
                self.changed.wait(min(remaining, 0.25))
        finally:
            self.activity.state = was

    def _silence(self, deadline: Deadline) -> str:
        peer = self.peer_activity
        if time.monotonic() >= deadline.end:
            return "the operation took longer than its size allows; see the peer's side, and raise `timeout` on both"
        if peer.state == "idle":
            doing = "is connected but has not started this operation; start it there"
        else:
            doing = f"made no progress in {printable(peer.phase or peer.operation) or 'this operation'}; see its side"
        return f"the peer {doing} (gave up after {deadline.patience:g} s without progress)"
