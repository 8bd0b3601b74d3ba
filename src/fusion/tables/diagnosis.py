"""Which rows were left out and why few matched, as far as one side can tell from its own columns.

`observe` looks at a sample while the keys are made and keeps names of symptoms; `explain_matches` turns them
into sentences if the match rate is low, and `explain_left_out` counts what a good one would hide. None keeps or shows
a value or says anything about a single row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fusion.tables import strings
from fusion.tables.kinds import KINDS

SAMPLE = 1024  # values looked at of each sort, which keeps the cost the same for any table

_LOW = 0.05  # a match rate below this is explained
_MANY = 0.9  # of a sample: the column is of that form
_SOME = 0.2  # of a sample: the form is no accident


@dataclass(frozen=True, slots=True)
class ColumnReport:
    """What one key column looked like.

    Attributes
    ----------
    name, kind : str
        The column and the kind it was read as.
    rows : int
        All rows of the column.
    null : int
        Rows without a value: null, not a number, blank.
    invalid : int
        Rows whose value cannot be read as the kind, a failed check character included.
    notes : tuple of str
        Names of symptoms, such as ``"like-phone"``; `explain_matches` says what each means.
    """

    name: str
    kind: str
    rows: int
    null: int
    invalid: int
    notes: tuple[str, ...] = ()


class _Symptom(NamedTuple):
    note: str
    kinds: tuple[str, ...]  # where it is looked for
    pattern: str  # what a value looks like
    meaning: str  # the end of a sentence that begins with the column


_NUMBERED = ("cn_id", "phone", "uscc")
_HASH = r"(?i)^(?:[0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{64})$"
_HASHED = "holds hashes, which match only if both sides hashed the same text alike; use the plain values"
_SHORT = "holds numbers one character short, as when a leading zero or the check character is cut; restore it"

# Forms of refused values.
_REFUSED = (
    _Symptom("masked", tuple(KINDS), r"\*|(?i:x{3})", "holds masked values; the keys must be complete"),
    _Symptom("hashed", tuple(KINDS), _HASH, _HASHED),
    _Symptom(
        "exponent",
        ("integer", *_NUMBERED),
        r"^[0-9](?:\.[0-9]+)?[eE]\+?[0-9]+$",
        "holds numbers that a spreadsheet shortened to powers of ten; export it again as text",
    ),
    _Symptom(
        "point-zero",
        ("integer", "date", *_NUMBERED),
        r"^[0-9]+\.0+$",
        "holds whole numbers written with decimals, as gaps in a number column cause; write it without",
    ),
    _Symptom(
        "rounded",
        ("cn_id", "uscc"),
        "^[0-9]{15}000$",
        "holds numbers that end in 000 where a spreadsheet dropped digits; export it again as text",
    ),
    _Symptom("short", ("cn_id", "uscc"), "^[0-9A-Z]{17}$", _SHORT),
    _Symptom("short", ("phone",), "^[0-9]{10}$", _SHORT),
    _Symptom(
        "time-of-day",
        ("date",),
        "[0-9]:[0-9]",
        "holds times of day; keep the date alone, and mind the time zone it was recorded in",
    ),
    _Symptom(
        "year-last",
        ("date",),
        r"^[0-9]{1,2}[-/.][0-9]{1,2}[-/.][0-9]{2,4}$",
        "holds dates with the year last, which can be read in two ways; write them as YYYY-MM-DD",
    ),
    _Symptom(
        "serial",
        ("date",),
        "^[1-6][0-9]{4}$",
        "holds day numbers of a spreadsheet instead of dates; format them as YYYY-MM-DD and export again",
    ),
)

# Symptoms that are not the form of a refused value.
_MEANINGS = {
    "constant": "holds one value in every row and so tells nobody apart; choose another key",
    "epoch": "is mostly 1970-01-01, which stands for a missing date; make those rows empty",
    "from-numbers": "is stored as numbers, which have no leading zeros; "
    "read it as text, or give both sides the kind 'integer'",
    "inexact": "holds floating-point numbers, some of them not whole or too long to be exact; "
    "read it as text or whole numbers",
    "zeros-lost": "holds digits of different lengths, mostly the longest, so leading zeros may be lost; "
    "restore them, or give both sides the kind 'integer'",
    "zeros-kept": "holds digits with leading zeros, which the other side may have lost; "
    "give both sides the kind 'integer' to ignore them",
    "hashed": _HASHED,
    **{
        f"like-{kind}": f"looks like the kind {kind!r}; name it on both sides, and different writings match"
        for kind in ("cn_id", "uscc", "phone", "date")
    },
    **{symptom.note: symptom.meaning for symptom in _REFUSED},
}

# Why a value cannot be read, for the kinds with rules of their own.
_WHY = {
    "cn_id": " (length, date of birth or check character)",
    "uscc": " (length, letters or check character)",
    "phone": " (mobile numbers of 11 digits)",
}


def observe(kind: str, type_: pa.DataType, values: pa.ChunkedArray, refused: pa.LargeStringArray) -> tuple[str, ...]:
    """Names of the symptoms of a key column.

    Parameters
    ----------
    kind : str
        What it was read as.
    type_ : pyarrow.DataType
        How it was stored.
    values : pyarrow.ChunkedArray
        Its canonical text, null where null or invalid.
    refused : pyarrow.LargeStringArray
        Normalised text of some invalid rows.
    """
    notes = [s.note for s in _REFUSED if kind in s.kinds and _share(refused, s.pattern) >= _SOME]
    if pa.types.is_floating(type_) and values.null_count and len(refused) < values.null_count:
        notes.append("inexact")
    sample = _spread(values).drop_null()
    if not len(sample):
        return tuple(notes)
    if kind == "date" and _share(sample, "^1970-01-01$") > 0.5:
        notes.append("epoch")
    elif len(sample) > 1 and pc.count_distinct(sample).as_py() == 1 and pc.all(pc.equal(values, sample[0])).as_py():
        notes.append("constant")
    if kind in ("text", "integer"):
        notes += _in_disguise(sample)
    if kind == "text":
        notes += ["from-numbers"] if pa.types.is_integer(type_) or pa.types.is_decimal(type_) else _zeros(sample)
        notes += ["hashed"] if _share(sample, _HASH) >= _MANY else []
    return tuple(notes)


def _spread(values: pa.ChunkedArray) -> pa.LargeStringArray:
    """Some rows at even distances, taken piece by piece: Arrow would first copy a column into one piece."""
    rows = np.linspace(0, max(len(values) - 1, 0), min(len(values), SAMPLE)).astype(np.int64)
    ends = np.cumsum([0, *map(len, values.chunks)])
    cuts = np.searchsorted(rows, ends)
    pieces = [
        piece.take(pa.array(rows[first:last] - start))
        for piece, start, first, last in zip(values.chunks, ends, cuts, cuts[1:], strict=False)
        if first < last
    ]
    return pa.concat_arrays(pieces) if pieces else pa.array([], pa.large_string())


def _share(sample: pa.LargeStringArray, pattern: str) -> float:
    if not len(sample):
        return 0.0
    return float(pc.mean(pc.match_substring_regex(sample, pattern)).as_py())


def _in_disguise(sample: pa.LargeStringArray) -> list[str]:
    """The special kind that nearly all values could be read as; check characters decide for the first two."""
    for kind in ("cn_id", "uscc", "phone", "date"):
        if strings.present(KINDS[kind].clean(sample)).mean() >= _MANY:
            return [f"like-{kind}"]
    return []


def _zeros(sample: pa.LargeStringArray) -> list[str]:
    """What the lengths of a column of digits say of leading zeros."""
    if _share(sample, "^[0-9]+$") < _MANY:
        return []
    widths = strings.widths(sample)
    shorter = float((widths < widths.max()).mean())
    if 0 < shorter < 0.5:
        return ["zeros-lost"]
    return ["zeros-kept"] if _share(sample, "^0[0-9]") > 0 else []


def explain_left_out(report: Sequence[ColumnReport]) -> list[str]:
    """Say in one line, if at all, how many rows each key column kept from being offered.

    Parameters
    ----------
    report : sequence of ColumnReport
        From `Keys.report`.
    """
    parts = []
    for column in report:
        if column.null:
            parts.append(f"{column.null:,} without a value in {column.name!r}")
        if column.invalid:
            parts.append(f"{column.invalid:,} whose {column.name!r} cannot be read as kind {column.kind!r}")
    return [f"rows left out, as they cannot match: {'; '.join(parts)}"] if parts else []


def explain_matches(report: Sequence[ColumnReport], offered: int, matched: int) -> list[str]:
    """Say why few rows matched, and what to do, from this side's columns alone.

    Parameters
    ----------
    report : sequence of ColumnReport
        From `Keys.report`.
    offered, matched : int
        Rows with a valid key, and those of them that matched.

    Returns
    -------
    list of str
        Sentences of one line, without any value of the table. None if at least 5 % matched, nor if some did and
        the columns show no symptom: the other side may simply be small.
    """
    if offered and matched / offered >= _LOW:
        return []
    if all(column.rows == 0 for column in report):
        return ["the table has no rows, so nothing can match; pass the rows to be matched"]
    lines = []
    for column in report:
        about = f"column {column.name!r}"
        if column.null:
            lines.append(
                f"{about}: {_percent(column.null, column.rows)} of the rows have no value and cannot match; "
                "fill them in or choose another key"
            )
        if column.invalid:
            lines.append(
                f"{about}: {_percent(column.invalid, column.rows)} of the rows cannot be read as kind "
                f"{column.kind!r}{_WHY.get(column.kind, '')}; correct them or name another kind"
            )
        lines += [f"{about} {_MEANINGS[note]}" for note in column.notes]
    if matched:
        return lines
    if not lines:
        which = "the key column looks" if len(report) == 1 else "all key columns look"
        lines.append(
            f"{which} well formed: the two sides may share nobody, or write the same thing differently; "
            "compare a few rows of your own with what the other side says of its columns"
        )
    if len(report) > 1:
        lines.append(
            "all key columns must agree at once and in the same order on both sides; "
            "try them one at a time to find the one that differs"
        )
    return lines


def _percent(part: int, whole: int) -> str:
    share = 100 * part / whole
    return "less than 1 %" if share < 1 else "more than 99 %" if 99 < share < 100 else f"{share:.0f} %"
