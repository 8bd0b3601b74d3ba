"""A scenario with each party in a process and a folder of its own, over mutual TLS on the loopback."""

from __future__ import annotations

import contextlib
import io
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

import pandas as pd

from fusion.channel.identity import Identity
from fusion.cli.keys import peer_entry
from fusion.cli.party import CONFIG, RESULT, TABLE
from fusion.errors import FusionError, TransportError
from fusion.progress import Event

__all__ = ["Outcome", "play", "read_cells"]

_Inbox: TypeAlias = queue.Queue[tuple[str, dict[str, Any] | None]]

_DEADLINE = 120.0
_GRACE = 3.0  # after one party fails, how long the other may take to say why
_ATTEMPTS = 3

# A party that leaves by one of these may only have noticed the end of its peer, which then says more.
_CONSEQUENCES = ("PeerAborted", "TransportError")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a party came away with.

    Attributes
    ----------
    table : DataFrame
        Its result, all cells as text.
    receipt : dict
        Its receipt.
    kernel : str
        The kernel it ran.
    """

    table: pd.DataFrame
    receipt: dict[str, Any]
    kernel: str


class _PortTaken(Exception):
    """Somebody else took the port between our choosing it and the listener's binding it."""


def play(name: str, tables: Mapping[str, pd.DataFrame], show: Callable[[Event], None]) -> dict[str, Outcome]:
    """Run a scenario of two parties and return what each came away with.

    Parameters
    ----------
    name : str
        The scenario's name.
    tables : mapping of str to DataFrame
        Each party's table; the first party listens.
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
                party: Outcome(
                    read_cells(folder / RESULT),
                    results[party]["receipt"],
                    results[party]["kernel"],
                )
                for party, folder in folders.items()
            }
    raise TransportError("no port of the loopback interface stays free; try again")


def read_cells(source: Path | io.StringIO) -> pd.DataFrame:
    """Read a CSV file with every cell as the text that it is."""
    # skip_blank_lines drops the first space of a line that a buffer of the parser cuts there (pandas issue 34085)
    return pd.read_csv(source, dtype=str, keep_default_na=False, skip_blank_lines=False)


def _furnish(folders: Mapping[str, Path], tables: Mapping[str, pd.DataFrame]) -> None:
    """Put each party's table, identity and TOML into its folder."""
    listener = next(iter(folders))
    address = f"127.0.0.1:{_free_port()}"
    fingerprints = {
        party: Identity.create(party, folder / f"{party}.key").fingerprint for party, folder in folders.items()
    }
    for party, folder in folders.items():
        tables[party].to_csv(folder / TABLE, index=False)
        lines = [f'name = "{party}"', f'identity = "{party}.key"']
        if party == listener:
            lines.append(f'listen = "{address}"')
        for peer, fingerprint in fingerprints.items():
            if peer != party:
                lines += ["", peer_entry(peer, fingerprint).rstrip()]
                if peer == listener:
                    lines.append(f'address = "{address}"')
        (folder / CONFIG).write_text("\n".join(lines) + "\n", "utf-8")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


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
