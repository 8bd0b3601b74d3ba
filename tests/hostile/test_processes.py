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
    def __init__(self, role: str, file: Path, peer: str, silence: float) -> None:
        self.popen = subprocess.Popen(
            [sys.executable, str(SCRIPT), role, str(file), peer, str(silence)],
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

    def end(self) -> tuple[int, str]:
        """Its status and what it said of its failure."""
        _, errors = self.popen.communicate(timeout=100)
        return self.popen.returncode, errors


@pytest.fixture
def start(keys, tmp_path):
    """Start a, who listens, and b, who dials, in the given roles; ``silence`` makes a peer count as gone."""
    port = free_port()
    processes: list[Process] = []

    def begin(a: str, b: str, *, timeout: float = 60.0, silence: float = 60.0) -> tuple[Process, Process]:
        for name, role, peer, own, where in (
            ("a", a, "b", f'listen = "127.0.0.1:{port}"\n', ""),
            ("b", b, "a", "", f'address = "127.0.0.1:{port}"\n'),
        ):
            (tmp_path / f"{name}.toml").write_text(
                f'name = "{name}"\nidentity = "{keys[name].path}"\ntimeout = {timeout}\n{own}'
                f'[peers.{peer}]\nfingerprint = "{keys[peer].fingerprint}"\n{where}'
            )
            processes.append(Process(role, tmp_path / f"{name}.toml", peer, silence))
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
    assert a.end() == (0, "")
    assert b.end() == (0, "")


@pytest.mark.parametrize("killed", ["slow", "computes", "idle"])
def test_a_killed_peer(start, killed):
    a, b = start("swap", killed)
    b.wait_for("idle" if killed == "idle" else "sent")
    b.popen.send_signal(signal.SIGKILL)
    began = time.monotonic()
    check(*a.end(), "TransportError: the connection to b was cut", "TransportError: the connection to b broke")
    assert time.monotonic() - began < 30  # nobody waits for silence or patience to end


def test_a_peer_that_is_interrupted(start):
    a, b = start("swap", "slow")
    b.wait_for("sent")
    b.popen.send_signal(signal.SIGINT)
    assert b.end() == (130, "interrupted\n")
    check(*a.end(), "PeerAborted: b left the operation with KeyboardInterrupt; see the message on its side")


def test_a_peer_that_is_interrupted_while_idle(start):
    a, b = start("swap", "idle")
    b.wait_for("idle")
    b.popen.send_signal(signal.SIGINT)
    assert b.end()[0] == 130
    check(*a.end(), "TransportError: b has left")


@pytest.mark.parametrize("stopped", ["computes", "idle"])
def test_a_stopped_peer_is_found_by_its_silence(start, stopped):
    """Its kernel still acknowledges every byte: a half-open connection."""
    a, b = start("swap", stopped, silence=2.0)
    b.wait_for("idle" if stopped == "idle" else "sent")
    b.popen.send_signal(signal.SIGSTOP)
    began = time.monotonic()
    check(*a.end(), "TransportError: nothing heard from b for 2 s")
    assert time.monotonic() - began < 30
    b.popen.send_signal(signal.SIGCONT)


def test_an_idle_peer(start):
    a, b = start("swap", "idle", timeout=5.0)  # of which they also need some to meet
    b.wait_for("idle")
    check(*a.end(), "TransportError: the peer is connected but has not started this operation")
    assert b.popen.poll() is None  # a forgotten notebook: its side still stands


def test_a_peer_that_fails_tells_nothing_of_its_data(start):
    a, b = start("swap", "breaks")
    status, errors = b.end()
    assert status == 1
    assert "110101199003078888" in errors  # its own console may
    status, errors = a.end()
    check(status, errors, "PeerAborted: b left the operation with InputError; see the message on its side")
    assert "110101199003078888" not in errors
