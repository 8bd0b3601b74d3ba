"""Files of models: those of before are read, and what the models share holds for each of them."""

from __future__ import annotations

import json

import numpy as np
import pytest
from reference import vectors

from fusion.errors import InputError
from fusion.learning import VerticalGLM, VerticalLogistic

SAVED = vectors.load("saved_models.json")["halves"]
MODELS = {model._NAME: model for model in (VerticalGLM, VerticalLogistic)}


@pytest.mark.parametrize("name", SAVED)
def test_files_of_before_are_read_and_written_again(tmp_path, name):
    content, path = SAVED[name], tmp_path / "half.json"
    path.write_text(json.dumps(content), "utf-8")
    model = MODELS[content["estimator"]].load(path)
    model.save(path)
    assert json.loads(path.read_text("utf-8")) == content
    assert model.facts == content["facts"]
    scales = np.array([column["scale"] for column in content["columns"]])
    found = model.coefficients["coef"].drop("intercept", errors="ignore")
    np.testing.assert_allclose(found, np.array(content["own"]) / scales, rtol=1e-12)
    assert ("intercept" in model.coefficients.index) == content["label"]
    with pytest.raises(InputError, match="another kind"):
        next(other for other in MODELS.values() if other is not type(model)).load(path)


def faults(content):
    """What is wrong with a file, and how it is said."""
    column = content["columns"][0]
    yield {"columns": [{**column, "more": 1.0}, *content["columns"][1:]]}, "this version can read"
    yield {"columns": content["columns"][1:]}, "damaged"
    yield {"columns": [{**column, "source": "unknown"}, *content["columns"][1:]]}, "damaged"
    yield {"bases": {"unknown": "north"}}, "damaged"
    text = next(each for each in content["columns"] if each["level"] is not None)
    yield {"bases": {}}, "damaged"  # levels that the model has not seen would pass for the base
    yield {"columns": [text if each is text else {**each, "level": "x"} for each in content["columns"]]}, "damaged"
    yield {"columns": [{**each, "level": None} for each in content["columns"]]}, "damaged"
    yield {"sources": [*content["sources"], "more"]}, "damaged"
    yield {"intercept": None} if content["label"] else {"intercept": 1.0}, "damaged"
    yield {"label": 1}, "this version can read"
    yield {"intercept": "0"}, "this version can read"
    yield {"facts": {"rows": None}}, "this version can read"
    yield {"design": {}}, "this version can read"
    yield {"version": 2}, "another version"
    yield {"parameters": {}}, "damaged"
    yield {"parameters": {**content["parameters"], "ridge": [1.0]}}, "this version can read"
    yield {"parameters": {**content["parameters"], "ridge": {"0": 1.0}}}, "ridge must be a number"


@pytest.mark.parametrize("name", SAVED)
@pytest.mark.parametrize("case", range(17))
def test_damaged_files_of_any_model(tmp_path, name, case):
    content, path = SAVED[name], tmp_path / "half.json"
    cases = list(faults(content))
    assert len(cases) == 17
    change, said = cases[case]
    path.write_text(json.dumps({**content, **change}), "utf-8")
    with pytest.raises(InputError, match=said) as caught:
        MODELS[content["estimator"]].load(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("name", "field"), [("glm-label", "their_errors"), ("glm-feature", "errors")])
def test_each_coefficient_has_an_error(tmp_path, name, field):
    path = tmp_path / "half.json"
    path.write_text(json.dumps({**SAVED[name], field: SAVED[name][field][1:]}), "utf-8")
    with pytest.raises(InputError, match="damaged"):
        VerticalGLM.load(path)


def test_numbers_of_numpy_are_numbers(tmp_path):
    path = tmp_path / "half.json"
    path.write_text(json.dumps(SAVED["glm-label"]), "utf-8")
    model = VerticalGLM.load(path).set_params(ridge=np.float64(0.5), max_rounds=np.int64(7))
    model.save(path)
    assert VerticalGLM.load(path).get_params() == model.get_params()


def test_nothing_of_a_model_stands_in_its_repr(tmp_path):
    path = tmp_path / "half.json"
    for content in SAVED.values():
        path.write_text(json.dumps(content), "utf-8")
        model = MODELS[content["estimator"]].load(path)
        assert (
            repr(model) == f"{content['estimator']}({', '.join(f'{k}={v!r}' for k, v in model.get_params().items())})"
        )
        assert "array" not in repr(model._half)
        assert content["model"] not in repr(model._half)
