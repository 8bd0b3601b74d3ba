"""Threads that go step by step together, and go on without those that fall away."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeVar

__all__ = ["Hall", "in_parallel"]

T = TypeVar("T")


class Hall:
    """Where the threads that attend to one client each wait for one another."""

    def __init__(self, names: Collection[str]) -> None:
        self._present = set(names)
        self._changed = threading.Condition()
        self._meeting = _Meeting()
        self.failure: BaseException | None = None

    @property
    def lock(self) -> threading.Condition:
        """Held while the actions run; to be held by a thread that changes what they read."""
        return self._changed

    def together(self, name: str, action: Callable[[], T]) -> T:
        """Wait for all who are still present; the last one does ``action``, and everybody gets what it gave."""
        with self._changed:
            meeting = self._meeting
            meeting.action = action
            meeting.waiting.add(name)
            self._settle()
            while not meeting.done and self.failure is None:
                self._changed.wait(0.25)
            if self.failure is not None:
                raise self.failure
            result: T = meeting.result
            return result

    def leave(self, name: str) -> None:
        """Go on without this one."""
        with self._changed:
            self._present.discard(name)
            self._settle()

    def fail(self, error: BaseException) -> None:
        """Nobody goes on."""
        with self._changed:
            if self.failure is None:
                self.failure = error
            self._changed.notify_all()

    def _settle(self) -> None:
        meeting = self._meeting
        if self.failure is not None or not meeting.waiting or not meeting.waiting >= self._present:
            return
        self._meeting = _Meeting()
        try:
            meeting.result = meeting.action()
            meeting.done = True
        except BaseException as error:
            self.failure = error
        self._changed.notify_all()


class _Meeting:
    def __init__(self) -> None:
        self.waiting: set[str] = set()
        self.action: Callable[[], Any] = lambda: None
        self.result: Any = None
        self.done = False


def in_parallel(jobs: Mapping[str, Callable[[], None]]) -> dict[str, BaseException | None]:
    """Run every job in a thread of its own; for each, the exception that it raised, if any."""
    outcomes: dict[str, BaseException | None] = {}
    ended = {name: threading.Event() for name in jobs}

    def play(name: str, job: Callable[[], None]) -> None:
        try:
            job()
            outcomes[name] = None
        except BaseException as error:
            outcomes[name] = error
        finally:
            ended[name].set()

    for name, job in jobs.items():
        context = contextvars.copy_context()
        threading.Thread(target=context.run, args=(play, name, job), name=f"fusion-sum-{name}", daemon=True).start()
    for event in ended.values():
        while not event.wait(0.25):  # short waits, so that Ctrl-C is heard
            pass
    return {name: outcomes[name] for name in jobs}
