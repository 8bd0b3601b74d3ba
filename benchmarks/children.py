"""Processes that take part in a benchmark together: start, wait until all are ready, let go, collect, end."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import IO, Any

from benchmarks import BenchmarkError

__all__ = ["ROOT", "Child", "Report", "elapsed", "free_ports", "run_together", "serving"]

ROOT = Path(__file__).resolve().parent.parent
_READY = 120.0  # seconds for imports and for meeting
_GRACE = 3.0  # after one has failed, how long the others may take to say why; after success, to leave

# One that leaves by these saw another fail first.
_CONSEQUENCES = ("PeerAborted", "TransportError", "ConnectionResetError", "BrokenPipeError")

_Inbox = queue.Queue[tuple[str, dict[str, Any] | None]]


@dataclass(frozen=True, slots=True)
class Child:
    """A module of this package, which calls `benchmarks.child.play`, and its job. ``python`` None: this one."""

    module: str
    job: Mapping[str, Any]
    python: Path | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """What a child said at the end. Moments are on the monotonic clock that all processes share.

    ``bytes_received`` is what TCP brought to it between the two moments.
    """

    began: float
    ended: float
    cpu_seconds: float
    peak_mb: float
    bytes_received: int
    details: dict[str, Any] = field(default_factory=dict)


def elapsed(reports: Mapping[str, Report]) -> float:
    """Seconds from the first beginning to the last end."""
    return max(r.ended for r in reports.values()) - min(r.began for r in reports.values())


def run_together(children: Mapping[str, Child], *, seconds: float) -> dict[str, Report]:
    """Run children that belong together, let them go at the same moment, and return their reports.

    Raises
    ------
    BenchmarkError
        If one fails, or is not done ``seconds`` after the word to go. All have ended then.
    """
    inbox: _Inbox = queue.Queue()
    with contextlib.ExitStack() as stack:
        running = {name: stack.enter_context(_process(child)) for name, child in children.items()}
        for name, (process, _) in running.items():
            threading.Thread(target=_read, args=(name, process, inbox), daemon=True).start()
        _collect("ready", running, inbox, _READY)
        _tell("go", running)
        results = _collect("result", running, inbox, seconds)
        _tell("leave", running)
        for process, _ in running.values():
            with contextlib.suppress(subprocess.TimeoutExpired):  # ended with the block, then
                process.wait(_GRACE)
    return {name: _report(results[name]) for name in children}


def _report(result: dict[str, Any]) -> Report:
    own = {entry.name: result.pop(entry.name) for entry in fields(Report) if entry.name != "details"}
    return Report(**own, details=result)


@contextlib.contextmanager
def serving(child: Child) -> Iterator[None]:
    """Run a child that others need: it is ready when the block begins, and ended with it. It is never let go.

    Raises
    ------
    BenchmarkError
        If it does not start.
    """
    inbox: _Inbox = queue.Queue()
    with _process(child) as (process, errors):
        threading.Thread(target=_read, args=(child.module, process, inbox), daemon=True).start()
        _collect("ready", {child.module: (process, errors)}, inbox, _READY)
        yield


_Process = tuple[subprocess.Popen[str], IO[bytes]]


@contextlib.contextmanager
def _process(child: Child) -> Iterator[_Process]:
    """Start a child, and end it with the block at the latest."""
    environment = dict(os.environ)
    if child.python is not None:
        # another environment: what this one has on its path is not for it
        environment.pop("PYTHONPATH", None)
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            [str(child.python or sys.executable), "-m", child.module, json.dumps(child.job)],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            start_new_session=True,  # Ctrl-C comes to this process only, which ends the children
        )
        with process:
            try:
                yield process, errors
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _tell(word: str, running: Mapping[str, _Process]) -> None:
    for process, _ in running.values():
        assert process.stdin is not None  # noqa: S101 - opened as a pipe
        with contextlib.suppress(BrokenPipeError):  # it has ended: the next message from it says why
            process.stdin.write(f"{word}\n")
            process.stdin.flush()


def _read(name: str, process: subprocess.Popen[str], inbox: _Inbox) -> None:
    assert process.stdout is not None  # noqa: S101 - opened as a pipe
    with contextlib.suppress(ValueError):  # closed while we read: the child is being ended
        for line in process.stdout:
            inbox.put((name, json.loads(line)))
    inbox.put((name, None))


def _collect(kind: str, running: Mapping[str, _Process], inbox: _Inbox, seconds: float) -> dict[str, dict[str, Any]]:
    """One message of this kind from every child."""
    found: dict[str, dict[str, Any]] = {}
    failures: dict[str, dict[str, str]] = {}
    deadline = time.monotonic() + seconds
    while len(found) + len(failures) < len(running):
        try:
            name, message = inbox.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            if failures:
                break
            late = ", ".join(sorted(running.keys() - found.keys()))
            raise BenchmarkError(f"{late}: no {kind} after {seconds:.0f} s") from None
        if message is None:
            if name in found or name in failures:
                continue
            failures[name] = {"error": "", "message": _last_words(*running[name])}
        elif "failure" in message:
            failures[name] = message["failure"]
        elif kind in message:
            found[name] = message[kind]
        if failures:
            deadline = min(deadline, time.monotonic() + _GRACE)
    if failures:
        name, failure = min(failures.items(), key=lambda item: item[1]["error"] in _CONSEQUENCES)
        raise BenchmarkError(f"{name}: " + " ".join(filter(None, (failure["error"], failure["message"]))))
    return found


def _last_words(process: subprocess.Popen[str], errors: IO[bytes]) -> str:
    """Why a child ended that said nothing."""
    code = process.wait()
    errors.seek(0)
    lines = errors.read().decode("utf-8", "replace").strip().splitlines()
    how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    return f"its process ended ({how}): {lines[-1][:300] if lines else 'it said nothing'}"


def free_ports(count: int) -> list[int]:
    """Ports of the loopback interface that nobody uses at this moment."""
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
