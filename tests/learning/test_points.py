"""Points of a score card: the scaling of a textbook, parts that add up to points, and nonsense refused."""

from __future__ import annotations

import doctest
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fusion.errors import InputError
from fusion.learning import points
from fusion.learning.design import Design
from fusion.learning.logistic import VerticalLogistic
from fusion.learning.logistic_half import LogisticHalf
from fusion.learning.points import PointScale, average, card, parts, reason_codes

SCALES = st.builds(
    PointScale,
    pdo=st.floats(0.1, 1000),
    base_points=st.floats(-1e4, 1e4),
    base_odds=st.floats(1e-3, 1e3),
)


def test_examples():
    assert doctest.testmod(points).failed == 0


def test_factor_and_offset_are_the_textbooks():
    # Siddiqi, Credit Risk Scorecards (2006): odds of 50:1 at 600 points, 20 points to double the odds
    scale = PointScale(pdo=20, base_points=600, base_odds=50)
    assert scale.factor == pytest.approx(28.8539, abs=5e-5)
    assert scale.offset == pytest.approx(487.123, abs=5e-4)


@given(scale=SCALES, log_odds=st.lists(st.floats(-12, 12), min_size=1, max_size=5))
def test_points_and_probabilities_are_inverse(scale, log_odds):
    p = 1 / (1 + np.exp(np.array(log_odds)))
    found = scale.points(p)
    assert scale.probability(found) == pytest.approx(p, rel=1e-6)
    order = np.argsort(p)
    assert (np.diff(found[order]) <= 0).all()


@given(scale=SCALES, odds=st.floats(0.01, 1000))
def test_pdo_doubles_the_odds(scale, odds):
    one, other = scale.points([1 / (1 + odds), 1 / (1 + 2 * odds)])
    assert other - one == pytest.approx(scale.pdo, rel=1e-6)


@pytest.mark.parametrize("name", ["pdo", "base_points", "base_odds"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, "20", None, True, 1e9])
def test_a_scale_of_nonsense_is_refused(name, value):
    with pytest.raises(InputError, match=name):
        PointScale(**{name: value})


@pytest.mark.parametrize("arguments", [{"pdo": 0}, {"pdo": -20}, {"base_odds": 0}, {"base_odds": -1}])
def test_points_that_do_not_grow_with_the_odds_are_refused(arguments):
    (name,) = arguments
    with pytest.raises(InputError, match=f"{name}.* must be above 0"):
        PointScale(**arguments)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([0.0], "strictly between"),
        ([1.0], "strictly between"),
        ([math.nan], "NaN"),
        (["x"], "numbers"),
        ([[0.5]], "one"),
    ],
)
def test_probabilities_without_odds_are_refused(values, words):
    with pytest.raises(InputError, match=words):
        PointScale().points(values)


def frame(n=60, seed=1):
    random = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "age": random.integers(20, 70, n),
            "home": random.choice(["own", "rent", "free"], n),
            "rate": random.random(n),
        },
        index=pd.RangeIndex(5, 5 + n, name="pair-x"),
    )


def half(table, intercept=-0.7):
    """A fitted half of one party, and its part of the linear predictor."""
    design, x = Design.fit(table)
    model, beta = VerticalLogistic(), np.linspace(-1, 1, x.shape[1])
    model._half = LogisticHalf(intercept is not None, "other", "", design, beta, intercept, {}, [])
    return model, x @ beta + (intercept or 0.0)


def test_points_are_those_of_the_average_customer_and_the_parts_of_both():
    scale, table = PointScale(), frame()
    (one, z), (other, more) = half(table), half(frame(seed=2), intercept=None)
    p = 1 / (1 + np.exp(-(z + more)))
    mine, theirs = parts(scale, one, table), parts(scale, other, frame(seed=2))
    assert list(mine.columns) == ["age", "home", "rate"]
    assert mine.index.equals(table.index)
    found = average(scale, one) + mine.sum(axis=1).to_numpy() + theirs.sum(axis=1).to_numpy()
    assert found == pytest.approx(scale.points(p), abs=1e-9)
    assert mine.mean().to_numpy() == pytest.approx(0, abs=1e-9)


def test_the_feature_party_does_not_know_the_average_customer():
    model, _ = half(frame(), intercept=None)
    with pytest.raises(InputError, match="label party alone"):
        average(PointScale(), model)


@pytest.mark.parametrize("function", [average, card, lambda scale, model: parts(scale, model, frame())])
def test_there_are_no_points_before_a_fit(function):
    with pytest.raises(InputError, match="has not been fitted"):
        function(PointScale(), VerticalLogistic())


@given(seed=st.integers(0, 2**32 - 1), most=st.integers(1, 5), columns=st.integers(1, 4))
def test_reasons_are_those_of_a_plain_loop(seed, most, columns):
    random = np.random.default_rng(seed)
    table = pd.DataFrame(random.integers(-3, 4, (6, columns)) / 2.0, columns=[f"c{i}" for i in range(columns)])
    found = reason_codes(table, most=most)
    for i, row in table.iterrows():
        wanted = [name for name, value in sorted(row.items(), key=lambda item: item[1]) if value < 0][:most]
        assert [name for name in found.loc[i] if name is not None and not pd.isna(name)] == wanted


@pytest.mark.parametrize("most", [0, -1, True, 1.5, "3"])
def test_reasons_need_a_number(most):
    with pytest.raises(InputError, match="most"):
        reason_codes(pd.DataFrame({"a": [1.0]}), most=most)


def test_reasons_need_points():
    with pytest.raises(InputError, match="NaN"):
        reason_codes(pd.DataFrame({"a": [math.nan]}))


def test_the_card_gives_the_parts():
    table, scale = frame(), PointScale()
    model, _ = half(table)
    found = card(scale, model).set_index(["column", "class"])["points"]
    wanted = parts(scale, model, table)
    assert wanted["home"].to_numpy() == pytest.approx(found["home"][table["home"]].to_numpy())
    for name in ("age", "rate"):
        (step,) = found[name]
        deviations = (table[name] - table[name].mean()) / table[name].std(ddof=0)
        assert wanted[name].to_numpy() == pytest.approx(step * deviations.to_numpy())
    assert len(found) == 2 + table["home"].nunique()
