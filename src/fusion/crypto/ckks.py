"""CKKS: encrypted vectors of approximate numbers that can be added, by TenSEAL (extra ``tenseal``).

A row is a vector of ``length`` numbers. Anyone with the public key adds rows and multiplies them by whole numbers; the
owner of the private key decrypts. Parameters follow from ``length``, ``bound`` and ``terms``; none is the user's.

**A decryption is for the key owner's eyes.** It is the sum plus the ciphertext's noise. Whoever knows the ciphertext
and the sum sees the noise, and noise is a linear equation in the key: one decryption shown can be enough to compute it
(B. Li, D. Micciancio, ePrint 2020/1533). :meth:`PrivateKey.release` makes a decryption fit to be shown: it floods the
noise with a much larger one of its own before anything is decoded, and rounds. The flood is uniform over whole numbers,
coefficient by coefficient, wide enough that what is released is within 2^-40 in statistical distance of something that
does not depend on the ciphertext's noise: with noise of at most E on each of N coefficients, N E / 2^(r + 1) <= 2^-40
for a flood on [-2^r, 2^r). E is the worst case over all keys and all randomness, not an estimate. The distances of
several releases add up. (B. Li, D. Micciancio, M. Schultz, J. Sorrell, ePrint 2022/816, flood with Gaussian noise, for
which some seven bits less would do; uniform noise is sampled exactly.)

**Threat model.** Semi-honest. Ciphertexts that others see hide the values (IND-CPA). Decryptions are approximate, and a
released one says so. Nothing stops a contributor from encrypting other values than he should, nor noise beyond what
honest encryption has, against which the flood is not measured. The key owner who decrypts a product with a secret
weight may learn the weight from the noise: weights are hidden from third parties, not from him.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NoReturn

import numpy as np

from fusion.crypto import _seal
from fusion.crypto._ckks_parameters import Parameters, power_above
from fusion.crypto._ckks_public import (
    Ciphertexts,
    PublicKey,
    add,
    check_same,
    combine,
    group_sum,
    negate,
    read_head,
    read_residues,
    scale,
)
from fusion.crypto.random import Source
from fusion.errors import FusionError, InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "Ciphertexts",
    "Parameters",
    "PrivateKey",
    "PublicKey",
    "Released",
    "add",
    "combine",
    "generate",
    "group_sum",
    "negate",
    "scale",
]

_PRIVATE_MAGIC = b"fckksSK1"


@dataclass(frozen=True, slots=True)
class Released:
    """A decryption that may be shown.

    Attributes
    ----------
    values : ndarray of float64, shape (n, length)
        Multiples of a power of two.
    precision : float
        Each differs by at most this from the exact result, but for a chance below 2**-70 a ciphertext.
    """

    values: NDArray[np.float64] = field(repr=False)
    precision: float


class PrivateKey:
    """Decrypts. Whoever holds it reads every row under the key.

    Attributes
    ----------
    public : PublicKey
    """

    __slots__ = ("_context", "_secret", "public")

    def __init__(self, public: PublicKey, secret: NDArray[np.uint64]) -> None:
        self.public = public
        self._secret = secret
        self._context = public._engine.context(public._key, secret)

    def decrypt(self, cells: Ciphertexts) -> NDArray[np.float64]:
        """Read rows, for the key owner alone: shown to anyone who has the ciphertexts, a decryption gives the key away.

        Returns
        -------
        ndarray of float64, shape (n, length)
            Within ``parameters.error`` of the exact results.

        Raises
        ------
        InputError
            Rows under another key.
        """
        check_same(self.public, cells)
        return self._open(cells.residues)

    def release(self, cells: Ciphertexts, *, source: Source = os.urandom) -> Released:
        """Read rows in a form that may be shown: flooded, then rounded.

        Releasing the same rows again draws another flood; their distances from ideal, 2^-40 a ciphertext, add up.

        Parameters
        ----------
        cells : Ciphertexts
            Rows under this key.
        source : callable
            Number of bytes -> that many uniform bytes.

        Returns
        -------
        Released
        """
        check_same(self.public, cells)
        public, p = self.public, self.public.parameters
        flooded = cells.residues.copy()
        for i in range(len(cells)):
            for j in range(p.chunks):
                noise = _seal.transform(_uniform(p.degree, p.flood_bits, source), public._engine.primes[:-1])
                flooded[i, j, 0] = public._add(flooded[i, j, 0], noise)
        values = self._open(flooded)
        step = power_above(p.precision) / 4
        values = np.rint(values / step) * step
        if np.abs(values - self._open(cells.residues)).max(initial=0.0) > p.precision:
            raise FusionError("the flood of a release came out of range: this version of TenSEAL orders residues anew")
        return Released(values, p.precision)

    def to_bytes(self) -> bytes:
        """Parameters and both keys. Secret: for a file that only the owner reads."""
        keys = self.public._key.astype("<u8").tobytes() + self._secret.astype("<u8").tobytes()
        return _PRIVATE_MAGIC + self.public.parameters.to_bytes() + keys

    @classmethod
    def from_bytes(cls, data: bytes | memoryview) -> PrivateKey:
        """Read one's own key back; PeerError for anything else."""
        parameters, body = read_head(data, _PRIVATE_MAGIC)
        key, secret = read_residues(parameters, body, 2, 1)
        return cls(PublicKey(parameters, key), secret[0])

    def __repr__(self) -> str:
        return f"PrivateKey(of {self.public!r})"

    def __reduce__(self) -> NoReturn:
        raise InputError("a private key is not pickled; keep to_bytes() where only its owner reads it")

    def _open(self, residues: NDArray[np.uint64]) -> NDArray[np.float64]:
        p, slots = self.public.parameters, self.public.parameters.degree // 2
        values = np.empty((len(residues), p.length))
        for i, row in enumerate(residues):
            for j, ciphertext in enumerate(row):
                part = slice(j * slots, min((j + 1) * slots, p.length))
                values[i, part] = self.public._engine.decrypt(self._context, ciphertext, part.stop - part.start)
        return values * p.unit


def generate(length: int, bound: float, terms: int, precision: float | None = None) -> PrivateKey:
    """Make a key.

    Parameters
    ----------
    length, bound, terms, precision
        As for :meth:`Parameters.choose`.

    Returns
    -------
    PrivateKey
        Its ``public`` half is for everyone.

    Raises
    ------
    InputError
        Arguments out of range, or TenSEAL is missing.
    """
    parameters = Parameters.choose(length, bound, terms, precision)
    key, secret = _seal.engine(parameters.degree, parameters.bits, parameters.scale_bits).generate()
    return PrivateKey(PublicKey(parameters, key), secret)


def _uniform(count: int, bits: int, source: Source) -> list[int]:
    """Whole numbers uniform from -2^bits to 2^bits - 1."""
    size = bits // 8 + 1
    drawn, mask, low = source(count * size), (2 << bits) - 1, 1 << bits
    return [(int.from_bytes(drawn[at : at + size], "little") & mask) - low for at in range(0, count * size, size)]
