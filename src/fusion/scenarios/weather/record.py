"""Daily records of weather by cell, in whole hundredths, with every missing day known as missing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from fusion.errors import InputError

__all__ = ["ELEMENTS", "MISSING", "Hundredths", "Record"]

Hundredths = npt.NDArray[np.int32]

MISSING = np.iinfo(np.int32).min

# What there is, in which unit, and what is possible on Earth: -89.2 and 56.7 degrees and 1825 mm in a day are on record
# (WMO World Weather and Climate Extremes Archive).
ELEMENTS: Mapping[str, tuple[str, float, float]] = {
    "tmin": ("degrees Celsius", -95.0, 60.0),
    "tmax": ("degrees Celsius", -95.0, 60.0),
    "rain": ("mm", 0.0, 2000.0),
}


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Record:
    """Consecutive days of weather in a number of cells.

    Attributes
    ----------
    first : datetime64[D]
        The first day.
    values : mapping of str to (days, cells) int32
        By element, see `ELEMENTS`, in hundredths of its unit; `MISSING` where a day is.
    day_ends : str
        When a day ends, such as "20:00 UTC+8" or "24:00 local time". Products name theirs, and both have to agree.
    """

    first: np.datetime64
    values: Mapping[str, Hundredths]
    day_ends: str

    @classmethod
    def build(
        cls,
        dates: npt.ArrayLike,
        codes: npt.ArrayLike,
        columns: Mapping[str, npt.ArrayLike],
        *,
        cells: int,
        day_ends: str,
    ) -> Record:
        """Arrange rows of (day, cell) into a record.

        Parameters
        ----------
        dates : (n,) array-like of datetime64
            The day of each row, at midnight.
        codes : (n,) integers
            The cell of each row, 0 to ``cells`` - 1.
        columns : mapping of str to (n,) float
            By element, in its unit; NaN is a missing value. Rounded to hundredths, the resolution of records.
        cells : int
            How many there are.
        day_ends : str
            When a day ends.

        Raises
        ------
        InputError
            A day that stands twice, an unknown element, or values that no place has: another unit, or a number that
            stands for "missing".
        """
        try:
            days = np.asarray(dates).astype("datetime64[D]")
        except (TypeError, ValueError):
            raise InputError("days are dates; parse the column first") from None
        where = np.asarray(codes)
        if days.ndim != 1 or not len(days) or np.isnat(days).any():
            raise InputError("every row of a record has a day")
        if where.shape != days.shape or where.dtype.kind not in "iu" or where.min() < 0 or where.max() >= cells:
            raise InputError(f"every row of a record has the number of its cell, 0 to {cells - 1}")
        first = days.min()
        at = (days - first).astype(np.int64) * cells + where
        if len(np.unique(at)) != len(at):
            raise InputError("a day stands twice in one cell; keep one row for each")
        size = int((days.max() - first).astype(np.int64)) + 1
        values = {}
        for name, column in columns.items():
            panel = np.full(size * cells, MISSING, np.int32)
            panel[at] = _hundredths(name, column, len(at))
            values[name] = panel.reshape(size, cells)
        if {"tmin", "tmax"} <= values.keys():
            low, high = values["tmin"], values["tmax"]
            if ((low > high) & (high != MISSING)).any():
                raise InputError("a day's tmin is above its tmax; check which column is which")
        return cls(first, values, day_ends)

    def element(self, name: str) -> Hundredths:
        """Return one element's values, (days, cells)."""
        if name not in self.values:
            raise InputError(f"this record has no {name}, only {', '.join(self.values)}")
        return self.values[name]

    def filled(self, substitutes: npt.ArrayLike) -> Record:
        """Return a record whose missing values are those of a neighbour, as contracts provide for a failing station.

        Parameters
        ----------
        substitutes : (cells,) integers
            For each cell the one that stands in for it, or -1 for none. A substitute's own gaps stay gaps.
        """
        chosen = np.asarray(substitutes)
        cells = next(iter(self.values.values())).shape[1]
        if chosen.shape != (cells,) or chosen.dtype.kind not in "iu" or chosen.min() < -1 or chosen.max() >= cells:
            raise InputError(f"substitutes are numbers of cells, one for each of {cells}, or -1")
        values = {}
        for name, panel in self.values.items():
            theirs = np.where(chosen >= 0, panel[:, chosen], MISSING)
            values[name] = np.where(panel == MISSING, theirs, panel).astype(np.int32)
        return replace(self, values=values)


def _hundredths(name: str, column: npt.ArrayLike, rows: int) -> Hundredths:
    if name not in ELEMENTS:
        raise InputError(f"elements are {', '.join(ELEMENTS)}")
    unit, least, most = ELEMENTS[name]
    try:
        values = np.asarray(column, np.float64)
    except (TypeError, ValueError):
        raise InputError(f"{name} is no column of numbers") from None
    if values.shape != (rows,):
        raise InputError(f"{name} needs one value for each of {rows} rows")
    missing = np.isnan(values)
    impossible = ~missing & ~((values >= least) & (values <= most))
    if impossible.any():
        raise InputError(
            f"{name} in row {int(impossible.argmax())} is impossible in {unit}; "
            "convert the unit, and leave missing values empty instead of a code"
        )
    whole: Hundredths = np.where(missing, float(MISSING), np.rint(values * 100)).astype(np.int32)
    return whole
