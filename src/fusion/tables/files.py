"""Writing results: a whole file or none."""

from __future__ import annotations

import contextlib
import csv
import io
import os
import secrets
import shutil
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from fusion.errors import InputError
from fusion.tables.table import Table


def write(table: object, path: str | os.PathLike[str]) -> None:
    """Write a table to a CSV or Parquet file; the file appears whole or not at all.

    The rows go to a temporary file in the same folder, which reaches the disk before it takes the name. A
    result is about people, so a new file is readable by its owner only; a replaced one keeps its permissions.

    Parameters
    ----------
    table : Table or anything `Table.of` takes
        What to write. A pandas index other than a range becomes columns, as in `Table.take`; a Parquet file
        keeps a range in its metadata.
    path : str or os.PathLike
        Ends in ``.csv`` (UTF-8, cells quoted only if one of them needs it, null as an empty cell) or
        ``.parquet``.

    Raises
    ------
    InputError
        Another ending, a missing or write-protected folder, a full disk, or a column the format cannot hold.
    """
    target = Path(os.path.realpath(path))
    suffix = target.suffix.lower()
    if suffix not in (".csv", ".parquet"):
        raise InputError(f"{path} is neither .csv nor .parquet; choose one of the two endings")
    arrow = (table if isinstance(table, Table) else Table.of(table)).to_arrow()
    if target.exists() and not target.is_file():
        raise InputError(f"cannot write {path}: it is no regular file; choose another")
    part = target.with_name(f".fusion-{secrets.token_hex(8)}.part")  # a name derived from a long one may be too long
    problem = ""
    try:
        try:
            with open(part, "xb", opener=_private) as file:
                _write_csv(arrow, file) if suffix == ".csv" else pyarrow.parquet.write_table(arrow, file)
                file.flush()
                os.fsync(file.fileno())
            with contextlib.suppress(FileNotFoundError):
                shutil.copymode(target, part)
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)
        _sync_folder(target.parent)
    except OSError as error:
        problem = f"cannot write {path}: {error.strerror or 'the disk refused'}"
    except pa.ArrowException:
        problem = f"a column is of a type that a {suffix} file cannot hold; convert it to text"
    if problem:
        raise InputError(problem)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _sync_folder(folder: Path) -> None:
    """Make the new name itself survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _write_csv(table: pa.Table, file: BinaryIO) -> None:
    """Plain cells if every cell can be plain, else quoted text: many loaders know no quotation marks."""
    header = io.StringIO()
    csv.writer(header, lineterminator="\n").writerow(table.column_names)
    plain = True
    if table.num_columns == 1:
        # an empty line would be read as no row; a quoted empty cell is one
        column = pc.fill_null(table.column(0).cast(pa.large_string()), "")
        table = pa.table({table.column_names[0]: column})
        plain = not pc.any(pc.equal(column, "")).as_py()
    for style in ("none", "needed") if plain else ("needed",):
        file.seek(0)
        file.truncate()
        file.write(header.getvalue().encode())
        try:
            pyarrow.csv.write_csv(table, file, pyarrow.csv.WriteOptions(include_header=False, quoting_style=style))
            return
        except pa.ArrowInvalid:
            if style == "needed":
                raise
