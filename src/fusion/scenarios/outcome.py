"""What a party of a scenario holds at the end, how it travels between processes, and how it compares with the twin."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pandas as pd

from fusion.channel import Channel, Group
from fusion.errors import InputError
from fusion.report import Step

__all__ = ["Comparison", "Outcome", "compare"]

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
    """A figure of one party beside its cleartext twin's.

    Attributes
    ----------
    party, name : str
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


def compare(
    outcomes: Mapping[str, Outcome], twin: Mapping[str, Outcome], tolerances: Mapping[str, float]
) -> list[Comparison]:
    """Compare every figure of every party with its cleartext twin's.

    Parameters
    ----------
    outcomes, twin : mapping of str to Outcome
        By party: as computed between the parties, and with all tables in one place.
    tolerances : mapping of str to float
        By the name of a figure, how far it may be off; others must be equal.

    Returns
    -------
    list of Comparison
        A figure that only one of the two has is not a number there, and so does not agree.
    """
    found = []
    nothing = Outcome()
    for party in dict.fromkeys([*outcomes, *twin]):
        ours, clear = outcomes.get(party, nothing).figures, twin.get(party, nothing).figures
        for name in dict.fromkeys([*ours, *clear]):
            found.append(
                Comparison(party, name, ours.get(name, math.nan), clear.get(name, math.nan), tolerances.get(name, 0.0))
            )
    return found
