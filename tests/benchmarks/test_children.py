"""Children start together, end whatever happens, and failures have a reason."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from benchmarks import BenchmarkError, children
from benchmarks.children import Child, Report, elapsed, free_ports, run_together, serving
from benchmarks.link import LINKS, between
from benchmarks.psi_party import phases

STUB = "tests.benchmarks.stub_child"


def stub(does: str, **more: object) -> Child:
    return Child(STUB, {"does": does, **more})


@pytest.fixture(autouse=True)
def _mark(monkeypatch: pytest.MonkeyPatch) -> None:
    """What this test starts, and what that starts, is known by its environment."""
    monkeypatch.setenv("FUSION_TEST", f"{os.getpid()}/{time.monotonic_ns()}")


def started_here() -> set[str]:
    mark = f"FUSION_TEST={os.environ['FUSION_TEST']}".encode()
    found = set()
    for environment in Path("/proc").glob("[0-9]*/environ"):
        try:
            if mark in environment.read_bytes().split(b"\0"):
                found.add(environment.parent.name)
        except OSError:
            continue
    return found


def test_children_start_together_and_report() -> None:
    reports = run_together({"a": stub("answer", answer=1), "b": stub("answer", answer=[2])}, seconds=60)
    assert {name: report.details for name, report in reports.items()} == {"a": {"answer": 1}, "b": {"answer": [2]}}
    for report in reports.values():
        assert report.began <= report.ended
        assert report.cpu_seconds >= 0
        assert report.bytes_received == 0
        assert 1 < report.peak_mb < 500


def test_elapsed_is_from_the_first_beginning_to_the_last_end() -> None:
    assert elapsed({"a": Report(10.0, 12.0, 0, 0, 0), "b": Report(11.0, 14.5, 0, 0, 0)}) == 4.5


def test_phases_add_up_and_join() -> None:
    changes = [(1.0, "read"), (3.0, "work"), (4.0, "read"), (4.5, "write"), (6.0, "")]
    assert phases(changes) == {"read": 2.5, "work": 1.0, "write": 1.5}


@pytest.mark.parametrize(
    ("does", "message"),
    [
        ("refuse", r"a: ValueError not today"),
        ("die", r"a: its process ended \(exit code 7\): the last words"),
    ],
)
def test_a_failure_has_a_reason_and_leaves_nobody_behind(does: str, message: str) -> None:
    with pytest.raises(BenchmarkError, match=message):
        run_together({"a": stub(does), "b": stub("answer")}, seconds=60)
    assert not started_here()


def test_the_cause_is_named_and_not_its_consequence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(children, "_GRACE", 60.0)
    with pytest.raises(BenchmarkError, match="b: its process ended"):
        run_together({"a": stub("follow"), "b": stub("die")}, seconds=60)


def test_a_child_that_hangs_is_ended() -> None:
    began = time.monotonic()
    with pytest.raises(BenchmarkError, match=r"^b: no result after 2 s$"):
        run_together({"a": stub("answer"), "b": stub("hang")}, seconds=2)
    assert time.monotonic() - began < 60
    assert not started_here()


def test_a_child_that_is_never_ready_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(children, "_READY", 2.0)
    with pytest.raises(BenchmarkError, match="b: no ready after 2 s"):
        run_together({"a": stub("answer"), "b": stub("be late")}, seconds=60)
    assert not started_here()


@pytest.mark.parametrize("link", ["lan", "wan"])
def test_bytes_are_those_that_tcp_carried(link: str) -> None:
    sizes = {"a": 300_001, "b": 7}
    ports = free_ports(1)
    with between(LINKS[link], ports) as dialled:
        children = {
            "a": stub("talk", port=ports[0], dials=False, bytes=sizes["a"]),
            "b": stub("talk", port=dialled[0], dials=True, bytes=sizes["b"]),
        }
        reports = run_together(children, seconds=60)
    assert {name: report.bytes_received for name, report in reports.items()} == {"a": sizes["b"], "b": sizes["a"]}


def test_nobody_leaves_before_all_are_done() -> None:
    # b would hear that a has hung up
    ports = free_ports(1)
    children = {
        "a": stub("talk", port=ports[0], dials=False, bytes=10),
        "b": stub("talk", port=ports[0], dials=True, bytes=10, then=0.5),
    }
    assert not run_together(children, seconds=60)["b"].details["hung up"]


def test_who_serves_is_ended_with_the_block() -> None:
    with serving(stub("answer")):
        assert started_here()
    assert not started_here()


def test_who_cannot_serve_says_why() -> None:
    with pytest.raises(BenchmarkError, match="ValueError not today"), serving(stub("refuse")):
        pytest.fail("it was not ready")


def test_ports_are_different() -> None:
    assert len(set(free_ports(5))) == 5
