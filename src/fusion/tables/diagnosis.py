from __future__ import annotations
from dataclasses import dataclass

SAMPLE = 1024


@dataclass(frozen=True, slots=True)
class ColumnReport:
    name: str
    kind: str
    rows: int
    null: int
    invalid: int
    notes: tuple[str, ...] = ()


def observe(kind, type_, values, rejected):
    return ()
