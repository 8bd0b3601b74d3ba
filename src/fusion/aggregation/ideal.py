"""The cleartext twin: what every scheme computes, with nothing hidden. For tests, definitions and demonstrations.

It keeps all rules of the others (limits, weights, keys, freshness), so that what works here works there. A row is its
values beside eight bytes that stand for its randomness; whoever re-randomises draws them anew.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from fusion.aggregation.encoding import Integers, Row
from fusion.aggregation.keys import PrivateKey, PublicKey
from fusion.aggregation.schemes import KEY_ID_BYTES, Indices
from fusion.errors import InputError, PeerError

__all__ = ["generate"]

_NONCE_BYTES = 8
_VALUE_BYTES = 16
_SECRET_BYTES = 32


def generate() -> tuple[PublicKey, PrivateKey]:
    """Make a pair of keys that protect nothing: "encrypted" values are plainly there.

    Arrays under them behave as under any other scheme. `PublicKey.from_bytes` refuses such a key.
    """
    private = _Private(os.urandom(_SECRET_BYTES))
    return PublicKey(private.public), PrivateKey(private)


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class _Cells:
    values: Integers
    nonces: npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class _Public:
    key_id: bytes
    name: str = field(default="cleartext", init=False)
    summary: str = field(default="protects nothing", init=False)

    def to_bytes(self) -> bytes:
        return self.key_id

    def check(self, row: Row) -> None:
        if row.largest * row.terms >= 1 << (8 * _VALUE_BYTES - 1):
            raise InputError("bound times terms is beyond 127 bits; declare less")

    def encrypt(self, values: Integers, row: Row) -> _Cells:
        return _Cells(values.astype(row.dtype), _nonces(len(values)))

    def take(self, cells: _Cells, rows: Indices | slice, row: Row) -> _Cells:
        return _Cells(cells.values[rows], cells.nonces[rows])

    def add(self, one: _Cells, other: _Cells) -> _Cells:
        return _Cells(one.values + other.values, one.nonces ^ other.nonces)

    def negate(self, cells: _Cells) -> _Cells:
        return _Cells(-cells.values, cells.nonces)

    def scale(self, weights: Indices, cells: _Cells, row: Row) -> _Cells:
        return _Cells(cells.values * (weights[:, None] if weights.ndim else weights), cells.nonces)

    def combine(self, matrix: Indices, cells: _Cells, row: Row) -> _Cells:
        product: Any = matrix.astype(cells.values.dtype) @ cells.values
        return _Cells(product, np.zeros((len(matrix), _NONCE_BYTES), np.uint8))

    def group_sum(self, codes: Indices, groups: int, cells: _Cells, row: Row) -> _Cells:
        sums = np.zeros((groups, cells.values.shape[1]), cells.values.dtype)
        np.add.at(sums, codes, cells.values)
        return _Cells(sums, np.zeros((groups, _NONCE_BYTES), np.uint8))

    def rerandomise(self, cells: _Cells, *, full: bool) -> _Cells:
        return _Cells(cells.values, _nonces(len(cells.values)))

    def squeeze(self, cells: _Cells, row: Row) -> _Cells:
        return cells

    def body_bytes(self, row: Row, rows: int, *, squeezed: bool) -> tuple[int, ...]:
        return (rows * (_NONCE_BYTES + row.width * _VALUE_BYTES),)

    def cells_to_bytes(self, cells: _Cells) -> bytes:
        rows = [
            b"".join(int(value).to_bytes(_VALUE_BYTES, "little", signed=True) for value in values)
            for values in cells.values.tolist()
        ]
        return b"".join(nonce.tobytes() + row for nonce, row in zip(cells.nonces, rows, strict=True))

    def cells_from_bytes(self, data: memoryview, row: Row, rows: int, *, squeezed: bool) -> _Cells:
        table = np.frombuffer(data, np.uint8).reshape(rows, -1 if rows else 1)
        nonces, body = table[:, :_NONCE_BYTES].copy(), table[:, _NONCE_BYTES:].tobytes()
        values = [
            int.from_bytes(body[start : start + _VALUE_BYTES], "little", signed=True)
            for start in range(0, len(body), _VALUE_BYTES)
        ]
        integers = np.array(values, object).reshape(rows, row.width)
        row.check(integers, row.terms, PeerError)
        return _Cells(integers.astype(row.dtype), nonces)


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class _Private:
    secret: bytes

    @property
    def public(self) -> _Public:
        return _Public(hashlib.sha256(b"fusion cleartext twin" + self.secret).digest()[:KEY_ID_BYTES])

    def to_bytes(self) -> bytes:
        return self.secret

    def encrypt(self, values: Integers, row: Row) -> _Cells:
        return self.public.encrypt(values, row)

    def decrypt(self, cells: _Cells, row: Row, rows: int, weight: int, *, squeezed: bool) -> Integers:
        row.check(cells.values, weight, PeerError)
        return cells.values.copy()

    def __reduce__(self) -> NoReturn:
        raise InputError("a private key is not pickled; keep to_bytes() where only its owner reads it")


def _nonces(n: int) -> npt.NDArray[np.uint8]:
    return np.frombuffer(os.urandom(n * _NONCE_BYTES), np.uint8).reshape(n, _NONCE_BYTES)
