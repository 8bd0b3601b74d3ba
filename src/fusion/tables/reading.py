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

# Arrow reads this many bytes at a time, and a row must fit. The small block stays in the processor's cache; a file with
# a row that does not fit is read again by the large one.
_BLOCKS = 1 << 20, 1 << 24

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
    problem, quoted = _look(existing(path))
    names: list[str] = []
    if not problem:
        names = _header(path)
        if not names:
            problem = f"{path} does not begin with a line of column names and rows below it"
    if problem:
        raise InputError(problem)
    if len(set(names)) < len(names):
        raise InputError(f"{path} names two columns alike; rename one")
    if any(_DATUM.fullmatch(name) for name in names):
        raise InputError(f"the first line of {path} looks like data; put a line of column names above it")
    ragged: list[pyarrow.csv.InvalidRow] = []
    for block in _BLOCKS:
        with contextlib.suppress(pa.ArrowInvalid):
            table = _body(path, names, ragged, block, quoted=quoted)
            pa.default_memory_pool().release_unused()  # the text itself, as large as the table: for what comes next
            return table
        if ragged:
            break
    else:
        raise InputError(f"{path} cannot be read as CSV: a cell is longer than {_BLOCKS[-1] >> 20} MB")
    ragged.clear()
    for block in _BLOCKS:  # once more in order: only then does Arrow know the row number
        with contextlib.suppress(pa.ArrowInvalid):
            _body(path, names, ragged, block, quoted=quoted, threads=False)
        if ragged:
            break
    row = ragged[0]
    raise InputError(
        f"row {row.number} of {path} (the header is row 1) has {row.actual_columns} cells instead of "
        f"{row.expected_columns}; look for an unquoted comma or an unclosed quotation mark"
    )


def _header(path: Path) -> list[str]:
    """The column names, none if the file has no such line; rows of unequal length are not its business."""
    parse = pyarrow.csv.ParseOptions(newlines_in_values=True, invalid_row_handler=lambda _: "skip")
    for block in _BLOCKS:
        with path.open("rb") as file:
            start = file.read(block)  # of the whole file Arrow would read ahead
        read = pyarrow.csv.ReadOptions(block_size=block)
        with (
            contextlib.suppress(pa.ArrowInvalid),
            pyarrow.csv.open_csv(pa.BufferReader(start), read_options=read, parse_options=parse) as reader,
        ):
            return list(reader.schema.names)
    return []


def _body(
    path: Path,
    names: list[str],
    ragged: list[pyarrow.csv.InvalidRow],
    block: int,
    *,
    quoted: bool,
    threads: bool = True,
) -> pa.Table:
    """The rows as text. Puts the first row of another length into `ragged` before it raises."""

    def refuse(row: pyarrow.csv.InvalidRow) -> str:
        ragged.append(row)
        return "error"

    return pyarrow.csv.read_csv(
        path,
        read_options=pyarrow.csv.ReadOptions(use_threads=threads, block_size=block),
        # without a quotation mark no cell holds a line break, and Arrow need not look for one
        parse_options=pyarrow.csv.ParseOptions(newlines_in_values=quoted, invalid_row_handler=refuse),
        convert_options=pyarrow.csv.ConvertOptions(column_types=dict.fromkeys(names, pa.large_string())),
    )


def _look(path: Path) -> tuple[str, bool]:
    """Why a file is not UTF-8 text, or nothing; and whether it holds a quotation mark.

    Asked before Arrow reads it: Arrow prints a traceback of its own when a row it has to hand over is no text.
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    block, head, quoted = bytearray(_BLOCKS[0]), b"", False
    try:
        with path.open("rb") as file:
            while size := file.readinto(block):
                part = block if size == len(block) else block[:size]
                head = head or bytes(part)
                quoted = quoted or b'"' in part
                # nothing is left over from the block before, and the next cannot end within a character either
                if decoder.getstate()[0] or not part.isascii():
                    decoder.decode(part)
            decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        pass
    else:
        return "", quoted
    if head.startswith(b"PAR1"):
        return f"{path} is a Parquet file; rename it to end in .parquet", quoted
    wide = head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    if b"\0" in head and not wide:
        return f"{path} is no text file; open it where it was made and export it as CSV in UTF-8", quoted
    guess = "UTF-16" if wide else "GB18030"
    return f"{path} is not UTF-8 text; convert it, such as by: iconv -f {guess} -t UTF-8 {path.name} > utf8.csv", quoted


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
