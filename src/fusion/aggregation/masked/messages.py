"""What clients and server say to each other: flat structures in one strict encoding, whatever carries them.

Clients are numbered by their place, from 0, in `Parameters.clients`. Every message but the first is bound to the run.
"""

from __future__ import annotations

import contextlib
from typing import Annotated, TypeVar

import msgspec

from fusion.errors import PeerError

__all__ = ["Answer", "Closing", "Inbox", "Keys", "Masked", "Roster", "Shares", "Survivors", "decode", "encode"]

Hash = Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]
Signature = Annotated[bytes, msgspec.Meta(min_length=64, max_length=64)]
Number = Annotated[int, msgspec.Meta(ge=0, lt=1 << 32)]


class Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True, array_like=True, tag=True):
    pass


class Keys(Message, frozen=True):
    """A client's public keys of one run, signed by its identity over everything else in it.

    ``box`` is an X25519 key under which the others encrypt to this client. For each round ``masks`` has an X25519 key,
    from which masks are agreed, and ``commitments`` the hash of the seed of the client's own mask: 32 bytes each.
    """

    parameters: Hash
    client: Number
    box: Hash
    masks: bytes
    commitments: bytes
    signature: Signature


class Roster(Message, frozen=True):
    """The `Keys` of everybody who is in the run, in order, as they were sent."""

    keys: tuple[bytes, ...]


class Shares(Message, frozen=True):
    """A client's encrypted shares, one box for each other client of the roster, in order."""

    run: Hash
    boxes: tuple[bytes, ...]


class Inbox(Message, frozen=True):
    """The boxes for one client, with the numbers of those whose boxes they are, in order."""

    run: Hash
    dealers: tuple[Number, ...]
    boxes: tuple[bytes, ...]


class Masked(Message, frozen=True):
    """A masked vector: little-endian words."""

    run: Hash
    round: Number
    words: bytes


class Survivors(Message, frozen=True):
    """Whose vectors have arrived, and whose have not: together everybody with an inbox, each in order."""

    run: Hash
    round: Number
    included: tuple[Number, ...]
    dropped: tuple[Number, ...]


class Answer(Message, frozen=True):
    """What one survivor gives so that the sum, and nothing else, can be unmasked; see `client`.

    ``pads`` and ``locks`` have 33 bytes for each of the included, in order.
    """

    run: Hash
    round: Number
    survivors: Hash
    signature: Signature
    locked: bytes
    locks: bytes
    pads: bytes


class Closing(Message, frozen=True):
    """The signatures of those who answered, in order, and, where the clients learn it, the sum."""

    run: Hash
    round: Number
    signers: tuple[Number, ...]
    signatures: tuple[Signature, ...]
    words: bytes | None


_ENCODER = msgspec.msgpack.Encoder(order="deterministic")
M = TypeVar("M", bound=msgspec.Struct)


def encode(message: msgspec.Struct) -> bytes:
    """The one encoding of a message."""
    return _ENCODER.encode(message)


def decode(data: bytes | bytearray | memoryview, expected: type[M], sender: str) -> M:
    """The message in ``data``, which must be of the expected type and nothing else; `PeerError` names the sender."""
    message: M | None = None
    # the library's own words may quote the bytes; they stay out of ours
    with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError, OverflowError):
        message = msgspec.msgpack.decode(data, type=expected)
    # longer forms of the same message are refused: what is signed and hashed has one encoding
    if message is None or _ENCODER.encode(message) != data:
        raise PeerError(f"{sender} sent bytes that are no {expected.__name__}; check that all run the same version")
    return message
