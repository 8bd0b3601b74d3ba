"""What people and programs see: results on stdout, progress and errors on stderr."""

from __future__ import annotations

import contextlib
import json
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from fusion.progress import Event

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["Json", "Watch", "console", "fail", "print_json", "watch"]

Json: TypeAlias = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]


def print_json(answer: Mapping[str, Any]) -> None:
    """Write one JSON object on one line of stdout."""
    sys.stdout.write(json.dumps(answer, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def fail(error: str, message: str, *, as_json: bool) -> None:
    """Write one line on stderr, and the same as a JSON object on stdout if that was asked for."""
    line = " ".join(message.split())
    if as_json:
        print_json({"error": error, "message": line})
    sys.stderr.write(f"fusion: {line}\n")


def console() -> Console:
    """Return a console on stdout that adds no colour of its own to figures and words."""
    from rich.console import Console

    return Console(highlight=False)


class Watch:
    """Shows the latest event of each party: bars on a terminal, one line a phase elsewhere."""

    def __init__(self, parties: Sequence[str]) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        self._phases = dict.fromkeys(parties, "")
        self._lock = threading.Lock()  # events come from whichever thread does the work
        self._bars: Progress | None = None
        screen = Console(stderr=True, highlight=False)
        if screen.is_terminal:
            self._bars = Progress(
                TextColumn("{task.fields[party]}", style="bold", markup=False),
                # "dim" is relative to the reader's own foreground, on a light or a dark ground
                BarColumn(bar_width=24, style="dim", complete_style="cyan", finished_style="green"),
                TextColumn("{task.description}", markup=False),
                TextColumn("{task.fields[count]}", markup=False),
                TimeElapsedColumn(),
                console=screen,
            )
            self._tasks = {p: self._bars.add_task("", total=None, party=p, count="") for p in parties}

    def __call__(self, event: Event) -> None:
        """Show an event; one of a party that is not watched is passed over."""
        with self._lock:
            if event.party not in self._phases:
                return
            if self._bars is None:
                if self._phases[event.party] != event.phase:
                    sys.stderr.write(f"{event.party}: {event.phase}\n")
            else:
                self._bars.update(
                    self._tasks[event.party],
                    description=event.phase,
                    total=event.total or None,
                    completed=event.done,
                    count=f"{event.done:,}/{event.total:,}" if event.total else "",
                )
            self._phases[event.party] = event.phase

    @contextlib.contextmanager
    def showing(self) -> Iterator[Watch]:
        """Draw while the block runs; the last state stays on the screen."""
        with self._bars or contextlib.nullcontext():
            yield self


@contextlib.contextmanager
def watch(parties: Sequence[str]) -> Iterator[Watch]:
    """Return a callback for events of these parties that draws until the block ends."""
    with Watch(parties).showing() as shown:
        yield shown
