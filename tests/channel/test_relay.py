"""A channel over couriers who lose, repeat, reorder and forge."""

from __future__ import annotations

import itertools
import queue
import random
import threading
from collections.abc import Callable

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fusion
from fusion.channel import Channel, Identity, Party, Peer, relay
from fusion.channel.identity import protocol_of
from fusion.channel.relay import MAX_DATA, Stream, relayed
from fusion.errors import InputError, MismatchError, PeerAborted, TransportError

from .parties import PATIENCE, Keys, duel, one_line, rows, swap

HEADER = 40


class Post:
    """Two couriers and the road between them, which `forward` may make worse."""

    def __init__(self, forward: Callable[[str, bytes], list[bytes]] = lambda _, packet: [packet]) -> None:
        self.boxes: dict[str, queue.Queue[bytes]] = {"a": queue.Queue(), "b": queue.Queue()}
        self.forward = forward
        self.packets: list[tuple[str, bytes]] = []

    def courier(self, name: str) -> relay.Carry:
        other = "b" if name == "a" else "a"

        def carry(packet: bytes) -> bytes:
            self.packets.append((name, packet))
            for each in self.forward(name, packet):
                self.boxes[other].put(each)
            try:
                return self.boxes[name].get(timeout=0.05)
            except queue.Empty:
                return b""

        return carry

    def mend(self) -> None:
        """From now on nothing gets lost."""
        self.forward = lambda _, packet: [packet]

    def flights(self) -> list[str]:
        """Who sent a flight that was more than an acknowledgement or a sign of life, in order."""
        return [name for name, _ in itertools.groupby(name for name, packet in self.packets if len(packet) > 200)]


def side(
    keys: Keys,
    post: Post,
    name: str,
    role: Callable[[Channel], object],
    *,
    session: str = "s",
    known: Identity | None = None,
    called: str = "",
) -> Callable[[], object]:
    other = called or ("b" if name == "a" else "a")
    pin = known or keys["b" if name == "a" else "a"]
    party = Party(name, keys[name], None, {other: Peer(other, pin.fingerprint, None)}, 5.0)

    def play() -> object:
        with relayed(party, other, post.courier(name), session=session) as peer:
            return role(peer)

    return play


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in {"LINGER": 3.0, "HEARTBEAT": 0.1, "SILENCE": 20.0}.items():
        monkeypatch.setattr(relay, name, seconds)


@pytest.fixture
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """For what ends in silence."""
    for name, seconds in {"LINGER": 0.5, "SILENCE": 2.0}.items():
        monkeypatch.setattr(relay, name, seconds)


def sent(seed: int, count: int = 3, size: int = 4000) -> list:
    return [rows(size, seed=seed + index) for index in range(count)]


def texts(arrays: list) -> list[bytes]:
    return [array.tobytes() for array in arrays]


def both(keys: Keys, post: Post, leave: Callable[[], object] = lambda: None) -> None:
    """An operation each way, which must give each side exactly the other's rows; each calls ``leave`` at the end."""
    a, b = sent(1), sent(10)
    outcome = duel(
        side(keys, post, "a", lambda peer: [swap(peer, a), leave()][0]),
        side(keys, post, "b", lambda peer: [swap(peer, b), leave()][0]),
    )
    assert outcome == [texts(b), texts(a)]


def test_few_flights(keys: Keys) -> None:
    tables = {name: pd.DataFrame({"id": range(start, start + 900)}) for name, start in (("a", 0), ("b", 300))}
    post = Post()

    def role(name: str) -> Callable[[], object]:
        return side(keys, post, name, lambda peer: fusion.psi.intersect(peer, tables[name], on=["id"], protocol="ecdh"))

    mine, theirs = duel(role("a"), role("b"))
    assert sorted(mine["id"]) == list(range(300, 900))
    assert list(mine["id"]) == list(theirs["id"])
    assert mine.index.name == theirs.index.name
    # hello; hello and certificate; certificate and opening; opening and masks; masks and tags; tags and hashes; hashes
    assert post.flights() == list("abababa")


def test_operations_follow_each_other(keys: Keys) -> None:
    post = Post()

    def role(peer: Channel) -> list[bytes]:
        first = swap(peer, sent(ord(peer.name)))
        with pytest.raises((MismatchError, PeerAborted)):
            swap(peer, parameters={"who": peer.name})
        return first + swap(peer, sent(ord(peer.name) + 50))

    a, b = duel(side(keys, post, "a", role), side(keys, post, "b", role))
    assert a == texts(sent(98) + sent(148))
    assert b == texts(sent(97) + sent(147))


@pytest.mark.parametrize("seed", range(3))
def test_lost_repeated_and_late(keys: Keys, seed: int) -> None:
    dice = random.Random(seed)
    late: dict[str, list[bytes]] = {"a": [], "b": []}

    def forward(name: str, packet: bytes) -> list[bytes]:
        kind = dice.randrange(4)
        if kind == 0:
            return []
        if kind == 1:
            return [packet, packet]
        if kind == 2:
            late[name].append(packet)
            return []
        arrived, late[name] = [packet, *late[name]], []
        return arrived

    both(keys, Post(forward))


def test_a_small_packet_holds_back_the_sender(keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay, "MAX_DATA", 1 << 14)
    monkeypatch.setattr(relay, "MAX_PACKET", HEADER + (1 << 15))
    post = Post()
    both(keys, post)
    # what fills a packet is a whole frame, at most
    assert max(len(packet) for _, packet in post.packets) <= HEADER + (1 << 14)


def test_the_relay_sees_no_plaintext(keys: Keys) -> None:
    canary = b"canary in the mine!!" * 4
    post = Post()
    word = rows(1, 80)
    word[0] = list(canary)
    duel(
        side(keys, post, "a", lambda peer: swap(peer, [word], width=80)),
        side(keys, post, "b", lambda peer: swap(peer, [word], width=80)),
    )
    carried = b"".join(packet for _, packet in post.packets)
    assert len(carried) > 2 * len(canary)
    assert canary[:20] not in carried
    assert b"test.swap" not in carried


@pytest.mark.parametrize("where", range(4))
def test_changed_bytes(keys: Keys, where: int) -> None:
    turn = itertools.count()

    def forward(name: str, packet: bytes) -> list[bytes]:
        if len(packet) > HEADER + 40 and next(turn) == where:
            changed = bytearray(packet)
            changed[-20] ^= 1
            return [bytes(changed)]
        return [packet]

    post = Post(forward)
    outcome = duel(
        side(keys, post, "a", lambda peer: swap(peer, sent(1))), side(keys, post, "b", lambda peer: swap(peer, sent(2)))
    )
    for error in outcome:
        assert isinstance(error, TransportError)
        one_line(error)
    assert any("the relay is not what" in str(error) for error in outcome)


@pytest.mark.parametrize(
    "forgery",
    {
        "empty": lambda packet: b"",
        "short": lambda packet: packet[: HEADER - 1],
        "of_another_session": lambda packet: bytes(16) + packet[16:],
        "acknowledging_what_was_not_sent": lambda packet: packet[:32] + (1 << 60).to_bytes(8, "little") + packet[40:],
        "answering_what_was_not_sent": lambda packet: packet[:20] + bytes([255] * 4) + packet[24:],
        "beginning_after_a_gap": lambda packet: packet[:24] + (1 << 40).to_bytes(8, "little") + packet[32:],
        "oversized": lambda packet: packet + bytes(MAX_DATA + 1),
    }.items(),
    ids=lambda item: item[0],
)
def test_what_does_not_fit_counts_as_lost(
    keys: Keys, forgery: tuple[str, Callable[[bytes], bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    dice = random.Random(1)  # not every third: the sides' turns may fall in step with it
    post = Post(lambda _, packet: [forgery[1](packet) if dice.randrange(3) == 1 else packet])
    # whose farewell is lost would wait for an answer to it as long as `LINGER` says
    over = threading.Barrier(2, post.mend)
    monkeypatch.setattr(relay, "TURN", 0.1)  # whoever waits there still answers
    both(keys, post, lambda: over.wait(PATIENCE))


@pytest.mark.usefixtures("_hasty")
def test_bytes_acknowledged_by_the_relay_itself_stop_the_session_and_change_nothing(keys: Keys) -> None:
    def forward(name: str, packet: bytes) -> list[bytes]:
        return [] if name == "a" else [packet[:32] + (300).to_bytes(8, "little") + packet[40:]]

    post = Post(forward)
    outcome = duel(
        side(keys, post, "a", lambda peer: swap(peer, sent(1))), side(keys, post, "b", lambda peer: swap(peer, sent(2)))
    )
    assert all(isinstance(error, TransportError) for error in outcome)


def test_a_key_that_is_not_pinned(keys: Keys) -> None:
    post = Post()
    outcome = duel(
        side(keys, post, "a", swap),
        side(keys, post, "b", swap, known=keys["c"]),
    )
    assert all(isinstance(error, TransportError) for error in outcome)
    assert any("not pinned" in str(error) for error in outcome)
    assert any("refused our key" in str(error) for error in outcome)


@pytest.mark.usefixtures("_hasty")
def test_another_name(keys: Keys) -> None:
    post = Post()
    outcome = duel(side(keys, post, "a", swap, called="c"), side(keys, post, "b", swap))
    assert "has another name than 'c'" in str(outcome[0])
    assert isinstance(outcome[1], TransportError)


def test_another_session(keys: Keys) -> None:
    # the relay puts two sessions together: the tags of packets it can rewrite, what TLS agreed on it cannot
    tags = {name: Stream(session).packet()[:16] for name, session in (("a", "s1"), ("b", "s2"))}
    post = Post(lambda name, packet: [tags["b" if name == "a" else "a"] + packet[16:]])
    outcome = duel(side(keys, post, "a", swap, session="s1"), side(keys, post, "b", swap, session="s2"))
    assert all(isinstance(error, TransportError) for error in outcome)
    assert any("in another session" in str(error) for error in outcome)
    assert protocol_of("s1") != protocol_of("s2")


@pytest.mark.usefixtures("_hasty")
def test_nobody_there(keys: Keys) -> None:
    (error,) = duel(side(keys, Post(), "a", swap))
    assert isinstance(error, TransportError)
    assert "over the relay" in one_line(error)


def test_a_side_that_fails_says_so(keys: Keys) -> None:
    def fail(peer: Channel) -> None:
        with peer.operation("test.swap"):
            raise InputError("the table is missing; put it back")

    post = Post()
    a, b = duel(side(keys, post, "a", swap), side(keys, post, "b", fail))
    assert isinstance(b, InputError)
    assert isinstance(a, PeerAborted)
    assert a.error == "InputError"


def test_a_courier_that_fails_ends_the_channel(keys: Keys) -> None:
    post = Post()
    party = Party("a", keys["a"], None, {"b": Peer("b", keys["b"].fingerprint, None)}, 5.0)

    def carry(packet: bytes) -> bytes:
        raise OSError("secret path")

    with (
        relayed(party, "b", carry, session="s") as peer,
        pytest.raises(TransportError, match=r"courier to b failed with OSError") as raised,
    ):
        swap(peer)
    assert "secret" not in str(raised.value)
    assert not post.packets


def test_computing_for_long_is_not_silence(keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay, "TURN", 0.2)
    monkeypatch.setattr(relay, "SILENCE", 3.0)
    pause = threading.Event()

    def slow(peer: Channel) -> list[bytes]:
        return swap(peer, sent(1), inside=lambda _: bool(pause.wait(5.0)) and None)

    post = Post()
    a, b = duel(side(keys, post, "a", slow), side(keys, post, "b", lambda peer: swap(peer, sent(2))))
    assert (a, b) == (texts(sent(2)), texts(sent(1)))


@given(
    st.lists(
        st.tuples(st.binary(max_size=20), st.binary(max_size=20), st.integers(0, 4), st.integers(0, 4)), max_size=30
    )
)
def test_streams_deliver_in_order_or_not_yet(script: list[tuple[bytes, bytes, int, int]]) -> None:
    """Whatever is lost, repeated or late, what has come is a prefix of what was written; with honest turns, all."""
    ends = Stream("s"), Stream("s")
    written = [b"", b""]
    arrived = [b"", b""]
    road: list[list[bytes]] = [[], []]  # packets ever made by each end

    def take(to: int, packet: bytes) -> None:
        arrived[to] += ends[to].take(packet) or b""
        assert written[1 - to].startswith(arrived[to])
        assert ends[to].received == len(arrived[to])

    for first, second, old, older in script:
        for end, words in enumerate((first, second)):
            ends[end].write(words)
            written[end] += words
            road[end].append(ends[end].packet())
        for to, back in ((0, old), (1, older)):
            if back and back <= len(road[1 - to]):
                take(to, road[1 - to][-back])
    for _ in range(8):
        for end in (0, 1):
            take(1 - end, ends[end].packet())
    assert arrived == [written[1], written[0]]
    assert ends[0].settled
    assert ends[1].settled


def test_nothing_is_sent_twice_when_nothing_is_lost() -> None:
    """Two packets that cross do not make each other go again."""
    a, b = Stream("s"), Stream("s")
    total = {"a": 0, "b": 0}
    for _ in range(10):
        a.write(bytes(100))
        b.write(bytes(100))
        from_a, from_b = a.packet(), b.packet()
        total["a"] += len(from_a) - HEADER
        total["b"] += len(from_b) - HEADER
        a.take(from_b)
        b.take(from_a)
    assert total == {"a": 1000, "b": 1000}


def test_waiting_for_a_peer_that_computes_sends_nothing_again() -> None:
    a, b = Stream("s"), Stream("s")
    a.write(b"words")
    assert b.take(a.packet()) == b"words"
    assert all(len(a.packet()) == HEADER for _ in range(10))  # looking for an answer
    a.take(b.packet())
    assert a.settled


def test_bytes_without_room_come_again() -> None:
    a, b = Stream("s"), Stream("s")
    a.write(b"words")
    assert b.take(a.packet(), room=False) == b""
    for _ in range(2):
        a.take(b.packet())
        fresh = b.take(a.packet())
    assert fresh == b"words"
