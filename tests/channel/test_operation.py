"""Opening, leaving and beginning again."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest

from fusion.channel import Channel, Chunk
from fusion.channel.frames import Frame, Kind
from fusion.channel.messages import Abort, encode
from fusion.errors import InputError, MismatchError, PeerAborted, PeerError, TransportError

from .parties import PATIENCE, channels, duel, one_line, rows, swap

DIFFERENCES = {
    "operation": ({"operation": "test.one"}, {"operation": "test.other"}, "operation"),
    "learn": ({"learn": "a"}, {"learn": "both"}, "learn"),
    "kinds": ({"kinds": ("text",)}, {"kinds": ("date",)}, "kinds"),
    "number_of_kinds": ({"kinds": ("text",)}, {"kinds": ("text", "text")}, "kinds"),
    "value_of_a_parameter": ({"parameters": {"suite": "x"}}, {"parameters": {"suite": "y"}}, "suite"),
    "type_of_a_parameter": ({"parameters": {"decimals": 1}}, {"parameters": {"decimals": "1"}}, "decimals"),
    "missing_parameter": ({"parameters": {"how": "inner"}}, {}, "how"),
    "two_at_once": (
        {"learn": "a", "parameters": {"z": 1, "b": 1}},
        {"learn": "b", "parameters": {"z": 2, "b": 2}},
        "b",
    ),
}


@pytest.mark.parametrize("difference", DIFFERENCES)
def test_a_difference_is_named_on_both_sides(keys, transport, difference):
    ours, theirs, field = DIFFERENCES[difference]
    with channels(keys, transport) as (a, b):
        for _ in range(3):  # whichever side is faster
            got = duel(lambda: swap(a, **ours), lambda: swap(b, **theirs))
            assert [type(error) for error in got] == [MismatchError, MismatchError]
            assert [error.field for error in got] == [field, field]
            assert (got[0].ours, got[0].theirs) == (got[1].theirs, got[1].ours)
            assert field in one_line(got[0])
        assert duel(lambda: swap(a, [rows(2)]), lambda: swap(b)) == [[], [rows(2).tobytes()]]


def test_the_session_is_shared_and_never_the_same_twice(keys, transport):
    def session(peer):
        with peer.operation("test.session"):
            return peer.open(learn="both", kinds=("text",), rows=3, parameters={"x": 1})

    seen = set()
    with channels(keys, transport) as (a, b):
        for _ in range(5):
            here, there = duel(lambda: session(a), lambda: session(b))
            assert here.id == there.id
            assert len(here.id) == 32
            assert here.ours == there.theirs
            assert here.theirs == there.ours
            seen.add(here.id)
    assert len(seen) == 5


def test_the_session_is_bound_to_the_fingerprints(keys, monkeypatch):
    """With equal announcements and nonces, other keys make another session."""
    ids = []
    for fingerprint in (keys["a"].fingerprint, keys["c"].fingerprint):
        nonces = iter((bytes(32), bytes([1] * 32)))
        monkeypatch.setattr("fusion.channel.channel.secrets.token_bytes", lambda _, nonces=nonces: next(nonces))
        with channels(keys, "memory") as (a, b), a.operation("test.session"), b.operation("test.session"):
            a._fingerprints = (fingerprint, a._fingerprints[1])
            b._fingerprints = (b._fingerprints[0], fingerprint)
            # one after the other, so that the nonces fall alike
            opening = threading.Thread(target=lambda a=a: ids.append(opened(a)))
            opening.start()
            while not a._mailbox.outgoing:
                time.sleep(0.001)
            there = opened(b)
            opening.join()
        assert there == ids[-1]
    assert ids[0] != ids[1]


def opened(peer: Channel) -> bytes:
    return peer.open(learn="both", kinds=(), rows=0, parameters={}).id


@pytest.mark.parametrize(
    "arguments",
    [
        {"learn": "c"},
        {"learn": ""},
        {"kinds": ("x" * 65,)},
        {"kinds": ("line\nbreak",)},
        {"parameters": {"x": "y" * 257}},
        {"parameters": {"x": 1.5}},
        {"parameters": {"x": True}},
        {"parameters": {"x": 2**64}},
        {"parameters": {f"p{i}": 0 for i in range(65)}},
    ],
    ids=lambda arguments: repr(arguments)[:30],
)
def test_what_cannot_be_announced_never_leaves(keys, arguments):
    with channels(keys, "memory") as (a, b):
        got = duel(lambda: swap(a, **arguments), lambda: swap(b))
        assert isinstance(got[0], InputError)
        one_line(got[0])
        assert isinstance(got[1], PeerAborted)
        assert got[1].error == "InputError"
        assert duel(lambda: swap(a), lambda: swap(b)) == [[], []]


class Trouble(Exception):
    """What a caller's own code may raise."""


def fails(peer: Channel, when: str) -> None:
    """Leave an operation by an exception at the given moment."""
    with peer.operation("test.swap"):
        if when == "before_opening":
            raise Trouble("the secret is 4711")
        peer.open(learn="both", kinds=("integer",), rows=0, parameters={})
        if when == "after_opening":
            raise Trouble("the secret is 4711")

        def source():
            for _ in range(40):
                yield Chunk(1, rows(4000))
            raise Trouble("the secret is 4711")

        for count, _ in enumerate(peer.exchange(source(), {1: 8})):
            if when == "while_receiving" and count == 3:
                raise Trouble("the secret is 4711")
        raise AssertionError("the source fails")


@pytest.mark.parametrize("when", ["before_opening", "after_opening", "while_receiving", "while_sending"])
@pytest.mark.parametrize("window", [1, 4])
def test_a_failure_here_is_an_error_there_and_then_work_goes_on(keys, transport, when, window):
    with channels(keys, transport, window=window, buffers=4096) as (a, b):
        for failing, other in ((a, b), (b, a)):
            got = duel(lambda failing=failing: fails(failing, when), lambda other=other: swap(other, [rows(4000)] * 50))
            assert isinstance(got[0], Trouble)
            assert isinstance(got[1], PeerAborted)
            assert (got[1].peer, got[1].error, got[1].field) == (failing.name, "Exception", "")
            assert "4711" not in one_line(got[1])
            after = duel(lambda: swap(a, [rows(9)]), lambda: swap(b, [rows(7)]))
            assert after == [[rows(7).tobytes()], [rows(9).tobytes()]]


@pytest.mark.parametrize("window", [1, 3])
def test_both_fail_with_full_windows_both_ways_and_work_goes_on(keys, transport, window):
    """Nobody reads, both are in the middle of sending, and both leave."""

    def stuffs(peer):
        with peer.operation("test.stuff"):
            peer.open(learn="both", kinds=(), rows=0, parameters={})
            for _ in range(window):
                peer._put(Kind.CHUNK, bytes(2**20), 1)
            meet.wait(PATIENCE)
            raise Trouble

    meet = threading.Barrier(2)
    with channels(keys, transport, window=window, buffers=4096) as (a, b):
        got = duel(lambda: stuffs(a), lambda: stuffs(b))
        assert [type(error) for error in got] == [Trouble, Trouble]
        assert duel(lambda: swap(a), lambda: swap(b)) == [[], []]


def test_one_fails_while_the_other_is_blocked_in_sending(keys, transport):
    blocked = threading.Event()

    def sends(peer):
        with peer.operation("test.stuff"):
            peer.open(learn="both", kinds=(), rows=0, parameters={})
            for count in range(40):
                if count == 3:
                    blocked.set()
                peer._put(Kind.CHUNK, bytes(2**20), 1)
            peer.finish({})

    def fails_late(peer):
        with peer.operation("test.stuff"):
            peer.open(learn="both", kinds=(), rows=0, parameters={})
            blocked.wait(PATIENCE)
            raise Trouble

    with channels(keys, transport, window=3, buffers=4096) as (a, b):
        got = duel(lambda: sends(a), lambda: fails_late(b))
        assert isinstance(got[0], PeerAborted)
        assert isinstance(got[1], Trouble)
        assert duel(lambda: swap(a), lambda: swap(b)) == [[], []]


def test_many_failures_in_a_row_stay_in_step(keys, transport):
    with channels(keys, transport, window=2) as (a, b):

        def stubborn(peer):
            seen = []
            for _ in range(8):
                try:
                    fails(peer, "before_opening")
                except Trouble:
                    seen.append("Trouble")
            seen.append(swap(peer, [rows(1)]))
            return seen

        def patient(peer):
            seen = []
            while True:
                try:
                    return [*seen, swap(peer)]
                except PeerAborted as error:
                    seen.append(error.error)

        got = duel(lambda: stubborn(a), lambda: patient(b))
    assert got[0] == ["Trouble"] * 8 + [[]]
    assert got[1] == ["Exception"] * 8 + [[rows(1).tobytes()]]


def test_a_failure_after_the_end_does_not_spoil_the_next_operation(keys, transport):
    """One side fails between comparing transcripts and leaving the block; for the other, the operation was complete."""

    def fails_at_last(peer):
        with peer.operation("test.swap"):
            peer.open(learn="both", kinds=("integer",), rows=0, parameters={})
            for _ in peer.exchange((), {1: 8}):
                pass
            peer.finish({})
            done.wait(PATIENCE)
            raise Trouble

    def completes(peer):
        received = swap(peer)
        done.set()
        return received

    done = threading.Event()
    with channels(keys, transport) as (a, b):
        got = duel(lambda: fails_at_last(a), lambda: completes(b))
        assert isinstance(got[0], Trouble)
        assert got[1] == []
        assert duel(lambda: swap(a), lambda: swap(b)) == [[], []]


def test_a_failure_at_once_does_not_take_back_the_end_before_it(keys, transport):
    """The peer has not read our last frame yet when our next operation fails."""

    def completes_and_fails(peer):
        received = swap(peer)
        with pytest.raises(Trouble):
            fails(peer, "before_opening")
        read.set()
        return received

    def lags(peer):
        with peer.operation("test.swap"):
            peer.open(learn="both", kinds=("integer",), rows=0, parameters={})
            for _ in peer.exchange((), {1: 8}):
                pass
            put = peer._put

            def put_and_lag(*arguments):
                put(*arguments)
                read.wait(PATIENCE)

            peer._put = put_and_lag
            peer.finish({})
            peer._put = put

    read = threading.Event()
    with channels(keys, transport) as (a, b):
        assert duel(lambda: completes_and_fails(a), lambda: lags(b)) == [[], None]
        got = duel(lambda: swap(b))
        assert isinstance(got[0], PeerAborted)
        assert got[0].error == "Exception"


def test_ctrl_c_inside_a_wait_reaches_the_peer(keys, transport):
    with channels(keys, transport) as (a, b):
        told: list[object] = []
        waiting = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))

        def waits(channel):
            with channel.operation("test.swap"):
                channel.open(learn="both", kinds=("integer",), rows=0, parameters={})
                waiting.start()
                channel._get(Kind.FINISH)

        def holds(channel):
            with channel.operation("test.swap"):
                channel.open(learn="both", kinds=("integer",), rows=0, parameters={})
                channel._get(Kind.FINISH)

        peer = threading.Thread(target=lambda: told.extend(duel(lambda: holds(b))))
        peer.start()
        with pytest.raises(KeyboardInterrupt):
            waits(a)
        peer.join(PATIENCE)
        waiting.join()
        assert isinstance(told[0], PeerAborted)
        assert told[0].error == "KeyboardInterrupt"


def test_one_operation_at_a_time(keys):
    with channels(keys, "memory") as (a, _):
        second = a.operation("test.two")
        with a.operation("test.one"), pytest.raises(InputError, match="under way"):
            second.__enter__()


def test_a_forked_process_has_no_channel(keys):
    with channels(keys, "tls") as (a, b):
        a._process += 1  # as it looks from a child
        with pytest.raises(InputError, match="connect here too"), a.operation("test.swap"):
            raise AssertionError("used in another process")
        del b


def test_opening_and_finishing_need_their_place(keys):
    with channels(keys, "memory") as (a, _):
        with pytest.raises(RuntimeError, match="operation"):
            a.open(learn="both", kinds=(), rows=0, parameters={})
        with pytest.raises(RuntimeError, match="open"), a.operation("test.swap"):
            a.finish({})
        with pytest.raises(InputError, match="no operation has finished"):
            a.receipt()


def test_another_result_is_found_on_both_sides(keys, transport):
    with channels(keys, transport) as (a, b):
        got = duel(lambda: swap(a, result=b"one"), lambda: swap(b, result=b"two"))
        assert [type(error) for error in got] == [PeerError, PeerError]
        assert "different results" in one_line(got[0])
        with pytest.raises(InputError):
            a.receipt()


@pytest.mark.parametrize("closing", ["a", "b"])
def test_closing_ends_the_other_side_at_once(keys, transport, closing):
    with channels(keys, transport, timeout=100) as (a, b):
        leaving, staying = (a, b) if closing == "a" else (b, a)
        got = duel(leaving.close, lambda: swap(staying))
        assert isinstance(got[1], TransportError)
        assert f"{closing} has left" in one_line(got[1])
        for channel, words in ((leaving, "closed"), (staying, "left")):
            with pytest.raises(TransportError, match=words):
                swap(channel)
        leaving.close()  # a second time does nothing


def test_what_was_sent_before_closing_still_arrives(keys, transport):
    def leaves(peer):
        with peer:
            return swap(peer, [rows(50_000)] * 20)

    with channels(keys, transport) as (a, b):
        got = duel(lambda: leaves(a), lambda: swap(b))
    assert got == [[], [rows(50_000).tobytes()] * 20]


def test_an_abort_before_closing_still_arrives(keys, transport):
    def leaves(peer):
        with peer:
            fails(peer, "after_opening")

    with channels(keys, transport) as (a, b):
        got = duel(lambda: leaves(a), lambda: swap(b, [rows(5)]))
    assert isinstance(got[1], PeerAborted)
    assert got[1].error == "Exception"


def test_an_abort_says_a_class_and_a_field_in_one_printable_line(keys):
    with channels(keys, "memory") as (a, b):
        words = encode(Abort("Bad\n\x1b[31mError", "fie\u202eld"))
        a._mailbox.put(Frame(Kind.ABORT, words, 1), a._deadline())
        with pytest.raises(PeerAborted) as caught:
            swap(b)
    assert "Bad??[31mError about fie?ld" in one_line(caught.value)
