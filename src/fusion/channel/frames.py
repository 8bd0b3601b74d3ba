"""Frames: the only thing that crosses the wire.

A frame is a 16-byte header and at most `MAX_PAYLOAD` bytes. Decoding is strict: an unknown kind, a field that is set
where it means nothing or a length out of range is a `PeerError`, and nothing is allocated before the header has been
checked.
"""

from __future__ import annotations

import enum
import struct
from dataclasses import dataclass

import numpy as np

from fusion.errors import PeerError

__all__ = ["HEADER", "MAX_CONTROL", "MAX_PAYLOAD", "Frame", "Kind", "Parser"]

# kind, stream, reserved, payload length, operation, sequence
HEADER = struct.Struct("<BBHIII")
MAX_PAYLOAD = 1 << 20
MAX_CONTROL = 1 << 16  # for everything but rows
_MAX_STREAM = 15


class Kind(enum.IntEnum):
    HELLO = 1  # who is speaking; once, before any operation
    HEARTBEAT = 2  # alive; outside sequence and transcript
    OPEN = 3  # the announcement of an operation
    CHUNK = 4  # rows of fixed width
    END = 5  # no more chunks in this exchange
    FINISH = 6  # both transcript hashes, as this side saw them
    ABORT = 7  # the operation is over; outside sequence and transcript


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame. ``operation`` counts the operations of the channel, ``sequence`` the frames within one."""

    kind: Kind
    payload: bytes | bytearray | memoryview
    operation: int = 0
    sequence: int = 0
    stream: int = 0

    def header(self) -> bytes:
        return HEADER.pack(self.kind, self.stream, 0, len(self.payload), self.operation, self.sequence)

    @property
    def size(self) -> int:
        """Bytes on the wire, before encryption."""
        return HEADER.size + len(self.payload)


_KINDS = {int(kind): kind for kind in Kind}
_LONGEST = dict.fromkeys(Kind, MAX_CONTROL) | {Kind.CHUNK: MAX_PAYLOAD, Kind.END: 0}
_OUTSIDE_OPERATIONS = frozenset({Kind.HELLO, Kind.HEARTBEAT})
_OUTSIDE_SEQUENCE = _OUTSIDE_OPERATIONS | {Kind.ABORT}


def _check(header: bytes | bytearray) -> tuple[Kind, int, int, int, int]:
    """The fields of a header that says nothing it must not say."""
    number, stream, reserved, length, operation, sequence = HEADER.unpack(header)
    kind = _KINDS.get(number)
    if kind is None:
        raise PeerError("the peer sent a frame of no known kind; check that both run the same version")
    if length > _LONGEST[kind]:
        raise PeerError(
            f"the peer announced a {kind.name} frame of {length} bytes; at most {_LONGEST[kind]} are allowed"
        )
    if (
        reserved
        or stream > (_MAX_STREAM if kind is Kind.CHUNK else 0)
        or (operation and kind in _OUTSIDE_OPERATIONS)
        or (sequence and kind in _OUTSIDE_SEQUENCE)
    ):
        raise PeerError(
            f"the peer sent a {kind.name} frame with a malformed header; check that both run the same version"
        )
    return kind, stream, length, operation, sequence


class Parser:
    """Cuts a byte stream into frames.

    The caller asks for `space`, fills some of it and calls `filled`; payloads are therefore written once, into
    the buffer that the frame keeps.
    """

    def __init__(self) -> None:
        self._header = bytearray(HEADER.size)
        self._buffer = memoryview(self._header)
        self._have = 0
        self._fields: tuple[Kind, int, int, int] | None = None

    def space(self) -> memoryview:
        """Where the next bytes go; never empty."""
        return self._buffer[self._have :]

    def filled(self, count: int) -> Frame | None:
        """Take ``count`` bytes just written to `space`; return the frame that they complete, if any."""
        self._have += count
        if self._have < len(self._buffer):
            return None
        if self._fields is None:
            kind, stream, length, operation, sequence = _check(self._header)
            self._fields = (kind, operation, sequence, stream)
            self._buffer, self._have = np.empty(length, np.uint8).data, 0
            if length:
                return None
        kind, operation, sequence, stream = self._fields
        frame = Frame(kind, self._buffer.toreadonly(), operation, sequence, stream)
        self._buffer, self._have, self._fields = memoryview(self._header), 0, None
        return frame

    @property
    def midway(self) -> bool:
        """Whether the stream, if it ended now, would end inside a frame."""
        return self._fields is not None or self._have > 0
