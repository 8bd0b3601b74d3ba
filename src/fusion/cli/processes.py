"""A scenario with each party in a process and a folder of its own, over mutual TLS on the loopback."""

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
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from fusion.channel.identity import Identity
from fusion.cli.keys import peer_entry
from fusion.cli.party import CONFIG, ONLY, OUTCOME, TABLES
from fusion.errors import FusionError, TransportError
from fusion.progress import Event
from fusion.scenarios import Tables
from fusion.scenarios.outcome import Outcome

__all__ = ["Played", "play"]

_Inbox: TypeAlias = queue.Queue[tuple[str, dict[str, Any] | None]]

_DEADLINE = 120.0
_GRACE = 3.0  # after one party fails, how long the other may take to say why
_ATTEMPTS = 3

# A party that leaves by one of these may only have noticed the end of its peer, which then says more.
_CONSEQUENCES = ("PeerAborted", "TransportError")


@dataclass(frozen=True, slots=True)
class Played:
    """What came of a party.

    Attributes
    ----------
    outcome : Outcome
        What it holds.
    kernel : str
        The kernel it ran.
    seconds, cpu_seconds : float
        From the moment it had met the others to its outcome.
    peak_memory : int
        The most memory that its process held, in bytes.
    """

    outcome: Outcome
    kernel: str
    seconds: float
    cpu_seconds: float
    peak_memory: int


class _PortTaken(Exception):
    """Somebody else took the port between our choosing it and the listener's binding it."""


def play(name: str, tables: Mapping[str, Tables], show: Callable[[Event], None]) -> dict[str, Played]:
    """Run a scenario of two parties or more and return what each came away with.

    Parameters
    ----------
    name : str
        The scenario's name.
    tables : mapping of str to DataFrame or dict of DataFrame
        What each party brings; of any two the first listens.
    show : callable
        Gets the events of all parties, on the calling thread.

    Raises
    ------
    FusionError
        A party failed or died; the others have been ended, and no file remains.
    """
    for _ in range(_ATTEMPTS):
        with contextlib.ExitStack() as stack:
            folders = {
                party: Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=f"fusion-{party}-")))
                for party in tables
            }
            _furnish(folders, tables)
            children = {party: stack.enter_context(_process(name, party, folder)) for party, folder in folders.items()}
            try:
                results = _follow(children, show)
            except _PortTaken:
                continue
            return {
                party: Played(Outcome.read(folder / OUTCOME), **results[party]) for party, folder in folders.items()
            }
    raise TransportError("no port of the loopback interface stays free; try again")


def _furnish(folders: Mapping[str, Path], tables: Mapping[str, Tables]) -> None:
    """Put each party's tables, identity and TOML into its folder; of any two the first one listens."""
    names = list(folders)
    addresses = {
        party: f"127.0.0.1:{port}" for party, port in zip(names[:-1], _free_ports(len(names) - 1), strict=True)
    }
    fingerprints = {
        party: Identity.create(party, folder / f"{party}.key").fingerprint for party, folder in folders.items()
    }
    for place, (party, folder) in enumerate(folders.items()):
        (folder / TABLES).mkdir()
        own = tables[party]
        for name, table in (own if isinstance(own, dict) else {ONLY: own}).items():
            table.to_parquet(folder / TABLES / f"{name}.parquet")
        lines = [f'name = "{party}"', f'identity = "{party}.key"']
        if party in addresses:
            lines.append(f'listen = "{addresses[party]}"')
        for peer, fingerprint in fingerprints.items():
            if peer != party:
                lines += ["", peer_entry(peer, fingerprint).rstrip()]
                if names.index(peer) < place:
                    lines.append(f'address = "{addresses[peer]}"')
        (folder / CONFIG).write_text("\n".join(lines) + "\n", "utf-8")


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]


@contextlib.contextmanager
def _process(name: str, party: str, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Start a party, and end it with the block at the latest."""
    child = subprocess.Popen(  # noqa: S603 - our own module
        # -P: without it, a pandas.py in the folder where the user stands would run
        [sys.executable, "-P", "-m", "fusion.cli.party", name, party, str(folder)],
        stdin=subprocess.PIPE,  # its end tells the child that this process is gone
        stdout=subprocess.PIPE,
        stderr=None if os.environ.get("FUSION_DEBUG") else subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C comes to this process only, which ends the children in order
    )
    with child:
        try:
            yield child
        finally:
            child.terminate()
            try:
                child.wait(_GRACE)
            except subprocess.TimeoutExpired:
                child.kill()


def _follow(
    children: Mapping[str, subprocess.Popen[bytes]], show: Callable[[Event], None]
) -> dict[str, dict[str, Any]]:
    """Pass on the events of all children until each has ended, and return their results."""
    inbox: _Inbox = queue.Queue()
    for party, child in children.items():
        threading.Thread(target=_read, args=(party, child, inbox), daemon=True).start()
    results: dict[str, dict[str, Any]] = {}
    failures: dict[str, FusionError] = {}
    running = set(children)
    deadline = time.monotonic() + _DEADLINE
    while running:
        try:
            party, message = inbox.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            if failures:
                break
            raise TransportError(f"the parties did not finish within {_DEADLINE:.0f} seconds") from None
        match message:
            case {"event": event}:
                show(Event(**event))
            case {"result": result}:
                results[party] = result
            case {"failure": failure}:
                failures[party] = FusionError(f"{party}: {failure['message']}")
                if failure["port_taken"]:
                    raise _PortTaken
                if failure["error"] not in _CONSEQUENCES:
                    raise failures[party]
                deadline = min(deadline, time.monotonic() + _GRACE)
            case None:
                running.discard(party)
                code = children[party].wait()
                if party not in failures and (code != 0 or party not in results):
                    raise FusionError(f"{party}: {_how_it_ended(code)}")
    for error in failures.values():
        raise error
    return results


def _read(party: str, child: subprocess.Popen[bytes], inbox: _Inbox) -> None:
    assert child.stdout is not None  # noqa: S101 - opened as a pipe above
    with contextlib.suppress(ValueError):  # a line cut short, or a closed pipe: the child is being ended
        for line in child.stdout:
            inbox.put((party, json.loads(line)))
    inbox.put((party, None))


def _how_it_ended(code: int) -> str:
    if code < 0:
        return f"its process was ended by {signal.Signals(-code).name}"
    return f"its process ended early with exit code {code}; FUSION_DEBUG=1 shows more"
