"""The data of the scenario, read from the packages that carry them; nothing of these packages is imported."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pandas as pd

from fusion.errors import InputError

__all__ = ["CLIMATE_COLUMNS", "POLICY_COLUMNS", "climate", "households"]

CLIMATE_COLUMNS = ("Day", "Month", "Year", "Tmin(C)", "Tmax(C)", "Prcp(mm)", "Et0(mm)")
POLICY_COLUMNS = ("address", "village", "takeup_survey", "ricearea_2010")


def climate(station: str) -> pd.DataFrame:
    """Return a station's daily record: `date`, `tmin_c`, `tmax_c`, `rain_mm`.

    Raises
    ------
    InputError
        aquacrop is not installed, or its file has another shape.
    """
    path = _inside("aquacrop", "data", f"{station}_climate.txt")
    table = _read(path, sep=r"\s+")
    if tuple(table.columns) != CLIMATE_COLUMNS:
        raise InputError(f"{path.name} has other columns than {', '.join(CLIMATE_COLUMNS)}; install aquacrop 3.1")
    try:
        dates = pd.to_datetime(table[["Year", "Month", "Day"]])
        values = table[["Tmin(C)", "Tmax(C)", "Prcp(mm)"]].astype("float64")
    except (ValueError, TypeError):
        raise InputError(f"{path.name} holds days or values that are none; install aquacrop 3.1") from None
    values.columns = pd.Index(["tmin_c", "tmax_c", "rain_mm"])
    return pd.concat([dates.rename("date"), values], axis=1)


def households() -> pd.DataFrame:
    """Return the households of Cai, de Janvry and Sadoulet (2015): their villages, whether they insured, their rice.

    Raises
    ------
    InputError
        causaldata is not installed, or its file has another shape.
    """
    path = _inside("causaldata", "social_insure", "Cai_2015.csv")
    table = _read(path, sep=",")
    if missing := [name for name in POLICY_COLUMNS if name not in table.columns]:
        raise InputError(f"{path.name} lacks the columns {', '.join(missing)}; install causaldata 0.1.4 or later")
    return table[list(POLICY_COLUMNS)]


def _read(path: Path, *, sep: str) -> pd.DataFrame:
    try:
        return pd.read_csv(path, sep=sep)
    except (OSError, ValueError):
        raise InputError(f"{path.name} cannot be read as a table; install the package it belongs to again") from None


def _inside(package: str, *parts: str) -> Path:
    spec = importlib.util.find_spec(package)
    for folder in (spec.submodule_search_locations if spec else None) or ():
        path = Path(folder, *parts)
        if path.is_file():
            return path
    raise InputError(f'this scenario reads data of {package}: pip install "privacy-fusion[examples]"')
