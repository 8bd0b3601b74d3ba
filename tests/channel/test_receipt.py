"""Receipts and transcripts: what both sides can show of an operation afterwards."""

from __future__ import annotations

import datetime as dt
import hashlib

import msgspec
import numpy as np
import pytest
from reference.transcript import transcript

from fusion.channel import Receipt
from fusion.channel.frames import Frame, Kind
from fusion.channel.mailbox import Mailbox
from fusion.channel.messages import WIRE_VERSION
from fusion.channel.transcript import Transcript
from fusion.errors import PeerError

from .parties import channels, duel, one_line, rows, swap


@pytest.fixture
def receipts(keys, transport):
    with channels(keys, transport) as (a, b):
        parameters = {"suite": "x", "decimals": 2}
        duel(
            lambda: swap(a, [rows(700), rows(20)], parameters=parameters, learn="a"),
            lambda: swap(b, [rows(33)], parameters=parameters, learn="a"),
        )
        yield a.receipt(), b.receipt()


def test_a_receipt_says_what_was_done(receipts):
    ours, theirs = receipts
    assert ours.operation == theirs.operation == "test.swap"
    assert ours.parameters == theirs.parameters == {"suite": "x", "decimals": 2}
    assert ours.kinds == theirs.kinds == ("integer",)
    assert ours.learn == theirs.learn == "a"
    assert ours.wire == WIRE_VERSION
    assert (ours.parties, theirs.parties) == (("a", "b"), ("b", "a"))
    assert ours.sizes == theirs.sizes == {"a": 720, "b": 33}
    assert ours.learned == theirs.learned == {"a": ["rows"], "b": ["rows"]}
    assert ours.notes == ()
    assert ours.seconds > 0
    assert ours.cpu_seconds >= 0
    assert abs(dt.datetime.fromisoformat(ours.started) - dt.datetime.now(dt.UTC)) < dt.timedelta(minutes=1)


def test_a_receipt_says_what_was_settled_after_the_announcement(keys, transport):
    def settles(peer):
        with peer.operation("test"):
            peer.open(learn="both", kinds=(), rows=0, parameters={"protocol": "auto", "how": "inner"})
            peer.finish({}, settled={"protocol": "ecdh"})
        return peer.receipt().parameters

    with channels(keys, transport) as (a, b):
        assert duel(lambda: settles(a), lambda: settles(b)) == [{"protocol": "ecdh", "how": "inner"}] * 2


def test_both_sides_hold_the_same_session_and_transcript(receipts):
    ours, theirs = receipts
    assert ours.session == theirs.session
    assert ours.transcript == theirs.transcript
    assert len(bytes.fromhex(ours.session)) == len(bytes.fromhex(ours.transcript)) == 32


def test_what_left_here_arrived_there(receipts):
    ours, theirs = receipts
    assert (ours.bytes_sent, ours.bytes_received) == (theirs.bytes_received, theirs.bytes_sent)
    assert ours.bytes_sent > 720 * 8


def test_a_receipt_is_json(receipts):
    ours, _ = receipts
    assert msgspec.json.decode(msgspec.json.encode(ours), type=Receipt) == ours


def test_a_receipt_holds_no_secret(keys, transport):
    """No byte of a row, of a nonce or of a private key stands in it."""
    canary = np.frombuffer(b"canary-canary-ca", np.uint8).reshape(1, 16)
    with channels(keys, transport) as (a, b):
        nonces = []
        original = a._put
        a._put = lambda kind, payload, stream=0: (nonces.append(payload), original(kind, payload, stream))[1]
        duel(lambda: swap(a, [canary], width=16), lambda: swap(b, width=16))
        text = msgspec.json.encode(b.receipt()) + repr(a.receipt()).encode()
    assert b"canary" not in text
    assert canary.tobytes().hex().encode() not in text
    opening = nonces[0]
    assert opening[-32:].hex().encode() not in text
    for name in ("a", "b"):
        private = keys[name].path.read_text().splitlines()[1]
        assert private.encode() not in text


def test_two_runs_have_different_transcripts(keys, transport):
    with channels(keys, transport) as (a, b):
        seen = set()
        for _ in range(3):
            duel(lambda: swap(a), lambda: swap(b))
            seen.add(a.receipt().transcript)
    assert len(seen) == 3


def test_the_transcript_is_the_hash_of_the_bytes_as_sent(keys, monkeypatch):
    """Recomputed from recorded frames."""
    sent: dict[int, list[Frame]] = {}
    put = Mailbox.put

    def record(self, frame, *arguments):
        sent.setdefault(id(self), []).append(frame)
        put(self, frame, *arguments)

    monkeypatch.setattr(Mailbox, "put", record)
    with channels(keys, "memory") as (a, b):
        duel(lambda: swap(a, [rows(3), rows(70_000)]), lambda: swap(b, [rows(4), rows(1_007)]))
        boxes, receipt = (id(a._mailbox), id(b._mailbox)), a.receipt()
    hashes = []
    for box in boxes:
        stream = b"".join(frame.header() + bytes(frame.payload) for frame in sent[box] if frame.kind is not Kind.FINISH)
        hashes.append(transcript(stream))
    whole = hashlib.sha256(b"fusion/receipt/1" + bytes.fromhex(receipt.session) + b"".join(hashes))
    assert whole.hexdigest() == receipt.transcript
    assert receipt.bytes_sent == sum(frame.size for frame in sent[boxes[0]])
    assert receipt.bytes_received == sum(frame.size for frame in sent[boxes[1]])


def test_lengths_depend_on_sizes_only(keys, monkeypatch):
    """Two tables of the same shape make the same frames."""
    frames: list[tuple[str, int, int, int]] = []
    put = Mailbox.put

    def record(self, frame, *arguments):
        frames.append((frame.kind.name, frame.stream, frame.sequence, len(frame.payload)))
        put(self, frame, *arguments)

    monkeypatch.setattr(Mailbox, "put", record)
    shapes = []
    for seed in (1, 2):
        with channels(keys, "memory") as (a, b):
            ours = [rows(50, 8, seed), rows(7, 8, seed + 10)]
            duel(lambda a=a, ours=ours: swap(a, ours), lambda b=b, seed=seed: swap(b, [rows(9, 8, seed + 20)]))
        shapes.append(sorted(frames))
        frames.clear()
    assert shapes[0] == shapes[1]
    assert len(shapes[0]) == 9


@pytest.mark.parametrize("side", ["sent", "received"])
def test_a_different_transcript_is_refused_on_both_sides(keys, transport, side):
    with channels(keys, transport) as (a, b):

        def tampered(peer):
            getattr(peer._transcript, side).add(Frame(Kind.END, b""))

        got = duel(lambda: swap(a, inside=tampered), lambda: swap(b))
    assert [type(error) for error in got] == [PeerError, PeerError]
    assert all("saw different bytes" in one_line(error) for error in got)


def test_a_failed_operation_leaves_the_last_receipt(keys):
    with channels(keys, "memory") as (a, b):
        duel(lambda: swap(a), lambda: swap(b))
        before = a.receipt()
        duel(lambda: swap(a, kinds=("text",)), lambda: swap(b))
        assert a.receipt() is before


def test_header_payload_and_direction_all_count():
    def digest(*frames, received=False):
        transcript = Transcript()
        for frame in frames:
            (transcript.received if received else transcript.sent).add(frame)
        return transcript.hashes()

    base = Frame(Kind.CHUNK, b"payload", 1, 2, 3)
    others = [
        Frame(Kind.END, b"payload", 1, 2, 3),
        Frame(Kind.CHUNK, b"paYload", 1, 2, 3),
        Frame(Kind.CHUNK, b"payload", 2, 2, 3),
        Frame(Kind.CHUNK, b"payload", 1, 3, 3),
        Frame(Kind.CHUNK, b"payload", 1, 2, 4),
    ]
    seen = {digest(base), digest(base, received=True), digest(base, base), digest(), *map(digest, others)}
    assert len(seen) == 4 + len(others)
