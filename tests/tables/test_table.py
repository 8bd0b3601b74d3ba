"""Tables of every sort: what comes in comes out."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fusion.errors import InputError
from fusion.tables import Table

PICK = np.array([4, 0, 0, 3])

FRAME = pd.DataFrame(
    {
        "text": pd.Series(["a", None, "c", "d", "e"], dtype=object),
        "str": pd.Series(["a", None, "c", "d", "e"], dtype="str"),
        "string": pd.Series(["a", None, "c", "d", "e"], dtype="string"),
        "arrow": pd.Series(["a", None, "c", "d", "e"], dtype=pd.ArrowDtype(pa.large_string())),
        "int8": pd.Series(range(5), dtype="int8"),
        "Int64": pd.Series([1, None, 3, 4, 5], dtype="Int64"),
        "float32": pd.Series([1, np.nan, 3, 4, 5], dtype="float32"),
        "bool": [True, False, True, False, True],
        "category": pd.Categorical(["u", "v", None, "u", "u"], categories=["v", "u", "w"], ordered=True),
        "time": pd.date_range("2024-01-01", periods=5, tz="Asia/Shanghai"),
        "period": pd.period_range("2024-01", periods=5, freq="M"),
        "object": pd.Series([[1], {2}, None, "x", 5], dtype=object),
    }
)


def test_pandas_keeps_its_types() -> None:
    taken = Table.of(FRAME).take(PICK, index_name="pair-x")
    assert isinstance(taken, pd.DataFrame)
    expected = FRAME.iloc[PICK].reset_index(drop=True).rename_axis("pair-x")
    pd.testing.assert_frame_equal(taken, expected, check_index_type="exact")
    assert isinstance(taken.index, pd.RangeIndex)
    assert list(FRAME.index) == list(range(5))


def test_a_pandas_index_becomes_columns() -> None:
    frame = FRAME[["int8"]]
    cases = {
        ("id",): frame.set_index(pd.Index(list("vwxyz"), name="id")),
        ("index",): frame.set_index(pd.Index([9, 8, 7, 6, 5])),
        ("pair-a",): frame.rename_axis("pair-a"),
        ("when", "level_1"): frame.set_index(
            pd.MultiIndex.from_arrays([FRAME["time"], FRAME["category"]], names=["when", None])
        ),
    }
    for names, indexed in cases.items():
        taken = Table.of(indexed).take(PICK, index_name="pair-b")
        assert isinstance(taken, pd.DataFrame)
        assert tuple(taken.columns) == (*names, "int8")
        assert isinstance(taken.index, pd.RangeIndex)
        assert taken.index.name == "pair-b"
        for name, level in zip(names, range(indexed.index.nlevels), strict=True):
            values = indexed.index.get_level_values(level)
            assert taken[name].dtype == values.dtype
            assert taken[name].tolist() == values.take(PICK).tolist()
    assert tuple(Table.of(frame.iloc[1:]).take(PICK[1:3]).columns) == ("index", "int8")  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "frame",
    [
        FRAME[["text"]].set_index("text", drop=False),
        pd.DataFrame({"index": [1]}, index=[7]),
        FRAME[["int8"]].set_index(pd.MultiIndex.from_product([[1], range(5)], names=["a", "a"])),
        FRAME[["int8"]].set_index(pd.Index(range(5), name=3)),
    ],
)
def test_an_index_that_cannot_become_a_column_is_refused_at_once(frame: pd.DataFrame) -> None:
    with pytest.raises(InputError, match=r"index level .*reset_index\(drop=True\)"):
        Table.of(frame)


def test_polars_keeps_its_types() -> None:
    frame = pl.DataFrame(
        {
            "category": pl.Series(["u", "v", None, "u", "u"], dtype=pl.Categorical),
            "enum": pl.Series(["u", "v", None, "u", "u"], dtype=pl.Enum(["v", "u"])),
            "wide": pl.Series(range(5), dtype=pl.Int128),
            "list": [[1], [2], [], None, [5]],
            "object": pl.Series([object() for _ in range(5)], dtype=pl.Object),
        }
    )
    taken = Table.of(frame).take(PICK)
    assert isinstance(taken, pl.DataFrame)
    assert taken.schema == frame.schema
    assert taken.drop("object").equals(frame.drop("object")[[4, 0, 0, 3]])
    for name in ("wide", "object"):
        with pytest.raises(InputError, match=f"column '{name}' is of a type that only polars knows"):
            Table.of(frame).column(name)


@pytest.mark.parametrize("batch", [False, True])
def test_arrow_keeps_its_types_and_metadata(batch: bool) -> None:
    frame = FRAME.drop(columns=["object", "period"]).rename_axis("pair-old")
    source = pa.Table.from_pandas(frame)
    metadata = {**source.schema.metadata, b"note": b"ours"}
    source = source.replace_schema_metadata(metadata)
    if batch:
        (source,) = source.combine_chunks().to_batches()
    taken = Table.of(source).take(PICK)
    assert type(taken) is type(source)
    assert taken.schema.equals(source.schema)  # type: ignore[attr-defined]
    assert taken.schema.metadata[b"note"] == b"ours"  # type: ignore[attr-defined]
    assert taken.to_pylist() == [source.to_pylist()[i] for i in PICK]  # type: ignore[attr-defined]
    # the session named by the old index says nothing of these rows
    assert taken.to_pandas().index.name is None  # type: ignore[attr-defined]
    assert source.to_pandas().index.name == "pair-old"


@pytest.mark.parametrize("suffix", [None, ".parquet"])
def test_the_session_of_an_old_order_is_forgotten(suffix: str | None, tmp_path: Path) -> None:
    """As many rows in another order: pandas would take the old range for theirs."""
    frame = FRAME[["int8"]].rename_axis("pair-old")
    source: object = pa.Table.from_pandas(frame)
    if suffix:
        source = tmp_path / f"t{suffix}"
        frame.to_parquet(source)
    taken = Table.of(source).take(np.array([4, 3, 2, 1, 0])).to_pandas()  # type: ignore[attr-defined]
    assert taken["int8"].tolist() == [4, 3, 2, 1, 0]
    assert taken.index.equals(pd.RangeIndex(5))
    assert taken.index.name is None


def test_a_level_in_arrow_metadata_stays() -> None:
    source = pa.Table.from_pandas(FRAME[["int8"]].set_index(pd.Index(list("vwxyz"), name="id")))
    assert Table.of(source).take(PICK).to_pandas().index.tolist() == ["z", "v", "v", "y"]  # type: ignore[attr-defined]


@given(rows=st.integers(0, 9), data=st.data())
def test_rows_come_in_the_order_asked_for(rows: int, data: st.DataObject) -> None:
    picks = data.draw(st.lists(st.integers(0, rows - 1), max_size=12) if rows else st.just([]))
    values = {"x": [str(i) for i in range(rows)]}
    for source in (
        pd.DataFrame(values, dtype=object),
        pa.table({"x": pa.array(values["x"], pa.string())}),
        pl.DataFrame(values),
    ):
        taken = Table.of(source).take(np.array(picks, np.int64))
        assert type(taken) is type(source)
        assert list(taken["x"] if isinstance(taken, pd.DataFrame) else Table.of(taken).column("x").to_pylist()) == [
            str(i) for i in picks
        ]


@pytest.mark.parametrize("wrong", [[-1], [3], [0, 5]])
@pytest.mark.parametrize("make", [pd.DataFrame, pa.table, pl.DataFrame])
def test_row_numbers_out_of_range_are_refused(make: type, wrong: list[int]) -> None:
    with pytest.raises(InputError, match="from 0 to 2"):
        Table.of(make({"x": ["a", "b", "c"]})).take(np.array(wrong))


def test_what_is_there() -> None:
    for source in (FRAME, pl.DataFrame({"a": [1, 2]}), pa.table({"a": [1, 2]})):
        table = Table.of(source)
        assert (table.rows, table.columns) == (
            len(source),
            tuple(getattr(source, "column_names", source.columns if not isinstance(source, pa.Table) else ())),
        )
    assert repr(Table.of(FRAME)) == "<Pandas table: 5 rows, 12 columns>"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"x": [1]}, "a dict is no table"),
        (None, "a NoneType is no table"),
        (pd.Series([1]), "a Series is no table"),
        (np.zeros((2, 2)), "a ndarray is no table"),
        (pl.DataFrame({"x": [1]}).lazy(), r"call collect\(\) first"),
        (pd.DataFrame([[1, 2]]), "type int, not text"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "same name"),
        (pd.DataFrame([[1, 2]], columns=pd.MultiIndex.from_tuples([("a", "b"), ("a", "c")])), "type tuple, not text"),
        (pa.table([[1], [2]], names=["a", "a"]), "same name"),
    ],
)
def test_what_is_no_table_is_refused(source: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Table.of(source)


def test_a_missing_column_is_answered_with_those_there_are() -> None:
    table = Table.of(pd.DataFrame({"id_number": ["x"], "born": ["y"]}, index=pd.Index([1], name="policy")))
    with pytest.raises(
        InputError, match="no column 'idnumber': there are 'id_number', 'born'; did you mean 'id_number'"
    ):
        table.column("idnumber")
    with pytest.raises(InputError, match=r"no column 'zzz': there are 'id_number', 'born'$"):
        table.column("zzz")
    with pytest.raises(InputError, match=r"'policy' is a level of the index, not a column; call frame.reset_index\(\)"):
        table.column("policy")
    wide = Table.of(pa.table({f"column {i}": [i] for i in range(50)}))
    with pytest.raises(InputError, match="'column 19' and 30 more") as caught:
        wide.column("x")
    assert "column 20" not in str(caught.value)
    with pytest.raises(InputError, match="there are none"):
        Table.of(pa.table({})).column("x")


def test_a_parquet_path_gives_an_arrow_table_and_reads_only_what_it_needs(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    source = pa.table({"a": list("vwxyz"), "a.b": range(5), "s": [{"a": i} for i in range(5)]})
    pyarrow.parquet.write_table(source, path, row_group_size=2)
    table = Table.of(path)
    assert (table.rows, table.columns) == (5, ("a", "a.b", "s"))
    # another file under the same name does not mix with the rows already numbered
    other = tmp_path / "other.parquet"
    pyarrow.parquet.write_table(source.slice(2), other)
    other.replace(path)
    for name in table.columns:
        assert table.column(name).to_pylist() == source.column(name).to_pylist()
    taken = table.take(PICK)
    assert isinstance(taken, pa.Table)
    assert taken.equals(source.take(pa.array(PICK)))


def test_polars_is_never_imported(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("id\n7\n")
    code = (
        "import sys; from fusion.tables import Table, key_columns, write\n"
        f"table = Table.of({str(path)!r}); assert key_columns(table, ['id']).valid.size == 1\n"
        f"write(table, {str(path)!r}); print('polars' in sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert out.stdout.strip() == "False", out.stderr
