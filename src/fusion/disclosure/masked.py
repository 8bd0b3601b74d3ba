"""Masked arrays: numpy drops the mask without a word, and shows what lies under it."""

from __future__ import annotations

import numpy as np

from fusion.errors import InputError

__all__ = ["refuse_masked"]


def refuse_masked(values: object) -> None:
    """InputError for a masked array with something under its mask, which a plain array of it would hold."""
    if isinstance(values, np.ma.MaskedArray) and np.ma.is_masked(values):
        raise InputError("the masked array has masked values, which are missing; fill or drop them first")
