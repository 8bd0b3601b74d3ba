"""Many oblivious transfers from 128: the extension of Ishai, Kilian, Nissim and Petrank.

Functionality: as `base_ot`, with keys of 16 bytes, the receiver choosing its bits anew in each extension.

Parties
    A sender (`Sender`) and a receiver (`Receiver`). Each opens once and extends as often as it likes, also in later
    operations on the same channel; both sides extend in the same order.
Inputs
    The receiver's bits.
Outputs
    Keys of 16 bytes.
Protocol
    Opening: the future sender draws 128 secret bits s and gets of 128 pairs of seeds those that s names. Extending
    by n: the receiver expands its seeds to bits, two n-bit columns t_i and t'_i for each i, and sends t_i + t'_i +
    b for its choices b. The sender computes q_i = t_i + s_i b from it. So row j of the sender's matrix is that of
    the receiver plus b_j s; the keys are H(j, q_j) and H(j, q_j + s), of which the receiver knows one as H(j, t_j).
Leakage
    None: n is known to both.
Threat model
    Semi-honest. SHAKE128 is a pseudorandom generator, and SHA-256 with a domain, the session, the number of the
    extension and j is correlation robust (in the random oracle model, or as a tweakable hash of Guo, Katz, Wang and
    Yu, S&P 2020). A dishonest receiver that sends different choices in different columns learns bits of s; the
    check of Keller, Orsini and Scholl would go between `Receiver.request` and `Sender.answer`.
Rounds and bytes
    Opening: that of 128 base transfers. Extending: one flight of 16 n bytes from the receiver.
Reference
    Ishai, Kilian, Nissim, Petrank: Extending oblivious transfers efficiently (Crypto 2003). Of the ways to send
    fewer bits the plain one was taken: some 4,000 transfers are needed at a time, which is 64 KB.
"""

from __future__ import annotations

import hashlib
import os
from typing import Self

import numpy as np

from fusion.channel import Channel, Session
from fusion.correlations import base_ot
from fusion.correlations._wire import WIDTH, Rows, swap
from fusion.crypto.random import Source
from fusion.errors import InputError
from fusion.kernels import hashing

__all__ = ["BASE", "Receiver", "Sender", "request_rows", "stream"]

BASE = 128
"""Base transfers that an extension stands on."""
_DOMAIN = b"fusion/correlations/ot-extension/1/"
_MULTIPLE = 128  # transfers made at a time, so that a column fills whole rows of the wire


def stream(seed: bytes, label: bytes, length: int) -> bytes:
    """Expand a secret seed to ``length`` bytes; different labels give independent bytes."""
    message = b"".join(len(part).to_bytes(2, "little") + part for part in (seed, label))
    return hashlib.shake_128(b"fusion/correlations/stream/1/" + message).digest(length)


class Sender:
    """The side that gets both keys of each pair.

    Parameters
    ----------
    bits : (128,) uint8
        Its secret choices in the base transfers.
    seeds : (128, 32) uint8
        The seeds it got.
    """

    def __init__(self, bits: Rows, seeds: Rows) -> None:
        self._bits = bits
        self._seeds = seeds

    @classmethod
    def open(cls, peer: Channel, session: Session, *, source: Source = os.urandom) -> Self:
        """Run the base transfers; the peer calls `Receiver.open`."""
        bits = np.unpackbits(np.frombuffer(source(BASE // 8), np.uint8))
        return cls(bits, base_ot.receive(peer, session, bits, source=source))

    def __repr__(self) -> str:
        return "<ot_extension.Sender>"

    def extend(self, peer: Channel, label: bytes, n: int) -> Rows:
        """Make n pairs of keys, (n, 2, 16) uint8; the peer calls `Receiver.extend` with n bits and the same label.

        Parameters
        ----------
        peer : Channel
        label : bytes
            Never used before with this object: the session id and, within a session, a count.
        n : int
            At least 0.

        Raises
        ------
        PeerError
            If the peer sends another number of bytes.
        """
        return self.answer(label, n, swap(peer, None, request_rows(n)))

    def answer(self, label: bytes, n: int, request: Rows) -> Rows:
        """The keys, from what `Receiver.request` returned over there, (`request_rows`, 16)."""
        width = _padded(n) // 8
        columns = _expand(self._seeds, label, width)
        columns ^= request.reshape(BASE, width) & -self._bits[:, None]
        rows = _transpose(columns)[:n]
        shifted = rows ^ np.packbits(self._bits)
        return np.stack([_hash(label, rows), _hash(label, shifted)], axis=1)


class Receiver:
    """The side that gets the keys it chooses.

    Parameters
    ----------
    pairs : (128, 2, 32) uint8
        Both seeds of each base transfer.
    """

    def __init__(self, pairs: Rows) -> None:
        self._pairs = pairs

    @classmethod
    def open(cls, peer: Channel, session: Session, *, source: Source = os.urandom) -> Self:
        """Run the base transfers; the peer calls `Sender.open`."""
        return cls(base_ot.send(peer, session, BASE, source=source))

    def __repr__(self) -> str:
        return "<ot_extension.Receiver>"

    def extend(self, peer: Channel, label: bytes, choices: Rows) -> Rows:
        """Get one key of each pair, (n, 16) uint8; the peer calls `Sender.extend` with the same label.

        Parameters
        ----------
        peer, label
            As in `Sender.extend`.
        choices : (n,) uint8
            Bits.

        Raises
        ------
        InputError
            If the choices are not bits.
        """
        request, keys = self.request(label, choices)
        swap(peer, request, 0)
        return keys

    def request(self, label: bytes, choices: Rows) -> tuple[Rows, Rows]:
        """What to send, (`request_rows`, 16), and the keys."""
        n = len(choices)
        if choices.dtype != np.uint8 or choices.shape != (n,) or (choices > 1).any():
            raise InputError("choices must be a numpy array of uint8, each 0 or 1")
        padded = np.zeros(_padded(n), np.uint8)
        padded[:n] = choices
        zero = _expand(self._pairs[:, 0], label, len(padded) // 8)
        one = _expand(self._pairs[:, 1], label, len(padded) // 8)
        request = zero ^ one ^ np.packbits(padded)
        return request.reshape(-1, WIDTH), _hash(label, _transpose(zero)[:n])


def request_rows(n: int) -> int:
    """Rows of 16 bytes that a request for n transfers has."""
    return _padded(n) * BASE // 8 // WIDTH


def _padded(n: int) -> int:
    return -(-n // _MULTIPLE) * _MULTIPLE


def _expand(seeds: Rows, label: bytes, width: int) -> Rows:
    columns = b"".join(stream(seed.tobytes(), _DOMAIN + label, width) for seed in seeds)
    return np.frombuffer(columns, np.uint8).reshape(len(seeds), width).copy()


def _transpose(columns: Rows) -> Rows:
    """128 columns of n bits as n rows of 128, both packed."""
    return np.packbits(np.ascontiguousarray(np.unpackbits(columns, axis=1).T), axis=1)


def _hash(label: bytes, rows: Rows) -> Rows:
    numbers = np.arange(len(rows)).astype("<u8").view(np.uint8).reshape(-1, 8)
    return hashing.sha256_rows(_DOMAIN + b"key/" + label, np.column_stack([numbers, rows]), WIDTH)
