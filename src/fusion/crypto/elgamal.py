"""Additively homomorphic ElGamal on ristretto255, over arrays of integers.

A row encrypts k integers as (r G, r Y_1 + m_1 G, ..., r Y_k + m_k G): one fresh secret r a row, an independent key
Y_j = y_j G for every slot j. Sums of rows encrypt the sums of their integers. Decryption finds a logarithm, so sums
must stay within a bound that the key owner names; what lies outside is an error, never another value.

Every function takes ``threads`` and ``variant`` as `fusion.kernels.ristretto` does; encodings depend on neither.
"""

from __future__ import annotations

import hashlib
import os
from typing import NoReturn

import numpy as np

from fusion.crypto._elgamal_ciphertexts import (
    ELEMENT_BYTES,
    Ciphertexts,
    Ints,
    add,
    combine,
    group_sum,
    histogram,
    integers,
    negate,
    scale,
    trivial,
)
from fusion.crypto.random import Source
from fusion.errors import InputError, PeerError
from fusion.kernels import active, logarithm, multiples, ristretto, sums
from fusion.kernels._rows import Bytes

__all__ = [
    "ELEMENT_BYTES",
    "Ciphertexts",
    "PrivateKey",
    "PublicKey",
    "add",
    "combine",
    "generate",
    "group_sum",
    "histogram",
    "negate",
    "scale",
]

_SUITE = b"fusion/elgamal/1/ristretto255"


class PublicKey:
    """The keys Y_1 to Y_k, one a slot.

    Parameters
    ----------
    body : (k, 32) uint8
        Encodings.

    Raises
    ------
    PeerError
        If a key is not canonical, is the identity or occurs twice.
    """

    __slots__ = ("_body", "_points", "_tables")

    def __init__(self, body: Bytes) -> None:
        if not len(body):
            raise PeerError("the public key has no slots; a key has at least one")
        points, valid = ristretto.decode(body, threads=1)
        for fault, bad in (("not a canonical encoding", ~valid), ("the identity", ~body.any(axis=1))):
            if bad.any():
                raise PeerError(f"the public key of slot {int(np.flatnonzero(bad)[0])} is {fault}")
        _, first = np.unique(body, axis=0, return_index=True)
        if len(first) != len(body):
            twice = np.setdiff1d(np.arange(len(body)), first)[0]
            raise PeerError(f"the public key of slot {int(twice)} occurs twice; slots need independent keys")
        self._body = body.copy()
        self._points = points
        self._tables: dict[tuple[int, str], multiples.Multiples] = {}

    @property
    def slots(self) -> int:
        """How many integers a row holds."""
        return len(self._body)

    @property
    def key_id(self) -> bytes:
        """16 bytes that name the key: SHA-256 of the suite and the key."""
        return hashlib.sha256(_SUITE + b"/key-id" + self.slots.to_bytes(4, "little") + self.to_bytes()).digest()[:16]

    def to_bytes(self) -> bytes:
        """Write 32 bytes a slot."""
        return self._body.tobytes()

    @classmethod
    def from_bytes(cls, data: bytes) -> PublicKey:
        """Read what `to_bytes` wrote; PeerError for a key that is not canonical, the identity or there twice."""
        if len(data) % ELEMENT_BYTES:
            raise PeerError(f"a public key has {ELEMENT_BYTES} bytes a slot, which {len(data)} bytes are not")
        return cls(np.frombuffer(data, dtype=np.uint8).reshape(-1, ELEMENT_BYTES))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PublicKey) and self.to_bytes() == other.to_bytes()

    def __hash__(self) -> int:
        return hash(self.key_id)

    def __reduce__(self) -> NoReturn:
        raise InputError("public keys are not pickled; send to_bytes()")

    def __repr__(self) -> str:
        return f"<PublicKey {self.key_id.hex()}, {self.slots} slots>"

    def encrypt(
        self, values: Ints, *, source: Source = os.urandom, threads: int | None = None, variant: str | None = None
    ) -> Ciphertexts:
        """Encrypt rows of integers.

        Parameters
        ----------
        values : (n, k) int64
            Any; what is decrypted in the end must lie within the bound given there.
        source : callable
            Number of bytes -> that many uniform bytes.

        Raises
        ------
        InputError
            On another shape or type.
        """
        rows = integers(values, "values")
        if rows.ndim != 2 or rows.shape[1] != self.slots:
            raise InputError(f"values must have shape (n, {self.slots}), one column a slot, not {rows.shape}")
        return self._fresh(rows, tuple(range(self.slots)), source, threads, variant)

    def zeros(self, n: int) -> Ciphertexts:
        """Make n trivial encryptions of zeros, with r = 0: what sums begin with. They hide nothing before
        `rerandomise`, and `Ciphertexts.to_bytes` refuses them."""
        return trivial(n, tuple(range(self.slots)))

    def rerandomise(
        self,
        ciphertexts: Ciphertexts,
        *,
        source: Source = os.urandom,
        threads: int | None = None,
        variant: str | None = None,
    ) -> Ciphertexts:
        """Add a fresh encryption of zeros to each row, one new r a row for all its slots: nobody without the private
        key can tell which operations made the row."""
        zeros = np.zeros((len(ciphertexts), len(ciphertexts.slots)), dtype=np.int64)
        fresh = self._fresh(zeros, ciphertexts.slots, source, threads, variant)
        return add(ciphertexts, fresh, threads=threads, variant=variant)

    def _fresh(
        self, values: Ints, slots: tuple[int, ...], source: Source, threads: int | None, variant: str | None
    ) -> Ciphertexts:
        if slots and max(slots) >= self.slots:
            raise InputError(f"the ciphertexts have slot {max(slots)}, the key has only {self.slots} slots")
        chosen = [self._table(slot, variant or active("elgamal")) for slot in slots]
        scalars = _random_scalars(len(values), source, threads)
        try:
            points = multiples.encrypt(scalars, values, chosen, threads=threads, variant=variant)
        finally:
            scalars[:] = 0
        return Ciphertexts(points, slots)

    def _table(self, slot: int, variant: str) -> multiples.Multiples:
        if (slot, variant) not in self._tables:  # two threads that meet here make the same table
            element = self._points[slot : slot + 1]
            self._tables[slot, variant] = multiples.Multiples(element, variant=variant)
        return self._tables[slot, variant]


class PrivateKey:
    """The secrets y_1 to y_k. Printing shows nothing of them.

    Attributes
    ----------
    public : PublicKey
    """

    __slots__ = ("_secrets", "public")

    def __init__(self, secrets: Bytes) -> None:
        self._secrets = secrets
        self.public = PublicKey(ristretto.encode(ristretto.multiply_base(secrets, threads=1), threads=1))

    def to_bytes(self) -> bytes:
        """Write 32 bytes a slot. Whoever reads them decrypts everything."""
        return self._secrets.tobytes()

    @classmethod
    def from_bytes(cls, data: bytes) -> PrivateKey:
        """Read what `to_bytes` wrote; InputError unless every secret is below the order, not zero and there once."""
        if not data or len(data) % ELEMENT_BYTES:
            raise InputError(f"a private key has {ELEMENT_BYTES} bytes a slot, which {len(data)} bytes are not")
        try:
            return cls(np.frombuffer(data, dtype=np.uint8).reshape(-1, ELEMENT_BYTES).copy())
        except PeerError as error:
            raise InputError(f"the private key cannot be used: {error}") from None

    def __reduce__(self) -> NoReturn:
        raise InputError("private keys are not pickled; store to_bytes() where it is safe")

    def __repr__(self) -> str:
        return f"PrivateKey(<redacted>, {self.public.slots} slots)"

    def encrypt(
        self, values: Ints, *, source: Source = os.urandom, threads: int | None = None, variant: str | None = None
    ) -> Ciphertexts:
        """Encrypt as `PublicKey.encrypt` does, and as fast: with the secrets a value would take 128 additions in the
        place of 144, which is not worth a second use of them."""
        return self.public.encrypt(values, source=source, threads=threads, variant=variant)

    def decrypt(
        self, ciphertexts: Ciphertexts, bound: int, *, threads: int | None = None, variant: str | None = None
    ) -> Ints:
        """Decrypt rows whose integers lie between ``-bound`` and ``bound``.

        The multiplication by the secrets takes constant time. The search for the logarithm does not: its time depends
        on the sums found, which the key owner learns anyway.

        Parameters
        ----------
        bound : int
            0 to 2^62. The search takes time in proportion to it, beyond 2^21.

        Returns
        -------
        (n, number of slots) int64

        Raises
        ------
        InputError
            If a value lies outside the bound, or the rows were encrypted for another key; names the row.
        """
        slots = ciphertexts.slots
        if slots and max(slots) >= self.public.slots:
            raise InputError(f"the ciphertexts have slot {max(slots)}, the key has only {self.public.slots} slots")
        out = np.empty((len(ciphertexts), len(slots)), dtype=np.int64)
        first = ciphertexts.column(0)
        for place, slot in enumerate(slots):
            shared = ristretto.multiply(first, self._secrets[slot].tobytes(), threads=threads, variant=variant)
            opened = ristretto.add(ciphertexts.column(place + 1), sums.negate(shared), threads=threads, variant=variant)
            values, found = logarithm.logarithms(opened, bound, threads=threads, variant=variant)
            if not found.all():
                row = int(np.flatnonzero(~found)[0])
                raise InputError(
                    f"row {row}, slot {slot}: the value lies outside the bound, or the row is for another key"
                )
            out[:, place] = values
        return out


def generate(slots: int, source: Source = os.urandom) -> PrivateKey:
    """Draw a key of that many slots."""
    if slots < 1:
        raise InputError("a key needs at least one slot")
    return PrivateKey(_random_scalars(slots, source, 1))


def _random_scalars(n: int, source: Source, threads: int | None) -> Bytes:
    """Uniform but for a bias of 2^-259; each is zero with a chance of 2^-252."""
    uniform = np.frombuffer(source(64 * n), dtype=np.uint8).reshape(n, 64)
    return multiples.reduce_scalars(uniform, threads=threads)
