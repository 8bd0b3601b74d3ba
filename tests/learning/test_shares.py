"""Products and quotients of shares, over a channel, against plain integers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fusion
from fusion.errors import InputError
from fusion.learning import shares
from fusion.learning.shares import DEGREE, MODULUS, Shared, reduced, signed, times

from .tampering import inside

HALF = MODULUS // 2
QUARTER = MODULUS // 4
EDGES = [-QUARTER, 1 - QUARTER, -1, 0, 1, QUARTER - 1, QUARTER]


def split(values, random):
    """Two shares of each value."""
    first = random.integers(0, MODULUS, np.shape(values), dtype=np.uint64)
    return first, reduced(np.asarray(values, dtype=np.int64) - first.astype(np.int64))


def joined(first, second):
    return signed((first + second) % np.uint64(MODULUS))


def play(feature, label):
    """Both sides of something, each a function of its `Shared`."""

    def role(act, *, is_label):
        def at(peer):
            def run(peer):
                shared = Shared(peer, label=is_label)
                found = act(shared)
                shared.wipe()
                return found

            return inside(peer, 1, run)

        return at

    out = fusion.simulate(a=role(feature, is_label=False), b=role(label, is_label=True))
    return out["a"], out["b"]


@given(st.lists(st.tuples(st.integers(-(2**49), 2**49), st.integers(0, MODULUS - 1)), min_size=1))
def test_products_modulo_t(pairs):
    x, u = (np.array(column) for column in zip(*pairs, strict=True))
    found = times(x.astype(np.int64), u.astype(np.uint64))
    assert [int(value) % MODULUS for value in found] == [a * b % MODULUS for a, b in pairs]
    assert (np.abs(found) <= MODULUS).all()


@pytest.mark.parametrize(
    ("rows", "columns"),
    [((20, 30), (3, 5)), ((1034, 1035), (10, 11)), ((4000, 4001), (1, 5)), ((40, 41), (300, 1))],
)
def test_matrices_times_shared_vectors(rows, columns):
    random = np.random.default_rng(1)
    x = [random.integers(-(2**20), 2**20, shape) for shape in zip(rows, columns, strict=True)]
    w = [random.integers(-(2**40), 2**40, count) for count in columns]
    (wa, wb), (va, vb) = (split(values, random) for values in w)
    tall = min(rows)
    e = random.integers(-(2**40), 2**40, tall)
    ea, eb = split(e, random)

    def feature(shared):
        return (*shared.rows(x[0], wa, va, rows[1]), *shared.columns(x[0][:tall], ea, columns[1]))

    def label(shared):
        return (*shared.rows(x[1], vb, wb, rows[0]), *shared.columns(x[1][:tall], eb, columns[0]))

    a, b = play(feature, label)

    def exact(matrix, vector):
        return np.array([int(value) % MODULUS for value in matrix.astype(object) @ vector.astype(object)])

    def of(first, second):
        return np.array([int(value) % MODULUS for value in joined(first, second)])

    assert (of(a[0], b[1]) == exact(x[0], w[0])).all()
    assert (of(a[1], b[0]) == exact(x[1], w[1])).all()
    assert (of(a[2], b[3]) == exact(x[0][:tall].T, e)).all()
    assert (of(a[3], b[2]) == exact(x[1][:tall].T, e)).all()


def test_products_slot_by_slot():
    random = np.random.default_rng(3)
    values = random.integers(-(2**20), 2**20, (2, 3, DEGREE))
    a, b = play(lambda shared: shared.slots(values[0]), lambda shared: shared.slots(values[1]))
    assert (joined(a, b) == (values[0] * values[1]).sum(axis=0)).all()


def test_division_at_the_edges_never_wraps():
    """Every pair of shares near 0, t/2 and t, for numbers of largest size, zero, and smallest."""
    starts = np.array([0, 1, 2**12, HALF - 1, HALF, HALF + 1, MODULUS - QUARTER - 1, MODULUS - 1], dtype=np.uint64)
    values = np.repeat(EDGES, len(starts))
    first = np.tile(starts, len(EDGES))
    second = reduced(values - first.astype(np.int64))
    for bits in (1, 12, 20):
        a, b = play(lambda shared, k=bits: shared.divide(first, k), lambda shared, k=bits: shared.divide(second, k))
        assert np.abs(joined(a, b) - values / 2**bits).max() <= 2


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 24))
def test_division(seed, bits):
    random = np.random.default_rng(seed)
    values = random.integers(-QUARTER, QUARTER, 500) >> random.integers(0, 48, 500)
    first, second = split(values, random)
    a, b = play(lambda shared: shared.divide(first, bits), lambda shared: shared.divide(second, bits))
    assert np.abs(joined(a, b) - values / 2**bits).max() <= 2


def uniform(values):
    """Chi-square of 32 equal intervals: beyond 104 once in 10^9, as masks are drawn anew in every run."""
    counts = np.bincount((values.astype(np.float64) * (32 / MODULUS)).astype(int), minlength=32)
    return ((counts - counts.mean()) ** 2).sum() / counts.mean() < 104


@pytest.mark.parametrize("secret", [0, 1])
def test_what_is_opened_is_uniform_whatever_it_hides(monkeypatch, secret):
    """Nothing at all, or the largest multipliers: every number that either side opens is uniform modulo t."""
    opened = []
    original = Shared._opened

    def note(self, data, coefficients):
        found = original(self, data, coefficients)
        opened.append((self.label, found))
        return found

    monkeypatch.setattr(Shared, "_opened", note)
    x = np.full((500, 4), secret * 2**30)
    own = np.full(4, secret * HALF, np.uint64)

    def act(shared):
        shared.rows(x, own, own, 500)
        shared.columns(x[:, :1].repeat(40, axis=1), np.full(500, secret, np.uint64), 40)
        shared.slots(np.full((1, DEGREE), secret * 2**30))

    play(act, act)
    for label in (True, False):
        assert uniform(np.concatenate([found for side, found in opened if side == label]))
    every = np.concatenate([found for _, found in opened])
    assert len(every) == 2 * 540 + DEGREE
    # and this would notice a mask that leaves out a quarter of the range
    assert not uniform(every // np.uint64(4) * np.uint64(3))


def test_what_a_fit_tells_of_its_multipliers():
    """Four answers a step at most to one key owner, each as near to one that tells nothing as the docstring says."""
    p = shares.PARAMETERS
    fresh = 21 * (2 * p.degree + 1) + 1  # u e + e1 s + e0, and a rounding
    noise = 2**10 * p.degree * (p.plain_modulus // 2) * fresh + fresh
    distance = p.degree * noise / 2**p.flood_bits
    assert distance < 2**-44.6
    assert 4 * 8192 * distance < 2**-29.6


def test_a_batch_that_does_not_fit():
    with pytest.raises(InputError, match="smaller batch"):
        shares._row_blocks(DEGREE + 1, 1)
    with pytest.raises(InputError, match="smaller batch"):
        shares._column_blocks(100, DEGREE + 1)


def test_a_wiped_key_does_nothing():
    def act(shared):
        shared.wipe()
        with pytest.raises(InputError, match="wiped"):
            shared._secret.encrypt(np.zeros((1, DEGREE), np.int64))

    play(act, act)
