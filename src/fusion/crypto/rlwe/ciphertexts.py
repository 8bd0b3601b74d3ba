"""Arrays of ciphertexts, and what may be done to them without a key."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NoReturn

import numpy as np
from numpy.typing import NDArray

from fusion.crypto.rlwe._streams import (
    ID_BYTES,
    SEED_BYTES,
    Reader,
    element_bytes,
    pack_elements,
    stream_key,
    unpack_elements,
)
from fusion.crypto.rlwe.plaintexts import Plaintexts
from fusion.crypto.rlwe.plan import Parameters
from fusion.errors import InputError, PeerError
from fusion.kernels import ntt
from fusion.kernels import rlwe as kernel
from fusion.kernels.ntt import Ring, Words

if TYPE_CHECKING:
    from fusion.crypto.rlwe.keys import PublicKey

_SEEDED, _PAIR = b"\0", b"\1"


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Ciphertexts:
    """Ciphertexts under one key.

    Attributes
    ----------
    parameters : Parameters
    key_id : bytes
        Which key decrypts, 16 bytes.
    c0, c1 : (rows, limbs, n) uint64
        Transformed.
    noise : int
        Bound of the noise of each row.
    seed : bytes or None
        What `c1` was drawn from, if it was.
    multiplied : bool
        Whether a plaintext went in that the key owner must not learn: then nothing leaves but by a response.
    """

    parameters: Parameters
    key_id: bytes
    c0: Words
    c1: Words
    noise: int
    seed: bytes | None = None
    multiplied: bool = False

    def __len__(self) -> int:
        return len(self.c0)

    def __getitem__(self, index: int | slice | NDArray[np.int64]) -> Ciphertexts:
        one = slice(index, index + 1 or None) if isinstance(index, int) else index
        return replace(self, c0=self.c0[one], c1=self.c1[one], seed=None)

    def __add__(self, other: Ciphertexts) -> Ciphertexts:
        """Sums, row by row."""
        return self._pairwise(other, ntt.add)

    def __sub__(self, other: Ciphertexts) -> Ciphertexts:
        """Differences, row by row."""
        return self._pairwise(other, ntt.subtract)

    def __neg__(self) -> Ciphertexts:
        zero = np.zeros_like(self.c0)
        c0, c1 = (ntt.subtract(self.parameters.ring, zero, x) for x in (self.c0, self.c1))
        return replace(self, c0=c0, c1=c1, seed=None)

    def sum(self) -> Ciphertexts:
        """The sum of all rows, as one row; InputError if there are none."""
        if not len(self):
            raise InputError("a sum needs at least one ciphertext")
        c0, c1 = self.c0, self.c1
        while len(c0) > 1:
            half = len(c0) // 2
            tail = slice(2 * half, None)
            c0, c1 = (
                np.concatenate([ntt.add(self.parameters.ring, x[:half], x[half : 2 * half]), x[tail]]) for x in (c0, c1)
            )
        return replace(self, c0=c0, c1=c1, noise=len(self) * self.noise, seed=None)

    def multiply(self, plain: Plaintexts, *, threads: int | None = None) -> Ciphertexts:
        """Products, row by row; one multiplier multiplies all rows.

        Raises
        ------
        InputError
            If the parameters differ, or the lengths; on products, unless it is by weights.
        """
        self._check_multiplier(plain)
        ring = self.parameters.ring
        c0, c1 = (ntt.multiply(ring, x, plain.values, threads=threads) for x in (self.c0, self.c1))
        weights = None if plain.weights is None else int(plain.weights.max(initial=0))
        return self._product(c0, c1, 1, weights)

    def inner(self, plain: Plaintexts, *, threads: int | None = None) -> Ciphertexts:
        """Sums of products: row r of the result is the sum over i of row i of `self` times ``plain[r, i]``.

        Parameters
        ----------
        plain : Plaintexts
            Of shape (rows, len(self)).

        Raises
        ------
        InputError
            If the parameters differ, or on another shape; on products, unless it is by weights.
        """
        self._check_multiplier(plain)
        ring = self.parameters.ring
        c0, c1 = (ntt.inner(ring, x, plain.values, threads=threads) for x in (self.c0, self.c1))
        weights = None if plain.weights is None else int(plain.weights.sum(axis=1).max(initial=0))
        return self._product(c0, c1, len(self), weights)

    def to_bytes(self) -> bytes:
        """What travels: key id, number of rows, and c1 as its seed where it has one; 50 bits a residue otherwise.

        Raises
        ------
        InputError
            For products: send `PublicKey.respond` of them instead.
        """
        if self.multiplied:
            raise InputError("a product tells the key owner its multiplier; send what respond() makes of it")
        head = (_PAIR if self.seed is None else _SEEDED) + self.key_id + len(self).to_bytes(4, "little")
        return head + pack_elements(self.c0) + (pack_elements(self.c1) if self.seed is None else self.seed)

    @staticmethod
    def bytes_of(parameters: Parameters, rows: int, *, seeded: bool) -> int:
        """Length of what `to_bytes` returns for so many rows."""
        size = rows * element_bytes(parameters)
        return 1 + ID_BYTES + 4 + (size + SEED_BYTES if seeded else 2 * size)

    @classmethod
    def from_bytes(cls, public: PublicKey, data: bytes, *, terms: int = 1, threads: int | None = None) -> Ciphertexts:
        """Read what `to_bytes` wrote.

        Parameters
        ----------
        public : PublicKey
            The key that they must be under.
        data : bytes
            A peer's.
        terms : int
            How many fresh ciphertexts each row is the sum of, as the protocol has it.

        Raises
        ------
        PeerError
            If the bytes are malformed, or of another key.
        """
        parameters, reader = public.parameters, Reader(data, "an array of ciphertexts")
        kind = reader.take(1)
        if kind not in (_SEEDED, _PAIR):
            raise PeerError("an array of ciphertexts is of no known kind; check the peer's version")
        if reader.take(ID_BYTES) != public.id:
            raise PeerError("ciphertexts are under another key; both sides must use the same one")
        rows = reader.integer()
        size = rows * element_bytes(parameters)
        packed = reader.take(size)
        if kind == _PAIR:
            other = reader.take(size)
            reader.finish()
            c0, c1 = (unpack_elements(parameters, each, rows) for each in (packed, other))
            return cls(parameters, public.id, c0, c1, terms * parameters.public_noise)
        seed = reader.take(SEED_BYTES)
        reader.finish()
        c0 = unpack_elements(parameters, packed, rows)
        c1 = kernel.uniform(parameters.ring, stream_key(b"ciphertexts", seed), rows, threads=threads)
        return cls(parameters, public.id, c0, c1, terms * parameters.secret_noise, seed)

    def _pairwise(self, other: Ciphertexts, operation: Callable[[Ring, Words, Words], Words]) -> Ciphertexts:
        self._check(other.parameters)
        if self.key_id != other.key_id:
            raise InputError("ciphertexts under different keys cannot be added")
        ring = self.parameters.ring
        c0, c1 = operation(ring, self.c0, other.c0), operation(ring, self.c1, other.c1)
        return replace(
            self,
            c0=c0,
            c1=c1,
            noise=self.noise + other.noise,
            seed=None,
            multiplied=self.multiplied or other.multiplied,
        )

    def _check_multiplier(self, plain: Plaintexts) -> None:
        self._check(plain.parameters)
        if self.multiplied and plain.weights is None:
            raise InputError("a product is not multiplied again; the parameters have no room for its noise")

    def _product(self, c0: Words, c1: Words, terms: int, weights: int | None) -> Ciphertexts:
        noise = terms * self.parameters.product_noise(self.noise) if weights is None else weights * self.noise
        return replace(self, c0=c0, c1=c1, noise=noise, seed=None, multiplied=True)

    def _check(self, parameters: Parameters) -> None:
        if parameters != self.parameters:
            raise InputError("the parameters differ; make both sides with the same")

    def __reduce__(self) -> NoReturn:
        raise InputError("ciphertexts are not pickled; store to_bytes()")

    def __repr__(self) -> str:
        return f"Ciphertexts(rows={len(self)}, degree={self.parameters.degree}, key={self.key_id.hex()[:8]})"
