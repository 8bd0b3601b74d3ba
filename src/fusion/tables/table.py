"""The table a party holds, whatever keeps it: pandas, pyarrow, polars, or a file."""

from __future__ import annotations

import contextlib
import difflib
import json
import os
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from fusion.errors import InputError
from fusion.tables.reading import damaged, open_parquet, read_csv

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    from numpy.typing import NDArray

_SHOWN = 20  # names of columns that a message lists at most
# what Arrow raises for values it cannot convert; the messages quote them, so none is passed on
_CONVERSION_ERRORS = (pa.ArrowException, TypeError, ValueError, OverflowError)
_WIDEST_INTEGER = pa.decimal256(76, 0)


class Table(ABC):
    """One party's rows behind one face.

    Attributes
    ----------
    rows : int
        How many there are.
    columns : tuple of str
        Their names, all different.
    """

    rows: int
    columns: tuple[str, ...]

    @staticmethod
    def of(source: object) -> Table:
        """Take a table as it comes.

        Parameters
        ----------
        source : pandas.DataFrame, pyarrow.Table, pyarrow.RecordBatch, polars.DataFrame, str or os.PathLike
            A path ends in ``.csv`` or ``.parquet``. A CSV file is UTF-8 with a header line. Its columns are
            all text: leading zeros and long numbers survive, and empty cells are nulls to a key.

        Raises
        ------
        InputError
            Another kind of object, a file that cannot be read, column names that are not text or not unique.
        """
        if isinstance(source, str | os.PathLike):
            return _from_path(Path(source))
        if isinstance(source, pa.Table | pa.RecordBatch):
            return _Arrow(source)
        # asked of what is loaded already: a frame of a package that nobody imported cannot be here
        if _is(source, "pandas", "DataFrame"):
            return _Pandas(source)  # type: ignore[arg-type]
        if _is(source, "polars", "DataFrame"):
            return _Polars(source)  # type: ignore[arg-type]
        if _is(source, "polars", "LazyFrame"):
            raise InputError("a polars LazyFrame holds no rows yet; call collect() first")
        raise InputError(
            f"a {type(source).__name__} is no table; pass a pandas or polars DataFrame, a pyarrow Table, "
            "or the path of a CSV or Parquet file"
        )

    def column(self, name: str) -> pa.ChunkedArray:
        """One column.

        Raises
        ------
        InputError
            If there is none of that name, or its values are of mixed types.
        """
        if name not in self.columns:
            raise InputError(self._missing(name))
        return self._column(name)

    def take(self, indices: NDArray[np.int64], *, index_name: str | None = None) -> object:
        """The rows of those numbers, in that order, as the same kind of table.

        Parameters
        ----------
        indices : ndarray of int64, shape (k,)
            Row numbers from 0 to ``rows - 1``; they may repeat.
        index_name : str, optional
            Name of the ``RangeIndex`` of a pandas result; the other kinds have no index.

        Notes
        -----
        Every column keeps its type. A path gives a pyarrow.Table. A pandas index other than the default one
        becomes columns in front, named after its levels; an unnamed one is called ``index``, unnamed levels
        among several ``level_0``, ``level_1`` by their place.
        """
        indices = np.asarray(indices, np.int64)
        if indices.size and not 0 <= int(indices.min()) <= int(indices.max()) < self.rows:
            raise InputError(f"row numbers must lie from 0 to {self.rows - 1}")
        return self._take(indices, index_name)

    @abstractmethod
    def to_arrow(self) -> pa.Table:
        """The whole table in Arrow form."""

    @abstractmethod
    def _column(self, name: str) -> pa.ChunkedArray: ...

    @abstractmethod
    def _take(self, indices: NDArray[np.int64], index_name: str | None) -> object: ...

    def _missing(self, name: object) -> str:
        shown = ", ".join(repr(column[:40]) for column in self.columns[:_SHOWN])
        more = f" and {len(self.columns) - _SHOWN} more" if len(self.columns) > _SHOWN else ""
        close = difflib.get_close_matches(str(name), self.columns, 1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        return f"there is no column {name!r}: there are {shown or 'none'}{more}{hint}"

    def __repr__(self) -> str:
        return f"<{type(self).__name__.lstrip('_')} table: {self.rows} rows, {len(self.columns)} columns>"


def _from_path(path: Path) -> Table:
    match path.suffix.lower():
        case ".csv":
            return _Arrow(read_csv(path))
        case ".parquet":
            return _Parquet(path)
    raise InputError(f"{path} is neither .csv nor .parquet; convert it to one of them")


def _is(source: object, package: str, name: str) -> bool:
    kind = getattr(sys.modules.get(package), name, None)
    return kind is not None and isinstance(source, kind)


def _names(names: Iterable[object]) -> tuple[str, ...]:
    """Column names, known to be text and all different."""
    checked = []
    for name in names:
        if not isinstance(name, str):
            raise InputError(
                f"a column name is of type {type(name).__name__}, not text; rename the columns, "
                "such as by frame.columns = frame.columns.astype(str)"
            )
        checked.append(name)
    if len(set(checked)) < len(checked):
        raise InputError("two columns have the same name; rename one")
    return tuple(checked)


class _Arrow(Table):
    def __init__(self, source: pa.Table | pa.RecordBatch) -> None:
        self._source = source
        self.rows = source.num_rows
        self.columns = _names(source.schema.names)

    def _column(self, name: str) -> pa.ChunkedArray:
        column = self._source.column(name)
        return column if isinstance(column, pa.ChunkedArray) else pa.chunked_array([column])

    def _take(self, indices: NDArray[np.int64], index_name: str | None) -> pa.Table | pa.RecordBatch:
        return _without_range(self._source).take(pa.array(indices))

    def to_arrow(self) -> pa.Table:
        return self._source if isinstance(self._source, pa.Table) else pa.Table.from_batches([self._source])


class _Parquet(Table):
    """Columns are read when asked for. The file stays open, so one put in its place changes nothing here."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = open_parquet(path)
        self.rows = self._file.metadata.num_rows
        self.columns = _names(self._file.schema_arrow.names)

    def _read(self, columns: list[str] | None = None) -> pa.Table:
        with contextlib.suppress(pa.ArrowException, OSError):
            return self._file.read(columns=columns)
        raise InputError(damaged(self._path))

    def _column(self, name: str) -> pa.ChunkedArray:
        return self._read([name]).column(name)

    def _take(self, indices: NDArray[np.int64], index_name: str | None) -> pa.Table:
        return _without_range(self._read()).take(pa.array(indices))

    def to_arrow(self) -> pa.Table:
        return self._read()


class _Polars(Table):
    def __init__(self, frame: pl.DataFrame) -> None:
        self._frame = frame
        self.rows = frame.height
        self.columns = _names(frame.columns)

    def _column(self, name: str) -> pa.ChunkedArray:
        column = self._frame.get_column(name)
        if column.dtype != sys.modules["polars"].Object:  # those would come out as addresses
            with contextlib.suppress(Exception):  # polars has errors of its own, and they may quote values
                return pa.chunked_array([column.to_arrow()])
        raise InputError(f"column {name!r} is of a type that only polars knows; cast it to text")

    def _take(self, indices: NDArray[np.int64], index_name: str | None) -> pl.DataFrame:
        return self._frame[indices]

    def to_arrow(self) -> pa.Table:
        return pa.table({name: self._column(name) for name in self.columns})


class _Pandas(Table):
    def __init__(self, frame: pd.DataFrame) -> None:
        self._frame = frame
        self.rows = len(frame)
        self.columns = _names(frame.columns)
        self._levels = self._level_names()  # a clash is found now, not after the peer has its result

    def _level_names(self) -> list[str]:
        """Names of the columns that the index becomes; none for the default index."""
        import pandas as pd

        index = self._frame.index
        default = isinstance(index, pd.RangeIndex) and index.equals(pd.RangeIndex(self.rows))
        if default and index.name is None:
            return []
        unnamed = "index" if index.nlevels == 1 else "level_{}"
        names: list[str] = []
        for i, level in enumerate(index.names):
            name = unnamed.format(i) if level is None else level
            if not isinstance(name, str) or name in (*self.columns, *names):
                raise InputError(
                    f"the index level {name!r} cannot become a column beside the others; rename it, "
                    "or drop it by frame.reset_index(drop=True)"
                )
            names.append(name)
        return names

    def _missing(self, name: object) -> str:
        if name in self._frame.index.names:
            return f"{name!r} is a level of the index, not a column; call frame.reset_index() first"
        return super()._missing(name)

    def _column(self, name: str) -> pa.ChunkedArray:
        values = _series_to_arrow(self._frame[name])
        if values is None:
            raise InputError(f"column {name!r} holds values of mixed or unknown types; convert it to text")
        return values if isinstance(values, pa.ChunkedArray) else pa.chunked_array([values])

    def _take(self, indices: NDArray[np.int64], index_name: str | None) -> pd.DataFrame:
        import pandas as pd

        frame = self._frame.take(indices)
        if self._levels:
            frame = frame.reset_index(names=self._levels)
        frame.index = pd.RangeIndex(len(frame), name=index_name)
        return frame

    def to_arrow(self) -> pa.Table:
        frame = self._frame
        # a range takes no room in a file and may name the session the rows come from; others become columns
        if not _is(frame.index, "pandas", "RangeIndex"):
            frame = frame.reset_index(names=self._levels)
        with contextlib.suppress(*_CONVERSION_ERRORS):
            return pa.Table.from_pandas(frame)
        # column by column mixed numbers and text become text, and a column beyond help is named
        columns = Table.of(frame)
        return pa.table({name: columns.column(name) for name in columns.columns})


def _series_to_arrow(series: pd.Series[Any]) -> pa.Array | pa.ChunkedArray | None:
    """The column in Arrow form, or None if its values are of types that have none in common."""
    with contextlib.suppress(*_CONVERSION_ERRORS):
        return pa.array(series, from_pandas=True)
    if series.dtype != object:
        return None
    filled = series.notna().to_numpy()
    types = {type(value) for value in series[filled]}
    if bool in types or not all(issubclass(type_, str | int | np.integer) for type_ in types):
        return None
    if any(issubclass(type_, str) for type_ in types):
        return pa.array(series.astype(str).to_numpy(object), pa.large_string(), mask=~filled)
    with contextlib.suppress(*_CONVERSION_ERRORS):
        return pa.array(series.to_numpy(), _WIDEST_INTEGER, mask=~filled)
    return None


def _without_range(table: pa.Table | pa.RecordBatch) -> pa.Table | pa.RecordBatch:
    """The table without the pandas index range in its metadata, which is not true of rows taken from it."""
    metadata = table.schema.metadata or {}
    if b"pandas" not in metadata:
        return table
    frame = json.loads(metadata[b"pandas"])
    frame["index_columns"] = [level for level in frame.get("index_columns", ()) if isinstance(level, str)]
    return table.replace_schema_metadata({**metadata, b"pandas": json.dumps(frame).encode()})
