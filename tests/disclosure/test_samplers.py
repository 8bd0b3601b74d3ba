from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import chisquare, nbinom, norm, poisson

from fusion.disclosure import samplers
from fusion.disclosure.samplers import MOST_SCALE, gaussian_noise, laplace_share
from fusion.errors import InputError

DRAWS = 100_000


def seeded(number):
    random = np.random.default_rng(number)
    return random.bytes


def chance(noise, mass):
    """Chi-squared against exact probabilities. Draws are seeded: the outcome is always the same."""
    reach = next(k for k in range(1, 10_000) if len(noise) * mass(k) < 20) - 1
    inside = np.arange(-reach, reach + 1)
    expected = [len(noise) * mass(k) for k in inside]
    seen = [(noise == k).sum() for k in inside]
    tails = (len(noise) - sum(expected)) / 2
    ends = (noise < -reach).sum(), (noise > reach).sum()
    return chisquare([ends[0], *seen, ends[1]], [tails, *expected, tails], sum_check=False).pvalue


def laplace_mass(scale):
    ratio = math.exp(-1 / scale)
    return lambda k: (1 - ratio) / (1 + ratio) * ratio ** abs(k)


def gaussian_mass(scale):
    weight = sum(math.exp(-(k**2) / 2 / scale**2) for k in range(-100 * scale, 100 * scale + 1))
    return lambda k: math.exp(-(k**2) / 2 / scale**2) / weight


@pytest.mark.parametrize("scale", [1, 2, 5, 20])
def test_gaussian_noise_has_its_distribution(scale):
    noise = gaussian_noise(DRAWS, scale=scale, source=seeded(scale))
    assert chance(noise, gaussian_mass(scale)) > 1e-4
    assert chance(noise, gaussian_mass(scale + 1)) < 1e-9


@pytest.mark.parametrize("scale", [1, 3, 17])
@pytest.mark.parametrize("parties", [1, 2, 5])
def test_shares_add_up_to_laplace_noise(scale, parties):
    source = seeded(scale)
    noise = sum(laplace_share(DRAWS, scale=scale, parties=parties, source=source) for _ in range(parties))
    assert chance(noise, laplace_mass(scale)) > 1e-4
    assert chance(noise, laplace_mass(scale + 1)) < 1e-9


def test_a_share_is_a_difference_of_polya_variables():
    noise = laplace_share(DRAWS, scale=2, parties=4, source=seeded(4))
    mass = nbinom.pmf(np.arange(200), 1 / 4, 1 - math.exp(-1 / 2))
    both = np.convolve(mass, mass[::-1])
    assert chance(noise, lambda k: both[199 + k]) > 1e-4


@pytest.mark.parametrize("scale", [10**3, 10**6, MOST_SCALE])
def test_large_scales(scale):
    """Where no value comes twice: quantiles, and the low bits, which are uniform."""
    noise = gaussian_noise(DRAWS, scale=scale, source=seeded(1))
    levels = np.linspace(0.05, 0.95, 19)
    cells = np.searchsorted(norm.ppf(levels), noise / scale)
    assert chisquare(np.bincount(cells, minlength=20)).pvalue > 1e-4
    assert chisquare(np.bincount(noise & 15, minlength=16)).pvalue > 1e-4
    source = seeded(2)
    whole = sum(laplace_share(DRAWS, scale=scale, parties=3, source=source) for _ in range(3)) / scale
    levels = np.where(levels < 0.5, np.log(2 * levels), -np.log(2 * (1 - levels)))
    assert chisquare(np.bincount(np.searchsorted(levels, whole), minlength=20)).pvalue > 1e-4


def test_none_and_one_and_arguments():
    assert gaussian_noise(0, scale=3).shape == laplace_share(0, scale=3, parties=2).shape == (0,)
    assert gaussian_noise(1, scale=3).shape == laplace_share(1, scale=3, parties=2).shape == (1,)
    assert gaussian_noise(5, scale=3).dtype == laplace_share(5, scale=3, parties=2).dtype == np.int64
    for scale in (0, -1, MOST_SCALE + 1):
        with pytest.raises(InputError, match="scale"):
            gaussian_noise(1, scale=scale)
        with pytest.raises(InputError, match="scale"):
            laplace_share(1, scale=scale, parties=1)
    with pytest.raises(InputError, match="at least one party"):
        laplace_share(1, scale=1, parties=0)


def test_draws_differ_unless_the_source_is_the_same():
    assert (gaussian_noise(50, scale=1000) != gaussian_noise(50, scale=1000)).any()
    one, other = (laplace_share(50, scale=1000, parties=2, source=seeded(9)) for _ in range(2))
    assert (one == other).all()


def test_tables_hold_what_they_say():
    table = samplers._exp_table()
    assert list(table) == sorted(table)
    for v, entry in enumerate(table, 1):
        assert 1 - entry / 2**126 == pytest.approx(math.exp(-v), abs=1e-16)
    for mean in (1, 64):
        found = np.array(samplers._poisson_table(mean), float) / 2**126
        np.testing.assert_allclose(found, poisson.cdf(np.arange(len(found)), mean), rtol=1e-12, atol=1e-30)
        assert (1 << 126) - samplers._poisson_table(mean)[-1] < 1 << 20  # no tail of any weight is cut


def test_ranks_are_decided_by_the_lower_half_where_the_upper_ones_are_equal():
    class Fixed(samplers._Bits):
        def __init__(self):
            self.given = [np.array([5, 5, 5, 6, 4]), np.array([0, 7, 9, 0, 0])]

        def words(self, count):
            return self.given.pop(0)

    table = ((5 << 63) + 1, (5 << 63) + 8, (6 << 63))
    assert Fixed().ranks(table, 5).tolist() == [0, 1, 2, 3, 0]


def test_bernoulli_trials_of_an_exponential():
    bits = samplers._Bits(seeded(7))
    above = np.repeat(np.arange(0, 60, 3), 20_000)
    hits = samplers._exp_of(bits, above, 10).reshape(20, -1).mean(axis=1)
    exact = np.exp(-np.arange(0, 60, 3) / 10)
    assert (np.abs(hits - exact) <= 5 * np.sqrt(exact * (1 - exact) / 20_000)).all()
    assert not samplers._exp_of(bits, np.array([10**6, 1001]), 10).any()
