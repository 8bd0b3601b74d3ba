"""What a server that deviates may try against encrypted averages: each is refused, and by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from flwr.app import ConfigRecord, Message, RecordDict
from flwr.app.message import make_message

from fusion.aggregation.joint import agreed
from fusion.aggregation.joint.messages import Claim, Commitments, Evidence, Update
from fusion.aggregation.masked.messages import decode, encode
from fusion.errors import TransportError
from fusion.flower import HomomorphicFedAvg, HomomorphicMod, Terms, wire
from tests.flower.federation import Federation, Watched, app, run

TERMS = Terms(bound=4.0, max_examples=1000, metrics={"loss": 100.0})

Attack = Callable[[Message, str], list[Message]]


def changed(message: Message, **records: Any) -> Message:
    return make_message(metadata=message.metadata, content=RecordDict({**message.content, **records}))


def with_field(message: Message, **fields: Any) -> Message:
    return changed(message, fusion=ConfigRecord({**message.content["fusion"], **fields}))


def attacked(federation: Federation, attack: Attack, failure: str) -> Watched:
    grid = federation.grid(app(TERMS, HomomorphicMod))
    grid.on_the_way = attack
    with pytest.raises(TransportError, match=failure):
        run(grid, HomomorphicFedAvg(TERMS, federation.clients), rounds=2)
    return grid


def update_of(grid: Watched, node: int) -> bytes:
    """The second halves of what a node sent in the first round."""
    for message in grid.record:
        record = message.content.array_records.get("fusion") if message.has_content() else None
        if message.metadata.src_node_id == node and record and record["data"].stype.startswith("fusion.update"):
            return decode(record["data"].data, Update, "the test").second
    raise AssertionError


def test_one_update_instead_of_the_sum(federation: Federation) -> None:
    """From the claim on, the server goes by the update of the first client."""
    grid = federation.grid(app(TERMS, HomomorphicMod))

    def attack(message: Message, step: str) -> list[Message]:
        if step == "train coin":
            claim = decode(message.content["fusion"]["claim"], Claim, "the test")
            other = msgspec.structs.replace(claim, total=agreed.total_hash(update_of(grid, 1)))
            return [with_field(message, claim=encode(other))]
        return [message]

    grid.on_the_way = attack
    # our own server notices that the coins are not for its claim, before anything can be opened
    with pytest.raises(TransportError, match=r"0 of 4 clients sent their coins.*another claim"):
        run(grid, HomomorphicFedAvg(TERMS, federation.clients), rounds=1)


def test_another_sum_after_the_challenge(federation: Federation) -> None:
    grid = federation.grid(app(TERMS, HomomorphicMod))

    def attack(message: Message, step: str) -> list[Message]:
        if step == "train open":
            evidence = decode(wire.vector_of(message, "evidence", "", wire.LONG), Evidence, "the test")
            other = encode(msgspec.structs.replace(evidence, total=update_of(grid, 1)))
            return [changed(message, **{wire.LONG: wire.vector(other, "evidence")})]
        return [message]

    grid.on_the_way = attack
    with pytest.raises(TransportError, match="0 of 4 clients opened"):
        run(grid, HomomorphicFedAvg(TERMS, federation.clients), rounds=1)
    assert len(grid.refusals) == 4
    assert all("not the one that it claimed before it knew the challenge" in reason for reason in grid.refusals)


@pytest.mark.parametrize(
    ("step", "reason", "failure"),
    [
        ("train commit", "the keys of this run a second time", "0 of 4 clients committed"),
        ("train contribute", "another list of commitments, and this client", "0 of 4 clients contributed"),
        ("train update", "round 0 comes a second time", "0 of 4 clients sent updates"),
        ("train coin", "a second sum in round 0", "0 of 4 clients sent their coins"),
        ("train projection", "a second projection in round 0", "4 of 4 clients sent an update and no projection"),
        ("train open", "a second opening of round 0", "0 of 4 clients opened"),
    ],
)
def test_a_message_repeated(federation: Federation, step: str, reason: str, failure: str) -> None:
    grid = attacked(federation, lambda message, name: [message] * (1 + (name == step)), failure)
    assert len(grid.refusals) == 4
    assert all(reason in each for each in grid.refusals)


def test_a_message_replayed_to_an_older_state(federation: Federation) -> None:
    """What must not be done twice is in the file of the client, whatever its node gives back as the state."""
    grid = federation.grid(app(TERMS, HomomorphicMod))
    kept: dict[int, RecordDict] = {}

    def attack(message: Message, step: str) -> list[Message]:
        node = message.metadata.dst_node_id
        if step == "train open":
            if message.metadata.group_id == "1":
                kept[node] = RecordDict(dict(grid.contexts[node].state))
                return [message]
            grid.contexts[node].state = kept[node]
        return [message]

    grid.on_the_way = attack
    with pytest.raises(TransportError, match="0 of 4 clients opened"):
        run(grid, HomomorphicFedAvg(TERMS, federation.clients), rounds=2)
    assert all("goes on with round 1, in which this client has seen no claim" in each for each in grid.refusals)


def test_a_client_of_the_servers_own_making(federation: Federation, tmp_path_factory: pytest.TempPathFactory) -> None:
    strangers = Federation.make(tmp_path_factory.mktemp("strangers"))
    other = strangers.grid(app(TERMS, HomomorphicMod))
    forged: list[bytes] = []

    def watch(message: Message, step: str) -> list[Message]:
        if step == "train contribute":
            forged.append(decode(message.content["fusion"]["train"], Commitments, "the test").entries[3])
        return [message]

    other.on_the_way = watch
    run(other, HomomorphicFedAvg(TERMS, strangers.clients), rounds=1)

    def attack(message: Message, step: str) -> list[Message]:
        if step != "train contribute":
            return [message]
        listed = decode(message.content["fusion"]["train"], Commitments, "the test")
        return [with_field(message, train=encode(Commitments((*listed.entries[:3], forged[0]))))]

    grid = attacked(federation, attack, "0 of 4 clients contributed")
    assert all("Commitment of west is not signed by its pinned identity" in each for each in grid.refusals)


def test_a_list_of_too_few(federation: Federation) -> None:
    def attack(message: Message, step: str) -> list[Message]:
        if step != "train coin":
            return [message]
        claim = decode(message.content["fusion"]["claim"], Claim, "the test")
        return [with_field(message, claim=encode(msgspec.structs.replace(claim, included=(0, 1))))]

    grid = attacked(federation, attack, "0 of 4 clients sent their coins")
    assert all("sum has 2 updates; at least 3 must be" in each for each in grid.refusals)


def test_a_model_of_other_arrays_and_a_request_in_clear(federation: Federation) -> None:
    def clear(message: Message, step: str) -> list[Message]:
        if step == "train update":
            content = RecordDict({name: each for name, each in message.content.items() if name != "fusion"})
            return [make_message(metadata=message.metadata, content=content)]
        return [message]

    grid = attacked(federation, clear, "0 of 4 clients sent updates")
    assert all("asks this app to train and reply in clear" in each for each in grid.refusals)
