"""Descent on shares against descent in the clear, step for step."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fusion
from fusion.errors import InputError
from fusion.learning import descent, ideal, sigmoid
from fusion.learning.descent import PERIOD, Plan, Targets, prepare
from fusion.learning.shares import MODULUS
from fusion.learning.training import best_epoch, stops, train

from .tampering import inside


def drawn(rows, a, b, seed, *, ridge=0.01):
    """Correlated columns, labels and weights: prepared columns of both sides, and targets."""
    random = np.random.default_rng(seed)
    x = random.normal(size=(rows, a + b))
    x[:, -1] += x[:, 0]
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    z = x @ random.normal(size=a + b) * 0.6 - 0.5
    y = (random.random(rows) < 1 / (1 + np.exp(-z))).astype(float)
    weight = random.uniform(0.2, 2, rows)
    names = [f"x{i}" for i in range(a + b)]
    return (
        prepare(x[:, :a], ridge, names, intercept=False),
        prepare(x[:, a:], ridge, names, intercept=True),
        Targets(y, weight / weight.mean()),
    )


def fitted(plan, feature, label, targets, *, epochs, patience=9):
    def role(columns, theirs, targets):
        def at(peer):
            return inside(
                peer,
                plan.rows,
                lambda peer: train(peer, plan, columns, theirs, targets, epochs=epochs, patience=patience),
            )

        return at

    out = fusion.simulate(a=role(feature, label.x.shape[1], None), b=role(label, feature.x.shape[1], targets))
    return out["a"], out["b"]


@pytest.mark.parametrize(
    ("rows", "a", "b", "batch", "held", "rate", "seed"),
    [(900, 3, 4, 200, 150, 2.0, 1), (400, 1, 0, 4096, 0, 0.3, 2), (1300, 9, 2, 1024, 500, 1.0, 3)],
)
def test_as_in_the_clear(rows, a, b, batch, held, rate, seed):
    """The same batches, steps and series: what differs is fixed point."""
    feature, label, targets = drawn(rows, a, b, seed)
    plan = Plan(rows, held, batch, rate, bytes([seed]) * 32)
    found = fitted(plan, feature, label, targets, epochs=5)
    series = ideal.descend(plan, feature, label, targets, epochs=5, patience=9, function=sigmoid.logistic(PERIOD))
    exact = ideal.descend(plan, feature, label, targets, epochs=5, patience=9)
    for mine, near, far in zip(found, series, exact, strict=True):
        np.testing.assert_allclose(mine.coefficients, near.coefficients, atol=1e-3)
        np.testing.assert_allclose(mine.coefficients, far.coefficients, atol=1.5e-3)
        assert (mine.epochs, mine.taken) == (near.epochs, near.taken)
    assert found[0].losses == []
    np.testing.assert_allclose(found[1].losses, exact[1].losses, atol=5e-3)
    assert len(found[1].losses) == (5 if held else 0)


@settings(max_examples=6, deadline=None)
@given(
    rows=st.integers(60, 500),
    a=st.integers(1, 6),
    b=st.integers(0, 6),
    batch=st.integers(20, 500),
    held=st.integers(0, 20),
    rate=st.floats(0.05, 2),
    ridge=st.floats(1e-3, 3),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_sizes_as_in_the_clear(rows, a, b, batch, held, rate, ridge, seed):
    feature, label, targets = drawn(rows, a, b, seed, ridge=ridge)
    plan = Plan(rows, held, batch, rate, seed.to_bytes(4, "big"))
    found = fitted(plan, feature, label, targets, epochs=2)
    expected = ideal.descend(plan, feature, label, targets, epochs=2, patience=9)
    for mine, exact in zip(found, expected, strict=True):
        np.testing.assert_allclose(mine.coefficients, exact.coefficients, atol=5e-3)


def test_it_stops_when_the_loss_on_rows_held_out_rises():
    """Labels of noise: the loss falls for a while at most."""
    feature, label, targets = drawn(400, 6, 6, 4, ridge=0.0)
    targets = Targets(np.random.default_rng(5).integers(0, 2, 400).astype(float), targets.weight)
    a, b = fitted(Plan(400, 150, 100, 2.0, b"stop"), feature, label, targets, epochs=30, patience=2)
    assert a.epochs == b.epochs < 30
    assert a.taken == b.taken == best_epoch(b.losses) == b.epochs - 2


def test_rows_held_out_that_all_have_no_weight():
    feature, label, targets = drawn(200, 2, 1, 4)
    plan = Plan(200, 20, 100, 1.0, b"seed")
    (held,) = plan.held_out()
    targets.weight[held] = 0.0
    with pytest.raises(InputError, match="rows held out have weight 0"):
        fitted(plan, feature, label, targets, epochs=1)


def test_when_to_stop():
    assert not stops([1.0], 1)
    assert stops([1.0, 1.0], 1)
    assert not stops([3.0, 2.0, 2.5], 2)
    assert stops([3.0, 2.0, 2.5, 2.0], 2)
    assert best_epoch([3.0, 2.0, 2.5, 2.0]) == 2


@pytest.mark.parametrize(("rows", "held", "batch"), [(10, 0, 3), (1000, 333, 64), (50, 7, 4096), (2049, 0, 1024)])
def test_every_row_has_its_turn(rows, held, batch):
    plan = Plan(rows, held, batch, 2.0, b"seed")
    out = np.concatenate([*plan.held_out(), np.empty(0, int)]).astype(int)
    orders = [plan.epoch(number) for number in range(2)]
    for batches in orders:
        assert len(batches) == plan.batches
        assert {len(rows) for rows in batches} <= {plan.size, plan.size - 1}
        assert plan.size <= batch
        assert sorted([*np.concatenate(batches), *out]) == list(range(rows))
    assert not np.array_equal(np.concatenate(orders[0]), np.concatenate(orders[1]))
    again = Plan(rows, held, batch, 2.0, b"seed").epoch(1)
    assert all(np.array_equal(a, b) for a, b in zip(orders[1], again, strict=True))


def test_columns_are_made_uncorrelated():
    feature, label, _ = drawn(500, 4, 3, 6, ridge=0.1)
    for columns, free in ((feature, 0), (label, 1)):
        curvature = columns.x.T @ columns.x / 500 / 4 + columns.penalty
        np.testing.assert_allclose(curvature, np.eye(len(curvature)) / 4, atol=1e-12)
        beta = np.random.default_rng(7).normal(size=len(curvature))
        outer = columns.back @ beta
        ridge = 0.1 * (outer[: len(outer) - free] ** 2).sum() / 2
        assert beta @ columns.penalty @ beta / 2 == pytest.approx(ridge)


def test_collinear_columns():
    x = np.random.default_rng(8).normal(size=(100, 3))
    x[:, 2] = x[:, 0] + x[:, 1]
    with pytest.raises(InputError, match="columns a, b, c add up"):
        prepare(x, 0.0, ["a", "b", "c"], intercept=False)
    prepare(x, 0.01, ["a", "b", "c"], intercept=False)


def test_extreme_values_are_refused():
    plan = Plan(1000, 0, 100, 2.0, b"seed")
    values = np.zeros((1000, 1))
    descent.check_batches(plan, values + 3.9, 2, 4.0, "columns")
    values[17] = 41.0
    with pytest.raises(InputError, match="columns hold values far"):
        descent.check_batches(plan, values, 2, 4.0, "columns")


@pytest.mark.parametrize("rate", [2.0, 1.999, 1.0, 0.5, 0.01, 1e-6])
@pytest.mark.parametrize("rows", [7, 1024, 4096])
def test_the_longest_step_is_within_what_a_division_takes(rate, rows):
    plan = Plan(rows, 0, rows, rate, b"seed")
    # 24 of the gradient, as checked, and a quarter of weights of norm 31 of the ridge
    longest = rate * (descent.LARGEST_COLUMN * descent.LARGEST_WEIGHT + 31 / 4)
    assert longest * 2**plan.step_bits <= MODULUS // 4
    assert plan.residual_scale * plan.column_scale * rows == pytest.approx(rate * 2**plan.step_bits)
    assert plan.residual_scale > 2**27
