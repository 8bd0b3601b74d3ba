"""Strangers on the port, and strange services behind the address: no party stops for them, and none waits for ever."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import socket
import ssl
import struct
import threading
import time

import pytest
from channel.parties import PATIENCE, duel, free_port, free_ports, one_line, swap

from fusion.channel import connect
from fusion.channel import tls as tls_module
from fusion.channel.connect import _Door
from fusion.errors import TransportError

HTTP = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


def client_hello() -> bytes:
    """The first flight of a TLS handshake."""
    context = ssl.create_default_context()
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
    with contextlib.suppress(ssl.SSLWantReadError):
        tls.do_handshake()
    return outgoing.read()


def says(data: bytes):
    def stranger(sock):
        sock.sendall(data)
        with contextlib.suppress(OSError):
            while sock.recv(4096):
                pass

    return stranger


def hangs_up(sock):
    sock.shutdown(socket.SHUT_RDWR)


def resets(sock):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def cuts(data: bytes):
    def stranger(sock):
        sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)
        with contextlib.suppress(OSError):
            sock.recv(4096)

    return stranger


def drips(sock):
    with contextlib.suppress(OSError):
        for byte in client_hello()[:40]:
            sock.sendall(bytes([byte]))
            time.sleep(0.01)


STRANGERS = {
    "web_browser": says(HTTP),
    "random_bytes": says(b"\xee" + os.urandom(5000)),
    "zeros": says(bytes(1000)),
    "ssh": says(b"SSH-2.0-OpenSSH_9.6\r\n"),
    "tls_alert": says(b"\x15\x03\x03\x00\x02\x02\x28"),
    "huge_tls_record": says(b"\x16\x03\x01\xff\xff" + bytes(70_000)),
    "handshake_that_stops": says(client_hello()),
    "handshake_cut_in_the_middle": cuts(client_hello()[:50]),
    "handshake_cut_after_the_first_flight": cuts(client_hello()),
    "hangs_up_at_once": hangs_up,
    "resets": resets,
    "a_byte_at_a_time": drips,
}


def visit(port: int, stranger) -> None:
    sock = None
    until = time.monotonic() + PATIENCE
    while sock is None:
        try:
            sock = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        except ConnectionRefusedError:
            assert time.monotonic() < until, "nobody listens"
            time.sleep(0.01)
    with sock:
        stranger(sock)


def use(party, peer):
    with connect(party, peer) as channel:
        return swap(channel)


@pytest.mark.parametrize("name", STRANGERS)
def test_a_stranger_does_not_keep_the_peer_out(keys, name):
    port = free_port()
    a, b = keys.party("a", listen=port, b=None), keys.party("b", a=port)
    arrived = threading.Event()

    def stranger():
        visit(port, lambda sock: [arrived.set(), STRANGERS[name](sock)])

    def peer():
        arrived.wait(PATIENCE)
        time.sleep(0.05)
        return use(b, "a")

    began = time.monotonic()
    got = duel(lambda: use(a, "b"), peer, stranger)
    assert got == [[], [], None]
    assert time.monotonic() - began < 9  # a stranger's handshake is given ten seconds


def test_who_was_turned_away_is_said_when_nobody_else_comes(keys):
    names = ["web_browser", "random_bytes", "hangs_up_at_once", "handshake_that_stops"]
    roles = []
    for name, port in zip(names, free_ports(len(names)), strict=True):  # all at once: each waits to its deadline
        a = keys.party("a", listen=port, timeout=2, b=None)
        roles += [lambda a=a: connect(a, "b"), lambda port=port, name=name: visit(port, STRANGERS[name])]
    began = time.monotonic()
    errors = dict(zip(names, duel(*roles)[::2], strict=True))
    assert time.monotonic() - began < 9
    for name, error in errors.items():
        assert isinstance(error, TransportError)
        assert "b did not connect" in one_line(error)
        # one that stops in the middle is still being waited for
        assert ("somebody was turned away" in str(error)) == (name != "handshake_that_stops")


def test_a_scanner_does_not_hide_who_was_turned_away(keys):
    """First comes the peer with a key that is not pinned here, then a browser."""
    port = free_port()
    a = keys.party("a", listen=port, timeout=2, b=None)
    wrong = dataclasses.replace(keys.party("b", a=port), identity=keys["c"])

    def comes_then_scans():
        with pytest.raises(TransportError, match="refused our key"):
            connect(wrong, "a")
        visit(port, STRANGERS["web_browser"])

    error, crash = duel(lambda: connect(a, "b"), comes_then_scans)
    assert crash is None
    assert "somebody was turned away: the other side presented a key that is not pinned" in one_line(error)


@pytest.mark.parametrize("stays", [True, False], ids=["silent", "hanging_up"])
def test_a_flood_does_not_keep_the_peer_out(keys, stays):
    """Fifty connections that say nothing, three times as many as may shake hands at once."""
    port = free_port()
    a, b = keys.party("a", listen=port, b=None), keys.party("b", a=port)
    flooded = threading.Event()

    def flood():
        with contextlib.ExitStack() as stack:
            for _ in range(50):
                visit(port, (lambda sock: stack.enter_context(sock.dup())) if stays else hangs_up)
            flooded.set()
            done.wait(PATIENCE)

    def peer():
        flooded.wait(PATIENCE)
        try:
            return use(b, "a")
        finally:
            done.set()

    done = threading.Event()
    began = time.monotonic()
    assert duel(lambda: use(a, "b"), peer, flood) == [[], [], None]
    assert time.monotonic() - began < 9


def test_a_flood_is_held_in_few_threads(keys, monkeypatch):
    port = free_port()
    a, b = keys.party("a", listen=port, b=None), keys.party("b", a=port)
    greet, greeted = _Door._greet, []
    monkeypatch.setattr(_Door, "_greet", lambda door, sock: [greeted.append(sock), greet(door, sock)][1])

    def held() -> int:
        return sum(thread.name == "fusion-greet" for thread in threading.enumerate())

    def flood():
        until = time.monotonic() + PATIENCE / 2
        with contextlib.ExitStack() as stack:
            for _ in range(50):
                visit(port, lambda sock: stack.enter_context(sock.dup()))
            # those pushed out need a moment to go
            while (len(greeted) < 50 or held() > 16) and time.monotonic() < until:
                time.sleep(0.01)
            found = held()
            use(b, "a")
        return found

    _, found = duel(lambda: use(a, "b"), flood)
    assert len(greeted) > 50
    assert 0 < found <= 16


@pytest.mark.parametrize("name", ["web_browser", "random_bytes", "ssh", "hangs_up_at_once", "resets"])
def test_a_strange_service_behind_the_address_is_given_up(keys, name):
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.1)
        over = threading.Event()

        def service():
            while not over.is_set():
                try:
                    sock, _ = server.accept()
                except TimeoutError:
                    continue
                with sock, contextlib.suppress(OSError):
                    sock.settimeout(1)
                    STRANGERS[name](sock)

        def dials():
            try:
                return connect(keys.party("b", a=server.getsockname()[1], timeout=0.5), "a")
            finally:
                over.set()

        began = time.monotonic()
        error, _ = duel(dials, service)
    assert time.monotonic() - began < 9
    assert isinstance(error, TransportError)
    assert "cannot reach a" in one_line(error)


def test_a_handshake_that_drips_ends_at_its_deadline(keys):
    """A byte now and then is progress for a socket's own timeout, and would be for ever."""
    from channel.parties import tcp_pair

    near, far = tcp_pair()
    over = threading.Event()

    def dripping():
        # an endless handshake message, in tiny records
        with contextlib.suppress(OSError):
            far.sendall(b"\x16\x03\x01\x00\x05\x01\x00\xff\xff\x03")
            while not over.is_set():
                far.sendall(b"\x16\x03\x01\x00\x01\x03")
                time.sleep(0.002)

    def victim():
        context = tls_module.ssl.SSLContext(tls_module.ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(keys["a"].path)
        try:
            return tls_module.handshake(near, context, server=True, seconds=0.4)
        finally:
            over.set()

    began = time.monotonic()
    with near, far:
        error, _ = duel(victim, dripping)
    assert isinstance(error, TransportError)
    assert "did not complete the handshake" in one_line(error)
    assert time.monotonic() - began < 15
