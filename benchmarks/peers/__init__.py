"""The peers' own environments: one folder each under ``.peers/``, made when first needed, from pinned requirements."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks import BenchmarkError
from benchmarks.measure import progress

__all__ = ["PEERS", "environment", "folder_for", "requirements", "run", "version"]

_HERE = Path(__file__).resolve().parent
PEERS = _HERE.parent.parent / ".peers"
_SECONDS = 900.0
_QUIET = {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1", "MAKEFLAGS": ""}
_PYTHON = re.compile(r"^# python: (\S+)$", re.MULTILINE)


def requirements(peer: str) -> str:
    """What is pinned for a peer."""
    return (_HERE / f"{peer}.txt").read_text("utf-8")


def version(peer: str) -> str:
    """The version of the package that stands first in a peer's requirements."""
    match = re.search(r"^[A-Za-z0-9._-]+==([^\s;\\]+)", requirements(peer), re.MULTILINE)
    if match is None:
        raise BenchmarkError(f"benchmarks/peers/{peer}.txt pins nothing")
    return match[1]


def environment(peer: str, python: Path | None = None) -> Path:
    """The Python of a peer's environment, which is made if need be.

    Parameters
    ----------
    peer : str
        Names ``benchmarks/peers/PEER.txt``.
    python : Path, optional
        Makes the environment; by default the Python that runs this. A requirements file may ask for one version
        in a line ``# python: 3.11``.

    Raises
    ------
    BenchmarkError
        If it cannot be made; the message holds the installer's reason.
    """
    maker = str(python or sys.executable)
    wanted = _PYTHON.search(requirements(peer))
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    found = run([maker, "-c", code], f"{maker} does not run").strip()
    if wanted is not None and found != wanted[1]:
        raise BenchmarkError(f"{peer} needs Python {wanted[1]}, not {found}; name one with --python")
    with folder_for(peer, f"{requirements(peer)}{found}") as (folder, ready):
        if not ready:
            progress(f"{peer}: making its environment in {folder}")
            run([maker, "-m", "venv", str(folder)], f"{peer}: no environment can be made")
            install = [str(folder / "bin/python"), "-m", "pip", "install", "-q", "--only-binary", ":all:"]
            run([*install, "-r", str(_HERE / f"{peer}.txt")], f"{peer} cannot be installed")
    return folder / "bin/python"


@contextlib.contextmanager
def folder_for(peer: str, recipe: str) -> Iterator[tuple[Path, bool]]:
    """A peer's folder, locked, and whether a block like this one has already filled it by the same recipe.

    When the block is left without an exception, the folder counts as filled.
    """
    folder = PEERS / peer
    stamp = folder / "made-from"
    digest = hashlib.sha256(recipe.encode()).hexdigest()
    PEERS.mkdir(exist_ok=True)
    with (PEERS / f"{peer}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        ready = stamp.is_file() and stamp.read_text("utf-8") == digest
        if not ready:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
        yield folder, ready
        stamp.write_text(digest, "utf-8")


def run(command: Sequence[str], failure: str, *, cwd: Path | None = None) -> str:
    """Run a command to its end and return its output.

    Raises
    ------
    BenchmarkError
        ``failure`` with the reason: the last line that speaks of an error, or the last line.
    """
    inherited = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    try:
        done = subprocess.run(
            command,
            cwd=cwd,
            env={**inherited, **_QUIET},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
    except OSError as error:
        raise BenchmarkError(f"{failure} ({error.strerror})") from None
    except subprocess.TimeoutExpired:
        raise BenchmarkError(f"{failure} (not done after {_SECONDS:.0f} s)") from None
    if done.returncode:
        lines = [line.strip() for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        errors = [line for line in lines if re.search(r"error", line, re.IGNORECASE)]
        reason = (errors or lines or [f"exit code {done.returncode}"])[-1]
        raise BenchmarkError(f"{failure} ({reason[:300]})")
    return done.stdout
