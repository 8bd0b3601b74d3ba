"""What people and programs see: results on stdout, progress and errors on stderr."""

from __future__ import annotations

import contextlib
import json
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer
from typer.core import TyperCommand, TyperGroup

from fusion.progress import Event

if TYPE_CHECKING:
    from rich.console import Console

__all__ = [
    "Command",
    "CommandGroup",
    "Json",
    "Watch",
    "console",
    "fail",
    "print_json",
    "show_learned",
    "show_notes",
    "show_pairs",
    "watch",
]

Json: TypeAlias = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]


class Command(TyperCommand):
    """A command whose help is plain text; older releases of typer escape brackets in it for rich."""

    def get_help(self, ctx: Any) -> str:
        """Return the page that ``--help`` shows."""
        return _unescaped(super().get_help(ctx))


class CommandGroup(TyperGroup):
    """Commands under one name, their help plain text as well."""

    def get_help(self, ctx: Any) -> str:
        """Return the page that ``--help`` shows."""
        return _unescaped(super().get_help(ctx))


def _unescaped(page: str) -> str:
    return page.replace(r"\[", "[")


def print_json(answer: Mapping[str, Any]) -> None:
    """Write one JSON object on one line of stdout."""
    sys.stdout.write(json.dumps(answer, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def fail(error: str, message: str, *, as_json: bool) -> None:
    """Write one line on stderr, and the same as a JSON object on stdout if that was asked for."""
    line = " ".join(message.split())
    sys.stderr.write(f"fusion: {line}\n")  # first: stdout may be what has failed
    if as_json:
        print_json({"error": error, "message": line})


def console() -> Console:
    """Return a console on stdout that adds no colour of its own to figures and words."""
    from rich.console import Console

    return Console(highlight=False)


def show_pairs(rows: Iterable[tuple[str, str]]) -> None:
    """Write names and what they stand for, one pair a line; values stay whole, so that they can be copied."""
    rows = list(rows)
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        typer.echo(f"{typer.style(name.ljust(width), bold=True)}  {value}")


def show_learned(party: str, sentences: Iterable[str]) -> None:
    """Write what a party learned, as its receipt says it."""
    from rich.padding import Padding
    from rich.text import Text

    screen = console()
    screen.print(Text.assemble("\n", (party, "bold"), " learned"))
    for sentence in sentences:
        screen.print(Padding(Text(sentence), (0, 0, 0, 2), expand=False))


def show_notes(notes: Iterable[str]) -> None:
    """Write what a receipt notes of this side's own table."""
    screen = console()
    for note in notes:
        screen.print(f"\nNote: {note}", markup=False)


class Watch:
    """Shows the latest event of each party: bars on a terminal, one line a phase elsewhere."""

    def __init__(self, parties: Sequence[str]) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
        from rich.theme import Theme

        self._phases = dict.fromkeys(parties, "")
        self._lock = threading.Lock()  # events come from whichever thread does the work
        self._bars: Progress | None = None
        screen = Console(stderr=True, highlight=False, theme=Theme({"progress.elapsed": "none"}))
        if screen.is_terminal:
            self._bars = Progress(
                TextColumn("{task.fields[party]}", style="bold", markup=False),
                # "dim" is relative to the reader's own foreground, on a light or a dark ground
                BarColumn(bar_width=24, style="dim", complete_style="green", finished_style="green"),
                TextColumn("{task.description}", markup=False),
                TextColumn("{task.fields[count]}", markup=False),
                TimeElapsedColumn(),
                console=screen,
            )
            self._tasks = {p: self._bars.add_task("", total=1, party=p, count="") for p in parties}

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
                    # a phase of unknown length shows an empty bar: a pulsing one brings colours of its own
                    total=event.total or 1,
                    completed=event.done,
                    count=f"{event.done:,}/{event.total:,}" if event.total > 1 else "",
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
