"""Equal rows of two sets and of one: against the plain twin, pandas, and rows chosen to be slow."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reference import join as twin

from fusion.errors import InputError
from fusion.kernels.join import join, repeated

# few distinct values, so that equal beginnings, equal rows and near misses all happen
byte = st.sampled_from([0, 1, 255])
WIDTHS = (0, 1, 5, 7, 8, 9, 10, 11, 12, 13, 16, 32)
LARGE = 1 << 17


def rows_of(width: int, max_size: int = 40) -> st.SearchStrategy[list[bytes]]:
    return st.lists(
        st.binary(min_size=width, max_size=width) | st.lists(byte, min_size=width, max_size=width).map(bytes),
        max_size=max_size,
    )


def array(rows: list[bytes], width: int) -> np.ndarray:
    return np.frombuffer(b"".join(rows), np.uint8).reshape(len(rows), width)


def listed(rows: np.ndarray) -> list[bytes]:
    return [row.tobytes() for row in rows]


@given(data=st.data(), width=st.sampled_from(WIDTHS))
def test_small_sets_are_joined_as_the_twin_says(data, width):
    ours = data.draw(rows_of(width))
    theirs = data.draw(rows_of(width)) + (data.draw(st.lists(st.sampled_from(ours), max_size=9)) if ours else [])
    i, j = join(array(ours, width), array(theirs, width))
    assert i.dtype == j.dtype == np.int64
    assert list(zip(i.tolist(), j.tolist(), strict=True)) == twin.join(ours, theirs)
    assert repeated(array(theirs, width)).tolist() == twin.repeated(theirs)


def random_rows(width: int, kind: str) -> np.ndarray:
    """Rows in which much is repeated, of hashes and of what somebody may have made up."""
    rng = np.random.default_rng(width)
    rows = rng.integers(0, 256, (9000, width), dtype=np.uint8)
    if kind == "few":
        rows = rows[rng.integers(0, 30, 9000)]
    elif kind == "one beginning":
        rows[:, : width - 2] = 7
    elif kind == "half":
        rows[::2, : width // 2] = 255
    return rows[rng.integers(0, 9000, 11000)]


@pytest.mark.parametrize("kind", ["hashes", "few", "one beginning", "half"])
@pytest.mark.parametrize("width", [5, 10, 13, 32])
def test_many_rows_are_joined_as_the_twin_says(width, kind):
    ours, theirs = random_rows(width, kind), random_rows(width, "hashes")
    theirs[::3] = ours[::-3][: len(theirs[::3])]
    i, j = join(ours, theirs)
    assert list(zip(i.tolist(), j.tolist(), strict=True)) == twin.join(listed(ours), listed(theirs))
    assert repeated(ours).tolist() == twin.repeated(listed(ours))


def test_large_sets_are_joined_as_pandas_joins_them():
    rng = np.random.default_rng(9)
    ours = rng.integers(0, 256, (LARGE, 10), dtype=np.uint8)
    theirs = rng.permutation(np.concatenate([ours[: LARGE // 2], rng.integers(0, 256, (LARGE, 10), dtype=np.uint8)]))
    i, j = join(ours, theirs)
    frames = [
        pd.DataFrame({"row": listed(rows), name: range(len(rows))}) for rows, name in ((ours, "i"), (theirs, "j"))
    ]
    expected = frames[0].merge(frames[1], on="row").sort_values("row")
    assert (i == expected["i"]).all()
    assert (j == expected["j"]).all()
    assert len(i) == LARGE // 2


@pytest.mark.parametrize("kind", ["hashes", "few", "one beginning"])
def test_results_do_not_depend_on_threads(kind):
    rng = np.random.default_rng(3)
    ours = np.concatenate([random_rows(10, kind)] * 15)  # several parts
    if kind == "hashes":
        ours[:, 0] |= 254  # most partitions are empty
    theirs = rng.permutation(np.concatenate([ours[::4], random_rows(10, "half")]))
    expected, flags = join(ours, theirs, threads=1), repeated(ours, threads=1)
    for threads in (2, 5, None):
        assert all((a == b).all() for a, b in zip(join(ours, theirs, threads=threads), expected, strict=True))
        assert (repeated(ours, threads=threads) == flags).all()


def made_up(width: int, kind: str) -> np.ndarray:
    """What a peer could send to keep us busy."""
    rng = np.random.default_rng(1)
    rows = np.zeros((LARGE, width), np.uint8)
    if kind == "equal beginnings":
        rows[:, -3:] = rng.permutation(1 << 18)[:LARGE].astype(">u4").view(np.uint8).reshape(-1, 4)[:, 1:]
    elif kind == "one bucket":
        rows[:, 3:] = rng.integers(0, 256, (LARGE, width - 3), dtype=np.uint8)
    elif kind == "descending":
        rows[:, -3:] = np.arange(LARGE)[::-1].astype(">u4").view(np.uint8).reshape(-1, 4)[:, 1:]
    return rows


@pytest.mark.parametrize("kind", ["equal", "equal beginnings", "one bucket", "descending"])
@pytest.mark.parametrize("width", [10, 32])
def test_no_rows_take_quadratic_time(width, kind):
    ours, theirs = made_up(width, kind), made_up(width, kind)[::-1].copy()
    began = time.thread_time()
    i, j = join(ours, theirs, threads=1)
    assert time.thread_time() - began < 5  # 2^34 comparisons take longer than that
    assert len(i) == (1 if kind == "equal" else LARGE)
    assert (ours[i] == theirs[j]).all()


def test_nothing_is_equal_to_nothing():
    empty, some = np.empty((0, 10), np.uint8), np.ones((3, 10), np.uint8)
    for a, b in ((empty, empty), (some, empty), (empty, some)):
        assert [len(found) for found in join(a, b)] == [0, 0]
    assert repeated(empty).tolist() == []
    assert repeated(some).tolist() == [False, True, True]


def test_what_is_no_set_of_rows_is_refused():
    rows = np.zeros((3, 10), np.uint8)
    for other in (rows[:, :9], rows.astype(np.int8), rows.ravel(), [b"a"]):
        with pytest.raises(InputError):
            join(rows, other)
    with pytest.raises(InputError):
        repeated(rows.astype(np.int8))
    with pytest.raises(InputError):
        join(rows, rows, threads=0)
