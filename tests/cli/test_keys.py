"""fusion keygen."""

from __future__ import annotations

import stat
import tomllib

import pytest

from fusion.channel.identity import Identity


def test_writes_an_identity_that_only_its_owner_reads(fusion, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ran = fusion("keygen", "hospital")
    assert ran.code == 0
    assert ran.err == ""
    path = tmp_path / "hospital.key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [file.name for file in tmp_path.iterdir()] == ["hospital.key"]
    identity = Identity.load(path)
    assert identity.name == "hospital"
    assert identity.fingerprint in ran.out
    assert "PRIVATE" not in ran.out


@pytest.mark.parametrize("name", ["hospital", "st.mary", "a-b_c"])
def test_prints_the_lines_for_the_peer(fusion, tmp_path, name):
    ran = fusion("keygen", name, "--out", tmp_path / "key.pem")
    lines = ran.out[ran.out.index("[peers.") :]
    entry = tomllib.loads(lines)["peers"]
    assert entry == {name: {"fingerprint": Identity.load(tmp_path / "key.pem").fingerprint}}


def test_json(fusion, tmp_path):
    path = tmp_path / "key.pem"
    answer = fusion("keygen", "hospital", "--out", path, "--json").json
    identity = Identity.load(path)
    assert answer.pop("peer_entry") == f'[peers.hospital]\nfingerprint = "{identity.fingerprint}"\n'
    assert answer == {"name": "hospital", "fingerprint": identity.fingerprint, "path": str(path)}


def test_never_overwrites(fusion, tmp_path):
    path = tmp_path / "key.pem"
    path.write_text("precious")
    ran = fusion("keygen", "hospital", "--out", path, "--json")
    assert ran.code == 1
    assert ran.json == {"error": "InputError", "message": ran.one_line}
    assert path.read_text() == "precious"


@pytest.mark.parametrize("name", ["both", "all", "", "two words", "../up"])
def test_refuses_names_that_cannot_be(fusion, tmp_path, name):
    ran = fusion("keygen", name, "--out", tmp_path / "key.pem")
    assert ran.code == 1
    assert ran.one_line
    assert list(tmp_path.iterdir()) == []


def test_folder_that_is_not_there(fusion, tmp_path):
    ran = fusion("keygen", "hospital", "--out", tmp_path / "nowhere" / "key.pem")
    assert ran.code == 1
    assert "folder" in ran.one_line
