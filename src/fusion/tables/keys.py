"""Key columns: from whatever a table holds to the canonical text that two sides can compare.

Equal keys become equal text here and nowhere else; hashing and encoding are the caller's.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fusion.errors import InputError
from fusion.tables import strings
from fusion.tables.diagnosis import SAMPLE, ColumnReport, observe
from fusion.tables.kinds import KINDS, Kind

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from fusion.tables.strings import Flags
    from fusion.tables.table import Table

# Rows worked on at a time: small enough for the processor's cache, large enough to hide the calls.
_ROWS = 1 << 15
_EXACT_FLOAT = 2.0**53


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of one table, ready to be encoded.

    Attributes
    ----------
    kinds : tuple of str
        The kind of each key column, in order; this is what the two sides compare.
    rows : int
        Rows of the table.
    valid : ndarray of int64, shape (offered,)
        Ascending numbers of the rows whose every key column holds a valid value; only these can match.
    columns : list of pyarrow.ChunkedArray of large_string, each of length ``valid.size``
        Canonical text of each key column for those rows, without nulls.
    report : tuple of ColumnReport
        What each column looked like.
    """

    kinds: tuple[str, ...]
    rows: int
    valid: NDArray[np.int64] = field(repr=False)
    columns: list[pa.ChunkedArray] = field(repr=False)
    report: tuple[ColumnReport, ...]


def key_columns(table: Table, on: str | Sequence[str] | Mapping[str, str]) -> Keys:
    """Read the key columns of a table as canonical text.

    Parameters
    ----------
    table : Table
        The table.
    on : str, sequence of str, or mapping of str to str
        Column names in key order. A mapping gives each its kind; otherwise text columns are of kind ``text``,
        integers ``integer``, dates and timestamps ``date``. Every column of a CSV file is text.

    Returns
    -------
    Keys
        Rows in which a key column is null, blank or invalid are left out.

    Raises
    ------
    InputError
        An unknown column or kind, or a column whose type cannot be read as its kind.

    Notes
    -----
    The kinds and their canonical text:

    ``text``
        NFKC, white space trimmed, full case folding, NFKC again.
    ``integer``
        Decimal digits without leading zeros, of any length. Floats count while integral and below 2**53.
    ``date``
        ISO ``YYYY-MM-DD``. Reads dates, timestamps (the date in their own zone), integers YYYYMMDD, and text
        such as 2024-03-01, 2024/3/1, 2024.3.1, 20240301, 2024年3月1日, with or without a midnight.
    ``cn_id``
        Resident identity number of GB 11643-1999, 18 characters; those of 15 digits are converted. The check
        character and the date of birth must hold.
    ``phone``
        Mobile number of mainland China, 11 digits, without the country code.
    ``uscc``
        Unified social credit code of GB 32100-2015, 18 characters with a valid check character.

    White space, dashes and invisible characters inside the last three are dropped, for ``phone`` also
    brackets and dots.
    """
    pairs = _pairs(table, on)
    texts, reports = [], []
    usable = np.ones(table.rows, np.bool_)
    for name, kind in pairs:
        text, report = _column(table.column(name), name, kind)
        usable &= strings.present(text)
        texts.append(text)
        reports.append(report)
    valid = np.flatnonzero(usable)
    if valid.size < table.rows:
        chosen = strings.mask(usable)
        for i, text in enumerate(texts):
            texts[i] = text.filter(chosen)
    return Keys(tuple(kind for _, kind in pairs), table.rows, valid, texts, tuple(reports))


def _pairs(table: Table, on: object) -> list[tuple[str, str]]:
    """The key columns and their kinds, in order."""
    if isinstance(on, str):
        on = [on]
    # a set has no order, and the order of the columns is part of the key
    if not isinstance(on, Mapping | Sequence) or not all(isinstance(name, str) for name in on):
        raise InputError("name the key columns by a list of names, or by a mapping of names to kinds")
    if not on:
        raise InputError("no key column is named; name at least one")
    if len(set(on)) < len(on):
        raise InputError("a key column is named twice; name each once")
    if isinstance(on, Mapping):
        pairs = list(on.items())
    else:
        pairs = [(name, _kind_of(name, table.column(name).type)) for name in on]
    for name, kind in pairs:
        if not isinstance(kind, str) or kind not in KINDS:
            close = difflib.get_close_matches(kind, KINDS, 1) if isinstance(kind, str) else ()
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise InputError(
                f"column {name!r} is given the unknown kind {kind!r}: take one of {', '.join(KINDS)}{hint}"
            )
    return pairs


def _kind_of(name: str, type_: pa.DataType) -> str:
    """The kind that a column's type stands for."""
    if pa.types.is_dictionary(type_):
        type_ = type_.value_type
    if _is_text(type_):
        return "text"
    if pa.types.is_integer(type_) or (pa.types.is_decimal(type_) and type_.scale == 0):
        return "integer"
    if pa.types.is_date(type_) or pa.types.is_timestamp(type_):
        return "date"
    raise InputError(f"column {name!r} is of type {type_}: say its kind, such as on={{{name!r}: 'integer'}}")


def _is_text(type_: pa.DataType) -> bool:
    return bool(pa.types.is_string(type_) or pa.types.is_large_string(type_) or pa.types.is_string_view(type_))


def _check(name: str, kind: str, type_: pa.DataType) -> None:
    """Raise if no column of this type can be read as this kind."""
    rules = KINDS[kind]
    if _is_text(type_) or pa.types.is_null(type_):
        return
    if pa.types.is_integer(type_) or (pa.types.is_decimal(type_) and type_.scale >= 0):
        return
    if pa.types.is_floating(type_):
        if rules.floats:
            return
        if kind == "text":
            raise InputError(f"column {name!r} holds floating-point numbers: give it the kind 'integer'")
        raise InputError(
            f"column {name!r} holds floating-point numbers, which lose digits of an 18-digit number: "
            "read this column as text"
        )
    if pa.types.is_date(type_) or pa.types.is_timestamp(type_):
        if rules.dates:
            return
        raise InputError(f"column {name!r} holds dates: give it the kind 'date', not {kind!r}")
    raise InputError(f"column {name!r} of type {type_} cannot be a key of kind {kind!r}: convert it to text")


def _column(column: pa.ChunkedArray, name: str, kind: str) -> tuple[pa.ChunkedArray, ColumnReport]:
    """One key column as canonical text, null where null or invalid, and its report."""
    type_ = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    _check(name, kind, type_)
    done, nulls = [], 0
    rejected = pa.array([], pa.large_string())
    problem = False
    try:
        for piece in _pieces(column):
            text, null = _as_text(piece)
            text, blank, refused = canonical(KINDS[kind], text)
            done.append(text)
            nulls += int(null.sum()) + blank
            if len(rejected) < SAMPLE:
                rejected = pa.concat_arrays([rejected, refused.slice(0, SAMPLE - len(rejected))])
    except pa.ArrowException:
        problem = True  # raised below: Arrow's own message may quote a value, and so must not be its context
    if problem:
        raise InputError(
            f"column {name!r} of type {type_} cannot be read as kind {kind!r}: text must be UTF-8, "
            "dates within the years 1 to 9999"
        )
    values = pa.chunked_array(done, pa.large_string())  # clean pieces still lie where they were read
    invalid = len(column) - nulls - (len(values) - values.null_count)
    notes = observe(kind, type_, values, rejected)
    return values, ColumnReport(name, kind, len(column), nulls, invalid, notes)


def _pieces(column: pa.ChunkedArray) -> Iterator[pa.Array]:
    for chunk in column.chunks:
        for start in range(0, len(chunk), _ROWS):
            yield chunk.slice(start, _ROWS)


def _as_text(piece: pa.Array) -> tuple[pa.LargeStringArray, Flags]:
    """Some rows as text, null also where a number is no exact integer; and which rows are truly null."""
    if pa.types.is_dictionary(piece.type):
        piece = piece.dictionary_decode()
    null = ~strings.present(piece)
    if pa.types.is_floating(piece.type):
        numbers = piece.cast(pa.float64()).to_numpy(zero_copy_only=False)
        null = np.isnan(numbers)
        exact = (np.abs(numbers) < _EXACT_FLOAT) & (numbers == np.trunc(numbers))
        piece = pa.array(np.where(exact, numbers, 0).astype(np.int64), mask=~exact)
    elif pa.types.is_decimal(piece.type) and piece.type.scale:
        piece = pc.if_else(pc.equal(pc.trunc(piece), piece), piece, pa.scalar(None, piece.type))
        # a zero may be printed as 0E-10
        return pc.replace_substring_regex(piece.cast(pa.large_string()), r"(?:\.0*|E.*)$", ""), null
    elif pa.types.is_date(piece.type) or pa.types.is_timestamp(piece.type):
        piece = piece.cast(pa.date32(), safe=False)
    return piece.cast(pa.large_string()), null


def canonical(kind: Kind, text: pa.LargeStringArray) -> tuple[pa.LargeStringArray, int, pa.LargeStringArray]:
    """Canonical text, null where invalid; how many rows were blank; the normalised text of invalid rows."""
    dirty = strings.present(text) & ~kind.canonical(text)
    if not dirty.any():
        return text, 0, text.slice(0, 0)
    entire = bool(dirty.all())
    tidy = strings.normalise(text if entire else text.filter(strings.mask(dirty)))
    filled = strings.widths(tidy) > 0
    clean = strings.only(kind.clean(tidy), filled)
    refused = tidy.filter(strings.mask(filled & ~strings.present(clean)))
    return (
        clean if entire else strings.replace_rows(text, dirty, clean),
        int((~filled).sum()),
        refused,
    )
