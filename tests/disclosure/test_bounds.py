from __future__ import annotations

import random
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fusion.disclosure import clip, limit_rows
from fusion.errors import InputError


def test_values_come_within_their_bounds_and_are_counted():
    clipped = clip([-5, 0, 7, 10, 11, 900], 0, 10)
    assert clipped.values.tolist() == [0, 0, 7, 10, 10, 10]
    assert clipped.values.dtype == np.int64
    assert (clipped.below, clipped.above) == (1, 2)


@given(st.lists(st.floats(allow_nan=False)), st.floats(-1e6, 1e6), st.floats(0, 1e6))
def test_clipping_agrees_with_numpy(values, low, width):
    clipped = clip(np.array(values, float), low, low + width)
    assert (clipped.values == np.clip(np.array(values, float), low, low + width)).all()


def test_integers_between_fractions_become_floats():
    assert clip([0, 5], 0.5, 4.5).values.tolist() == [0.5, 4.5]
    assert clip(pd.Series([1, 2], dtype="Int64"), 0, 1).values.tolist() == [1, 1]
    assert clip([2**62 + 1, 1], -(2**62), 2**62).values.tolist() == [2**62, 1]
    assert clip([3, 1], 1e30, 1e31).values.tolist() == [1e30, 1e30]


def test_the_column_of_the_caller_is_left_alone():
    column = np.array([1.0, 99.0])
    clip(column, 0, 10)
    assert column.tolist() == [1.0, 99.0]


@pytest.mark.parametrize(
    ("values", "low", "high", "says"),
    [
        ([1], 2, 1, "lower one first"),
        ([1], 0, float("inf"), "finite"),
        ([1], float("nan"), 1, "finite"),
        (["a"], 0, 1, "holds numbers"),
        ([1j], 0, 1, "holds numbers"),
        (pd.Series([1.0, None, float("nan")]), 0, 1, "2 missing values"),
        (pd.Series([1, None], dtype="Int64"), 0, 1, "1 missing values"),
        (np.array([2**63], np.uint64), 0, 1, "beyond"),
    ],
)
def test_columns_that_cannot_be_bounded(values, low, high, says):
    with pytest.raises(InputError, match=says):
        clip(values, low, high)


@given(st.lists(st.integers(0, 5)), st.integers(1, 4))
def test_nobody_keeps_more_than_the_limit(people, at_most):
    limited = limit_rows(np.array(people, int), at_most)
    kept = Counter(np.array(people, int)[limited.keep].tolist())
    had = Counter(people)
    assert kept == {who: min(rows, at_most) for who, rows in had.items()}
    assert limited.dropped == len(people) - sum(kept.values())
    assert limited.people == sum(rows > at_most for rows in had.values())


def test_every_row_of_a_person_is_as_likely_to_stay():
    """Chi-squared with 4 degrees of freedom stays below 28 but for one seed in 80,000."""
    source = random.Random(5).randbytes
    people = np.array(["b", "a", "b", "b", "c", "b", "b"])
    kept = sum(limit_rows(people, 2, source=source).keep.astype(int) for _ in range(5_000))
    assert kept[[1, 4]].tolist() == [5_000, 5_000]
    assert kept.sum() == 20_000
    assert ((kept[[0, 2, 3, 5, 6]] - 2_000) ** 2 / 2_000).sum() < 28


def test_a_million_rows_at_once():
    people = np.random.default_rng(3).integers(0, 200_000, 1_000_000)
    limited = limit_rows(pd.Series(people), 3)
    assert np.bincount(people[limited.keep]).max() == 3
    assert limited.dropped == (~limited.keep).sum() == np.maximum(np.bincount(people) - 3, 0).sum()


def test_rows_of_nobody_are_refused():
    with pytest.raises(InputError, match="1 rows belong to nobody"):
        limit_rows(pd.Series(["a", None, "b"]), 1)
    with pytest.raises(InputError, match="1 or more"):
        limit_rows(["a"], 0)


def test_masked_values_are_missing_ones():
    with pytest.raises(InputError, match="1 missing values"):
        clip(np.ma.array([50, 3], mask=[False, True]), 0, 60)
    with pytest.raises(InputError, match="has masked values"):
        limit_rows(np.ma.array([1, 1, 2], mask=[False, True, False]), 1)
    assert limit_rows(np.ma.array([1, 1, 2]), 2).keep.all()


def test_a_limit_is_a_whole_number():
    # 1.5 would keep two rows
    with pytest.raises(InputError, match="whole number of 1 or more"):
        limit_rows(["a", "a", "a"], 1.5)
