"""Whole uses on real data, each a function run by every party and checked against its cleartext twin.

The only place in the package that knows names of columns.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, cast

from fusion.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

    from fusion.report import Report
    from fusion.scenarios.outcome import Outcome

__all__ = ["NAMES", "Scenario", "Tables", "load"]

_MODULES = {
    "medical-insurance": "fusion.scenarios.medical_insurance",
    "credit-risk": "fusion.scenarios.credit_risk",
    "weather-insurance": "fusion.scenarios.weather_insurance",
}

NAMES = tuple(_MODULES)

Tables: TypeAlias = "pd.DataFrame | dict[str, pd.DataFrame]"
"""What one party brings: a table, or several by name."""


class Scenario(Protocol):
    """What every module of this folder offers."""

    TITLE: str
    """The use in one line."""
    SECTOR: str
    """The sector in the words of the plan "Data x", such as 数据要素×医疗健康."""
    SOURCE: str
    """Where the data come from and which part of them is synthetic."""
    PARTIES: tuple[str, ...]
    """Their names, two or three; of any two the first one listens."""
    TOLERANCES: Mapping[str, float]
    """By the name of a figure or a table, how far its numbers may be from the twin's; see `outcome.compare`."""
    SHOWN: tuple[str, ...]
    """Tables of an outcome that are short enough for a terminal."""

    def data(self) -> dict[str, Tables]:
        """Return what each party brings."""
        ...

    def run(self, peers: Any, tables: Any, party: str) -> Outcome:
        """Run one party's side: over a `Channel` when there are two parties, over a `Group` when there are three."""
        ...

    def ideal(self, tables: Mapping[str, Any]) -> dict[str, Outcome]:
        """Compute what :meth:`run` returns to each party, with all tables in one place; no steps."""
        ...

    def report(self, outcomes: Mapping[str, Outcome]) -> Report:
        """Present what was found. Comparison with the twin, who learned what, sizes and receipts are added to it."""
        ...


def load(name: str) -> Scenario:
    """Return a scenario by its name, such as ``"medical-insurance"``.

    Raises
    ------
    InputError
        There is no scenario of that name.
    """
    if name not in _MODULES:
        raise InputError(f"no scenario of that name; choose from {', '.join(NAMES)}")
    return cast(Scenario, importlib.import_module(_MODULES[name]))
