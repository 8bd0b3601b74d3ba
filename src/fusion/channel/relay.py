"""A channel over somebody who stores and forwards: TLS 1.3 end to end, inside packets that may go astray.

Each party has a courier, a function that takes a packet away and comes back with one from the peer, or with nothing.
Inside the packets runs the TLS of `fusion.channel.tls`, between the same pinned keys: whoever carries them learns
sizes and times, and can delay or stop. What it changes, repeats or makes up, TLS or the packet's header refuses.

A journey may take seconds, so few are made: a packet leaves when this side can do nothing but wait for the other, or
is full. Both announcements travel with the handshake's last words. An intersection by Diffie-Hellman takes seven
journeys one way, three of them TLS's.

A packet is 40 bytes (which session, 16; its number and the highest of the other's numbers, 4 each; where in the stream
its bytes begin and how many of the other's have come, 8 each; little-endian) and then bytes of the TLS stream, at most
`MAX_DATA`. Nobody vouches for this header. A false one can stop the session, as could whoever carries the packets by
dropping them; it cannot change what is received.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import ssl
import struct
import threading
import time
from collections.abc import Callable

from fusion.channel.channel import Channel
from fusion.channel.config import Party, Peer
from fusion.channel.identity import fingerprint_of_certificate, protocol_of, tls_context
from fusion.channel.mailbox import Mailbox
from fusion.channel.messages import State
from fusion.channel.policy import Policy, allow_all
from fusion.channel.tls import HEARTBEAT, Tls, WrongKey, explain
from fusion.errors import InputError, PeerError, TransportError

__all__ = ["MAX_DATA", "MAX_PACKET", "Carry", "Stream", "relayed"]

Carry = Callable[[bytes], bytes]

MAX_DATA = 1 << 25
WINDOW = 16
SILENCE = 300.0  # seconds without a word from the peer before it counts as gone
LINGER = 60.0  # seconds that a closed channel's last words wait to be fetched and acknowledged
TURN = 10.0  # seconds of computing after which a packet leaves all the same: it says that this side is alive
_TICK = 0.01
_HEADER = struct.Struct("<16sIIQQ")
MAX_PACKET = _HEADER.size + MAX_DATA


def relayed(
    config: str | os.PathLike[str] | Party, peer: str, carry: Carry, *, session: str, policy: Policy = allow_all
) -> Channel:
    """A channel to ``peer`` whose bytes ``carry`` brings there and back. Both sides call this; nobody listens.

    Parameters
    ----------
    config : path or Party
        This party's TOML file; it needs no addresses.
    peer : str
        The peer to meet.
    carry : callable
        Takes a packet of at most `MAX_PACKET` bytes for the peer; returns one of the peer's, or ``b""``. Called again
        and again by a thread of the channel's own; it returns when something has come, or after a while. Packets may
        be lost, repeated, delayed or changed. What it raises ends the channel.
    session : str
        A name that both sides must give alike, and that no other session of theirs has. TLS binds it.
    policy : callable
        Asked before anything of an operation leaves; see `fusion.channel.Policy`.

    Returns
    -------
    Channel
        At once, before the peer has answered. That its key is another, or the session, the first operation tells:
        a `TransportError`. To be used in a ``with`` statement.

    Raises
    ------
    InputError
        When the party's file cannot be used or does not know the peer.
    """
    party = config if isinstance(config, Party) else Party.load(config)
    known = party.peer(peer)
    server = party.name > known.name  # nobody listens, so the names decide who speaks first
    context = tls_context(party.identity, [known.fingerprint], server=server, protocols=[protocol_of(session)])
    mailbox = Mailbox(WINDOW)
    transport = RelayTransport(carry, Tls(context, server=server), session, mailbox, known)
    return Channel(
        party.name,
        known.name,
        mailbox,
        transport,
        fingerprints=(party.identity.fingerprint, known.fingerprint),
        timeout=max(party.timeout, SILENCE),
        policy=policy,
    )


class Stream:
    """A stream of bytes each way over packets that may be lost, repeated or come late.

    ``received`` counts the peer's bytes that have come, in order and without a gap.
    """

    def __init__(self, session: str) -> None:
        self._tag = hashlib.sha256(b"fusion/relay/1/" + session.encode()).digest()[:16]
        self._kept = bytearray()  # everything from `_acknowledged` on
        self._acknowledged = 0
        self._sent = 0
        self._number = 0  # of our last packet
        self._carried = 0  # of the last one that held bytes
        self._heard = 0  # the highest of the peer's
        self._answered = 0  # the highest of ours that the peer has heard
        self._told = -1  # what the last packet said of `received`
        self.received = 0

    def write(self, data: bytes) -> None:
        """Append to what the peer is to get."""
        self._kept += data

    @property
    def full(self) -> bool:
        """Whether the next packet has no room left, or as much is still on its way."""
        return len(self._kept) >= MAX_DATA

    @property
    def told(self) -> bool:
        """Whether the last packet acknowledged everything that has come."""
        return self._told == self.received

    @property
    def settled(self) -> bool:
        """Whether the peer has everything, and has been told that so have we."""
        return not self._kept and self.told

    def packet(self) -> bytes:
        """What goes to the peer now.

        Bytes go again when the peer has heard a later packet than the last that held any, and still lacks some. Their
        not having been acknowledged yet is no reason: the peer may be computing.
        """
        self._number += 1
        again = self._acknowledged < self._sent and self._answered > self._carried
        start = self._acknowledged if again else self._sent
        offset = start - self._acknowledged
        data = self._kept[offset : offset + MAX_DATA]
        if data:
            self._carried = self._number
            self._sent = max(self._sent, start + len(data))
        self._told = self.received
        return _HEADER.pack(self._tag, self._number, self._heard, start, self.received) + data

    def take(self, packet: bytes, *, room: bool = True) -> bytes | None:
        """What is new in a packet; None when it is malformed, or of another session: as good as lost.

        Without ``room`` its bytes are left for the peer to send again.
        """
        if not _HEADER.size <= len(packet) <= MAX_PACKET:
            return None
        tag, number, answered, start, acknowledged = _HEADER.unpack_from(packet)
        if tag != self._tag or acknowledged > self._sent or answered > self._number:
            return None
        self._heard = max(self._heard, number)
        self._answered = max(self._answered, answered)
        if acknowledged > self._acknowledged:
            del self._kept[: acknowledged - self._acknowledged]
            self._acknowledged = acknowledged
        skip = self.received - start
        if not room or skip < 0:
            return b""
        fresh = bytes(memoryview(packet)[_HEADER.size + skip :])
        self.received += len(fresh)
        return fresh


class RelayTransport:
    """Moves frames between a mailbox and packets until closed."""

    def __init__(self, carry: Carry, tls: Tls, session: str, mailbox: Mailbox, peer: Peer) -> None:
        self._carry = carry
        self._tls = tls
        self._protocol = protocol_of(session)
        self._stream = Stream(session)
        self._mailbox = mailbox
        self._peer = peer
        self._met = False
        self._left = False  # whether the peer has closed
        self._said_goodbye = False
        self._close_by: float | None = None
        self._heard = time.monotonic()
        self._spoke = self._heard
        self._told: State = "waiting"
        self._thread = threading.Thread(target=self._run, name=f"fusion-relay-{peer.name}", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Send what is queued, say goodbye, and wait at most `LINGER` seconds until the peer has it."""
        if self._close_by is None:
            self._close_by = time.monotonic() + LINGER
            self._mailbox.fail(TransportError("this channel is closed; meet again in a new session"))
        self._thread.join(max(self._close_by - time.monotonic(), 0.0))

    def _run(self) -> None:
        try:
            while self._work():
                self._travel()
        except ssl.SSLError as error:
            self._mailbox.fail(self._explain(error))
            self._last_words()
        except (PeerError, TransportError, InputError) as error:
            self._mailbox.fail(error if not isinstance(error, InputError) else TransportError(str(error)))
            self._last_words()
        except BaseException as error:
            self._mailbox.fail(TransportError(f"the courier to {self._peer.name} failed with {type(error).__name__}"))

    def _last_words(self) -> None:
        """One packet more: the alert that says why."""
        self._stream.write(self._tls.wire_out.read())
        with contextlib.suppress(Exception):
            self._carry(self._stream.packet())

    def _explain(self, error: ssl.SSLError) -> TransportError:
        found = explain(error)
        if isinstance(found, WrongKey):
            return found
        reason = error.reason or type(error).__name__
        return TransportError(
            f"what came over the relay is not what {self._peer.name} sent ({reason}); start a new session, and if it "
            "happens again, ask who runs the relay"
        )

    def _travel(self) -> None:
        came = self._carry(self._stream.packet())
        # What the mailbox has not taken stays here, so the peer's next bytes wait at the peer's.
        fresh = self._stream.take(came, room=self._tls.wire_in.pending < MAX_DATA)
        now = time.monotonic()
        if fresh is not None:
            self._tls.wire_in.write(fresh)
            self._tls.unread = True
            self._heard = now
        elif now - self._heard > SILENCE:
            raise TransportError(
                f"nothing heard from {self._peer.name} over the relay for {SILENCE:g} s; see its side, then start again"
            )

    def _work(self) -> bool:
        """Deliver what came and encrypt what is to go, until a packet should leave; False when all is over."""
        until = time.monotonic() + TURN
        while True:
            if not self._met:
                self._shake_hands()
            closing = self._close_by is not None  # seen before the queue: what was queued before closing still goes
            if self._met and not self._left:
                if closing:
                    self._tls.wire_in.read()
                elif self._tls.unread:
                    self._left = not self._tls.deliver(self._mailbox, self._peer.name, beyond_full=False)
                self._encrypt()
            now = time.monotonic()
            with self._mailbox.changed:
                if closing or not self._met or self._stream.full or now > until or self._waiting():
                    break
                self._mailbox.changed.wait(_TICK)
        if self._left:
            return not self._stream.told
        if closing and self._met and not self._said_goodbye and not self._mailbox.outgoing:
            self._said_goodbye = True
            with contextlib.suppress(ssl.SSLError):
                self._tls.plain.unwrap()
        elif self._met and not closing:
            self._beat(now)
        self._stream.write(self._tls.wire_out.read())
        if self._close_by is None:
            return True
        return now < self._close_by and not (self._said_goodbye and self._stream.settled)

    def _beat(self, now: float) -> None:
        """Say what this side is doing, when it is news: an empty packet costs whoever carries it less."""
        state = self._mailbox.activity.state
        if state != self._told or (state == "busy" and now - self._spoke >= HEARTBEAT):
            self._tls.beat(self._mailbox)
            self._told, self._spoke = state, now

    def _waiting(self) -> bool:
        """Whether nothing happens here before something comes."""
        box = self._mailbox
        return box.activity.state == "waiting" and not (box.incoming or box.outgoing or self._tls.unread)

    def _encrypt(self) -> None:
        mailbox = self._mailbox
        while not self._stream.full:
            with mailbox.changed:
                if not mailbox.outgoing:
                    return
                frame = mailbox.outgoing.popleft()
                mailbox.changed.notify_all()
            self._tls.encrypt(frame)
            self._stream.write(self._tls.wire_out.read())

    def _shake_hands(self) -> None:
        with contextlib.suppress(ssl.SSLWantReadError):
            self._tls.plain.do_handshake()
            self._met = True
        self._stream.write(self._tls.wire_out.read())
        if not self._met:
            return
        name, fingerprint = fingerprint_of_certificate(self._tls.plain.getpeercert(binary_form=True))
        if fingerprint != self._peer.fingerprint:
            raise WrongKey("the other side presented a key that is not pinned here")
        if name != self._peer.name:
            raise TransportError(
                f"the other side's identity has another name than {self._peer.name!r}; correct it in this party's file"
            )
        if self._tls.plain.selected_alpn_protocol() != self._protocol:
            raise TransportError(
                f"{self._peer.name} is in another session, or runs another version; start both sides anew"
            )
