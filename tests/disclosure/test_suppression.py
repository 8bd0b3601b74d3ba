from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from fusion.disclosure import suppress
from fusion.errors import InputError


def with_totals(counts):
    for axis in range(counts.ndim):
        counts = np.concatenate([counts, counts.sum(axis, keepdims=True)], axis)
    return counts


def possible(counts, hidden):
    """Least and greatest value of every hidden entry, by linear programs over the inner cells: what a reader knows.

    Built from the cells and the sums alone, with none of the flows that the choice is made by.
    """
    inner = [range(n) for n in counts.shape]
    cells = list(itertools.product(*inner))
    everything = list(itertools.product(*[range(n + 1) for n in counts.shape]))

    def row(entry):
        """The inner cells that make an entry up."""
        return [float(all(e in (c, n) for e, c, n in zip(entry, cell, counts.shape, strict=True))) for cell in cells]

    values = with_totals(counts)
    shown = [entry for entry in everything if not hidden[entry]]
    known = {"A_eq": [row(entry) for entry in shown], "b_eq": [values[entry] for entry in shown]} if shown else {}
    ranges = {}
    for entry in everything:
        if hidden[entry]:
            ends = []
            for sign in (1, -1):
                found = linprog([sign * c for c in row(entry)], **known, bounds=(0, None))
                assert found.status in (0, 3), found.message  # solved, or without limit
                ends.append(sign * found.fun if found.status == 0 else sign * -np.inf)
            ranges[entry] = tuple(ends)
    return ranges


def check(counts, min_group):
    counts = np.array(counts)
    hidden = suppress(counts, min_group)
    values = with_totals(counts)
    assert hidden.shape == values.shape
    assert hidden[values < min_group].all()
    for entry, (least, greatest) in possible(counts, hidden).items():
        # whole numbers, as the ends of flows between whole ones are; the programs find them to some 1e-7
        if values[entry] < min_group:
            assert greatest - least > min_group - 0.5, (counts, entry)
        assert greatest - least > 0.5, (counts, entry)
    return hidden


COUNTS = st.one_of(st.integers(0, 30), st.sampled_from([0, 0, 0, 1, 2, 9, 10, 11]), st.integers(0, 2000))


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 5), st.integers(1, 5), st.integers(1, 12), st.data())
def test_nothing_small_comes_back_from_two_ways(rows, columns, min_group, data):
    check([data.draw(st.lists(COUNTS, min_size=columns, max_size=columns)) for _ in range(rows)], min_group)


@settings(max_examples=40, deadline=None)
@given(st.lists(COUNTS, min_size=1, max_size=8), st.integers(1, 12))
def test_nothing_small_comes_back_from_one_way(counts, min_group):
    check(counts, min_group)


@pytest.mark.parametrize("seed", range(4))
def test_nothing_small_comes_back_from_larger_tables(seed):
    random = np.random.default_rng(seed)
    check(random.poisson((14, 25, 3, 11)[seed], (12, 9)), 10)


def test_every_small_table():
    """All tables of 2 x 2 with counts up to 2, and a smallest group of 2."""
    for cells in itertools.product(range(3), repeat=4):
        check(np.array(cells).reshape(2, 2), 2)


def test_hiding_the_small_cells_alone_is_not_enough():
    """The audit of these tests sees a cell that its row gives back."""
    counts = np.array([[3, 40, 50], [30, 20, 25]])
    naive = with_totals(counts) < 10
    assert possible(counts, naive)[0, 0] == pytest.approx((3, 3))


def test_a_cycle_of_zeros_is_no_protection():
    """Four hidden cells, none of them a bridge: yet with two zeros it cannot turn either way."""
    counts = np.array([[3, 0, 50], [40, 0, 60], [70, 80, 90]])
    four = np.zeros((4, 4), bool)
    four[:2, :2] = True
    assert possible(counts, four)[0, 0] == pytest.approx((3, 3))
    check(counts, 10)


def test_one_small_cell_takes_three_more():
    counts = np.full((4, 5), 30)
    counts[1, 2] = 3
    hidden = check(counts, 10)
    assert hidden.sum() == 4
    assert hidden[1, 2]


def test_the_cheapest_neighbours_go():
    counts = np.array([[3, 500, 40], [600, 900, 800], [50, 700, 30]])
    assert np.argwhere(check(counts, 10)).tolist() == [[0, 0], [0, 2], [2, 0], [2, 2]]
    assert check(np.array([3, 90, 12, 40]), 10).tolist() == [True, False, True, False, False]


def test_two_small_cells_too_few_together_take_a_third():
    assert check(np.array([3, 4, 30, 50]), 10).tolist() == [True, True, True, False, False]
    assert check(np.array([3, 8, 30, 50]), 10).tolist() == [True, True, False, False, False]


@pytest.mark.parametrize("counts", [[10, 11, 500], [[10, 10], [10, 10]]])
def test_what_is_large_enough_stays(counts):
    assert not suppress(counts, 10).any()


@pytest.mark.parametrize("counts", [[9], [0], [1, 2, 3], [[0, 0], [0, 0]], [[1, 1], [1, 1]], [[9]]])
def test_a_table_below_the_limit_goes_with_its_totals(counts):
    assert suppress(counts, 10).all()


def test_small_totals_are_hidden_like_small_cells():
    hidden = check(np.array([[1, 2, 3], [200, 300, 400], [150, 250, 350]]), 10)
    assert hidden[0].all()


@pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0), (0, 0)])
def test_an_empty_table(shape):
    counts = np.zeros(shape, np.int64)
    assert suppress(counts, 10).shape == tuple(n + 1 for n in shape)
    assert suppress(counts, 10).all()


def test_the_largest_counts():
    counts = np.array([[2**40, 3], [2**40, 2**40]])
    check(np.array([[2**30, 3], [2**30, 2**30]]), 10)
    assert suppress(counts, 10).sum() >= 4


@pytest.mark.parametrize(
    ("counts", "min_group", "says"),
    [
        (np.ones((2, 2, 2), int), 10, "slices"),
        (np.array(3), 10, "slices"),
        ([1.5, 2.0], 10, "whole numbers"),
        ([-1, 20], 10, "between 0"),
        ([2**40 + 1], 10, "between 0"),
        (np.ones((200, 200), int), 10, "fewer groups"),
        ([1, 2], 0, "at least 1"),
    ],
)
def test_what_cannot_be_protected_is_refused(counts, min_group, says):
    with pytest.raises(InputError, match=says):
        suppress(counts, min_group)


def test_a_smallest_group_is_a_whole_number():
    with pytest.raises(InputError, match="smallest group"):
        suppress([20, 3], 1.5)


def test_masked_counts_are_refused():
    with pytest.raises(InputError, match="has masked values"):
        suppress(np.ma.array([50, 3], mask=[False, True]), 5)
