"""ElGamal on ristretto255 behind encrypted arrays: one slot of the key for each value of a row.

Decryption searches for a logarithm, up to the declared bound times the weight of the result: in proportion to it beyond
2^21. So the largest sum that bound and terms allow is at most 2^40.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NoReturn

import numpy as np

from fusion.aggregation.encoding import Integers, Row
from fusion.aggregation.schemes import Indices
from fusion.crypto import elgamal
from fusion.crypto.elgamal import Ciphertexts
from fusion.errors import InputError, PeerError

__all__ = ["generate", "private_from_bytes", "public_from_bytes"]

_ELEMENT_BYTES = 32
_LARGEST_SUM = 1 << 40
_MAX_SLOTS = 1 << 12


def generate(**parameters: Any) -> _Private:
    """Make a key; ``slots`` is the largest number of values in a row, 1 by default, at most 4096."""
    if set(parameters) - {"slots"}:
        raise InputError('"elgamal" takes one parameter, slots')
    slots = parameters.get("slots", 1)
    if isinstance(slots, bool) or not isinstance(slots, int) or not 1 <= slots <= _MAX_SLOTS:
        raise InputError(f"slots must be a whole number from 1 to {_MAX_SLOTS}")
    return _Private(elgamal.generate(slots))


def public_from_bytes(data: bytes) -> _Public:
    """Read a key of at most 4096 slots and check each."""
    if len(data) > _MAX_SLOTS * _ELEMENT_BYTES:
        raise PeerError(f"the key has more than {_MAX_SLOTS} slots; ask for a smaller one")
    return _Public(elgamal.PublicKey.from_bytes(data))


def private_from_bytes(data: bytes) -> _Private:
    """Read the secrets of at most 4096 slots and check them."""
    if len(data) > _MAX_SLOTS * _ELEMENT_BYTES:
        raise InputError(f"the key has more than {_MAX_SLOTS} slots")
    return _Private(elgamal.PrivateKey.from_bytes(data))


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class _Public:
    key: elgamal.PublicKey
    _narrower: dict[int, elgamal.PublicKey] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return "elgamal"

    @property
    def key_id(self) -> bytes:
        return self.key.key_id

    @property
    def summary(self) -> str:
        return f"{self.key.slots} slots" if self.key.slots > 1 else "1 slot"

    def to_bytes(self) -> bytes:
        return self.key.to_bytes()

    def check(self, row: Row) -> None:
        if row.width > self.key.slots:
            raise InputError(
                f"rows of {row.width} values need a key of as many slots, this one has {self.key.slots}; "
                f'generate("elgamal", slots={row.width}) makes one; a frame takes a value for its count too'
            )
        if row.largest * row.terms > _LARGEST_SUM:
            raise InputError(
                'bound times terms, in units of the last decimal, is at most 2^40 for "elgamal"; '
                f"with {row.terms} terms declare a bound of at most {_LARGEST_SUM // row.terms}, or fewer terms"
            )

    def encrypt(self, values: Integers, row: Row) -> Ciphertexts:
        return self._for(row.width).encrypt(values)

    def take(self, cells: Ciphertexts, rows: Indices | slice, row: Row) -> Ciphertexts:
        return cells[rows]

    def add(self, one: Ciphertexts, other: Ciphertexts) -> Ciphertexts:
        return elgamal.add(one, other)

    def negate(self, cells: Ciphertexts) -> Ciphertexts:
        return elgamal.negate(cells)

    def scale(self, weights: Indices, cells: Ciphertexts, row: Row) -> Ciphertexts:
        return elgamal.scale(cells, np.ascontiguousarray(np.broadcast_to(weights, (len(cells),))))

    def combine(self, matrix: Indices, cells: Ciphertexts, row: Row) -> Ciphertexts:
        return elgamal.combine(matrix, cells)

    def group_sum(self, codes: Indices, groups: int, cells: Ciphertexts, row: Row) -> Ciphertexts:
        return elgamal.group_sum(codes, groups, cells)

    def rerandomise(self, cells: Ciphertexts, *, full: bool) -> Ciphertexts:
        # always full: a uniform scalar of the whole group
        return self.key.rerandomise(cells)

    def squeeze(self, cells: Ciphertexts, row: Row) -> Ciphertexts:
        return cells

    def body_bytes(self, row: Row, rows: int, *, squeezed: bool) -> tuple[int, ...]:
        return (rows * (1 + row.width) * _ELEMENT_BYTES,)

    def cells_to_bytes(self, cells: Ciphertexts) -> bytes:
        return cells.to_bytes().tobytes()

    def cells_from_bytes(self, data: memoryview, row: Row, rows: int, *, squeezed: bool) -> Ciphertexts:
        encoded = np.frombuffer(data, np.uint8).reshape(rows, (1 + row.width) * _ELEMENT_BYTES)
        return Ciphertexts.from_bytes(encoded, range(row.width))

    def _for(self, width: int) -> elgamal.PublicKey:
        """The key of the first slots: a row need not fill them all."""
        if width == self.key.slots:
            return self.key
        if width not in self._narrower:
            self._narrower[width] = elgamal.PublicKey.from_bytes(self.key.to_bytes()[: width * _ELEMENT_BYTES])
        return self._narrower[width]


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class _Private:
    key: elgamal.PrivateKey
    public: _Public = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "public", _Public(self.key.public))

    def to_bytes(self) -> bytes:
        return self.key.to_bytes()

    def encrypt(self, values: Integers, row: Row) -> Ciphertexts:
        if row.width == self.key.public.slots:
            return self.key.encrypt(values)
        return self.public.encrypt(values, row)

    def decrypt(self, cells: Ciphertexts, row: Row, rows: int, weight: int, *, squeezed: bool) -> Integers:
        sums = row.sums(weight)
        opened = np.empty((rows, row.width), np.int64)
        # slots of one limit are searched together
        for limit in np.unique(sums).tolist():
            slots = np.flatnonzero(sums == limit)
            try:
                opened[:, slots] = self.key.decrypt(cells.columns(slots.tolist()), int(limit))
            except InputError as error:
                raise PeerError(f"the decryption found no sum within its declared bound and terms: {error}") from None
        return opened

    def __reduce__(self) -> NoReturn:
        raise InputError("a private key is not pickled; keep to_bytes() where only its owner reads it")
