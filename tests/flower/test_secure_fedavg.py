"""`SecureFedAvg` does what Flower's own averaging does, over those who are there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp.strategy import FedAvg
from sklearn.linear_model import SGDRegressor

from fusion.errors import InputError, TransportError
from fusion.flower import InProcessGrid, SecureFedAvg, SecureMod, Terms
from tests.flower.federation import Federation, app, initial, rows, run, step

TERMS = Terms(bound=4.0, max_examples=1000, metrics={"loss": 100.0}, evaluate_metrics={"loss": 100.0})
TRAIN = Terms(bound=4.0, max_examples=1000, metrics={"loss": 100.0})


def twin(included: list[tuple[str, ...]], names: list[str]) -> ArrayRecord:
    """Averaging in clear, round by round, over those who were in it."""
    arrays = initial()
    for round_ in included:
        contexts = [Context(1, 1, {"partition-id": names.index(name)}, None, {}) for name in round_]
        weights = np.array([len(rows(context)[1]) for context in contexts], float)
        trained = [step(arrays, context).to_numpy_ndarrays() for context in contexts]
        mean = [
            np.tensordot(weights / weights.sum(), np.stack(each).astype(float), 1)
            for each in zip(*trained, strict=True)
        ]
        arrays = ArrayRecord(
            {name: type(old)(np.asarray(new, old.dtype)) for (name, old), new in zip(arrays.items(), mean, strict=True)}
        )
    return arrays


def same(ours: ArrayRecord, theirs: ArrayRecord) -> None:
    assert list(ours) == list(theirs)
    for name, array in ours.items():
        assert (array.dtype, array.shape) == (theirs[name].dtype, theirs[name].shape)
        np.testing.assert_allclose(array.numpy(), theirs[name].numpy(), atol=2e-6)


def test_the_model_and_the_metrics_are_those_of_plain_averaging(federation: Federation) -> None:
    plain = run(InProcessGrid(app(None), 4), FedAvg(min_train_nodes=4, min_available_nodes=4))
    strategy = SecureFedAvg(TERMS, federation.clients)
    grid = federation.grid(app(TERMS))
    secure = run(grid, strategy)
    assert not grid.refusals
    same(secure.arrays, plain.arrays)
    for number in (1, 2, 3):
        for ours, theirs in (
            (secure.train_metrics_clientapp, plain.train_metrics_clientapp),
            (secure.evaluate_metrics_clientapp, plain.evaluate_metrics_clientapp),
        ):
            assert dict(ours[number]) == pytest.approx(dict(theirs[number]), rel=1e-5)
        assert strategy.included[number] == tuple(sorted(federation.clients))


def test_clients_count_the_same_without_weights(federation: Federation) -> None:
    terms = Terms(bound=4.0, metrics={"loss": 100.0})
    secure = run(federation.grid(app(terms)), SecureFedAvg(terms, federation.clients), rounds=1)
    changes = [step(initial(), Context(1, 1, {"partition-id": part}, None, {})) for part in range(4)]
    mean = np.mean([each["weights"].numpy() for each in changes], axis=0)
    np.testing.assert_allclose(secure.arrays["weights"].numpy(), mean, atol=1e-6)


def test_long_updates_are_scaled_down(federation: Federation) -> None:
    terms = Terms(clip=0.01, metrics={"loss": 100.0})
    secure = run(federation.grid(app(terms)), SecureFedAvg(terms, federation.clients), rounds=1)
    changes = [
        np.append(*(each.numpy().ravel() for each in record.values()))
        for record in (step(initial(), Context(1, 1, {"partition-id": part}, None, {})) for part in range(4))
    ]
    assert min(np.linalg.norm(each) for each in changes) > 0.01
    mean = np.mean([0.01 * each / np.linalg.norm(each) for each in changes], axis=0)
    found = np.append(*(each.numpy().ravel() for each in secure.arrays.values()))
    np.testing.assert_allclose(found, mean, atol=1e-8)


@pytest.mark.parametrize("at", ["keys", "shares", "vector", "answer"])
@pytest.mark.parametrize("way", ["request", "reply"])
def test_one_client_drops_out_at_any_step(federation: Federation, at: str, way: str) -> None:
    """North's message of that step is lost, in the second round where the step is of a round."""
    names = list(federation.clients)
    grid = federation.grid(app(TRAIN))
    count = 0

    def lost(message: Message, step: str, node: int) -> bool:
        nonlocal count
        if step != f"train {at}" or node != 1 + names.index("north"):
            return False
        count += 1
        return count == (1 if at in ("keys", "shares") else 2)

    if way == "request":
        grid.on_the_way = lambda message, step: [] if lost(message, step, message.metadata.dst_node_id) else [message]
    else:
        grid.on_return = lambda reply, step: None if lost(reply, step, reply.metadata.src_node_id) else reply
    strategy = SecureFedAvg(TRAIN, federation.clients)
    found = run(grid, strategy)
    everybody, others = tuple(sorted(names)), tuple(sorted(set(names) - {"north"}))
    expected = {
        "keys": [others] * 3,
        "shares": [others] * 3,
        "vector": [everybody, others, everybody],
        "answer": [everybody] * 3,  # its vector had come
    }[at]
    assert [strategy.included[number] for number in (1, 2, 3)] == expected
    same(found.arrays, twin(expected, names))
    assert not grid.refusals


def test_a_client_that_misses_the_first_round_takes_part_in_the_second(federation: Federation) -> None:
    grid = federation.grid(app(TRAIN))
    grid.on_the_way = lambda message, step: (
        []
        if message.metadata.dst_node_id == 2 and step == "train vector" and message.metadata.group_id == "1"
        else [message]
    )
    strategy = SecureFedAvg(TRAIN, federation.clients)
    run(grid, strategy, rounds=2)
    assert [len(strategy.included[number]) for number in (1, 2)] == [3, 4]


def test_with_fewer_than_the_threshold_the_round_fails_whole(federation: Federation) -> None:
    grid = federation.grid(app(TRAIN))
    grid.on_return = lambda reply, step: (
        None
        if step == "train vector" and reply.metadata.src_node_id in (1, 3) and reply.metadata.group_id == "2"
        else reply
    )
    kept = {}
    strategy = SecureFedAvg(TRAIN, federation.clients)
    with pytest.raises(TransportError, match="2 of 4 clients sent their vectors; the threshold is 3"):
        run(grid, strategy, evaluate_fn=lambda number, arrays: kept.update({number: arrays}))
    assert list(kept) == [0, 1]  # the model of the round before is in the caller's hands


def test_an_error_says_what_the_clients_said(federation: Federation) -> None:
    other = Terms(bound=2.0, max_examples=1000, metrics={"loss": 100.0})
    with pytest.raises(TransportError, match=r"0 of 4 .*disagree on bound: here 2.0, there 4"):
        run(federation.grid(app(other)), SecureFedAvg(TRAIN, federation.clients))


def test_two_clients_have_to_say_so(tmp_path: Path) -> None:
    federation = Federation.make(tmp_path, ("north", "south"))
    with pytest.raises(InputError, match="allow_two=True"):
        SecureFedAvg(TRAIN, federation.clients)
    terms = Terms(bound=4.0, max_examples=1000, metrics={"loss": 100.0}, allow_two=True)
    strategy = SecureFedAvg(terms, federation.clients)
    found = run(federation.grid(app(terms)), strategy, rounds=1)
    same(found.arrays, twin([("north", "south")], ["north", "south"]))


def test_nothing_secret_is_left_after_the_last_round(federation: Federation) -> None:
    grid = federation.grid(app(TERMS))
    run(grid, SecureFedAvg(TERMS, federation.clients), rounds=2)
    for context in grid.contexts.values():
        (state,) = context.state.config_records.values()
        assert {"train", "evaluate"}.isdisjoint(state)


def test_an_app_is_a_fresh_process_for_every_message(federation: Federation) -> None:
    """Nothing is kept but the context and the files: each message meets an app of its own."""
    strategy = SecureFedAvg(TERMS, federation.clients)

    def fresh(message: Message, context: Context) -> Message:
        return app(TERMS)(message, context)

    grid = federation.grid(fresh)
    run(grid, strategy)
    assert not grid.refusals
    assert len(strategy.included[3]) == 4


def test_clients_that_connect_late_are_waited_for(federation: Federation, monkeypatch: pytest.MonkeyPatch) -> None:
    grid = federation.grid(app(TRAIN))
    monkeypatch.setattr("fusion.flower.secure.time.sleep", lambda seconds: there.extend([3, 4]))
    there = [1, 2]
    monkeypatch.setattr(grid, "get_node_ids", lambda: there)
    strategy = SecureFedAvg(TRAIN, federation.clients)
    run(grid, strategy, rounds=1)
    assert len(strategy.included[1]) == 4


def test_nobody_connects(federation: Federation, monkeypatch: pytest.MonkeyPatch) -> None:
    grid = federation.grid(app(TRAIN))
    monkeypatch.setattr(grid, "get_node_ids", list)
    with pytest.raises(TransportError, match="0 of 4 clients sent their keys"):
        run(grid, SecureFedAvg(TRAIN, federation.clients, wait=0))


def test_a_strategy_serves_one_run_after_the_other(federation: Federation) -> None:
    strategy = SecureFedAvg(TRAIN, federation.clients)
    first = run(federation.grid(app(TRAIN)), strategy, rounds=1)
    second = run(federation.grid(app(TRAIN), run_id=2), strategy, rounds=1)
    same(first.arrays, second.arrays)


def test_runs_of_one_series_share_a_context(federation: Federation) -> None:
    strategy = SecureFedAvg(TRAIN, federation.clients)
    first = federation.grid(app(TRAIN))
    run(first, strategy, rounds=1)
    second = federation.grid(app(TRAIN), run_id=2)
    for node, context in second.contexts.items():
        context.state = first.contexts[node].state
    run(second, strategy, rounds=1)
    assert len(strategy.included[1]) == 4
    assert not second.refusals


def test_configure_without_start_is_refused(federation: Federation) -> None:
    with pytest.raises(InputError, match="start"):
        SecureFedAvg(TRAIN, federation.clients).configure_train(1, initial(), None, None)


def test_arrays_of_scikit_learn(federation: Federation) -> None:
    """A list of arrays, float64, as its users send them."""
    made = ClientApp(mods=[SecureMod(TRAIN)])
    trained = {}

    @made.train()
    def train(message: Message, context: Context) -> Message:
        x, y = rows(context)
        model = SGDRegressor(random_state=0, max_iter=5, tol=None)
        coefficients, offset = message.content["arrays"].to_numpy_ndarrays()
        model.fit(x, y, coef_init=coefficients, intercept_init=offset)
        trained[context.node_id] = (len(y), model.coef_)
        metrics = MetricRecord({"num-examples": len(y), "loss": 0.5})
        arrays = ArrayRecord([model.coef_, model.intercept_])
        return Message(RecordDict({"arrays": arrays, "metrics": metrics}), reply_to=message)

    start = ArrayRecord([np.zeros(3), np.zeros(1)])
    found = run(federation.grid(made), SecureFedAvg(TRAIN, federation.clients), rounds=1, arrays=start)
    weights, coefficients = zip(*trained.values(), strict=True)
    expected = np.average(coefficients, axis=0, weights=weights)
    np.testing.assert_allclose(found.arrays.to_numpy_ndarrays()[0], expected, atol=1e-7)


def test_a_request_that_comes_late_costs_that_round_only(federation: Federation) -> None:
    """North's request of the first round is held up until the second one's."""
    held: list[Message] = []

    def late(message: Message, step: str) -> list[Message]:
        if message.metadata.dst_node_id != 2 or step != "train vector":
            return [message]
        if message.metadata.group_id == "1":
            held.append(message)
            return []
        return [held.pop(), message] if held else [message]

    grid = federation.grid(app(TRAIN))
    grid.on_the_way = late
    strategy = SecureFedAvg(TRAIN, federation.clients)
    run(grid, strategy)
    assert [len(strategy.included[number]) for number in (1, 2, 3)] == [3, 4, 4]
    assert not grid.refusals
