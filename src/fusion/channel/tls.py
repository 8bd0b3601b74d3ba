"""TLS 1.3 over a socket: one thread with a selector moves frames between a mailbox and a sans-I/O TLS state machine.

The thread also speaks and hears heartbeats. When nothing at all has been heard for `SILENCE` seconds the peer, its
machine or the network is gone, and whoever waits gets a `TransportError`. At most one window of received frames is
decrypted; what lies beyond it waits in the buffers of the operating systems, here and there.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import ssl
import threading
import time
from collections.abc import Callable
from typing import cast

from fusion.channel import messages
from fusion.channel.frames import HEADER, Frame, Kind, Parser
from fusion.channel.mailbox import Activity, Mailbox
from fusion.errors import PeerError, TransportError

__all__ = ["HEARTBEAT", "LINGER", "SILENCE", "Tls", "TlsTransport", "WrongKey", "explain", "handshake"]

HEARTBEAT = 1.0  # seconds between heartbeats
SILENCE = 30.0  # seconds without a byte before a peer counts as gone
LINGER = 3.0  # seconds that closing waits for the peer to read the last words
_RECEIVE = 1 << 18
_RECORD = 1 << 14  # the most plain bytes in one record of TLS 1.3 (RFC 8446, 5.1)
_TURN = 1 << 22  # bytes sent before reading gets its turn
_ALERT = 1.0  # seconds that the other side gets to read why it was turned away


class Tls:
    """A TLS connection as bytes in, bytes out, and the frames inside it.

    ``unread`` tells whether `wire_in` may hold what `deliver` has not looked at: the peer's first frame may have come
    with the end of its handshake.
    """

    def __init__(self, context: ssl.SSLContext, *, server: bool) -> None:
        self.wire_in = ssl.MemoryBIO()
        self.wire_out = ssl.MemoryBIO()
        self.plain = context.wrap_bio(self.wire_in, self.wire_out, server_side=server)
        self.unread = True
        self._parser = Parser()

    def encrypt(self, frame: Frame) -> None:
        """Put a frame into `wire_out`."""
        # the header shares a record with what follows it
        first = _RECORD - HEADER.size
        self.plain.write(b"".join((frame.header(), frame.payload[:first])))
        if len(frame.payload) > first:
            self.plain.write(memoryview(frame.payload)[first:])

    def beat(self, mailbox: Mailbox) -> None:
        """Put into `wire_out` what this side is doing."""
        activity = mailbox.activity
        words = messages.Heartbeat(activity.operation[:64], activity.phase[:256], activity.state)
        self.encrypt(Frame(Kind.HEARTBEAT, messages.encode(words)))

    def deliver(self, mailbox: Mailbox, peer: str, *, beyond_full: bool) -> bool:
        """Deliver received frames until there are no more or the inbox is full; False when the peer has closed."""
        read = cast(Callable[[int, memoryview], int], self.plain.read)  # a count, given a buffer
        while not mailbox.full or beyond_full:
            try:
                frame = self._parser.fill(read)
            except ssl.SSLWantReadError:
                self.unread = False
                return True
            except ssl.SSLZeroReturnError:
                frame = None
            if frame is None:
                if self._parser.midway:
                    raise PeerError(f"{peer} closed the connection in the middle of a frame")
                mailbox.fail(TransportError(f"{peer} has left; see its side"))
                return False
            if frame.kind is Kind.HEARTBEAT:
                beat = messages.decode(frame.payload, messages.Heartbeat)
                mailbox.peer_activity = Activity(beat.operation, beat.phase, beat.state)
            else:
                mailbox.deliver(frame)
        return True


def handshake(sock: socket.socket, context: ssl.SSLContext, *, server: bool, seconds: float) -> Tls:
    """Run the TLS handshake on a connected socket, within ``seconds`` in all.

    Raises
    ------
    TransportError
        When the other side is too slow, hangs up, is not TLS 1.3, or presents a key that is not pinned.
    """
    tls = Tls(context, server=server)
    expires = time.monotonic() + seconds
    try:
        while True:
            wanted, failure = False, None
            try:
                tls.plain.do_handshake()
            except ssl.SSLWantReadError:
                wanted = True
            except ssl.SSLError as error:
                failure = error
            _patience(sock, expires)
            if tls.wire_out.pending:
                sock.sendall(tls.wire_out.read())  # also the alert that says why
            if failure is not None:
                _drain(sock, min(expires, time.monotonic() + _ALERT))
                raise explain(failure)
            if not wanted:
                break
            _patience(sock, expires)
            data = sock.recv(_RECEIVE)
            if not data:
                raise TransportError("the other side hung up during the handshake")
            tls.wire_in.write(data)
    except TimeoutError:
        raise TransportError(f"the other side did not complete the handshake within {seconds:.2g} s") from None
    except OSError as error:
        raise TransportError(
            f"the connection broke during the handshake: {error.strerror or type(error).__name__}"
        ) from None
    return tls


def _patience(sock: socket.socket, expires: float) -> None:
    # a drop at a time would otherwise renew the socket's own patience for ever
    if (remaining := expires - time.monotonic()) <= 0:
        raise TimeoutError
    sock.settimeout(remaining)


def _drain(sock: socket.socket, expires: float) -> None:
    """Say that no more comes, and read until the other side has hung up.

    Closing a socket that holds unread bytes resets the connection and can destroy our last words on their way.
    """
    scrap = bytearray(1 << 16)
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_WR)
        while True:
            _patience(sock, expires)
            if not sock.recv_into(scrap):
                return


class WrongKey(TransportError):
    """A key that is not pinned: waiting longer will not help."""


def explain(error: ssl.SSLError) -> TransportError:
    """What OpenSSL's error means here, and what to do."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return WrongKey(
            "the other side presented a key that is not pinned here; "
            "compare fingerprints and put the right one in this party's file"
        )
    reason = error.reason or type(error).__name__
    if "UNKNOWN_CA" in reason:
        return WrongKey(
            "the other side refused our key; have it put our fingerprint (`fusion doctor` prints it) in its file"
        )
    if "DID_NOT_RETURN_A_CERTIFICATE" in reason:
        return TransportError("the other side presented no key; only a party of this protocol can connect")
    return TransportError(f"the other side sent bytes that are not TLS 1.3 ({reason}); check the address")


class TlsTransport:
    """Moves frames between a mailbox and a socket until closed."""

    def __init__(self, sock: socket.socket, tls: Tls, mailbox: Mailbox, peer: str) -> None:
        self._sock = sock
        self._tls = tls
        self._mailbox = mailbox
        self._peer = peer
        self._buffer = memoryview(bytearray(_RECEIVE))
        self._unsent = memoryview(b"")
        self._close_by: float | None = None
        self._heard = self._spoke = time.monotonic()
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._wake_in, self._wake_out = socket.socketpair()
        self._wake_in.setblocking(False)
        self._wake_out.setblocking(False)
        self._asleep = False
        mailbox.on_put, mailbox.on_get = self._put, self._got
        self._thread = threading.Thread(target=self._run, name=f"fusion-io-{peer}", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Send what is queued, say goodbye, and wait at most `LINGER` seconds for the peer to have read it."""
        if self._close_by is None:
            self._close_by = time.monotonic() + LINGER
            self._mailbox.fail(TransportError("this channel is closed; connect again"))
            self._wake()
        self._thread.join()
        self._wake_in.close()
        self._wake_out.close()

    def _put(self) -> None:
        if self._asleep:
            self._wake()

    def _got(self) -> None:
        if self._asleep and self._tls.unread:
            self._wake()

    def _wake(self) -> None:
        with contextlib.suppress(OSError):  # full: it will wake; closed: it is gone
            self._wake_out.send(b"\0")

    def _run(self) -> None:
        try:
            with selectors.DefaultSelector() as selector:
                selector.register(self._wake_in, selectors.EVENT_READ)
                if self._loop(selector):
                    self._say_goodbye()
        except (PeerError, TransportError) as error:
            self._mailbox.fail(error)
        except ssl.SSLError as error:
            self._mailbox.fail(explain(error))
        except OSError as error:
            self._mailbox.fail(
                TransportError(
                    f"the connection to {self._peer} broke ({error.strerror}); see its side, then start again"
                )
            )
        except BaseException as error:
            self._mailbox.fail(TransportError(f"the connection's thread failed with {type(error).__name__}; report it"))
            raise
        finally:
            self._sock.close()

    def _loop(self, selector: selectors.BaseSelector) -> bool:
        """Move bytes until this side closes (True) or the peer has closed (False)."""
        mailbox = self._mailbox
        while True:
            if self._tls.unread and not self._decrypt():
                return False
            self._send()
            now = time.monotonic()
            # Before looking a last time: what comes after the look wakes us, what came before is seen.
            self._asleep = True
            if self._tls.unread and not mailbox.full:
                continue
            closing = self._close_by
            pending = len(self._unsent) > 0 or self._tls.wire_out.pending > 0 or len(mailbox.outgoing) > 0
            if closing is not None and (not pending or now > closing):
                return True
            # a full inbox leaves the rest to the operating system, which slows the peer down
            reading = not self._tls.unread
            self._watch(selector, reading=reading, writing=pending)
            until = self._spoke + HEARTBEAT if closing is None else closing
            ready = selector.select(max(until - now, 0.0))
            self._asleep = False
            for key, events in ready:
                if key.fileobj is self._wake_in:
                    self._wake_in.recv(4096)
                elif events & selectors.EVENT_READ:
                    self._receive()
            now = time.monotonic()
            if not reading:
                self._heard = now  # it is we who are not listening
            elif now - self._heard > SILENCE:
                raise TransportError(
                    f"nothing heard from {self._peer} for {SILENCE:g} s; its process, machine or network is gone"
                )
            if now - self._spoke >= HEARTBEAT:
                self._beat()

    def _watch(self, selector: selectors.BaseSelector, *, reading: bool, writing: bool) -> None:
        events = (selectors.EVENT_READ if reading else 0) | (selectors.EVENT_WRITE if writing else 0)
        registered = selector.get_map().get(self._sock)
        if registered is None:
            if events:
                selector.register(self._sock, events)
        elif not events:
            selector.unregister(self._sock)
        elif registered.events != events:
            selector.modify(self._sock, events)

    def _beat(self) -> None:
        if not self._unsent and not self._tls.wire_out.pending:  # a peer that reads nothing hears no heartbeats either
            self._tls.beat(self._mailbox)
        self._spoke = time.monotonic()

    def _send(self) -> None:
        """Encrypt and send until the socket is full, the queue is empty, or the turn is over."""
        mailbox = self._mailbox
        turn = 0
        while turn < _TURN:
            if not self._unsent:
                if not self._tls.wire_out.pending:
                    with mailbox.changed:
                        if not mailbox.outgoing:
                            return
                        frame = mailbox.outgoing.popleft()
                        mailbox.changed.notify_all()
                    self._tls.encrypt(frame)
                    self._spoke = time.monotonic()
                self._unsent = memoryview(self._tls.wire_out.read())
            try:
                sent = self._sock.send(self._unsent)
            except BlockingIOError:
                return
            self._unsent = self._unsent[sent:]
            turn += sent

    def _receive(self) -> None:
        """Take what the socket has."""
        try:
            count = self._sock.recv_into(self._buffer)
        except BlockingIOError:
            return
        if count == 0:
            raise TransportError(f"the connection to {self._peer} was cut; see its side, then start again")
        self._heard = time.monotonic()
        self._tls.wire_in.write(self._buffer[:count])
        self._tls.unread = True

    def _decrypt(self) -> bool:
        return self._tls.deliver(self._mailbox, self._peer, beyond_full=self._close_by is not None)

    def _say_goodbye(self) -> None:
        expires = self._close_by or 0.0
        with contextlib.suppress(ssl.SSLError):
            self._tls.plain.unwrap()
        with contextlib.suppress(OSError):
            _patience(self._sock, expires)
            self._sock.sendall(bytes(self._unsent) + self._tls.wire_out.read())
            _drain(self._sock, expires)
