"""Random oblivious transfers from Diffie-Hellman in ristretto255: the seeds of everything else.

Functionality: the sender gets n pairs of random keys; the receiver, who chose n bits, gets of each pair the key
that its bit names.

Parties
    A sender (`send`) and a receiver (`receive`).
Inputs
    The receiver's bits.
Outputs
    Keys of 32 bytes.
Protocol
    P(i, c) is a point hashed from the session, the number i of the transfer and a bit c. The receiver draws one
    secret scalar r and sends r P(i, b_i) for its bits b_i. The sender draws one secret scalar k and returns k r
    P(i, b_i), which the receiver divides by r. The key of bit c in transfer i is the hash of k P(i, c). (It is the
    oblivious pseudorandom function 2HashDH at the inputs (i, b_i).)
Leakage
    None: the number of transfers is known to both.
Threat model
    Semi-honest. The hash is a random oracle, so all P(i, c) are random points. The receiver's are hidden because
    multiples of random points by one random scalar look random (decisional Diffie-Hellman, as are all such pairs at
    once); for the same reason k P(i, 1 - b_i) looks random to the receiver, who knows k P only at other points. A
    dishonest sender that returns another point spoils keys, and learns from a later failure which; a dishonest
    receiver may ask for one input outside the pairs and then knows neither key. Every point is checked to be
    canonical, on the group and not the identity.
Rounds and bytes
    One round trip; 32 n bytes each way.
Reference
    Jarecki, Kiayias, Krawczyk: Round-optimal password-protected secret sharing (Asiacrypt 2014), for 2HashDH;
    Freedman, Ishai, Pinkas, Reingold: Keyword search and oblivious pseudorandom functions (TCC 2005), for what such
    functions give.
"""

from __future__ import annotations

import os

import numpy as np
from numpy.typing import NDArray

from fusion.channel import Channel, Session
from fusion.correlations._wire import WIDTH, Rows, swap
from fusion.crypto import group
from fusion.crypto.random import Source
from fusion.errors import InputError
from fusion.kernels import hashing

__all__ = ["KEY", "POINT_ROWS", "receive", "send"]

KEY = 32
"""Bytes of a key."""
POINT_ROWS = group.ELEMENT_BYTES // WIDTH
"""Rows of 16 bytes that a point takes on the wire."""
_DOMAIN = b"fusion/correlations/base-ot/1/"
Numbers = NDArray[np.int64]


def send(peer: Channel, session: Session, n: int, *, source: Source = os.urandom, threads: int | None = None) -> Rows:
    """Make n pairs of keys; the peer calls `receive` with n bits.

    Parameters
    ----------
    peer : Channel
    session : Session
        What ``peer.open`` returned.
    n : int
        At least 1.
    source : callable
        Randomness; only tests pass another.
    threads : int, optional
        As in `fusion.kernels.ristretto`.

    Returns
    -------
    (n, 2, 32) uint8

    Raises
    ------
    PeerError
        If the peer sends invalid points, the identity, or another number of them.
    InputError
        If n is not positive.
    """
    if n < 1:
        raise InputError(f"at least one transfer is needed, not {n}")
    secret = group.random_scalar(source)
    blinded = group.decode(_points(swap(peer, None, POINT_ROWS * n)), threads=threads)
    swap(peer, group.multiply_encode(blinded, secret, threads=threads), 0)
    both = np.repeat(np.arange(n), 2), np.tile(np.array([0, 1], np.uint8), n)
    keys = group.multiply_encode(_hash(session, *both, threads), secret, threads=threads)
    return _keys(session, *both, keys, threads).reshape(n, 2, KEY)


def receive(
    peer: Channel, session: Session, choices: Rows, *, source: Source = os.urandom, threads: int | None = None
) -> Rows:
    """Get one key of each pair; the peer calls `send`.

    Parameters
    ----------
    peer, session, source, threads
        As in `send`.
    choices : (n,) uint8
        Bits, n at least 1.

    Returns
    -------
    (n, 32) uint8

    Raises
    ------
    PeerError
        If the peer sends invalid points, the identity, or another number of them.
    InputError
        If the choices are not bits.
    """
    n = len(choices)
    if choices.dtype != np.uint8 or choices.shape != (n,) or n < 1 or choices.max() > 1:
        raise InputError("choices must be a numpy array of uint8, each 0 or 1, at least one")
    secret, numbers = group.random_scalar(source), np.arange(n)
    points = _hash(session, numbers, choices, threads)
    swap(peer, group.multiply_encode(points, secret, threads=threads), 0)
    returned = group.decode(_points(swap(peer, None, POINT_ROWS * n)), threads=threads)
    keys = group.multiply_encode(returned, secret.inverse(), threads=threads)
    return _keys(session, numbers, choices, keys, threads)


def _points(rows: Rows) -> Rows:
    return rows.reshape(-1, group.ELEMENT_BYTES)


def _labels(numbers: Numbers, bits: Rows) -> Rows:
    return np.column_stack([numbers.astype("<u4").view(np.uint8).reshape(-1, 4), bits])


def _hash(session: Session, numbers: Numbers, bits: Rows, threads: int | None) -> group.Points:
    return group.hash_to_group(_labels(numbers, bits), _DOMAIN + b"point/" + session.id, threads=threads)


def _keys(session: Session, numbers: Numbers, bits: Rows, points: Rows, threads: int | None) -> Rows:
    rows = np.column_stack([_labels(numbers, bits), points])
    return hashing.sha256_rows(_DOMAIN + b"key/" + session.id, rows, KEY, threads=threads)
