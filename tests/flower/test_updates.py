"""Updates as whole numbers: what is refused, and how exact the rest is."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, MetricRecord, RecordDict
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fusion.errors import InputError, MismatchError, TransportError
from fusion.flower import Noise, Terms, updates, wire

TERMS = Terms(bound=2.0, max_examples=100, metrics={"loss": 10.0, "accuracy": 1.0})
NAMES = ["a", "b", "c"]


def record(**arrays: np.ndarray) -> ArrayRecord:
    return ArrayRecord({name: Array(np.asarray(array)) for name, array in arrays.items()})


def plan(terms: Terms, size: int, rounds: int = 1, clients: int = 3):
    names = [f"c{number:03d}" for number in range(clients)]
    parameters = terms.parameters(names, lane="train", values=size, rounds=rounds, about=b"")
    return terms.plan(parameters), parameters


SENT = record(w=np.zeros((2, 3), np.float32), b=np.zeros(2))
LONG = record(b=np.zeros(3))["b"].data


@pytest.mark.parametrize(
    ("returned", "reason"),
    [
        (record(w=np.zeros((2, 3), np.float32)), "arrays of other names"),
        (record(b=np.zeros(2), w=np.zeros((2, 3), np.float32)), "another order"),
        (record(w=np.zeros((3, 2), np.float32), b=np.zeros(2)), r"array 'w' as float32 of shape \(3, 2\)"),
        (record(w=np.zeros((2, 3)), b=np.zeros(2)), "array 'w' as float64"),
        (record(w=np.zeros((2, 3), np.float32), b=np.zeros(2, int)), "array 'b' of the app holds int64"),
        (record(w=np.full((2, 3), np.nan, np.float32), b=np.zeros(2)), "array 'w' with a value that is missing"),
        (record(w=np.zeros((2, 3), np.float32), b=np.array([1, np.inf])), "array 'b' with a value that is missing"),
        (
            ArrayRecord({"w": SENT["w"], "b": Array("float64", (3,), "numpy.ndarray", SENT["b"].data)}),
            "array 'b' as float64 of shape",
        ),
        (
            ArrayRecord(
                {"w": SENT["w"], "b": Array("float64", (2,), "numpy.ndarray", record(b=np.zeros(3))["b"].data)}
            ),
            "array 'b' has another shape than it says",
        ),
        (ArrayRecord({"w": SENT["w"], "b": Array("float64", (2,), "fusion.masked.1", b"")}), "array 'b' of the app"),
    ],
)
def test_arrays_that_do_not_fit(returned: ArrayRecord, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        updates.update(SENT, returned)


def test_an_update_is_what_changed() -> None:
    sent = record(w=np.array([[1.0, 2.0]], np.float32), s=np.float16(3), e=np.zeros((0, 4)))
    back = record(w=np.array([[1.5, 2.0]], np.float32), s=np.float16(2), e=np.zeros((0, 4)))
    change = updates.update(sent, back)
    assert change.tolist() == [0.5, 0.0, -1.0]
    moved = updates.moved(sent, change)
    for name, array in back.items():
        assert (moved[name].dtype, moved[name].shape) == (array.dtype, array.shape)
        assert (moved[name].numpy() == array.numpy()).all()


@pytest.mark.parametrize(
    ("metrics", "reason"),
    [
        ({"loss": 1.0, "accuracy": 0.5}, "no 'num-examples'"),
        ({"num-examples": 101, "loss": 1.0, "accuracy": 0.5}, "from 0 to 100"),
        ({"num-examples": -1, "loss": 1.0, "accuracy": 0.5}, "from 0 to 100"),
        ({"num-examples": 0.5, "loss": 1.0, "accuracy": 0.5}, "whole number"),
        ({"num-examples": float("nan"), "loss": 1.0, "accuracy": 0.5}, "whole number"),
        ({"num-examples": float("inf"), "loss": 1.0, "accuracy": 0.5}, "whole number"),
        ({"num-examples": [1, 2], "loss": 1.0, "accuracy": 0.5}, "whole number"),
        ({"num-examples": 5, "loss": 1.0}, "metric 'accuracy' must be a number"),
        ({"num-examples": 5, "loss": 10.1, "accuracy": 0.5}, "metric 'loss' must be a number of at most 10"),
        ({"num-examples": 5, "loss": float("nan"), "accuracy": 0.5}, "metric 'loss'"),
        ({"num-examples": 5, "loss": [1.0], "accuracy": 0.5}, "metric 'loss'"),
        ({"num-examples": 5, "loss": 1.0, "accuracy": 0.5, "f1": 0.1}, "returned metric 'f1'"),
    ],
)
def test_metrics_that_do_not_fit(metrics: dict[str, object], reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        updates.weight_and_metrics(TERMS, RecordDict({"metrics": MetricRecord(metrics)}), "train")


def test_metrics_may_be_missing_where_none_are_needed() -> None:
    terms = Terms(bound=1.0)
    assert updates.weight_and_metrics(terms, RecordDict(), "train") == (1, [])
    some = RecordDict({"metrics": MetricRecord({"num-examples": 7})})
    assert updates.weight_and_metrics(terms, some, "train") == (1, [])
    for content in (RecordDict(), RecordDict({"a": MetricRecord(), "b": MetricRecord()})):
        with pytest.raises(InputError, match="one record of metrics"):
            updates.weight_and_metrics(TERMS, content, "train")


@pytest.mark.parametrize("value", [2.0001, -2.5, 1e300])
def test_a_value_beyond_the_bound(value: float) -> None:
    scale, _ = plan(TERMS, 2)
    with pytest.raises(InputError, match="beyond bound="):
        updates.encoded(TERMS, scale, "train", 1, [0, 0], np.array([0.0, value]))


CHANGES = hnp.arrays(np.float64, 5, elements=st.floats(-2, 2))


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 100), st.floats(-10, 10), st.floats(-1, 1), CHANGES), min_size=1, max_size=9))
def test_averages_of_sums_are_those_of_floats(clients: list[tuple[int, float, float, np.ndarray]]) -> None:
    scale, parameters = plan(TERMS, 5, clients=9)
    encoded = [updates.encoded(TERMS, scale, "train", n, [a, b], change) for n, b, a, change in clients]
    assert all(np.abs(each).max() <= parameters.limit for each in encoded)
    total = np.sum(encoded, axis=0)
    assert np.abs(total).max() < 1 << 31
    weights = np.array([client[0] for client in clients])
    if not weights.sum():
        with pytest.raises(TransportError, match="sum to zero"):
            updates.decoded(TERMS, scale, "train", len(clients), total)
        return
    mean = updates.decoded(TERMS, scale, "train", len(clients), total)
    assert mean.weight == weights.sum()
    # half a step for each client, of the largest value times the largest weight
    off = 0.51 * len(clients) / scale.steps * 100 / weights.sum()
    expected = np.average([client[3] for client in clients], axis=0, weights=weights)
    assert np.abs(mean.update - expected).max() <= 2.0 * off + 1e-12
    assert (
        abs(mean.metrics["loss"] - np.average([client[1] for client in clients], weights=weights)) <= 10 * off + 1e-12
    )
    assert abs(mean.metrics["accuracy"] - np.average([client[2] for client in clients], weights=weights)) <= off + 1e-12


@pytest.mark.parametrize("delta", [None, 1e-5])
@settings(deadline=None, max_examples=40)
@given(change=hnp.arrays(np.float64, st.integers(1, 60), elements=st.floats(-1e6, 1e6)))
def test_what_noise_hides_is_never_longer_than_the_clip(delta: float | None, change: np.ndarray) -> None:
    terms = Terms(clip=0.5, noise=Noise(epsilon=1.0, delta=delta))
    scale, _ = plan(terms, change.size, rounds=3)
    encoded = updates.encoded(terms, scale, "train", 1, [], updates.clipped(terms, change))
    length = sum(abs(int(v)) for v in encoded) if delta is None else sum(int(v) ** 2 for v in encoded) ** 0.5
    assert length <= scale.steps
    exact = float(np.abs(change).sum() if delta is None else np.linalg.norm(change))
    if exact > 0.5:
        assert length >= scale.steps * 0.99 - len(change)  # and not much shorter where it was long enough


def test_lengths_are_compared_exactly() -> None:
    values = np.array([(1 << 30) + 12345, -(1 << 29) - 777, 3, -1])
    squared = sum(int(v) ** 2 for v in values)
    root = int(squared**0.5)
    while root * root < squared:
        root += 1
    assert not updates.longer(values, root, euclidean=True)
    assert updates.longer(values, root - 1, euclidean=True)
    total = int(np.abs(values).sum())
    assert not updates.longer(values, total, euclidean=False)
    assert updates.longer(values, total - 1, euclidean=False)


def test_an_update_longer_than_the_clip_is_not_sent() -> None:
    terms = Terms(clip=0.5, noise=Noise(epsilon=1.0, delta=1e-5))
    scale, _ = plan(terms, 4)
    with pytest.raises(InputError, match="longer than the clip"):
        updates.encoded(terms, scale, "train", 1, [], np.full(4, 0.5))


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({}, "give bound="),
        ({"bound": 0}, "bound must be a number above zero"),
        ({"bound": float("inf")}, "bound must be"),
        ({"clip": -1.0}, "clip must be"),
        ({"clip": True}, "clip must be"),
        ({"bound": 1.0, "max_examples": 0}, "max_examples must be a whole number"),
        ({"bound": 1.0, "max_examples": 1.5}, "max_examples must be a whole number"),
        ({"bound": 1.0, "metrics": {"loss": -1}}, "the bound of metric 'loss'"),
        ({"bound": 1.0, "metrics": {"num-examples": 5}}, "is the weight"),
        ({"bound": 1.0, "noise": Noise(epsilon=1.0)}, "noise hides updates of a length that is known"),
        ({"clip": 1.0, "bound": 1.0, "noise": Noise(epsilon=1.0)}, "noise hides updates"),
        ({"clip": 1.0, "max_examples": 5, "noise": Noise(epsilon=1.0)}, "count the same"),
        ({"clip": 1.0, "evaluate_metrics": {"loss": 1}, "noise": Noise(epsilon=1.0)}, "no sums of evaluation"),
    ],
)
def test_terms_that_do_not_fit(arguments: dict[str, object], reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        Terms(**arguments)


def test_weights_beyond_the_words() -> None:
    terms = Terms(bound=1.0, max_examples=10**9)
    with pytest.raises(InputError, match="max_examples is at most 715827882 with 3 clients"):
        plan(terms, 5)


def test_a_vector_beyond_a_message_of_flower(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "_LARGEST", 10)
    assert wire.vector(bytes(10), "masked")["data"].data == bytes(10)
    with pytest.raises(InputError, match="beyond what one message of Flower holds"):
        wire.vector(bytes(11), "masked")


@pytest.mark.parametrize(
    "other",
    [
        {"bound": 3.0},
        {"max_examples": 101},
        {"max_examples": None},
        {"metrics": {"loss": 10.0}},
        {"metrics": {"loss": 10.0, "accuracy": 2.0}},
        {"evaluate_metrics": {"loss": 1.0}},
        {"clip": 1.0},
        {"threshold": 3},
        {"colluding": 0},
        {"allow_two": True},
        {"weighted_by_key": "rows"},
    ],
)
def test_terms_that_differ_are_named(other: dict[str, object]) -> None:
    theirs = dataclasses.replace(TERMS, **other)
    with pytest.raises(MismatchError) as caught:
        TERMS.check(theirs.encoded())
    assert [caught.value.field] == list(other)


def test_terms_that_differ_in_their_noise_are_named() -> None:
    ours = Terms(clip=1.0, noise=Noise(epsilon=1.0, delta=1e-6))
    for noise in (
        None,
        Noise(epsilon=2.0, delta=1e-6),
        Noise(epsilon=1.0),
        Noise(epsilon=1.0, delta=1e-6, by="server"),
    ):
        with pytest.raises(MismatchError) as caught:
            ours.check(Terms(clip=1.0, noise=noise).encoded())
        assert caught.value.field == "noise"


def test_terms_that_are_written_otherwise_are_equal() -> None:
    """Types and order: the encodings are one, and so is the order of values in a sum."""
    for ours, theirs in (
        (Terms(clip=1.0, noise=Noise(epsilon=1.0)), Terms(clip=1, noise=Noise(epsilon=1))),
        (TERMS, dataclasses.replace(TERMS, bound=2, metrics={"accuracy": 1, "loss": 10})),
    ):
        ours.check(theirs.encoded())
        assert ours.encoded() == theirs.encoded()
        assert list(ours.metrics_of("train")) == list(theirs.metrics_of("train"))
    ours, theirs = ({"loss": 10.0, "accuracy": 1.0}, {"accuracy": 1.0, "loss": 10.0})
    content = RecordDict({"metrics": MetricRecord({"num-examples": 5, "loss": 2.0, "accuracy": 0.5})})
    read = [
        updates.weight_and_metrics(dataclasses.replace(TERMS, metrics=metrics), content, "train")
        for metrics in (ours, theirs)
    ]
    assert read == [(5, [0.5, 2.0])] * 2
