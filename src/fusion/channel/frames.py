"""Frames: the only thing that crosses the wire.

A frame is a 16-byte header and at most `MAX_PAYLOAD` bytes. Decoding is strict: an unknown kind, a set reserved bit
or an oversized length is a `PeerError`, and nothing is allocated before the header has been checked.
"""

from __future__ import annotations

import enum
import struct
from dataclasses import dataclass

from fusion.errors import PeerError

__all__ = ["HEADER", "MAX_PAYLOAD", "Frame", "Kind", "Parser"]

# kind, stream, reserved, payload length, operation, sequence
HEADER = struct.Struct("<BBHIII")
MAX_PAYLOAD = 1 << 20
_MAX_STREAM = 15


class Kind(enum.IntEnum):
    HELLO = 1  # who is speaking; once, before any operation
    HEARTBEAT = 2  # alive; outside sequence and transcript
    OPEN = 3  # the announcement of an operation
    MESSAGE = 4  # a typed control message
    CHUNK = 5  # rows of fixed width
    END = 6  # no more chunks in this exchange
    FINISH = 7  # both transcript hashes, as this side saw them
    ABORT = 8  # the operation is over


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
            kind, stream, reserved, length, operation, sequence = HEADER.unpack(self._header)
            if kind not in _KINDS or reserved or stream > _MAX_STREAM:
                raise PeerError("the peer sent a frame of no known kind; it does not speak this protocol")
            if length > MAX_PAYLOAD:
                raise PeerError(f"the peer announced a frame of {length} bytes; at most {MAX_PAYLOAD} are allowed")
            self._fields = (_KINDS[kind], operation, sequence, stream)
            self._buffer, self._have = memoryview(bytearray(length)), 0
            if length:
                return None
        kind_, operation, sequence, stream = self._fields
        frame = Frame(kind_, self._buffer.toreadonly(), operation, sequence, stream)
        self._buffer, self._have, self._fields = memoryview(self._header), 0, None
        return frame

    @property
    def midway(self) -> bool:
        """Whether the stream, if it ended now, would end inside a frame."""
        return self._fields is not None or self._have > 0
