"""Files: what is read, what is refused without quoting it, and that a write is whole or nothing."""

from __future__ import annotations

import datetime as dt
import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fusion.errors import InputError
from fusion.tables import Table, key_columns, write

CANARY = "Zhang3Canary"


def rows(path: Path) -> list[dict[str, object]]:
    return Table.of(path).to_arrow().to_pylist()  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"a,b\n007,\n", [{"a": "007", "b": ""}]),
        (b"\xef\xbb\xbfa,b\n1,2\n", [{"a": "1", "b": "2"}]),
        (b"a,b\r\n1,2\r\n", [{"a": "1", "b": "2"}]),
        (b'a,b\n"x,\ny","q""q"\n', [{"a": "x,\ny", "b": 'q"q'}]),
        (b"a,b\nNA,null\n1e5,2020-01-01\n", [{"a": "NA", "b": "null"}, {"a": "1e5", "b": "2020-01-01"}]),
        (b"a,b\n", []),
        (b"a\n\nx\n\n", [{"a": "x"}]),
        (",b\n李,2\n".encode(), [{"": "李", "b": "2"}]),
        (b"2019,2020\n1,2\n", [{"2019": "1", "2020": "2"}]),
    ],
)
def test_csv_is_text_and_nothing_is_guessed(content: bytes, expected: list[object], tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(content)
    table = Table.of(path)
    assert rows(path) == expected
    assert {column.type for column in table.to_arrow().columns} <= {pa.large_string()}
    assert isinstance(table.take(np.arange(table.rows)), pa.Table)


def test_long_numbers_and_leading_zeros_survive_csv(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("id,code\n440524188001010014,007\n")
    keys = key_columns(Table.of(path), {"id": "cn_id", "code": "text"})
    assert [column.to_pylist() for column in keys.columns] == [["440524188001010014"], ["007"]]


BAD_CSV: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "is empty"),
    "no rows": (b"a,b", "column names and rows below it"),
    "blank": (b"\n\n", "does not begin with a line of column names"),
    "GB18030 in a cell": (f"a,b\n李雷{CANARY},2\n".encode("gb18030"), "iconv -f GB18030 -t UTF-8 t.csv"),
    "GB18030 in the header": (f"姓名,b\n{CANARY},2\n".encode("gb18030"), "iconv -f GB18030 -t UTF-8 t.csv"),
    "UTF-16": (f"a,b\n{CANARY},2\n".encode("utf-16"), "iconv -f UTF-16 -t UTF-8 t.csv"),
    "GB18030 in a ragged row": (f"a,b\n1,2\n李雷{CANARY}\n".encode("gb18030"), "iconv -f GB18030"),
    "GB18030 cut short": (b"a,b\n1," + "李".encode()[:2], "iconv -f GB18030"),
    "Parquet": (b"PAR1\x15\x04\x00\xff,\n\xfe", "is a Parquet file; rename it"),
    "a spreadsheet": (b"PK\x03\x04\x00\x00\xff\n,,\xfe\n\x00", "is no text file; .* export it as CSV"),
    "a cell too many": (f'a,b\n"1\n1",2\n3,4\n{CANARY},5,6\n7\n'.encode(), r"row 4 of .* has 3 cells instead of 2"),
    "a cell too few": (f"a,b\n{CANARY}\n".encode(), r"row 2 of .* has 1 cells instead of 2"),
    "an open quotation": (f'a,b\n1,2\n"{CANARY},4\n5,6\n'.encode(), "an unclosed quotation mark"),
    "a name twice": (f"a,a\n{CANARY},1\n".encode(), "names two columns alike"),
    "no header, an identity number": (f"11010519491231002X,{CANARY}\n1,2\n".encode(), "looks like data"),
    "no header, a phone": (f"{CANARY},13812345678\n1,2\n".encode(), "looks like data"),
    "no header, a company": (f"{CANARY},91350100M000100Y43\n1,2\n".encode(), "looks like data"),
    "no header, an address": (f"{CANARY}@example.org,x\n1,2\n".encode(), "looks like data"),
}


@pytest.mark.parametrize("case", BAD_CSV)
def test_bad_csv_is_explained_without_quoting_it(case: str, tmp_path: Path) -> None:
    content, message = BAD_CSV[case]
    path = tmp_path / "t.csv"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        Table.of(path)
    assert "\n" not in str(caught.value)
    assert CANARY not in repr(caught.value)
    assert caught.value.__cause__ is None
    assert CANARY not in repr(caught.value.__context__)


def test_a_ragged_row_is_numbered_in_a_file_of_many_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fusion.tables.reading._BLOCKS", (1 << 10, 1 << 12))
    path = tmp_path / "t.csv"
    path.write_text("a,b\n" + "1,2\n" * 9000 + "1,2,3\n" + "1,2\n" * 9000 + "9\n")
    with pytest.raises(InputError, match="row 9002 of"):
        Table.of(path)
    path.write_text("a,b\n" + "1,2\n" * 9000)
    assert Table.of(path).rows == 9000
    broken = "line\n" * 100
    path.write_text("a,b\n" + f'"{broken}",2\n' * 200)
    assert Table.of(path).column("a").to_pylist() == [broken] * 200
    broken = "line\n" * 600  # fits the large block only, as does the row before a ragged one
    path.write_text("a,b\n" + f'"{broken}",2\n' * 20)
    assert Table.of(path).column("a").to_pylist() == [broken] * 20
    path.write_text("a,b\n" + "1,2\n" * 9000 + "1," + "2" * 3000 + "\n1,2,3\n")
    with pytest.raises(InputError, match="row 9003 of"):
        Table.of(path)
    path.write_text("a" * 3000 + ",b\n" + "1,2\n" * 9000)
    assert Table.of(path).rows == 9000
    path.write_text("a,b\n1,2\n1," + CANARY * 1000 + "\n")
    with pytest.raises(InputError, match="a cell is longer than") as caught:
        Table.of(path)
    assert CANARY not in repr(caught.value)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gone.csv", "No such file"),
        ("gone.parquet", "No such file"),
        ("long" * 100 + ".csv", "File name too long"),
        ("long" * 100 + ".parquet", "File name too long"),
        ("folder.csv", "is a folder"),
        ("folder.parquet", "is a folder"),
        ("table.xlsx", "neither .csv nor .parquet"),
        ("table.csv.gz", "neither .csv nor .parquet"),
        ("table", "neither .csv nor .parquet"),
        ("empty.parquet", "is empty"),
        ("broken.parquet", "not a complete Parquet file"),
        ("cut.parquet", "not a complete Parquet file"),
    ],
)
def test_paths_that_hold_no_table(name: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "folder.parquet").mkdir()
    (tmp_path / "empty.parquet").touch()
    (tmp_path / "broken.parquet").write_text(CANARY)
    pyarrow.parquet.write_table(pa.table({"a": [CANARY] * 100}), tmp_path / "cut.parquet")
    (tmp_path / "cut.parquet").write_bytes((tmp_path / "cut.parquet").read_bytes()[:-20])
    with pytest.raises(InputError, match=message) as caught:
        Table.of(tmp_path / name)
    assert CANARY not in repr(caught.value)


def test_a_parquet_file_with_a_damaged_column(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    pyarrow.parquet.write_table(pa.table({"a": [f"{CANARY}{i}" for i in range(1000)]}), path, compression="zstd")
    content = bytearray(path.read_bytes())
    description = int.from_bytes(content[-8:-4], "little") + 8
    content[4:-description] = bytes(len(content) - description - 4)
    path.write_bytes(content)
    table = Table.of(path)
    for act in (lambda: table.column("a"), lambda: table.take(np.arange(3)), table.to_arrow):
        with pytest.raises(InputError, match="not a complete Parquet file") as caught:
            act()
        assert CANARY not in repr(caught.value)


# --- writing


TYPED = pa.table(
    {
        "text": ["x", "", None],
        "int": [1, None, 3],
        "float": [1.5, None, 1e20],
        "day": [dt.date(2024, 2, 29), None, dt.date(1949, 12, 31)],
        "flag": [True, None, False],
        "category": pa.array(["u", None, "u"]).dictionary_encode(),
    }
)


def test_csv_is_plain_while_it_can_be(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    write(TYPED, path)
    assert path.read_text() == (
        "text,int,float,day,flag,category\nx,1,1.5,2024-02-29,true,u\n,,,,,\n,3,1e+20,1949-12-31,false,u\n"
    )


@given(
    table=st.integers(1, 3).flatmap(
        lambda width: st.lists(
            st.lists(
                st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=6),
                min_size=width,
                max_size=width,
            ),
            max_size=5,
        ).map(lambda rows: (width, rows))
    ),
    names=st.permutations(["a", "b,b", 'c"c']),
)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_csv_comes_back_as_it_was(table: tuple[int, list[list[str]]], names: list[str], tmp_path: Path) -> None:
    width, lines = table
    columns = {name: [line[i] for line in lines] for i, name in enumerate(names[:width])}
    source = pa.table({name: pa.array(values, pa.large_string()) for name, values in columns.items()})
    path = tmp_path / "t.csv"
    write(source, path)
    assert Table.of(path).to_arrow().equals(source)
    write(Table.of(path), path)
    assert Table.of(path).to_arrow().equals(source)


def test_a_single_column_keeps_its_empty_rows(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    for column, expected in ((["x", None, ""], ["x", "", ""]), ([1, None, 3], ["1", "", "3"]), ([1, 2], ["1", "2"])):
        write(pa.table({"a": column}), path)
        assert Table.of(path).column("a").to_pylist() == expected


def test_parquet_comes_back_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    write(TYPED, str(path))
    assert pyarrow.parquet.read_table(path).equals(TYPED)
    polars = pl.DataFrame({"a": ["x", None], "n": [1, 2]})
    write(polars, path)
    assert pl.read_parquet(path).equals(polars)
    pandas = pd.DataFrame({"a": pd.array(["x", None], "string"), "n": pd.array([1, None], "Int64")})
    pandas.index = pd.RangeIndex(2, name="pair-x")
    write(pandas, path)
    pd.testing.assert_frame_equal(pd.read_parquet(path), pandas)


def test_a_pandas_index_is_written_as_columns(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    frame = pd.DataFrame({"n": [1, 2]}, index=pd.Index(["x", "y"], name="id"))
    write(frame, path)
    assert path.read_text() == "id,n\nx,1\ny,2\n"
    write(frame.reset_index(drop=True), path)
    assert path.read_text() == "n\n1\n2\n"
    write(pd.DataFrame({"mixed": ["x", 2, None], "n": [1, 2, 3]}), path)
    assert path.read_text() == "mixed,n\nx,1\n2,2\n,3\n"


@pytest.mark.parametrize("name", ["t.csv", "t.parquet"])
def test_a_column_no_file_can_hold_is_named(name: str, tmp_path: Path) -> None:
    frame = pd.DataFrame({"fine": [1, 2], "odd": [CANARY, 1.5]})
    with pytest.raises(InputError, match="column 'odd' holds values of mixed") as caught:
        write(frame, tmp_path / name)
    assert CANARY not in repr(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_nested_columns_have_no_place_in_csv(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"that a \.csv file cannot hold") as caught:
        write(pa.table({"a": [[CANARY]], "b": [1]}), tmp_path / "t.csv")
    assert CANARY not in repr(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_permissions(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    write(TYPED, path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o640)
    write(TYPED, path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    real, link = tmp_path / "real" / "t.csv", tmp_path / "link.csv"
    real.write_text("old\n")
    link.symlink_to(real)
    write(pa.table({"a": ["x"]}), link)
    assert link.is_symlink()
    assert real.read_text() == "a\nx\n"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("t.txt", "neither .csv nor .parquet"),
        ("t", "neither"),
        ("gone/t.csv", "cannot write .*No such file"),
        ("folder.csv", "cannot write"),
    ],
)
def test_places_that_cannot_be_written(name: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "folder.csv" / "keep").touch()
    with pytest.raises(InputError, match=message):
        write(TYPED, tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["folder.csv"]


def full_disk(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def interrupt(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def half(real: Callable[..., None], then: Callable[..., None]) -> Callable[..., None]:
    """The real writer, which fails after it has put its bytes into the file."""

    def writer(table: object, file: object, *rest: object) -> None:
        real(table, file, *rest)
        then()

    return writer


@pytest.mark.parametrize("name", ["t.csv", "t.parquet"])
@pytest.mark.parametrize("existing", [False, True])
@pytest.mark.parametrize(("failure", "error"), [(full_disk, InputError), (interrupt, KeyboardInterrupt)])
@pytest.mark.parametrize("where", ["writer", "os.fsync", "pathlib.Path.replace"])
def test_a_failed_write_leaves_nothing(
    name: str,
    existing: bool,
    failure: Callable[..., None],
    error: type[BaseException],
    where: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = tmp_path / name
    if existing:
        path.write_text("before")
    if where == "writer":
        monkeypatch.setattr(pyarrow.csv, "write_csv", half(pyarrow.csv.write_csv, failure))
        monkeypatch.setattr(pyarrow.parquet, "write_table", half(pyarrow.parquet.write_table, failure))
    else:
        monkeypatch.setattr(where, failure)
    with pytest.raises(error):
        write(TYPED, path)
    monkeypatch.undo()
    assert [(found.name, found.read_text()) for found in tmp_path.iterdir()] == ([(name, "before")] if existing else [])


def test_the_longest_name_that_a_folder_takes(tmp_path: Path) -> None:
    path = tmp_path / ("n" * 251 + ".csv")
    write(pa.table({"a": ["x"]}), path)
    assert path.read_text() == "a\nx\n"


def test_bytes_reach_the_disk_before_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def watched_fsync(handle: int) -> None:
        steps.append("folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else f"file {os.fstat(handle).st_size}")
        fsync(handle)

    def watched_replace(part: Path, target: Path) -> Path:
        steps.append("replace")
        return replace(part, target)

    monkeypatch.setattr(os, "fsync", watched_fsync)
    monkeypatch.setattr(Path, "replace", watched_replace)
    write(pa.table({"a": ["x"]}), tmp_path / "t.csv")
    assert steps == ["file 4", "replace", "folder"]


@pytest.mark.parametrize("make", [lambda path: path.mkdir(), os.mkfifo])
def test_what_is_no_regular_file_is_not_replaced(tmp_path, make):
    target = tmp_path / "out.csv"
    make(target)
    with pytest.raises(InputError, match="no regular file"):
        write(pa.table({"a": ["1"]}), target)
    assert target.exists()
    assert not target.is_file()
