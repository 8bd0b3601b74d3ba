"""Who a client is comes from its own files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from flwr.app import ConfigRecord, Context, Message

from fusion.errors import InputError
from fusion.flower import (
    HomomorphicFedAvg,
    HomomorphicMod,
    Member,
    SecureFedAvg,
    SecureMod,
    Terms,
    load_clients,
)
from tests.flower.federation import NAMES, Federation, app, run


def context(**config: str) -> Context:
    return Context(1, 1, config, None, {})


def test_a_member_of_a_node(federation: Federation) -> None:
    member = Member.of_node(context(**federation.nodes[1]))
    assert member.identity.name == "north"
    assert member.clients == dict(sorted(federation.clients.items()))
    assert member.memory == federation.folder / "north.rounds"


def test_a_node_without_an_identity() -> None:
    with pytest.raises(InputError, match="this node has no identity"):
        Member.of_node(context())


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is no list of clients"),
        ("north", "is no list of clients"),
        ("[north]\nfingerprint = 'x'", "is no list of clients"),
        ("north = 'ed25519:0'", "a fingerprint is"),
        ("'no name' = 'ed25519:0'", "a party's name"),
    ],
)
def test_a_list_of_clients_that_is_none(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "clients.toml").write_text(text)
    with pytest.raises(InputError, match=reason):
        load_clients(tmp_path / "clients.toml")


def test_a_list_of_clients_that_is_missing_or_names_others(federation: Federation, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot read"):
        load_clients(tmp_path / "nothing.toml")
    east = federation.clients["east"]
    (tmp_path / "twice.toml").write_text(f'a = "{east}"\nb = "{east}"\n')
    with pytest.raises(InputError, match="two clients have the same fingerprint"):
        load_clients(tmp_path / "twice.toml")
    (tmp_path / "others.toml").write_text(f'north = "{east}"\n')
    with pytest.raises(InputError, match="does not hold north with the fingerprint"):
        Member.load(federation.folder / "north.key", tmp_path / "others.toml")


@pytest.mark.parametrize(("mod", "strategy"), [(SecureMod, SecureFedAvg), (HomomorphicMod, HomomorphicFedAvg)])
def test_what_flower_keeps_of_a_client_is_sealed(tmp_path: Path, mod: Any, strategy: Any) -> None:
    """A client's own encoding of its state, which holds its secrets, has everybody's names in clear."""
    federation = Federation.make(tmp_path, [f"{name}-hospital" for name in NAMES])  # too long to occur by chance
    terms = Terms(bound=4.0, max_examples=1000, metrics={"loss": 100.0})
    grid = federation.grid(app(terms, mod))
    kept: list[bytes] = []

    def watch(message: Message, step: str) -> list[Message]:
        for record in grid.contexts[message.metadata.dst_node_id].state.config_records.values():
            kept.extend(value for value in record.values() if isinstance(value, bytes) and len(value) > 32)
        return [message]

    grid.on_the_way = watch
    run(grid, strategy(terms, federation.clients), rounds=2)
    assert len(kept) > 8
    assert not any(b"north-hospital" in each for each in kept)


def test_what_is_sealed_is_opened_by_its_owner_alone_and_unchanged(federation: Federation) -> None:
    north, south = (Member.of_node(context(**node)) for node in federation.nodes[1:3])
    sealed = north.seal(b"secret", "run 1")
    assert north.unseal(sealed, "run 1") == b"secret"
    assert north.seal(b"secret", "run 1") != sealed
    altered = sealed[:-1] + bytes([sealed[-1] ^ 1])
    for member, data, about in (
        (south, sealed, "run 1"),
        (north, sealed, "run 2"),
        (north, altered, "run 1"),
        (north, b"", "run 1"),
    ):
        with pytest.raises(InputError, match="begin a new run"):
            member.unseal(data, about)


def test_a_context_of_anothers_making_is_refused(federation: Federation) -> None:
    """Whoever can write a client's context cannot put a state of its own choice there."""
    terms = Terms(bound=4.0, max_examples=1000, metrics={"loss": 100.0})
    grid = federation.grid(app(terms))

    def swap(message: Message, step: str) -> list[Message]:
        if step == "train shares" and message.metadata.dst_node_id == 2:
            ours, theirs = (grid.contexts[node].state.config_records for node in (2, 1))
            (name,) = ours
            ours[name] = ConfigRecord(dict(theirs[name]))
        return [message]

    grid.on_the_way = swap
    run(grid, SecureFedAvg(terms, federation.clients), rounds=1)
    assert any("sealed by another, or changed" in reason for reason in grid.refusals)
