"""From daily weather to one number a season: an operator over a window of the year."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fusion.errors import InputError
from fusion.scenarios.weather.record import ELEMENTS, MISSING, Hundredths, Record

__all__ = ["Index", "Seasons"]

_OPERATORS = ("sum", "mean", "max", "min", "days", "excess")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_BLOCK = 1 << 23  # days in memory at a time


@dataclass(frozen=True, slots=True, eq=False)
class Seasons:
    """An index by season and cell.

    Attributes
    ----------
    years : (seasons,) int64
        The year each ends in.
    values : (seasons, cells) float64
        The index; NaN where the cell's record does not cover the season.
    """

    years: npt.NDArray[np.int64]
    values: npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Index:
    """What a product measures.

    Attributes
    ----------
    element : str
        "tmin", "tmax" (degrees Celsius) or "rain" (mm).
    start, end : (month, day)
        The window, both days in it; one that starts later in the year than it ends runs across New Year.
    operator : str
        "sum", "mean", "max", "min" of the daily values; "days": how many are at or above the threshold; "excess": by
        how much they are, added up. The last two count only days in runs of at least ``run`` such days.
    threshold : float
        In the element's unit.
    run : int
        Shortest run of days that counts, within the window.
    """

    element: str
    start: tuple[int, int]
    end: tuple[int, int]
    operator: str
    threshold: float = 0.0
    run: int = 1

    def __post_init__(self) -> None:
        if self.element not in ELEMENTS:
            raise InputError(f"elements are {', '.join(ELEMENTS)}")
        if self.operator not in _OPERATORS:
            raise InputError(f"operators are {', '.join(_OPERATORS)}")
        for month, day in (self.start, self.end):
            try:
                np.datetime64(f"2001-{month:02d}-{day:02d}")  # so not the 29th of February
            except ValueError:
                raise InputError("a window starts and ends on a (month, day) that every year has") from None
        if round(self.threshold * 100) / 100 != self.threshold or self.run < 1:
            raise InputError("a threshold has at most two decimals, and a run a day or more")

    def __str__(self) -> str:
        unit = ELEMENTS[self.element][0]
        runs = f" in runs of {self.run} or more" if self.run > 1 else ""
        measured = {
            "days": f"days of {self.element} at {self.threshold:g} {unit} or more{runs}",
            "excess": f"{self.element} above {self.threshold:g} {unit} added up over days{runs}",
        }.get(self.operator, f"{self.operator} of {self.element} in {unit}")
        (first, start), (last, end) = self.start, self.end
        return f"{measured}, {start} {_MONTHS[first - 1]} to {end} {_MONTHS[last - 1]}"

    def seasons(self, record: Record) -> Seasons:
        """Compute the index for every season that some cell's record covers.

        A season that begins before a cell's first value or ends after its last is NaN there.

        Raises
        ------
        InputError
            Values are missing within a season: the message says how many, in which cell and year.
        """
        panel = record.element(self.element)
        years, starts, lengths = self._windows(record.first, len(panel))
        longest = int(lengths.max(initial=0))
        values = np.full((len(years), panel.shape[1]), np.nan)
        wide = max(1, _BLOCK // max(1, len(years) * longest))
        for left in range(0, panel.shape[1], wide):
            chosen = slice(left, left + wide)
            values[:, chosen] = self._block(panel[:, chosen], years, starts, lengths, longest, left)
        covered = ~np.isnan(values).all(axis=1)
        return Seasons(years[covered], values[covered])

    def _windows(
        self, first: np.datetime64, days: int
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Year, row of the first day and length of each window that lies within the days."""
        last = first + np.timedelta64(days - 1, "D")
        years = np.arange(_year(first), _year(last) + 1)
        starts = (_days(years - (self.start > self.end), self.start) - first).astype(np.int64)
        ends = (_days(years, self.end) - first).astype(np.int64)
        within = (starts >= 0) & (ends < days)
        return years[within], starts[within], (ends - starts + 1)[within]

    def _block(
        self,
        panel: Hundredths,
        years: npt.NDArray[np.int64],
        starts: npt.NDArray[np.int64],
        lengths: npt.NDArray[np.int64],
        longest: int,
        left: int,
    ) -> npt.NDArray[np.float64]:
        steps = np.arange(longest)
        rows = np.minimum(starts[:, None] + steps, len(panel) - 1)
        window = panel[rows]  # (seasons, days, cells)
        used = np.broadcast_to((steps < lengths[:, None])[:, :, None], window.shape)
        missing = used & (window == MISSING)
        known = panel != MISSING
        begin, end = known.argmax(axis=0), len(panel) - 1 - known[::-1].argmax(axis=0)
        outside = (starts[:, None] < begin) | ((starts + lengths)[:, None] - 1 > end) | ~known.any(axis=0)
        gaps = np.where(outside, 0, missing.sum(axis=1))
        if gaps.any():
            season, cell = np.argwhere(gaps)[0].tolist()
            raise InputError(
                f"{self.element} of cell {left + cell} lacks {gaps[season, cell]} days of the season {years[season]}; "
                "fill them from a neighbour (Record.filled) or leave the cell out"
            )
        return np.where(outside, np.nan, self._reduce(window, used))

    def _reduce(self, window: Hundredths, used: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
        found: npt.NDArray[np.float64]
        if self.operator in ("max", "min"):
            limits, reduce = np.iinfo(np.int32), getattr(np, self.operator)
            blank = limits.min if self.operator == "max" else limits.max
            found = reduce(np.where(used, window, blank), axis=1) / 100
        elif self.operator in ("sum", "mean"):
            days = used.sum(axis=1) if self.operator == "mean" else 1
            found = np.where(used, window, 0).sum(axis=1, dtype=np.int64) / days / 100
        else:
            limit = round(self.threshold * 100)
            counted = _in_runs(used & (window >= limit), self.run)
            each = 100 if self.operator == "days" else window - limit
            found = np.where(counted, each, 0).sum(axis=1, dtype=np.int64) / 100
        return found


def _days(years: npt.NDArray[np.int64], month_and_day: tuple[int, int]) -> npt.NDArray[np.datetime64]:
    month, day = month_and_day
    months = (12 * (years - 1970) + month - 1).astype("datetime64[M]")
    days: npt.NDArray[np.datetime64] = months.astype("datetime64[D]")
    return days + (day - 1)


def _year(day: np.datetime64) -> int:
    return int(day.astype("datetime64[Y]").astype(np.int64)) + 1970


def _in_runs(hot: npt.NDArray[np.bool_], least: int) -> npt.NDArray[np.bool_]:
    """Keep the days, along axis 1, that belong to a run of at least that many."""
    if least == 1:
        return hot
    days = hot.shape[1]
    length = np.zeros(hot.shape, np.int16)
    for step in (1, -1):  # days of the run up to here, and from here on
        count = np.zeros_like(length[:, 0])
        for day in range(days)[::step]:
            count = (count + 1) * hot[:, day]
            length[:, day] += count
    return hot & (length - 1 >= least)
