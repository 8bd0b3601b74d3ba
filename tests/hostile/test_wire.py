"""Every fault of the corpus against a living party over real TLS: the right error, in one line, in time."""

from __future__ import annotations

import contextlib
import re
import threading
import time

import numpy as np
import pytest
from channel.parties import PATIENCE, duel, one_line, swap

from fusion.channel import channel, connect
from fusion.channel.frames import Kind
from fusion.channel.messages import Abort, Heartbeat, decode, encode
from fusion.errors import PeerAborted, PeerError, TransportError

from . import corpus_meeting, corpus_working
from .evil import CANARY, EVIL_ROWS, VICTIM_ROWS, Evil

FAULTS = {**corpus_meeting.CORPUS, **corpus_working.CORPUS}
HURRY = 1.0  # what a party waits whose peer never does what it should


def operate(peer):
    return swap(peer, [VICTIM_ROWS], parameters={"suite": "x"}, result=b"same")


def meet(keys, script, *, timeout=PATIENCE, operations=1):
    """What becomes of a party that dials a peer with this script, and after how many seconds."""

    def victim():
        began = time.monotonic()
        try:
            with connect(keys.party("a", b=evil.port, timeout=timeout), "b") as peer:
                return [operate(peer) for _ in range(operations)], 0.0
        except BaseException as error:
            return error, time.monotonic() - began

    def attacker():
        with contextlib.suppress(OSError, StopIteration):  # the victim may have hung up already
            script(evil)
            evil.drain()
        if hasattr(evil, "sock"):
            evil.sock.close()

    with Evil(keys) as evil:
        (outcome, seconds), crash = duel(victim, attacker)
    assert crash is None
    return outcome, seconds


def test_a_peer_that_follows_the_protocol_is_served(keys):
    """Without a fault, the harness gets through: what fails below fails for the named reason."""

    def honest(evil):
        evil.until_finish()
        evil.finish()

    outcome, _ = meet(keys, honest)
    assert outcome == [[EVIL_ROWS.tobytes()]]


def test_the_corpus_is_large_enough():
    assert len(FAULTS) >= 90


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_ends_in_its_error(keys, name):
    fault = FAULTS[name]
    error, seconds = meet(keys, fault.script, timeout=HURRY if fault.patient else PATIENCE)
    assert type(error) is fault.error, error
    text = one_line(error)
    assert re.search(fault.words, text), text
    assert CANARY not in text
    assert VICTIM_ROWS.tobytes().hex() not in text
    assert seconds < 15  # and not only when the patience ends


@pytest.mark.parametrize(
    "name", ["open_with_unknown_field", "rows_wider", "rows_repeated", "finish_with_another_result"]
)
def test_the_peer_is_told_the_class_and_nothing_else(keys, name):
    told = []

    def script(evil):
        FAULTS[name].script(evil)
        told.extend(decode(frame.payload, Abort) for frame in evil.frames() if frame.kind is Kind.ABORT)

    meet(keys, script)
    assert told == [Abort("PeerError", "")]


def test_the_connection_outlives_a_fault_inside_an_operation(keys):
    """After bad rows, the next operation on the same channel is served."""

    def script(evil):
        FAULTS["rows_wider"].script(evil)
        evil.next_operation()
        for frame in evil.frames():
            if frame.kind is Kind.ABORT:
                break
        evil.open()
        evil.rows()
        evil.end()
        evil.finish()

    seen = []

    def stubborn(peer):
        with pytest.raises(PeerError):
            operate(peer)
        seen.append(operate(peer))

    with Evil(keys) as evil:

        def victim():
            with connect(keys.party("a", b=evil.port), "b") as peer:
                stubborn(peer)

        got = duel(victim, lambda: [script(evil), evil.drain(), evil.sock.close()])
    assert not isinstance(got[0], BaseException), got
    assert seen == [[EVIL_ROWS.tobytes()]]


def test_an_earlier_operation_cannot_be_replayed(keys):
    """All frames of the first operation, sent again with the number of the second."""

    def script(evil):
        sent = []
        send = evil.send

        def record(kind, payload=b"", **fields):
            sent.append((kind, payload))
            send(kind, payload, **fields)

        evil.meet()
        evil.send = record
        evil.open()
        evil.rows()
        evil.end()
        evil.finish()
        evil.send = send
        evil.next_operation()
        for kind, payload in sent:
            if kind is Kind.FINISH:
                next(frame for frame in evil.frames() if frame.kind is Kind.FINISH)
            evil.send(kind, payload)

    error, _ = meet(keys, script, operations=2)
    assert isinstance(error, PeerError)
    assert "saw different bytes" in one_line(error)


def test_a_second_finish_is_out_of_place(keys):
    def script(evil):
        evil.until_finish()
        evil.finish()
        evil.send(Kind.FINISH, b"")

    error, _ = meet(keys, script, operations=2)
    assert isinstance(error, PeerError)
    assert "another operation" in one_line(error)


def test_a_flood_of_heartbeats_costs_nothing_but_time(keys):
    def script(evil):
        evil.until_rows()
        beat = encode(Heartbeat("test.swap", "swapping", "busy"))
        one = b"".join((bytes([Kind.HEARTBEAT, 0, 0, 0]), len(beat).to_bytes(4, "little"), bytes(8), beat))
        for _ in range(100):
            evil.write(one * 200)
        evil.rows()
        evil.end()
        evil.finish()

    outcome, _ = meet(keys, script, timeout=60)
    assert outcome == [[EVIL_ROWS.tobytes()]]


def test_a_flood_of_tiny_frames_waits_outside(keys, monkeypatch):
    """However many frames a peer sends, no more than a window of them is held here."""
    deepest = []
    deliver = channel.Mailbox.deliver

    def measure(self, frame):
        deliver(self, frame)
        deepest.append(len(self.incoming))

    monkeypatch.setattr(channel.Mailbox, "deliver", measure)

    def script(evil):
        evil.until_rows()
        tiny = np.zeros((1, 8), np.uint8)
        for _ in range(3000):
            evil.send(Kind.CHUNK, b"\1\0\0\0\x08\0\0\0" + tiny.tobytes())
        evil.end()
        evil.finish()

    outcome, _ = meet(keys, script, timeout=60)
    assert len(outcome[0]) == 3000
    assert max(deepest) <= 16


def test_busy_for_ever_ends_at_the_limit(keys, monkeypatch, brisk):
    monkeypatch.setattr(channel, "_LIMIT_TIMEOUTS", 2.0)

    def script(evil):
        evil.until_rows()
        for _ in range(300):
            evil.aside(Kind.HEARTBEAT, encode(Heartbeat("test.swap", "working hard", "busy")), operation=0)
            time.sleep(0.01)

    error, seconds = meet(keys, script, timeout=HURRY)
    assert isinstance(error, TransportError)
    assert "longer than its size allows" in one_line(error)
    assert 2 * HURRY <= seconds < 15


def test_a_peer_that_reads_nothing_is_given_up(keys):
    """Its buffers fill, then ours; the deadline ends it."""

    over = threading.Event()

    def script(evil):
        evil.until_rows()
        over.wait(PATIENCE)

    def victim(port):
        with connect(keys.party("a", b=port, timeout=HURRY), "b") as peer:
            try:
                return swap(peer, [np.zeros((100_000, 8), np.uint8)] * 60, parameters={"suite": "x"})
            finally:
                over.set()

    with Evil(keys) as evil:
        error, _ = duel(lambda: victim(evil.port), lambda: [script(evil), evil.sock.close()])
    assert isinstance(error, TransportError)
    assert "gave up after 1 s" in one_line(error)


def test_an_abort_is_heard_from_a_peer_that_then_hangs_up(keys):
    def script(evil):
        evil.until_rows()
        evil.aside(Kind.ABORT, encode(Abort("InputError", "")))
        evil.say_goodbye()

    error, _ = meet(keys, script)
    assert isinstance(error, PeerAborted)
    assert error.error == "InputError"
