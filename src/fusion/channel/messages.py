"""Typed messages: flat structures, decoded strictly, declared once.

Unknown fields, leftover bytes and wrong types are a `PeerError`. Rows travel apart from these, as raw arrays.
"""

from __future__ import annotations

import struct
from typing import TypeVar

import msgspec
import numpy as np
import numpy.typing as npt

from fusion.channel.frames import MAX_PAYLOAD
from fusion.errors import PeerError

__all__ = [
    "MAX_ROWS",
    "NONCE_BYTES",
    "WIRE_VERSION",
    "Abort",
    "Chunk",
    "Finish",
    "Heartbeat",
    "Hello",
    "Opening",
    "decode",
    "decode_chunk",
    "encode",
    "encode_chunk",
]

WIRE_VERSION = 1
NONCE_BYTES = 32
MAX_ROWS = 1 << 31
_CHUNK_HEADER = struct.Struct("<II")
_MAX_MESSAGE = 1 << 16

Rows = npt.NDArray[np.uint8]


class Hello(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="hello"):
    """First words on a connection. ``probe`` only asks whether somebody answers."""

    wire: int
    name: str
    peer: str
    version: str
    probe: bool


class Opening(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="opening"):
    """What one side believes is about to be computed. Everything but ``rows`` and ``nonce`` must be equal on both."""

    operation: str
    learn: str
    kinds: tuple[str, ...]
    parameters: dict[str, str | int]
    rows: int
    nonce: bytes


class Heartbeat(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="heartbeat"):
    """``state`` is "idle" outside an operation, "waiting" for the other side, or "busy" computing."""

    operation: str
    phase: str
    state: str


class Finish(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="finish"):
    """SHA-256 of everything sent and received in this operation, and of the result where both hold the same one."""

    sent: bytes
    received: bytes
    result: bytes


class Abort(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="abort"):
    """The class of the exception and the announced field it concerns; never a message, never a value."""

    error: str
    field: str


class Chunk(msgspec.Struct, frozen=True):
    """Rows of fixed width on one numbered stream of an exchange: shape (n, width), uint8."""

    stream: int
    rows: Rows


M = TypeVar("M", bound=msgspec.Struct)


def encode(message: msgspec.Struct) -> bytes:
    """The message's bytes."""
    return msgspec.msgpack.encode(message)


def decode(payload: bytes | bytearray | memoryview, expected: type[M]) -> M:
    """The message in ``payload``, which must be of the expected type and nothing else."""
    if len(payload) > _MAX_MESSAGE:
        raise PeerError(
            f"the peer sent a {expected.__name__} of {len(payload)} bytes; at most {_MAX_MESSAGE} are allowed"
        )
    try:
        return msgspec.msgpack.decode(payload, type=expected)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, OverflowError):
        # the library's own words may quote the bytes; they stay out of ours
        raise PeerError(
            f"the peer sent bytes that are no {expected.__name__}; check that both run the same version"
        ) from None


def encode_chunk(chunk: Chunk) -> bytes:
    """Count and width, four bytes each, then the rows."""
    count, width = chunk.rows.shape
    payload = _CHUNK_HEADER.pack(count, width) + chunk.rows.tobytes()
    if len(payload) > MAX_PAYLOAD:
        raise ValueError("a chunk is larger than one frame")
    return payload


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
