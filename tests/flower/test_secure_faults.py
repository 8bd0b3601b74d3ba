"""Whatever is lost or changed on the way: the model is the average over those that are named, or there is an error."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, Message, RecordDict
from flwr.app.message import make_message

from fusion.aggregation.masked.messages import Answer, decode, encode
from fusion.errors import FusionError
from fusion.flower import SecureFedAvg, Terms
from tests.flower.federation import Federation, app, run
from tests.flower.test_secure_fedavg import same, twin

NAMES = ["a", "b", "c", "d", "e"]
TERMS = Terms(bound=4.0, max_examples=1000, metrics={"loss": 100.0})


def outcome(federation: Federation, grid: object) -> str:
    """Either of the two; anything else fails the test."""
    strategy = SecureFedAvg(TERMS, federation.clients)
    try:
        found = run(grid, strategy, rounds=2)
    except FusionError:
        return "error"
    included = [strategy.included[number] for number in (1, 2)]
    assert all(len(names) >= 4 for names in included)  # the threshold of five
    same(found.arrays, twin(included, NAMES))
    return "model"


def test_messages_that_are_lost(tmp_path: Path) -> None:
    """Each of the some 40 of a run, in either direction, with some probability."""
    found = []
    for seed in range(8):
        (tmp_path / str(seed)).mkdir()
        federation = Federation.make(tmp_path / str(seed), NAMES)
        random = np.random.default_rng(seed)
        grid = federation.grid(app(TERMS))
        grid.on_the_way = lambda message, step, random=random: [] if random.random() < 0.02 else [message]
        grid.on_return = lambda reply, step, random=random: None if random.random() < 0.02 else reply
        found.append(outcome(federation, grid))
    assert set(found) == {"model", "error"}


def damaged(message: Message, random: np.random.Generator) -> Message:
    """A copy with one bit of one of our fields turned over, a field cut short, or one too many."""
    if message.has_error():
        return message
    content = RecordDict(dict(message.content.items()))
    record = content["fusion"]
    if isinstance(record, ArrayRecord):
        data = record["data"]
        # its words look uniform whatever they are; what can be checked is their number
        cut = data.data[: random.integers(len(data.data))]
        content["fusion"] = ArrayRecord({"data": Array(data.dtype, data.shape, data.stype, cut)})
    else:
        fields = dict(record)
        name = random.choice(sorted(name for name, value in fields.items() if isinstance(value, bytes)))
        fields[name] = turned(fields[name], random)
        content["fusion"] = ConfigRecord(fields)
    return make_message(metadata=message.metadata, content=content)


def turned(data: bytes, random: np.random.Generator) -> bytes:
    kind = random.integers(4)
    if kind == 0:
        return data[: random.integers(len(data))]
    if kind == 1:
        return data + random.bytes(1)
    out = bytearray(data)
    out[random.integers(len(out))] ^= 1 << int(random.integers(8))
    return bytes(out)


@pytest.mark.parametrize("step", ["keys", "shares", "vector", "answer"])
@pytest.mark.parametrize("way", ["there", "back"])
@pytest.mark.parametrize("seed", range(2))
def test_messages_that_are_changed(tmp_path: Path, step: str, way: str, seed: int) -> None:
    """All messages of that step, to one client or from it."""
    federation = Federation.make(tmp_path, NAMES)
    random = np.random.default_rng(seed)
    grid = federation.grid(app(TERMS))
    if way == "there":
        grid.on_the_way = lambda message, name: [
            damaged(message, random) if name == f"train {step}" and message.metadata.dst_node_id == 2 else message
        ]
    else:
        grid.on_return = lambda reply, name: (
            damaged(reply, random) if name == f"train {step}" and reply.metadata.src_node_id == 2 else reply
        )
    outcome(federation, grid)


def test_shares_that_do_not_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The others' are enough: the round goes on with everybody's update in it, and the log names the client."""
    logged: list[str] = []
    monkeypatch.setattr("fusion.flower.secure.log", lambda level, text, *found: logged.append(text % found))

    def wrong(reply: Message, name: str) -> Message:
        if name == "train answer" and reply.metadata.src_node_id == 2:
            answer = decode(reply.content["fusion"]["answer"], Answer, "test")
            answer = msgspec.structs.replace(answer, locked=bytes(len(answer.locked)))
            reply.content["fusion"]["answer"] = encode(answer)
        return reply

    federation = Federation.make(tmp_path, NAMES)
    grid = federation.grid(app(TERMS))
    grid.on_return = wrong
    assert outcome(federation, grid) == "model"
    assert sum(line.startswith("b: its answer does not fit the others', which were enough; ") for line in logged) == 2
