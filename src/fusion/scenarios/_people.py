"""Synthetic identities for data that has none, and the dirt that such columns carry in practice.

Everything is a function of a person's number and a purpose: the same on every machine, in every order of
rows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

__all__ = ["DATE_DIRT", "ID_DIRT", "identity_numbers", "soil", "uniform"]

Spoil: TypeAlias = Callable[[pd.Series], pd.Series]

_FULL_WIDTH = str.maketrans("0123456789X", "０１２３４５６７８９Ｘ")
_CHECK_DIGITS = np.array(list("10X98765432"))  # GB 11643-1999: by the weighted sum modulo 11
_WEIGHTS = np.array([pow(2, 17 - i, 11) for i in range(17)])
_OTHER_DIGIT = str.maketrans("0123456789X", "12345678900")


def uniform(numbers: npt.NDArray[np.int64], purpose: str) -> npt.NDArray[np.float64]:
    """Return one value in [0, 1) for each number, unrelated between purposes.

    The mixing function is SplitMix64's finaliser (Steele, Lea, Flood: Fast splittable pseudorandom number
    generators, OOPSLA 2014). Nothing here is secret.
    """
    seed = int.from_bytes(hashlib.sha256(f"fusion/people/{purpose}".encode()).digest()[:8], "big")
    z = numbers.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(seed)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z = z ^ (z >> np.uint64(31))
    return (z >> np.uint64(11)).astype(np.float64) / 2.0**53


def identity_numbers(region: pd.Series, birth: pd.Series, female: pd.Series) -> pd.Series:
    """Return valid 18-digit resident identity numbers (GB 11643-1999), all different.

    Parameters
    ----------
    region : Series of str
        Six-digit division codes (GB/T 2260).
    birth : Series of datetime64
        Dates of birth.
    female : Series of bool
        Decides whether the order code is even or odd. At most 500 people may share a region, a date and a
        sex.
    """
    day = birth.dt.strftime("%Y%m%d")
    # The code counts up within region, day and sex, from a start that varies between days.
    nth = birth.groupby([region, day, female]).cumcount()
    if (nth >= 500).any():
        raise ValueError("more than 500 people share a region, a date of birth and a sex")
    start = (birth - pd.Timestamp("1900-01-01")).dt.days * 37
    code = 2 * ((start + nth) % 500) + (~female.astype(bool)).astype("int64")
    body = region + day + code.astype(str).str.zfill(3)
    digits = np.array(body.tolist(), dtype="S17").view(np.uint8).reshape(-1, 17) - ord("0")
    numbers: pd.Series = body + pd.Series(_CHECK_DIGITS[(digits @ _WEIGHTS) % 11], index=body.index)
    return numbers


# What the dirt is called, its share of the rows, and how it changes a cell.
ID_DIRT: Sequence[tuple[str, float, Spoil]] = (
    ("15 digits", 0.040, lambda s: s.str.slice(0, 6) + s.str.slice(8, 17)),
    ("full-width digits", 0.030, lambda s: s.str.translate(_FULL_WIDTH)),
    ("inner spaces", 0.020, lambda s: s.str.replace(r"^(.{6})(.{8})", r"\1 \2 ", regex=True)),
    ("outer spaces", 0.020, lambda s: " " + s + "  "),
    ("lower case", 0.400, lambda s: s.str.lower()),  # shows where the number ends in X, one in eleven
    ("failed checksum", 0.010, lambda s: s.str.slice(0, 17) + s.str.slice(17).str.translate(_OTHER_DIGIT)),
    ("missing", 0.005, lambda s: s.mask(s.notna())),
)
DATE_DIRT: Sequence[tuple[str, float, Spoil]] = (
    ("slashes", 0.050, lambda s: s.str.replace("-", "/")),
    ("eight digits", 0.040, lambda s: s.str.replace("-", "")),
    ("Chinese", 0.030, lambda s: s.str.replace(r"(.+)-(.+)-(.+)", r"\1年\2月\3日", regex=True)),
    ("missing", 0.005, lambda s: s.mask(s.notna())),
)


def soil(
    cells: pd.Series, rows: npt.NDArray[np.int64], purpose: str, dirt: Sequence[tuple[str, float, Spoil]]
) -> pd.Series:
    """Return a column with its share of dirt, one kind at most in a cell; ``rows`` numbers the rows."""
    chance = uniform(rows, purpose)
    dirty = cells.copy()
    low = 0.0
    for _, share, spoil in dirt:
        chosen = (chance >= low) & (chance < low + share)
        dirty[chosen] = spoil(cells[chosen])
        low += share
    return dirty
