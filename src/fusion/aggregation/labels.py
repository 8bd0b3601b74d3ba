"""Labels of groups as they travel beside encrypted results: plain values of five kinds, level by level."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

from fusion.aggregation.format import Level
from fusion.errors import InputError, PeerError

__all__ = ["read", "write"]

_TYPES: dict[str, type] = {"boolean": bool, "integer": int, "real": float, "text": str}
_UNITS = ("s", "ms", "us", "ns")


def write(index: pd.Index) -> tuple[Level, ...]:
    """The levels of an index; InputError for labels of another kind, or a name that is no text."""
    if index.nlevels > 1:
        return tuple(_write_level(index.get_level_values(level)) for level in range(index.nlevels))
    return (_write_level(index),)


def read(levels: tuple[Level, ...], rows: int) -> pd.Index:
    """The index that `write` took; PeerError when its values are not of their kind, of their number, or repeat."""
    read_levels = [_read_level(level, rows) for level in levels]
    if len(read_levels) == 1:
        index = read_levels[0]
    else:
        index = pd.MultiIndex.from_arrays(read_levels, names=[level.name for level in levels])
    if not index.is_unique:
        raise PeerError("the encrypted result has two groups of one label; check the sender's version")
    return index


def _write_level(level: pd.Index) -> Level:
    if level.name is not None and not isinstance(level.name, str):
        raise InputError("the name of a key must be a text to be sent; rename the series")
    if isinstance(level.dtype, pd.CategoricalDtype):
        level = level.astype(level.dtype.categories.dtype)
    if pd.api.types.is_datetime64_dtype(level.dtype):
        kind = f"time-{np.datetime_data(np.dtype(str(level.dtype)))[0]}"
        values: list[Any] = level.to_numpy().astype(np.int64).tolist()
    else:
        kind, values = pd.api.types.infer_dtype(level), level.to_list()
        kind = {"empty": "string", "floating": "real"}.get(kind, kind).replace("string", "text")
        if kind not in _TYPES:
            raise InputError(
                "labels of groups are booleans, numbers, texts or times without a zone; key.astype(str) can be sent"
            )
    written = Level(name=level.name, kind=kind, values=values)  # type: ignore[arg-type]
    try:
        _read_level(written, len(values))
    except PeerError as error:
        # better here than at the peer's
        raise InputError(f"{error}; key.astype(str) can be sent") from None
    return written


def _read_level(level: Level, rows: int) -> pd.Index:
    if len(level.values) != rows:
        raise PeerError(f"the encrypted result has {rows} groups and {len(level.values)} labels")
    unit = level.kind.removeprefix("time-")
    kind: type = int if unit in _UNITS else _TYPES[level.kind]
    values: list[Any] = level.values
    if not all(type(value) is kind for value in values):
        raise PeerError(f"labels of the encrypted result are not all of their kind, {level.kind}")
    # the smallest 64-bit integer stands for no time at all
    if kind is int and not all(-(1 << 63) < value < 1 << 63 for value in values):
        raise PeerError("labels of the encrypted result are beyond 64 bits")
    if kind is float and not all(math.isfinite(value) for value in values):
        raise PeerError("labels of the encrypted result are not all finite")
    if unit in _UNITS:
        times: pd.Index = pd.DatetimeIndex(np.array(values, np.int64).view(f"datetime64[{unit}]"), name=level.name)
        return times
    dtype: Any = {bool: np.bool_, int: np.int64, float: np.float64}.get(kind)
    index: pd.Index = pd.Index(values, dtype=dtype, name=level.name)
    return index
