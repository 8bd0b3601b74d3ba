"""What an operation is doing, as events. Nothing below the command line knows about screens.

with fusion.progress.listen(print):
    fusion.psi.intersect(peer, table, on=["id_number"])
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

__all__ = ["Event", "emit", "listen"]


@dataclass(frozen=True, slots=True)
class Event:
    """One step forward.

    Attributes
    ----------
    party : str
        The party whose work this is.
    operation : str
        Such as ``"psi.intersect"``; ``"connect"`` while two parties are meeting.
    phase : str
        A few words for a person, such as ``"exchanging masks"``.
    done, total : int
        Rows done in this phase and rows in all; ``total`` is 0 when it is not known.
    """

    party: str
    operation: str
    phase: str
    done: int = 0
    total: int = 0


_listeners: list[Callable[[Event], None]] = []
_lock = threading.Lock()


@contextlib.contextmanager
def listen(callback: Callable[[Event], None]) -> Iterator[None]:
    """Call ``callback`` with every event of this process while the block runs, from whichever thread emits it."""
    with _lock:
        _listeners.append(callback)
    try:
        yield
    finally:
        with _lock:
            _listeners.remove(callback)


def emit(event: Event) -> None:
    """Tell every listener."""
    for callback in tuple(_listeners):
        callback(event)
