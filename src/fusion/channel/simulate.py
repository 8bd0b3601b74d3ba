"""All parties in one process: notebooks, tests, first steps. The same functions run unchanged across a network."""

from __future__ import annotations

import contextvars
import itertools
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from fusion.channel.channel import Channel, Group
from fusion.channel.config import DEFAULT_TIMEOUT
from fusion.channel.identity import check_name
from fusion.channel.memory import MemoryTransport, mailboxes
from fusion.errors import InputError, PeerAborted, TransportError

__all__ = ["run", "simulate"]

WINDOW = 16
_CANCEL = 5.0  # seconds that cancelled roles get to notice

Role = Callable[[Any], Any]


def simulate(**roles: Role) -> dict[str, Any]:
    """Run every role in a thread of its own, connected in memory, and return what each returned.

    Parameters
    ----------
    **roles : callable
        A function of a `Channel` when there are two roles, of a `Group` when there are more. The keyword is the
        party's name.

    Returns
    -------
    dict
        What each role returned, by name.

    Raises
    ------
    Exception
        The exception that came first, with the role in a note. The other roles are cancelled.

    Examples
    --------
    >>> import fusion
    >>> import pandas as pd
    >>> a, b = pd.DataFrame({"id": [1, 2, 3]}), pd.DataFrame({"number": [3, 4, 2]})
    >>> out = fusion.simulate(
    ...     left=lambda peer: fusion.psi.intersect(peer, a, on=["id"]),
    ...     right=lambda peer: fusion.psi.intersect(peer, b, on=["number"]),
    ... )
    >>> sorted(out["left"]["id"]), list(out["left"]["id"]) == list(out["right"]["number"])
    ([2, 3], True)
    """
    return run(roles)


def run(roles: Mapping[str, Role], *, window: int = WINDOW, timeout: float = DEFAULT_TIMEOUT) -> dict[str, Any]:
    """`simulate` with the window, in frames, and the patience, in seconds, of every channel."""
    if len(roles) < 2:
        raise InputError("a simulation needs two roles or more, each a function of its channel")
    for name, role in roles.items():
        check_name(name)
        if not callable(role):
            raise InputError(f"role {name!r} must be a function of its channel")
    groups = _connect(list(roles), window, timeout)
    results: dict[str, Any] = {}
    failures: list[tuple[str, BaseException]] = []
    lock = threading.Lock()
    # Ctrl-C in the middle of Thread.join can make Python 3.11 take a running thread for ended; events know better
    ended = {name: threading.Event() for name in roles}

    def play(name: str, role: Role) -> None:
        group = groups[name]
        try:
            results[name] = role(next(iter(group.values())) if len(group) == 1 else group)
        except BaseException as error:
            with lock:
                failures.append((name, error))
        finally:
            group.close()
            ended[name].set()

    started = []
    try:
        for name, role in roles.items():
            context = contextvars.copy_context()
            threading.Thread(target=context.run, args=(play, name, role), name=f"fusion-{name}", daemon=True).start()
            started.append(name)
        for event in ended.values():
            # short waits, so that Ctrl-C is heard even when another thread took the signal
            while not event.wait(0.25):
                pass
    except BaseException:
        for group in groups.values():
            group.close()
        until = time.monotonic() + _CANCEL
        for name in started:
            ended[name].wait(max(until - time.monotonic(), 0.0))
        raise
    if failures:
        name, error = _root_cause(failures)
        error.add_note(f"raised by role {name!r} in fusion.simulate")
        raise error
    return {name: results[name] for name in roles}


def _connect(names: list[str], window: int, timeout: float) -> dict[str, Group]:
    channels: dict[str, dict[str, Channel]] = {name: {} for name in names}
    for a, b in itertools.combinations(names, 2):
        mine, other = mailboxes(window)
        for name, peer, near, far in ((a, b, mine, other), (b, a, other, mine)):
            channels[name][peer] = Channel(
                name,
                peer,
                near,
                MemoryTransport(name, near, far),
                fingerprints=(f"memory:{name}", f"memory:{peer}"),
                timeout=timeout,
            )
    return {name: Group(name, channels[name]) for name in names}


def _root_cause(failures: list[tuple[str, BaseException]]) -> tuple[str, BaseException]:
    # What a role raised because another one left is a consequence, whichever was noted first. A broken connection can
    # be one; being told that the other side aborted always is.
    return min(failures, key=lambda found: isinstance(found[1], TransportError) + 2 * isinstance(found[1], PeerAborted))
