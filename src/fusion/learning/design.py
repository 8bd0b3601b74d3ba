"""One party's columns as the standardised numbers that a model works on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from fusion.errors import InputError

__all__ = ["Column", "Design", "check_common"]

Floats = npt.NDArray[np.float64]

_FEWEST = 10
_MOST_LEVELS = 100


@dataclass(frozen=True, slots=True)
class Column:
    """One column of numbers: a numeric column of the frame, or a level of a categorical one.

    Attributes
    ----------
    source : str
        The frame's column.
    level : str or None
        The level that this column is 1 for; None for a numeric column.
    mean, scale : float
        What is subtracted, and what the rest is divided by: mean and standard deviation over the rows fitted on.
    """

    source: str
    level: str | None
    mean: float
    scale: float

    @property
    def name(self) -> str:
        return self.source if self.level is None else f"{self.source}[{self.level}]"


@dataclass(frozen=True, slots=True)
class Design:
    """How a frame becomes columns of mean 0 and standard deviation 1, as fitted.

    Attributes
    ----------
    sources : tuple of str
        Columns of the frame, in order.
    columns : tuple of Column
    bases : dict of str to str
        The level of each categorical column that has no column of its own: its most frequent one.
    """

    sources: tuple[str, ...]
    columns: tuple[Column, ...]
    bases: dict[str, str]

    @classmethod
    def fit(cls, frame: Any, *, centre: bool = True) -> tuple[Design, Floats]:
        """Learn the design from a frame and apply it: (design, (n, k) standardised values).

        Numeric and boolean columns become one column each. Text and categorical columns become one column for each
        level but the most frequent, of equally frequent ones the first in order. Without ``centre`` columns are scaled
        only: a model without intercept has nothing else to make up for a mean.

        Raises
        ------
        InputError
            On missing values, infinities, constant columns or types that are neither; names the column.
        """
        frame = _frame(frame)
        columns: list[Column] = []
        parts: list[Floats] = []
        bases: dict[str, str] = {}
        for name in frame.columns:
            levels, base = _levels(frame[name], name)
            if base is not None:
                bases[name] = base
            for level in levels:
                values = _numbers(frame[name], name, level)
                mean, scale = float(values.mean()), float(values.std())
                if not scale > 1e-12 * max(abs(mean), 1.0):
                    raise InputError(f"column {name!r} is constant, so it explains nothing; leave it out")
                column = Column(name, level, mean if centre else 0.0, scale)
                columns.append(column)
                parts.append((values - column.mean) / scale)
        return cls(tuple(frame.columns), tuple(columns), bases), _stacked(parts, len(frame))

    def check_common(self, x: Floats) -> None:
        """Refuse columns of which a sum would be one about a few rows.

        Parameters
        ----------
        x : (n, k) floats
            As returned by `fit`.

        Raises
        ------
        InputError
            When a column has one value in all but a few rows; names it.
        """
        for column, values in zip(self.columns, x.T, strict=True):
            check_common(f"column {column.name!r}", values, "Merge levels, or leave it out")

    def apply(self, frame: Any) -> Floats:
        """The same columns of another frame, (n, k).

        Raises
        ------
        InputError
            On missing columns or values, or a level that the model has not seen.
        """
        frame = _frame(frame)
        missing = [name for name in self.sources if name not in frame.columns]
        if missing:
            raise InputError(f"column {missing[0]!r} is missing; the model was fitted with {', '.join(self.sources)}")
        for name, base in self.bases.items():
            known = {base, *(column.level for column in self.columns if column.source == name)}
            _check_present(frame[name], name)
            unknown = ~frame[name].astype(str).isin(known)
            if unknown.any():
                raise InputError(
                    f"column {name!r} has {int(unknown.sum())} rows of levels that the model has not seen; "
                    "merge them into a known level"
                )
        parts = [
            (_numbers(frame[column.source], column.source, column.level) - column.mean) / column.scale
            for column in self.columns
        ]
        return _stacked(parts, len(frame))


def check_common(what: str, values: Floats, remedy: str) -> None:
    """Refuse values, (n,), that are the same in all but a few rows: a sum with them would be one about those rows.

    It does not matter whose values they are, as a sum of products tells of both factors. This is against accidents:
    values of which one outweighs all others, without the others being alike, pass.
    """
    middle = len(values) // 2
    apart = int((values != np.partition(values, middle)[middle]).sum())  # what most rows have is the median
    if 0 < apart < _FEWEST:
        raise InputError(
            f"{what} has one value in all but {apart} rows, so sums over it would tell about those rows; at least "
            f"{_FEWEST} are needed. {remedy}"
        )


def _stacked(parts: list[Floats], rows: int) -> Floats:
    return np.column_stack(parts) if parts else np.empty((rows, 0))


def _frame(x: Any) -> pd.DataFrame:
    """A frame with text names, of polars and pyarrow too; arrays get x0, x1, ..."""
    if isinstance(x, pd.DataFrame):
        frame = x
    elif hasattr(x, "to_pandas"):
        frame = x.to_pandas()
    else:
        array = np.asarray(x)
        if array.ndim != 2:
            raise InputError("X must be a table, or an array of two dimensions, rows and columns")
        frame = pd.DataFrame(array, columns=[f"x{i}" for i in range(array.shape[1])]).infer_objects()
    if len(frame) == 0:
        raise InputError("X has no rows")
    if not all(isinstance(name, str) for name in frame.columns) or not frame.columns.is_unique:
        raise InputError("the columns of X must have different names of text")
    return frame


def _check_present(series: pd.Series[Any], name: str) -> None:
    empty = int(series.isna().sum())
    if empty:
        raise InputError(
            f"column {name!r} has {empty} missing values; fill them, or leave those rows out on both sides"
        )


def _levels(series: pd.Series[Any], name: str) -> tuple[list[str | None], str | None]:
    """The levels that get a column, and the base level; (None,) and None for a numeric column."""
    if pd.api.types.is_numeric_dtype(series) or pd.api.types.is_bool_dtype(series):
        return [None], None
    if not (isinstance(series.dtype, pd.CategoricalDtype) or pd.api.types.is_string_dtype(series)):
        raise InputError(f"column {name!r} is of type {series.dtype}; convert it to numbers or text")
    _check_present(series, name)
    counts = series.astype(str).value_counts()
    ordered = sorted(counts.index, key=lambda level: (-counts[level], level))
    if len(ordered) < 2:
        raise InputError(f"column {name!r} is constant, so it explains nothing; leave it out")
    if len(ordered) > _MOST_LEVELS:
        raise InputError(f"column {name!r} has {len(ordered)} levels; merge them into at most {_MOST_LEVELS}")
    return [*sorted(ordered[1:])], ordered[0]


def _numbers(series: pd.Series[Any], name: str, level: str | None) -> Floats:
    if level is not None:
        return np.asarray(series.astype(str) == level, dtype=np.float64)
    if not (pd.api.types.is_numeric_dtype(series) or pd.api.types.is_bool_dtype(series)):
        raise InputError(f"column {name!r} was numeric when the model was fitted, and is not now; convert it")
    _check_present(series, name)
    values = series.to_numpy(np.float64)
    if not np.isfinite(values).all():
        raise InputError(f"column {name!r} holds infinity; cap it, or leave those rows out on both sides")
    return values
