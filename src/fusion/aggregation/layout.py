"""Where the values of rows stand in the polynomials that a lattice scheme encrypts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fusion.aggregation.encoding import Integers, Row
from fusion.aggregation.schemes import Indices

__all__ = ["Layout"]


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Layout:
    """Value j of the i-th row in a ciphertext is coefficient ``j * rows + i``.

    Attributes
    ----------
    degree : int
        Coefficients of a ciphertext, n.
    pieces : int
        Ciphertexts that a row takes; those of the first piece of all rows come first.
    share : int
        Values of a row in one of them; the last is filled up with zeros.
    rows : int
        Rows in one of them.
    """

    degree: int
    pieces: int
    share: int
    rows: int

    @classmethod
    def of(cls, row: Row, degree: int) -> Layout:
        """As few pieces as hold a row, equally full, and as many rows in them as there is room for."""
        pieces = -(-row.width // degree)
        share = -(-row.width // pieces)
        return cls(degree, pieces, share, degree // share)

    def blocks(self, rows: int) -> int:
        """Ciphertexts of one piece of so many rows."""
        return -(-rows // self.rows)

    def packed(self, rows: int) -> Indices:
        """The coefficients with values, where there are so many rows."""
        used = min(self.rows, rows) or 1
        return (np.arange(self.share)[:, None] * self.rows + np.arange(used)).ravel()

    def single(self) -> Indices:
        """The coefficients with values, where each row has ciphertexts of its own."""
        return np.arange(self.share) * self.rows + self.rows - 1

    def write(self, values: Integers) -> Integers:
        """Rows of values (n, width) as polynomials."""
        blocks = self.blocks(len(values))
        table = np.zeros((blocks * self.rows, self.pieces * self.share), np.int64)
        table[: len(values), : values.shape[1]] = values
        split = table.reshape(blocks, self.rows, self.pieces, self.share).transpose(2, 0, 3, 1)
        polynomials = np.zeros((self.pieces, blocks, self.degree), np.int64)
        polynomials[:, :, : self.share * self.rows] = split.reshape(self.pieces, blocks, self.share * self.rows)
        return polynomials.reshape(-1, self.degree)

    def read(self, numbers: Integers, row: Row, rows: int, used: int) -> Integers:
        """The inverse: (pieces * blocks, share * used) numbers, of ``used`` rows a block, as (rows, width)."""
        blocks = len(numbers) // self.pieces
        split = numbers.reshape(self.pieces, blocks, self.share, used).transpose(1, 3, 0, 2)
        return split.reshape(blocks * used, self.pieces * self.share)[:rows, : row.width]
