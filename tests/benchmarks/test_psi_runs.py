"""Who takes part at which size, and who is compared with whom. Runs are made up; no process starts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks import psi
from benchmarks.children import Report
from benchmarks.psi_runs import PARTIES, Setting

# seconds at n rows: who, by which protocol, who learns
SECONDS = {
    ("ours", "auto", "both"): lambda n: n / 100,
    ("ours", "ecdh", "both"): lambda n: n / 100,
    ("ours", "vole", "both"): lambda n: n / 400,
    ("ours", "ecdh", "one"): lambda n: n / 200,
    ("ours", "vole", "one"): lambda n: n / 500,
    ("secretflow", "ecdh", "both"): lambda n: n / 10,  # more than 15 seconds at 256 and above
    ("secretflow", "vole", "both"): lambda n: n / 100,
    ("openmined", "ecdh", "one"): lambda n: n / 5,  # more than 15 seconds at 128 and above
}


@pytest.fixture(autouse=True)
def made_up(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, str, int]]:
    runs: list[tuple[str, str, str, int]] = []

    def play(who: str, setting: Setting, protocol: str, learn: str) -> dict[str, Report]:
        runs.append((who, protocol, learn, setting.n))
        seconds = SECONDS[who, protocol, learn](setting.n)
        details: dict[str, Any] = {"phases": {"working": seconds}, "kernel": {}} if who == "ours" else {}
        return {party: Report(10.0, 10.0 + seconds, 1.0, 100.0, 8 * setting.n, dict(details)) for party in PARTIES}

    monkeypatch.setattr(psi, "ours", lambda setting, protocol, learn: play("ours", setting, protocol, learn))
    monkeypatch.setattr(
        psi, "secretflow", lambda setting, _, protocol, learn: play("secretflow", setting, protocol, learn)
    )
    monkeypatch.setattr(psi, "openmined", lambda setting, _: play("openmined", setting, "ecdh", "one"))
    monkeypatch.setattr(psi.peers, "environment", lambda peer, python: Path(peer))
    return runs


def measure(*sizes: int, protocols: tuple[str, ...] = ("ecdh", "vole"), **more: Any) -> dict[str, Any]:
    peers = more.pop("against", ("secretflow", "openmined"))
    return psi.benchmark(sizes, protocols=protocols, learn="both", link="lan", repeat=2, against=peers, **more)


def test_a_peer_runs_what_we_run_and_one_learner_is_compared_with_one() -> None:
    ecdh, vole = measure(64)["series"]
    assert ecdh["peers"]["secretflow"]["protocol"] == "ECDH on Curve25519"
    assert vole["peers"]["secretflow"]["protocol"] == "RR22, fast mode"
    assert ecdh["peers"]["secretflow"]["ratio"] == 10
    assert vole["peers"]["secretflow"]["ratio"] == 4
    assert ecdh["peers"]["openmined"]["ratio"] == 40  # not to our 0.64 s, in which both learn
    assert vole["peers"]["openmined"]["ratio"] == 100
    assert ecdh["fusion"]["bytes_per_item"] == 16
    assert ecdh["fusion"]["runs"] == 2


def test_what_is_the_same_for_two_protocols_is_measured_once(made_up: list[tuple[str, str, str, int]]) -> None:
    measure(64)
    assert made_up.count(("openmined", "ecdh", "one", 64)) == 2  # turns
    assert len(made_up) == 2 * 7


def test_who_takes_long_in_a_series_sits_out_larger_sizes() -> None:
    series = measure(64, 128, 256, 512)["series"]
    took_part = {(one["protocol"], one["n"]): set(one["peers"]) for one in series}
    assert took_part == {
        ("ecdh", 64): {"secretflow", "openmined"},
        ("vole", 64): {"secretflow", "openmined"},
        ("ecdh", 128): {"secretflow", "openmined"},
        ("vole", 128): {"secretflow", "openmined"},
        ("ecdh", 256): {"secretflow"},
        ("vole", 256): {"secretflow"},
        ("ecdh", 512): set(),
        ("vole", 512): {"secretflow"},
    }


def test_one_size_is_measured_however_long_it_takes() -> None:
    found = measure(512, protocols=("ecdh",), against=("secretflow",))
    assert found["peers"]["secretflow"]["runs"] == 2


def test_what_auto_stands_for_is_said_and_given_to_the_peer() -> None:
    found = measure(64, protocols=("auto",), against=("secretflow",))
    assert found["protocol"] == "auto"
    assert found["fusion"]["protocol"] == "ecdh"
    assert found["peers"]["secretflow"]["protocol"] == "ECDH on Curve25519"
