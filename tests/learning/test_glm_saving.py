"""Models on disk, and fits that were killed and go on."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

import fusion
from fusion.errors import InputError, MismatchError, PeerAborted
from fusion.learning import VerticalGLM, ideal, solving

from .parties import FEATURE, LABEL, Joined, fit_both


@pytest.fixture
def joined():
    return Joined.draw("poisson", 700)


def predict(label, feature, joined):
    return fusion.simulate(
        **{
            LABEL: lambda peer: label.predict(peer, joined.label, exposure=joined.extra["exposure"]),
            FEATURE: lambda peer: feature.predict(peer, joined.feature),
        }
    )[LABEL]


def test_saved_halves_are_the_fitted_ones(clear, joined, tmp_path):
    halves = fit_both(joined, ridge=0.01)
    loaded = []
    for i, half in enumerate(halves):
        half.save(tmp_path / f"{i}.json")
        loaded.append(VerticalGLM.load(str(tmp_path / f"{i}.json")))
        assert loaded[-1].get_params() == half.get_params()
        assert loaded[-1].summary() == half.summary()
        pd.testing.assert_frame_equal(loaded[-1].coefficients, half.coefficients, check_exact=True)
        assert (tmp_path / f"{i}.json").stat().st_mode & 0o077 == 0
    np.testing.assert_array_equal(predict(*loaded, joined), predict(*halves, joined))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0.json", "1.json"]
    # the feature party's half holds nothing of the label party's but its name
    content = json.loads((tmp_path / "1.json").read_text("utf-8"))
    assert content["theirs"] == content["their_errors"] == []
    assert content["intercept"] is None


def test_halves_of_two_fits_do_not_predict_together(clear, joined):
    one, other = fit_both(joined), fit_both(joined)
    with pytest.raises((MismatchError, PeerAborted), match="model"):
        predict(one[0], other[1], joined)


def damages():
    def drop(content):
        del content["own"]

    def more(content):
        content["extra"] = 1

    def short(content):
        content["own"] = content["own"][1:]

    def text(content):
        content["own"][0] = "1.0"

    def nothing(content):
        content["own"][0] = None

    def scale(content):
        content["columns"][0]["scale"] = 0.0

    def version(content):
        content["version"] = 2

    def kind(content):
        content["estimator"] = "Other"

    def family(content):
        content["family"] = "binomial"

    def parameters(content):
        content["parameters"]["alpha"] = 1.0

    def range_(content):
        content["parameters"]["ridge"] = -1.0

    return [drop, more, short, text, nothing, scale, version, kind, family, parameters, range_]


@pytest.mark.parametrize("damage", damages(), ids=lambda damage: damage.__name__)
def test_damaged_models_are_refused(clear, joined, tmp_path, damage):
    path = tmp_path / "model.json"
    fit_both(joined)[0].save(path)
    content = json.loads(path.read_text("utf-8"))
    damage(content)
    path.write_text(json.dumps(content), "utf-8")
    with pytest.raises(InputError) as caught:
        VerticalGLM.load(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("data", [b"", b"{}", b"\xff\xfe", b"[" * 100_000, b'{"version": 1e999}'])
def test_anything_else_is_no_model(tmp_path, data):
    path = tmp_path / "model.json"
    path.write_bytes(data)
    with pytest.raises(InputError, match="saved model"):
        VerticalGLM.load(path)


def test_files_that_cannot_be_had(clear, joined, tmp_path):
    with pytest.raises(InputError, match="no file"):
        VerticalGLM.load(tmp_path / "none.json")
    with pytest.raises(InputError, match="cannot read"):
        VerticalGLM.load(tmp_path)
    with pytest.raises(InputError, match="cannot write"):
        fit_both(joined)[0].save(tmp_path / "none" / "model.json")
    with pytest.raises(InputError, match="call fit"):
        VerticalGLM().save(tmp_path / "model.json")


class Killed(Exception):
    pass


def kill_after(monkeypatch, rounds):
    """A label party that dies after so many rounds, its checkpoint written."""
    kept = solving.checkpoints.save

    def save(path, fit, state):
        kept(path, fit, state)
        if state.round >= rounds:
            raise Killed

    monkeypatch.setattr(solving.checkpoints, "save", save)


@pytest.mark.parametrize("rounds", [1, 3])
def test_a_killed_fit_goes_on_to_the_same_result(clear, joined, tmp_path, monkeypatch, rounds):
    path = tmp_path / "fit.json"
    whole = ideal.GLM().fit({FEATURE: joined.feature, LABEL: joined.label}, joined.y, label=LABEL, **joined.extra)
    joined.extra["checkpoint"] = path
    with monkeypatch.context() as patch:
        kill_after(patch, rounds)
        with pytest.raises(Killed):
            fit_both(joined)
    assert path.exists()
    assert path.stat().st_mode & 0o077 == 0
    label, feature = fit_both(joined)
    np.testing.assert_allclose(label.coefficients["coef"], whole.coefficients["coef"], rtol=1e-6)
    np.testing.assert_allclose(feature.coefficients["coef"], whole.parties[FEATURE].coefficients["coef"], rtol=1e-6)
    assert rounds < label.facts["rounds"] <= whole.facts["rounds"] + 1  # where it stood is evaluated again
    assert not path.exists()


def test_a_checkpoint_of_other_data_is_refused(clear, joined, tmp_path, monkeypatch):
    path = tmp_path / "fit.json"
    joined.extra["checkpoint"] = path
    with monkeypatch.context() as patch:
        kill_after(patch, 1)
        with pytest.raises(Killed):
            fit_both(joined)
    joined.y = joined.y + 1
    with pytest.raises(InputError, match="other data or parameters"):
        fit_both(joined)
    path.write_text("{}", "utf-8")
    with pytest.raises(InputError, match="no checkpoint"):
        fit_both(joined)
