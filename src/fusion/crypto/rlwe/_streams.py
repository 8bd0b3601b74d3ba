"""Keys of the streams that samples come from, and what reads bytes of a peer."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusion.crypto.random import Source
from fusion.crypto.rlwe.plan import Parameters
from fusion.errors import InputError, PeerError
from fusion.kernels import ntt
from fusion.kernels import rlwe as kernel
from fusion.kernels.ntt import PRIME_BITS, Words

SEED_BYTES = 32
ID_BYTES = 16


def stream_key(purpose: bytes, seed: bytes) -> bytes:
    """The AES key of one purpose's stream, from a seed of 32 bytes."""
    return hashlib.sha256(b"fusion rlwe 1 " + purpose + b"\0" + seed).digest()[:16]


def draw_seed(source: Source) -> bytes:
    """A fresh seed of 32 bytes."""
    seed = source(SEED_BYTES)
    if len(seed) != SEED_BYTES:
        raise InputError(f"the source of randomness gave {len(seed)} bytes instead of {SEED_BYTES}")
    return seed


def wipe(*arrays: NDArray[Any]) -> None:
    """Clear arrays that held secrets."""
    for array in arrays:
        array.fill(0)


def transformed(parameters: Parameters, small: NDArray[np.int64], *, threads: int | None) -> Words:
    """The transform of secret small polynomials, which are cleared."""
    x = kernel.lift(parameters.ring, small, threads=threads)
    wipe(small)
    ntt.forward(parameters.ring, x, threads=threads)
    return x


def pack_elements(x: Words) -> bytes:
    """Residues, 50 bits each."""
    return kernel.pack(x, PRIME_BITS)


def element_bytes(parameters: Parameters) -> int:
    """What one element takes in `pack_elements`."""
    return kernel.packed_bytes(len(parameters.primes) * parameters.degree, PRIME_BITS)


def unpack_elements(parameters: Parameters, data: bytes, rows: int) -> Words:
    """What `pack_elements` wrote: (rows, limbs, n), or a PeerError if a residue is not reduced."""
    x = unpack(data, PRIME_BITS, rows * len(parameters.primes) * parameters.degree)
    x = x.reshape(rows, len(parameters.primes), parameters.degree)
    if (x >= np.array(parameters.primes, np.uint64)[:, None]).any():
        raise PeerError("a residue is not below its prime; check the peer's version")
    return x


def unpack(data: bytes, bits: int, n: int) -> Words:
    """Packed words of a peer; PeerError unless there are n of them."""
    try:
        return kernel.unpack(data, bits, n)
    except InputError as error:
        raise PeerError(f"packed words are malformed: {error}") from None


class Reader:
    """Takes a peer's bytes apart, and refuses leftovers."""

    def __init__(self, data: object, what: str) -> None:
        if not isinstance(data, bytes | bytearray | memoryview):
            raise InputError(f"{what} must be bytes")
        self._data, self._at, self._what = bytes(data), 0, what

    def take(self, size: int) -> bytes:
        """The next bytes; PeerError if there are fewer."""
        taken = self._data[self._at : self._at + size]
        if len(taken) != size:
            raise PeerError(f"{self._what} ends too early; check the peer's version")
        self._at += size
        return taken

    def integer(self) -> int:
        """Four bytes, little-endian."""
        return int.from_bytes(self.take(4), "little")

    def finish(self) -> None:
        """PeerError if bytes are left."""
        if self._at != len(self._data):
            raise PeerError(f"{self._what} has bytes left over; check the peer's version")
