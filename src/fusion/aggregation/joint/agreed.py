"""What clients and server derive alike: digests, what is signed, and lists of signed messages."""

from __future__ import annotations

import contextlib
import hashlib
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

import msgspec
import numpy as np

from fusion.aggregation.joint.messages import Coin, Commitment, Contribution, Projection
from fusion.aggregation.joint.parameters import Parameters
from fusion.aggregation.masked.agreed import verify
from fusion.aggregation.masked.messages import decode, encode
from fusion.crypto.rlwe.totals import total_bits
from fusion.errors import PeerError
from fusion.kernels import ntt
from fusion.kernels import rlwe as kernel
from fusion.kernels.ntt import PRIME_BITS, Words

__all__ = [
    "add_residues",
    "add_words",
    "challenge_digest",
    "claim_digest",
    "commitments_digest",
    "contribution_hash",
    "key_seed",
    "pack_residues",
    "pack_words",
    "read",
    "run_id",
    "to_sign",
    "total_hash",
    "unpack_residues",
]

LABEL = b"fusion/joint/1/"
_BLANK = bytes(64)
_BLOCK = 4
Signed = TypeVar("Signed", Commitment, Contribution, Coin, Projection)


def _digest(what: bytes, *fields: bytes) -> bytes:
    digest = hashlib.sha256(LABEL + what)
    for field in fields:
        digest.update(len(field).to_bytes(8, "little") + field)
    return digest.digest()


def key_seed(parameters: Parameters) -> bytes:
    """What the public `a` of the key is drawn from: a hash, which nobody chooses but by its name."""
    return _digest(b"a", parameters.digest)


def contribution_hash(parameters: Parameters, client: int, element: bytes) -> bytes:
    """What a client commits to; a contribution looks uniform, so that its hash hides it."""
    return _digest(b"contribution", parameters.digest, client.to_bytes(4, "little"), element)


def commitments_digest(parameters: Parameters, entries: Iterable[bytes]) -> bytes:
    """32 bytes that stand for everybody's commitments."""
    return _digest(b"commitments", parameters.digest, *entries)


def run_id(parameters: Parameters, commitments: bytes, key: bytes) -> bytes:
    """32 bytes that stand for the parameters, for who committed to what, and for the key."""
    return _digest(b"run", parameters.digest, commitments, key)


def total_hash(total: bytes) -> bytes:
    """The hash of a sum's second halves."""
    return _digest(b"total", total)


def claim_digest(claim: bytes) -> bytes:
    """32 bytes that stand for a claim."""
    return _digest(b"claim", claim)


def challenge_digest(claim: bytes, coins: Iterable[bytes]) -> bytes:
    """32 bytes that stand for a claim, by its digest, and for everybody's coins."""
    return _digest(b"challenge", claim, *coins)


def to_sign(message: Signed) -> bytes:
    """What a client signs: its message without the signature, kind included."""
    return LABEL + b"signed/" + encode(msgspec.structs.replace(message, signature=_BLANK))


def read(
    entries: Sequence[bytes], kind: type[Signed], clients: Sequence[int], names: Sequence[str], pins: Mapping[str, str]
) -> list[Signed]:
    """Signed messages from just these clients, in order, each checked against its pin."""
    if len(entries) != len(clients):
        raise PeerError(f"the server sent {len(entries)} of {kind.__name__}, of {len(clients)} clients")
    found = []
    for index, entry in zip(clients, entries, strict=True):
        message, name = decode(entry, kind, "the server"), names[index]
        if message.client != index:
            raise PeerError(f"the server sent another client's {kind.__name__} as that of {name}")
        if not verify(pins[name], message.signature, to_sign(message)):
            raise PeerError(f"the {kind.__name__} of {name} is not signed by its pinned identity")
        found.append(message)
    return found


def pack_residues(residues: Words) -> bytes:
    """Elements of the ring, 50 bits a residue."""
    return _pack(residues, PRIME_BITS)


def unpack_residues(parameters: Parameters, data: bytes, sender: str, rows: int | None = None) -> Words:
    """What `pack_residues` wrote, (rows, limbs, n), each below its prime; an update's rows unless given."""
    out = parameters.lattice.ring.empty(parameters.rows if rows is None else rows)
    for place, block in _residues(parameters, data, sender, len(out)):
        out[place] = block
    return out


def add_residues(parameters: Parameters, total: Words, data: bytes, sender: str) -> None:
    """Add what `pack_residues` wrote to a sum, in place; nothing of it if anything is wrong."""
    ring = parameters.lattice.ring
    try:
        for place, block in _residues(parameters, data, sender, len(total)):
            ntt.add(ring, total[place], block, out=total[place])
    except PeerError:
        # the blocks before the wrong one are in the sum; they come again, and the wrong one ends it again
        with contextlib.suppress(PeerError):
            for place, block in _residues(parameters, data, sender, len(total)):
                ntt.subtract(ring, total[place], block, out=total[place])
        raise


def _residues(parameters: Parameters, data: bytes, sender: str, rows: int) -> Iterator[tuple[slice, Words]]:
    """Blocks of residues, each below its prime."""
    lattice = parameters.lattice
    primes = np.array(lattice.primes, np.uint64)[:, None]
    for place, block in _unpack(data, PRIME_BITS, (rows, len(lattice.primes), lattice.degree), sender):
        if (block >= primes).any():
            raise PeerError(f"{sender} sent a residue that is not below its prime; check that all run the same version")
        yield place, block


def pack_words(parameters: Parameters, words: Words) -> bytes:
    """Words of first halves, or of parts."""
    return _pack(words, total_bits(parameters.lattice))


def add_words(parameters: Parameters, total: Words, data: bytes, sender: str) -> None:
    """Add what `pack_words` wrote to a sum, (rows, n), in place; it may wrap."""
    # only the length can be wrong, and is seen before anything is added
    for place, block in _unpack(data, total_bits(parameters.lattice), total.shape, sender):
        total[place] += block


def _pack(rows: Words, bits: int) -> bytes:
    # a row of 4096 or 8192 words fills whole bytes: blocks of rows are packed alone, while they are in the cache
    return b"".join(kernel.pack(rows[start : start + _BLOCK], bits) for start in range(0, len(rows), _BLOCK))


def _unpack(data: bytes, bits: int, shape: tuple[int, ...], sender: str) -> Iterator[tuple[slice, Words]]:
    row = math.prod(shape[1:]) * bits // 8
    if len(data) != shape[0] * row:
        raise PeerError(f"{sender} sent a vector of another length than {shape[0]} ciphertexts have")
    view = memoryview(data)
    for start in range(0, shape[0], _BLOCK):
        stop = min(start + _BLOCK, shape[0])
        part = np.frombuffer(view[start * row : stop * row], np.uint8)
        words = kernel.unpack(part, bits, (stop - start) * math.prod(shape[1:]))
        yield slice(start, stop), words.reshape(stop - start, *shape[1:])
