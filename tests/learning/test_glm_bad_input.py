"""What cannot be fitted is refused in one line that says what to do; the other side hears that we left."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fusion
from fusion.errors import FusionError, InputError, MismatchError, PeerAborted
from fusion.learning import ConvergenceWarning, VerticalGLM, ideal
from fusion.learning.design import Design, check_common
from fusion.learning.vertical import VerticalObjective

from .parties import FEATURE, LABEL, Joined, fit_both


@pytest.fixture
def joined():
    return Joined.draw("poisson", 700)


def outcomes(joined, label=None, feature=None, **parameters):
    """What each side raised, in one run."""
    raised = {}

    def role(name, play):
        def run(peer):
            try:
                play(peer)
            except FusionError as error:
                raised[name] = error

        return run

    fusion.simulate(
        **{
            LABEL: role(
                LABEL,
                lambda peer: (label or VerticalGLM(**parameters)).fit(peer, joined.label, joined.y, **joined.extra),
            ),
            FEATURE: role(FEATURE, lambda peer: (feature or VerticalGLM(**parameters)).fit(peer, joined.feature)),
        }
    )
    return raised


def change(**columns):
    def apply(joined):
        joined.feature = joined.feature.assign(**columns)

    return apply


def holed(frame):
    return frame.cost.where(frame.index != 5)


FEATURE_FAULTS = {
    "constant": (change(one=1.0), "'one' is constant"),
    "constant text": (change(one="x"), "'one' is constant"),
    "missing": (change(cost=holed), "'cost' has 1 missing"),
    "missing text": (change(ward=lambda frame: frame.ward.where(frame.index != 5)), "'ward' has 1 missing"),
    "infinity": (change(cost=lambda frame: frame.cost.where(frame.index != 5, np.inf)), "'cost' holds infinity"),
    "dates": (change(day=pd.Timestamp("2020-01-01")), "of type datetime"),
    "too many levels": (change(id=lambda frame: [f"id{i}" for i in range(len(frame))]), "levels; merge"),
    "rare": (change(rare=lambda frame: np.arange(len(frame)) < 9), "all but 9 rows"),
    "rare level": (change(rare=lambda frame: ["a"] * 4 + ["b", "c"] * 348), "all but 4 rows"),
}


@pytest.mark.parametrize("name", FEATURE_FAULTS)
def test_columns(clear, joined, name):
    fault, text = FEATURE_FAULTS[name]
    fault(joined)
    raised = outcomes(joined)
    assert isinstance(raised[FEATURE], InputError)
    assert text in str(raised[FEATURE])
    assert "\n" not in str(raised[FEATURE])
    assert isinstance(raised[LABEL], PeerAborted)


LABEL_FAULTS = {
    "negative counts": (lambda j: setattr(j, "y", j.y - 1), {}, "0 or more"),
    "zero cost": (lambda j: None, {"family": "gamma"}, "above 0"),
    "all zero": (lambda j: setattr(j, "y", j.y * 0), {}, "all labels are 0"),
    "equal labels": (
        lambda j: (setattr(j, "y", j.y * 0 + 2), j.extra.pop("exposure")),
        {"family": "gaussian"},
        "all labels are equal",
    ),
    "missing label": (lambda j: j.y.__setitem__(3, np.nan), {}, "y holds NaN"),
    "text": (lambda j: setattr(j, "y", ["a"] * len(j.y)), {}, "y must be numbers"),
    "other length": (lambda j: setattr(j, "y", j.y[1:]), {}, "y has shape"),
    "no exposure": (lambda j: j.extra["exposure"].__setitem__(3, 0.0), {}, "every exposure must be above 0"),
    "huge exposure": (lambda j: j.extra["exposure"].__setitem__(3, 1e300), {}, "choose another unit"),
    "negative weight": (lambda j: j.extra["weight"].__setitem__(3, -1.0), {}, "weights must be"),
    "no weight": (lambda j: j.extra["weight"].__imul__(0), {}, "weights must be"),
    "infinite offset": (lambda j: j.extra.update(offset=np.full(700, np.inf)), {}, "offset holds NaN"),
    "exposure of the gaussian": (lambda j: None, {"family": "gaussian"}, "no exposure"),
    "rare column": (
        lambda j: setattr(j, "label", j.label.assign(rare=np.arange(700) == 5)),
        {},
        "'rare' has one value in all but 1 rows",
    ),
    "rare level": (
        lambda j: setattr(j, "label", j.label.assign(rare=["a"] * 9 + ["b"] * 291 + ["c"] * 400)),
        {},
        "'rare[a]' has one value in all but 9 rows",
    ),
    "rare column of rows that count": (
        lambda j: (
            j.extra.update(weight=np.arange(700) < 500),
            setattr(j, "label", j.label.assign(rare=np.arange(700) > 490)),
        ),
        {},
        "'rare' has one value in all but 9 rows",
    ),
    "rare column of rows that do not": (
        lambda j: (
            j.extra.update(weight=np.arange(700) < 500),
            setattr(j, "label", j.label.assign(rare=np.arange(700) == 600)),
        ),
        {},
        "'rare' has one value in all but 1 rows",
    ),
    "rare events": (lambda j: setattr(j, "y", (np.arange(700) < 9) * 2.0), {}, "y has one value in all but 9 rows"),
    "rare exposure": (
        lambda j: j.extra.update(exposure=np.where(np.arange(700) < 9, 0.5, 1.0)),
        {},
        "exposure or offset has one value in all but 9 rows",
    ),
    "rare weight": (
        lambda j: j.extra.update(weight=np.where(np.arange(700) < 9, 2.0, 1.0)),
        {},
        "weight has one value in all but 9 rows",
    ),
    "few rows that count": (lambda j: j.extra.update(weight=np.arange(700) < 389), {}, "389 rows are too few"),
    "events in rows that do not count": (
        lambda j: (j.extra.update(weight=np.arange(700) < 500), setattr(j, "y", np.maximum(np.arange(700) - 490, 0))),
        {},
        "y has one value in all but 9 rows",
    ),
    "sums to a constant": (
        lambda j: setattr(j, "label", j.label[["age"]].assign(rest=7.0 - 2 * j.label.age)),
        {},
        "age, rest add up",
    ),
    "the same on both sides": (
        lambda j: setattr(j, "label", j.label.assign(theirs=3 * j.feature.cost + 1)),
        {},
        "hospital[1], theirs add up",
    ),
}


@pytest.mark.parametrize("name", LABEL_FAULTS)
def test_labels(clear, joined, name):
    fault, parameters, text = LABEL_FAULTS[name]
    fault(joined)
    raised = outcomes(joined, **parameters)
    assert isinstance(raised[LABEL], InputError)
    assert text in str(raised[LABEL])
    assert "\n" not in str(raised[LABEL])
    assert isinstance(raised[FEATURE], PeerAborted)


def test_what_a_rare_column_of_the_label_party_would_tell(clear, joined, monkeypatch):
    """Its correlation with a column of the other side is that side's value of one row: this is what is refused."""
    joined.label = joined.label.assign(one=np.arange(700) == 5)
    monkeypatch.setattr(Design, "check_common", lambda design, x: None)
    seen = []
    gram = VerticalObjective.gram
    monkeypatch.setattr(VerticalObjective, "gram", lambda self: seen.append(gram(self)) or seen[-1])
    fit_both(joined, ridge=1.0)
    cost = joined.feature.cost
    value = (cost.iloc[5] - cost.mean()) / cost.std(ddof=0)
    share = 1 / 700
    assert seen[0][1, -2] == pytest.approx(value / np.sqrt(share * (1 - share)), rel=1e-9)


@given(st.lists(st.sampled_from([1.0, 1.0, 1.0, -2.0, 0.5]), min_size=20, max_size=60))
def test_rows_apart_are_counted(values):
    """Against counting every value: from 1 to 9 rows apart are too few, none and 10 are not."""
    apart = len(values) - max(Counter(values).values())
    if 0 < apart < 10:
        with pytest.raises(InputError, match=f"in all but {apart} rows"):
            check_common("it", np.array(values), "")
    else:
        check_common("it", np.array(values), "")


def test_constant_weights_and_exposures_are_no_rare_ones(clear, joined):
    joined.extra = {"weight": np.full(700, 2.0), "exposure": np.where(np.arange(700) < 10, 0.5, 1.0)}
    fit_both(joined)


def test_the_same_column_on_both_sides_is_found_through_the_noise(joined):
    joined.label = joined.label.assign(theirs=3 * joined.feature.cost + 1)
    assert "hospital[1], theirs add up" in str(outcomes(joined)[LABEL])


def test_a_ridge_makes_up_for_collinear_columns(clear, joined):
    joined.label = joined.label.assign(theirs=3 * joined.feature.cost + 1)
    label, feature = fit_both(joined, ridge=1e-3)
    assert np.isfinite(label.coefficients["std err"]).all()
    # both carry half of the weight
    own = label._half.own[[column.source for column in label._half.design.columns].index("theirs")]
    assert own == pytest.approx(feature._half.own[1], rel=1e-3)


@pytest.mark.parametrize(
    "parameters",
    [
        {"family": "binomial"},
        {"family": {}},
        {"family": "tweedie"},
        {"family": "tweedie", "power": 2.0},
        {"power": 1.5},
        {"ridge": -1.0},
        {"ridge": np.nan},
        {"ridge": "0"},
        {"tolerance": 0.0},
        {"max_rounds": 0},
        {"max_rounds": 2.5},
        {"fit_intercept": "yes"},
    ],
    ids=str,
)
def test_parameters(clear, joined, parameters):
    raised = outcomes(joined, **parameters)
    assert isinstance(raised[LABEL], InputError)
    with pytest.raises(InputError):
        ideal.GLM(**parameters).fit({LABEL: joined.label, FEATURE: joined.feature}, joined.y, label=LABEL)


@pytest.mark.parametrize(
    ("field", "other"),
    [("family", "gamma"), ("ridge", 0.5), ("fit_intercept", False), ("max_rounds", 30), ("tolerance", 1e-8)],
)
def test_other_parameters_on_the_other_side(clear, joined, field, other):
    raised = outcomes(joined, feature=VerticalGLM(**{field: other}))
    for name in (LABEL, FEATURE):
        assert isinstance(raised[name], MismatchError), raised
        assert field in raised[name].field


def test_equal_parameters_of_other_types_are_equal(clear, joined):
    assert not outcomes(joined, label=VerticalGLM(ridge=1), feature=VerticalGLM(ridge=np.float64(1.0)))


def test_other_rows_on_the_other_side(clear, joined):
    joined.feature = joined.feature[:-1]
    raised = outcomes(joined)
    assert {error.field for error in raised.values()} == {"rows"}


@pytest.mark.parametrize("how", ["sorted", "repeated", "another session"])
def test_another_order_on_the_other_side(clear, joined, how):
    if how == "sorted":
        joined.feature = joined.feature.sort_values("cost")
    elif how == "repeated":
        joined.feature = joined.feature.iloc[[0, *range(699)]]
    else:
        joined.feature = joined.feature.rename_axis("pair-another")
    raised = outcomes(joined)
    assert {error.field for error in raised.values()} == {"alignment"}


@pytest.mark.parametrize("name", ["y", "exposure", "weight"])
def test_a_series_in_another_order_than_the_columns(clear, joined, name):
    """Shuffled, it would fit other people's labels without a word."""
    values = pd.Series(joined.y if name == "y" else joined.extra[name], joined.label.index)
    for index, wrong in ((values.index[::-1], True), (values.index, False)):
        if name == "y":
            joined.y = values.loc[index]
        else:
            joined.extra[name] = values.loc[index]
        raised = outcomes(joined)
        assert (f"{name} and X have different indexes" in str(raised.get(LABEL))) == wrong
        assert bool(raised) == wrong


@pytest.mark.parametrize(("labelled", "said"), [(2, "both sides pass y"), (0, "neither side passes y")])
def test_one_side_has_the_labels(clear, joined, labelled, said):
    y = joined.y if labelled else None
    raised = {}

    def play(peer):
        try:
            VerticalGLM().fit(peer, joined.label if peer.name == LABEL else joined.feature, y)
        except FusionError as error:
            raised[peer.name] = error

    fusion.simulate(**dict.fromkeys((LABEL, FEATURE), play))
    assert set(raised) == {LABEL, FEATURE}
    for error in raised.values():
        assert isinstance(error, InputError)
        assert said in str(error)


def test_the_channel_comes_first(joined):
    with pytest.raises(InputError, match="the channel comes first"):
        VerticalGLM().fit(joined.label, joined.y)


def test_the_fewest_rows_of_any_fit(clear):
    """Of 70 rows in 6 sums a column of zeros and ones came out, by lattice reduction, when they were enough."""
    for rows in (299, 300):
        joined = Joined.draw("poisson", rows)
        joined.feature, joined.label = joined.feature[["cost"]], joined.label[["age"]]
        if rows < 300:
            with pytest.raises(InputError, match="need 300"):
                fit_both(joined, max_rounds=5)
        else:
            fit_both(joined, max_rounds=5)


@pytest.mark.parametrize("rows", [389, 390])
def test_too_few_rows(clear, rows):
    """8 columns of 20 rows each, 40 rounds of 5, and 6 pairs of columns and constant of 5."""
    raised = outcomes(Joined.draw("poisson", rows))
    if rows < 390:
        found = {name: error for name, error in raised.items() if not isinstance(error, PeerAborted)}
        assert found
        assert all("too few" in str(error) for error in found.values())
    else:
        assert not raised


def test_a_side_without_columns(clear, joined):
    joined.feature = joined.feature[[]]
    assert any("no column" in str(error) for error in outcomes(joined).values())


def test_only_the_label_party_has_labels(clear, joined):
    with pytest.raises(InputError, match="belong to the label party"):
        fusion.simulate(
            **{
                LABEL: lambda peer: VerticalGLM().fit(peer, joined.label, joined.y),
                FEATURE: lambda peer: VerticalGLM().fit(peer, joined.feature, exposure=joined.y + 1),
            }
        )
    # two of them disagree on who learns
    with pytest.raises(FusionError):
        fusion.simulate(
            **{
                LABEL: lambda peer: VerticalGLM().fit(peer, joined.label, joined.y),
                FEATURE: lambda peer: VerticalGLM().fit(peer, joined.feature, joined.y),
            }
        )


def test_no_convergence_is_a_warning_and_a_model(clear, joined):
    with pytest.warns(ConvergenceWarning, match="raise max_rounds"):
        label, _ = fit_both(joined, max_rounds=1)
    assert label.facts["converged"] == 0
    assert "no" in label.summary()


def test_separated_labels_are_named(clear):
    """A level without a single event has no finite coefficient."""
    joined = Joined.draw("poisson", 700)
    joined.y = joined.y * (joined.feature.ward != "west").to_numpy()
    with pytest.raises(InputError, match=r"hospital\[4\].* or separate the labels"):
        fit_both(joined)


def test_outliers_are_taken_in_small_steps(clear):
    """A column so skewed that a whole step would be out of range."""
    joined = Joined.draw("poisson", 2000)
    random = np.random.default_rng(5)
    joined.feature = pd.DataFrame({"heavy": np.exp(random.normal(0, 2.5, 2000))}, index=joined.feature.index)
    joined.label = joined.label[["age"]]
    z = np.minimum(joined.feature.heavy.to_numpy() * 0.02, 6)
    joined.y = random.poisson(np.exp(z)).astype(float)
    joined.extra = {}
    label, _ = fit_both(joined)
    assert label.facts["converged"]


def test_predicting(clear, joined):
    label, feature = fit_both(joined)

    def predict(one, other, there=joined.feature, here=joined.label, **extra):
        return fusion.simulate(
            **{LABEL: lambda peer: one.predict(peer, here, **extra), FEATURE: lambda peer: other.predict(peer, there)}
        )[LABEL]

    with pytest.raises(InputError, match="call fit"):
        predict(VerticalGLM(), feature)
    with pytest.raises(InputError, match="has not seen"):
        predict(label, feature, joined.feature.assign(ward="south"))
    with pytest.raises(InputError, match="'cost' is missing"):
        predict(label, feature, joined.feature.drop(columns="cost"))
    with pytest.raises(InputError, match="was numeric"):
        predict(label, feature, joined.feature.assign(cost="a"))
    with pytest.raises((MismatchError, PeerAborted), match="rows"):
        predict(label, feature, joined.feature[:-1])
    with pytest.raises(InputError, match="out of range"):
        predict(label, feature, joined.feature.assign(cost=1e9))
    with pytest.raises(InputError, match="exposure has shape"):
        predict(label, feature, exposure=[1.0])
    with pytest.raises(InputError, match="fitted with 'hospital'"):
        fusion.simulate(**{LABEL: lambda peer: label.predict(peer, joined.label), "bank": lambda peer: peer.open})
