"""Paillier behind encrypted arrays: rows packed into as few plaintexts as hold them, each with a counter of terms.

Digits are as wide as the largest sum that bound and terms allow, so the fewer terms and the smaller the bound, the more
values a ciphertext holds. A row that does not fit one plaintext takes several. The counter in each makes the decryption
notice more terms than declared; with it the key's owner learns how many terms a result has.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np

from fusion.aggregation.encoding import Integers, Row
from fusion.aggregation.keys import PrivateKey, PublicKey
from fusion.aggregation.schemes import Indices
from fusion.crypto import packing, paillier
from fusion.crypto.packing import Packing
from fusion.crypto.paillier import Ciphertexts
from fusion.errors import InputError, PeerError

__all__ = ["generate", "insecure_generate", "private_from_bytes", "public_from_bytes"]


def generate(**parameters: Any) -> _Private:
    """Make a key; ``bits`` is the length of its modulus, 3072 by default and at least."""
    unknown = set(parameters) - {"bits"}
    if unknown:
        raise InputError('"paillier" takes one parameter, bits')
    return _Private(paillier.generate(**parameters))


def insecure_generate(bits: int) -> tuple[PublicKey, PrivateKey]:
    """Make a pair of keys of 256 bits or more, which others can break: for tests."""
    private = _Private(paillier.insecure_generate(bits))
    return PublicKey(private.public), PrivateKey(private)


def public_from_bytes(data: bytes) -> _Public:
    """Read a modulus and check what can be checked of it."""
    return _Public(paillier.PublicKey.from_bytes(data))


def private_from_bytes(data: bytes) -> _Private:
    """Read two primes and check them."""
    return _Private(paillier.PrivateKey.from_bytes(data))


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class _Public:
    key: paillier.PublicKey

    @property
    def name(self) -> str:
        return "paillier"

    @property
    def key_id(self) -> bytes:
        return self.key.key_id

    @property
    def summary(self) -> str:
        return f"{self.key.bits} bits"

    def to_bytes(self) -> bytes:
        return self.key.to_bytes()

    def check(self, row: Row) -> None:
        if not Packing.capacity(row.largest, row.terms, self.key.bits):
            raise InputError(f"bound times terms does not fit a key of {self.key.bits} bits; declare less")

    def encrypt(self, values: Integers, row: Row) -> Ciphertexts:
        return self.key.encrypt(_pack(values, row, self.key.bits))

    def take(self, cells: Ciphertexts, rows: Indices | slice, row: Row) -> Ciphertexts:
        several = _ciphertexts(row, self.key.bits)[1]
        if several == 1:
            return cells[rows]
        places = np.arange(len(cells)).reshape(-1, several)[rows]
        return cells[places.ravel()]

    def add(self, one: Ciphertexts, other: Ciphertexts) -> Ciphertexts:
        return self.key.add(one, other)

    def negate(self, cells: Ciphertexts) -> Ciphertexts:
        return self.key.negate(cells)

    def scale(self, weights: Indices, cells: Ciphertexts, row: Row) -> Ciphertexts:
        several = _ciphertexts(row, self.key.bits)[1]
        each = np.repeat(weights, several) if weights.ndim else np.full(len(cells), weights)
        return self.key.multiply(cells, each)

    def combine(self, matrix: Indices, cells: Ciphertexts, row: Row) -> Ciphertexts:
        several = _ciphertexts(row, self.key.bits)[1]
        columns = [self.key.combine(matrix, cells[place::several]) for place in range(several)]
        if several == 1:
            return columns[0]
        order = np.arange(several * len(matrix)).reshape(several, -1).T.ravel()
        return Ciphertexts.concatenate(columns)[order]

    def group_sum(self, codes: Indices, groups: int, cells: Ciphertexts, row: Row) -> Ciphertexts:
        several = _ciphertexts(row, self.key.bits)[1]
        each = (codes[:, None] * several + np.arange(several)).ravel()
        return self.key.group_sum(each, groups * several, cells)

    def rerandomise(self, cells: Ciphertexts, *, full: bool) -> Ciphertexts:
        return self.key.rerandomise(cells, full=full)

    def squeeze(self, cells: Ciphertexts, row: Row) -> Ciphertexts:
        width, per = _squeezing(row, self.key.bits)
        return self.key.squeeze(cells, width, per)

    def body_bytes(self, row: Row, rows: int, *, squeezed: bool) -> tuple[int, ...]:
        several = _ciphertexts(row, self.key.bits)[1]
        per = _squeezing(row, self.key.bits)[1] if squeezed else 1
        return (-(-rows * several // per) * self.key.ciphertext_bytes,)

    def cells_to_bytes(self, cells: Ciphertexts) -> bytes:
        return cells.to_bytes().tobytes()

    def cells_from_bytes(self, data: memoryview, row: Row, rows: int, *, squeezed: bool) -> Ciphertexts:
        encoded = np.frombuffer(data, np.uint8).reshape(-1, self.key.ciphertext_bytes)
        return Ciphertexts.from_bytes(encoded, self.key)


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class _Private:
    key: paillier.PrivateKey

    @property
    def public(self) -> _Public:
        return _Public(self.key.public)

    def to_bytes(self) -> bytes:
        return self.key.to_bytes()

    def encrypt(self, values: Integers, row: Row) -> Ciphertexts:
        return self.key.encrypt(_pack(values, row, self.key.public.bits))

    def decrypt(self, cells: Ciphertexts, row: Row, rows: int, weight: int, *, squeezed: bool) -> Integers:
        bits = self.key.public.bits
        layout, several = _ciphertexts(row, bits)
        width, per = _squeezing(row, bits)
        # a squaring for each bit of a plaintext is far less than a decryption
        joined = cells if squeezed or per == 1 else self.key.public.squeeze(cells, width, per)
        per = min(per, max(1, rows * several))
        numbers = self.key.decrypt(joined, width=width * per)
        plaintexts = packing.split(numbers, width, per).ravel()[: rows * several].tolist()
        _, values = layout.unpack(plaintexts, weight=weight)
        table = values.reshape(rows, several * layout.values)[:, : row.width].astype(row.dtype)
        row.check(table, weight, PeerError)
        return table

    def __reduce__(self) -> NoReturn:
        raise InputError("a private key is not pickled; keep to_bytes() where only its owner reads it")


def _ciphertexts(row: Row, bits: int) -> tuple[Packing, int]:
    """How a ciphertext holds its share of a row, and how many a row takes: as few as possible, equally full."""
    capacity = Packing.capacity(row.largest, row.terms, bits)
    several = -(-row.width // capacity)
    return Packing(row.largest, row.terms, -(-row.width // several)), several


def _squeezing(row: Row, bits: int) -> tuple[int, int]:
    """Bits of a plaintext, and how many of them one ciphertext holds."""
    width = _ciphertexts(row, bits)[0].bits
    return width, (bits - 2) // width


def _pack(values: Integers, row: Row, bits: int) -> list[int]:
    layout, several = _ciphertexts(row, bits)
    padded = np.zeros((len(values), several * layout.values), np.int64)
    padded[:, : row.width] = values
    return layout.pack(padded.reshape(-1, layout.values))
