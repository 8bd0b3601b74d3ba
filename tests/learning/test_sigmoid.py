"""The series of sines against the functions they stand for."""

from __future__ import annotations

import numpy as np
import pytest

from fusion.learning import sigmoid
from fusion.learning.descent import PERIOD

# how far out, and how far off at most
LOGISTIC = [(8, 1.3e-4), (10, 2e-4), (12, 2e-3), (16, 0.1)]


def exact(z):
    return 1 / (1 + np.exp(-z))


@pytest.mark.parametrize(("far", "error"), LOGISTIC)
def test_the_logistic_function(far, error):
    z = np.linspace(-far, far, 20_001)
    found = np.abs(sigmoid.logistic(PERIOD)(z) - exact(z)).max()
    assert error / 3 < found < error


def test_on_which_side_a_row_lies_is_right_up_to_half_a_period():
    z = np.linspace(0.001, PERIOD / 2 - 0.001, 10_001)
    series = sigmoid.logistic(PERIOD)
    assert (series(z) > 0.5).all()
    assert (series(-z) < 0.5).all()


def test_the_loss():
    z = np.linspace(-14, 14, 20_001)
    even, odd = sigmoid.loss(PERIOD)
    for y in (0, 1):
        found = even(z) + (1 - 2 * y) * odd(z)
        assert np.abs(found - (np.logaddexp(0, z) - y * z)).max() < 0.02
    # on average much less: the series errs to both sides
    usual = np.random.default_rng(1).normal(0, 2, 100_000)
    assert abs((even(usual) + odd(usual) - np.logaddexp(0, usual)).mean()) < 2e-3


def test_terms_are_products_of_what_either_party_knows():
    series = sigmoid.logistic(PERIOD)
    random = np.random.default_rng(2)
    z = random.uniform(-8, 8, 500)
    ours = random.uniform(-PERIOD, PERIOD, 500)
    theirs = (z - ours) % PERIOD  # shares modulo the period
    k = series.multiples
    a, b = (2 * np.pi / PERIOD * np.outer(part, k) for part in (ours, theirs))
    found = 0.5 + (np.sin(a) * np.cos(b) + np.cos(a) * np.sin(b)) @ series.sines
    np.testing.assert_allclose(found, series(z), atol=1e-9)
