"""Pictures are drawn, the same for the same figures, and refused where there is nothing to compare."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks import BenchmarkError, plot

MACHINE = {"cpu": "some processor", "family_model_stepping": "1/2/3", "cores_used": [0, 1], "python": "3.11.0"}


def intersection(*sizes: int) -> dict[str, Any]:
    def told(seconds: float) -> dict[str, Any]:
        return {"seconds": seconds, "spread": [seconds * 0.9, seconds * 1.1]}

    series = [
        {"n": n, "fusion": told(n / 1000), "peers": {"secretflow": told(n / 900), "openmined": told(n / 50)}}
        for n in sizes
    ]
    return {"benchmark": "psi", "learn": "both", "machine": MACHINE, "n": list(sizes), "series": series}


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


@pytest.mark.parametrize("found", [intersection(16, 64, 1000), kernels(LIBSODIUM)], ids=["psi", "kernels"])
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
