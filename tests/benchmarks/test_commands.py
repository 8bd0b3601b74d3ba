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
from fusion.kernels import block

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


PHASES = {
    "ecdh": {"receiver": {"exchanging masks", "matching"}, "sender": {"exchanging masks"}},
    "vole": {
        "receiver": {"making correlations", "encoding the store", "sending the store", "tagging", "matching"},
        "sender": {"making correlations", "receiving the store", "tagging", "sending tags"},
    },
}


def check_fusion(told: dict[str, Any], protocol: str) -> None:
    assert set(told) == MEASURED | {
        "version",
        "protocol",
        "runs",
        "phases",
        "kernel",
        "bytes_per_item",
        "peak_mb",
        "cpu_seconds",
    }
    check_measured(told)
    assert (told["protocol"], told["runs"]) == (protocol, 1)
    assert list(told["peak_mb"]) == list(told["cpu_seconds"]) == list(told["phases"]) == ["receiver", "sender"]
    for party, phases in told["phases"].items():
        assert {"reading keys", "comparing transcripts"} | PHASES[protocol][party] <= set(phases)
        assert 0 < sum(phases.values()) <= told["seconds"] * 1.01


def test_intersection() -> None:
    found = result("psi", "--n", "2^6")
    assert list(found) == ["benchmark", "protocol", "link", "files", "n", "learn", "machine", "fusion", "peers"]
    head = found["benchmark"], found["protocol"], found["link"], found["n"], found["learn"]
    assert head == ("psi", "auto", "lan", 64, "both")
    assert found["peers"] == {}
    check_fusion(found["fusion"], "ecdh")
    # both sides: 32 bytes and a tag of 52 bits an item; the rest is frames and TLS
    assert 2 * (32 + 7) < found["fusion"]["bytes_per_item"] < 2 * (32 + 7) + 60


def test_intersection_of_several_sizes_and_protocols_with_one_learner() -> None:
    found = result("psi", "--n", "33,2^6", "--protocol", "ecdh,vole", "--learn", "one")
    assert list(found) == ["benchmark", "protocol", "link", "files", "n", "learn", "machine", "series"]
    assert (found["protocol"], found["n"], found["learn"]) == (["ecdh", "vole"], [33, 64], "one")
    entries = [(n, protocol) for n in (33, 64) for protocol in ("ecdh", "vole")]
    for (n, protocol), one in zip(entries, found["series"], strict=True):
        assert list(one) == ["protocol", "n", "fusion", "peers"]
        assert (one["protocol"], one["n"]) == (protocol, n)
        check_fusion(one["fusion"], protocol)


def test_intersection_of_parquet_files() -> None:
    found = result("psi", "--n", "50", "--files", "parquet")
    assert found["files"] == "parquet"
    check_fusion(found["fusion"], "ecdh")


def test_intersection_over_a_slower_link() -> None:
    found = result("psi", "--n", "100", "--protocol", "vole", "--link", "wan")
    assert list(found)[2:6] == ["link", "files", "relay", "n"]
    assert found["link"] == "wan"
    assert {key: found["relay"][key] for key in ("mbit_per_second", "round_trip_ms")} == {
        "mbit_per_second": 100,
        "round_trip_ms": 10,
    }
    assert "relay" in found["relay"]["by"]
    check_fusion(found["fusion"], "vole")
    # four round trips for the protocol, one for the announcements and one for the transcripts
    assert found["fusion"]["seconds"] > 0.060
    assert found["fusion"]["phases"]["receiver"]["making correlations"] > 0.020


def test_kernels() -> None:
    found = result("kernels", "--n", "17", "--n-long", "1000")
    assert list(found) == ["benchmark", "protocol", "n", "machine", "fusion", "peers"]
    operations = found["fusion"]["operations"]
    assert {"multiply", "multiply_base", "from_uniform", "hash_to_group", "decode", "encode", "add"} < set(operations)
    for name, told in operations.items():
        assert set(told) in ({"native"}, set(kernels.variants()), set(kernels.variants("elgamal"))), name
        for measured in told.values():
            low, high = measured["spread"]
            assert 0 <= low <= measured["microseconds"] <= high
    long = found["fusion"]["long"]
    assert (long["n"], set(long["published"]["milliseconds"])) == (1000, {"okvs_encode", "okvs_decode"})
    blocks = block.variants()
    assert set(long["operations"]["join"]) == {"native"}
    for name in ("aes", "gf128_multiply", "gf128_scale", "okvs_encode", "okvs_decode", "vole"):
        told = long["operations"][name]
        assert set(told) == ({blocks[0], blocks[-1]} if name == "vole" else set(blocks)), name
        for measured in told.values():
            assert measured["milliseconds"] == pytest.approx(measured["microseconds"], rel=1e-3)  # 1000 rows


def test_rlwe() -> None:
    found = result("rlwe", "--n", "2")
    assert list(found) == ["benchmark", "protocol", "n", "degree", "machine", "fusion", "peers"]
    assert list(found["fusion"]["variants"]) == list(kernels.variants("ntt"))
    for told in found["fusion"]["variants"].values():
        assert {"encrypt", "encrypt_secret", "product", "product_kept", "respond", "open"} < set(told["operations"])
        for measured in told["operations"].values():
            low, high = measured["spread"]
            assert 0 <= low <= measured["milliseconds"] <= high
        assert told["bytes"]["seeded"] < 0.51 * told["bytes"]["pair"]
        assert told["bytes"]["response"] < 66_000


def test_learning() -> None:
    found = result("learning", "--n", "2000", "--columns", "2", "--repeat", "1", "--against", "pooled")
    assert list(found) == ["benchmark", "protocol", "link", "n", "columns", "machine", "fusion", "peers"]
    assert found["fusion"]["error"]["coefficients"] < 1e-4
    assert found["fusion"]["error"]["standard_errors"] < 1e-3
    for told in (found["fusion"], found["peers"]["pooled"]):
        low, high = told["spread"]
        assert 0 < low <= told["seconds"] <= high
        assert set(told["peak_mb"]) == set(told["cpu_seconds"])
    assert found["fusion"]["bytes"] > 1e6
    assert found["peers"]["pooled"]["ratio"] > 0


def test_learning_a_logistic_model() -> None:
    found = result(
        "learning", "--model", "logistic", "--n", "2000", "--columns", "2", "--repeat", "1", "--against", "pooled"
    )
    assert found["protocol"] == "logistic, binomial"
    assert found["fusion"]["error"]["coefficients"] < 2e-2
    assert found["fusion"]["error"]["auc"] < 2e-3
    assert found["fusion"]["rounds"] > 1
    assert found["fusion"]["phases"]["receiver"]["epochs"] > 0


def test_channel() -> None:
    found = result("channel", "--n", "300000")
    assert list(found) == ["benchmark", "protocol", "n", "machine", "fusion", "peers"]
    for told in (found["fusion"], found["peers"]["ssl"]):
        for way in ("one way", "both ways"):
            check_measured(told[way])
            assert set(told[way]["cpu_seconds"]) == {"receiver", "sender"}
    assert found["peers"]["ssl"]["one way"]["ratio"] > 0


def test_secure_sum() -> None:
    found = result("secure-sum", "--n", "5000", "--clients", "4")
    assert list(found) == ["benchmark", "protocol", "n", "clients", "machine", "fusion", "peers"]
    values = found["fusion"]["values"]
    assert list(values) == ["integers, 4-byte words", "integers, 8-byte words", "floats, 6 decimals"]
    for told in values.values():
        low, high = told["spread"]
        assert 0 < low <= told["client_milliseconds"] <= high
        assert told["server_milliseconds_after_dropouts"] > 0
        assert 1 < told["expansion"] < 1.1
    done = run("secure-sum", "--n", "50", "--repeat", "1")
    assert done.returncode == 0, done.stderr
    assert "secure sum of 10 clients, 50 values each" in done.stdout


def test_flower() -> None:
    found = result("flower", "--n", "5000", "--clients", "4", "--against", "flower")
    assert list(found) == ["benchmark", "protocol", "n", "clients", "machine", "fusion", "peers"]
    for name, expansion, error in (("SecureFedAvg", (1, 1.1), 1e-6), ("HomomorphicFedAvg", (8, 11), 8e-6)):
        told = found["fusion"]["strategies"][name]
        low, high = told["spread"]
        assert 0 < low <= told["client_milliseconds"] <= high
        assert told["server_milliseconds"] > 0
        assert expansion[0] < told["expansion"] < expansion[1]  # 5,000 values are a third of a ciphertext
        assert told["largest_error"] < error
        assert told["setup_milliseconds"] > 0
    assert found["peers"]["flower"]["bytes_sent"] >= 20_000
    for kind in ("gaussian", "laplace"):
        assert found["fusion"]["noise"][kind]["microseconds_per_value"] > 0
        assert found["fusion"]["noise"][kind]["shares"] == 2  # of the threshold of three, one may collude
    done = run("flower", "--n", "50", "--clients", "3", "--repeat", "1")
    assert done.returncode == 0, done.stderr
    assert "a round of federated averaging, 3 clients, 50 float32" in done.stdout
    assert "one of 2 shares" in done.stdout


def test_a_table_for_people() -> None:
    done = run("psi", "--n", "40", "--repeat", "1", "--protocol", "auto,vole")
    assert done.returncode == 0, done.stderr
    assert "[lowest, highest]" in done.stdout
    for said in ("fusion 0.1.0 (auto, ecdh)", "fusion 0.1.0 (vole)", "exchanging masks", "encoding the store"):
        assert said in done.stdout
    assert "run 1 of 1, fusion auto" in done.stderr


def test_a_table_of_kernels_for_people() -> None:
    done = run("kernels", "--n", "9", "--n-long", "50", "--repeat", "1")
    assert done.returncode == 0, done.stderr
    assert "kernels over 50 rows" in done.stdout
    assert "Raghuraman and Rindal" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("psi", "--n", "many"), "no size"),
        (("psi", "--against", "secretflow,nobody"), "no peer 'nobody'"),
        (("kernels", "--against", "secretflow"), "there is libsodium"),
        (("channel", "--n", "1,2"), "one size at a time"),
        (("secure-sum", "--clients", "2"), "from 3 to 100"),
        (("flower", "--clients", "2"), "from 3 to 100"),
        (("flower", "--against", "phe"), "there is flower, tenseal"),
        (("kernels", "--n-long", "1,2"), "one size at a time"),
        (("psi", "--protocol", "ecdh,kkrt"), "no protocol 'kkrt'"),
        (("psi", "--protocol", ","), "needs one of auto, vole, ecdh"),
        (("psi", "--against", "openmined", "--link", "wan"), "openmined uses no network"),
        (("psi", "--against", "secretflow", "--files", "parquet"), "peers read CSV files only"),
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


@pytest.mark.parametrize(
    ("arguments", "processes"),
    [
        (("channel", "--n", "2^36"), 2),
        (("psi", "--n", "2^18", "--protocol", "ecdh", "--link", "wan"), 3),  # the relay is one of them
    ],
    ids=["channel", "psi over a relay"],
)
def test_an_interrupt_ends_the_children(arguments: tuple[str, ...], processes: int) -> None:
    # far more than it can move before it is stopped
    with subprocess.Popen(
        [*COMMAND, *arguments], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        deadline = time.monotonic() + 60
        while len(children := children_of(process.pid)) < processes:
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


def test_aggregation_measures_every_scheme():
    found = result("aggregation", "--n", "20")
    assert (found["benchmark"], found["protocol"], found["n"], found["peers"]) == (
        "aggregation",
        "paillier,elgamal,lattice,ckks",
        20,
        {},
    )
    schemes = found["fusion"]["schemes"]
    assert {"encrypt", "encrypt, packed", "add", "decrypt"} <= set(schemes["paillier"])
    assert {"encrypt", "histogram, points added", "decrypt, 2^30", "decrypt, 2^32"} <= set(schemes["elgamal"])
    assert {"encrypt", "add", "decrypt"} == set(schemes["ckks"])
    assert {"encrypt", "encrypt, key owner", "add", "write a sum", "decrypt", "100 groups, rows"} == set(
        schemes["lattice"]
    )
    assert set(found["fusion"]["bytes_per_value"]) == {"lattice", "ckks"}
    for measured in (measured for operations in schemes.values() for measured in operations.values()):
        low, high = measured["spread"]
        assert 0 < low <= measured["microseconds"] <= high
        assert measured["per_second"] == pytest.approx(1e6 / measured["microseconds"], rel=1e-3)
