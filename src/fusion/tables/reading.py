"""Opening the files a party keeps its table in.

Arrow's messages quote the offending row, and a chained exception would carry them along. So each failure is
turned into a sentence inside the ``except`` and raised outside it.
"""

from __future__ import annotations

import codecs
import contextlib
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from fusion.errors import InputError

# Arrow reads this many bytes at a time, and a row must fit.
_BLOCK = 1 << 24

# A header cell like this is someone's number or address: the header is missing, and it must not be shown.
_DATUM = re.compile(r"\s*\+?\d{11,}\s*|\s*\d{17}[xX]\s*|\s*[0-9A-HJ-NP-RTUWXY]{18}\s*|.+@.+\..+")


def existing(path: Path) -> Path:
    """The path, known to be a readable file with something in it.

    Raises
    ------
    InputError
        If it is missing, empty, a folder or not readable.
    """
    try:
        with path.open("rb") as file:
            empty = not file.read(1)
    except IsADirectoryError:
        raise InputError(f"{path} is a folder; give the path of one file") from None
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from None
    if empty:
        raise InputError(f"{path} is empty; write its header line and rows first")
    return path


def read_csv(path: Path) -> pa.Table:
    """A CSV file as a table of text columns.

    The file is UTF-8, with or without a byte order mark. Its first line names the columns. Quoted cells may
    hold commas and line breaks. Nothing is guessed: ``007`` stays ``007``, an empty cell empty text.

    Raises
    ------
    InputError
        If the file is missing, empty, not UTF-8, without a header, or has rows of unequal length.
    """
    problem, names = _not_utf8(existing(path)), []
    if not problem:
        try:
            names = _header(path)
        except pa.ArrowInvalid:
            problem = f"{path} does not begin with a line of column names and rows below it"
    if problem:
        raise InputError(problem)
    if len(set(names)) < len(names):
        raise InputError(f"{path} names two columns alike; rename one")
    if any(_DATUM.fullmatch(name) for name in names):
        raise InputError(f"the first line of {path} looks like data; put a line of column names above it")
    ragged: list[pyarrow.csv.InvalidRow] = []
    try:
        return _body(path, names, ragged)
    except pa.ArrowInvalid:
        if not ragged:
            problem = f"{path} cannot be read as CSV: a cell is longer than {_BLOCK >> 20} MB"
    if problem:
        raise InputError(problem)
    ragged.clear()
    with contextlib.suppress(pa.ArrowInvalid):
        _body(path, names, ragged, threads=False)  # once more in order: only then does Arrow know the row number
    row = ragged[0]
    raise InputError(
        f"row {row.number} of {path} (the header is row 1) has {row.actual_columns} cells instead of "
        f"{row.expected_columns}; look for an unquoted comma or an unclosed quotation mark"
    )


def _header(path: Path) -> list[str]:
    """The column names; rows of unequal length are not its business."""
    parse = pyarrow.csv.ParseOptions(newlines_in_values=True, invalid_row_handler=lambda _: "skip")
    read = pyarrow.csv.ReadOptions(block_size=_BLOCK)
    with pyarrow.csv.open_csv(path, read_options=read, parse_options=parse) as reader:
        return list(reader.schema.names)


def _body(path: Path, names: list[str], ragged: list[pyarrow.csv.InvalidRow], *, threads: bool = True) -> pa.Table:
    """The rows as text. Puts the first row of another length into `ragged` before it raises."""

    def refuse(row: pyarrow.csv.InvalidRow) -> str:
        ragged.append(row)
        return "error"

    return pyarrow.csv.read_csv(
        path,
        read_options=pyarrow.csv.ReadOptions(use_threads=threads, block_size=_BLOCK),
        parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True, invalid_row_handler=refuse),
        convert_options=pyarrow.csv.ConvertOptions(column_types=dict.fromkeys(names, pa.large_string())),
    )


def _not_utf8(path: Path) -> str:
    """Why a file is not UTF-8 text, or nothing.

    Asked before Arrow reads it: Arrow prints a traceback of its own when a row it has to hand over is no text.
    """
    with path.open("rb") as file:
        block = head = file.read(_BLOCK)
        decoder = codecs.getincrementaldecoder("utf-8")()
        try:
            while block:
                decoder.decode(block)
                block = file.read(_BLOCK)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            pass
        else:
            return ""
    if head.startswith(b"PAR1"):
        return f"{path} is a Parquet file; rename it to end in .parquet"
    wide = head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    if b"\0" in head and not wide:
        return f"{path} is no text file; open it where it was made and export it as CSV in UTF-8"
    guess = "UTF-16" if wide else "GB18030"
    return f"{path} is not UTF-8 text; convert it, such as by: iconv -f {guess} -t UTF-8 {path.name} > utf8.csv"


def open_parquet(path: Path) -> pyarrow.parquet.ParquetFile:
    """A Parquet file, of which only the description has been read.

    Raises
    ------
    InputError
        If the file is missing, empty or damaged.
    """
    with contextlib.suppress(pa.ArrowException, OSError):
        return pyarrow.parquet.ParquetFile(existing(path))
    raise InputError(damaged(path))


def damaged(path: Path) -> str:
    """What to say of a Parquet file that cannot be read."""
    return f"{path} is not a complete Parquet file; write it again"
