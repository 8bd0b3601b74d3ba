"""The group ristretto255 (RFC 9496): prime order, hashing into it, encodings of 32 bytes.

Elements come as arrays (`Points`), scalars one by one. Hashing follows RFC 9497's suite ristretto255-SHA512.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

import numpy as np

from fusion.crypto.random import Source
from fusion.errors import InputError, PeerError
from fusion.kernels import hashing, ristretto
from fusion.kernels._rows import Bytes
from fusion.kernels.ristretto import ORDER, Points, add, encode

__all__ = [
    "ELEMENT_BYTES",
    "ORDER",
    "SCALAR_BYTES",
    "Points",
    "Scalar",
    "add",
    "decode",
    "encode",
    "hash_to_group",
    "hash_to_scalar",
    "multiply",
    "multiply_base",
    "multiply_encode",
    "random_scalar",
]

ELEMENT_BYTES = 32
SCALAR_BYTES = 32


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Scalar:
    """An integer modulo the group order.

    Arithmetic between scalars is Python's and not constant time; multiplying elements by one is. Printing
    shows nothing of the value.

    Parameters
    ----------
    value : int
        0 to ``ORDER - 1``.

    Raises
    ------
    InputError
        If the value is out of range.
    """

    value: int

    def __post_init__(self) -> None:
        if not 0 <= self.value < ORDER:
            raise InputError("a scalar must be at least 0 and below the group order")

    @classmethod
    def from_bytes(cls, data: bytes) -> Scalar:
        """Read 32 bytes little-endian; InputError unless the value is below the order."""
        if len(data) != SCALAR_BYTES:
            raise InputError(f"a scalar has {SCALAR_BYTES} bytes, not {len(data)}")
        return cls(int.from_bytes(data, "little"))

    @classmethod
    def from_bytes_wide(cls, data: bytes) -> Scalar:
        """Reduce 64 uniform bytes, little-endian: uniform up to a bias of 2^-259."""
        if len(data) != 64:
            raise InputError(f"64 uniform bytes make a scalar, not {len(data)}")
        return cls(int.from_bytes(data, "little") % ORDER)

    def to_bytes(self) -> bytes:
        """Write 32 bytes little-endian."""
        return self.value.to_bytes(SCALAR_BYTES, "little")

    def inverse(self) -> Scalar:
        """Return the multiplicative inverse; InputError for zero, which has none."""
        if self.value == 0:
            raise InputError("zero has no inverse; draw another scalar")
        return Scalar(pow(self.value, -1, ORDER))

    def __add__(self, other: Scalar) -> Scalar:
        return Scalar((self.value + other.value) % ORDER)

    def __sub__(self, other: Scalar) -> Scalar:
        return Scalar((self.value - other.value) % ORDER)

    def __mul__(self, other: Scalar) -> Scalar:
        return Scalar(self.value * other.value % ORDER)

    def __neg__(self) -> Scalar:
        return Scalar(-self.value % ORDER)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Scalar):
            return NotImplemented
        return hmac.compare_digest(self.to_bytes(), other.to_bytes())

    __hash__ = None  # type: ignore[assignment]

    def __reduce__(self) -> NoReturn:
        raise InputError("a scalar may be secret and is not pickled; store to_bytes() where it is safe")

    def __repr__(self) -> str:
        return "Scalar(<redacted>)"


def random_scalar(source: Source = os.urandom) -> Scalar:
    """Draw a uniform scalar other than zero."""
    while True:
        scalar = Scalar.from_bytes_wide(source(64))
        if scalar.value:
            return scalar


def hash_to_group(rows: Bytes, dst: bytes, *, threads: int | None = None, variant: str | None = None) -> Points:
    """Hash rows to elements nobody knows a logarithm of (RFC 9497, 4.1, HashToGroup).

    Parameters
    ----------
    rows : (n, width) uint8
        One message a row.
    dst : bytes
        Domain separation tag, 1 to 255 bytes: names the protocol and its version.
    threads, variant
        As in `fusion.kernels.ristretto`.

    Raises
    ------
    InputError
        On another shape or type, or a tag out of range.
    """
    uniform = hashing.expand_message_xmd(rows, dst, threads=threads)
    return ristretto.from_uniform(uniform, threads=threads, variant=variant)


def hash_to_scalar(message: bytes, dst: bytes) -> Scalar:
    """Hash a message to a scalar (RFC 9497, 4.1, HashToScalar)."""
    row = np.frombuffer(message, dtype=np.uint8).reshape(1, len(message))
    return Scalar.from_bytes_wide(hashing.expand_message_xmd(row, dst, threads=1).tobytes())


def decode(encodings: Bytes, *, threads: int | None = None, variant: str | None = None) -> Points:
    """Decode elements a peer sent (RFC 9497, 2.1, DeserializeElement): all of them, or none.

    Parameters
    ----------
    encodings : (n, 32) uint8

    Raises
    ------
    PeerError
        If a row is not the canonical encoding of an element, or encodes the identity.
    InputError
        On another shape or type.
    """
    points, valid = ristretto.decode(encodings, threads=threads, variant=variant)
    refused = int(np.count_nonzero(~(valid & encodings.any(axis=1))))
    if refused:
        raise PeerError(f"{refused} of {len(points)} elements are invalid or the identity; check the peer's version")
    return points


def multiply(points: Points, scalar: Scalar, *, threads: int | None = None, variant: str | None = None) -> Points:
    """Multiply every element by one scalar."""
    return ristretto.multiply(points, scalar.to_bytes(), threads=threads, variant=variant)


def multiply_encode(points: Points, scalar: Scalar, *, threads: int | None = None, variant: str | None = None) -> Bytes:
    """Encode every element's multiple by one scalar, (n, 32) uint8; faster than `multiply` and `encode`."""
    return ristretto.multiply_encode(points, scalar.to_bytes(), threads=threads, variant=variant)


def multiply_base(scalars: Sequence[Scalar], *, threads: int | None = None, variant: str | None = None) -> Points:
    """Multiply the generator by each scalar."""
    joined = b"".join(scalar.to_bytes() for scalar in scalars)
    rows = np.frombuffer(joined, dtype=np.uint8).reshape(len(scalars), SCALAR_BYTES)
    return ristretto.multiply_base(rows, threads=threads, variant=variant)
