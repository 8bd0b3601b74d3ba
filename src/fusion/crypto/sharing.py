"""Shamir's secret sharing of 32-byte secrets: any ``threshold`` holders together know one, fewer know nothing.

A secret is the constant term of a random polynomial over the integers modulo p = 2^256 + 297, the smallest prime that
every 32-byte string lies below; holder x = 1, 2, ... has its value at x. A share is 33 bytes, big-endian, below p.

Reference: Shamir: How to share a secret (CACM 22, 1979).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

from fusion.crypto.random import Source
from fusion.errors import InputError, PeerError

__all__ = ["PRIME", "SECRET_BYTES", "SHARE_BYTES", "combine", "split"]

SECRET_BYTES = 32
SHARE_BYTES = 33
PRIME = (1 << 256) + 297


def split(secret: bytes, threshold: int, holders: Sequence[int], source: Source = os.urandom) -> list[bytes]:
    """Share a secret.

    Parameters
    ----------
    secret : bytes
        32 of them.
    threshold : int
        How many shares give the secret back: 1 to the number of holders.
    holders : sequence of int
        The distinct points, 1 or more, at which a share is taken.
    source : callable
        Number of bytes -> that many uniform bytes.

    Returns
    -------
    list of bytes
        A share of 33 bytes for each holder, in their order.

    Raises
    ------
    InputError
        If the secret has another length, or threshold and holders do not fit.
    """
    if len(secret) != SECRET_BYTES:
        raise InputError(f"a secret to share has {SECRET_BYTES} bytes")
    _check_points(holders)
    if not 1 <= threshold <= len(holders):
        raise InputError(f"a threshold of {threshold} does not fit {len(holders)} holders; take 1 to {len(holders)}")
    # 128 bits more than the prime has: the remainder is uniform but for 2^-127
    coefficients = [int.from_bytes(source(48), "big") % PRIME for _ in range(threshold - 1)]
    shares = []
    for x in holders:
        value = 0
        for coefficient in coefficients:
            value = (value + coefficient) * x % PRIME
        value = (value + int.from_bytes(secret, "big")) % PRIME
        shares.append(value.to_bytes(SHARE_BYTES, "big"))
    return shares


def combine(holders: Sequence[int], secrets: Iterable[Sequence[bytes]]) -> list[bytes]:
    """Give secrets back, each from its shares.

    Parameters
    ----------
    holders : sequence of int
        The distinct points of the shares; exactly as many as the threshold.
    secrets : iterable of sequences of bytes
        For each secret the shares of these holders, in their order.

    Returns
    -------
    list of bytes
        32 bytes for each secret.

    Raises
    ------
    PeerError
        If a share is malformed, or shares do not belong together as far as that shows.
    """
    _check_points(holders)
    weights = []
    for x in holders:
        above, below = 1, 1
        for other in holders:
            if other != x:
                above = above * other % PRIME
                below = below * (other - x) % PRIME
        weights.append(above * pow(below, -1, PRIME) % PRIME)
    found = []
    for shares in secrets:
        if len(shares) != len(holders):
            raise PeerError(f"{len(shares)} shares came where {len(holders)} belong")
        value = sum(weight * _decode(share) for weight, share in zip(weights, shares, strict=True)) % PRIME
        if value >> (8 * SECRET_BYTES):
            raise PeerError("these shares do not belong to one secret")
        found.append(value.to_bytes(SECRET_BYTES, "big"))
    return found


def _decode(share: bytes) -> int:
    value = int.from_bytes(share, "big")
    if len(share) != SHARE_BYTES or value >= PRIME:
        raise PeerError(f"a share must be {SHARE_BYTES} bytes that stand for a number below the prime")
    return value


def _check_points(holders: Sequence[int]) -> None:
    if not holders or len(set(holders)) != len(holders) or min(holders) < 1 or max(holders) >= 1 << 32:
        raise InputError("the holders of shares are distinct numbers from 1")
