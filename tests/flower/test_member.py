"""Who a client is comes from its own files."""

from __future__ import annotations

from pathlib import Path

import pytest
from flwr.app import Context

from fusion.errors import InputError
from fusion.flower import Member, load_clients
from tests.flower.federation import Federation


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
