"""Messages: round trips, one encoding each, and only `PeerError` from whatever else a peer sends."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fusion.channel.frames import Memory
from fusion.channel.messages import (
    Abort,
    Chunk,
    Finish,
    Heartbeat,
    Hello,
    Opening,
    decode,
    decode_chunk,
    encode,
    encode_chunk,
)
from fusion.errors import InputError, PeerError

from .parties import one_line

word = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=64)
text = st.text(max_size=256)
whole = st.integers(-(2**63), 2**64 - 1)
hashes = st.binary(min_size=32, max_size=32)

MESSAGES = {
    Hello: st.builds(Hello, whole, word, word, word, st.booleans()),
    Opening: st.builds(
        Opening,
        word,
        word,
        st.lists(word, max_size=8).map(tuple),
        st.dictionaries(word, text | whole, max_size=8),
        whole,
        hashes,
    ),
    Heartbeat: st.builds(Heartbeat, word, text, st.sampled_from(["idle", "waiting", "busy"])),
    Finish: st.builds(Finish, hashes, hashes, st.binary(max_size=64)),
    Abort: st.builds(Abort, text, text),
}
any_message = st.one_of(*MESSAGES.values())


@given(any_message)
def test_round_trip(message):
    assert decode(encode(message), type(message)) == message
    assert decode(memoryview(bytearray(encode(message))), type(message)) == message


@given(any_message, st.sampled_from(list(MESSAGES)))
def test_a_message_is_of_one_type(message, expected):
    if expected is not type(message):
        with pytest.raises(PeerError):
            decode(encode(message), expected)


@given(any_message, st.data())
def test_a_changed_message_is_refused_or_is_another_message_in_its_one_encoding(message, data):
    payload = bytearray(encode(message))
    at = data.draw(st.integers(0, len(payload) - 1))
    change = data.draw(st.sampled_from(["flip", "insert", "delete", "cut"]))
    if change == "flip":
        payload[at] ^= data.draw(st.integers(1, 255))
    elif change == "insert":
        payload.insert(at, data.draw(st.integers(0, 255)))
    elif change == "delete":
        del payload[at]
    else:
        del payload[at:]
    try:
        found = decode(payload, type(message))
    except PeerError as error:
        one_line(error)
    else:
        assert encode(found) == payload
        assert found != message


@settings(max_examples=300)
@given(st.binary(max_size=120), st.sampled_from(list(MESSAGES)))
def test_any_bytes_are_refused_with_a_typed_error(payload, expected):
    with pytest.raises(PeerError):
        decode(payload, expected)


OPENING = Opening("test.swap", "both", ("text",), {"x": 1}, 7, bytes(32))


def packed(**changes):
    """An opening's bytes with fields changed, added or, when ``...``, left out."""
    fields = {"type": "opening", **msgspec.structs.asdict(OPENING), **changes}
    return msgspec.msgpack.encode({name: value for name, value in fields.items() if value is not ...})


def repeated_field():
    plain = packed()
    assert plain[0] == 0x87
    return b"\x88" + plain[1:] + msgspec.msgpack.encode("rows") + b"\x08"


FAULTS = {
    "empty": b"",
    "nothing_but_nil": b"\xc0",
    "truncated": packed()[:-1],
    "leftover_byte": packed() + b"\0",
    "two_messages": packed() * 2,
    "no_type": packed(type=...),
    "other_type": packed(type="finish"),
    "unknown_field": packed(surprise=1),
    "missing_field": packed(nonce=...),
    "repeated_field": repeated_field(),
    "parameters_in_another_order": packed(parameters={"y": 1, "x": 1}),
    "longer_number": packed().replace(b"\xa4rows\x07", b"\xa4rows\xcc\x07"),
    "longer_text": packed().replace(b"\xa4both", b"\xd9\x04both"),
    "number_as_text": packed(rows="7"),
    "number_as_fraction": packed(rows=7.0),
    "number_as_truth": packed(rows=True),
    "text_as_bytes": packed(learn=b"both"),
    "bytes_as_text": packed(nonce="0" * 32),
    "short_nonce": packed(nonce=bytes(31)),
    "long_nonce": packed(nonce=bytes(33)),
    "nested_parameter": packed(parameters={"x": {"y": 1}}),
    "fraction_as_parameter": packed(parameters={"x": 1.5}),
    "truth_as_parameter": packed(parameters={"x": True}),
    "nothing_as_parameter": packed(parameters={"x": None}),
    "number_as_name_of_parameter": packed(parameters={1: 1}),
    "line_break_in_name_of_parameter": packed(parameters={"x\ny": 1}),
    "escape_in_operation": packed(operation="\x1b[2J"),
    "final_line_break_in_learn": packed(learn="both\n"),
    "long_word": packed(operation="x" * 65),
    "long_text": packed(parameters={"x": "y" * 257}),
    "many_parameters": packed(parameters={f"p{i}": i for i in range(65)}),
    "many_kinds": packed(kinds=["text"] * 65),
    "not_utf8": packed().replace(b"both", b"b\xff\xfeh"),
    "surrogate": packed(parameters={"x": "abc"}).replace(b"\xa3abc", b"\xa3\xed\xa0\x80"),
    "deeply_nested": b"\x91" * 60_000,
    "deeply_nested_maps": b"\x81\xa1a" * 20_000,
    "announces_a_huge_array": b"\xdd\xff\xff\xff\xff",
    "announces_a_huge_map": b"\xdf\xff\xff\xff\xff",
    "announces_a_huge_text": b"\xdb\xff\xff\xff\xff",
    "extension": b"\xc7\x01\x05a",
    "longer_than_a_control_message": packed(parameters={"x": "y" * 2**16}),
    "pickle": b"\x80\x04\x95\x19\x00\x00\x00\x00\x00\x00\x00\x8c\x08builtins\x94\x8c\x04exit\x94\x93\x94)R\x94.",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_malformed_opening_is_refused_without_quoting_it(fault):
    with pytest.raises(PeerError) as caught:
        decode(FAULTS[fault], Opening)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    assert one_line(caught.value) == "the peer sent bytes that are no Opening; check that both run the same version"


def test_the_unchanged_opening_passes():
    assert decode(packed(), Opening) == OPENING


@pytest.mark.parametrize(
    "message",
    [
        Abort("x" * 257, ""),
        Heartbeat("x", "y", "asleep"),
        Finish(bytes(31), bytes(32), b""),
        Finish(bytes(32), bytes(32), bytes(65)),
        Opening("x", "both", (), {"x": object()}, 0, bytes(32)),
        Opening("x", "both", (), {"x": 2**64}, 0, bytes(32)),
    ],
    ids=["long_text", "state", "short_hash", "long_result", "object", "large_number"],
)
def test_what_a_peer_would_refuse_is_not_encoded(message):
    with pytest.raises(InputError) as caught:
        encode(message)
    one_line(caught.value)


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 15))
def test_chunks_round_trip(count, width, stream):
    array = np.arange(count * width, dtype=np.uint8).reshape(count, width)
    found = decode_chunk(stream, encode_chunk(Chunk(stream, array), Memory()), {stream: width})
    assert found.stream == stream
    assert np.array_equal(found.rows, array)


def test_a_chunk_is_a_copy_whatever_the_layout_of_its_rows():
    rows = np.arange(600_000, dtype=np.uint32).view(np.uint8).reshape(-1, 24)[::2, 3:11]
    expected, memory = rows.tobytes(), Memory()
    payloads = [encode_chunk(Chunk(1, rows), memory) for _ in range(2)]
    rows[:] = 0
    assert [bytes(payload[8:]) for payload in payloads] == [expected] * 2


@given(st.binary(max_size=64), st.integers(1, 9))
def test_any_bytes_are_a_chunk_in_its_one_encoding_or_an_error(payload, width):
    try:
        found = decode_chunk(1, payload, {1: width})
    except PeerError as error:
        one_line(error)
    else:
        assert encode_chunk(found, Memory()) == payload


def test_rows_are_made_without_a_copy():
    payload = bytearray(encode_chunk(Chunk(1, np.zeros((2, 3), np.uint8)), Memory()))
    found = decode_chunk(1, memoryview(payload).toreadonly(), {1: 3})
    payload[8] = 7
    assert found.rows[0, 0] == 7
    assert not found.rows.flags.writeable


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\1\0\0\0\3\0\0",
        b"\0\0\0\0\3\0\0\0",
        b"\1\0\0\0\3\0\0\0ab",
        b"\1\0\0\0\3\0\0\0abcd",
        b"\1\0\0\0\4\0\0\0abcd",
        b"\xff\xff\xff\xff\3\0\0\0abc",
        b"\1\0\0\0\0\0\0\0",
    ],
    ids=["empty", "short", "no_rows", "truncated", "leftover", "other_width", "huge_count", "no_width"],
)
def test_a_malformed_chunk_is_refused(payload):
    with pytest.raises(PeerError):
        decode_chunk(1, payload, {1: 3})


def test_a_stream_without_a_place_is_refused():
    with pytest.raises(PeerError, match="stream 2"):
        decode_chunk(2, encode_chunk(Chunk(2, np.zeros((1, 3), np.uint8)), Memory()), {1: 3})
