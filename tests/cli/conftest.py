"""Parties on disk, and the command run as a user runs it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from fusion.channel.identity import Identity
from fusion.cli import main
from fusion.cli.keys import peer_entry


@dataclass(frozen=True)
class Ran:
    """What a run of the command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """The one object on stdout."""
        assert self.out.endswith("\n")
        assert self.out.count("\n") == 1
        answer = json.loads(self.out)
        assert isinstance(answer, dict)
        return answer

    @property
    def last_line(self) -> str:
        """The error after whatever progress was shown: one line, no traceback."""
        assert self.err.count("fusion: ") == 1, self.err
        assert "Traceback" not in self.err
        line = self.err.rstrip("\n").rpartition("\n")[2]
        assert line.startswith("fusion: ")
        return line.removeprefix("fusion: ")

    @property
    def one_line(self) -> str:
        """The one-line error: no traceback, nothing else."""
        assert self.err.startswith("fusion: ")
        assert self.err.count("\n") == 1, self.err
        return self.err.removeprefix("fusion: ").rstrip("\n")


Fusion = Callable[..., Ran]


@pytest.fixture
def fusion(capfd: pytest.CaptureFixture[str]) -> Fusion:
    """Run the command in this process."""

    def run(*args: object) -> Ran:
        capfd.readouterr()
        code = main([str(arg) for arg in args])
        return Ran(code, *capfd.readouterr())

    return run


class Running(subprocess.Popen[str]):
    """The command in a process of its own."""

    def finish(self, timeout: float = 100) -> Ran:
        """Wait for its end and return what it said."""
        out, err = self.communicate(timeout=timeout)
        return Ran(self.returncode, out, err)

    def until(self, words: str) -> None:
        """Read its progress up to the line that has these words."""
        assert self.stderr is not None
        for line in self.stderr:
            if words in line:
                return
        raise AssertionError(f"it ended without saying {words!r}")


@pytest.fixture
def start() -> Iterator[Callable[..., Running]]:
    """Start the command in a process of its own; none outlives the test."""
    running = []

    def run(*args: object, **environment: str) -> Running:
        process = Running(
            [sys.executable, "-m", "fusion", *map(str, args)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | environment,
        )
        running.append(process)
        return process

    yield run
    for process in running:
        process.kill()
        process.communicate()


@pytest.fixture
def parties(tmp_path: Path) -> dict[str, Path]:
    """A hospital that listens and an insurer that dials, each with a folder and a TOML of its own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    fingerprints = {}
    for name in ("hospital", "insurer"):
        (tmp_path / name).mkdir()
        fingerprints[name] = Identity.create(name, tmp_path / name / "key.pem").fingerprint
    files = {}
    for name, peer, mine, theirs in (
        ("hospital", "insurer", f'listen = "{address}"', ""),
        ("insurer", "hospital", "", f'address = "{address}"'),
    ):
        files[name] = tmp_path / name / "party.toml"
        files[name].write_text(
            f'name = "{name}"\nidentity = "key.pem"\ntimeout = 60\n{mine}\n'
            f"{peer_entry(peer, fingerprints[peer])}{theirs}\n"
        )
    return files
