"""Logarithms: every integer within the bound is found, none beyond it, whatever the representative in memory."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import ristretto255 as curve

from fusion import kernels
from fusion.errors import InputError
from fusion.kernels import logarithm, multiples, ristretto


@pytest.fixture(params=kernels.variants("elgamal"))
def variant(request: pytest.FixtureRequest) -> str:
    """Every variant of this kernel that this CPU can run."""
    return str(request.param)


@pytest.fixture(autouse=True)
def no_table(monkeypatch):
    """A table of one test does not serve the next."""
    monkeypatch.setattr(logarithm, "_tables", [])


def little(value: int) -> np.ndarray:
    return np.frombuffer(value.to_bytes(32, "little"), dtype=np.uint8)


@pytest.mark.parametrize("bound", [0, 1, 2, 3, 254, 255, 256, 300, 511])
def test_every_integer_around_the_bound(variant, bound):
    values = np.arange(-bound - 5, bound + 6)
    got, found = logarithm.logarithms(multiples.multiply_small(values), bound, variant=variant)
    assert (found == (np.abs(values) <= bound)).all()
    assert (got == np.where(found, values, 0)).all()


@pytest.mark.parametrize("bound", [2_000, 70_000, 10**6])
def test_giant_steps_meet_the_edges_of_the_table(variant, bound, monkeypatch):
    """With the smallest table, so that there are many; around each multiple of a step and half way."""
    monkeypatch.setattr(logarithm, "_LARGEST", 8)
    gap = 511
    around = np.arange(0, bound + 2 * gap, 16 * gap)[:, None] + [-256, -255, -1, 0, 1, 255, 256]
    values = np.unique(np.concatenate([around.ravel(), -around.ravel(), [bound, -bound, bound + 1, -bound - 1]]))
    got, found = logarithm.logarithms(multiples.multiply_small(values), bound, variant=variant)
    assert (found == (np.abs(values) <= bound)).all()
    assert (got == np.where(found, values, 0)).all()


@settings(max_examples=40, deadline=None)
@given(
    values=st.lists(st.integers(-(2**26), 2**26), max_size=40),
    variant=st.sampled_from(kernels.variants("elgamal")),
    threads=st.sampled_from([1, 2]),
)
def test_any_integers(values, variant, threads):
    own = np.array(values, dtype=np.int64)
    got, found = logarithm.logarithms(multiples.multiply_small(own), 2**26, threads=threads, variant=variant)
    assert found.all()
    assert (got == own).all()


def test_what_is_no_small_multiple_is_not_found(variant):
    points = ristretto.from_uniform(np.random.default_rng(1).integers(0, 256, (40, 64), dtype=np.uint8))
    got, found = logarithm.logarithms(points, 10**7, variant=variant)
    assert not found.any()
    assert not got.any()


def test_the_representative_does_not_matter(variant):
    """An element is a coset of four points; each of the four has the same logarithm."""
    values = np.array([-300, -1, 0, 1, 7, 40_000])
    rows = multiples.multiply_small(values)._rows
    for torsion in (curve.IDENTITY, curve.Point(0, curve.P - 1), curve.Point(curve.SQRT_M1, 0)):
        shift = np.concatenate([little(c) for c in (torsion.x, torsion.y, 1, torsion.x * torsion.y % curve.P)])
        shifted = ristretto.add(ristretto.Points(rows), ristretto.Points(np.tile(shift, (len(values), 1))))
        got, found = logarithm.logarithms(shifted, 50_000, variant=variant)
        assert found.all()
        assert (got == values).all()


def test_a_false_match_is_passed_over(variant, monkeypatch):
    """Keys are planted that belong to other multiples: the search meets them first and goes on."""
    monkeypatch.setattr(logarithm, "_LARGEST", 8)
    values = np.array([20_000, -25_555, 3])  # within the steps of the first centre
    points = multiples.multiply_small(values)
    size, places = logarithm.table(200_000, variant=variant)
    planted = places.copy()
    # what the search computes first for these rows, step 0, claims to be multiple 5
    centres = logarithm._quadruple(points[np.array([0, 1])], 1, variant)
    for row in centres:
        key = int.from_bytes(row[32:40].tobytes(), "little")
        at = key % len(planted)
        while planted[at]:
            at = (at + 1) % len(planted)
        planted[at] = (key >> 22 << 22) | 6
    logarithm._tables[:] = [(size, planted)]
    got, found = logarithm.logarithms(points, 200_000, variant=variant)
    assert found.all()
    assert (got == values).all()


def test_the_largest_table_has_no_key_twice():
    """Then no key hides another; smaller tables hold a part of its keys."""
    places, twice = logarithm._fill(logarithm._LARGEST, None)
    assert twice == 0
    entered = places[places != 0] & (2**22 - 1)
    assert (np.sort(entered) == np.arange(1, 2**21 + 1)).all()


@pytest.mark.parametrize("size", [8, 9, 13])
def test_variants_make_one_table(size):
    first, *others = (logarithm._fill(size, variant)[0] for variant in kernels.variants("elgamal"))
    for other in others:
        assert (other == first).all()


def test_a_table_is_made_once_and_grows():
    small = logarithm.table(1_000)
    assert small[0] == 10
    assert logarithm.table(10)[1] is small[1]
    large = logarithm.table(5_000)
    assert large[0] == 13
    assert logarithm.table(1_000)[1] is large[1]


def test_threads_share_a_table(monkeypatch):
    made = []
    fill = logarithm._fill
    monkeypatch.setattr(logarithm, "_fill", lambda size, variant: made.append(size) or fill(size, variant))
    threads = [threading.Thread(target=logarithm.table, args=(10_000,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == [14]


@pytest.mark.parametrize("bound", [-1, 2**62 + 1])
def test_a_bound_out_of_range_is_refused(bound):
    with pytest.raises(InputError, match="between 0 and 2\\^62"):
        logarithm.logarithms(multiples.multiply_small(np.arange(2)), bound)
