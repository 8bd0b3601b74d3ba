"""Matching rows of fixed width, against pandas and plain Python."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fusion.psi.matches import first_occurrences, has_repeats, match, tag_bytes

# few distinct values, so that equal prefixes, equal rows and near misses all happen
byte = st.sampled_from([0, 1, 255])
WIDTHS = (5, 8, 10, 16, 32)


def rows_of(width: int, max_size: int = 12):
    return st.lists(
        st.binary(min_size=width, max_size=width) | st.lists(byte, min_size=width, max_size=width).map(bytes),
        max_size=max_size,
    )


def array(rows: list[bytes], width: int) -> np.ndarray:
    return np.frombuffer(b"".join(rows), np.uint8).reshape(len(rows), width)


@given(data=st.data(), width=st.sampled_from(WIDTHS))
def test_match_is_the_merge_of_pandas(data, width):
    ours = list(dict.fromkeys(data.draw(rows_of(width))))
    theirs = list(
        dict.fromkeys(data.draw(rows_of(width)) + data.draw(st.permutations(ours))[: data.draw(st.integers(0, 5))])
    )
    i, j = match(array(ours, width), array(theirs, width))
    expected = pd.merge(
        pd.DataFrame({"row": ours, "i": range(len(ours))}),
        pd.DataFrame({"row": theirs, "j": range(len(theirs))}),
        on="row",
    ).sort_values("row")
    assert list(zip(i, j, strict=True)) == list(zip(expected["i"], expected["j"], strict=True))


@given(data=st.data(), width=st.sampled_from(WIDTHS))
def test_first_occurrences_and_repeats(data, width):
    rows = data.draw(rows_of(width))
    rows += data.draw(st.permutations(rows))[: data.draw(st.integers(0, 3))]
    kept = first_occurrences(array(rows, width))
    assert [rows[i] for i in kept] == list(dict.fromkeys(rows))
    assert has_repeats(array(rows, width)) == (len(set(rows)) < len(rows))


@pytest.mark.parametrize("tail", [8, 9, 15])
def test_rows_that_differ_only_after_a_shared_prefix(tail):
    a = bytes(8) + b"\0" * 8
    b = a[:tail] + b"\1" + a[tail + 1 :]
    assert not has_repeats(array([a, b], 16))
    i, j = match(array([a, b], 16), array([b, a], 16))
    assert (i.tolist(), j.tolist()) == ([0, 1], [1, 0])


def test_nothing_matches_nothing():
    empty = np.empty((0, 10), np.uint8)
    i, j = match(empty, empty)
    assert len(i) == len(j) == 0
    assert len(first_occurrences(empty)) == 0
    assert not has_repeats(empty)


@pytest.mark.parametrize(
    ("nx", "ny", "expected"), [(1 << 20, 1 << 20, 10), (1, 1, 6), (1 << 24, 1 << 24, 11), (0, 9, 6), (1, 1 << 31, 9)]
)
def test_tags_are_wide_enough(nx, ny, expected):
    assert tag_bytes(nx, ny) == tag_bytes(ny, nx) == expected
    assert 8 * expected >= 40 + np.log2(max(nx, 1)) + np.log2(max(ny, 1))
