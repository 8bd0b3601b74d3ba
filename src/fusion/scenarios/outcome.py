"""What a party of a scenario holds at the end, how it travels between processes, and how it compares with the twin."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np
import pandas as pd

from fusion.channel import Channel, Group
from fusion.errors import InputError
from fusion.report import Step

__all__ = ["Comparison", "Outcome", "agree", "compare"]

_INDEX = "outcome.json"


class _Content(msgspec.Struct, forbid_unknown_fields=True):
    figures: dict[str, float]
    tables: list[str]
    steps: list[Step]


@dataclass(slots=True)
class Outcome:
    """What a party holds at the end of a scenario.

    Attributes
    ----------
    figures : dict of str to float
        Headline numbers by name, such as ``"D2 of frequency"``. Each is compared with the twin's.
    tables : dict of str to DataFrame
        Results by name, such as coefficients. Columns are named by text.
    steps : list of Step
        The receipts of its operations, in order.
    """

    figures: dict[str, float] = field(default_factory=dict)
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)

    def step(self, name: str, peers: Channel | Group) -> None:
        """Keep the receipt of the operation that has just ended, one for each channel of a group; ``name`` says what
        it was for."""
        channels = [peers] if isinstance(peers, Channel) else list(peers.values())
        self.steps += [Step(name, channel.receipt()) for channel in channels]

    def write(self, folder: Path) -> None:
        """Write it into a new folder: one JSON file, and a Parquet file for each table."""
        if not all(map(math.isfinite, self.figures.values())):
            raise InputError("a figure of this scenario is no finite number")
        folder.mkdir(mode=0o700)
        for i, table in enumerate(self.tables.values()):
            table.to_parquet(folder / f"{i}.parquet")
        figures = {name: float(value) for name, value in self.figures.items()}
        (folder / _INDEX).write_bytes(msgspec.json.encode(_Content(figures, list(self.tables), self.steps)))

    @classmethod
    def read(cls, folder: Path) -> Outcome:
        """Read what `write` wrote."""
        content = msgspec.json.decode((folder / _INDEX).read_bytes(), type=_Content)
        tables = {name: pd.read_parquet(folder / f"{i}.parquet") for i, name in enumerate(content.tables)}
        return cls(content.figures, tables, content.steps)


@dataclass(frozen=True, slots=True)
class Comparison:
    """A number of one party beside its cleartext twin's.

    Attributes
    ----------
    party, name : str
        Whose it is, and which.
    value, cleartext : float
    tolerance : float
        How far they may be apart.
    """

    party: str
    name: str
    value: float
    cleartext: float
    tolerance: float

    @property
    def agrees(self) -> bool:
        """Whether they are no further apart than that."""
        return abs(self.value - self.cleartext) <= self.tolerance


def agree(compared: Sequence[Comparison]) -> bool:
    """Whether there are numbers to compare, and all of them agree."""
    return bool(compared) and all(each.agrees for each in compared)


def compare(
    outcomes: Mapping[str, Outcome], twin: Mapping[str, Outcome], tolerances: Mapping[str, float]
) -> list[Comparison]:
    """Compare what every party holds with its cleartext twin's.

    Parameters
    ----------
    outcomes, twin : mapping of str to Outcome
        By party: as computed between the parties, and with all tables in one place.
    tolerances : mapping of str to float
        By name, how far a figure, or any number of a table, may be off. Other figures must be equal; other tables
        are not compared.

    Returns
    -------
    list of Comparison
        One a figure, and one a table, for its number that is the furthest off. What only one of the two has is not a
        number there, and so does not agree.
    """
    found = []
    nothing = Outcome()
    for party in dict.fromkeys([*outcomes, *twin]):
        ours, clear = outcomes.get(party, nothing), twin.get(party, nothing)
        for name in dict.fromkeys([*ours.figures, *clear.figures]):
            one, other = (float(side.figures.get(name, math.nan)) for side in (ours, clear))
            found.append(Comparison(party, name, one, other, tolerances.get(name, 0.0)))
        for name in dict.fromkeys([*ours.tables, *clear.tables]):
            if name in tolerances:
                where, one, other = _furthest(ours.tables.get(name), clear.tables.get(name))
                found.append(Comparison(party, f"{name}, {where}", one, other, tolerances[name]))
    return found


def _furthest(ours: pd.DataFrame | None, clear: pd.DataFrame | None) -> tuple[str, float, float]:
    """Where two tables differ most, and both numbers there."""
    if ours is None or clear is None:
        return "the whole table", math.nan, math.nan
    mine, theirs = (table.select_dtypes("number").astype(float) for table in (ours, clear))
    if not (mine.index.equals(theirs.index) and mine.columns.equals(theirs.columns)) or mine.empty:
        return "rows or columns", math.nan, math.nan
    apart = (mine - theirs).abs().to_numpy()
    apart = np.where(np.isnan(apart), np.inf, apart)  # a number on one side only
    row, column = divmod(int(np.argmax(apart)), apart.shape[1])
    where = f"{mine.columns[column]} of {mine.index[row]}"
    return where, float(mine.to_numpy()[row, column]), float(theirs.to_numpy()[row, column])
