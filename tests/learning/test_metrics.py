"""Metrics against scikit-learn, scipy, and sums written out row by row."""

from __future__ import annotations

import doctest
import math

import numpy as np
import pytest
import sklearn.metrics as peer
from hypothesis import given
from hypothesis import strategies as st

from fusion.errors import InputError
from fusion.learning import metrics

SEEDS = st.integers(0, 2**32 - 1)
POWERS = {"gaussian": 0, "poisson": 1, "gamma": 2, "tweedie": 1.5}


def rows(seed, family="poisson", n=200):
    random = np.random.default_rng(seed)
    predicted = random.gamma(2.0, 1.0, n) + 0.01
    weight = random.integers(1, 5, n).astype(float)
    if family == "gaussian":
        return random.normal(predicted), predicted, weight
    if family == "gamma":
        return random.gamma(2.0, predicted) + 1e-9, predicted, weight
    return random.poisson(predicted).astype(float), predicted, weight


def classes(seed, n=150, levels=20):
    random = np.random.default_rng(seed)
    y = random.permutation(np.r_[0, 1, random.integers(0, 2, n - 2)]).astype(float)
    return y, random.integers(0, levels, n) / levels, random.integers(1, 4, n).astype(float)


def test_examples():
    assert doctest.testmod(metrics).failed == 0


@pytest.mark.parametrize("family", POWERS)
@given(seed=SEEDS)
def test_deviance_and_d2_are_scikit_learns(family, seed):
    y, predicted, weight = rows(seed, family)
    power = POWERS[family]
    ours = metrics.deviance(y, predicted, family=family, weight=weight)
    assert ours == pytest.approx(peer.mean_tweedie_deviance(y, predicted, power=power, sample_weight=weight), rel=1e-9)
    ours = metrics.d2(y, predicted, family=family, weight=weight)
    assert ours == pytest.approx(peer.d2_tweedie_score(y, predicted, power=power, sample_weight=weight), rel=1e-9)


@given(seed=SEEDS)
def test_binomial_deviance_is_twice_the_log_loss(seed):
    y, score, weight = classes(seed)
    p = 0.05 + 0.9 * score
    ours = metrics.deviance(y, p, family="binomial", weight=weight)
    assert ours == pytest.approx(2 * peer.log_loss(y, p, sample_weight=weight), rel=1e-9)


def test_d2_with_an_exposure_compares_with_one_rate():
    y, exposure = np.array([0.0, 2.0, 3.0]), np.array([0.5, 1.0, 2.0])
    rate = 5 / 3.5
    assert metrics.d2(y, rate * exposure, family="poisson", exposure=exposure) == pytest.approx(0, abs=1e-12)
    assert metrics.d2(y, rate * exposure, family="poisson", exposure=exposure, base=2.0) > 0


@given(seed=SEEDS)
def test_auc_and_ks_are_scikit_learns(seed):
    y, score, weight = classes(seed)
    assert metrics.auc(y, score, weight=weight) == pytest.approx(
        peer.roc_auc_score(y, score, sample_weight=weight), abs=1e-12
    )
    false, true, _ = peer.roc_curve(y, score, sample_weight=weight, drop_intermediate=False)
    assert metrics.ks(y, score, weight=weight) == pytest.approx(np.abs(true - false).max(), abs=1e-12)


@given(seed=SEEDS)
def test_gini_of_classes_follows_from_the_auc(seed):
    y, score, _ = classes(seed)
    assert metrics.gini(y, score) == pytest.approx((2 * metrics.auc(y, score) - 1) * (1 - y.mean()), abs=1e-12)


@given(seed=SEEDS)
def test_gini_row_by_row(seed):
    y, score, exposure = rows(seed, n=60)
    y[0] += 1
    order = np.argsort(score)
    area = x = share = 0.0
    for i in order:  # distinct scores: trapezoids row by row
        area += exposure[i] / exposure.sum() * (2 * share + y[i] / y.sum()) / 2
        x, share = x + exposure[i], share + y[i] / y.sum()
    assert metrics.gini(y, score, exposure=exposure) == pytest.approx(1 - 2 * area, abs=1e-12)


def test_lorenz_runs_from_corner_to_corner():
    curve = metrics.lorenz([0, 1, 0, 3], [1, 2, 1, 4], exposure=[1, 1, 1, 1])
    assert curve.to_numpy().tolist() == [[0, 0], [0.5, 0], [0.75, 0.25], [1, 1]]


def test_lift_by_hand():
    y, score = [1, 1, 0, 0, 1, 0, 0, 0, 0, 0], [9, 8, 7, 6, 5, 4, 3, 2, 1, 0]
    assert metrics.lift(y, score, share=0.2) == pytest.approx(1 / 0.3)
    assert metrics.lift(y, score, share=0.3) == pytest.approx((2 / 3) / 0.3)
    assert metrics.lift(y, [1] * 10, share=0.2) == pytest.approx(1)
    assert metrics.lift(y, score, share=1) == pytest.approx(1)


@given(seed=SEEDS, bands=st.integers(1, 12))
def test_bands_hold_every_row_once_and_about_equally(seed, bands):
    y, predicted, exposure = rows(seed)
    table = metrics.actual_expected(y, predicted * exposure, exposure=exposure, bands=bands)
    assert len(table) == bands
    assert table["exposure"].sum() == pytest.approx(exposure.sum())
    assert table["actual"].sum() == pytest.approx(y.sum())
    assert table["expected"].sum() == pytest.approx((predicted * exposure).sum())
    assert (abs(table["exposure"] - exposure.sum() / bands) <= 2 * exposure.max()).all()
    rates = (table["expected"] / table["exposure"]).to_numpy()
    assert (np.diff(rates) > 0).all()
    assert (table["ratio"] == table["actual"] / table["expected"]).all()


@given(seed=SEEDS)
def test_calibration_is_the_mean_of_each_band(seed):
    y, score, weight = classes(seed)
    table = metrics.calibration(y, score, bands=5, weight=weight)
    assert table["weight"].sum() == weight.sum()
    assert (table["weight"] * table["actual"]).sum() == pytest.approx((weight * y).sum())
    assert (np.diff(table["predicted"]) > 0).all()
    ties = metrics.calibration(y, np.full(len(y), 0.3), bands=5)
    assert len(ties) == 1
    assert ties["predicted"].item() == pytest.approx(0.3)


def test_population_stability_by_hand():
    before = np.repeat([1.0, 2.0], [50, 50])
    now = np.repeat([1.0, 2.0], [80, 20])
    expected = (0.8 - 0.5) * math.log(0.8 / 0.5) + (0.2 - 0.5) * math.log(0.2 / 0.5)
    assert metrics.population_stability(before, now, bands=2) == pytest.approx(expected)
    # beyond everything seen before: the highest band takes it, and the empty one counts half a row
    expected = (1.0 - 0.5) * math.log(1.0 / 0.5) + (0.005 - 0.5) * math.log(0.005 / 0.5)
    assert metrics.population_stability(before, np.full(100, 9.0), bands=2) == pytest.approx(expected)


@given(seed=SEEDS)
def test_no_metric_depends_on_the_order_of_rows(seed):
    y, score, weight = classes(seed)
    order = np.random.default_rng(seed).permutation(len(y))
    for metric in (metrics.auc, metrics.ks, metrics.lift):
        assert metric(y, score, weight=weight) == pytest.approx(
            metric(y[order], score[order], weight=weight[order]), abs=1e-12
        )
    assert metrics.gini(y, score) == pytest.approx(metrics.gini(y[order], score[order]), abs=1e-12)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: metrics.auc([0, 1], [0.1]), "differ in length: y 2, score 1"),
        (lambda: metrics.auc([1, 1], [0.1, 0.2]), "both labels"),
        (lambda: metrics.auc([0, 2], [0.1, 0.2]), "0 or 1"),
        (lambda: metrics.auc([0, 1], [0.1, math.nan]), "score holds NaN"),
        (lambda: metrics.auc([], []), "no rows"),
        (lambda: metrics.auc([0, 1], ["a", "b"]), "must be numbers"),
        (lambda: metrics.ks([[0, 1]], [[1, 2]]), "one dimension"),
        (lambda: metrics.deviance([1], [0], family="poisson"), "above 0"),
        (lambda: metrics.deviance([0], [1], family="gamma"), "above 0"),
        (lambda: metrics.deviance([-1], [1], family="tweedie"), "0 or more"),
        (lambda: metrics.deviance([1], [1], family="tweedie", power=2), "strictly between 1 and 2"),
        (lambda: metrics.deviance([1], [1], family="binomial"), "strictly between"),
        (lambda: metrics.deviance([1], [1], family="cauchy"), "no family 'cauchy'"),
        (lambda: metrics.d2([2, 2], [1, 3], family="gaussian"), "no deviance"),
        (lambda: metrics.gini([0, 0], [1, 2]), "not all 0"),
        (lambda: metrics.lift([0, 1], [1, 2], share=0), "share"),
        (lambda: metrics.actual_expected([1], [1], exposure=[0]), "not all 0"),
        (lambda: metrics.actual_expected([1, 1], [1, 1], exposure=[0, 1]), "above 0"),
        (lambda: metrics.calibration([1], [1], bands=0), "at least one band"),
    ],
)
def test_what_cannot_be_judged_says_why(call, says):
    with pytest.raises(InputError, match=says) as caught:
        call()
    assert "\n" not in str(caught.value)


@given(seed=SEEDS)
def test_what_a_second_model_gains_is_the_difference_of_their_d2(seed):
    y, first, weight = rows(seed)
    second = np.random.default_rng(seed + 1).gamma(2.0, 1.0, len(y)) + 0.01
    exposure = weight / 2
    options = {"family": "poisson", "exposure": exposure, "base": 1.7, "weight": weight}
    gain, error = metrics.d2_gain(y, first, second, **options)
    assert gain == pytest.approx(metrics.d2(y, second, **options) - metrics.d2(y, first, **options), abs=1e-12)
    assert metrics.d2_gain(y, second, first, **options) == pytest.approx((-gain, error))
    assert metrics.d2_gain(y, first, first, **options) == (0.0, 0.0)


def test_the_error_of_a_gain_is_that_of_drawing_the_rows_again():
    random = np.random.default_rng(3)
    first = random.gamma(2.0, 1.0, 1000)
    y = random.poisson(first * random.gamma(2.0, 0.5, 1000)).astype(float)
    second = 0.5 * first + 0.5 * y.mean()
    gain, error = metrics.d2_gain(y, second, first, family="poisson", base=2.0)
    drawn = [random.integers(0, 1000, 1000) for _ in range(400)]
    gains = [metrics.d2_gain(y[d], second[d], first[d], family="poisson", base=2.0)[0] for d in drawn]
    assert np.std(gains) == pytest.approx(error, rel=0.15)
    assert np.mean(gains) == pytest.approx(gain, abs=3 * error / 20)


def test_what_has_no_gain():
    with pytest.raises(InputError, match="two rows"):
        metrics.d2_gain([1.0], [1.0], [2.0], family="poisson")
    with pytest.raises(InputError, match="no deviance"):
        metrics.d2_gain([1.0, 1.0], [1.0, 2.0], [2.0, 1.0], family="poisson")


def test_double_lift_by_hand():
    y, first, second = [1.0, 0.0, 4.0, 3.0], [2.0, 1.0, 2.0, 4.0], [1.0, 1.0, 4.0, 3.0]  # ratios 1/2, 1, 2, 3/4
    table = metrics.double_lift(y, first, second, bands=2)
    assert table.to_dict("list") == {
        "exposure": [2.0, 2.0],
        "actual": [4.0, 4.0],
        "first": [6.0, 3.0],
        "second": [4.0, 5.0],
    }
    assert list(table.index) == [1, 2]
    by_exposure = metrics.double_lift(y, first, second, exposure=[1.0, 1.0, 6.0, 1.0], bands=2)
    assert by_exposure["exposure"].sum() == 9.0
    with pytest.raises(InputError, match="above 0"):
        metrics.double_lift(y, [0.0, 1.0, 1.0, 1.0], second)


@given(seed=SEEDS)
def test_double_lift_adds_up_and_does_not_depend_on_the_order(seed):
    y, first, exposure = rows(seed)
    second = np.random.default_rng(seed + 1).permutation(first)
    table = metrics.double_lift(y, first, second, exposure=exposure)
    for name, values in (("exposure", exposure), ("actual", y), ("first", first), ("second", second)):
        assert table[name].sum() == pytest.approx(values.sum())
    ratios = table["second"] / table["first"]
    assert ratios.is_monotonic_increasing
    order = np.random.default_rng(seed).permutation(len(y))
    again = metrics.double_lift(y[order], first[order], second[order], exposure=exposure[order])
    np.testing.assert_allclose(again, table, rtol=1e-9)
