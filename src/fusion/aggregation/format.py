"""Bytes of keys, arrays and frames: one versioned envelope, decoded strictly.

Eight bytes of magic, version and kind (one byte each), length of the header (4 bytes) and of the body (8 bytes), all
little-endian; the header, a msgpack map in exactly one encoding; the body, as the scheme writes it; SHA-256 of all
before. The digest tells damage from attack: it is no signature, and channels authenticate.
"""

from __future__ import annotations

import hashlib
import struct
from typing import Annotated, Literal, TypeVar

import msgspec

from fusion.aggregation.encoding import MAX_DECIMALS, MAX_GROUPS, MAX_LIMIT, MAX_TERMS, MAX_WIDTH, Row
from fusion.aggregation.schemes import KEY_ID_BYTES
from fusion.errors import InputError, PeerError

__all__ = [
    "ArrayHeader",
    "Column",
    "FrameHeader",
    "GroupsHeader",
    "KeyHeader",
    "Level",
    "open_envelope",
    "seal_envelope",
]

MAGIC = b"\x9fFUSION\n"
VERSION = 1
_START = struct.Struct("<8sBBIQ")
_DIGEST_BYTES = 32
_MAX_HEADER = 1 << 24
_MAX_COLUMNS = 4096
_ENCODER = msgspec.msgpack.Encoder(order="deterministic")

_Word = Annotated[str, msgspec.Meta(max_length=64, pattern=r"\A[!-~]+\Z")]
_Name = Annotated[str, msgspec.Meta(max_length=256)]
_Count = Annotated[int, msgspec.Meta(ge=0, le=1 << 40)]
_Limit = Annotated[int, msgspec.Meta(ge=1, le=MAX_LIMIT)]


class KeyHeader(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="key"):
    """Of a public or a private key."""

    scheme: _Word
    secret: bool
    key_id: Annotated[bytes, msgspec.Meta(min_length=KEY_ID_BYTES, max_length=KEY_ID_BYTES)]


class ArrayHeader(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="array"):
    """Of encrypted rows.

    ``single`` is a result without a row axis; ``packed`` rows have an axis of values; ``squeezed`` ones share
    ciphertexts.
    """

    scheme: _Word
    key_id: Annotated[bytes, msgspec.Meta(min_length=KEY_ID_BYTES, max_length=KEY_ID_BYTES)]
    rows: _Count
    single: bool
    packed: bool
    squeezed: bool
    width: Annotated[int, msgspec.Meta(ge=1, le=MAX_WIDTH)]
    limits: Annotated[tuple[_Limit, ...], msgspec.Meta(min_length=1, max_length=4 * _MAX_COLUMNS)]
    decimals: Annotated[int, msgspec.Meta(ge=0, le=MAX_DECIMALS)]
    terms: Annotated[int, msgspec.Meta(ge=1, le=MAX_TERMS)]
    weight: _Count

    def row(self) -> Row:
        """The declared row; PeerError when the header contradicts itself."""
        if (
            len(self.limits) not in (1, self.width)
            or self.weight > self.terms
            or (self.single and self.rows != 1)
            or (not self.packed and self.width != 1)
            or (self.single and self.squeezed)
        ):
            raise PeerError("the header of the encrypted array contradicts itself; check the sender's version")
        return Row(self.width, self.limits, self.terms)


class Column(msgspec.Struct, frozen=True, forbid_unknown_fields=True, array_like=True):
    """A column of a frame: its name, scale and largest whole number."""

    name: _Name
    decimals: Annotated[int, msgspec.Meta(ge=0, le=MAX_DECIMALS)]
    limit: _Limit


class FrameHeader(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="frame"):
    """Of an encrypted frame. ``index`` is the name of its row labels 0 to n - 1."""

    array: ArrayHeader
    columns: Annotated[tuple[Column, ...], msgspec.Meta(min_length=1, max_length=_MAX_COLUMNS)]
    moments: Annotated[int, msgspec.Meta(ge=1, le=2)]
    index: _Name | None


class Level(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One level of group labels: ``kind`` says what the values are, times as whole numbers of their unit."""

    name: _Name | None
    kind: Literal["boolean", "integer", "real", "text", "time-s", "time-ms", "time-us", "time-ns"]
    values: Annotated[list[bool | int | float | str], msgspec.Meta(max_length=MAX_GROUPS)]


class GroupsHeader(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="groups"):
    """Of an encrypted table of group results."""

    array: ArrayHeader
    columns: Annotated[tuple[Column, ...], msgspec.Meta(min_length=1, max_length=_MAX_COLUMNS)]
    moments: Annotated[int, msgspec.Meta(ge=1, le=2)]
    statistics: Annotated[tuple[Literal["count", "sum", "mean", "var"], ...], msgspec.Meta(min_length=1, max_length=4)]
    levels: Annotated[tuple[Level, ...], msgspec.Meta(min_length=1, max_length=16)]


_KINDS: dict[type[msgspec.Struct], tuple[int, str]] = {
    KeyHeader: (1, "key"),
    ArrayHeader: (2, "encrypted array"),
    FrameHeader: (3, "encrypted frame"),
    GroupsHeader: (4, "encrypted result"),
}
_NAMES = dict(_KINDS.values())
H = TypeVar("H", bound=msgspec.Struct)


def seal_envelope(header: msgspec.Struct, body: bytes) -> bytes:
    """The bytes of an object; InputError when a header could not be read back."""
    kind, name = _KINDS[type(header)]
    try:
        encoded = _ENCODER.encode(header)
        sound = len(encoded) <= _MAX_HEADER and _read(encoded, type(header)) is not None
    except (TypeError, OverflowError, UnicodeEncodeError):
        sound = False
    if not sound:
        raise InputError(f"this {name} cannot be written: a name or label in it is too long or of another kind")
    start = _START.pack(MAGIC, VERSION, kind, len(encoded), len(body))
    digest = hashlib.sha256(start)
    digest.update(encoded)
    digest.update(body)
    return b"".join((start, encoded, body, digest.digest()))


def open_envelope(data: object, expected: type[H]) -> tuple[H, memoryview]:
    """The header and the body of an object of the expected kind.

    Raises
    ------
    PeerError
        Bytes that are no such object, of another version, cut short, followed by others, or damaged.
    InputError
        ``data`` is not bytes.
    """
    if not isinstance(data, bytes | bytearray | memoryview):
        raise InputError("expected bytes, as to_bytes() returns them")
    view = memoryview(data).cast("B") if memoryview(data).c_contiguous else memoryview(bytes(data))
    kind, name = _KINDS[expected]
    if len(view) < _START.size or view[: len(MAGIC)] != MAGIC:
        raise PeerError(f"these bytes are no {name}: they do not begin as one")
    _, version, found, header_bytes, body_bytes = _START.unpack_from(view)
    if version != VERSION:
        raise PeerError(f"this {name} is of format version {version}, here is {VERSION}; update the older side")
    if found != kind:
        raise PeerError(f"these bytes are no {name} but {_NAMES.get(found, 'something else')}")
    if len(view) != _START.size + header_bytes + body_bytes + _DIGEST_BYTES:
        raise PeerError(f"this {name} has {len(view)} bytes, not as many as it announces; it was cut or joined")
    if hashlib.sha256(view[:-_DIGEST_BYTES]).digest() != view[-_DIGEST_BYTES:]:
        raise PeerError(f"this {name} is damaged: its digest does not match")
    end = _START.size + header_bytes
    header = _read(view[_START.size : end], expected) if header_bytes <= _MAX_HEADER else None
    if header is None:
        raise PeerError(f"the header of this {name} is malformed; check the sender's version")
    return header, view[end : end + body_bytes]


def _read(encoded: bytes | memoryview, expected: type[H]) -> H | None:
    try:
        header = msgspec.msgpack.decode(encoded, type=expected)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, OverflowError, ValueError):
        # the library's own words may quote the bytes; they stay out of ours
        return None
    return header if _ENCODER.encode(header) == encoded else None
