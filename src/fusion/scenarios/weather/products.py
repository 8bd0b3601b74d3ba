"""Index products as data: what is measured, and what share of the sum insured it pays.

A payout is a whole number of thousandths of the sum insured, as a contract states it, so that sums over a book are
exact whole numbers on every path: in the clear, encrypted, and in the twin.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fusion.errors import InputError
from fusion.scenarios.weather.indices import Index, Seasons
from fusion.scenarios.weather.record import Record

__all__ = [
    "ANHUI_RICE_DROUGHT",
    "ANHUI_RICE_HEAT",
    "GUANGZHOU_RAIN",
    "THOUSAND",
    "YICHANG_FROST",
    "Layer",
    "Product",
    "Steps",
    "fit_layer",
    "thousandths",
]

Floats = npt.NDArray[np.float64]

THOUSAND = 1000
MIN_YEARS = 20


@dataclass(frozen=True, slots=True)
class Steps:
    """A payout in steps.

    Attributes
    ----------
    least : tuple of float
        Ascending values of the index, each the first that earns its step.
    shares : tuple of float
        What each step pays, of the sum insured, 0 to 1.
    """

    least: tuple[float, ...]
    shares: tuple[float, ...]

    def __post_init__(self) -> None:
        ascending = all(a < b for a, b in zip(self.least, self.least[1:], strict=False))
        if not self.least or not ascending or len(self.shares) != len(self.least):
            raise InputError("steps ascend, and each has a share")
        if not all(0 <= share <= 1 for share in self.shares):
            raise InputError("a step pays a share of the sum insured, 0 to 1")

    def __str__(self) -> str:
        return ", ".join(f"{share:.0%} from {least:g}" for least, share in zip(self.least, self.shares, strict=True))

    def share(self, index: npt.ArrayLike) -> Floats:
        """Return the share of the sum insured that each index value pays; NaN for NaN."""
        values = np.asarray(index, np.float64)
        paid = np.array((0.0, *self.shares))[np.searchsorted(self.least, values, side="right")]
        return np.where(np.isnan(values), np.nan, paid)


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """A payout that grows linearly from nothing at the trigger to the whole sum insured at the exit.

    Attributes
    ----------
    trigger, exit : float or (cells,) float
        Index values; an exit below the trigger insures against too little, one above it against too much.
    """

    trigger: Floats
    exit: Floats

    def __init__(self, trigger: npt.ArrayLike, exit: npt.ArrayLike) -> None:
        object.__setattr__(self, "trigger", np.asarray(trigger, np.float64))
        object.__setattr__(self, "exit", np.asarray(exit, np.float64))
        if not (np.isfinite(self.trigger).all() and np.isfinite(self.exit).all()) or (self.trigger == self.exit).any():
            raise InputError("a layer has a trigger and another exit, both numbers")

    def __str__(self) -> str:
        if self.trigger.ndim:
            return "linearly from each cell's trigger to all at its exit"
        return f"linearly from {self.trigger:g} to all at {self.exit:g}"

    def share(self, index: npt.ArrayLike) -> Floats:
        """Return clip((trigger - index) / (trigger - exit), 0, 1); NaN for NaN."""
        values = np.asarray(index, np.float64)
        paid: Floats = np.clip((self.trigger - values) / (self.trigger - self.exit), 0.0, 1.0)
        return paid


@dataclass(frozen=True, slots=True, eq=False)
class Product:
    """An index product.

    Attributes
    ----------
    name : str
        As in the book of policies.
    index : Index, optional
        What is measured; None where the source pays by an index of its own, whose values go to the schedule.
    schedule : Steps or Layer
        What it pays.
    day_ends : str
        When a day ends by its terms: "20:00 UTC+8" is the meteorological day of China's daily records.
    source : str
        Where the terms come from, and which of them do not.
    """

    name: str
    index: Index | None
    schedule: Steps | Layer
    day_ends: str
    source: str

    @property
    def terms(self) -> str:
        """The terms in words, for both sides to compare."""
        measured = self.index or "an index of its source"
        return f"Measures: {measured}. Pays: {self.schedule}. A day ends at {self.day_ends}. {self.source}"

    def seasons(self, record: Record) -> Seasons:
        """Return the index by season and cell.

        Raises
        ------
        InputError
            The record's days end at another hour than the product's, or the index is not known here.
        """
        if self.index is None:
            raise InputError(f"the index of {self.name} is computed elsewhere; give its values to the schedule")
        if record.day_ends != self.day_ends:
            raise InputError(
                f"{self.name} counts days that end at {self.day_ends!r}, the record's end at {record.day_ends!r}; "
                "regroup the hours, or agree on terms for these days"
            )
        return self.index.seasons(record)


def thousandths(shares: Floats) -> npt.NDArray[np.int64]:
    """Return shares of the sum insured as whole thousandths, halves to even.

    Raises
    ------
    InputError
        A season without an index, NaN: leave it out, or take a cell whose record covers it.
    """
    if np.isnan(shares).any():
        raise InputError("a cell has no index in one of the seasons; keep seasons that every record covers")
    return np.rint(shares * THOUSAND).astype(np.int64)


def fit_layer(index: npt.ArrayLike, *, trigger: float = 0.20, exit: float = 0.05, min_years: int = MIN_YEARS) -> Layer:
    """Choose trigger and exit of each cell as quantiles of its own history.

    Quantiles interpolate linearly between order statistics (numpy's default; type 7 of Hyndman and Fan, Sample
    quantiles in statistical packages, The American Statistician 50, 1996). IRI's designs choose them alike, as the
    worst years in so many (Zambia FISP index design, 2021).

    Parameters
    ----------
    index : (seasons, cells) float
        NaN where a cell has no season.
    trigger, exit : float
        Probabilities of a season at or below each, 0 to 1.
    min_years : int
        How many seasons a cell needs at least.

    Raises
    ------
    InputError
        A cell has fewer seasons, or so many alike that trigger and exit coincide.
    """
    values = np.asarray(index, np.float64)
    enough_years(values, min_years)
    return Layer(np.nanquantile(values, trigger, axis=0), np.nanquantile(values, exit, axis=0))


def enough_years(values: Floats, min_years: int) -> npt.NDArray[np.int64]:
    """Return how many seasons each cell has; InputError when one has fewer than needed."""
    years: npt.NDArray[np.int64] = (~np.isnan(values)).sum(axis=0)
    if (short := years < min_years).any():
        raise InputError(
            f"cell {int(short.argmax())} has {int(years.flat[short.argmax()])} seasons where {min_years} are needed; "
            "take a longer record or leave the cell out"
        )
    return years


ANHUI_RICE_HEAT = Product(
    name="rice-heat",
    index=Index("tmax", (7, 21), (8, 15), "excess", threshold=35.0, run=3),
    schedule=Steps((10.0, 20.0, 30.0, 40.0), (0.2, 0.4, 0.7, 1.0)),
    day_ends="20:00 UTC+8",
    source=(
        "Rice heat in Nanling, Anhui: Chinese Journal of Agrometeorology 2015, 10.3969/j.issn.1000-6362.2015.02.013. "
        "Window, runs of three days, 35 degrees and the trigger of 10 are the paper's; what each step pays is ours."
    ),
)

ANHUI_RICE_DROUGHT = Product(
    name="rice-drought",
    index=Index("rain", (5, 15), (8, 31), "sum"),
    schedule=Layer(230.0, 105.0),
    day_ends="20:00 UTC+8",
    source=(
        "Rice drought in Changfeng, Anhui, reported in 2009 from the project of the ministry of agriculture, WFP and "
        "IFAD: 1.2 yuan for each mm below 230, at most 150 yuan a mu, so all of it at 105 mm. The product's second "
        "window, in autumn, is left out."
    ),
)

YICHANG_FROST = Product(
    name="orange-frost",
    index=None,
    schedule=Steps((11.0, 16.0, 21.0, 26.0), (0.2, 0.5, 0.7, 0.9)),
    day_ends="20:00 UTC+8",
    source=(
        "Navel oranges in Zigui, Yichang: 10.3969/j.issn.1674-9944.2022.14.057. It pays by a frost index f whose "
        "formula the abstract does not give: give its values to the schedule."
    ),
)

GUANGZHOU_RAIN = Product(
    name="vegetable-rain",
    index=Index("rain", (1, 1), (12, 31), "days", threshold=100.0),
    schedule=Steps((1.0,), (1.0,)),
    day_ends="20:00 UTC+8",
    source=(
        "Vegetables in Guangzhou: Guangdong Agricultural Sciences 2020, issue 5, 202005017: a day of 100 mm of rain or "
        "more. The product's other peril, wind of force 7, is left out: records here have no wind. That such a year "
        "pays the whole sum insured is ours."
    ),
)
