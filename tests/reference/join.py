"""Equal rows in plain Python: what csrc/join.h says, by dictionaries and the language's own sort."""

from __future__ import annotations

from collections.abc import Sequence


def join(ours: Sequence[bytes], theirs: Sequence[bytes]) -> list[tuple[int, int]]:
    """Numbers of equal rows, in the order of their bytes; of rows that are repeated in a set the first counts."""
    one, other = (_first(rows) for rows in (ours, theirs))
    return [(one[row], other[row]) for row in sorted(one.keys() & other.keys())]


def repeated(rows: Sequence[bytes]) -> list[bool]:
    """Which rows equal one before them."""
    first = _first(rows)
    return [first[row] != i for i, row in enumerate(rows)]


def _first(rows: Sequence[bytes]) -> dict[bytes, int]:
    return {row: i for i, row in reversed(list(enumerate(rows)))}
