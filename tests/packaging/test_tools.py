"""The preflight and the environment script, on machines that lack something and in runs cut short."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
USED_BY_PREFLIGHT = ("sh", "dirname", "mktemp", "rm", "cat")


def script(path: Path, body: str) -> Path:
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


class Machine:
    """A folder that is the whole PATH: coreutils, and whatever the test puts in."""

    def __init__(self, folder: Path) -> None:
        self.bin = folder / "bin"
        self.bin.mkdir()
        for name in USED_BY_PREFLIGHT:
            found = shutil.which(name)
            assert found, f"{name} is not on this machine"
            (self.bin / name).symlink_to(found)
        self.python()
        self.command("make", "exit 0")
        self.command("good-cc", "exit 0")

    def command(self, name: str, body: str) -> None:
        script(self.bin / name, body)

    def python(self, name: str = "python3", *, old: bool = False, venv: bool = True, headers: bool = True) -> None:
        """A Python that answers the questions as told and is otherwise the one running this test."""
        answers = []
        if old:
            answers.append('case "$2" in *version_info*) exit 1;; esac')
        if not venv:
            answers.append('case "$2" in *ensurepip*) exit 1;; esac')
        if not headers:
            answers.append('case "$2" in *Python.h*) exit 1;; esac')
        self.command(name, "\n".join([*answers, f'exec "{sys.executable}" "$@"']))

    def preflight(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [ROOT / "tools" / "preflight", *arguments],
            env={"PATH": str(self.bin), "CC": "good-cc", **environment},
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_a_complete_machine_gets_its_python_named(machine: Machine) -> None:
    done = machine.preflight("dev")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip() == sys.executable


@pytest.mark.parametrize(
    ("lack", "said"),
    [
        ({"old": True}, "missing: Python 3.11 or later."),
        ({"venv": False}, "missing: the venv module of Python 3."),
        ({"headers": False}, "missing: the headers of Python 3."),
    ],
)
def test_what_python_lacks_is_named(machine: Machine, lack: dict[str, bool], said: str) -> None:
    machine.python(**lack)
    done = machine.preflight()
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(said)
    assert done.stderr.count("\n") == 1
    assert "apt-get install python3" in done.stderr
    assert "dnf install python3" in done.stderr


def test_no_python_at_all(machine: Machine) -> None:
    (machine.bin / "python3").unlink()
    done = machine.preflight()
    assert done.returncode == 1
    assert done.stderr.startswith("missing: Python 3.11 or later. ")


def test_everything_missing_is_named_at_once(machine: Machine) -> None:
    machine.python(venv=False, headers=False)
    (machine.bin / "make").unlink()
    done = machine.preflight(CC="no-such-cc")
    assert [line.split(". ")[0][:21] for line in done.stderr.splitlines()] == [
        "missing: the venv mod",
        "missing: the headers ",
        "missing: a C11 compil",
        "missing: make",
    ]


def test_a_python_that_only_prints_an_error_is_passed_over(machine: Machine) -> None:
    machine.command("python3.13", "echo 'python3.13: command not found' >&2; exit 127")
    assert machine.preflight().returncode == 0


def test_the_python_that_has_everything_is_preferred(machine: Machine) -> None:
    machine.python("python3.13", headers=False)
    machine.python("python3.12", venv=False)
    assert machine.preflight().returncode == 0


def test_a_python_asked_for_is_not_replaced(machine: Machine) -> None:
    machine.python("python3.13", headers=False)
    done = machine.preflight(PYTHON="python3.13")
    assert done.stderr.startswith("missing: the headers of Python 3.")
    done = machine.preflight(PYTHON="python3.99")
    assert done.stderr == ("missing: PYTHON=python3.99 is not a Python 3.11 or later; name one that is, or unset it\n")


def test_a_compiler_that_cannot_compile_is_named(machine: Machine) -> None:
    machine.command("broken-cc", "exit 1")
    done = machine.preflight(CC="broken-cc")
    assert done.returncode == 1
    assert done.stderr.startswith("missing: a C11 compiler that works (tried: broken-cc; CC=... names another).")


def test_only_the_tests_need_the_sanitizers(machine: Machine) -> None:
    machine.command("plain-cc", 'case "$*" in *-fsanitize*) exit 1;; esac')
    assert machine.preflight("examples", CC="plain-cc").returncode == 0
    done = machine.preflight("dev", CC="plain-cc")
    assert done.returncode == 1
    assert done.stderr.startswith("missing: the address and undefined-behaviour sanitizers of plain-cc.")


class Checkout:
    """A copy of what the environment script reads, with a Python that notes what it is asked to install."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "a check out"
        for name in ("tools", "src/fusion/kernels/csrc"):
            shutil.copytree(ROOT / name, self.root / name)
        for name in ("pyproject.toml", "setup.py", "src/fusion/kernels/_build.py"):
            shutil.copy(ROOT / name, self.root / name)
        self.log = folder / "log"
        self.fail = folder / "fail"
        self.stub = script(
            folder / "python",
            f'''case "$*" in
"-m venv "*) echo venv >>"{self.log}"; mkdir -p "$3/bin"; cp "$0" "$3/bin/python";;
"-m pip "*) for last; do :; done; echo "pip $last" >>"{self.log}"; [ ! -e "{self.fail}" ];;
*) exec "{sys.executable}" "$@";;
esac''',
        )

    def __call__(self, extras: str) -> list[str]:
        """What the script did: the environments made and the packages installed."""
        self.log.write_text("")
        subprocess.run(
            [self.root / "tools" / "environment", extras],
            env={**os.environ, "PYTHON": str(self.stub)},
            capture_output=True,
            check=not self.fail.exists(),
        )
        return self.log.read_text().splitlines()

    def edit(self, name: str) -> None:
        later = time.time() + 1
        os.utime(self.root / name, (later, later))


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    # The preflight asks for the base interpreter's path; the stub has to stay the one that is called.
    made = Checkout(tmp_path)
    script(made.root / "tools" / "preflight", f'echo "{made.stub}"')
    return made


def test_the_second_run_installs_nothing(checkout: Checkout) -> None:
    assert checkout("examples") == ["venv", "pip .[examples]"]
    assert checkout("examples") == []
    assert checkout("dev") == ["pip .[dev]"]
    assert checkout("dev") == []
    assert checkout("examples") == []


@pytest.mark.parametrize(
    "name",
    ["pyproject.toml", "setup.py", "src/fusion/kernels/_build.py", "src/fusion/kernels/csrc/ristretto.h"],
)
def test_a_changed_source_of_the_build_installs_again(checkout: Checkout, name: str) -> None:
    checkout("dev")
    kernel = checkout.root / "src/fusion/kernels/_native.abi3.so"
    kernel.touch()
    checkout.edit(name)
    assert checkout("dev") == ["pip .[dev]"]
    assert not kernel.exists(), "a stale kernel is left in place"


def test_an_installation_cut_short_starts_afresh(checkout: Checkout) -> None:
    checkout.fail.touch()
    assert checkout("dev") == ["venv", "pip .[dev]"]
    checkout.fail.unlink()
    assert checkout("dev") == ["venv", "pip .[dev]"]
    assert checkout("dev") == []


def test_a_half_made_environment_starts_afresh(checkout: Checkout) -> None:
    (checkout.root / ".venv" / "bin").mkdir(parents=True)
    assert checkout("examples") == ["venv", "pip .[examples]"]


def test_a_moved_checkout_starts_afresh(checkout: Checkout) -> None:
    checkout("examples")
    checkout.root = checkout.root.rename(checkout.root.with_name("moved"))
    assert checkout("examples") == ["venv", "pip .[examples]"]
