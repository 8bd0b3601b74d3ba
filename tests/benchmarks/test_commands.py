"""The commands as a user runs them: one JSON object of a fixed shape, and errors of one line. No peers, no timing."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from fusion import kernels

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "benchmarks"]
MACHINE = {
    "cpu",
    "family_model_stepping",
    "flags",
    "virtual",
    "cores",
    "cores_used",
    "load",
    "memory_mb",
    "system",
    "python",
    "openssl",
    "packages",
}
MEASURED = {"seconds", "spread"}


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *arguments], cwd=ROOT, capture_output=True, text=True, check=False, timeout=100)


def result(*arguments: str) -> dict[str, Any]:
    done = run(*arguments, "--json", "--repeat", "1")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 1
    found: dict[str, Any] = json.loads(done.stdout)
    assert set(found["machine"]) == MACHINE
    return found


def check_measured(told: dict[str, Any]) -> None:
    low, high = told["spread"]
    assert 0 < low <= told["seconds"] <= high


def check_fusion(told: dict[str, Any]) -> None:
    assert set(told) == MEASURED | {"version", "phases", "kernel", "bytes_per_item", "peak_mb", "cpu_seconds"}
    check_measured(told)
    assert set(told["peak_mb"]) == set(told["cpu_seconds"]) == {"receiver", "sender"}
    assert {"reading keys", "exchanging masks", "comparing transcripts"} <= set(told["phases"])
    assert 0 < sum(told["phases"].values()) <= told["seconds"] * 1.01


def test_intersection() -> None:
    found = result("psi", "--n", "2^6")
    assert list(found) == ["benchmark", "protocol", "n", "learn", "machine", "fusion", "peers"]
    assert (found["benchmark"], found["protocol"], found["n"], found["learn"]) == ("psi", "ecdh", 64, "both")
    assert found["peers"] == {}
    check_fusion(found["fusion"])
    # both sides: 32 bytes and a tag of 52 bits an item; the rest is frames
    assert 2 * (32 + 7) < found["fusion"]["bytes_per_item"] < 2 * (32 + 7) + 40


def test_intersection_of_several_sizes_with_one_learner() -> None:
    found = result("psi", "--n", "33,2^6", "--learn", "one")
    assert list(found) == ["benchmark", "protocol", "n", "learn", "machine", "series"]
    assert (found["n"], found["learn"]) == ([33, 64], "one")
    for n, one in zip((33, 64), found["series"], strict=True):
        assert one["n"] == n
        check_fusion(one["fusion"])


def test_kernels() -> None:
    found = result("kernels", "--n", "17")
    assert list(found) == ["benchmark", "protocol", "n", "machine", "fusion", "peers"]
    operations = found["fusion"]["operations"]
    assert {"multiply", "multiply_base", "from_uniform", "hash_to_group", "decode", "encode", "add"} < set(operations)
    for name, told in operations.items():
        assert set(told) in ({"native"}, set(kernels.variants())), name
        for measured in told.values():
            low, high = measured["spread"]
            assert 0 <= low <= measured["microseconds"] <= high


def test_channel() -> None:
    found = result("channel", "--n", "300000")
    assert list(found) == ["benchmark", "protocol", "n", "machine", "fusion", "peers"]
    for told in (found["fusion"], found["peers"]["ssl"]):
        for way in ("one way", "both ways"):
            check_measured(told[way])
            assert set(told[way]["cpu_seconds"]) == {"receiver", "sender"}
    assert found["peers"]["ssl"]["one way"]["ratio"] > 0


def test_a_table_for_people() -> None:
    done = run("psi", "--n", "40", "--repeat", "1")
    assert done.returncode == 0, done.stderr
    assert "[lowest, highest]" in done.stdout
    assert "exchanging masks" in done.stdout
    assert "run 1 of 1, fusion" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("psi", "--n", "many"), "no size"),
        (("psi", "--against", "secretflow,nobody"), "no peer 'nobody'"),
        (("kernels", "--against", "secretflow"), "there is libsodium"),
        (("channel", "--n", "1,2"), "one size at a time"),
        (("psi", "--against", "secretflow", "--python", "/nowhere/python"), "does not run"),
    ],
)
def test_errors_are_one_line_and_one_object(arguments: tuple[str, ...], said: str) -> None:
    done = run(*arguments, "--json")
    assert done.returncode == 1
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert said in json.loads(done.stdout)["message"]


def test_a_peer_that_needs_another_python_says_which(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho 3.99\n")
    python.chmod(0o755)
    done = run("psi", "--against", "secretflow", "--python", str(python))
    assert done.returncode == 1
    assert "needs Python 3.11, not 3.99; name one with --python" in done.stderr


def children_of(parent: int) -> list[int]:
    """Processes whose parent is ``parent``, from the fourth field of /proc/PID/stat."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == parent:
            found.append(int(stat.parent.name))
    return found


def is_running(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def test_an_interrupt_ends_the_children() -> None:
    # far more than it can move before it is stopped
    with subprocess.Popen(
        [*COMMAND, "channel", "--n", "2^36"], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        deadline = time.monotonic() + 60
        while len(children := children_of(process.pid)) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert errors.endswith("benchmarks: interrupted\n")
    # orphans stay listed as zombies until init collects them
    deadline = time.monotonic() + 20
    while any(is_running(child) for child in children):
        assert time.monotonic() < deadline
        time.sleep(0.05)
