"""What a scheme must do to serve encrypted arrays, and which schemes there are.

A scheme sees rows of whole numbers, never a frame, never a scale. `Cells` hold the rows of an array under encryption,
in any type that the scheme likes: ciphertexts by row, or several rows in one and what is to become of them. Everything
public about them stands in `Row`.
"""

from __future__ import annotations

import importlib
from typing import Any, Protocol, cast

import numpy as np
import numpy.typing as npt

from fusion.aggregation.encoding import Integers, Row
from fusion.errors import InputError, PeerError

__all__ = ["KEY_ID_BYTES", "Cells", "Private", "Public", "Scheme", "scheme"]

Cells = Any
Indices = npt.NDArray[np.int64]
KEY_ID_BYTES = 16


class Public(Protocol):
    """The public half of a key: everything that needs no secret.

    The caller has checked shapes, limits and weights before any of these is called.
    """

    @property
    def name(self) -> str:
        """The scheme's name, as in `fusion.aggregation.generate`."""

    @property
    def key_id(self) -> bytes:
        """16 bytes that differ between any two keys."""

    @property
    def summary(self) -> str:
        """The key's parameters in a few words, for `repr`."""

    def to_bytes(self) -> bytes:
        """The key without an envelope; the scheme module's ``public_from_bytes`` reads it."""

    def check(self, row: Row) -> None:
        """InputError, saying what to declare instead, when the scheme cannot hold such rows."""

    def encrypt(self, values: Integers, row: Row) -> Cells:
        """Encrypt (n, width) whole numbers within the row's limits."""

    def take(self, cells: Cells, rows: Indices | slice, row: Row) -> Cells:
        """Some of the rows, in that order."""

    def add(self, one: Cells, other: Cells) -> Cells:
        """Row by row."""

    def negate(self, cells: Cells) -> Cells:
        """Row by row."""

    def scale(self, weights: Indices, cells: Cells, row: Row) -> Cells:
        """Each row times its own whole number, (n,), or all times one, ()."""

    def combine(self, matrix: Indices, cells: Cells, row: Row) -> Cells:
        """Weighted sums of rows: (m, n) whole numbers give m rows."""

    def group_sum(self, codes: Indices, groups: int, cells: Cells, row: Row) -> Cells:
        """Sums of the rows with each code 0 to ``groups - 1``; zero where there are none."""

    def rerandomise(self, cells: Cells, *, full: bool) -> Cells:
        """The same values under fresh randomness, as they may leave the process.

        ``full`` trusts nothing that the key's owner chose; InputError from a scheme that cannot do without.
        """

    def squeeze(self, cells: Cells, row: Row) -> Cells:
        """The same rows in fewer ciphertexts; never called where `body_bytes` shows no gain."""

    def body_bytes(self, row: Row, rows: int, *, squeezed: bool) -> tuple[int, ...]:
        """How many bytes so many rows can have in `cells_to_bytes`: one number for each form that they can take."""

    def cells_to_bytes(self, cells: Cells) -> bytes:
        """The ciphertexts, row by row."""

    def cells_from_bytes(self, data: memoryview, row: Row, rows: int, *, squeezed: bool) -> Cells:
        """Strict: PeerError naming the first place that holds no ciphertext under this key."""


class Private(Protocol):
    """A key's owner."""

    @property
    def public(self) -> Public:
        """The half that others get."""

    def to_bytes(self) -> bytes:
        """The secret key without an envelope; the scheme module's ``private_from_bytes`` reads it."""

    def encrypt(self, values: Integers, row: Row) -> Cells:
        """As `Public.encrypt`, faster where the secret helps."""

    def decrypt(self, cells: Cells, row: Row, rows: int, weight: int, *, squeezed: bool) -> Integers:
        """(rows, width) of ``row.dtype``; PeerError naming the row that exceeds ``row.sums(weight)``."""


class Scheme(Protocol):
    """A module that holds a scheme."""

    def generate(self, **parameters: Any) -> Private:
        """Make a key; InputError on parameters that are unknown or too weak."""

    def public_from_bytes(self, data: bytes) -> Public:
        """Strict; PeerError on anything that is no sound key."""

    def private_from_bytes(self, data: bytes) -> Private:
        """Strict; PeerError on anything that is no sound key."""


# The cleartext twin is not among them: a peer's key must never be able to ask for no protection.
_MODULES = {
    "paillier": "fusion.aggregation.paillier",
    "elgamal": "fusion.aggregation.elgamal",
    "lattice": "fusion.aggregation.lattice",
    "ckks": "fusion.aggregation.ckks",
}


def scheme(name: object, error: type[InputError | PeerError] = InputError) -> Scheme:
    """The module of a scheme; ``error`` for a name that is none."""
    if not isinstance(name, str) or name not in _MODULES:
        known = ", ".join(f'"{known}"' for known in _MODULES)
        raise error(f"there is no such scheme; take one of {known}")
    return cast(Scheme, importlib.import_module(_MODULES[name]))
