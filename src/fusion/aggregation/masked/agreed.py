"""What clients and server derive alike: the run, the list of survivors, the keys of a pair, and the masks."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from fusion.aggregation.masked.messages import Keys, Survivors, decode, encode
from fusion.aggregation.masked.parameters import Parameters
from fusion.crypto.masks import Words, add_mask, derive, shared_secret, subtract_mask, usable
from fusion.crypto.sharing import SHARE_BYTES
from fusion.errors import PeerError

__all__ = [
    "LABEL",
    "PAD_BYTES",
    "add_pair_mask",
    "check_keys",
    "commitment",
    "cut",
    "keys_to_sign",
    "little_endian",
    "number_bytes",
    "own_seed",
    "point",
    "read_total",
    "run_id",
    "survivors_digest",
    "to_sign",
    "verify",
    "xor",
]

LABEL = b"fusion/sum/2/"
PAD_BYTES = SHARE_BYTES


def point(client: int) -> int:
    """Where a client's shares are taken."""
    return client + 1


def number_bytes(*numbers: int) -> bytes:
    return b"".join(number.to_bytes(4, "little") for number in numbers)


def run_id(parameters: Parameters, keys: Sequence[bytes]) -> bytes:
    """32 bytes that stand for the parameters and for every key in the run."""
    digest = hashlib.sha256(LABEL + b"run" + parameters.digest)
    for each in keys:
        digest.update(len(each).to_bytes(4, "little") + each)
    return digest.digest()


def survivors_digest(survivors: Survivors) -> bytes:
    """32 bytes that stand for a round and for who is in its sum."""
    return hashlib.sha256(LABEL + b"survivors" + encode(survivors)).digest()


def to_sign(digest: bytes) -> bytes:
    """What a survivor signs."""
    return LABEL + b"signed survivors" + digest


def keys_to_sign(keys: Keys) -> bytes:
    """What a client signs when it announces its keys."""
    fields = (keys.parameters, number_bytes(keys.client), keys.box, keys.masks, keys.commitments)
    return LABEL + b"signed keys" + b"".join(len(field).to_bytes(4, "little") + field for field in fields)


def verify(fingerprint: str, signature: bytes, message: bytes) -> bool:
    """Whether the owner of a fingerprint signed the message."""
    key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(fingerprint.removeprefix("ed25519:")))
    try:
        key.verify(signature, message)
    except InvalidSignature:
        return False
    return True


def check_keys(data: bytes, parameters: Parameters, sender: str) -> Keys:
    """The keys in a message, as far as anybody can check them."""
    keys = decode(data, Keys, sender)
    if keys.client >= len(parameters.clients):
        raise PeerError(f"{sender} sent the keys of a client that is not in this sum")
    name = parameters.clients[keys.client]
    if keys.parameters != parameters.digest:
        raise PeerError(f"the keys of {name} are for a sum with other parameters")
    if len(keys.masks) != 32 * parameters.rounds or len(keys.commitments) != 32 * parameters.rounds:
        raise PeerError(f"the keys of {name} are for another number of rounds than {parameters.rounds}")
    if not all(usable(key) for key in (keys.box, *cut(keys.masks, 32))):
        raise PeerError(f"the keys of {name} hold one that X25519 cannot use")
    return keys


def commitment(run_parameters: bytes, client: int, number: int, seed: bytes) -> bytes:
    """The hash of a seed of 256 random bits: it hides the seed, and shows whether shares gave it back."""
    return hashlib.sha256(LABEL + b"own seed" + run_parameters + number_bytes(client, number) + seed).digest()


def cut(data: bytes, width: int) -> list[bytes]:
    """Equal pieces."""
    return [data[start : start + width] for start in range(0, len(data), width)]


def own_seed(run: bytes, client: int, number: int, seed: bytes) -> bytes:
    """The seed of the mask that a client adds for itself."""
    return derive(seed, run, LABEL + b"own mask", number_bytes(client, number))


def add_pair_mask(
    words: Words, run: bytes, number: int, owner: int, other: int, *, secret: bytes, public: bytes, undo: bool = False
) -> None:
    """Put the mask of a pair on the words of ``owner``, or take it off again.

    The one with the smaller number adds it and the other subtracts it, so that it cancels in the sum. ``secret`` is
    either one's secret key and ``public`` the other one's.
    """
    pair = number_bytes(min(owner, other), max(owner, other), number)
    seed = derive(shared_secret(secret, public), run, LABEL + b"pair mask", pair)
    (add_mask if (owner < other) != undo else subtract_mask)(words, seed)


def little_endian(parameters: Parameters) -> np.dtype[np.unsignedinteger]:
    """How words travel."""
    return np.dtype(f"<u{parameters.word}")


def read_total(parameters: Parameters, words: bytes, sender: str) -> npt.NDArray[np.int64]:
    """The sum in the words of a message, with its sign."""
    if len(words) != parameters.size * parameters.word:
        raise PeerError(f"{sender} sent a vector of another length than {parameters.size}")
    return np.frombuffer(words, f"<i{parameters.word}").astype(np.int64)


def xor(left: bytes, right: bytes) -> bytes:
    """Two strings of equal length, bit by bit."""
    return (int.from_bytes(left, "big") ^ int.from_bytes(right, "big")).to_bytes(len(left), "big")
