"""`simulate`: all roles in one process, the root cause on top, nobody left behind."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest

import fusion
from fusion import progress
from fusion.channel import Channel, Group
from fusion.channel.frames import Kind
from fusion.channel.simulate import run
from fusion.errors import InputError, MismatchError, PeerAborted, PeerError, TransportError

from .parties import PATIENCE, rows, swap


def test_each_role_gets_the_others_rows():
    out = fusion.simulate(left=lambda peer: swap(peer, [rows(2)]), right=lambda peer: swap(peer, [rows(3)]))
    assert out == {"left": [rows(3).tobytes()], "right": [rows(2).tobytes()]}


def test_two_roles_get_a_channel_and_three_get_a_group():
    def role(own, *others):
        def play(group):
            assert isinstance(group, Group)
            assert group.name == own
            assert list(group) == list(others)
            assert len(group) == 2
            assert all(own in repr(channel) for channel in group.values())
            # in the same order of pairs everywhere, or everybody waits for somebody else
            return {peer: swap(group[peer], [rows(1, seed=ord(own))]) for peer in sorted(group)}

        return play

    out = run({"a": role("a", "b", "c"), "b": role("b", "a", "c"), "c": role("c", "a", "b")})
    for name, received in out.items():
        for peer, got in received.items():
            assert got == [rows(1, seed=ord(peer)).tobytes()]
            assert peer != name
    fusion.simulate(a=lambda peer: isinstance(peer, Channel), b=lambda peer: None)


@pytest.mark.parametrize("failing", ["one", "two"])
def test_the_root_cause_is_raised_with_its_role(failing):
    def breaks(peer):
        with peer.operation("test.swap"):
            raise KeyError("column")

    roles = {"one": swap, "two": swap} | {failing: breaks}
    for _ in range(10):
        with pytest.raises(KeyError) as caught:
            run(roles)
        assert f"role {failing!r}" in caught.value.__notes__[0]


def test_a_disagreement_is_raised_as_such():
    for _ in range(10):
        with pytest.raises(MismatchError, match="kinds"):
            run({"a": lambda peer: swap(peer, kinds=("text",)), "b": lambda peer: swap(peer, kinds=("date",))})


def test_being_told_of_a_failure_never_hides_it():
    """A TransportError can be the cause; the PeerAborted that it makes elsewhere cannot."""

    def overruns(peer):
        with peer.operation("test.overrun"):
            peer.open(learn="both", kinds=(), rows=0, parameters={})
            for _ in range(9):
                peer._put(Kind.CHUNK, bytes(8), 1)
            peer.finish({})

    for _ in range(10):
        with pytest.raises(TransportError, match="overran its window"):
            run({"a": overruns, "b": overruns}, window=2, timeout=1000)


def test_a_failure_cancels_every_role():
    def waits_for_everybody(group):
        for peer in group.values():
            swap(peer)

    def breaks(group):
        raise ZeroDivisionError

    began = time.monotonic()
    with pytest.raises(ZeroDivisionError):
        run({"a": waits_for_everybody, "b": waits_for_everybody, "c": breaks}, timeout=1000)
    assert time.monotonic() - began < 60


def test_an_error_with_one_peer_is_told_to_the_others_too():
    """An operation with c is under way when b aborts: c hears of it although a did not fail by itself."""
    seen = {}

    def hub(group):
        with group["c"].operation("test.hub"):
            group["c"].open(learn="both", kinds=(), rows=0, parameters={})
            swap(group["b"])

    def breaks(group):
        with group["a"].operation("test.swap"):
            raise ZeroDivisionError

    def waits(group):
        try:
            with group["a"].operation("test.hub"):
                group["a"].open(learn="both", kinds=(), rows=0, parameters={})
                group["a"].finish({})
        except BaseException as error:
            seen["c"] = error
            raise

    with pytest.raises(ZeroDivisionError):
        run({"a": hub, "b": breaks, "c": waits}, timeout=1000)
    assert isinstance(seen["c"], PeerAborted)
    assert (seen["c"].peer, seen["c"].error) == ("a", "PeerAborted")


def test_a_role_that_leaves_early_is_named():
    with pytest.raises(TransportError, match="early has left"):
        run({"early": lambda peer: None, "late": swap}, timeout=1000)


@pytest.mark.parametrize("leaving", [SystemExit(3), KeyboardInterrupt()], ids=["exit", "interrupt"])
def test_exits_pass_through(leaving):
    def leaves(peer):
        raise leaving

    with pytest.raises(type(leaving)):
        run({"a": leaves, "b": swap}, timeout=1000)


def test_ctrl_c_cancels_every_role():
    ended, begun = [], threading.Barrier(3)

    def role(peer):
        begun.wait(PATIENCE)
        try:
            list(peer.exchange(iter([None]), {1: 8}))
        except TransportError as error:
            ended.append(str(error))
            raise

    def interrupts():
        begun.wait(PATIENCE)
        time.sleep(0.3)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupts)

    def waits():
        thread.start()
        run({"a": role, "b": role}, timeout=1000)

    with pytest.raises(KeyboardInterrupt):
        waits()
    thread.join()
    assert len(ended) == 2


@pytest.mark.parametrize(
    "roles",
    [
        {},
        {"a": swap},
        {"a": swap, "both": swap},
        {"a": swap, "all": swap},
        {"a": swap, "no name": swap},
        {"a": swap, "b": 7},
    ],
    ids=["none", "one", "both", "all", "space", "no_function"],
)
def test_impossible_roles_are_refused(roles):
    with pytest.raises(InputError):
        run(roles)


@pytest.mark.parametrize("window", [1, 2, 16])
def test_a_protocol_runs_under_every_window(window):
    out = run(
        {"a": lambda peer: swap(peer, [rows(9)] * 20), "b": lambda peer: swap(peer, [rows(8)] * 3)}, window=window
    )
    assert [len(out[name]) for name in "ab"] == [3, 20]


def test_progress_says_who_does_what():
    events = []
    with progress.listen(events.append):
        fusion.simulate(a=lambda peer: swap(peer, [rows(5)]), b=swap)
    mine = [event for event in events if event.party == "a"]
    assert [event.phase for event in mine] == ["waiting for b", "swapping", "comparing transcripts"]
    assert {event.operation for event in mine} == {"test.swap"}
    assert mine[1].total == 5


def test_a_peers_violation_is_the_root_cause():
    def lies(peer):
        with peer.operation("test.swap"):
            peer.open(learn="both", kinds=("integer",), rows=0, parameters={})
            peer._put(Kind.CHUNK, b"\1\0\0\0\7\0\0\0short..", 1)
            list(peer.exchange((), {1: 8}))

    with pytest.raises(PeerError, match="does not fit rows of 8 bytes") as caught:
        run({"honest": swap, "liar": lies})
    assert "honest" in caught.value.__notes__[0]
