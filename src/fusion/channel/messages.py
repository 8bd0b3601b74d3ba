"""Typed messages: flat structures, decoded strictly, declared once.

Every message has exactly one encoding. Unknown, missing or repeated fields, leftover bytes, wrong types and texts out
of bounds are a `PeerError`. Rows travel apart from these, as raw arrays.
"""

from __future__ import annotations

import struct
from typing import Annotated, Literal, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt

from fusion.channel.frames import HEADER, MAX_CONTROL, MAX_PAYLOAD, Memory
from fusion.errors import InputError, PeerError

__all__ = [
    "ENDS_BYTES",
    "MAX_ROWS",
    "NONCE_BYTES",
    "WIRE_VERSION",
    "Abort",
    "Chunk",
    "Finish",
    "Heartbeat",
    "Hello",
    "Opening",
    "State",
    "decode",
    "decode_chunk",
    "encode",
    "encode_chunk",
    "printable",
    "stream_bytes",
]

WIRE_VERSION = 2
NONCE_BYTES = 32
MAX_ROWS = 1 << 31
_CHUNK_HEADER = struct.Struct("<II")
ENDS_BYTES = 2 * HEADER.size  # what both sides send at the end of an exchange
_ENCODER = msgspec.msgpack.Encoder(order="deterministic")

# Everything that may end up in an error or on a screen is short, and what names something is printable.
Word = Annotated[str, msgspec.Meta(max_length=64, pattern=r"\A[ -~]*\Z")]
Text = Annotated[str, msgspec.Meta(max_length=256)]
Hash = Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]
Rows = npt.NDArray[np.uint8]


class Hello(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="hello"):
    """First words on a connection. ``probe`` only asks whether somebody answers.

    These fields are the same in every version, so that a difference in ``wire`` can be named.
    """

    wire: int
    name: Word
    peer: Word
    version: Word
    probe: bool


class Opening(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="opening"):
    """What one side believes is about to be computed. Everything but ``rows`` and ``nonce`` must be equal on both."""

    operation: Word
    learn: Word
    kinds: Annotated[tuple[Word, ...], msgspec.Meta(max_length=64)]
    parameters: Annotated[dict[Word, Text | int], msgspec.Meta(max_length=64)]
    rows: int
    nonce: Hash


State = Literal["idle", "waiting", "busy"]


class Heartbeat(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="heartbeat"):
    """``state`` is "idle" outside an operation, "waiting" for the other side, or "busy" computing."""

    operation: Word
    phase: Text
    state: State


class Finish(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="finish"):
    """SHA-256 of everything sent and received in this operation, and of the result where both hold the same one."""

    sent: Hash
    received: Hash
    result: Annotated[bytes, msgspec.Meta(max_length=64)]


class Abort(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="abort"):
    """The class of the exception and the announced field it concerns; never a message, never a value."""

    error: Text
    field: Text


class Chunk(msgspec.Struct, frozen=True):
    """Rows of fixed width on one numbered stream of an exchange: shape (n, width), uint8."""

    stream: int
    rows: Rows


M = TypeVar("M", bound=msgspec.Struct)


def encode(message: msgspec.Struct) -> bytes:
    """The message's bytes; `InputError` when the peer would not take them."""
    try:
        payload = _ENCODER.encode(message)
        if _read(payload, type(message)) is not None:
            return payload
    except (TypeError, OverflowError):
        pass
    raise InputError(
        f"this {type(message).__name__} cannot be sent; its parameters are short texts and 64-bit whole numbers"
    )


def decode(payload: bytes | bytearray | memoryview, expected: type[M]) -> M:
    """The message in ``payload``, which must be of the expected type and nothing else."""
    message = _read(payload, expected)
    if message is None:
        raise PeerError(f"the peer sent bytes that are no {expected.__name__}; check that both run the same version")
    return message


def _read(payload: bytes | bytearray | memoryview, expected: type[M]) -> M | None:
    if len(payload) > MAX_CONTROL:
        return None
    try:
        message = msgspec.msgpack.decode(payload, type=expected)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, OverflowError):
        # the library's own words may quote the bytes; they stay out of ours
        return None
    # one message, one encoding: no repeated or missing keys, no other order, no longer forms of the same number
    return message if _ENCODER.encode(message) == payload else None


def printable(text: str) -> str:
    """A peer's words, fit for one line of an error."""
    return "".join(character if character.isprintable() else "?" for character in text)


def encode_chunk(chunk: Chunk, memory: Memory) -> memoryview:
    """Count and width, four bytes each, then the rows; a copy, in ``memory``."""
    rows = chunk.rows
    if rows.ndim != 2 or rows.dtype != np.uint8 or not rows.size:
        raise ValueError("a chunk holds rows of bytes: shape (n, width), uint8, neither of them 0")
    if _CHUNK_HEADER.size + rows.nbytes > MAX_PAYLOAD:
        raise ValueError("a chunk is larger than one frame")
    payload = memory.take(_CHUNK_HEADER.size + rows.nbytes)
    _CHUNK_HEADER.pack_into(payload, 0, *rows.shape)
    # unlike bytes.join, this copies without the interpreter's lock: the thread that encrypts need not wait
    np.frombuffer(payload, np.uint8, offset=_CHUNK_HEADER.size).reshape(rows.shape)[...] = rows
    return payload.toreadonly()


def decode_chunk(stream: int, payload: bytes | bytearray | memoryview, widths: dict[int, int]) -> Chunk:
    """The rows in ``payload``; ``widths`` names the streams that may come now and the width of each."""
    width = widths.get(stream)
    if width is None:
        raise PeerError(f"the peer sent rows on stream {stream}, which has no place in this exchange")
    if len(payload) < _CHUNK_HEADER.size:
        raise PeerError("the peer sent a truncated chunk")
    count, found = _CHUNK_HEADER.unpack_from(payload)
    if found != width or count == 0 or len(payload) != _CHUNK_HEADER.size + count * width:
        raise PeerError(f"the peer sent a chunk on stream {stream} whose size does not fit rows of {width} bytes")
    rows = np.frombuffer(payload, np.uint8, offset=_CHUNK_HEADER.size).reshape(count, width)
    return Chunk(stream, rows)


def stream_bytes(rows: int, width: int, chunk: int) -> int:
    """What ``rows`` rows take in frames of at most ``chunk`` rows, headers included; for costs told in advance."""
    return rows * width + -(-rows // chunk) * (HEADER.size + _CHUNK_HEADER.size)
