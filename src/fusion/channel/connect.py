"""Meeting a peer over the network: one side listens, the other dials and retries until a deadline.

Whoever listens lets strangers in by sixteen, and a newcomer pushes out the one that has hesitated longest: idle or slow
connections cannot keep the peer away.
"""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self, overload

import fusion
from fusion import progress
from fusion.channel.channel import Channel, Group
from fusion.channel.config import Party, Peer, host_and_port
from fusion.channel.frames import Frame, Kind
from fusion.channel.identity import ALPN, fingerprint_of_certificate, protocol_of, tls_context
from fusion.channel.mailbox import Deadline, Mailbox
from fusion.channel.messages import WIRE_VERSION, Hello, decode, encode
from fusion.channel.policy import Policy, allow_all
from fusion.channel.tls import TlsTransport, WrongKey, handshake
from fusion.errors import FusionError, InputError, MismatchError, PeerError, TransportError

__all__ = ["PeerInfo", "connect", "probe"]

WINDOW = 16
_HANDSHAKE = 10.0  # seconds for TLS and the first words
_AT_ONCE = 16  # strangers that may shake hands at the same time
_RETRY = 0.25  # seconds between two attempts to dial


@dataclass(frozen=True, slots=True)
class PeerInfo:
    """What a peer said of itself when asked: its name, its version of this package, and after how many seconds."""

    name: str
    version: str
    seconds: float


@dataclass(slots=True)
class _Link:
    peer: Peer
    mailbox: Mailbox
    transport: TlsTransport
    hello: Hello


@overload
def connect(
    config: str | os.PathLike[str] | Party, peer: str, *, session: str | None = None, policy: Policy = allow_all
) -> Channel: ...


@overload
def connect(
    config: str | os.PathLike[str] | Party,
    *,
    peers: Sequence[str],
    session: str | None = None,
    policy: Policy = allow_all,
) -> Group: ...


def connect(
    config: str | os.PathLike[str] | Party,
    peer: str | None = None,
    *,
    peers: Sequence[str] | None = None,
    session: str | None = None,
    policy: Policy = allow_all,
) -> Channel | Group:
    """Meet a peer, or several, over mutual TLS 1.3.

    Parameters
    ----------
    config : path or Party
        This party's TOML file.
    peer : str
        The peer to meet; the result is a `Channel`.
    peers : sequence of str
        Several peers to meet; the result is a `Group`.
    session : str
        A name that both sides must give alike, or both leave out. Whoever comes for another session is told to come
        again: where sessions follow each other closely, nobody ends up in the wrong one.
    policy : callable
        Asked before anything of an operation leaves; see `fusion.channel.Policy`.

    Returns
    -------
    Channel or Group
        To be used in a ``with`` statement.

    Raises
    ------
    InputError
        When the party's file cannot be used or does not know the peer.
    TransportError
        When the peer cannot be met before the deadline, or its key is not the pinned one.
    MismatchError
        When names or wire versions differ.
    """
    party = config if isinstance(config, Party) else Party.load(config)
    if (peer is None) == (peers is None):
        raise InputError("name the one to meet with peer=, or several with peers=[...]")
    wanted = [party.peer(name) for name in ([peer] if peer is not None else dict.fromkeys(peers or ()))]
    if not wanted:
        raise InputError("peers=[] names nobody; name at least one")
    if party.listen is None:
        for each in wanted:
            if each.address is None:
                raise InputError(
                    f"peer {each.name!r} has no `address` and this party has no `listen`; give one of them"
                )
    links = _meet(party, wanted, time.monotonic() + party.timeout, session, is_probe=False)
    channels = {
        link.peer.name: Channel(
            party.name,
            link.peer.name,
            link.mailbox,
            link.transport,
            fingerprints=(party.identity.fingerprint, link.peer.fingerprint),
            timeout=party.timeout,
            policy=policy,
        )
        for link in links
    }
    if peer is not None:
        return channels[peer]
    return Group(party.name, channels)


def probe(config: str | os.PathLike[str] | Party, peer: str, timeout: float = 5.0) -> PeerInfo:
    """Ask whether a peer answers. One that waits for a session goes on waiting.

    Raises
    ------
    TransportError
        When nobody answers within ``timeout`` seconds, or the key is not the pinned one.
    """
    party = config if isinstance(config, Party) else Party.load(config)
    began = time.monotonic()
    (link,) = _meet(party, [party.peer(peer)], began + timeout, None, is_probe=True)
    seconds = time.monotonic() - began
    link.transport.close()
    return PeerInfo(link.hello.name, link.hello.version, seconds)


def _meet(party: Party, wanted: list[Peer], expires: float, session: str | None, *, is_probe: bool) -> list[_Link]:
    dialled: dict[str, _Link] = {}
    awaited = {peer.name: peer for peer in wanted if peer.address is None}
    with contextlib.ExitStack() as stack:
        # listening comes first: a peer that we dial may itself be waiting for one that dials us
        door = stack.enter_context(_Door(party, awaited, session, is_probe=is_probe)) if awaited else None
        try:
            for peer in wanted:
                progress.emit(progress.Event(party.name, "connect", f"waiting for {peer.name}"))
                if door is not None and peer.name in awaited:
                    door.wait(peer, expires)
                else:
                    dialled[peer.name] = _dial(party, peer, expires, session, is_probe=is_probe)
        except BaseException:
            for link in dialled.values():
                link.transport.close()
            raise
        # only now: whoever came early may have started again since
        links = dialled | (door.take() if door is not None else {})
    return [links[peer.name] for peer in wanted]


def _introduce(
    party: Party,
    context: ssl.SSLContext,
    sock: socket.socket,
    wanted: Mapping[str, Peer],
    session: str | None,
    *,
    server: bool,
    is_probe: bool,
    seconds: float,
) -> _Link:
    """TLS, then one HELLO each way, the dialling side first. On failure the socket is closed."""
    transport: TlsTransport | None = None
    try:
        deadline = Deadline(seconds, seconds)
        tls = handshake(sock, context, server=server, seconds=seconds)
        name, fingerprint = fingerprint_of_certificate(tls.plain.getpeercert(binary_form=True))
        peer = next((peer for peer in party.peers.values() if peer.fingerprint == fingerprint), None)
        if peer is None:
            raise WrongKey("the other side presented a key that is not pinned here")
        awaited = peer.name in wanted
        protocol = tls.plain.selected_alpn_protocol()
        elsewhere = TransportError(f"{peer.name} came, but not for this session")
        if awaited and protocol is None:
            raise MismatchError("protocol", ALPN, "another version") if session is None else elsewhere
        mailbox = Mailbox(WINDOW)
        transport = TlsTransport(sock, tls, mailbox, peer.name)
        ours = Frame(Kind.HELLO, encode(Hello(WIRE_VERSION, party.name, peer.name, fusion.__version__, is_probe)))
        if not server:
            mailbox.put(ours, deadline)
        frame = mailbox.get(deadline)
        if frame.kind is not Kind.HELLO:
            raise PeerError(f"{peer.name} did not introduce itself; check that both run the same version")
        hello = decode(frame.payload, Hello)
        if not awaited and not hello.probe:
            # known, but not now: hearing no HELLO it tries again, until we wait for it or its patience ends
            raise TransportError(f"{peer.name} came, but is not awaited now")
        if awaited and not hello.probe and protocol != protocol_of(session):
            raise elsewhere
        if server:
            mailbox.put(ours, deadline)
        for field, mine, other in (
            ("wire version", WIRE_VERSION, hello.wire),
            (f"the name of {peer.name}", peer.name, hello.name),
            (f"the name of {peer.name}", peer.name, name),
            (f"the name of {party.name}", party.name, hello.peer),
        ):
            if awaited and mine != other:
                raise MismatchError(field, mine, other)
    except OSError as error:
        sock.close()
        raise TransportError(f"cannot set up the connection: {error.strerror or type(error).__name__}") from None
    except BaseException:
        if transport is not None:
            transport.close()
        sock.close()
        raise
    return _Link(peer, mailbox, transport, hello)


def _dial(party: Party, peer: Peer, expires: float, session: str | None, *, is_probe: bool) -> _Link:
    host, port = host_and_port(peer.address or "")
    context = tls_context(party.identity, [peer.fingerprint], server=False, protocols=[protocol_of(session)])
    reason = "it did not answer"
    while (remaining := expires - time.monotonic()) > 0:
        seconds = min(remaining, _HANDSHAKE)
        try:
            sock = socket.create_connection((host, port), timeout=seconds)
            link = _introduce(
                party, context, sock, {peer.name: peer}, session, server=False, is_probe=is_probe, seconds=seconds
            )
            if is_probe or not link.hello.probe:
                return link
            link.transport.close()
            reason = "it was only probing"
        except WrongKey:
            raise
        except TransportError as error:
            reason = str(error)
        except OSError as error:
            reason = error.strerror or type(error).__name__
        time.sleep(max(min(_RETRY, expires - time.monotonic()), 0.0))
    raise TransportError(
        f"cannot reach {peer.name} at {peer.address} ({reason}); start its side, and check the address"
    )


class _Door:
    """A listening socket, strangers shaking hands, and the peers that have come in."""

    def __init__(self, party: Party, wanted: Mapping[str, Peer], session: str | None, *, is_probe: bool) -> None:
        self._party = party
        self._session = session
        self._wanted = wanted
        self._is_probe = is_probe
        # every pinned peer may shake hands: one that comes early must not hear that its key is refused
        pins = [peer.fingerprint for peer in party.peers.values()]
        # a probe asks in no session's name
        protocols = dict.fromkeys([protocol_of(session), ALPN])
        self._context = tls_context(party.identity, pins, server=True, protocols=list(protocols))
        self._changed = threading.Condition()
        self._strangers: dict[socket.socket, None] = {}
        self._arrived: dict[str, _Link] = {}
        self._refused: FusionError | None = None
        self._closed = False
        host, port = host_and_port(party.listen or "")  # a peer without an address implies `listen`
        try:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            self._server = socket.create_server((host, port), family=family, backlog=64)
        except OSError as error:
            raise TransportError(
                f"cannot listen on {party.listen}: {os.strerror(error.errno or 0)}; "
                "choose a free port and an address of this machine in this party's file"
            ) from None
        self._server.settimeout(0.1)
        self._thread = threading.Thread(target=self._accept, name="fusion-accept", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Stop listening, and hang up on whoever is not waited for any more."""
        with self._changed:
            self._closed = True
            for sock in self._strangers:
                _shut(sock)
        self._thread.join()
        self._server.close()
        for link in self._arrived.values():
            link.transport.close()

    def wait(self, peer: Peer, expires: float) -> None:
        """Return when ``peer`` has come."""
        with self._changed:
            while peer.name not in self._arrived:
                if isinstance(self._refused, MismatchError):
                    raise self._refused  # pinned, but announcing itself differently: waiting will not help
                remaining = expires - time.monotonic()
                if remaining <= 0:
                    turned_away = f"; somebody was turned away: {self._refused}" if self._refused else ""
                    raise TransportError(
                        f"{peer.name} did not connect to {self._party.listen} before the deadline; start its side, "
                        f"or raise `timeout` in this party's file{turned_away}"
                    )
                self._changed.wait(min(remaining, 0.25))

    def take(self) -> dict[str, _Link]:
        """The newest connection from everybody who has come."""
        with self._changed:
            taken, self._arrived = self._arrived, {}
        return taken

    def _accept(self) -> None:
        while not self._closed:
            try:
                sock, _ = self._server.accept()
            except TimeoutError:
                continue
            except OSError:  # such as too many open files: it passes
                time.sleep(0.1)
                continue
            with self._changed:
                if self._closed:
                    sock.close()
                    return
                if len(self._strangers) >= _AT_ONCE:
                    oldest = next(iter(self._strangers))
                    del self._strangers[oldest]
                    _shut(oldest)
                self._strangers[sock] = None
            threading.Thread(target=self._greet, args=(sock,), name="fusion-greet", daemon=True).start()

    def _greet(self, sock: socket.socket) -> None:
        unwanted: _Link | None = None
        try:
            link = _introduce(
                self._party,
                self._context,
                sock,
                self._wanted,
                self._session,
                server=True,
                is_probe=self._is_probe,
                seconds=_HANDSHAKE,
            )
            with self._changed:
                if self._closed or (link.hello.probe and not self._is_probe):
                    unwanted = link
                else:
                    # a second connection means that the peer started again: the first one is dead
                    unwanted = self._arrived.get(link.peer.name)
                    self._arrived[link.peer.name] = link
                    self._changed.notify_all()
        except FusionError as error:
            with self._changed:
                if _weight(error) >= _weight(self._refused):
                    self._refused = error
        finally:
            if unwanted is not None:
                unwanted.transport.close()
            with self._changed:
                self._strangers.pop(sock, None)


def _shut(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):  # gone already
        sock.shutdown(socket.SHUT_RDWR)


def _weight(error: FusionError | None) -> int:
    """How much an error says to somebody who waits: a port scanner must not hide a wrong pin."""
    return 0 if error is None else 3 if isinstance(error, MismatchError) else 2 if isinstance(error, WrongKey) else 1
