"""What a server that deviates may try, through messages of its own making: each is refused, and by name."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.app.message import make_message
from flwr.clientapp import ClientApp
from flwr.serverapp.strategy import FedAvg

from fusion.aggregation.masked.messages import Keys, Roster, Survivors, decode, encode
from fusion.channel import Identity
from fusion.errors import TransportError
from fusion.flower import SecureFedAvg, SecureMod, Terms
from tests.flower.federation import Federation, Watched, app, initial, rows, run, step

TERMS = Terms(bound=4.0, max_examples=1000, metrics={"loss": 100.0}, evaluate_metrics={"loss": 100.0})


def changed(message: Message, **fields: object) -> Message:
    """The message with other fields in its record."""
    content = RecordDict(dict(message.content.items()))
    content["fusion"] = ConfigRecord({**content["fusion"], **fields})
    return make_message(metadata=message.metadata, content=content)


def survivors(message: Message, change: Callable[[list[int], list[int]], None]) -> Message:
    """The message with another list of survivors."""
    listed = decode(message.content["fusion"]["survivors"], Survivors, "the test")
    included, dropped = list(listed.included), list(listed.dropped)
    change(included, dropped)
    other = msgspec.structs.replace(listed, included=tuple(included), dropped=tuple(dropped))
    return changed(message, survivors=encode(other))


def attacked(federation: Federation, attack: Callable[[Message, str], list[Message]], **more: object) -> Watched:
    """A run in which messages are exchanged for others; it fails."""
    grid = federation.grid(app(TERMS))
    grid.on_the_way = attack
    with pytest.raises(TransportError, match="the threshold is 3"):
        run(grid, SecureFedAvg(TERMS, federation.clients), rounds=2)
    return grid


def test_a_client_listed_as_included_and_as_dropped(federation: Federation) -> None:
    def attack(message: Message, name: str) -> list[Message]:
        both = name == "train answer"
        return [survivors(message, lambda included, dropped: dropped.append(1)) if both else message]

    grid = attacked(federation, attack)
    assert len(grid.refusals) == 4
    assert all("lists north both as included and as dropped" in reason for reason in grid.refusals)


def test_both_shares_of_one_client_in_two_lists(federation: Federation) -> None:
    """First the list of everybody, then another on which north has dropped out."""

    def without(included: list[int], dropped: list[int]) -> None:
        included.remove(1)
        dropped.append(1)

    def attack(message: Message, name: str) -> list[Message]:
        twice = name == "train answer" and message.metadata.dst_node_id != 2
        return [message, survivors(message, without)] if twice else [message]

    grid = attacked(federation, attack)
    assert sum("a second unmasking of round 0" in reason for reason in grid.refusals) == 3


def test_different_lists_for_different_clients(federation: Federation) -> None:
    def without(included: list[int], dropped: list[int]) -> None:
        included.remove(1)
        dropped.append(1)

    def attack(message: Message, name: str) -> list[Message]:
        other = name == "train answer" and message.metadata.dst_node_id in (1, 3)
        return [survivors(message, without) if other else message]

    attacked(federation, attack)  # two answers for each list, of three that either needs


def test_a_list_below_the_threshold(federation: Federation) -> None:
    def only_two(included: list[int], dropped: list[int]) -> None:
        dropped.extend(included[2:])
        del included[2:]

    def attack(message: Message, name: str) -> list[Message]:
        return [survivors(message, only_two) if name == "train answer" else message]

    grid = attacked(federation, attack)
    assert any("has 2 survivors; the threshold is 3" in reason for reason in grid.refusals)


def test_a_client_is_not_made_to_forget_its_keys_early(federation: Federation) -> None:
    """After the answer of the last round they are deleted; the server may not call another one the last."""

    def attack(message: Message, name: str) -> list[Message]:
        return [changed(message, round=1)] if name == "train answer" else [message]

    grid = attacked(federation, attack)
    assert all("a list of survivors of another round" in reason for reason in grid.refusals)
    assert all(context.state.config_records for context in grid.contexts.values())
    kept = [record for each in grid.contexts.values() for record in each.state.config_records.values()]
    assert all("train" in record for record in kept)


def test_a_round_that_is_repeated(federation: Federation) -> None:
    def attack(message: Message, name: str) -> list[Message]:
        return [message, message] if name == "train vector" else [message]

    grid = attacked(federation, attack)
    assert sum("round 0 comes a second time" in reason for reason in grid.refusals) == 4


def test_keys_of_the_servers_making(federation: Federation, tmp_path: Path) -> None:
    stranger = Identity.create("stranger", tmp_path / "stranger.key")

    def attack(message: Message, name: str) -> list[Message]:
        if name != "train shares":
            return [message]
        keys = list(decode(message.content["fusion"]["train"], Roster, "the test").keys)
        north = decode(keys[1], Keys, "the test")
        keys[1] = encode(msgspec.structs.replace(north, signature=stranger.sign(b"anything")))
        return [changed(message, train=encode(Roster(tuple(keys))))]

    grid = attacked(federation, attack)
    reasons = [reason for reason in grid.refusals if "not signed by its pinned identity" in reason]
    assert len(reasons) == 3
    assert all("the keys of north" in reason for reason in reasons)


@pytest.mark.parametrize("kind", ["train", "evaluate"])
def test_a_request_for_the_update_in_clear(federation: Federation, kind: str) -> None:
    def attack(message: Message, name: str) -> list[Message]:
        content = RecordDict({key: value for key, value in message.content.items() if key != "fusion"})
        return [make_message(metadata=message.metadata, content=content) if name == f"{kind} vector" else message]

    grid = attacked(federation, attack)
    assert all(f"asks this app to {kind} and reply in clear" in reason for reason in grid.refusals)


def test_the_keys_of_a_run_twice(federation: Federation) -> None:
    def attack(message: Message, name: str) -> list[Message]:
        return [message, message] if name == "train keys" else [message]

    grid = attacked(federation, attack)
    assert all("the keys of this run a second time" in reason for reason in grid.refusals)


def test_shares_twice_from_an_older_context(federation: Federation) -> None:
    """The node's context is put back to what it was: the file remembers."""
    grid = federation.grid(app(TERMS))
    before = {}

    def attack(message: Message, name: str) -> list[Message]:
        node = message.metadata.dst_node_id
        if name == "train shares":
            before[node] = copy.deepcopy(grid.contexts[node].state)
        if name == "train vector" and message.metadata.group_id == "2":
            grid.contexts[node].state = before[node]
            return [changed(message, round=0)]
        return [message]

    grid.on_the_way = attack
    with pytest.raises(TransportError, match="0 of 4 clients sent their vectors"):
        run(grid, SecureFedAvg(TERMS, federation.clients), rounds=2)
    assert len(grid.refusals) == 4
    assert all(
        "another inbox, and this client has already taken one" in reason or "before the roster" in reason
        for reason in grid.refusals
    )


def test_a_vector_again_with_the_context_of_before(federation: Federation) -> None:
    grid = federation.grid(app(TERMS))
    before = {}

    def attack(message: Message, name: str) -> list[Message]:
        node = message.metadata.dst_node_id
        if name == "train answer" and message.metadata.group_id == "1":
            before[node] = copy.deepcopy(grid.contexts[node].state)
        if name == "train vector" and message.metadata.group_id == "2":
            grid.contexts[node].state = before[node]
            return [changed(message, round=0)]
        return [message]

    grid.on_the_way = attack
    with pytest.raises(TransportError, match="0 of 4 clients sent their vectors"):
        run(grid, SecureFedAvg(TERMS, federation.clients), rounds=2)
    assert all("round 0 comes a second time" in reason for reason in grid.refusals)


def test_without_its_file_a_client_takes_no_further_part(federation: Federation) -> None:
    def attack(message: Message, name: str) -> list[Message]:
        if name == "train answer":
            for file in federation.folder.glob("*.rounds"):
                file.unlink()
        return [message]

    grid = attacked(federation, attack)
    assert all("the file of rounds is lost" in reason for reason in grid.refusals)


def test_another_model_than_was_announced(federation: Federation) -> None:
    def attack(message: Message, name: str) -> list[Message]:
        if name != "train vector":
            return [message]
        content = RecordDict(dict(message.content.items()))
        content["arrays"] = ArrayRecord({"weights": Array(np.zeros(4, np.float32))})
        return [make_message(metadata=message.metadata, content=content)]

    grid = attacked(federation, attack)
    assert all("a model of other arrays than it announced" in reason for reason in grid.refusals)


def test_another_version(federation: Federation) -> None:
    grid = attacked(federation, lambda message, name: [changed(message, version=2)])
    assert all("another version of the protocol" in reason for reason in grid.refusals)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"step": "more"}, "a step that this version does not know"),
        ({"extra": 1}, "a record with other fields"),
        ({"terms": b"\xc1"}, "disagree on bound"),
        ({"clients": b""}, "disagree on the file of clients"),
        ({"rounds": 0}, "InputError"),
        ({"layout": b"short"}, "a model that is none"),
        ({"values": -1}, "a model that is none"),
    ],
)
def test_bytes_that_do_not_fit(federation: Federation, fields: dict[str, object], reason: str) -> None:
    grid = attacked(federation, lambda message, name: [changed(message, **fields)])
    assert all(reason in refusal for refusal in grid.refusals)


def test_a_client_with_a_key_that_is_not_pinned(federation: Federation, tmp_path: Path) -> None:
    """Whoever comes with a key of its own is left out; the others go on."""
    (tmp_path / "else").mkdir()
    stranger = Federation.make(tmp_path / "else", ["north"])
    nodes = federation.nodes
    text = (tmp_path / "clients.toml").read_text().replace(federation.clients["north"], stranger.clients["north"])
    (tmp_path / "else" / "clients.toml").write_text(text)
    nodes[1] = stranger.nodes[0]
    grid = Watched(app(TERMS), nodes)
    strategy = SecureFedAvg(TERMS, federation.clients)
    run(grid, strategy, rounds=1)
    assert strategy.included[1] == ("east", "south", "west")
    assert any("the file of clients" in reason for reason in grid.refusals)


def test_a_client_that_replies_with_anything_is_left_out(federation: Federation) -> None:
    grid = federation.grid(app(TERMS))

    def reply(message: Message, name: str) -> Message:
        if message.metadata.src_node_id == 2 and name in ("train vector", "evaluate answer"):
            return make_message(metadata=message.metadata, content=RecordDict({"arrays": initial()}))
        return message

    grid.on_return = reply
    strategy = SecureFedAvg(TERMS, federation.clients)
    run(grid, strategy, rounds=2)
    assert strategy.included[2] == ("east", "south", "west")


@pytest.mark.parametrize("secure", [True, False])
def test_nothing_of_a_client_is_in_the_servers_record(federation: Federation, secure: bool) -> None:
    """No trained value, no update, no weight and no metric, in any encoding that a reader would try.

    With plain averaging all of it is found, so that the search is one.
    """
    random = np.random.default_rng(3)
    trained: list[np.ndarray] = []
    metric = "loss of sleep"  # any four bytes occur among so many masked ones, once in 100,000 runs
    terms = dataclasses.replace(TERMS, metrics={metric: 100.0}, evaluate_metrics={metric: 100.0})
    made = ClientApp(mods=[SecureMod(terms)] if secure else [])

    def told(**records: ArrayRecord) -> RecordDict:
        return RecordDict({**records, "metrics": MetricRecord({"num-examples": 987, metric: 0.123456789})})

    @made.train()
    def train(message: Message, context: Context) -> Message:
        trained.append(random.normal(0, 0.5, 500))
        return Message(told(arrays=ArrayRecord({"canary": Array(trained[-1])})), reply_to=message)

    @made.evaluate()
    def evaluate(message: Message, context: Context) -> Message:
        return Message(told(), reply_to=message)

    grid = federation.grid(made)
    strategy = SecureFedAvg(terms, federation.clients) if secure else FedAvg()
    run(grid, strategy, rounds=2, arrays=ArrayRecord({"canary": Array(np.zeros(500))}))
    assert not grid.refusals
    seen = grid.seen()
    assert len(trained) == 8
    # eight bytes at a time: four come about by chance
    words = {seen[at : at + 8] for at in range(len(seen))}
    limit = ((1 << 31) - 1) // 4
    for values in trained:
        # what the first round was sent was zero, so that its arrays are its updates
        fixed = np.rint(values * (limit / 4.0 * 0.987)).astype("<i4")
        for encoded in (values.astype("<f8"), values.astype("<f4"), fixed, fixed.astype("<i8")):
            step = encoded.itemsize
            pieces = [encoded.tobytes()[at : at + 8] for at in range(0, encoded.nbytes - 7, step)]
            assert words.isdisjoint(pieces) if secure or encoded.dtype != "<f8" else words.issuperset(pieces)
    for canary in (np.float64(0.123456789).tobytes(), b"num-examples", metric.encode()):
        assert (canary in seen) is not secure


def test_the_text_of_a_strangers_error_stays_at_the_node(federation: Federation) -> None:
    made = ClientApp(mods=[SecureMod(TERMS)])

    @made.train()
    def train(message: Message, context: Context) -> Message:
        raise ValueError("the row of the patient Canary")

    grid = federation.grid(made)
    with pytest.raises(TransportError) as caught:
        run(grid, SecureFedAvg(TERMS, federation.clients))
    assert "Canary" not in str(caught.value)
    assert b"Canary" not in grid.seen()
    assert grid.refusals == ["ValueError"] * 4


def test_an_app_that_fails_once_is_back_in_the_next_round(federation: Federation) -> None:
    """What it did before it failed was kept with the context."""
    failed = set()
    made = ClientApp(mods=[SecureMod(TERMS)])

    @made.train()
    def train(message: Message, context: Context) -> Message:
        if context.node_id == 2 and not failed:
            failed.add(2)
            raise RuntimeError
        metrics = MetricRecord({"num-examples": len(rows(context)[1]), "loss": 1.0})
        arrays = step(message.content["arrays"], context)
        return Message(RecordDict({"arrays": arrays, "metrics": metrics}), reply_to=message)

    terms = Terms(bound=4.0, max_examples=1000, metrics={"loss": 100.0})
    made = ClientApp(mods=[SecureMod(terms)])
    made.train()(train)
    strategy = SecureFedAvg(terms, federation.clients)
    run(federation.grid(made), strategy, rounds=2)
    assert [len(strategy.included[number]) for number in (1, 2)] == [3, 4]
