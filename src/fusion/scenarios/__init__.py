"""Whole uses on real data, each a function run by every party and checked against its cleartext twin.

The only place in the package that knows names of columns.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol, cast

from fusion.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["NAMES", "Scenario", "load"]

_MODULES = {"medical-insurance": "fusion.scenarios.medical_insurance"}

NAMES = tuple(_MODULES)


class Scenario(Protocol):
    """What every module of this folder offers."""

    TITLE: str
    """The use in one line."""
    SOURCE: str
    """Where the data come from and which part of them is synthetic."""
    PARTIES: tuple[str, ...]
    """Their names; the first one listens."""
    KEYS: Mapping[str, Mapping[str, str]]
    """For each party, its key columns and their kinds."""

    def data(self) -> dict[str, pd.DataFrame]:
        """Return each party's table."""
        ...

    def run(self, peer: Any, table: Any, party: str) -> Any:
        """Run one party's side over a channel."""
        ...

    def ideal(self, tables: Mapping[str, Any]) -> dict[str, Any]:
        """Compute what :meth:`run` returns to each party, with all tables in one place."""
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
