"""`HomomorphicFedAvg` does what Flower's own averaging does, to within its steps, and the server sees no update."""

from __future__ import annotations

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp.strategy import FedAvg

from fusion.errors import InputError, TransportError
from fusion.flower import HomomorphicFedAvg, HomomorphicMod, InProcessGrid, Noise, SecureFedAvg, SecureMod, Terms
from tests.flower.federation import NAMES, Federation, app, run

TERMS = Terms(bound=4.0, max_examples=1000, metrics={"loss": 100.0}, evaluate_metrics={"loss": 100.0})
TRAIN = Terms(bound=4.0, max_examples=1000, metrics={"loss": 100.0})


def test_the_model_is_that_of_plain_averaging(federation: Federation) -> None:
    plain = run(InProcessGrid(app(None), 4), FedAvg(min_train_nodes=4, min_available_nodes=4))
    strategy = HomomorphicFedAvg(TERMS, federation.clients)
    grid = federation.grid(app(TERMS, HomomorphicMod))
    ours = run(grid, strategy)
    for here, there in zip(ours.arrays.values(), plain.arrays.values(), strict=True):
        np.testing.assert_allclose(here.numpy(), there.numpy(), atol=3 * 4.0e-6)
    for number in (1, 2, 3):
        for here, there in (
            (ours.train_metrics_clientapp, plain.train_metrics_clientapp),
            (ours.evaluate_metrics_clientapp, plain.evaluate_metrics_clientapp),
        ):
            assert dict(here[number]) == pytest.approx(dict(there[number]), abs=1e-4)
        assert strategy.included[number] == tuple(sorted(federation.clients))
    assert not grid.refusals


@pytest.mark.parametrize("part", range(len(NAMES)))
def test_one_round_is_within_a_millionth_of_the_clip_range(federation: Federation, part: int) -> None:
    size, bound = 1000, 0.5
    random = np.random.default_rng(part)
    changes = [random.uniform(-bound, bound, size) for _ in NAMES]

    terms = Terms(bound=bound)
    made = ClientApp(mods=[HomomorphicMod(terms)])

    @made.train()
    def train(message: Message, context: Context) -> Message:
        moved = message.content["arrays"]["w"].numpy() + changes[int(context.node_config["partition-id"])]
        return Message(RecordDict({"arrays": ArrayRecord({"w": Array(moved)})}), reply_to=message)

    start = ArrayRecord({"w": Array(np.zeros(size))})
    found = run(federation.grid(made), HomomorphicFedAvg(terms, federation.clients), rounds=1, arrays=start)
    error = np.abs(found.arrays["w"].numpy() - np.mean(changes, axis=0)).max()
    assert 0 < error <= 1e-6 * 2 * bound


def canaries(terms: Terms | None) -> ClientApp:
    """An app whose updates and weight are easy to find; in clear without terms."""
    made = ClientApp(mods=[] if terms is None else [HomomorphicMod(terms)])

    @made.train()
    def train(message: Message, context: Context) -> Message:
        part = int(context.node_config["partition-id"])
        moved = message.content["arrays"]["w"].numpy() + np.float32(CANARY * (1, -1, 1, -1)[part])
        content = RecordDict({"arrays": ArrayRecord({"w": Array(moved)}), "m": MetricRecord({"num-examples": 77_777})})
        return Message(content, reply_to=message)

    return made


CANARY = np.float32(0.123456789)


def test_the_server_sees_no_update(federation: Federation) -> None:
    terms = Terms(bound=1.0, max_examples=100_000)
    start = ArrayRecord({"w": Array(np.zeros(64, np.float32))})
    grid = federation.grid(canaries(terms))
    found = run(grid, HomomorphicFedAvg(terms, federation.clients), rounds=1, arrays=start)
    np.testing.assert_allclose(found.arrays["w"].numpy(), 0, atol=1e-6)
    steps = round(float(CANARY) * 0.77777 * 4194303)
    secrets = (CANARY.tobytes() * 2, np.float64(CANARY).tobytes() * 2, steps.to_bytes(8, "little"), b"num-examples")
    assert len(grid.seen()) > 1_000_000
    assert not [secret for secret in secrets if secret in grid.seen().replace(terms.encoded(), b"")]
    # in clear it sees them: the test can fail
    clear = federation.grid(canaries(None))
    plain = FedAvg(min_train_nodes=4, min_available_nodes=4, fraction_evaluate=0.0)
    run(clear, plain, rounds=1, arrays=start)
    assert CANARY.tobytes() * 2 in clear.seen()
    assert b"num-examples" in clear.seen()


@pytest.mark.parametrize(
    ("step", "lost", "message"),
    [
        ("train commit", "request", "3 of 4 clients committed to the key.*west"),
        ("train commit", "reply", "3 of 4 clients committed to the key.*west"),
        ("train contribute", "request", "3 of 4 clients contributed to the key.*west"),
        ("train contribute", "reply", "3 of 4 clients contributed to the key.*west"),
        ("train coin", "request", "3 of 4 clients sent their coins.*west"),
        ("train coin", "reply", "3 of 4 clients sent their coins.*west"),
        ("train projection", "request", "1 of 4 clients sent an update and no projection.*west"),
        ("train projection", "reply", "1 of 4 clients sent an update and no projection.*west"),
        ("train open", "request", "3 of 4 clients opened the sum.*west"),
        ("train open", "reply", "3 of 4 clients opened the sum.*west"),
    ],
)
def test_a_client_that_leaves_fails_the_round(federation: Federation, step: str, lost: str, message: str) -> None:
    grid = federation.grid(app(TRAIN, HomomorphicMod))
    if lost == "request":
        grid.on_the_way = lambda m, name: [] if name == step and m.metadata.dst_node_id == 4 else [m]
    else:
        grid.on_return = lambda m, name: None if name == step and m.metadata.src_node_id == 4 else m
    with pytest.raises(TransportError, match=message):
        run(grid, HomomorphicFedAvg(TRAIN, federation.clients), rounds=1)


@pytest.mark.parametrize("lost", ["request", "reply"])
def test_only_an_update_may_be_missing(federation: Federation, lost: str) -> None:
    grid = federation.grid(app(TRAIN, HomomorphicMod))
    if lost == "request":
        grid.on_the_way = lambda m, name: [] if name == "train update" and m.metadata.dst_node_id == 4 else [m]
    else:
        grid.on_return = lambda m, name: None if name == "train update" and m.metadata.src_node_id == 4 else m
    strategy = HomomorphicFedAvg(TRAIN, federation.clients)
    run(grid, strategy, rounds=2)
    assert strategy.included == {1: ("east", "north", "south"), 2: ("east", "north", "south")}


def test_noise_of_the_clients(federation: Federation) -> None:
    pytest.importorskip("opendp")
    terms = Terms(clip=1.0, noise=Noise(epsilon=20.0))
    made = ClientApp(mods=[HomomorphicMod(terms)])

    @made.train()
    def train(message: Message, context: Context) -> Message:
        return Message(RecordDict({"arrays": message.content["arrays"]}), reply_to=message)

    start = ArrayRecord({"w": Array(np.zeros(2000))})
    strategy = HomomorphicFedAvg(terms, federation.clients)
    found = run(federation.grid(made), strategy, rounds=1, arrays=start)
    assert strategy.epsilon_spent == pytest.approx(20.0, rel=1e-3)
    # Laplace noise of scale 1/20 on the sum of four, by more shares than it needs
    assert 1 / 20 < np.abs(found.arrays["w"].numpy() * 4).mean() < 3 / 20


def test_strategies_and_mods_do_not_mix(federation: Federation) -> None:
    for strategy, mod, step in ((HomomorphicFedAvg, SecureMod, "commit"), (SecureFedAvg, HomomorphicMod, "keys")):
        grid = federation.grid(app(TRAIN, mod))
        with pytest.raises(TransportError, match="a step that this version does not know"):
            run(grid, strategy(TRAIN, federation.clients), rounds=1)
        assert len(grid.refusals) == 4, step


def test_terms_that_do_not_fit(federation: Federation) -> None:
    for terms, message in (
        (Terms(bound=1.0, max_examples=2**23), "max_examples is at most 4194303 with 4 clients"),
        (Terms(bound=1.0, threshold=5), "threshold=5 does not protect 4 clients"),
        (Terms(bound=1.0, threshold=2), "each the other's value"),
    ):
        with pytest.raises(InputError, match=message):
            HomomorphicFedAvg(terms, federation.clients)
