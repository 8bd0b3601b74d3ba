"""Every wait ends: progress and honest computing extend a deadline, idling does not, nothing extends it for ever."""

from __future__ import annotations

import threading
import time

import pytest

from fusion.channel import channel, tls
from fusion.channel.mailbox import Activity, Deadline, Mailbox
from fusion.errors import PeerAborted, TransportError

from .parties import PATIENCE, channels, duel, one_line, rows, swap

pytestmark = pytest.mark.usefixtures("brisk")

TIMEOUT = 0.8  # a machine may stall for nearly as long, so what is to end well is not to depend on it twice


def timed(role):
    """What the role raised or returned, and after how many seconds."""
    began = time.monotonic()
    (outcome,) = duel(role)
    return outcome, time.monotonic() - began


def impatient_once_open(peer):
    """How soon both sides begin is the machine's business; from then on this one waits `TIMEOUT`."""
    opens = peer.open

    def then_hurry(**arguments):
        session = opens(**arguments)
        peer._timeout = TIMEOUT
        return session

    peer.open = then_hurry


def test_computing_keeps_a_deadline_alive(keys, transport):
    """One side computes far longer than the other has patience."""
    with channels(keys, transport, timeout=TIMEOUT) as (a, b):
        got = duel(lambda: swap(a, inside=lambda _: time.sleep(2 * TIMEOUT)), lambda: swap(b, [rows(3)]))
    assert got == [[rows(3).tobytes()], []]


def test_computing_before_the_opening_keeps_a_deadline_alive(keys, transport):
    def reads_a_large_table(peer):
        with peer.operation("test.swap"):
            peer.phase("reading keys")
            time.sleep(2 * TIMEOUT)
            peer.open(learn="both", kinds=("integer",), rows=0, parameters={})
            list(peer.exchange((), {1: 8}))
            peer.finish({})

    with channels(keys, transport, timeout=TIMEOUT) as (a, b):
        assert duel(lambda: reads_a_large_table(a), lambda: swap(b)) == [None, []]


def test_an_idle_peer_is_given_up(keys, transport):
    with channels(keys, transport, timeout=TIMEOUT) as (a, _):
        error, seconds = timed(lambda: swap(a))
    assert isinstance(error, TransportError)
    assert "has not started this operation" in one_line(error)
    assert TIMEOUT <= seconds < TIMEOUT + 10


def test_a_peer_gone_idle_after_an_operation_is_given_up(keys, transport):
    with channels(keys, transport) as (a, b):
        assert duel(lambda: swap(a), lambda: swap(b)) == [[], []]
        a._timeout = TIMEOUT
        error, seconds = timed(lambda: swap(a))
        a._timeout = PATIENCE
        assert "has not started this operation" in one_line(error)
        assert seconds < TIMEOUT + 10
        # what was given up is told when the idle side wakes, and then both go on
        assert isinstance(duel(lambda: swap(b))[0], PeerAborted)
        assert duel(lambda: swap(a), lambda: swap(b)) == [[], []]


def test_two_sides_that_wait_for_each_other_are_given_up(keys, transport):
    def waits(peer):
        with peer.operation("test.wait"):
            peer.open(learn="both", kinds=(), rows=0, parameters={})
            peer.phase("waiting for rows")
            list(peer.exchange(iter([None]), {1: 8}))

    with channels(keys, transport) as (a, b):
        impatient_once_open(a)
        impatient_once_open(b)
        began = time.monotonic()
        got = duel(lambda: waits(a), lambda: waits(b))
        assert time.monotonic() - began < TIMEOUT + 10
    assert {type(error) for error in got} <= {TransportError, PeerAborted}
    (error,) = [error for error in got if isinstance(error, TransportError)][:1]
    assert "no progress in waiting for rows" in one_line(error)


def test_computing_for_ever_is_given_up(keys, transport, monkeypatch):
    monkeypatch.setattr(channel, "_LIMIT_TIMEOUTS", 2 * TIMEOUT / PATIENCE)
    over = threading.Event()

    def computes(peer):
        with peer.operation("test.swap"):
            peer.open(learn="both", kinds=("integer",), rows=0, parameters={})
            peer.phase("computing")
            over.wait(PATIENCE)

    with channels(keys, transport) as (a, b):
        impatient_once_open(a)

        def waits():
            try:
                return timed(lambda: swap(a))
            finally:
                over.set()

        (error, seconds), _ = duel(waits, lambda: computes(b))
    assert isinstance(error, TransportError)
    assert "longer than its size allows" in one_line(error)
    assert 2 * TIMEOUT <= seconds < 2 * TIMEOUT + 10


def test_the_limit_follows_from_the_announced_rows(keys, monkeypatch):
    limits = []

    def opened(peer, count):
        with peer.operation("test.swap"):
            peer.open(learn="both", kinds=(), rows=count, parameters={})
            limits.append(peer._limit - time.monotonic())

    with channels(keys, "memory", timeout=10) as (a, b):
        duel(lambda: opened(a, 10**6), lambda: opened(b, 10**6))
    assert all(2090 < limit <= 2100 for limit in limits)
    assert len(limits) == 2


def test_slow_but_steady_rows_outlast_the_patience(keys, transport):
    def slowly(peer):
        with peer.operation("test.swap"):
            peer.open(learn="both", kinds=("integer",), rows=5, parameters={})

            def source():
                for _ in range(5):
                    time.sleep(TIMEOUT / 2)
                    yield channel.Chunk(1, rows(1))

            list(peer.exchange(source(), {1: 8}))
            peer.finish({})

    with channels(keys, transport, timeout=1.5 * TIMEOUT) as (a, b):
        assert duel(lambda: slowly(a), lambda: swap(b)) == [None, [rows(1).tobytes()] * 5]


def test_a_half_open_connection_is_found_by_silence(keys, monkeypatch):
    """The peer's process is stopped: its kernel still answers, its side says nothing."""
    monkeypatch.setattr(tls, "SILENCE", 0.4)
    with channels(keys, "tls", timeout=100) as (a, b):
        monkeypatch.setattr(b._transport, "_beat", lambda: setattr(b._transport, "_spoke", time.monotonic()))
        error, seconds = timed(lambda: swap(a))
    assert isinstance(error, TransportError)
    assert "nothing heard from b for 0.4 s" in one_line(error)
    assert seconds < 20


def test_an_idle_peer_that_lives_is_not_silent(keys, monkeypatch):
    monkeypatch.setattr(tls, "SILENCE", TIMEOUT)
    with channels(keys, "tls") as (a, b):
        time.sleep(1.5 * TIMEOUT)
        assert duel(lambda: swap(a), lambda: swap(b)) == [[], []]


def test_heartbeats_say_operation_phase_and_state(keys):
    with channels(keys, "tls") as (a, b):

        def computes(peer):
            with peer.operation("test.phase"):
                peer.phase("long words " * 40)  # a phase has no limit here; what travels of it has
                done.wait(PATIENCE)

        def until(state):
            while b._mailbox.peer_activity.state != state:
                time.sleep(0.01)
            return b._mailbox.peer_activity

        done = threading.Event()
        worker = threading.Thread(target=computes, args=(a,))
        worker.start()
        busy = until("busy")
        assert (busy.operation, busy.phase) == ("test.phase", ("long words " * 40)[:256])
        done.set()
        worker.join()
        assert until("idle") == Activity("", "", "idle")


@pytest.mark.parametrize("state", ["idle", "waiting"])
def test_only_a_busy_peer_moves_a_deadline(state):
    box = Mailbox(1)
    box.peer_activity = Activity("x", "y", state)
    began = time.monotonic()
    with pytest.raises(TransportError):
        box.get(Deadline(0.1, 30.0))
    assert time.monotonic() - began < 20


def test_a_busy_peer_moves_it_to_the_limit_and_no_further():
    box = Mailbox(1)
    box.peer_activity = Activity("x", "y", "busy")
    began = time.monotonic()
    with pytest.raises(TransportError):
        box.get(Deadline(0.1, 0.5))
    assert 0.5 <= time.monotonic() - began < 20


def test_a_peers_phase_is_one_printable_line_in_an_error():
    box = Mailbox(1)
    box.peer_activity = Activity("x", "line\nbreak \x1b[31m", "waiting")
    with pytest.raises(TransportError) as caught:
        box.get(Deadline(0.01, 5))
    assert "line?break ?[31m" in one_line(caught.value)


def test_closing_does_not_wait_for_a_peer_that_reads_nothing(keys, monkeypatch):
    monkeypatch.setattr(tls, "LINGER", 0.3)
    with channels(keys, "tls", buffers=4096) as (a, b):
        monkeypatch.setattr(b._transport, "_receive", lambda: time.sleep(0.01))
        for _ in range(4):
            a._put(channel.Kind.CHUNK, bytes(2**20))
        began = time.monotonic()
        a.close()
        assert time.monotonic() - began < 20


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_defect_in_the_connections_thread_ends_the_waiting(keys, monkeypatch):
    with channels(keys, "tls", timeout=100) as (a, b):
        monkeypatch.setattr(a._transport, "_decrypt", lambda: 1 / 0)
        got = duel(lambda: swap(a), lambda: swap(b))
    assert isinstance(got[0], TransportError)
    assert "thread failed with ZeroDivisionError" in one_line(got[0])
    assert isinstance(got[1], TransportError)
