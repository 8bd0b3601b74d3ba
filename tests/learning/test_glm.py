"""A model of two halves is the model of all columns: against statsmodels, for every family."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone

import fusion
from fusion.learning import AlignmentWarning, VerticalGLM, ideal, inner_products

from .clear import ClearAnswering, ClearAsking
from .parties import FEATURE, LABEL, Joined, columns, compare, fit_both

FAMILIES = [("gaussian", None), ("poisson", None), ("gamma", None), ("tweedie", 1.5)]
EVERY = pytest.mark.parametrize(("family", "power"), FAMILIES, ids=[name for name, _ in FAMILIES])


@EVERY
def test_encrypted_products_give_the_pooled_model(family, power):
    joined = Joined.draw(family)
    label, feature = fit_both(joined, family=family, power=power)
    compare(label, feature, joined, family, power=power, coef=1e-4, error=1e-3)


@EVERY
def test_without_an_intercept(clear, family, power):
    joined = Joined.draw(family)
    label, feature = fit_both(joined, family=family, power=power, fit_intercept=False)
    compare(label, feature, joined, family, power=power, intercept=False, coef=1e-6, error=1e-4)


@EVERY
def test_label_party_without_columns(clear, family, power):
    joined = Joined.draw(family)
    label, feature = fit_both(
        Joined(joined.feature, joined.label[[]], joined.y, joined.extra), family=family, power=power
    )
    pooled = ideal.GLM(family, power=power).fit(
        {FEATURE: joined.feature, LABEL: joined.label[[]]}, joined.y, label=LABEL, **joined.extra
    )
    np.testing.assert_allclose(feature.coefficients["coef"], pooled.parties[FEATURE].coefficients["coef"], rtol=1e-6)
    assert list(label.coefficients.index) == ["intercept"]


@EVERY
def test_ridge_minimises_what_it_says(clear, family, power):
    joined = Joined.draw(family)
    ridge = 0.05
    label, feature = fit_both(joined, family=family, power=power, ridge=ridge)
    bases = {**label._half.design.bases, **feature._half.design.bases}
    x = pd.concat([columns(joined.feature, bases), columns(joined.label, bases)], axis=1).to_numpy()
    x = np.column_stack([(x - x.mean(0)) / x.std(0), np.ones(len(x))])
    w = joined.extra["weight"]
    offset = joined.extra.get("offset", 0) + np.log(joined.extra.get("exposure", 1))
    p = {"gaussian": 0, "poisson": 1, "gamma": 2}.get(family, power)
    penalty = np.array([ridge] * (x.shape[1] - 1) + [0.0])
    beta = np.zeros(x.shape[1])
    beta[-1] = 1000 if p == 0 else np.log(np.average(joined.y, weights=w))
    for _ in range(60):  # Fisher scoring
        z = x @ beta + offset
        m = np.exp(z) if p else z
        score = (w * (joined.y - m) * (m ** (1 - p) if p else 1)) @ x / w.sum() - penalty * beta
        information = (x.T * (w * m ** (2 - p) if p else w)) @ x / w.sum() + np.diag(penalty)
        beta += np.linalg.solve(information, score)
    got = np.concatenate([feature._half.own, label._half.own, [label._half.intercept]])
    np.testing.assert_allclose(got, beta, rtol=1e-5, atol=1e-7)


@settings(max_examples=15, deadline=None)
@given(
    st.sampled_from(FAMILIES),
    st.integers(1, 4),
    st.integers(1, 3),
    st.integers(0, 2**32 - 1),
    st.floats(-6, 6),
    st.floats(0.1, 0.9),
)
def test_whatever_the_columns(family, a, b, seed, magnitude, effect):
    """Skewed and heavy columns of any unit, labels of any unit."""
    name, power = family
    random = np.random.default_rng(seed)
    rows = 700
    x = np.column_stack([random.gamma(0.7 + i, size=rows) for i in range(a + b)])
    z = (x - x.mean(0)) / x.std(0) @ random.normal(size=a + b) * effect / np.sqrt(a + b)
    mean = np.exp(z) * 10.0 ** (magnitude if name in ("gamma", "gaussian") else abs(magnitude) / 3)
    y = random.poisson(mean) if name in ("poisson", "tweedie") else random.gamma(3, mean / 3)
    x = x * 10.0 ** random.integers(-6, 7, a + b)
    joined = Joined(pd.DataFrame(x[:, :a]).add_prefix("a"), pd.DataFrame(x[:, a:]).add_prefix("b"), y.astype(float))
    for frame in (joined.feature, joined.label):
        frame.index = pd.RangeIndex(rows, name="pair-1")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inner_products, "Asking", ClearAsking)
        patch.setattr(inner_products, "Answering", ClearAnswering)
        label, feature = fit_both(joined, family=name, power=power)
    compare(label, feature, joined, name, power=power, coef=1e-4, error=1e-3)


@EVERY
def test_the_twin_has_the_same_interface_and_the_same_answer(clear, family, power):
    joined = Joined.draw(family)
    label, feature = fit_both(joined, family=family, power=power)
    parts = {LABEL: joined.label, FEATURE: joined.feature}
    twin = ideal.GLM(family, power=power).fit(parts, joined.y, label=LABEL, **joined.extra)
    for name, model in ((LABEL, label), (FEATURE, feature)):
        pd.testing.assert_frame_equal(model.coefficients, twin.parties[name].coefficients, rtol=1e-6)
        assert model.facts.keys() == twin.parties[name].facts.keys()
    pd.testing.assert_frame_equal(label.other_coefficients, twin.other_coefficients, rtol=1e-6)
    asked = {key: value for key, value in joined.extra.items() if key != "weight"}
    predicted = fusion.simulate(
        **{
            LABEL: lambda peer: label.predict(peer, joined.label, **asked),
            FEATURE: lambda peer: feature.predict(peer, joined.feature),
        }
    )
    assert predicted[FEATURE] is None
    np.testing.assert_allclose(predicted[LABEL], twin.predict(parts, **asked), rtol=1e-6)
    assert label.summary().splitlines()[0] == twin.summary().splitlines()[0]


def test_summary_reads_like_a_statistician_expects(clear):
    joined = Joined.draw("poisson")
    label, feature = fit_both(joined)
    text = label.summary()
    assert "poisson, log link" in text.splitlines()[0]
    for word in ("deviance:", "null deviance:", "D2:", "converged:", "yes", "std err", "P>|z|", "relativity"):
        assert word in text
    assert "base level of plan: B" in text
    assert "columns of hospital, per standard deviation" in text
    assert "base level of ward: north" in feature.summary()
    assert "insurer" not in feature.summary()
    table = feature.coefficients
    assert list(table.index) == ["pressure", "cost", "smokes", "ward[east]", "ward[west]"]
    np.testing.assert_allclose(table["relativity"], np.exp(table["coef"]))
    np.testing.assert_allclose(table["0.975]"] - table["[0.025"], 2 * 1.959964 * table["std err"], rtol=1e-6)


def test_what_travels_depends_on_sizes_and_rounds_only():
    told = []
    for seed in (1, 2):
        joined = Joined.draw("gamma", 700, seed=seed)
        joined.feature, joined.label = joined.feature[["cost"]], joined.label[["age"]]

        def label(peer, joined=joined):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                VerticalGLM("gamma", max_rounds=2).fit(peer, joined.label, joined.y)
            return peer.receipt()

        out = fusion.simulate(
            **{LABEL: label, FEATURE: lambda peer, x=joined.feature: VerticalGLM("gamma", max_rounds=2).fit(peer, x)}
        )
        told.append((out[LABEL].bytes_sent, out[LABEL].bytes_received))
    assert told[0] == told[1]


@pytest.mark.parametrize("family", ["poisson", "gamma"])
def test_bytes_are_those_of_the_formula(family):
    joined = Joined.draw(family, 9000)  # two polynomials a vector

    def label(peer):
        return VerticalGLM(family).fit(peer, joined.label, joined.y), peer.receipt()

    out = fusion.simulate(**{LABEL: label, FEATURE: lambda peer: VerticalGLM(family).fit(peer, joined.feature)})
    model, receipt = out[LABEL]
    a, b, blocks, rounds = 5, 3, 2, model.facts["rounds"]
    response, block = 65_544, 204_800
    expected = rounds * (2 * blocks * block + (a + b + 1) * response)
    expected += 2 * block + b * blocks * block + a * b * response
    expected += ((b + 2) * blocks + 4) * block + (a * (a + 1) / 2 + b * (b + 1) / 2 + a * b + 1) * response
    assert receipt.bytes_sent + receipt.bytes_received == pytest.approx(expected, rel=0.005)


def test_the_receipt_says_what_was_learned(clear):
    joined = Joined.draw("poisson", 700)

    def label(peer):
        VerticalGLM().fit(peer, joined.label, joined.y)
        return peer.receipt()

    out = fusion.simulate(**{LABEL: label, FEATURE: lambda peer: VerticalGLM().fit(peer, joined.feature)})
    told = out[LABEL].learned
    assert any("gradient" in line for line in told[LABEL])
    assert not any("gradient" in line for line in told[FEATURE])


def test_clone_and_parameters():
    model = VerticalGLM("tweedie", power=1.4, ridge=0.1)
    copy = clone(model)
    assert copy is not model
    assert copy.get_params() == model.get_params()
    assert repr(copy) == repr(model)
    assert copy.set_params(power=1.6).power == 1.6


def test_a_group_of_two_serves_as_a_channel(clear):
    joined = Joined.draw("poisson", 700)
    model = fusion.simulate(
        **{
            LABEL: lambda peer: VerticalGLM().fit(fusion.channel.Group(LABEL, {FEATURE: peer}), joined.label, joined.y),
            FEATURE: lambda peer: VerticalGLM().fit(peer, joined.feature),
        }
    )[LABEL]
    assert model.facts["rows"] == 700


@pytest.mark.parametrize("kind", [pl.from_pandas, pa.Table.from_pandas])
def test_other_tables(clear, kind):
    joined = Joined.draw("poisson", 700)
    expected = fit_both(joined)[1].coefficients
    with pytest.warns(AlignmentWarning):
        model = fusion.simulate(
            **{
                LABEL: lambda peer: VerticalGLM().fit(peer, joined.label, joined.y, **joined.extra),
                FEATURE: lambda peer: VerticalGLM().fit(peer, kind(joined.feature.reset_index(drop=True))),
            }
        )[FEATURE]
    pd.testing.assert_frame_equal(model.coefficients, expected)


def test_rows_from_nowhere_are_compared_by_number_with_a_warning(clear):
    joined = Joined.draw("poisson", 700)
    with pytest.warns(AlignmentWarning, match="only their number"):
        model = fusion.simulate(
            **{
                LABEL: lambda peer: VerticalGLM().fit(peer, joined.label.to_numpy()[:, :1].astype(float), joined.y),
                FEATURE: lambda peer: VerticalGLM().fit(peer, joined.feature[["cost"]].to_numpy()),
            }
        )[LABEL]
    assert list(model.coefficients.index) == ["intercept", "x0"]
