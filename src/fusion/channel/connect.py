"""Meeting a peer over the network: one side listens, the other dials and retries until a deadline."""

from __future__ import annotations

import contextlib
import os
import queue
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import overload

import fusion
from fusion import progress
from fusion.channel.channel import Channel, Group
from fusion.channel.config import Party, Peer, host_and_port
from fusion.channel.frames import Frame, Kind
from fusion.channel.identity import fingerprint_of_certificate, tls_context
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
def connect(config: str | os.PathLike[str] | Party, peer: str, *, policy: Policy = allow_all) -> Channel: ...


@overload
def connect(config: str | os.PathLike[str] | Party, *, peers: Sequence[str], policy: Policy = allow_all) -> Group: ...


def connect(
    config: str | os.PathLike[str] | Party,
    peer: str | None = None,
    *,
    peers: Sequence[str] | None = None,
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
    links = _meet(party, wanted, time.monotonic() + party.timeout, is_probe=False)
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
    (link,) = _meet(party, [party.peer(peer)], began + timeout, is_probe=True)
    seconds = time.monotonic() - began
    link.transport.close()
    return PeerInfo(link.hello.name, link.hello.version, seconds)


def _meet(party: Party, wanted: list[Peer], expires: float, *, is_probe: bool) -> list[_Link]:
    links: list[_Link] = []
    try:
        # listening comes first: a peer that we dial may itself be waiting for one that dials us
        with _listen(party, [peer for peer in wanted if peer.address is None], is_probe=is_probe) as arrivals:
            for peer in wanted:
                progress.emit(progress.Event(party.name, "connect", f"waiting for {peer.name}"))
                if peer.address is not None:
                    links.append(_dial(party, peer, peer.address, expires, is_probe=is_probe))
                else:
                    links.append(arrivals.wait(peer, expires))
    except BaseException:
        for link in links:
            link.transport.close()
        raise
    return links


def _introduce(party: Party, peers: Sequence[Peer], sock: socket.socket, *, server: bool, is_probe: bool) -> _Link:
    """TLS, then one HELLO each way."""
    context = tls_context(party.identity, [peer.fingerprint for peer in peers], server=server)
    tls = handshake(sock, context, server=server, seconds=_HANDSHAKE)
    name, fingerprint = fingerprint_of_certificate(tls.plain.getpeercert(binary_form=True))
    known = {peer.fingerprint: peer for peer in peers}
    if fingerprint not in known:
        raise WrongKey("the other side presented a key that is not pinned here")
    peer = known[fingerprint]
    mailbox = Mailbox(WINDOW)
    transport = TlsTransport(sock, tls, mailbox, peer.name)
    try:
        deadline = Deadline(_HANDSHAKE, _HANDSHAKE)
        ours = Hello(WIRE_VERSION, party.name, peer.name, fusion.__version__, is_probe)
        mailbox.put(Frame(Kind.HELLO, encode(ours)), deadline)
        frame = mailbox.get(deadline)
        if frame.kind is not Kind.HELLO:
            raise PeerError(f"{peer.name} did not introduce itself; check that both run the same version")
        hello = decode(frame.payload, Hello)
        if hello.wire != WIRE_VERSION:
            raise MismatchError("wire version", WIRE_VERSION, hello.wire)
        for field, mine, other in (
            ("name of the peer", peer.name, hello.name),
            ("name of the peer", peer.name, name),
            ("name of the peer", hello.peer, party.name),
        ):
            if mine != other:
                raise MismatchError(field, mine, other)
    except BaseException:
        transport.close()
        raise
    return _Link(peer, mailbox, transport, hello)


def _dial(party: Party, peer: Peer, address: str, expires: float, *, is_probe: bool) -> _Link:
    host, port = host_and_port(address)
    reason = "it did not answer"
    while (remaining := expires - time.monotonic()) > 0:
        try:
            sock = socket.create_connection((host, port), timeout=min(remaining, _HANDSHAKE))
        except OSError as error:
            reason = error.strerror or type(error).__name__
        else:
            try:
                link = _introduce(party, [peer], sock, server=False, is_probe=is_probe)
                if is_probe or not link.hello.probe:
                    return link
                link.transport.close()  # somebody only asked whether we are there
                reason = "it was only probing"
            except (WrongKey, MismatchError, PeerError):
                sock.close()
                raise
            except TransportError as error:
                sock.close()
                reason = str(error)
        time.sleep(min(_RETRY, max(expires - time.monotonic(), 0.0)))
    raise TransportError(f"cannot reach {peer.name} at {address} ({reason}); start its side, and check the address")


class _Arrivals:
    """Peers that have dialled us, and why strangers were turned away."""

    def __init__(self, listen: str, peers: Sequence[Peer]) -> None:
        self._listen = listen
        self._queues: dict[str, queue.SimpleQueue[_Link]] = {peer.name: queue.SimpleQueue() for peer in peers}
        self.refused: FusionError | None = None
        self.stopped = threading.Event()

    def arrived(self, link: _Link) -> None:
        self._queues[link.peer.name].put(link)

    def wait(self, peer: Peer, expires: float) -> _Link:
        while (remaining := expires - time.monotonic()) > 0:
            # short waits, so that Ctrl-C is heard
            with contextlib.suppress(queue.Empty):
                return self._queues[peer.name].get(timeout=min(remaining, 0.25))
            if isinstance(self.refused, MismatchError):
                raise self.refused  # pinned, but announcing itself differently: waiting will not help
        turned_away = f"; somebody was turned away: {self.refused}" if self.refused else ""
        raise TransportError(f"{peer.name} did not connect to {self._listen} in time; start its side{turned_away}")

    def close(self) -> None:
        """Hang up on whoever arrived and is not waited for any more."""
        for arrived in self._queues.values():
            while not arrived.empty():
                arrived.get_nowait().transport.close()


@contextlib.contextmanager
def _listen(party: Party, peers: list[Peer], *, is_probe: bool) -> Iterator[_Arrivals]:
    arrivals = _Arrivals(party.listen or "", peers)
    if not peers or party.listen is None:  # a peer without an address implies `listen`
        yield arrivals
        return
    host, port = host_and_port(party.listen)
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        server = socket.create_server((host, port), family=family, backlog=64)
    except OSError as error:
        raise TransportError(
            f"cannot listen on {party.listen}: {error.strerror}; choose another port in this party's file"
        ) from None
    room = threading.BoundedSemaphore(_AT_ONCE)

    def greet(sock: socket.socket) -> None:
        try:
            link = _introduce(party, peers, sock, server=True, is_probe=is_probe)
            if (link.hello.probe and not is_probe) or arrivals.stopped.is_set():
                link.transport.close()
            else:
                arrivals.arrived(link)
        except FusionError as error:
            sock.close()
            arrivals.refused = error
        finally:
            room.release()

    def accept() -> None:
        while not arrivals.stopped.is_set():
            try:
                sock, _ = server.accept()
            except TimeoutError:
                continue
            except OSError:
                return
            if room.acquire(blocking=False):
                threading.Thread(target=greet, args=(sock,), name="fusion-greet", daemon=True).start()
            else:
                sock.close()

    server.settimeout(0.1)
    thread = threading.Thread(target=accept, name="fusion-accept", daemon=True)
    thread.start()
    try:
        yield arrivals
    finally:
        arrivals.stopped.set()
        thread.join()
        server.close()
        arrivals.close()
