"""Two processes: whatever happens to one, the other ends with one line and a status, within its deadline."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from channel.parties import free_port

import fusion

SCRIPT = Path(__file__).with_name("party.py")
# The parties find the package where the tests found it; warnings are errors there too.
ENVIRONMENT = os.environ | {"PYTHONPATH": str(Path(fusion.__file__).parents[1]), "PYTHONWARNINGS": "error"}


class Process:
    def __init__(self, role: str, file: Path, peer: str) -> None:
        self.popen = subprocess.Popen(
            [sys.executable, str(SCRIPT), role, str(file), peer],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=ENVIRONMENT,
            text=True,
        )

    def wait_for(self, word: str) -> None:
        for line in self.popen.stdout:
            if line.strip() == word:
                return
        raise AssertionError(f"never said {word}: {self.popen.stderr.read()}")

    def end(self, within: float) -> tuple[int, str]:
        """Its status and what it said of its failure."""
        _, errors = self.popen.communicate(timeout=within)
        return self.popen.returncode, errors


@pytest.fixture
def start(keys, tmp_path):
    """Start a, who listens with short patience, and b, who dials, in the given roles."""
    port = free_port()
    processes: list[Process] = []
    for name, peer, way in (("a", "b", "listen"), ("b", "a", "address")):
        own = f'listen = "127.0.0.1:{port}"\n' if way == "listen" else ""
        where = "" if way == "listen" else f'address = "127.0.0.1:{port}"\n'
        (tmp_path / f"{name}.toml").write_text(
            f'name = "{name}"\nidentity = "{keys[name].path}"\ntimeout = 3\n{own}'
            f'[peers.{peer}]\nfingerprint = "{keys[peer].fingerprint}"\n{where}'
        )

    def begin(a: str, b: str) -> tuple[Process, Process]:
        processes.extend([Process(a, tmp_path / "a.toml", "b"), Process(b, tmp_path / "b.toml", "a")])
        return processes[0], processes[1]

    yield begin
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            process.popen.kill()
        process.popen.communicate()


def check(status: int, errors: str, *words: str) -> None:
    assert status == 1, errors
    assert errors.count("\n") == 1, errors
    assert "Traceback" not in errors
    assert any(word in errors for word in words), errors


def test_two_processes_work(start):
    a, b = start("swap", "swap")
    assert a.end(20) == (0, "")
    assert b.end(20) == (0, "")


@pytest.mark.parametrize("killed", ["slow", "computes", "idle"])
def test_a_killed_peer(start, killed):
    a, b = start("swap", killed)
    b.wait_for("idle" if killed == "idle" else "sent")
    b.popen.send_signal(signal.SIGKILL)
    began = time.monotonic()
    check(*a.end(10), "TransportError: the connection to b was cut", "TransportError: the connection to b broke")
    assert time.monotonic() - began < 3


def test_a_peer_that_is_interrupted(start):
    a, b = start("swap", "slow")
    b.wait_for("sent")
    b.popen.send_signal(signal.SIGINT)
    assert b.end(10) == (130, "interrupted\n")
    check(*a.end(10), "PeerAborted: b left the operation with KeyboardInterrupt; see the message on its side")


def test_a_peer_that_is_interrupted_while_idle(start):
    a, b = start("swap", "idle")
    b.wait_for("idle")
    b.popen.send_signal(signal.SIGINT)
    assert b.end(10)[0] == 130
    check(*a.end(10), "TransportError: b has left")


@pytest.mark.parametrize("stopped", ["computes", "idle"])
def test_a_stopped_peer_is_found_by_its_silence(start, stopped):
    """Its kernel still acknowledges every byte: a half-open connection."""
    a, b = start("swap", stopped)
    b.wait_for("idle" if stopped == "idle" else "sent")
    b.popen.send_signal(signal.SIGSTOP)
    began = time.monotonic()
    check(*a.end(15), "TransportError: nothing heard from b for 1 s")
    assert time.monotonic() - began < 6
    b.popen.send_signal(signal.SIGCONT)


def test_an_idle_peer(start):
    a, b = start("swap", "idle")
    b.wait_for("idle")
    check(*a.end(15), "TransportError: the peer is connected but has not started this operation")
    assert b.popen.poll() is None  # a forgotten notebook: its side still stands


def test_a_peer_that_fails_tells_nothing_of_its_data(start):
    a, b = start("swap", "breaks")
    status, errors = b.end(10)
    assert status == 1
    assert "110101199003078888" in errors  # its own console may
    status, errors = a.end(10)
    check(status, errors, "PeerAborted: b left the operation with InputError; see the message on its side")
    assert "110101199003078888" not in errors
