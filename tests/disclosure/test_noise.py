from __future__ import annotations

import math
import sys

import numpy as np
import pytest
from scipy.stats import chisquare, norm

from fusion.disclosure import Guarantee, Noise, gaussian, laplace
from fusion.disclosure.noise import _gaussian
from fusion.errors import InputError

DRAWS = 20_000


def fits(noise, mass):
    """Chi-squared against exact probabilities; the noise is OpenDP's own, so the threshold leaves no doubt."""
    reach = next(k for k in range(1, 10_000) if DRAWS * mass(k) < 20) - 1
    inside = np.arange(-reach, reach + 1)
    expected = [DRAWS * mass(k) for k in inside]
    seen = [(noise == k).sum() for k in inside]
    tails = (DRAWS - sum(expected)) / 2
    return chisquare(
        [(noise < -reach).sum(), *seen, (noise > reach).sum()], [tails, *expected, tails], sum_check=False
    ).pvalue


@pytest.mark.parametrize(("sensitivity", "epsilon"), [(1, 1.0), (3, 0.5), (1, 0.1), (7, 3.0)])
def test_laplace_noise_has_its_exact_distribution(sensitivity, epsilon):
    ratio = math.exp(-epsilon / sensitivity)
    noise = laplace(np.zeros(DRAWS, int), sensitivity=sensitivity, epsilon=epsilon)
    assert fits(noise, lambda k: (1 - ratio) / (1 + ratio) * ratio ** abs(k)) > 1e-9
    other = laplace(np.zeros(DRAWS, int), sensitivity=sensitivity, epsilon=epsilon * 1.2)
    assert fits(other, lambda k: (1 - ratio) / (1 + ratio) * ratio ** abs(k)) < 1e-9


@pytest.mark.parametrize(("sensitivity", "epsilon", "delta"), [(1, 1.0, 1e-6), (2, 3.0, 1e-5), (1, 0.5, 1e-3)])
def test_gaussian_noise_has_its_exact_distribution(sensitivity, epsilon, delta):
    scale, _ = _gaussian(sensitivity, epsilon, delta)
    weight = sum(math.exp(-(k**2) / 2 / scale**2) for k in range(-1_000, 1_001))
    noise = gaussian(np.zeros(DRAWS, int), sensitivity=sensitivity, epsilon=epsilon, delta=delta)
    assert fits(noise, lambda k: math.exp(-(k**2) / 2 / scale**2) / weight) > 1e-9


@pytest.mark.parametrize("epsilon", [0.01, 1.0, 10.0, 100.0])
@pytest.mark.parametrize("delta", [1e-12, 1e-6, 0.5])
def test_gaussian_noise_is_enough_and_not_far_too_much(epsilon, delta):
    """Against the exact curve of Gaussian noise (Balle and Wang 2018, theorem 8)."""

    def exact(scale):
        shift = 10 / scale
        upper = norm.logcdf(-shift / 2 - epsilon / shift) + epsilon
        return norm.cdf(shift / 2 - epsilon / shift) - math.exp(upper)

    scale, _ = _gaussian(10, epsilon, delta)
    assert exact(scale) <= delta
    assert exact(scale / 2) > delta


def test_values_are_moved_not_replaced():
    values = np.array([[5, 10**12], [-(10**12), 2**53]])
    for noisy in (
        laplace(values, sensitivity=1, epsilon=20.0),
        gaussian(values, sensitivity=1, epsilon=20.0, delta=1e-3),
    ):
        assert noisy.shape == (2, 2)
        assert np.abs(noisy - values).max() < 20
    assert laplace(np.zeros((0, 3), int), sensitivity=1, epsilon=1.0).shape == (0, 3)


def test_two_draws_differ():
    zeros = np.zeros(50, int)
    assert (laplace(zeros, sensitivity=9, epsilon=1.0) != laplace(zeros, sensitivity=9, epsilon=1.0)).any()


def test_sensitivity_by_hand():
    noise = Noise(epsilon=1.0, per_person=3, bounds={"cost": (-2.5, 1.25), "days": (0, 30), "free": (0, 0)})
    assert noise.sensitivity("days", whole=True) == 90  # 3 rows x 30
    assert noise.sensitivity("days", whole=False) == 93  # and one step of rounding in each of 3 cells
    assert noise.sensitivity("cost", whole=False) == 12  # 3 x (3 + 1)
    assert noise.sensitivity("free", whole=True) == 1
    cents = Noise(epsilon=1.0, bounds={"cost": (0, 1999.99), "tenth": (0, 0.1)}, decimals=2, per_person=1)
    # 1999.99 and 0.1 as floats are a little more than that, and the step above is taken
    assert cents.sensitivity("cost", whole=False) == 200_001
    assert cents.sensitivity("tenth", whole=False) == 12
    with pytest.raises(InputError, match="needs the bounds"):
        noise.sensitivity("else", whole=True)


def test_what_epsilon_covers_is_said():
    said = str(Guarantee(0.5, 0.0, 1, ("count", "cost")))
    assert len(said.splitlines()) == 2
    assert "epsilon = 0.5 for this release of count, cost (Laplace noise)" in said
    assert "its one row" in said
    said = str(Guarantee(1.0, 1e-6, 4, ("count",)))
    assert "delta = 1e-06" in said
    assert "Gaussian" in said
    assert "4 at most" in said


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"epsilon": 0.0}, "epsilon"),
        ({"epsilon": -1.0}, "epsilon"),
        ({"epsilon": math.nan}, "epsilon"),
        ({"epsilon": math.inf}, "epsilon"),
        ({"epsilon": 1.0, "delta": 0.0}, "delta"),
        ({"epsilon": 1.0, "delta": 1.0}, "delta"),
        ({"epsilon": 1.0, "per_person": 0}, "at least one row"),
        ({"epsilon": 1.0, "decimals": -1}, "decimals"),
        ({"epsilon": 1.0, "bounds": {"x": (1, 0)}}, "'x'"),
        ({"epsilon": 1.0, "bounds": {"x": 5}}, "'x'"),
        ({"epsilon": 1.0, "bounds": {"x": (0, math.nan)}}, "'x'"),
    ],
)
def test_impossible_budgets(arguments, says):
    with pytest.raises(InputError, match=says):
        Noise(**{"per_person": 1} | arguments)


@pytest.mark.parametrize("values", [[0.5], [2**53 + 1], ["a"]])
def test_noise_is_for_whole_numbers_in_range(values):
    with pytest.raises(InputError, match="whole numbers"):
        laplace(values, sensitivity=1, epsilon=1.0)


def test_masked_values_get_no_noise():
    with pytest.raises(InputError, match="has masked values"):
        laplace(np.ma.array([5, 7], mask=[False, True]), sensitivity=1, epsilon=1.0)


@pytest.mark.parametrize("sensitivity", [0, -1, 2**53 + 1])
def test_impossible_sensitivities(sensitivity):
    for call in (
        lambda: laplace([1], sensitivity=sensitivity, epsilon=1.0),
        lambda: gaussian([1], sensitivity=sensitivity, epsilon=1.0, delta=1e-6),
    ):
        with pytest.raises(InputError, match="sensitivity"):
            call()


def test_a_missing_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "opendp.prelude", None)
    with pytest.raises(InputError, match=r"pip install 'privacy-fusion\[dp\]'"):
        laplace([1], sensitivity=1, epsilon=1.0)


@pytest.mark.parametrize(
    "declared", [{"decimals": 1.5}, {"per_person": 1.5}, {"bounds": {"s": (0, 1, 2)}}, {"bounds": {"s": (1,)}}]
)
def test_declarations_that_count_nothing(declared):
    with pytest.raises(InputError):
        Noise(**{"epsilon": 1, "per_person": 1} | declared)


def test_a_sensitivity_is_a_whole_number():
    with pytest.raises(InputError, match="a whole number from 1"):
        laplace([1], sensitivity=1.5, epsilon=1)
