"""CKKS behind encrypted arrays: long rows, added as one, and exact all the same.

The scheme itself computes approximately. Here it carries whole numbers, with parameters chosen so that what comes out
is off by less than half of one: decryption floods, rounds, and gives exactly the sum. So a decryption shows nothing of
the ciphertexts' noise, which in raw ones gives the key away to whoever knows the ciphertexts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np

from fusion.aggregation.encoding import MAX_DECIMALS, MAX_TERMS, Integers, Row, scaled_limit, whole
from fusion.aggregation.schemes import Indices
from fusion.crypto import ckks
from fusion.crypto.ckks import Ciphertexts
from fusion.errors import InputError, PeerError

__all__ = ["generate", "private_from_bytes", "public_from_bytes"]

_PRECISION = 0.375  # of a unit: below one half, so that rounding is exact
_LARGEST_SUM = 1 << 34  # what double precision carries to that precision
_MAX_LENGTH = 1 << 24
_HEAD_BYTES = 44


def generate(**parameters: Any) -> _Private:
    """Make a key for rows of up to ``length`` values.

    ``bound``, ``decimals`` (0 by default) and ``terms`` are the largest that arrays under it may declare.
    """
    if set(parameters) - {"decimals"} != {"length", "bound", "terms"}:
        raise InputError('"ckks" takes length, bound and terms, and decimals if there are any')
    length = whole(parameters["length"], "length", 1, _MAX_LENGTH)
    terms = whole(parameters["terms"], "terms", 1, MAX_TERMS)
    decimals = whole(parameters.get("decimals", 0), "decimals", 0, MAX_DECIMALS)
    limit = scaled_limit(parameters["bound"], decimals)
    if limit * terms > _LARGEST_SUM:
        raise InputError('bound times terms, in units of the last decimal, is at most 2^34 for "ckks"; declare less')
    return _Private(ckks.generate(length, float(limit), terms, _PRECISION))


def public_from_bytes(data: bytes) -> _Public:
    """Read a key and check its parameters."""
    return _Public(_fit(ckks.PublicKey.from_bytes(data)))


def private_from_bytes(data: bytes) -> _Private:
    """Read a key and check its parameters."""
    key = ckks.PrivateKey.from_bytes(data)
    _fit(key.public)
    return _Private(key)


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class _Public:
    key: ckks.PublicKey

    @property
    def name(self) -> str:
        return "ckks"

    @property
    def key_id(self) -> bytes:
        return self.key.key_id

    @property
    def summary(self) -> str:
        p = self.key.parameters
        return f"length={p.length}, bound={p.bound:.12g} in units of the last decimal, terms={p.terms}"

    def to_bytes(self) -> bytes:
        return self.key.to_bytes()

    def check(self, row: Row) -> None:
        p = self.key.parameters
        if row.width > p.length or row.largest > p.bound or row.terms > p.terms:
            raise InputError(
                f"this key is for rows of {p.length} values, bounds of {p.bound:.12g} in units of the last decimal and "
                f"{p.terms} terms; declare no more"
            )

    def encrypt(self, values: Integers, row: Row) -> Ciphertexts:
        padded = np.zeros((len(values), self.key.parameters.length))
        padded[:, : row.width] = values
        return self.key.encrypt(padded)

    def take(self, cells: Ciphertexts, rows: Indices | slice, row: Row) -> Ciphertexts:
        return cells[rows]

    def add(self, one: Ciphertexts, other: Ciphertexts) -> Ciphertexts:
        return ckks.add(one, other)

    def negate(self, cells: Ciphertexts) -> Ciphertexts:
        return ckks.negate(cells)

    def scale(self, weights: Indices, cells: Ciphertexts, row: Row) -> Ciphertexts:
        return ckks.scale(cells, np.broadcast_to(weights, (len(cells),)))

    def combine(self, matrix: Indices, cells: Ciphertexts, row: Row) -> Ciphertexts:
        return ckks.combine(matrix, cells)

    def group_sum(self, codes: Indices, groups: int, cells: Ciphertexts, row: Row) -> Ciphertexts:
        return ckks.group_sum(codes, groups, cells)

    def rerandomise(self, cells: Ciphertexts, *, full: bool) -> Ciphertexts:
        # there is no full one: the key's owner sees the noise that operations leave
        if full:
            raise InputError('"ckks" cannot hide from the key owner how a result was made; take another scheme')
        return self.key.rerandomise(cells)

    def squeeze(self, cells: Ciphertexts, row: Row) -> Ciphertexts:
        return cells

    def body_bytes(self, row: Row, rows: int, *, squeezed: bool) -> tuple[int, ...]:
        return (_HEAD_BYTES + rows * self.key.parameters.row_bytes,)

    def cells_to_bytes(self, cells: Ciphertexts) -> bytes:
        return cells.to_bytes()

    def cells_from_bytes(self, data: memoryview, row: Row, rows: int, *, squeezed: bool) -> Ciphertexts:
        cells = Ciphertexts.from_bytes(data, self.key)
        if len(cells) != rows:
            raise PeerError(f"the array announces {rows} rows and its ciphertexts {len(cells)}")
        return cells


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class _Private:
    key: ckks.PrivateKey

    @property
    def public(self) -> _Public:
        return _Public(self.key.public)

    def to_bytes(self) -> bytes:
        return self.key.to_bytes()

    def encrypt(self, values: Integers, row: Row) -> Ciphertexts:
        return self.public.encrypt(values, row)

    def decrypt(self, cells: Ciphertexts, row: Row, rows: int, weight: int, *, squeezed: bool) -> Integers:
        values = self.key.release(cells).values
        near = np.rint(values)
        off = np.flatnonzero((np.abs(values - near) > _PRECISION).any(axis=1) | near[:, row.width :].any(axis=1))
        if len(off):
            raise PeerError(f"row {off[0]} is no sum of whole numbers; its sender broke the limits of the scheme")
        integers = near[:, : row.width].astype(np.int64)
        row.check(integers, weight, PeerError)
        return integers

    def __reduce__(self) -> NoReturn:
        raise InputError("a private key is not pickled; keep to_bytes() where only its owner reads it")


def _fit(key: ckks.PublicKey) -> ckks.PublicKey:
    p = key.parameters
    if p.precision != _PRECISION or p.bound != np.rint(p.bound) or p.bound * p.terms > _LARGEST_SUM:
        raise PeerError("this CKKS key is not for whole numbers; make one with fusion.aggregation.generate")
    return key
