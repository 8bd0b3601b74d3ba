"""A party's session: a process of its own that outlives the ClientApp which started it.

A ClientApp is a fresh process for every message, and what a protocol holds between two messages (the state of TLS, a
secret scalar, a sum half done) can neither be written down nor drawn again. So it stays here. The ClientApp of each
message visits over a Unix socket that only this user can reach, brings what the peer sent, and takes away what is for
the peer. Visits may be lost or repeated: the packets say what they are.

The process ends when its outcome has been fetched, or when nobody has come for a while.
"""

from __future__ import annotations

import contextlib
import fcntl
import importlib
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from fusion.errors import FusionError, InputError, MismatchError, TransportError
from fusion.flower.descriptor import MAX_JOB, Job, Scalar, State, Visit, decode

if TYPE_CHECKING:
    from fusion.channel import Channel

__all__ = ["IDLE", "PATIENCE", "Session", "receive", "send"]

PATIENCE = 45.0  # seconds that a visitor waits at most
IDLE = 600.0  # seconds without a visit, after which nobody is expected any more
FETCHED = 60.0  # seconds that an outcome stays after it was fetched, should that reply have been lost
_LONGEST = 1 << 26
_MAX_RESULT = 1 << 16
_MAX_WAITING = 4  # packets brought that the channel has not looked at; more are dropped, and come again
_log = logging.getLogger(__name__)


def send(sock: socket.socket, visit: Visit) -> None:
    """Write one visit."""
    data = msgspec.msgpack.encode(visit)
    sock.sendall(len(data).to_bytes(4, "little") + data)


def receive(sock: socket.socket) -> Visit:
    """Read one visit."""
    length = int.from_bytes(_exactly(sock, 4), "little")
    if length > _LONGEST:
        raise TransportError("a visit to a session was longer than any can be; run one version of this package")
    found: Visit = decode(_exactly(sock, length), Visit)
    return found


def _exactly(sock: socket.socket, length: int) -> bytes:
    data = bytearray()
    while len(data) < length:
        part = sock.recv(min(length - len(data), 1 << 20))
        if not part:
            raise TransportError("a session's process ended in the middle of a word; introduce the parties again")
        data += part
    return bytes(data)


class Session:
    """One session at one party: its role runs in `run`, visitors are served by `serve`."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._changed = threading.Condition()
        self._brought: deque[bytes] = deque()
        self._taken = 0  # packets brought that the channel has had
        self._packet: bytes | None = None
        self._packet_knows = 0  # how many it had had when it made this one
        self._ready = False  # whether it waits for the next
        self._outcome: Visit | None = None
        self._over = False  # no more packets will be made
        self._visited = time.monotonic()
        self._fetched: float | None = None

    def run(self) -> None:
        """Play the role and keep the outcome."""
        try:
            role = _found(self._job.role)
            with self._channel() as peer:
                # known before the channel says goodbye, so that both leave with one visit
                self._conclude(
                    Visit(state="done", result=_checked(role(peer, self._job.descriptor.parameters, self._job.node)))
                )
        except BaseException as error:
            self._conclude(_failure(error))
        with self._changed:
            self._over = True
            self._changed.notify_all()

    def _channel(self) -> Channel:
        from fusion.channel import Party, connect, relayed

        party, policy = Party.load(self._job.party), _found(self._job.policy)
        peer = self._job.descriptor.peer_of(party.name)
        if self._job.descriptor.via == "relay":
            return relayed(party, peer, self._carry, session=self._job.binding, policy=policy)
        return connect(party, peer, session=self._job.binding, policy=policy)

    def _conclude(self, outcome: Visit) -> None:
        with self._changed:
            self._outcome = self._outcome or outcome
            self._changed.notify_all()

    def _carry(self, packet: bytes) -> bytes:
        """The channel's courier: hand the packet to the next visitor, and wait for what one brings."""
        with self._changed:
            self._packet, self._packet_knows, self._ready = packet, self._taken, True
            self._changed.notify_all()
            while not self._brought or self._packet is not None:
                if self._over or time.monotonic() - self._visited > IDLE:
                    raise TransportError(f"no message of the server came for {IDLE:g} s; see its log")
                self._changed.wait(1.0)
            self._ready = False
            self._taken += 1
            return self._brought.popleft()

    def visit(self, brought: Visit) -> Visit:
        """Serve one visitor."""
        if brought.binding != self._job.binding:
            raise InputError("this visit is for another session")
        until = time.monotonic() + PATIENCE
        with self._changed:
            self._visited = time.monotonic()
            packet, self._packet = self._packet, None
            # one that brings nothing asks again for what may have been lost
            ask = packet is None and self._ready and not self._brought
            if (brought.packet and len(self._brought) < _MAX_WAITING) or ask:
                self._brought.append(brought.packet)
            known = self._taken + len(self._brought)
            self._changed.notify_all()
            while packet is None and not self._settled() and (remaining := until - time.monotonic()) > 0:
                self._changed.wait(min(remaining, 1.0))
                packet, self._packet = self._packet, None
            self._changed.notify_all()
            self._visited = time.monotonic()
            outcome = self._outcome
            if outcome is not None:
                self._fetched = self._visited
                return msgspec.structs.replace(outcome, packet=packet or b"")
            # a packet that was made before is no answer
            state: State = "busy" if packet is None or self._packet_knows < known else "waiting"
            return Visit(state=state, packet=packet or b"")

    def _settled(self) -> bool:
        return self._over or (self._outcome is not None and self._job.descriptor.via == "tls")

    def serve(self, server: socket.socket, place: int) -> None:
        """Serve visitors, one after the other, until nobody is expected any more.

        The place is given up when the outcome is fetched: what goes on afterwards lasts a minute at most.
        """
        server.settimeout(1.0)
        while not self._expired():
            try:
                sock, _ = server.accept()
            except TimeoutError:
                continue
            with sock, contextlib.suppress(OSError, FusionError):
                sock.settimeout(PATIENCE)
                reply = self.visit(receive(sock))
                if self._fetched is not None:
                    fcntl.flock(place, fcntl.LOCK_UN)
                send(sock, reply)

    def _expired(self) -> bool:
        now = time.monotonic()
        with self._changed:
            if self._fetched is not None and now - self._fetched > FETCHED:
                return True
            return now - self._visited > IDLE + FETCHED


def _found(function: str) -> Any:
    module, _, name = function.partition(":")
    return getattr(importlib.import_module(module), name)


def _checked(result: Any) -> dict[str, Scalar]:
    """What a role returned, if it may go to the server: a few plain values with names."""
    if result is None:
        return {}
    try:
        plain = {name: value.item() if hasattr(value, "item") else value for name, value in dict(result).items()}
        found: dict[str, Scalar] = msgspec.convert(plain, dict[str, Scalar])
    except (msgspec.ValidationError, TypeError, ValueError):
        found = {"": ""}
    if "" in found or len(msgspec.msgpack.encode(found)) > _MAX_RESULT:
        raise InputError("a role returns a dict of names and single numbers, texts or truth values, 64 KiB at most")
    return found


def _failure(error: BaseException) -> Visit:
    _log.error("the session failed", exc_info=error)
    ours = isinstance(error, FusionError)
    return Visit(
        state="failed",
        error=type(error).__name__ if ours else "Exception",
        field=str(error.field)[:64] if isinstance(error, MismatchError) else "",
        text=str(error)[:2000] if ours else f"{type(error).__name__}; the traceback is in the log of the session",
    )


def main() -> None:
    """Take a job from standard input, open its socket, and go on in a process without parents."""
    job: Job = decode(sys.stdin.buffer.read(MAX_JOB), Job)
    os.umask(0o077)
    os.set_inheritable(job.place, False)
    server = socket.socket(socket.AF_UNIX)
    server.bind(job.socket)
    server.listen(4)
    if child := os.fork():  # before there is any thread: whoever started us may go on, the socket is there
        Path(job.socket).with_suffix(".session").write_text(f"{child}\n")
        os._exit(0)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    sys.path[:] = job.path
    session = Session(job)
    threading.Thread(target=session.run, name="fusion-session", daemon=True).start()
    try:
        session.serve(server, job.place)
    finally:
        with contextlib.suppress(OSError):
            os.unlink(job.socket)  # noqa: PTH108 - the path is text all the way
    logging.shutdown()
    os._exit(0)  # a role that still computes has nobody to compute for


if __name__ == "__main__":
    main()
