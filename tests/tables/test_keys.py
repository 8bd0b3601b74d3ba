"""Key columns from every container and type, what is left out, and what is refused."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet
import pytest

from fusion.errors import InputError
from fusion.tables import Keys, Table, key_columns

COLUMNS: dict[str, list[str | None]] = {
    "id": ["11010519491231002x", "440524188001010014", None, "110105194912310021", "440524188001010014", ""],
    "born": ["1949/12/31", "1880-01-01", "1949-12-31", "1949-12-31", None, "1949-12-31"],
    "name": [" 李雷", "Han Meimei", "x", "y", "z", "w"],
}
ON = {"id": "cn_id", "born": "date", "name": "text"}


def told(keys: Keys) -> tuple[object, ...]:
    texts = [column.to_pylist() for column in keys.columns]
    return keys.kinds, keys.rows, keys.valid.tolist(), texts, keys.report


def as_csv(folder: Path) -> object:
    path = folder / "table.CSV"
    pd.DataFrame(COLUMNS).to_csv(path, index=False)
    return path


def as_parquet(folder: Path) -> object:
    path = folder / "table.parquet"
    pyarrow.parquet.write_table(pa.table(COLUMNS), path, row_group_size=2)
    return str(path)


CONTAINERS: dict[str, Callable[[Path], object]] = {
    "pandas object": lambda _: pd.DataFrame(COLUMNS, dtype=object),
    "pandas str": lambda _: pd.DataFrame(COLUMNS, dtype="str"),
    "pandas string": lambda _: pd.DataFrame(COLUMNS, dtype="string"),
    "pandas arrow": lambda _: pd.DataFrame(COLUMNS, dtype=pd.ArrowDtype(pa.string())),
    "pandas category": lambda _: pd.DataFrame(COLUMNS, dtype="category"),
    "pandas NaN": lambda _: pd.DataFrame(COLUMNS, dtype=object).fillna(np.nan),
    "pandas reindexed": lambda _: pd.DataFrame(COLUMNS, index=[9, 9, 3, 2, 1, 0]),
    "arrow": lambda _: pa.table(COLUMNS),
    "arrow large": lambda _: pa.table({k: pa.array(v, pa.large_string()) for k, v in COLUMNS.items()}),
    "arrow view": lambda _: pa.table({k: pa.array(v, pa.string_view()) for k, v in COLUMNS.items()}),
    "arrow dictionary": lambda _: pa.table({k: pa.array(v).dictionary_encode() for k, v in COLUMNS.items()}),
    "arrow chunks": lambda _: pa.concat_tables([pa.table(COLUMNS).slice(i, 2) for i in (0, 2, 4)]),
    "arrow batch": lambda _: pa.RecordBatch.from_pydict(COLUMNS),
    "arrow slice": lambda _: pa.concat_tables([pa.table(COLUMNS)] * 3).combine_chunks().slice(6, 6),
    "polars": lambda _: pl.DataFrame(COLUMNS),
    "polars category": lambda _: pl.DataFrame(COLUMNS).with_columns(pl.all().cast(pl.Categorical)),
    "csv": as_csv,
    "parquet": as_parquet,
}


@pytest.mark.parametrize("container", CONTAINERS)
def test_the_container_changes_nothing(container: str, tmp_path: Path) -> None:
    keys = key_columns(Table.of(CONTAINERS[container](tmp_path)), ON)
    assert told(keys)[:4] == (
        ("cn_id", "date", "text"),
        6,
        [0, 1],
        [["11010519491231002X", "440524188001010014"], ["1949-12-31", "1880-01-01"], ["李雷", "han meimei"]],
    )
    assert [(r.name, r.rows, r.null, r.invalid) for r in keys.report] == [
        ("id", 6, 2, 1),
        ("born", 6, 1, 0),
        ("name", 6, 0, 0),
    ]
    assert keys.valid.dtype == np.int64
    for column in keys.columns:
        assert column.type == pa.large_string()
        assert column.null_count == 0


DAY = dt.date(2024, 2, 29)
NOON = dt.datetime(2024, 2, 29, 12)
TYPES: list[tuple[pa.Array, str, list[str]]] = [
    (pa.array([1, None, -3], pa.int8()), "integer", ["1", "-3"]),
    (pa.array([2**64 - 1, 0], pa.uint64()), "integer", ["18446744073709551615", "0"]),
    (
        pa.array([7.0, -0.0, 2.0**53 - 1, 2.0**53, 1.5, float("inf"), float("nan"), None]),
        "integer",
        ["7", "0", str(2**53 - 1)],
    ),
    (pa.array([3, 4], pa.float16()), "integer", ["3", "4"]),
    (pa.array([Decimal("12.00"), Decimal("0.00"), Decimal("1.50"), None]), "integer", ["12", "0"]),
    (pa.array([0, 5], pa.decimal128(30, 0)).cast(pa.decimal128(38, 8)), "integer", ["0", "5"]),
    (pa.array([10**70], pa.decimal256(76, 0)), "integer", ["1" + "0" * 70]),
    (pa.array([7, 8]).dictionary_encode(), "integer", ["7", "8"]),
    (pa.array([7, None, 1234567890123456789]), "text", ["7", "1234567890123456789"]),
    (pa.array([13812345678, 5, None]), "phone", ["13812345678"]),
    (pa.array([13812345678.0, 13812345678.5, None]), "phone", ["13812345678"]),
    (pa.array([440524188001010014, 1]), "cn_id", ["440524188001010014"]),
    (pa.array([Decimal("440524188001010014")]), "cn_id", ["440524188001010014"]),
    (pa.array([110105491231002]), "cn_id", ["11010519491231002X"]),
    (pa.array([DAY, None]), "date", ["2024-02-29"]),
    (pa.array([DAY], pa.date64()), "date", ["2024-02-29"]),
    (pa.array([20240229, 20230229, None], pa.int32()), "date", ["2024-02-29"]),
    (pa.array([20240229.0, None]), "date", ["2024-02-29"]),
    (pa.array([NOON, None], pa.timestamp("s")), "date", ["2024-02-29"]),
    (pa.array([NOON], pa.timestamp("ns")), "date", ["2024-02-29"]),
    (pa.array([dt.datetime(1969, 12, 31, 23, 59)], pa.timestamp("us")), "date", ["1969-12-31"]),
    # 20:00 in London is four in the morning of the next day in Shanghai
    (pa.array([dt.datetime(2024, 2, 28, 20)], pa.timestamp("ms", "Asia/Shanghai")), "date", ["2024-02-29"]),
    (pa.array([dt.datetime(2024, 2, 29, 20)], pa.timestamp("ms", "UTC")), "date", ["2024-02-29"]),
    (pa.array([dt.datetime(2024, 2, 28, 20)], pa.timestamp("ms", "+08:00")), "date", ["2024-02-29"]),
    (pa.array([100_000_000, -800_000], pa.int32()).cast(pa.date32()), "date", []),
    (pa.array([None, None], pa.null()), "cn_id", []),
    (pa.array([], pa.string()), "phone", []),
    (pa.chunked_array([], pa.string()), "text", []),
]


@pytest.mark.parametrize(("column", "kind", "expected"), TYPES, ids=[f"{c.type} as {k}" for c, k, _ in TYPES])
def test_types(column: pa.Array, kind: str, expected: list[str]) -> None:
    keys = key_columns(Table.of(pa.table({"x": column})), {"x": kind})
    assert keys.columns[0].to_pylist() == expected
    (report,) = keys.report
    assert report.null == pc.sum(pc.is_null(column, nan_is_null=True)).as_py() or not len(column)
    assert report.invalid == len(column) - report.null - len(expected)


def test_pandas_types() -> None:
    frame = pd.DataFrame(
        {
            "gaps": [1.0, np.nan, 3.0],
            "nullable": pd.array([1, None, 3], "Int64"),
            "huge": [2**70, None, 3],
            "mixed": ["0012", 5, None],
            "numpy": ["x", np.int64(5), pd.NA],
            "day": pd.to_datetime(["2024-02-29", None, "2024-03-01"]),
            "zone": pd.to_datetime(["2024-02-28T20:00Z", None, "2024-02-29T01:00Z"]).tz_convert("Asia/Shanghai"),
            "dates": [DAY, None, dt.date(2024, 3, 1)],
        }
    )
    table = Table.of(frame)

    def read(name: str, kind: str | None = None) -> list[str]:
        return key_columns(table, {name: kind} if kind else [name]).columns[0].to_pylist()  # type: ignore[no-any-return]

    assert read("gaps", "integer") == ["1", "3"]
    assert read("nullable") == ["1", "3"]
    assert read("huge") == [str(2**70), "3"]
    assert read("mixed") == ["0012", "5"]
    assert read("mixed", "integer") == ["12", "5"]
    assert read("numpy") == ["x", "5"]
    assert read("day") == ["2024-02-29", "2024-03-01"]
    assert read("zone") == ["2024-02-29", "2024-02-29"]
    assert read("dates") == ["2024-02-29", "2024-03-01"]


def test_kinds_from_types() -> None:
    table = Table.of(pa.table({"t": ["a"], "i": [1], "d": [DAY], "s": [NOON], "c": pa.array([1]).dictionary_encode()}))
    assert key_columns(table, ["t", "i", "d", "s", "c"]).kinds == ("text", "integer", "date", "date", "integer")
    assert key_columns(table, "t").kinds == ("text",)
    assert key_columns(table, ("i", "t")).kinds == ("integer", "text")
    assert key_columns(table, {"d": "date", "i": "phone"}).kinds == ("date", "phone")


def test_a_row_counts_only_if_every_column_does() -> None:
    table = Table.of(pa.table({"a": ["x", None, "y", "z"], "b": [1, 2, None, 4]}))
    keys = key_columns(table, ["b", "a"])
    assert keys.valid.tolist() == [0, 3]
    assert [column.to_pylist() for column in keys.columns] == [["1", "4"], ["x", "z"]]
    assert [(report.null, report.invalid) for report in keys.report] == [(1, 0), (1, 0)]


REFUSED = {
    "kind 'integer'": (pa.array([1.0]), "text"),
    "read this column as text": (pa.array([1.0]), "cn_id"),
    "lose digits": (pa.array([1.0]), "uscc"),
    "kind 'date', not 'text'": (pa.array([DAY]), "text"),
    "kind 'date', not 'cn_id'": (pa.array([NOON]), "cn_id"),
    "type bool": (pa.array([True]), "integer"),
    "type binary": (pa.array([b"x"]), "text"),
    "type list": (pa.array([[1]]), "integer"),
    "type duration": (pa.array([dt.timedelta(1)]), "date"),
    "unknown kind 'cnid': take one of .*; did you mean 'cn_id'": (pa.array(["x"]), "cnid"),
    "unknown kind None": (pa.array(["x"]), None),
}


@pytest.mark.parametrize("message", REFUSED)
def test_refused_types(message: str) -> None:
    column, kind = REFUSED[message]
    with pytest.raises(InputError, match=f"column 'x' .*{message}"):
        key_columns(Table.of(pa.table({"x": column})), {"x": kind})


@pytest.mark.parametrize("values", [[1.5], [True], [None], [b"x"]])
def test_a_list_needs_types_that_name_a_kind(values: list[object]) -> None:
    with pytest.raises(InputError, match=r"say its kind, such as on=\{'x': 'integer'\}"):
        key_columns(Table.of(pa.table({"x": values})), ["x"])


@pytest.mark.parametrize("on", [{"a", "b"}, None, 5, ["a", 5], {5: "text"}, [["a"]], iter(["a"])])
def test_columns_come_by_an_ordered_collection_of_names(on: object) -> None:
    with pytest.raises(InputError, match="by a list of names, or by a mapping"):
        key_columns(Table.of(pa.table({"a": ["x"], "b": ["y"]})), on)  # type: ignore[arg-type]


@pytest.mark.parametrize(("on", "message"), [([], "no key column"), ({}, "no key column"), (["a", "a"], "named twice")])
def test_columns_are_named_once(on: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        key_columns(Table.of(pa.table({"a": ["x"]})), on)  # type: ignore[arg-type]


def test_bytes_that_are_no_text_are_refused() -> None:
    column = pa.LargeStringArray.from_buffers(1, pa.py_buffer(np.array([0, 2])), pa.py_buffer(b"\xff\xfe"))
    for kind in ("text", "cn_id", "phone", "date", "integer", "uscc"):
        with pytest.raises(InputError, match="must be UTF-8") as caught:
            key_columns(Table.of(pa.table({"x": column})), {"x": kind})
        assert caught.value.__context__ is None


def test_no_value_is_shown() -> None:
    canary = "Zhang3Canary"
    keys = key_columns(Table.of(pa.table({"x": [canary] * 3})), ["x"])
    assert canary.lower() not in f"{keys!r} {keys} {keys.report}".lower()
    mixed = [canary, 1.5, 2], [1, canary.encode()], [{"k": canary}, 1], [Decimal("1.5"), canary]
    for values in mixed:
        table = Table.of(pd.DataFrame({"x": pd.Series(values, dtype=object)}))
        assert canary not in repr(table)
        with pytest.raises(InputError, match="column 'x' holds values of mixed or unknown types") as caught:
            key_columns(table, {"x": "text"})
        assert canary not in repr(caught.value)
        assert caught.value.__context__ is None
        assert caught.value.__cause__ is None
