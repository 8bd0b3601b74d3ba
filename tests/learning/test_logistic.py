"""`VerticalLogistic` as its users see it."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize

import fusion
from fusion import progress
from fusion.errors import InputError, MismatchError
from fusion.learning import RangeWarning, VerticalLogistic, descent, ideal, metrics
from fusion.learning import descent_checkpoint as checkpoints
from fusion.learning.logistic import LEAST_RATE, MOST_RIDGE
from fusion.learning.shares import Shared

from .parties import INDEX

LABEL, FEATURE = "bank", "partner"


def drawn(rows=600, seed=1):
    """Frames of both sides, and labels."""
    random = np.random.default_rng(seed)
    index = pd.RangeIndex(rows, name=INDEX)
    feature = pd.DataFrame(
        {
            "income": random.gamma(3, 900, rows),
            "owns": random.random(rows) < 0.4,
            "region": random.choice(["east", "north", "west"], rows, p=[0.3, 0.5, 0.2]),
        },
        index=index,
    )
    label = pd.DataFrame({"age": random.integers(18, 80, rows), "used": random.random(rows)}, index=index)
    z = -0.0004 * (feature.income - 2700) - 0.6 * feature.owns + 0.5 * (feature.region == "west")
    z = z + 0.02 * (label.age - 50) + 1.5 * (label.used - 0.5) - 0.3
    y = (random.random(rows) < 1 / (1 + np.exp(-z))).to_numpy().astype(float)
    return feature, label, y


def fit_both(feature, label, y, *, extra=None, feature_extra=None, **parameters):
    out = fusion.simulate(
        **{
            LABEL: lambda peer: VerticalLogistic(**parameters).fit(peer, label, y, **(extra or {})),
            FEATURE: lambda peer: VerticalLogistic(**parameters).fit(peer, feature, **(feature_extra or {})),
        }
    )
    return out[LABEL], out[FEATURE]


def optimum(feature, label, y, weight, ridge):
    """Coefficients per unit of all columns, and of the constant, by scipy."""
    x = pd.concat([feature, label], axis=1)
    if "region" in x:
        x["region[east]"], x["region[west]"] = x.region == "east", x.region == "west"
        x = x.drop(columns="region")
    x = x.astype(float)
    means, scales = x.mean(), x.std(ddof=0)
    z = np.column_stack([(x - means) / scales, np.ones(len(x))])
    weight = weight / weight.mean()
    penalty = np.full(z.shape[1], ridge)
    penalty[-1] = 0

    def loss(beta):
        t = z @ beta
        return (weight * (np.logaddexp(0, t) - y * t)).mean() + penalty @ beta**2 / 2

    def gradient(beta):
        return z.T @ (weight * (1 / (1 + np.exp(-z @ beta)) - y)) / len(y) + penalty * beta

    beta = minimize(loss, np.zeros(z.shape[1]), jac=gradient, method="BFGS", options={"gtol": 1e-8}).x
    return pd.Series(beta[:-1], index=x.columns), scales


@pytest.mark.parametrize(
    ("parameters", "weighted"),
    [
        ({"ridge": 0.0}, False),
        ({"ridge": 0.02, "class_weight": "balanced"}, False),
        ({"class_weight": {0: 1, 1: 3}}, True),
    ],
)
def test_both_sides_get_the_model_of_the_pooled_columns(parameters, weighted):
    feature, label, y = drawn()
    weight = np.random.default_rng(2).uniform(0.5, 2, len(y)) if weighted else np.ones(len(y))
    models = fit_both(feature, label, y, extra={"weight": weight} if weighted else {}, epochs=60, **parameters)
    classes = parameters.get("class_weight")
    if classes == "balanced":
        weight = np.where(y == 1, 1 / y.sum(), 1 / (1 - y).sum())
    elif classes:
        weight = weight * np.where(y == 1, 3, 1)
    expected, scales = optimum(feature, label, y, weight, parameters.get("ridge", 1e-4))
    for model in models:
        found = model.coefficients["coef"].drop("intercept", errors="ignore")
        np.testing.assert_allclose(found * scales[found.index], expected[found.index], atol=2e-3)
    np.testing.assert_allclose(models[0].coefficients["odds ratio"], np.exp(models[0].coefficients["coef"]), rtol=1e-12)


def test_as_its_twin():
    feature, label, y = drawn(seed=3)
    parts = {FEATURE: feature, LABEL: label}
    # all rows at once: what differs is fixed point
    models = fit_both(feature, label, y, epochs=20)
    twin = ideal.Logistic(epochs=20).fit(parts, y, label=LABEL)
    for model, party in zip(models, (LABEL, FEATURE), strict=True):
        other = twin.parties[party]
        found, expected = model.coefficients["coef"], other.coefficients["coef"]
        assert list(found.index) == list(expected.index)
        spread = pd.concat([feature, label], axis=1).std(numeric_only=True).reindex(found.index).fillna(1.0)
        assert (np.abs(found - expected) * spread).max() < 2e-3
        assert model.facts.keys() == other.facts.keys()
    plan = VerticalLogistic._plan
    with pytest.MonkeyPatch.context() as patch:  # the loss on other rows than the twin's would be another one
        patch.setattr(VerticalLogistic, "_plan", lambda model, rows, seed: plan(model, rows, b"ideal"))
        models = fit_both(feature, label, y, validation=0.2, epochs=20)
        twin = ideal.Logistic(validation=0.2, epochs=20).fit(parts, y, label=LABEL)
    assert abs(models[0].facts["validation loss"] - twin.facts["validation loss"]) < 5e-3
    assert models[0].facts["epochs"] == twin.facts["epochs"]
    assert len(models[0].history) == models[0].facts["epochs"]
    assert len(models[1].history) == 0
    score = twin.predict(parts)
    assert metrics.auc(y, score) > 0.65
    np.testing.assert_allclose(score, 1 / (1 + np.exp(-twin.decision_function(parts))))


def test_prediction_and_metrics():
    feature, label, y = drawn(seed=4)
    cut = 400

    def at_the_bank(peer):
        model = VerticalLogistic(epochs=30).fit(peer, label[:cut], y[:cut])
        return model, model.predict(peer, label[cut:]), model.decision_function(peer, label[cut:])

    def at_the_partner(peer):
        model = VerticalLogistic(epochs=30).fit(peer, feature[:cut])
        return model, model.predict(peer, feature[cut:]), model.decision_function(peer, feature[cut:])

    out = fusion.simulate(**{LABEL: at_the_bank, FEATURE: at_the_partner})
    (bank, probability, z), (partner, nothing, none) = out[LABEL], out[FEATURE]
    assert nothing is None
    assert none is None
    np.testing.assert_allclose(probability, 1 / (1 + np.exp(-z)))
    by_hand = bank._half.linear(label[cut:]) + partner._half.linear(feature[cut:])
    np.testing.assert_allclose(z, by_hand, rtol=1e-12)
    assert metrics.auc(y[cut:], probability) == metrics.auc(y[cut:], z) > 0.6
    assert metrics.ks(y[cut:], probability) > 0.15
    assert probability.mean() == pytest.approx(y[cut:].mean(), abs=0.1)


def test_half_of_a_model_is_no_use_with_half_of_another(tmp_path):
    feature, label, y = drawn(300)
    first, second = fit_both(feature, label, y, epochs=2), fit_both(feature, label, y, epochs=2)
    for i, model in enumerate(first):
        model.save(tmp_path / f"{i}.json")
    loaded = [VerticalLogistic.load(tmp_path / f"{i}.json") for i in range(2)]
    assert loaded[0].get_params() == first[0].get_params()
    assert loaded[0].summary() == first[0].summary()
    assert (tmp_path / "0.json").stat().st_mode & 0o077 == 0

    def predict(bank, partner):
        return fusion.simulate(
            **{LABEL: lambda peer: bank.predict(peer, label), FEATURE: lambda peer: partner.predict(peer, feature)}
        )[LABEL]

    np.testing.assert_array_equal(predict(*loaded), predict(*first))
    with pytest.raises(MismatchError, match="model"):
        predict(first[0], second[1])
    with pytest.raises(InputError, match="not with"):
        fusion.simulate(c=lambda peer: first[0].predict(peer, label), d=lambda peer: first[1].predict(peer, feature))


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"version": 2}', "\x00"])
def test_a_file_that_is_no_model(tmp_path, content):
    path = tmp_path / "model.json"
    path.write_text(content, "utf-8")
    with pytest.raises(InputError):
        VerticalLogistic.load(path)
    with pytest.raises(InputError, match="no file"):
        VerticalLogistic.load(tmp_path / "none.json")


def bad(feature, label, y):
    """Inputs that either side must refuse, and with what."""
    yield {"y": y + 0.5}, "labels must be 0 or 1"
    yield {"y": np.where(y == 1, "bad", "good")}, "turn labels into 0 and 1"
    yield {"y": np.zeros_like(y)}, "all labels are the same"
    yield {"y": np.where(np.arange(len(y)) == 3, np.nan, y)}, "NaN"
    yield {"y": y[:-1]}, "one number a row"
    yield {"feature": feature.assign(income=np.nan)}, "missing values"
    yield {"feature": feature.assign(income=np.inf)}, "infinity"
    yield {"feature": feature.assign(income=1.0)}, "constant"
    yield {"feature": feature.assign(rare=np.arange(len(feature)) < 5)}, "in all but 5 rows"
    yield {"extra": {"weight": np.arange(len(y)) < 299}}, "299 rows to train on are too few"
    yield {"extra": {"weight": (y == 0) | (y.cumsum() < 10)}}, "coefficients would tell which"
    yield {"feature": feature.assign(twice=2 * feature.income), "ridge": 0.0}, "add up"
    yield {"feature": feature[[]]}, "no column"
    yield {"label": label.assign(far=np.where(np.arange(len(y)) == 7, 1e9, label.age)), "batch": 16}, "far from"
    yield {"feature": feature[:299], "label": label[:299], "y": y[:299]}, "299 rows to train on are too few"
    wide = feature.assign(**{f"c{i}": np.cos(np.arange(len(feature)) * (i + 1)) for i in range(15)})
    yield {"feature": wide}, "19 columns of the feature party and 3 of the label party need 410"
    yield {"validation": 0.04}, "16 rows held out are too few"
    yield {"validation": 0.001}, "0 rows held out are too few"
    yield {"y": (np.arange(len(y)) < 9).astype(float)}, "coefficients would tell which"
    yield {"y": (np.arange(len(y)) >= 9).astype(float)}, "coefficients would tell which"
    yield {"extra": {"weight": -y}}, "0 or more"
    yield {"extra": {"weight": y}}, "both labels must count"
    yield {"feature_extra": {"weight": y}}, "belongs to the label party"
    for name, value in (
        ("ridge", -1.0),
        ("ridge", np.nan),
        ("ridge", 1001.0),
        ("rate", 0.0),
        ("rate", 9e-7),
        ("rate", 1e-310),
        ("rate", 2.5),
        ("batch", 0),
        ("batch", 5000),
        ("batch", 10.5),
        ("epochs", 10**6),
        ("epochs", "many"),
        ("validation", 0.5),
        ("patience", 0),
        ("class_weight", "fair"),
        ("class_weight", {0: 1}),
    ):
        yield {name: value}, name
    yield {"epochs": 5000, "batch": 100}, "fewer epochs"


@pytest.mark.parametrize("case", range(40))
def test_bad_input(case):
    feature, label, y = drawn(400)
    cases = list(bad(feature, label, y))
    assert len(cases) == 40
    changes, message = cases[case]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        with pytest.raises(InputError, match=message) as caught:
            fit_both(**{"feature": feature, "label": label, "y": y, "epochs": 1, **changes})
    assert "\n" not in str(caught.value)


def test_the_limits_of_rate_and_ridge_keep_all_rows_in_a_sum():
    """At the least rate the step of a row is far from its rounding; at the largest ridge most rows are more than 0."""
    random = np.random.default_rng(1)
    for rows in (300, 4096):
        plan = descent.Plan(rows, 0, 4096, LEAST_RATE, b"")
        # with one row in a step, mean square 1 and half a label away: in units of the weights
        alone = descent.Plan(rows, 0, 1, LEAST_RATE, b"")
        assert alone.column_scale * alone.residual_scale / 2 / 2**alone.divide_bits > 500
        x = random.normal(size=(rows, 3))
        columns = descent.prepare((x - x.mean(axis=0)) / x.std(axis=0), MOST_RIDGE, ["a", "b", "c"], intercept=False)
        counted = (descent._dithered(columns.x * plan.column_scale, 0) != 0).sum(axis=0)
        assert (counted > 200).all()


def test_rows_held_out_without_weight_do_not_count():
    model = VerticalLogistic(validation=0.1)
    plan = descent.Plan(1000, 100, 1024, 2.0, b"seed")
    weight = np.ones(1000)
    weight[np.concatenate(plan.held_out())[20:]] = 0
    model._check_counts(plan, 3, 3, weight)
    weight[np.concatenate(plan.held_out())[0]] = 0
    with pytest.raises(InputError, match="19 rows held out are too few"):
        model._check_counts(plan, 3, 3, weight)


def test_rows_in_another_order_and_other_parameters():
    feature, label, y = drawn(300)
    with pytest.raises(MismatchError, match="alignment"):
        fit_both(feature.sort_values("income"), label, y)
    with pytest.raises(MismatchError, match="rows"):
        fit_both(feature[:-1], label, y)
    with pytest.raises(MismatchError, match="ridge"):
        fusion.simulate(
            **{
                LABEL: lambda peer: VerticalLogistic(ridge=0.1).fit(peer, label, y),
                FEATURE: lambda peer: VerticalLogistic().fit(peer, feature),
            }
        )


def test_linear_predictors_that_leave_the_range():
    """A column with a long tail: a warning where the series is off by a little, an error where it is wrong."""
    feature, label, _ = drawn(400)
    random = np.random.default_rng(1)
    tail = np.exp(random.normal(0, 0.9, 400))
    tail[:3] = 29
    for most, expected in ((8, None), (11, "warns"), (29, "fails")):
        capped = np.minimum(tail, most)
        y = (random.random(400) < 1 / (1 + np.exp(1.2 - capped))).astype(float)
        if expected == "warns":
            with pytest.warns(RangeWarning, match="raise ridge"):
                fit_both(feature[["income"]], label.assign(tail=capped), y, epochs=60)
        elif expected == "fails":
            with pytest.raises(InputError, match="beyond 16"):
                fit_both(feature[["income"]], label.assign(tail=capped), y, epochs=60)
        else:
            fit_both(feature[["income"]], label.assign(tail=capped), y, epochs=60)


def test_what_is_told_stays_on_its_side():
    """Losses are in events of the label party alone, and in no phase, as phases travel."""
    feature, label, y = drawn(450)
    events, phases = [], []
    original = fusion.channel.Channel.phase

    def phase(self, text, total=0):
        phases.append(text)
        original(self, text, total)

    with pytest.MonkeyPatch.context() as patch, progress.listen(events.append):
        patch.setattr(fusion.channel.Channel, "phase", phase)
        models = fit_both(feature, label, y, epochs=4, validation=0.3)
    told = {event.party for event in events if "loss" in event.phase}
    assert told == {LABEL}
    assert not any("loss" in text for text in phases)
    assert any("to go" in text for text in phases)
    for model in models:
        said = model.leakage()
        assert set(said) == {"label", "feature"}
        for role, lines in said.items():
            assert any("loss" in line for line in lines) == (role == "label")
    assert not any("loss" in line for lines in VerticalLogistic().leakage().values() for line in lines)


def test_what_travels_has_the_same_lengths_whatever_the_data():
    lengths = []
    original = Shared._exchange

    def exchange(self, data, size):
        lengths[-1].append((self.peer.name, len(data), size))
        return original(self, data, size)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Shared, "_exchange", exchange)
        for seed in (1, 2):
            lengths.append([])
            feature, label, y = drawn(400, seed=seed)
            fit_both(feature[["income"]], label * seed, y if seed == 1 else 1 - y, epochs=2, batch=150, validation=0.1)
    assert sorted(lengths[0]) == sorted(lengths[1])
    assert len(lengths[0]) > 60


class Killed(Exception):
    pass


@pytest.mark.parametrize("validation", [0.0, 0.2])
@pytest.mark.parametrize("apart", [False, True])
def test_a_killed_fit_goes_on_to_the_same_result(tmp_path, monkeypatch, apart, validation):
    """Killed when both have written the third epoch, or when one of them has."""
    feature, label, y = drawn(400)
    paths = {LABEL: tmp_path / "label.json", FEATURE: tmp_path / "feature.json"}
    options = {
        "extra": {"checkpoint": paths[LABEL]},
        "feature_extra": {"checkpoint": paths[FEATURE]},
        "epochs": 6,
        "validation": validation,
        "patience": 9,
    }
    kept = checkpoints.save

    def save(path, fit, state):
        if apart and path == paths[FEATURE] and state.states[-1].epochs == 3:
            raise Killed
        kept(path, fit, state)
        if state.states[-1].epochs == 3:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "save", save)
        with pytest.raises(Killed):
            fit_both(feature, label, y, **options)
    assert all(path.exists() and path.stat().st_mode & 0o077 == 0 for path in paths.values())
    started = []
    original = fusion.learning.descent.Descent.epoch

    def epoch(self, state, stepped):
        started.append(state.epochs)
        return original(self, state, stepped)

    monkeypatch.setattr(fusion.learning.descent.Descent, "epoch", epoch)
    models = fit_both(feature, label, y, **options)
    # whoever is told first that the other was killed may not have written the third epoch either
    assert min(started) in ({2} if apart else {2, 3})
    assert models[0].facts["epochs"] == models[1].facts["epochs"] == 6
    assert len(models[0].history) == (6 if validation else 0)
    assert not any(path.exists() for path in paths.values())
    if not validation:  # no rows are held out, and all are in every batch: the order does not matter
        whole = fit_both(feature, label, y, epochs=6)
        for found, expected in zip(models, whole, strict=True):
            np.testing.assert_allclose(found.coefficients["coef"], expected.coefficients["coef"], rtol=0.02, atol=5e-3)


def test_a_checkpoint_of_other_data(tmp_path, monkeypatch):
    feature, label, y = drawn(300)
    path = tmp_path / "label.json"
    kept = checkpoints.save

    def save(*arguments):
        kept(*arguments)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "save", save)
        with pytest.raises(Killed):
            fit_both(feature, label, y, extra={"checkpoint": path}, epochs=2)
    with pytest.raises(InputError, match="other data or parameters"):
        fit_both(feature, label, 1 - y, extra={"checkpoint": path}, epochs=2)
    # the other side has none: both start afresh
    label_model, _ = fit_both(feature, label, y, extra={"checkpoint": path}, epochs=2)
    assert label_model.facts["epochs"] == 2
    assert not path.exists()


def test_parameters():
    from sklearn.base import clone

    model = VerticalLogistic(ridge=0.5, class_weight={0: 1, 1: 2})
    assert clone(model).get_params() == model.get_params()
    assert "ridge=0.5" in repr(model)
    assert model.set_params(epochs=3).epochs == 3
    with pytest.raises(InputError, match="no parameter"):
        model.set_params(depth=3)
    with pytest.raises(InputError, match="call fit"):
        model.summary()
