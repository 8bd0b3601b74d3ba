"""Frames: one encoding each, cut from a stream however it arrives, and nothing that does not belong."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fusion.channel.frames import HEADER, MAX_CONTROL, MAX_PAYLOAD, Frame, Kind, Parser
from fusion.errors import PeerError

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
    """All frames in ``data``, fed in pieces that end at ``cuts`` at the latest."""
    parser, found, at = Parser(), [], 0
    ends = sorted({cut for cut in cuts if cut < len(data)} | {len(data)})
    while at < len(data):
        space = parser.space()
        assert len(space) > 0
        end = min(next(end for end in ends if end > at), at + len(space))
        space[: end - at] = data[at:end]
        frame = parser.filled(end - at)
        at = end
        if frame is not None:
            found.append(frame)
    return found, parser


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
    parser = Parser()
    parser.space()[:] = MALFORMED[fault]
    with pytest.raises(PeerError) as caught:
        parser.filled(HEADER.size)
    one_line(caught.value)
    assert len(parser.space()) <= HEADER.size


@pytest.mark.parametrize(("kind", "length"), [(Kind.CHUNK, MAX_PAYLOAD), (Kind.OPEN, MAX_CONTROL), (Kind.END, 0)])
def test_the_longest_frames_pass(kind, length):
    found, _ = parse(header(kind=kind, length=length) + bytes(length))
    assert len(found[0].payload) == length


def test_a_received_payload_cannot_be_written():
    (frame,), _ = parse(header(length=4) + b"rows")
    with pytest.raises(TypeError):
        frame.payload[0] = 1
