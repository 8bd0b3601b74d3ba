"""What a report says, as data: sections of text, figures, charts and tables."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import pandas as pd

from fusion.errors import InputError
from fusion.report.drawing import Drawn

__all__ = ["Chart", "Figure", "Figures", "Part", "Report", "Section", "Table"]


@dataclass(frozen=True, slots=True)
class Figure:
    """A headline number.

    Attributes
    ----------
    name : str
        What it is, in a few words.
    value : str
        The number as it is to be read.
    note : str
        A few words below it: a unit, or what it compares with.
    """

    name: str
    value: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Figures:
    """Headline numbers, side by side."""

    figures: Sequence[Figure]


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """A table to read.

    Attributes
    ----------
    title : str
    frame : DataFrame
        The index comes first, unless it is a plain range without a name.
    caption : str
        How to read it.
    formats : mapping of str to str
        For columns of numbers: how `format` writes them, such as ``",.0f"``. Others get as many decimals as give the
        column's largest number four digits, or four digits each where that would hide the small ones.
    collapsed : bool
        Shown on request only.
    """

    title: str
    frame: pd.DataFrame
    caption: str = ""
    formats: Mapping[str, str] = field(default_factory=dict)
    collapsed: bool = False

    def header(self) -> list[tuple[str, bool]]:
        """The titles of the columns that are shown, and whether numbers stand below."""
        index = [("" if self.frame.index.name is None else str(self.frame.index.name), False)]
        titles = [(str(name), _is_numeric(self.frame.iloc[:, i])) for i, name in enumerate(self.frame.columns)]
        return [*(index if self._has_index() else []), *titles]

    def rows(self) -> list[list[tuple[str, bool]]]:
        """Cells as text, and whether each is a number."""
        columns = [self._cells(self.frame.iloc[:, i], str(name)) for i, name in enumerate(self.frame.columns)]
        if self._has_index():
            columns.insert(0, [(str(label), False) for label in self.frame.index])
        return [list(row) for row in zip(*columns, strict=True)]

    def _has_index(self) -> bool:
        return not isinstance(self.frame.index, pd.RangeIndex) or self.frame.index.name is not None

    def _cells(self, column: pd.Series, name: str) -> list[tuple[str, bool]]:
        if not _is_numeric(column):
            words = column.map({True: "yes", False: "no"}) if pd.api.types.is_bool_dtype(column) else column
            return [("" if missing else str(word), False) for word, missing in zip(words, column.isna(), strict=True)]
        style = self.formats.get(name) or _style(column)
        return [("" if pd.isna(value) else format(value, style), True) for value in column]


def _is_numeric(column: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)


def _style(column: pd.Series) -> str:
    if pd.api.types.is_integer_dtype(column):
        return ","
    sizes = np.abs(column.to_numpy(dtype=float, na_value=np.nan))
    sizes = sizes[np.isfinite(sizes) & (sizes > 0)]
    if not len(sizes):
        return ",.4g"
    decimals = max(3 - math.floor(math.log10(sizes.max())), 0)
    return f",.{decimals}f" if sizes.min() >= 10.0**-decimals else ",.4g"


@dataclass(frozen=True, slots=True, eq=False)
class Chart:
    """A drawing with the numbers behind it; `fusion.report.charts` makes them.

    Attributes
    ----------
    title : str
    svg : Drawn
        The drawing: an ``svg`` element with every text escaped.
    table : Table
        The numbers behind it.
    caption : str
        What to see in it.
    """

    title: str
    svg: Drawn
    table: Table
    caption: str = ""

    def _repr_svg_(self) -> str:
        return str(self.svg)


Part: TypeAlias = str | Figures | Table | Chart
"""What a section holds; a string is a paragraph."""


@dataclass(frozen=True, slots=True, eq=False)
class Section:
    """A heading and what stands below it, in order. Charts that follow each other stand side by side where they fit."""

    title: str
    parts: Sequence[Part]

    def __post_init__(self) -> None:
        for part in self.parts:
            if not isinstance(part, str | Figures | Table | Chart):
                raise InputError("a section holds text, Figures, Table and Chart; wrap other things in one of these")


@dataclass(frozen=True, slots=True, eq=False)
class Report:
    """A page.

    Attributes
    ----------
    title : str
    sections : sequence of Section
    kicker : str
        A line above the title, such as the sector.
    summary : str
        What was found, in one or two sentences.
    source : str
        Where the data come from.
    """

    title: str
    sections: Sequence[Section]
    kicker: str = ""
    summary: str = ""
    source: str = ""
