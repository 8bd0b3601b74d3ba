"""Frames: the only thing that crosses the wire.

A frame is a 16-byte header and at most `MAX_PAYLOAD` bytes. Decoding is strict: an unknown kind, a field that is set
where it means nothing or a length out of range is a `PeerError`, and nothing is allocated before the header has been
checked.

A frame is hashed where it is made: by the one who sends it, or by the thread that reads the wire, while the payload is
still in that thread's cache. Of the payload each whole leaf of `LEAF` bytes is hashed by itself, after `_LEAF_TAG`,
many of them side by side. The digest is SHA-256 of `_FRAME_TAG`, the header, the leaves' hashes, and the rest as it
is. The header holds the payload's length, so this can be read in one way only (docs/decisions/0012).
"""

from __future__ import annotations

import enum
import hashlib
import struct
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from fusion import kernels
from fusion.errors import PeerError
from fusion.kernels.hashing import sha256_rows

__all__ = ["HEADER", "LEAF", "MAX_CONTROL", "MAX_PAYLOAD", "Frame", "Kind", "Memory", "Parser"]

# kind, stream, reserved, payload length, operation, sequence
HEADER = struct.Struct("<BBHIII")
MAX_PAYLOAD = 1 << 20
MAX_CONTROL = 1 << 16  # for everything but rows
_MAX_STREAM = 15
_FRAME_TAG = b"fusion/frame/2"
# One block of SHA-256: its compression is the same for all leaves, and leaves keep their place among the blocks.
_LEAF_TAG = b"fusion/leaf/2".ljust(64, b"\0")
# With the tag 4 KiB. Leaves that begin a power of two apart would compete for the same few lines of the cache.
LEAF = 4096 - len(_LEAF_TAG)
_KEPT = 18  # large payloads' memory that is kept: a window of them, one being filled and one being read


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
    """One frame. ``operation`` counts the operations of the channel, ``sequence`` the frames within one.

    ``digest`` is what the transcript takes in, 32 bytes. Whoever makes a frame leaves the payload as it is.
    """

    kind: Kind
    payload: bytes | bytearray | memoryview
    operation: int = 0
    sequence: int = 0
    stream: int = 0
    digest: bytes = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "digest", _digest(self.header(), self.payload))

    def header(self) -> bytes:
        return HEADER.pack(self.kind, self.stream, 0, len(self.payload), self.operation, self.sequence)

    @property
    def size(self) -> int:
        """Bytes on the wire, before encryption."""
        return HEADER.size + len(self.payload)


def _digest(header: bytes, payload: bytes | bytearray | memoryview) -> bytes:
    digest = hashlib.sha256(_FRAME_TAG + header)
    whole = len(payload) // LEAF * LEAF
    if whole:
        digest.update(_hashes(np.frombuffer(payload, np.uint8, whole).reshape(-1, LEAF)))
    digest.update(memoryview(payload)[whole:])
    return digest.digest()


def _hashes(leaves: NDArray[np.uint8]) -> bytes:
    if kernels.active("sha256") != "portable":
        return sha256_rows(_LEAF_TAG, leaves, 32, threads=1).tobytes()
    # one after the other, but with instructions of CPUs that the kernel has no variant for
    tagged, hashes = hashlib.sha256(_LEAF_TAG), []
    for leaf in leaves:
        one = tagged.copy()
        one.update(leaf.data)
        hashes.append(one.digest())
    return b"".join(hashes)


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


class Memory:
    """Memory for payloads, used again once nobody looks at it any more.

    Fresh memory costs as much as the copy into it: the system clears every page, and none of it is in the cache.
    """

    def __init__(self) -> None:
        self._large: deque[bytearray] = deque(maxlen=_KEPT)

    def take(self, length: int) -> memoryview:
        """That many bytes, whatever they hold, nobody else's for as long as a view of them lives."""
        if length <= MAX_CONTROL:
            return memoryview(bytearray(length))
        for buffer in self._large:
            if len(buffer) == length and _unseen(buffer):
                return memoryview(buffer)
        buffer = bytearray(length)
        self._large.appendleft(buffer)  # the oldest is forgotten here; it lives on where it is still in use
        return memoryview(buffer)


def _unseen(buffer: bytearray) -> bool:
    """Whether no array and no view shows this memory: only then may it change its size."""
    try:
        buffer.pop()
    except BufferError:
        return False
    buffer.append(0)  # where it was: the memory does not move
    return True


class Parser:
    """Cuts a byte stream into frames, each written once, into the memory that the frame keeps."""

    def __init__(self) -> None:
        self._memory = Memory()
        self._begin()

    def _begin(self) -> None:
        self._header = bytearray(HEADER.size)
        self._payload: memoryview | None = None
        self._rest = memoryview(self._header)

    def fill(self, read: Callable[[int, memoryview], int]) -> Frame | None:
        """Read until a frame is complete, and return it; None when the stream has ended.

        ``read`` is told how many bytes may come and where they go, and returns how many came. What it raises passes
        through; reading goes on where it stopped.
        """
        while True:
            rest = self._rest
            while rest:
                got = read(len(rest), rest)
                if not got:
                    return None
                self._rest = rest = rest[got:]
            if self._payload is None:
                self._fields = _check(self._header)
                self._payload = self._rest = self._memory.take(self._fields[2])
                continue
            kind, stream, _, operation, sequence = self._fields
            frame = Frame(kind, self._payload.toreadonly(), operation, sequence, stream)
            self._begin()
            return frame

    @property
    def midway(self) -> bool:
        """Whether the stream, if it ended now, would end inside a frame."""
        return self._payload is not None or len(self._rest) < HEADER.size
