"""Two values to a coefficient: signed fields of 25 bits, whose sums do not meet."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["FIELD_BITS", "join", "rows_of", "separate"]

FIELD_BITS = 25
_MASK = (1 << FIELD_BITS) - 1
_SIGN = 1 << FIELD_BITS - 1


def rows_of(size: int, degree: int) -> int:
    """How many polynomials hold so many values."""
    return -(-size // (2 * degree))


def join(values: npt.NDArray[np.int64], degree: int) -> npt.NDArray[np.uint64]:
    """Values as coefficients modulo 2^50.

    Parameters
    ----------
    values : (size,) int64
        From -2^24 to below 2^24.

    Returns
    -------
    (rows, degree) uint64
    """
    rows, pairs = rows_of(len(values), degree), len(values) // 2
    joined = np.zeros(rows * degree, np.int64)
    np.left_shift(values[1::2], FIELD_BITS, out=joined[:pairs])
    joined[: len(values) - pairs] += values[::2]
    joined &= (1 << 2 * FIELD_BITS) - 1
    return joined.view(np.uint64).reshape(rows, degree)


def separate(coefficients: npt.NDArray[np.uint64], size: int) -> npt.NDArray[np.int64]:
    """The values in coefficients modulo 2^50, (size,) int64: those joined, or their sums as long as these fit."""
    words = coefficients.reshape(-1).astype(np.int64)
    values = np.empty((len(words), 2), np.int64)
    values[:, 0] = ((words & _MASK) ^ _SIGN) - _SIGN
    # a negative low field has borrowed from the high one
    values[:, 1] = (((words - values[:, 0] >> FIELD_BITS) & _MASK) ^ _SIGN) - _SIGN
    return values.reshape(-1)[:size]
