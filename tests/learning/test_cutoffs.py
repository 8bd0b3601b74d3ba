"""Curves, bands and swap sets against scikit-learn, the metrics, and plain loops."""

from __future__ import annotations

import doctest
import math

import numpy as np
import pytest
import sklearn.metrics as peer
from hypothesis import given
from hypothesis import strategies as st

from fusion.errors import InputError
from fusion.learning import cutoffs, metrics

SEEDS = st.integers(0, 2**32 - 1)


def rows(seed, n=80, levels=30):
    random = np.random.default_rng(seed)
    y = random.permutation(np.r_[0, 1, random.integers(0, 2, n - 2)]).astype(float)
    return y, random.integers(0, levels, n) / levels, random.integers(0, levels, n) / levels


def test_examples():
    assert doctest.testmod(cutoffs).failed == 0


@given(seed=SEEDS)
def test_roc_is_scikit_learns_and_gives_auc_and_ks(seed):
    y, score, _ = rows(seed)
    curve = cutoffs.roc(y, score)
    false, true, thresholds = peer.roc_curve(y, score, drop_intermediate=False)
    assert curve["good"].to_numpy() == pytest.approx(false)
    assert curve["bad"].to_numpy() == pytest.approx(true)
    assert curve["score"].to_numpy()[1:] == pytest.approx(thresholds[1:])
    assert np.trapezoid(curve["bad"], curve["good"]) == pytest.approx(metrics.auc(y, score))
    assert (curve["bad"] - curve["good"]).abs().max() == pytest.approx(metrics.ks(y, score))


@given(seed=SEEDS)
def test_a_gain_is_that_of_plain_loops(seed):
    """DeLong's estimate from its definition: placements of every row, one pair at a time."""
    y, before, after = rows(seed, n=30, levels=8)
    y[:4] = 0, 0, 1, 1

    def below(a, b):
        return 1.0 if a < b else 0.5 if a == b else 0.0

    bad, good = np.flatnonzero(y == 1), np.flatnonzero(y == 0)
    of_bad = [np.mean([below(after[j], after[i]) - below(before[j], before[i]) for j in good]) for i in bad]
    of_good = [np.mean([below(after[j], after[i]) - below(before[j], before[i]) for i in bad]) for j in good]
    error = np.sqrt(np.var(of_bad, ddof=1) / len(bad) + np.var(of_good, ddof=1) / len(good))
    gain = metrics.auc(y, after) - metrics.auc(y, before)
    assert cutoffs.auc_gain(y, before, after) == pytest.approx((gain, error), abs=1e-12)


def test_the_error_of_a_gain_is_its_scatter():
    random = np.random.default_rng(2)
    found = []
    for _ in range(400):
        y = (random.random(300) < 0.3).astype(float)
        one = random.normal(0.5 * y)
        found.append(cutoffs.auc_gain(y, one, one + random.normal(0.7 * y)))
    gains, errors = np.array(found).T
    assert gains.std() == pytest.approx(errors.mean(), rel=0.1)


def test_one_bad_row_says_nothing_of_a_scatter():
    with pytest.raises(InputError, match="two rows of either label"):
        cutoffs.auc_gain([0, 0, 1], [1, 2, 3], [1, 3, 2])


@given(seed=SEEDS, count=st.integers(1, 12))
def test_bands_hold_every_row_once(seed, count):
    y, score, _ = rows(seed)
    table = cutoffs.bands(y, score, bands=count)
    assert 1 <= len(table) <= count
    assert table["rows"].sum() == len(y)
    assert table["bad"].sum() == y.sum()
    assert table["caught"].iloc[-1] == pytest.approx(1)
    assert table["ks"].iloc[-1] == pytest.approx(0, abs=1e-12)
    assert (table["lift"] * table["rows"]).sum() == pytest.approx(len(y))
    # the riskiest rows stand first, and no score is in two bands
    done = 0
    ordered = np.sort(score)[::-1]
    for size in table["rows"].cumsum()[:-1]:
        assert ordered[size - 1] > ordered[size]
        done = size
    assert done < len(y)


def test_without_ties_the_first_band_has_the_lift_of_its_share():
    y, _, _ = rows(3, n=100)
    score = np.random.default_rng(4).permutation(100) / 100
    assert cutoffs.bands(y, score)["lift"].iloc[0] == pytest.approx(metrics.lift(y, score, share=0.1))


@given(seed=SEEDS, accept=st.floats(0.05, 0.95))
def test_a_swap_set_is_that_of_a_plain_loop(seed, accept):
    y, before, after = rows(seed)
    table = cutoffs.swap_set(y, before, after, accept=accept)
    taken = max(1, round(accept * len(y)))
    limits = sorted(before)[taken - 1], sorted(after)[taken - 1]
    wanted = {name: [0, 0] for name in ("accepted by both", "swapped in", "swapped out", "rejected by both")}
    for label, old, new in zip(y, before, after, strict=True):
        name = {
            (True, True): "accepted by both",
            (False, True): "swapped in",
            (True, False): "swapped out",
            (False, False): "rejected by both",
        }[old <= limits[0], new <= limits[1]]
        wanted[name][0] += 1
        wanted[name][1] += int(label)
    for name, (size, bad) in wanted.items():
        assert (table.loc[name, "rows"], table.loc[name, "bad"]) == (size, bad)
        rate = table.loc[name, "bad_rate"]
        assert math.isnan(rate) if size == 0 else rate == pytest.approx(bad / size)


def test_the_same_score_swaps_nobody():
    y, score, _ = rows(5)
    table = cutoffs.swap_set(y, score, score, accept=0.7)
    assert table.loc[["swapped in", "swapped out"], "rows"].tolist() == [0, 0]


@pytest.mark.parametrize("accept", [0, 1, -0.1, 1.1, math.nan, True, "0.7", None])
def test_a_share_that_accepts_nobody_or_everybody_is_refused(accept):
    with pytest.raises(InputError, match="accept"):
        cutoffs.swap_set([0, 1], [1, 2], [1, 2], accept=accept)


@pytest.mark.parametrize("function", [cutoffs.roc, cutoffs.bands])
@pytest.mark.parametrize(
    ("y", "words"), [([0, 0], "both labels"), ([1, 1], "both labels"), ([0, 2], "0 or 1"), ([0, math.nan], "NaN")]
)
def test_labels_that_say_nothing_are_refused(function, y, words):
    with pytest.raises(InputError, match=words):
        function(y, [0.1, 0.2])
