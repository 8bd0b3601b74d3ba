"""Sums by group and by bin against sums of integers, times the generator."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fusion import kernels
from fusion.errors import InputError
from fusion.kernels import multiples, ristretto, sums


@pytest.fixture(params=kernels.variants("elgamal"))
def variant(request: pytest.FixtureRequest) -> str:
    """Every variant of this kernel that this CPU can run."""
    return str(request.param)


def elements(values: np.ndarray) -> ristretto.Points:
    """One for each integer, none with z = 1."""
    return multiples.multiply_small(values.astype(np.int64).ravel())


def encoded(values: np.ndarray) -> np.ndarray:
    return ristretto.encode(elements(values))


def test_negatives(variant):
    values = np.array([0, 1, -1, 5, 2**40])
    assert (ristretto.encode(sums.negate(elements(values)), variant=variant) == encoded(-values)).all()


def test_identities():
    assert not ristretto.encode(sums.identities(3)).any()
    assert len(sums.identities(0)) == 0


@settings(max_examples=60, deadline=None)
@given(data=st.data(), variant=st.sampled_from(kernels.variants("elgamal")), threads=st.sampled_from([1, 3]))
def test_groups(data, variant, threads):
    n, groups, width = (data.draw(st.integers(low, high)) for low, high in ((0, 60), (1, 20), (1, 3)))
    codes = np.array(data.draw(st.lists(st.integers(0, groups - 1), min_size=n, max_size=n)), dtype=np.int64)
    values = np.arange(n * width).reshape(n, width) ** 2 - 300
    expected = np.zeros((groups, width), dtype=np.int64)
    np.add.at(expected, codes, values)
    got = sums.group_sum(codes, groups, elements(values), width, threads=threads, variant=variant)
    assert (ristretto.encode(got) == encoded(expected)).all()


@settings(max_examples=60, deadline=None)
@given(
    data=st.data(), variant=st.sampled_from(kernels.variants("elgamal")), dtype=st.sampled_from([np.uint8, np.uint16])
)
def test_bins(data, variant, dtype):
    n, bins, features, width = (data.draw(st.integers(low, high)) for low, high in ((0, 40), (1, 9), (0, 18), (1, 3)))
    codes = np.random.default_rng(n + 100 * bins).integers(0, bins, (n, features)).astype(dtype)
    values = np.arange(n * width).reshape(n, width) ** 2 - 300
    expected = np.zeros((features, bins, width), dtype=np.int64)
    for feature in range(features):
        np.add.at(expected[feature], codes[:, feature].astype(np.int64), values)
    got = sums.histogram(codes, bins, elements(values), width, variant=variant)
    assert (ristretto.encode(got) == encoded(expected)).all()


@pytest.mark.parametrize("threads", [1, 5])
def test_many_rows_in_parts(variant, threads, monkeypatch):
    """As many rows as threads, pieces and parts need to differ."""
    monkeypatch.setattr(sums, "_PART", 64)
    monkeypatch.setattr(sums, "_PIECE", 48)
    source = np.random.default_rng(7)
    values, codes = source.integers(-9, 9, (1001, 2)), source.integers(0, 30, 1001)
    codes[:400] = 4  # one group through several parts
    expected = np.zeros((31, 2), dtype=np.int64)
    np.add.at(expected, codes, values)
    points = elements(values)
    got = sums.group_sum(codes, 31, points, 2, threads=threads, variant=variant)
    assert (ristretto.encode(got) == encoded(expected)).all()
    got = sums.histogram(codes[:, None].astype(np.uint16), 31, points, 2, threads=threads, variant=variant)
    assert (ristretto.encode(got) == encoded(expected)).all()


def test_what_does_not_fit_is_refused():
    points = elements(np.arange(6))
    with pytest.raises(InputError, match="3 rows of 1 elements are 3, not 6"):
        sums.group_sum(np.zeros(3, dtype=np.int64), 1, points, 1)
    for codes in ([0, 1, 2], [0, -1, 1]):
        with pytest.raises(InputError, match="below the number of groups"):
            sums.group_sum(np.array(codes), 2, points, 2)
    with pytest.raises(InputError, match="fewer than 2\\^31 groups"):
        sums.group_sum(np.zeros(3, dtype=np.int64), 2**31, points, 2)
    with pytest.raises(InputError, match="below the number of bins"):
        sums.histogram(np.array([[0], [1], [2]], dtype=np.uint8), 2, points, 2)
    with pytest.raises(InputError, match="uint8 or uint16"):
        sums.histogram(np.zeros((3, 1), dtype=np.int64), 2, points, 2)
