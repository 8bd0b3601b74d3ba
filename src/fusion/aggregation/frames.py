"""Encrypted frames: numeric columns that are grouped by plaintext keys and summed unseen, as pandas does.

A row of a frame is one packed row: a count of 1, the value of each column and, with two moments, its square. Sums of
these give count, sum, mean and variance. A square travels as two digits in base 2^b, with b the bits of the column's
largest value: all numbers of a row stay about as small as the values, which is what packing and discrete logarithms
want.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt
import pandas as pd

from fusion.aggregation import labels
from fusion.aggregation.arrays import EncryptedArray, not_compared
from fusion.aggregation.encoding import MAX_DECIMALS, Integers, Row, decode, encode, scaled_limit, whole
from fusion.aggregation.format import Column, FrameHeader, GroupsHeader, open_envelope, seal_envelope
from fusion.aggregation.schemes import Private, Public
from fusion.errors import InputError, PeerError

__all__ = ["EncryptedFrame", "EncryptedGroups", "decrypt_frame", "decrypt_groups", "encrypt_frame"]

STATISTICS = ("count", "sum", "mean", "var")


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class EncryptedFrame:
    """Encrypted columns of numbers, made by `PublicKey.encrypt` from a pandas frame.

    Whoever holds it groups its rows by columns of its own: ``frame.groupby(keys).agg(["count", "sum"])``.

    Attributes
    ----------
    columns : tuple of str
        Names of the columns.
    index : pandas.Index
        Row labels, in the clear. Only their name and number travel, and come back as 0 to n - 1.
    moments : int
        2 if squares are there for variances, else 1.
    """

    index: pd.Index
    moments: int
    _columns: tuple[Column, ...]
    _table: EncryptedArray

    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = not_compared
    __iter__ = None
    __hash__ = None  # type: ignore[assignment]

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns."""
        return tuple(column.name for column in self._columns)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns, as of the cleartext."""
        return len(self._table), len(self._columns)

    def __len__(self) -> int:
        return len(self._table)

    def __getitem__(self, rows: Any) -> EncryptedFrame:
        """Rows by a slice, a boolean mask or an array of row numbers."""
        if isinstance(rows, pd.Series):
            _aligned(rows, self.index)
            rows = rows.to_numpy()
        if not isinstance(rows, slice | np.ndarray | list):
            raise InputError("rows of a frame are selected by a slice, a mask or an array of row numbers")
        table = self._table[rows]
        return replace(self, index=self.index[rows], _table=table)

    def groupby(self, keys: Any) -> FrameGroups:
        """Group the rows by plaintext keys of whoever holds the frame.

        Parameters
        ----------
        keys : Series, array, or list of these
            One key for each row, in the order of the rows. A Series must have the frame's own index. Rows whose key is
            missing belong to no group, as in pandas.

        Raises
        ------
        InputError
            Keys of another length or with another index.
        """
        several = isinstance(keys, list) and all(isinstance(key, pd.Series | pd.Index | np.ndarray) for key in keys)
        plain = [_key(key, self.index) for key in (keys if several else [keys])]
        if not plain:
            raise InputError("group by at least one key")
        grouped = pd.Series(np.zeros(len(self), np.int8)).groupby(plain if several else plain[0], observed=True)
        codes = np.asarray(grouped.ngroup().fillna(-1), np.int64)
        return FrameGroups(self, codes, grouped.size().index)

    def to_bytes(self, *, full: bool = False) -> bytes:
        """The frame for whoever has the key, or for a file; as `EncryptedArray.to_bytes`. Row labels stay at home."""
        name = self.index.name if isinstance(self.index.name, str) else None
        header = FrameHeader(array=self._table._header(), columns=self._columns, moments=self.moments, index=name)
        return seal_envelope(header, self._table._body(full=full))

    @classmethod
    def from_bytes(cls, data: bytes, public: Any) -> EncryptedFrame:
        """Read a frame under a key; errors as of `EncryptedArray.from_bytes`."""
        header, body = open_envelope(data, FrameHeader)
        table = EncryptedArray._read(header.array, body, public)
        _check_table(table, header.columns, header.moments)
        return cls(pd.RangeIndex(len(table), name=header.index), header.moments, header.columns, table)

    def __reduce__(self) -> NoReturn:
        raise InputError("an encrypted frame is not pickled; to_bytes() and from_bytes() write and read it")

    def __repr__(self) -> str:
        return f"EncryptedFrame({self._table.scheme}, rows={len(self)}, {_describe(self._columns, self._table)})"


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class FrameGroups:
    """Rows of an encrypted frame by group, from `EncryptedFrame.groupby`."""

    _frame: EncryptedFrame
    _codes: npt.NDArray[np.int64]
    _labels: pd.Index

    def agg(self, statistics: Sequence[str]) -> EncryptedGroups:
        """Statistics of every column by group, still encrypted.

        The result holds the sums that they need, and whoever decrypts it can compute from these whatever they give: the
        count, sum and mean of each group, and the variance if the frame has two moments, asked for or not. It also
        carries the groups' labels in the clear. Nothing is suppressed: look at small groups before releasing them.

        Parameters
        ----------
        statistics : list of str
            Some of "count", "sum", "mean", "var" (of a sample: divided by count - 1).

        Raises
        ------
        InputError
            An unknown statistic, a variance without ``moments=2``, or more rows in a group than the declared terms.
        """
        chosen = tuple(statistics) if isinstance(statistics, list | tuple) else ()
        if not chosen or len(set(chosen)) != len(chosen) or not set(chosen) <= set(STATISTICS):
            raise InputError(f"agg takes a list of different statistics among {', '.join(STATISTICS)}")
        frame = self._frame
        if "var" in chosen and frame.moments < 2:
            raise InputError("a variance needs squares; encrypt the frame with moments=2")
        table, codes = frame._table, self._codes
        kept = codes >= 0
        if not kept.all():
            table, codes = table[kept], codes[kept]
        sums = table.groupby(codes, groups=len(self._labels)).sum()
        return EncryptedGroups(self._labels, chosen, frame.moments, frame._columns, sums.squeeze())

    def __reduce__(self) -> NoReturn:
        raise InputError("groups of an encrypted frame are not pickled; send their agg(...) with to_bytes()")

    def __repr__(self) -> str:
        return f"FrameGroups({self._frame!r}, groups={len(self._labels)})"


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class EncryptedGroups:
    """Encrypted statistics by group, from ``groupby(keys).agg(...)``; `PrivateKey.decrypt` makes a pandas frame of it.

    Attributes
    ----------
    index : pandas.Index
        The groups' labels, in the clear.
    statistics : tuple of str
        As asked for.
    """

    index: pd.Index
    statistics: tuple[str, ...]
    moments: int
    _columns: tuple[Column, ...]
    _table: EncryptedArray

    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = not_compared
    __hash__ = None  # type: ignore[assignment]

    def __len__(self) -> int:
        return len(self._table)

    def to_bytes(self, *, full: bool = False) -> bytes:
        """The result for the owner of the key; as `EncryptedArray.to_bytes`. Labels of groups travel in the clear.

        Raises
        ------
        InputError
            Labels other than booleans, whole or real numbers, texts and times without a zone.
        """
        header = GroupsHeader(
            array=self._table._header(),
            columns=self._columns,
            moments=self.moments,
            statistics=self.statistics,  # type: ignore[arg-type]
            levels=labels.write(self.index),
        )
        return seal_envelope(header, self._table._body(full=full))

    @classmethod
    def from_bytes(cls, data: bytes, public: Any) -> EncryptedGroups:
        """Read a result under a key; errors as of `EncryptedArray.from_bytes`."""
        header, body = open_envelope(data, GroupsHeader)
        table = EncryptedArray._read(header.array, body, public)
        _check_table(table, header.columns, header.moments)
        if len(set(header.statistics)) != len(header.statistics) or ("var" in header.statistics and header.moments < 2):
            raise PeerError("the encrypted result names statistics that it does not hold; check the sender's version")
        index = labels.read(header.levels, len(table))
        return cls(index, header.statistics, header.moments, header.columns, table)

    def __reduce__(self) -> NoReturn:
        raise InputError("an encrypted result is not pickled; to_bytes() and from_bytes() write and read it")

    def __repr__(self) -> str:
        return (
            f"EncryptedGroups({self._table.scheme}, groups={len(self)}, statistics={list(self.statistics)}, "
            f"{_describe(self._columns, self._table)})"
        )


def encrypt_frame(
    encryptor: Public | Private,
    public: Public,
    frame: pd.DataFrame,
    decimals: Any,
    bound: Any,
    terms: int,
    moments: int,
) -> EncryptedFrame:
    """What `PublicKey.encrypt` does with a frame."""
    moments = whole(moments, "moments", 1, 2)
    names = list(frame.columns)
    if not names or not all(isinstance(name, str) for name in names) or len(set(names)) != len(names):
        raise InputError("the columns of a frame need names, all of them different texts")
    scales, bounds = _each(decimals, names, "decimals"), _each(bound, names, "bound")
    columns = []
    for name in names:
        scale = whole(scales[name], f"decimals of column {name}", 0, MAX_DECIMALS)
        columns.append(Column(name, scale, scaled_limit(bounds[name], scale, f"bound of column {name}")))
    row = _row(tuple(columns), moments, terms)
    public.check(row)
    values = [np.ones((len(frame), 1), np.int64)]
    for column in columns:
        series = frame[column.name]
        if series.isna().any():
            missing = int(series.isna().to_numpy().argmax())
            raise InputError(f"the value in row {missing}, column {column.name} is missing; fill or drop it first")
        plain = series.to_numpy(dtype=getattr(series.dtype, "numpy_dtype", None)).reshape(-1, 1)
        values.append(encode(plain, column.decimals, column.limit, column.name))
    if moments == 2:
        values += [_square(each, column) for each, column in zip(values[1:], columns, strict=True)]
    table = EncryptedArray(
        decimals=0,
        weight=1,
        fresh=True,
        _row=row,
        _packed=True,
        _squeezed=False,
        _rows=len(frame),
        _scheme=public,
        _cells=encryptor.encrypt(np.concatenate(values, axis=1), row),
    )
    return EncryptedFrame(frame.index, moments, tuple(columns), table)


def decrypt_frame(frame: EncryptedFrame, integers: Integers) -> pd.DataFrame:
    """The rows themselves."""
    values = {
        column.name: decode(integers[:, 1 + place], column.decimals) for place, column in enumerate(frame._columns)
    }
    return pd.DataFrame(values, index=frame.index)


def decrypt_groups(groups: EncryptedGroups, integers: Integers) -> pd.DataFrame:
    """Statistics from sums, each rounded once from its exact value."""
    counts = integers[:, 0].astype(np.int64)
    if (counts < 0).any():
        raise PeerError(f"group {int((counts < 0).argmax())} counts fewer rows than none; its sender broke the limits")
    exact = counts.astype(object)
    table: dict[tuple[str, str], Any] = {}
    for place, column in enumerate(groups._columns):
        sums = integers[:, 1 + place]
        for statistic in groups.statistics:
            if statistic == "count":
                value: npt.NDArray[Any] = counts
            elif statistic == "sum":
                value = decode(sums, column.decimals)
            elif statistic == "mean":
                value = _quotient(sums.astype(object), exact * 10**column.decimals)
            else:
                digits = integers[:, 1 + len(groups._columns) + 2 * place :][:, :2].astype(object)
                squares = (digits[:, 0] << column.limit.bit_length()) + digits[:, 1]
                above = exact * squares - sums.astype(object) ** 2
                value = _quotient(above, exact * (exact - 1) * 100**column.decimals)
            table[column.name, statistic] = value
    frame = pd.DataFrame(table, index=groups.index)
    frame.columns = pd.MultiIndex.from_tuples(list(table))
    return frame


def _quotient(above: npt.NDArray[Any], below: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Exact integers divided with one rounding; not a number where there are too few rows."""
    enough = below != 0
    result = np.full(len(above), np.nan)
    result[enough] = above[enough] / below[enough]
    return result


def _square(values: npt.NDArray[np.int64], column: Column) -> npt.NDArray[np.int64]:
    """Squares in two digits, (n, 2): the upper and the lower one."""
    bits = column.limit.bit_length()
    exact = values if bits <= 31 else values.astype(object)
    squares = exact * exact
    digits = np.concatenate((squares >> bits, squares & ((1 << bits) - 1)), axis=1)
    return digits.astype(np.int64)


def _row(columns: tuple[Column, ...], moments: int, terms: int) -> Row:
    limits = [1, *(column.limit for column in columns)]
    if moments == 2:
        for column in columns:
            bits = column.limit.bit_length()
            limits += [max(1, column.limit**2 >> bits), (1 << bits) - 1]
    return Row(len(limits), tuple(limits), terms)


def _check_table(table: EncryptedArray, columns: tuple[Column, ...], moments: int) -> None:
    names = [column.name for column in columns]
    if (
        table._row != _row(columns, moments, table.terms)
        or len(table.shape) != 2
        or table.decimals != 0
        or len(set(names)) != len(names)
    ):
        raise PeerError("the header of the encrypted frame contradicts itself; check the sender's version")


def _each(declared: Any, names: list[str], what: str) -> Mapping[str, Any]:
    if not isinstance(declared, Mapping):
        return dict.fromkeys(names, declared)
    unknown, missing = set(declared) - set(names), set(names) - set(declared)
    if unknown or missing:
        wrong = f"lacks {min(missing)!r}" if missing else f"has {min(map(str, unknown))!r}"
        raise InputError(f"{what} as a mapping names every column of the frame and no other; it {wrong}")
    return declared


def _key(key: Any, index: pd.Index) -> Any:
    """A key by position: Series lose their index after it was compared, and keep their name."""
    if isinstance(key, pd.Series):
        _aligned(key, index)
        return key.reset_index(drop=True)
    if isinstance(key, pd.MultiIndex):
        raise InputError("a key is one column; give the levels of a MultiIndex as a list, one key each")
    array = pd.Series(key) if isinstance(key, pd.Index | pd.Categorical) else np.asarray(key)
    if array.ndim != 1 or len(array) != len(index):
        raise InputError(
            f"a key is a Series or an array with one value for each of the {len(index)} rows, no name of a column"
        )
    return array


def _aligned(series: pd.Series, index: pd.Index) -> None:
    if len(series) != len(index):
        raise InputError(f"a key holds one value for each of the {len(index)} rows, not {len(series)}")
    if not series.index.equals(index) or series.index.names != index.names:
        raise InputError("the key's index is not the frame's; if their rows agree by position, give key.to_numpy()")


def _describe(columns: tuple[Column, ...], table: EncryptedArray) -> str:
    described = ", ".join(
        f"{column.name!r}: decimals={column.decimals} bound={column.limit / 10**column.decimals:.12g}"
        for column in columns
    )
    return f"columns=({described}), terms={table.terms}"
