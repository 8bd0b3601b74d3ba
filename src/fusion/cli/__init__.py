"""The command ``fusion``.

Results go to stdout, progress and errors to stderr. Every command has ``--json``: one object on stdout, on
failure ``{"error": class, "message": sentence}``. Exit codes: 0 done, 1 failed, 2 called wrongly, 128 + n
ended by signal n. ``FUSION_DEBUG=1`` adds the traceback of a failure.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import traceback
from collections.abc import Iterator, Sequence
from typing import Annotated, Any

import typer

from fusion import __version__
from fusion.cli import demo, doctor, keys, psi
from fusion.cli.output import Command, CommandGroup, fail
from fusion.errors import FusionError

__all__ = ["app", "main"]

_HELP = """Compute on the joined picture while each row stays home.

Two organisations each run the same command on their own file. No row leaves; what each side learns is said in the
receipt. Start with a demonstration on this machine, then make a key, exchange fingerprints, and meet a peer.
"""

# The lines after a backspace character stay as they are.
_EPILOG = """\b
Examples:
  fusion demo medical-insurance --report report.html
  fusion keygen insurer
  fusion doctor --config insurer.toml --peer hospital
  fusion psi intersect --config insurer.toml --peer hospital \\
      --table policies.csv --on id_number:cn_id --out matched.csv

\b
Output:
  Results go to stdout, progress and errors to stderr. With --json a command
  prints one JSON object, on failure {"error": ..., "message": ...}.

\b
Exit status:
  0 done, 1 failed, 2 called wrongly, 128 + N ended by signal N

\b
Environment:
  FUSION_KERNEL=portable  use the C code that runs on every processor
  FUSION_DEBUG=1          show where an unforeseen error comes from
"""

app = typer.Typer(
    name="fusion",
    cls=CommandGroup,
    help=_HELP,
    epilog=_EPILOG,
    add_completion=False,
    rich_markup_mode=None,  # drawn boxes cut the names of options short on a narrow terminal
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command(cls=Command)(demo.demo)
app.add_typer(psi.app, name="psi")
app.command(cls=Command)(keys.keygen)
app.command(cls=Command)(doctor.doctor)

# Newer releases of typer carry their own copy of click; this is the common root of wrong usage in either.
_UsageError: Any = typer.BadParameter.__base__


class Terminated(BaseException):
    """A signal asks the process to end; files and children are cleared up on the way out, and the peer is told."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    args = list(sys.argv[1:] if argv is None else argv)
    code = None
    try:
        code = _run(args)
        sys.stdout.flush()
    except OSError as error:
        # The reader has left, or the disk is full. Nothing may be written any more, not even by the interpreter as it
        # ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if code == 0 and not isinstance(error, BrokenPipeError):
            sys.stderr.write(f"fusion: cannot write the result: {error.strerror}\n")
        return 1
    return code


def _run(args: list[str]) -> int:
    as_json = "--json" in args
    try:
        with _signals_raise():
            code = app(args, prog_name="fusion", standalone_mode=False)
        if code == 128 + signal.SIGINT:
            fail("KeyboardInterrupt", "interrupted", as_json=as_json)
        return code if isinstance(code, int) else 0
    except _UsageError as error:
        where = error.ctx.command_path if error.ctx else "fusion"
        words = error.format_message().replace("Value error, ", "")  # typer's own checker speaks before its sentence
        fail("UsageError", f"{words} (see {where} --help)", as_json=as_json)
        return 2
    except KeyboardInterrupt:
        fail("KeyboardInterrupt", "interrupted", as_json=as_json)
        return 128 + signal.SIGINT
    except Terminated as ended:
        number: int = ended.args[0]
        fail("Terminated", f"ended by {signal.Signals(number).name}", as_json=as_json)
        return 128 + number
    except BrokenPipeError:
        raise
    except Exception as error:
        if os.environ.get("FUSION_DEBUG"):
            traceback.print_exc()
        # the words of an unforeseen exception may quote a row; those of the operating system do not
        said = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else ""
        unforeseen = f"{said or f'unexpected {type(error).__name__}'}; FUSION_DEBUG=1 shows where it comes from"
        fail(
            type(error).__name__,
            str(error) if isinstance(error, FusionError) else unforeseen,
            as_json=as_json,
        )
        return 1


@contextlib.contextmanager
def _signals_raise() -> Iterator[None]:
    def end(number: int, _frame: object) -> None:
        raise Terminated(number)

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version and leave.", callback=_print_version, is_eager=True),
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
