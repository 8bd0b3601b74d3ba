"""Pictures are drawn, the same for the same figures, and refused where there is nothing to compare."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from matplotlib.axes import Axes

from benchmarks import BenchmarkError, plot

MACHINE = {"cpu": "some processor", "family_model_stepping": "1/2/3", "cores_used": [0, 1], "python": "3.11.0"}


def intersection(*sizes: int) -> dict[str, Any]:
    def told(seconds: float, protocol: str) -> dict[str, Any]:
        spread = [seconds * 0.9, seconds * 1.1]
        return {"seconds": seconds, "spread": spread, "bytes_per_item": 30 + 1e6 / seconds, "protocol": protocol}

    series = []
    for n in sizes:
        for protocol in ("ecdh", "vole"):
            peers = {"secretflow": told(n / 900, "some name")}
            if n < max(sizes):  # it sits out the largest
                peers["openmined"] = told(n / 50, "another name")
            series.append({"protocol": protocol, "n": n, "fusion": told(n / 1000, protocol), "peers": peers})
    head = {"benchmark": "psi", "protocol": ["ecdh", "vole"], "link": "lan", "learn": "both", "machine": MACHINE}
    return {**head, "n": list(sizes), "series": series}


OVER_A_RELAY = {"link": "wan", "relay": {"mbit_per_second": 100, "round_trip_ms": 10}}


def kernels(peers: dict[str, Any]) -> dict[str, Any]:
    ours = {"multiply": {"fast": {"microseconds": 3.0}, "portable": {"microseconds": 30.0}}}
    return {
        "benchmark": "kernels",
        "n": 5,
        "machine": MACHINE,
        "fusion": {"operations": ours},
        "peers": peers,
    }


LIBSODIUM = {"libsodium": {"version": "1.0", "operations": {"multiply": {"ratio": {"fast": 12.0, "portable": 1.1}}}}}


@pytest.mark.parametrize(
    "found",
    [intersection(16, 64, 1000), {**intersection(16, 32), **OVER_A_RELAY}, kernels(LIBSODIUM)],
    ids=["psi", "psi over a relay", "kernels"],
)
def test_a_picture_is_drawn_and_reproducible(found: dict[str, Any], tmp_path: Path) -> None:
    first, second = tmp_path / "1.svg", tmp_path / "2.svg"
    plot.draw(found, first)
    plot.draw(found, second)
    assert "<svg" in first.read_text("utf-8")
    assert len(first.read_bytes()) > 10_000
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize("found", [intersection(16), kernels({})], ids=["one size", "no peer"])
def test_nothing_to_compare(found: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match=r"several sizes|--against"):
        plot.draw(found, tmp_path / "x.svg")


def test_a_picture_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match="cannot write"):
        plot.draw(intersection(16, 32), tmp_path / "missing" / "x.svg")


def test_every_curve_has_a_name_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    annotate = Axes.annotate

    def listening(axes: Axes, text: str, *arguments: Any, **more: Any) -> Any:
        said.append(text)
        return annotate(axes, text, *arguments, **more)

    monkeypatch.setattr(Axes, "annotate", listening)
    plot.draw(intersection(16, 64), tmp_path / "x.svg")
    names = ["Fusion ecdh", "Fusion vole", "OpenMined", "SecretFlow ECDH", "SecretFlow RR22"]
    assert sorted(text.split("  ")[0] for text in said) == sorted(names * 2)  # one for each panel
    assert said.count("OpenMined") == 2  # it ended early, where its value is not comparable
