"""What goes back to a key owner: one polynomial, and a number for each coefficient that he may open."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fusion.crypto.rlwe._streams import ID_BYTES, Reader, unpack
from fusion.crypto.rlwe.plan import Parameters
from fusion.errors import InputError, PeerError
from fusion.kernels import rlwe as kernel
from fusion.kernels.ntt import Words


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Responses:
    """Flooded and masked ciphertexts modulo a small power of two, less the coefficients nobody asked for.

    Attributes
    ----------
    parameters : Parameters
    key_id : bytes
        Which key opens them, 16 bytes.
    coefficients : tuple of int
        Which coefficients can be opened.
    c0 : (rows, k) uint64
        At the chosen coefficients alone: those of the others cannot be opened.
    c1 : (rows, n) uint64
    """

    parameters: Parameters
    key_id: bytes
    coefficients: tuple[int, ...]
    c0: Words
    c1: Words

    def __len__(self) -> int:
        return len(self.c1)

    def to_bytes(self) -> bytes:
        """What travels: key id, number of rows, and `switch_bits` bits for each number."""
        bits = self.parameters.switch_bits
        head = self.key_id + len(self).to_bytes(4, "little")
        return head + kernel.pack(self.c1, bits) + kernel.pack(self.c0, bits)

    @staticmethod
    def bytes_of(parameters: Parameters, rows: int, coefficients: int) -> int:
        """Length of what `to_bytes` returns for so many rows with so many coefficients each."""
        sizes = (
            kernel.packed_bytes(rows * width, parameters.switch_bits) for width in (parameters.degree, coefficients)
        )
        return ID_BYTES + 4 + sum(sizes)

    def __getitem__(self, rows: slice) -> Responses:
        return replace(self, c0=self.c0[rows], c1=self.c1[rows])

    @classmethod
    def from_bytes(cls, parameters: Parameters, key_id: bytes, data: bytes, coefficients: Sequence[int]) -> Responses:
        """Read what `to_bytes` wrote.

        Parameters
        ----------
        parameters : Parameters
        key_id : bytes
            The id of the key that they must be under.
        data : bytes
            A peer's.
        coefficients : sequence of int
            Which coefficients were asked for.

        Raises
        ------
        PeerError
            If the bytes are malformed, or of another key.
        """
        chosen, reader = chosen_coefficients(parameters, coefficients), Reader(data, "an array of responses")
        if reader.take(ID_BYTES) != key_id:
            raise PeerError("responses are under another key; both sides must use the same one")
        rows, bits, n, k = reader.integer(), parameters.switch_bits, parameters.degree, len(chosen)
        c1, c0 = (reader.take(kernel.packed_bytes(rows * width, bits)) for width in (n, k))
        reader.finish()
        return cls(
            parameters,
            key_id,
            tuple(chosen.tolist()),
            unpack(c0, bits, rows * k).reshape(rows, k),
            unpack(c1, bits, rows * n).reshape(rows, n),
        )

    def __repr__(self) -> str:
        return f"Responses(rows={len(self)}, coefficients={len(self.coefficients)}, key={self.key_id.hex()[:8]})"


def chosen_coefficients(parameters: Parameters, coefficients: Sequence[int]) -> NDArray[np.int64]:
    """`coefficients` as an array, or an InputError: at least one, in ascending order, each below the degree."""
    chosen = np.asarray(coefficients)
    if chosen.ndim != 1 or not len(chosen) or chosen.dtype.kind not in "iu":
        raise InputError("coefficients must be a list of at least one integer")
    if chosen[0] < 0 or chosen[-1] >= parameters.degree or (np.diff(chosen.astype(np.int64)) <= 0).any():
        raise InputError(f"coefficients must ascend from 0 or more to below {parameters.degree}")
    return chosen.astype(np.int64)
