"""Masks: words that look uniform, from 32-byte seeds; and the seeds, from pairs of keys.

A mask is the key stream of AES-256 in counter mode, read as little-endian words. A key serves one mask only, so that
the counter begins at zero. In m words, telling the stream from uniform words by its missing collisions succeeds with
probability below (m / 4)^2 / 2^128: 2^-85 for four million words of 32 bits.

References: NIST SP 800-38A (counter mode); RFC 7748 (X25519); RFC 5869 (HKDF).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from numpy.typing import NDArray

from fusion.errors import InputError, PeerError

__all__ = ["KEY_BYTES", "add_mask", "derive", "public_key", "shared_secret", "subtract_mask", "usable"]

KEY_BYTES = 32
_BLOCK = 1 << 18  # bytes of key stream at a time: they stay in the cache between being made and being added
_ZEROS = bytes(_BLOCK)
# The coordinates of small order on curve25519 and its twist: 0, 1, -1 and the two of order 8
_FIELD = 2**255 - 19
_ORDER_8 = (
    325606250916557431795983626356110631294008115727848805560023387167927233504,
    39382357235489614581723060781553021112529911719440698176882885853963445705823,
)
_SMALL_ORDER = frozenset({0, 1, _FIELD - 1, *_ORDER_8})

Words = NDArray[Any]


def add_mask(words: Words, seed: bytes) -> None:
    """Add a seed's mask to ``words``, (n,) uint32 or uint64, in place and modulo the word."""
    _combine(words, seed, np.add)


def subtract_mask(words: Words, seed: bytes) -> None:
    """Take a seed's mask from ``words`` again."""
    _combine(words, seed, np.subtract)


def _combine(words: Words, seed: bytes, operation: np.ufunc) -> None:
    if len(seed) != KEY_BYTES:
        raise InputError(f"the seed of a mask has {KEY_BYTES} bytes")
    if words.ndim != 1 or words.dtype not in (np.uint32, np.uint64):
        raise InputError("a mask is added to one row of uint32 or uint64")
    stream = Cipher(algorithms.AES(seed), modes.CTR(bytes(16))).encryptor()
    buffer = np.empty(min(_BLOCK, words.nbytes), np.uint8)
    mask = buffer.view(words.dtype.newbyteorder("<"))
    step = _BLOCK // words.itemsize
    for start in range(0, len(words), step):
        part = words[start : start + step]
        stream.update_into(memoryview(_ZEROS)[: part.nbytes], buffer.data[: part.nbytes])
        operation(part, mask[: len(part)], out=part)


def public_key(secret: bytes) -> bytes:
    """The X25519 public key, 32 bytes, of any 32 secret bytes."""
    return X25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw()


def shared_secret(secret: bytes, public: bytes) -> bytes:
    """What both owners of two X25519 keys know: 32 bytes, to be passed through `derive`.

    Raises
    ------
    PeerError
        If the public key is of small order: everybody would know the result.
    """
    try:
        return X25519PrivateKey.from_private_bytes(secret).exchange(X25519PublicKey.from_public_bytes(public))
    except ValueError:
        raise PeerError("the peer sent a public key that X25519 cannot use") from None


def usable(public: bytes) -> bool:
    """Whether 32 bytes are the one encoding of a key with which `shared_secret` works."""
    coordinate = int.from_bytes(public, "little")
    return coordinate < _FIELD and coordinate not in _SMALL_ORDER


def derive(secret: bytes, salt: bytes, *labels: bytes, length: int = KEY_BYTES) -> bytes:
    """HKDF-SHA256: ``length`` bytes from a secret, bound to the salt and to every label, each with its length."""
    info = b"".join(len(label).to_bytes(4, "little") + label for label in labels)
    return HKDF(SHA256(), length, salt, info).derive(secret)
