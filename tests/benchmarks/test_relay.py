"""The relay delivers every byte, no sooner than the link would, and ends of connections too."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import relay
from benchmarks.children import free_ports
from benchmarks.relay import Way, relaying


@given(st.lists(st.integers(0, 1 << 20), min_size=1, max_size=20), st.floats(1e3, 1e9), st.floats(0, 1))
def test_pieces_arrive_in_order_after_the_time_they_take(sizes: list[int], rate: float, delay: float) -> None:
    way = Way(rate, delay)
    began = time.monotonic()
    arrivals = [way.book(size)[0] for size in sizes]
    assert arrivals == sorted(arrivals)
    assert arrivals[-1] - began >= (sum(sizes) / rate + delay) * (1 - 1e-9)


def test_an_idle_link_is_free_at_once_and_does_not_save_up() -> None:
    way = Way(1e6, 0.5)
    way.book(1000)
    time.sleep(0.01)
    began = time.monotonic()
    arrives, pause = way.book(1000)
    assert began + 0.501 <= arrives <= time.monotonic() + 0.501
    assert pause < 0


def test_senders_wait_when_too_much_is_under_way() -> None:
    way = Way(1e6, 0.0)
    assert way.book(1_000_000)[1] == pytest.approx(0.95, abs=0.01)


@contextlib.contextmanager
def pairs(count: int, rate: float, delay: float, *, crossed: bool = False) -> Iterator[list[tuple[socket.socket, ...]]]:
    """Connections through one relay, as pairs of who dialled and who answered."""
    ports = free_ports(2 * count)
    routes = [
        {"listen": ports[2 * i], "target": ports[2 * i + 1], "way": i % 2 if crossed else 0} for i in range(count)
    ]
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(socket.create_server(("127.0.0.1", route["target"]))) for route in routes]
        stack.enter_context(relaying(routes, rate, delay))
        found = []
        for route, server in zip(routes, servers, strict=True):
            dialler = stack.enter_context(socket.create_connection(("127.0.0.1", route["listen"])))
            answerer = stack.enter_context(server.accept()[0])
            for end in (dialler, answerer):
                end.settimeout(60)
            found.append((dialler, answerer))
        yield found


def read(end: socket.socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size and (got := end.recv(1 << 16)):
        data += got
    return bytes(data)


def test_every_byte_arrives_both_ways_and_then_the_end() -> None:
    with pairs(1, 1e8, 0.001) as [(dialler, answerer)]:
        there, back = bytes(range(256)) * 4000, bytes(range(255, -1, -1)) * 3000
        senders = [
            threading.Thread(target=lambda: (dialler.sendall(there), dialler.shutdown(socket.SHUT_WR))),
            threading.Thread(target=lambda: (answerer.sendall(back), answerer.shutdown(socket.SHUT_WR))),
        ]
        for sender in senders:
            sender.start()
        assert read(answerer, len(there)) == there
        assert read(dialler, len(back)) == back
        assert answerer.recv(1) == dialler.recv(1) == b""
        for sender in senders:
            sender.join()


def test_a_word_takes_half_a_round_trip_each_way() -> None:
    with pairs(1, 1e9, 0.1) as [(dialler, answerer)]:
        began = time.monotonic()
        dialler.sendall(b"?")
        assert read(answerer, 1) == b"?"
        assert time.monotonic() - began >= 0.1
        answerer.sendall(b"!")
        assert read(dialler, 1) == b"!"
        assert time.monotonic() - began >= 0.2


@pytest.mark.parametrize(("crossed", "at_least"), [(False, 0.4), (True, 0.2)], ids=["one way", "both ways"])
def test_connections_share_a_direction_and_not_the_other(
    crossed: bool, at_least: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    size, rate = 200_000, 1e6
    booked: Counter[Way] = Counter()

    def book(way: Way, size: int) -> tuple[float, float]:
        booked[way] += size
        return original(way, size)

    original = Way.book
    monkeypatch.setattr(Way, "book", book)
    with pairs(2, rate, 0.0, crossed=crossed) as found:
        began = time.monotonic()
        senders = [threading.Thread(target=dialler.sendall, args=(bytes(size),)) for dialler, _ in found]
        for sender in senders:
            sender.start()
        for _, answerer in found:
            assert len(read(answerer, size)) == size
        took = time.monotonic() - began
        for sender in senders:
            sender.join()
    assert took >= at_least
    # side by side, or one after the other
    assert [count for count in booked.values() if count] == ([size, size] if crossed else [2 * size])


def test_one_who_dials_first_is_connected_when_the_other_listens() -> None:
    listen, target = free_ports(2)
    route = {"listen": listen, "target": target, "way": 0}
    with relaying([route], 1e9, 0.0), socket.create_connection(("127.0.0.1", listen)) as dialler:
        dialler.sendall(b"early")
        time.sleep(0.1)
        with socket.create_server(("127.0.0.1", target)) as server, server.accept()[0] as answerer:
            answerer.settimeout(60)
            assert read(answerer, 5) == b"early"


def test_one_who_dials_in_vain_is_hung_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay, "_MEETING", 0.2)
    listen, target = free_ports(2)
    with (
        relaying([{"listen": listen, "target": target, "way": 0}], 1e9, 0.0),
        socket.create_connection(("127.0.0.1", listen)) as dialler,
    ):
        dialler.settimeout(60)
        assert dialler.recv(1) == b""


def test_nobody_listens_after_the_block() -> None:
    listen, target = free_ports(2)
    with relaying([{"listen": listen, "target": target, "way": 0}], 1e9, 0.0):
        pass
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", listen))
