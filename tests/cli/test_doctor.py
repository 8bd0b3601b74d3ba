"""fusion doctor."""

from __future__ import annotations

import importlib.metadata
import threading
import tomllib
from pathlib import Path

import pytest

import fusion as package
from fusion import kernels
from fusion.channel.identity import Identity
from fusion.cli import doctor


def test_says_what_is_installed(fusion):
    ran = fusion("doctor", "--json")
    assert ran.code == 0
    answer = ran.json
    assert answer["version"] == package.__version__
    assert answer["kernel"] == {"active": kernels.active(), "variants": list(kernels.variants())}
    assert answer["packages"]["pandas"] == importlib.metadata.version("pandas")
    assert "OpenSSL" in answer["packages"]["openssl"]
    assert answer["extras"] == dict.fromkeys(doctor._EXTRAS, True)
    assert (answer["problems"], answer["ok"]) == ([], True)
    assert "party" not in answer


def test_reads_well(fusion):
    ran = fusion("doctor")
    assert ran.code == 0
    assert "Nothing is wrong." in ran.out
    assert package.__version__ in ran.out


def test_knows_every_extra_of_the_project():
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    extras = set(project["optional-dependencies"]) - {"all", "dev"}
    assert set(doctor._EXTRAS) == extras


def test_a_kernel_that_is_not_there(fusion, monkeypatch):
    monkeypatch.setenv("FUSION_KERNEL", "abacus")
    ran = fusion("doctor", "--json")
    assert ran.code == 1
    assert ran.json["kernel"]["active"] is None
    assert not ran.json["ok"]
    assert "abacus" in ran.json["problems"][0]
    assert ran.one_line == ran.json["problems"][0]


def test_a_missing_package_is_a_problem(fusion, monkeypatch):
    def version(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    ran = fusion("doctor", "--json")
    assert ran.code == 1
    assert len(ran.json["problems"]) == len(doctor._PACKAGES)


def test_shows_the_party(fusion, parties):
    ran = fusion("doctor", "--config", parties["insurer"], "--json")
    assert ran.code == 0
    party = ran.json["party"]
    identity = Identity.load(parties["insurer"].parent / "key.pem")
    assert (party["name"], party["fingerprint"], party["mode"]) == ("insurer", identity.fingerprint, "0600")
    assert party["listen"] is None
    assert set(party["peers"]) == {"hospital"}
    assert "peer" not in ran.json
    assert "PRIVATE" not in ran.out


def test_an_open_identity_is_a_problem(fusion, parties):
    (parties["insurer"].parent / "key.pem").chmod(0o644)
    ran = fusion("doctor", "--config", parties["insurer"])
    assert ran.code == 1
    assert "chmod 600" in ran.one_line


@pytest.mark.parametrize("content", ["", "name = 1", "not toml at all", 'name = "a"\nidentity = "none.key"\n[peers]'])
def test_a_party_file_that_cannot_be_used(fusion, tmp_path, content):
    path = tmp_path / "party.toml"
    path.write_text(content)
    ran = fusion("doctor", "--config", path, "--json")
    assert ran.code == 1
    assert ran.json["party"] is None
    assert len(ran.json["problems"]) == 1


def test_a_peer_that_answers(fusion, parties):
    from fusion.channel.connect import probe

    # the hospital waits for somebody, as it does between sessions; being probed itself, it answers
    asked = threading.Thread(target=probe, args=(parties["hospital"], "insurer", 20.0))
    asked.start()
    ran = fusion("doctor", "--config", parties["insurer"], "--peer", "hospital", "--json")
    asked.join()
    assert ran.code == 0, ran.err
    assert (ran.json["peer"]["name"], ran.json["peer"]["version"]) == ("hospital", package.__version__)


def test_a_peer_that_does_not_answer(fusion, parties, monkeypatch):
    monkeypatch.setattr(doctor, "_PROBE_SECONDS", 0.5)
    ran = fusion("doctor", "--config", parties["insurer"], "--peer", "hospital", "--json")
    assert ran.code == 1
    assert ran.json["peer"] is None
    assert "hospital" in ran.last_line


def test_a_peer_that_is_not_in_the_file(fusion, parties):
    ran = fusion("doctor", "--config", parties["insurer"], "--peer", "bank")
    assert ran.code == 1
    assert "hospital" in ran.last_line
