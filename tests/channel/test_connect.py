"""Meeting over the network: names, versions, retries, deadlines, several peers, probes."""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import os
import signal
import socket
import threading
import time
from pathlib import Path

import pytest

import fusion
from fusion.channel import Channel, Group, connect, probe, tls
from fusion.channel.config import Peer
from fusion.errors import InputError, MismatchError, PolicyError, TransportError

from .parties import PATIENCE, duel, free_port, free_ports, one_line, rows, swap


def meeting(keys, **changes):
    """Party a listens for b, and b dials it."""
    port = free_port()
    return keys.party("a", listen=port, b=None, **changes), keys.party("b", a=port, **changes)


def use(party, peer, role=swap, **arguments):
    with connect(party, peer, **arguments) as channel:
        return role(channel)


def test_two_parties_meet_and_work(keys):
    a, b = meeting(keys)
    got = duel(lambda: use(a, "b", lambda peer: swap(peer, [rows(4)])), lambda: use(b, "a"))
    assert got == [[], [rows(4).tobytes()]]


def test_meeting_takes_no_longer_than_a_moment(keys, monkeypatch):
    """The first words of either side are read as soon as they are there, not with the next heartbeat."""
    monkeypatch.setattr(tls, "HEARTBEAT", 3 * PATIENCE)
    a, b = meeting(keys)
    began = time.monotonic()
    for _ in range(6):
        assert duel(lambda: use(a, "b"), lambda: use(b, "a")) == [[], []]
    assert time.monotonic() - began < 9  # without either, an attempt lasts ten seconds


def test_whoever_dials_first_retries(keys):
    a, b = meeting(keys)

    def late():
        time.sleep(0.6)
        return use(a, "b")

    assert duel(late, lambda: use(b, "a")) == [[], []]


def test_whoever_comes_for_another_session_is_told_to_come_again(keys):
    a, b = meeting(keys)

    def early():
        for session in ("first", None):
            with pytest.raises(TransportError):
                connect(dataclasses.replace(b, timeout=0.5), "a", session=session)
        return use(b, "a", session="second")

    assert duel(lambda: use(a, "b", session="second"), early) == [[], []]


def test_a_probe_reaches_one_who_waits_for_a_session(keys):
    a, b = meeting(keys)
    outcome = duel(
        lambda: use(a, "b", session="s"), lambda: (probe(b, "a", timeout=PATIENCE).name, use(b, "a", session="s"))
    )
    assert outcome == [[], ("a", [])]


def test_without_addresses_there_is_only_a_relay(keys):
    party = dataclasses.replace(keys.party("a", b=None), listen=None)
    with pytest.raises(InputError, match="has no `address` and this party has no `listen`; give one of them"):
        connect(party, "b")


def test_nobody_there_is_a_transport_error_at_the_deadline(keys):
    a, b = meeting(keys, timeout=1)
    for party, peer, words in ((a, "b", "did not connect to"), (b, "a", "Connection refused")):
        began = time.monotonic()
        with pytest.raises(TransportError, match=words) as caught:
            connect(party, peer)
        assert 0.9 < time.monotonic() - began < 20
        assert "start its side" in one_line(caught.value)


def test_a_silent_listener_is_given_up_at_the_deadline(keys):
    with socket.create_server(("127.0.0.1", 0)) as server:
        party = keys.party("b", a=server.getsockname()[1], timeout=1)
        began = time.monotonic()
        with pytest.raises(TransportError, match="did not complete the handshake"):
            connect(party, "a")
        assert time.monotonic() - began < 9  # a handshake alone is given ten seconds


def test_a_port_in_use_is_named(keys):
    with socket.create_server(("127.0.0.1", 0)) as server:
        with pytest.raises(TransportError, match="choose a free port") as caught:
            connect(keys.party("a", listen=server.getsockname()[1], b=None), "b")
        one_line(caught.value)


def test_a_host_that_does_not_exist(keys):
    party = keys.party("b", a=1, timeout=1)
    lost = dataclasses.replace(party, peers={"a": Peer("a", keys["a"].fingerprint, "host.invalid:7300")})
    with pytest.raises(TransportError, match=r"cannot reach a at host\.invalid:7300"):
        connect(lost, "a")


def test_an_unpinned_key_is_told_on_both_sides(keys):
    a, b = meeting(keys)
    stranger = dataclasses.replace(b, identity=keys["c"])

    def comes_again_and_again():
        for _ in range(3):  # the alert must not be lost to a reset
            with pytest.raises(TransportError, match="refused our key") as caught:
                connect(stranger, "a")
            one_line(caught.value)

    here, there = duel(lambda: use(dataclasses.replace(a, timeout=2), "b"), comes_again_and_again)
    assert there is None
    assert isinstance(here, TransportError)
    assert "somebody was turned away: the other side presented a key that is not pinned" in one_line(here)


def test_an_unpinned_listener_is_told_on_both_sides(keys):
    a, b = meeting(keys)
    stranger = dataclasses.replace(a, identity=keys["c"], timeout=2)
    here, there = duel(lambda: use(stranger, "b"), lambda: use(b, "a"))
    assert "presented a key that is not pinned" in one_line(there)
    assert "refused our key" in one_line(here)


@pytest.mark.parametrize("wrong", ["dialler", "listener"])
def test_another_name_than_expected_is_a_mismatch_on_both_sides(keys, wrong):
    a, b = meeting(keys)
    if wrong == "listener":  # a's file calls its peer b, whose own file says z
        b = dataclasses.replace(b, name="z")
    else:  # b's file calls its peer y, whose own file says a
        b = dataclasses.replace(b, peers={"y": dataclasses.replace(b.peers["a"], name="y")})
    here, there = duel(lambda: use(a, "b"), lambda: use(b, next(iter(b.peers))))
    for error in (here, there):
        assert isinstance(error, MismatchError)
        assert error.field.startswith("the name of")
        one_line(error)
    assert (here.ours, here.theirs) == (there.theirs, there.ours)


def test_the_name_in_the_certificate_counts(keys):
    """Party a says that it is a, with a pinned key whose certificate says c."""
    a, b = meeting(keys)
    a = dataclasses.replace(a, identity=keys["c"])
    b = dataclasses.replace(b, peers={"a": dataclasses.replace(b.peers["a"], fingerprint=keys["c"].fingerprint)})
    _, there = duel(lambda: use(a, "b"), lambda: use(b, "a"))
    assert isinstance(there, MismatchError)
    assert (there.field, there.ours, there.theirs) == ("the name of a", "a", "c")


def test_a_group_of_three(keys):
    ports = free_ports(2)
    parties = {
        "a": keys.party("a", listen=ports[0], b=None, c=None),
        "b": keys.party("b", listen=ports[1], a=ports[0], c=None),
        "c": keys.party("c", a=ports[0], b=ports[1]),
    }

    def role(name):
        others = [other for other in parties if other != name]
        with connect(parties[name], peers=others) as group:
            assert isinstance(group, Group)
            assert list(group) == others
            return [swap(group[other], [rows(1, seed=ord(name))]) for other in others]

    got = duel(*(lambda name=name: role(name) for name in parties))
    assert got[0] == [[rows(1, seed=ord("b")).tobytes()], [rows(1, seed=ord("c")).tobytes()]]
    assert got[2] == [[rows(1, seed=ord("a")).tobytes()], [rows(1, seed=ord("b")).tobytes()]]


def test_a_group_that_is_not_complete_hangs_up_on_those_who_came(keys):
    port = free_port()
    a = keys.party("a", listen=port, timeout=2, b=None, c=None)
    b = keys.party("b", a=port, timeout=100)
    here, there = duel(lambda: connect(a, peers=["b", "c"]), lambda: use(b, "a"))
    assert "c did not connect" in one_line(here)
    assert isinstance(there, TransportError)
    assert "a has left" in one_line(there)


def test_a_peer_that_comes_before_it_is_awaited_tries_again(keys):
    port = free_port()
    a = keys.party("a", listen=port, b=None, c=None)
    early, late = keys.party("c", a=port), keys.party("b", a=port)

    def first_b_then_c():
        return [use(a, "b"), use(a, "c")]

    def in_a_while():
        time.sleep(0.5)
        return use(late, "a")

    assert duel(first_b_then_c, in_a_while, lambda: use(early, "a")) == [[[], []], [], []]


def test_somebody_else_of_another_version_does_not_end_the_waiting(keys):
    """Party c is known but not awaited, and announces itself wrongly, even as it only probes."""
    port = free_port()
    a, b = keys.party("a", listen=port, b=None, c=None), keys.party("b", a=port)
    wrong = dataclasses.replace(keys.party("c", a=port), name="z")
    probed = threading.Event()

    def probes():
        try:
            with pytest.raises(MismatchError, match="the name of z"):
                probe(wrong, "a")
        finally:
            probed.set()

    def comes_later():
        probed.wait(PATIENCE)
        return use(b, "a")

    assert duel(lambda: use(a, "b"), comes_later, probes) == [[], [], None]


@pytest.mark.parametrize("order", [["b", "c"], ["c", "b"]], ids="-".join)
def test_a_peer_that_starts_again_replaces_its_dead_connection(keys, order):
    """While a still waits for c, b connects, dies and connects again."""
    port = free_port()
    a = keys.party("a", listen=port, b=None, c=None)
    b, c = keys.party("b", a=port), keys.party("c", a=port)
    connected = threading.Event()

    def waits_for_both():
        with connect(a, peers=order) as group:
            return swap(group["b"])

    def twice():
        connect(b, "a").close()
        with connect(b, "a") as channel:
            connected.set()
            return swap(channel)

    def last():
        connected.wait(PATIENCE)
        with connect(c, "a"):
            done.wait(PATIENCE)

    done = threading.Event()
    got = duel(waits_for_both, lambda: [twice(), done.set()][0], last)
    assert got == [[], [], None]


def test_a_probe_answers_and_the_one_who_waits_goes_on(keys):
    a, b = meeting(keys)
    waiting = threading.Event()

    def probes_then_connects():
        waiting.wait(PATIENCE)
        info = probe(b, "a", timeout=PATIENCE)
        return info, use(b, "a")

    def waits():
        waiting.set()
        return use(a, "b")

    here, (info, there) = duel(waits, probes_then_connects)
    assert here == there == []
    assert (info.name, info.version) == ("a", fusion.__version__)
    assert 0 <= info.seconds < PATIENCE


def test_a_probe_reaches_one_who_waits_for_somebody_else(keys):
    port = free_port()
    a = keys.party("a", listen=port, timeout=2, b=None, c=None)
    got = duel(lambda: use(a, "c"), lambda: probe(keys.party("b", a=port), "a", timeout=PATIENCE))
    assert isinstance(got[0], TransportError)
    assert got[1].name == "a"


def test_a_probe_by_the_listening_side(keys):
    a, b = meeting(keys)
    info, there = duel(lambda: [probe(a, "b", timeout=PATIENCE), use(a, "b")], lambda: use(b, "a"))
    assert info[0].name == "b"
    assert info[1] == there == []


def test_a_probe_of_nobody(keys):
    _, b = meeting(keys)
    began = time.monotonic()
    with pytest.raises(TransportError, match="cannot reach a"):
        probe(b, "a", timeout=0.5)
    assert time.monotonic() - began < 4  # unasked, it would try for five seconds


def test_the_policy_goes_with_the_channel(keys):
    a, b = meeting(keys)

    def refuses(peer, ours, theirs):
        raise PolicyError("not today")

    here, _ = duel(lambda: use(a, "b", policy=refuses), lambda: use(b, "a"))
    assert isinstance(here, PolicyError)


@pytest.mark.parametrize("arguments", [{}, {"peer": "b", "peers": ["b"]}, {"peers": []}, {"peer": "z"}], ids=str)
def test_whom_to_meet_must_be_said(keys, arguments):
    with pytest.raises(InputError) as caught:
        connect(keys.party("a", listen=free_port(), b=None), **arguments)
    one_line(caught.value)


def test_nothing_stays_open_after_a_meeting(keys):
    """No thread, no listening socket, no connection."""
    a, b = meeting(keys)

    def sockets_and_threads():
        gc.collect()
        links = set()
        for entry in Path("/proc/self/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):
                links.add(str(entry.readlink()))
        return {link for link in links if "socket" in link} | set(threading.enumerate())

    before = sockets_and_threads()
    for _ in range(3):
        duel(lambda: use(a, "b"), lambda: use(b, "a"))
    until = time.monotonic() + 30
    while sockets_and_threads() - before and time.monotonic() < until:
        time.sleep(0.05)
    assert not sockets_and_threads() - before
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", int(a.listen.rpartition(":")[2])), timeout=1)


def test_a_channel_shows_no_key(keys):
    a, b = meeting(keys)
    shown = duel(lambda: use(a, "b", lambda peer: [swap(peer), repr(peer)][1]), lambda: use(b, "a"))[0]
    assert shown == "<Channel from a to b>"
    assert isinstance(shown, str)
    assert Channel.__name__ in shown


@pytest.mark.parametrize("side", ["listening", "dialling"])
def test_ctrl_c_ends_the_waiting(keys, side):
    a, b = meeting(keys, timeout=100)
    party, peer = (a, "b") if side == "listening" else (b, "a")
    timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))

    def waits():
        timer.start()  # not before: on a slow machine the signal may come sooner than the waiting
        connect(party, peer)

    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        waits()
    assert time.monotonic() - began < 30
    timer.join()
    with socket.create_server(("127.0.0.1", int(a.listen.rpartition(":")[2]))):
        pass  # the port is free again
