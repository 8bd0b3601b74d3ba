"""Frames: one encoding each, cut from a stream however it arrives, and nothing that does not belong."""

from __future__ import annotations

import contextlib
import hashlib
import io
import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reference.transcript import frame_digest

from fusion.channel.frames import HEADER, LEAF, MAX_CONTROL, MAX_PAYLOAD, Frame, Kind, Parser
from fusion.errors import PeerError
from fusion.kernels import variants

from .parties import one_line

small = st.binary(max_size=300)
number = st.integers(0, 2**32 - 1)


@st.composite
def frames(draw):
    kind = draw(st.sampled_from(Kind))
    payload = b"" if kind is Kind.END else draw(small)
    operation = 0 if kind in (Kind.HELLO, Kind.HEARTBEAT) else draw(number)
    sequence = 0 if kind in (Kind.HELLO, Kind.HEARTBEAT, Kind.ABORT) else draw(number)
    stream = draw(st.integers(0, 15)) if kind is Kind.CHUNK else 0
    return Frame(kind, payload, operation, sequence, stream)


def encoded(frame: Frame) -> bytes:
    return frame.header() + bytes(frame.payload)


def parse(data: bytes, cuts=()) -> tuple[list[Frame], Parser]:
    """All frames in ``data``, which comes in pieces that end at ``cuts`` at the latest, with a pause after each."""
    parser, found = Parser(), []
    ends = sorted({cut for cut in cuts if cut < len(data)} | {len(data)})
    for start, end in itertools.pairwise([0, *ends]):
        read = reader(data[start:end])
        with contextlib.suppress(BlockingIOError):
            while (frame := parser.fill(read)) is not None:
                found.append(frame)
    return found, parser


def reader(data: bytes):
    """Gives all of ``data``, as much at a time as is asked for, then raises."""
    source = io.BytesIO(data)

    def read(size: int, space: memoryview) -> int:
        assert size == len(space) > 0
        got = source.readinto(space)
        if not got:
            raise BlockingIOError
        return got

    return read


@given(st.lists(frames(), max_size=6), st.lists(st.integers(1, 2000), max_size=20))
def test_frames_survive_however_they_are_cut(sent, cuts):
    data = b"".join(map(encoded, sent))
    found, parser = parse(data, cuts)
    assert [(f, bytes(f.payload)) for f in found] == [(f, bytes(f.payload)) for f in sent]
    assert not parser.midway


@given(frames(), st.data())
def test_a_stream_that_ends_inside_a_frame_is_known(frame, data):
    whole = encoded(frame)
    cut = data.draw(st.integers(1, len(whole) - 1))
    found, parser = parse(whole[:cut])
    assert found == []
    assert parser.midway


@given(st.binary(max_size=200))
def test_any_bytes_are_frames_in_their_one_encoding_or_an_error(data):
    try:
        found, parser = parse(data)
    except PeerError as error:
        one_line(error)
    else:
        read = b"".join(map(encoded, found))
        assert data.startswith(read)
        assert parser.midway == (len(read) < len(data))


def header(kind=Kind.CHUNK, stream=0, reserved=0, length=0, operation=0, sequence=0):
    return HEADER.pack(kind, stream, reserved, length, operation, sequence)


MALFORMED = {
    "kind_zero": header(kind=0),
    "kind_unknown": header(kind=max(Kind) + 1),
    "kind_of_all_ones": header(kind=255),
    "reserved_bit": header(reserved=1),
    "stream_out_of_range": header(stream=16),
    "stream_on_opening": header(kind=Kind.OPEN, stream=1),
    "stream_on_end": header(kind=Kind.END, stream=1),
    "end_with_payload": header(kind=Kind.END, length=1),
    "chunk_too_long": header(length=MAX_PAYLOAD + 1),
    "opening_too_long": header(kind=Kind.OPEN, length=MAX_CONTROL + 1),
    "heartbeat_too_long": header(kind=Kind.HEARTBEAT, length=MAX_CONTROL + 1),
    "length_of_all_ones": header(length=2**32 - 1),
    "heartbeat_in_an_operation": header(kind=Kind.HEARTBEAT, operation=1),
    "heartbeat_in_sequence": header(kind=Kind.HEARTBEAT, sequence=1),
    "hello_in_an_operation": header(kind=Kind.HELLO, operation=1),
    "abort_in_sequence": header(kind=Kind.ABORT, operation=1, sequence=1),
    "http": b"GET / HTTP/1.1\r\n",
}


@pytest.mark.parametrize("fault", MALFORMED)
def test_a_malformed_header_is_refused_before_anything_is_allocated(fault):
    parser, asked = Parser(), []

    def read(size: int, space: memoryview) -> int:
        asked.append(size)
        space[:] = MALFORMED[fault]
        return size

    with pytest.raises(PeerError) as caught:
        parser.fill(read)
    one_line(caught.value)
    assert asked == [HEADER.size]


@pytest.mark.parametrize(("kind", "length"), [(Kind.CHUNK, MAX_PAYLOAD), (Kind.OPEN, MAX_CONTROL), (Kind.END, 0)])
def test_the_longest_frames_pass(kind, length):
    found, _ = parse(header(kind=kind, length=length) + bytes(length))
    assert len(found[0].payload) == length


def test_a_received_payload_cannot_be_written():
    (frame,), _ = parse(header(length=4) + b"rows")
    with pytest.raises(TypeError):
        frame.payload[0] = 1


# --- digests ---

LEAVES = [LEAF - 1, LEAF, LEAF + 1, 2 * LEAF, 11 * LEAF + 5, 12 * LEAF, 33 * LEAF - 1, 130 * LEAF + 136]
SIZES = [0, 1, *LEAVES, MAX_PAYLOAD]


@pytest.mark.parametrize("variant", variants("sha256"))
@pytest.mark.parametrize("size", SIZES)
def test_digests_equal_the_plain_twin(size, variant, monkeypatch):
    monkeypatch.setenv("FUSION_KERNEL", variant)
    payload = np.random.default_rng(size).bytes(size)
    frame = Frame(Kind.CHUNK, payload, 7, 2**32 - 1, 3)
    assert frame.digest == frame_digest(frame.header(), payload)


@given(frames())
def test_digests_of_small_frames_equal_the_plain_twin(frame):
    assert frame.digest == frame_digest(frame.header(), frame.payload)


@given(size=st.sampled_from([1, *LEAVES]), data=st.data())
def test_every_byte_counts(size, data):
    payload = bytearray(size)
    before = Frame(Kind.CHUNK, bytes(payload)).digest
    payload[data.draw(st.integers(0, size - 1))] ^= 1 << data.draw(st.integers(0, 7))
    assert Frame(Kind.CHUNK, payload).digest != before


def test_a_leaf_cannot_be_replaced_by_its_hash():
    """The twin's message is the same but for the header, which holds the length."""
    payload = bytes(range(256)) * 17
    hashed = hashlib.sha256(b"fusion/leaf/2".ljust(64, b"\0") + payload[:LEAF]).digest() + payload[LEAF:]
    assert Frame(Kind.CHUNK, payload).digest != Frame(Kind.CHUNK, hashed).digest


# --- memory ---


def chunk(seed: int, size: int = 100_000) -> bytes:
    payload = np.random.default_rng(seed).bytes(size)
    return header(kind=Kind.CHUNK, length=size) + payload


def next_frame(parser: Parser, data: bytes) -> Frame:
    frame = parser.fill(reader(data))
    assert frame is not None
    return frame


def test_memory_is_used_again_once_nobody_looks():
    parser = Parser()
    rows = np.frombuffer(next_frame(parser, chunk(0)).payload, np.uint8)
    address = rows.ctypes.data
    del rows
    assert np.frombuffer(next_frame(parser, chunk(1)).payload, np.uint8).ctypes.data == address


@given(st.lists(st.sampled_from(["keep", "view", "drop", "drop all"]), max_size=30))
def test_memory_somebody_looks_at_stays_as_it_is(steps):
    parser, kept = Parser(), []
    for seed, step in enumerate(steps):
        payload = next_frame(parser, chunk(seed, 100_000 + seed % 2)).payload
        if step == "keep":
            kept.append((seed, 8, payload[8:]))
        elif step == "view":
            kept.append((seed, 9, np.frombuffer(payload, np.uint8)[1:].reshape(-1, 1)[8:]))
        elif step == "drop all":
            kept.clear()
        del payload
        for of, start, view in kept:
            assert bytes(view) == chunk(of, 100_000 + of % 2)[HEADER.size + start :]
