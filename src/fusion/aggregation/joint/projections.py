"""Random combinations of ciphertexts, by which a sum is told from anything else.

Of second halves x, residues x[r, l, j] of row r, prime l, place j, a projection takes for each prime the sum over r and
j of a[r, l] b[l, j] x[r, l, j], for weights a and b that come from a challenge. It is linear: that of a sum is the sum
of those of its terms. If a claimed sum is another one, it differs somewhere modulo a prime p; the weights b hide that
with probability 1/p, and so do the weights a after it (Schwartz and Zippel). With `REPEATS` independent projections:
(2/p)^2 = 2^-98, for primes of 50 bits.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from fusion.crypto import rlwe
from fusion.errors import PeerError
from fusion.kernels import ntt
from fusion.kernels import rlwe as kernel
from fusion.kernels.ntt import Words

__all__ = ["REPEATS", "add", "project", "read_projection", "write_projection"]

REPEATS = 2
_BLOCK = 4  # rows at a time: their products stay in the cache

Values = npt.NDArray[np.uint64]


def project(parameters: rlwe.Parameters, residues: Words, challenge: bytes, *, threads: int | None = None) -> Values:
    """The projections of second halves.

    Parameters
    ----------
    residues : (rows, limbs, n) uint64
        Reduced.
    challenge : bytes
        32 that nobody knew when the residues were fixed.

    Returns
    -------
    (repeats, limbs) uint64
        Reduced.
    """
    ring, rows = parameters.ring, len(residues)
    primes = np.array(ring.primes, np.uint64)
    out = np.empty((REPEATS, ring.limbs), np.uint64)
    for repeat in range(REPEATS):
        places = kernel.uniform(ring, _key(b"places", repeat, challenge), 1)
        weights = kernel.uniform(ring, _key(b"rows", repeat, challenge), -(-rows // ring.degree))
        sums = []
        for start in range(0, rows, _BLOCK):
            products = ntt.multiply(ring, residues[start : start + _BLOCK], places, threads=threads)
            # at most 8192 residues of 50 bits: below 2^63
            sums.append(products.sum(axis=2, dtype=np.uint64) % primes)
        collapsed = np.concatenate(sums).astype(object)
        by_row = weights.transpose(0, 2, 1).reshape(-1, ring.limbs)[:rows].astype(object)
        out[repeat] = [int(total) % p for total, p in zip((collapsed * by_row).sum(axis=0), ring.primes, strict=True)]
    return out


def add(parameters: rlwe.Parameters, projections: Iterable[Values]) -> Values:
    """The projections of a sum, from those of its terms."""
    primes = np.array(parameters.primes, np.uint64)
    total = np.zeros((REPEATS, len(primes)), np.uint64)
    for each in projections:
        total = (total + each) % primes
    return total


def write_projection(values: Values) -> bytes:
    """Little-endian words."""
    return values.astype("<u8").tobytes()


def read_projection(parameters: rlwe.Parameters, data: bytes, name: str) -> Values:
    """What `write_projection` wrote, or a PeerError that names whose it is."""
    limbs = len(parameters.primes)
    if len(data) != 8 * REPEATS * limbs:
        raise PeerError(f"the projection of {name} has the wrong length; check that all run the same version")
    values = np.frombuffer(data, "<u8").astype(np.uint64).reshape(REPEATS, limbs)
    if (values >= np.array(parameters.primes, np.uint64)).any():
        raise PeerError(f"the projection of {name} is not reduced; check that all run the same version")
    return values


def _key(what: bytes, repeat: int, challenge: bytes) -> bytes:
    return hashlib.sha256(b"fusion/joint/1/weights/" + what + bytes([repeat]) + challenge).digest()[:16]
