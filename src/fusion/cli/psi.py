"""``fusion psi``: set intersection between this party and a peer."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from fusion.cli.output import Command, CommandGroup, Json, print_json, show_learned, show_notes, show_pairs, watch
from fusion.errors import InputError

if TYPE_CHECKING:
    from fusion.channel.config import Party

__all__ = ["app", "intersect", "parse_on"]

app = typer.Typer(cls=CommandGroup, help="Set intersection with a peer.")

_EPILOG = """\b
Example, at the insurer; the hospital runs the same with its own file:
  fusion psi intersect --config insurer.toml --peer hospital \\
      --table policies.csv --on id_number:cn_id,birth_date:date \\
      --out matched.csv

Row i of both results is the same person. The columns may be called differently on the two sides; the kinds must agree,
in order. Nothing is written unless the whole operation succeeds.
"""


@app.callback(invoke_without_command=True)
def _root(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@app.command(cls=Command, epilog=_EPILOG)
def intersect(
    config: Annotated[Path, typer.Option(metavar="FILE", help="This party's TOML file.")],
    peer: Annotated[str, typer.Option(metavar="NAME", help="The peer's name in that file.")],
    table: Annotated[Path, typer.Option(metavar="FILE", help="This party's CSV or Parquet file.")],
    on: Annotated[
        str,
        typer.Option(
            metavar="COLUMN:KIND,...",
            help="Key columns with their kinds, in one order on both sides. "
            "Kinds: text, integer, date, cn_id, phone, uscc.",
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="CSV or Parquet file for this party's shared rows; replaced if it exists."),
    ] = None,
    learn: Annotated[
        str, typer.Option(metavar="NAME", help='Who learns the result: "both" or the name of one party.')
    ] = "both",
    duplicates: Annotated[
        Literal["error", "first"],
        typer.Option(help="Refuse keys that stand twice, or keep the first row of each."),
    ] = "error",
    protocol: Annotated[
        Literal["auto", "vole", "ecdh"], typer.Option(help="How to compute it; both sides must say the same.")
    ] = "auto",
    as_json: Json = False,
) -> None:
    """Find the rows that both share; the peer runs the same with its file."""
    import msgspec

    import fusion
    from fusion import progress, psi, tables
    from fusion.channel.config import Party

    party = Party.load(config)
    party.peer(peer)
    _check_learn(party, peer, learn)
    keys = parse_on(on)
    rows = tables.Table.of(table).to_arrow()
    # columns, kinds and types, as far as no row is needed to judge them
    tables.key_columns(tables.Table.of(rows.slice(0, 0)), keys)
    _check_out(out, table, learns=learn in ("both", party.name), peer=peer)

    with watch([party.name]) as show, progress.listen(show), fusion.connect(party, peer=peer) as channel:
        result = psi.intersect(channel, rows, on=keys, learn=learn, duplicates=duplicates, protocol=protocol)
        receipt: dict[str, Any] = msgspec.to_builtins(channel.receipt())
        if out is not None:
            tables.write(result, out)
        progress.emit(progress.Event(party.name, "psi.intersect", "done", 1, 1))
    answer = {
        "party": party.name,
        "peer": peer,
        "rows": rows.num_rows,
        "matched": None if result is None else result.num_rows,
        "out": None if out is None else str(out),
        "receipt": receipt,
    }
    if as_json:
        print_json(answer)
    else:
        _show(answer)


def parse_on(text: str) -> list[str] | dict[str, str]:
    """Return key columns as `psi.intersect` takes them: names alone, or names with kinds.

    Raises
    ------
    InputError
        An empty name, a name that stands twice, or kinds for some columns only.
    """
    pairs = [part.strip().partition(":") for part in text.split(",")]
    names = [name.strip() for name, _, _ in pairs]
    kinds = [kind.strip() for _, _, kind in pairs]
    if not all(names) or len(set(names)) < len(names):
        raise InputError("--on lists different column names, such as id_number:cn_id,birth_date:date")
    if not any(colon for _, colon, _ in pairs):
        return names
    if not all(kinds):
        raise InputError("--on gives some columns a kind and others none; give each its kind")
    return dict(zip(names, kinds, strict=True))


def _check_learn(party: Party, peer: str, learn: str) -> None:
    if learn not in ("both", party.name, peer):
        raise InputError(f"--learn names who learns the result: both, {party.name} or {peer}")


def _check_out(out: Path | None, table: Path, *, learns: bool, peer: str) -> None:
    """Raise `InputError` now for what would otherwise fail after the work is done."""
    if not learns:
        if out is not None:
            raise InputError(f"only {peer} learns the result, so there is nothing to write; leave out --out")
        return
    if out is None:
        raise InputError("this side learns the result; say where to write it with --out")
    if out.suffix.lower() not in (".csv", ".parquet"):
        raise InputError(f"{out} must end in .csv or .parquet")
    try:
        if not out.parent.is_dir():
            raise InputError(f"the folder of {out} does not exist; make it first")
        if not os.access(out.parent, os.W_OK):
            raise InputError(f"the folder of {out} is not writable; choose another")
        if not out.exists():
            return
        if not out.is_file():
            raise InputError(f"{out} is there and is no file; choose another name")
        if out.samefile(table):
            raise InputError(f"{out} is the table itself; choose another name")
    except OSError as error:
        raise InputError(f"cannot write {out}: {error.strerror}; choose another name") from None


def _show(answer: dict[str, Any]) -> None:
    receipt = answer["receipt"]
    typer.echo()
    show_pairs(
        (
            ("rows in the file", f"{answer['rows']:,}"),
            *((f"usable keys of {party}", f"{size:,}") for party, size in receipt["sizes"].items()),
            ("rows both have", "not told to this side" if answer["out"] is None else f"{answer['matched']:,}"),
            ("written to", answer["out"] or "nothing"),
            ("protocol", receipt["parameters"]["protocol"]),
            ("bytes sent", f"{receipt['bytes_sent']:,}"),
            ("bytes received", f"{receipt['bytes_received']:,}"),
            ("seconds", f"{receipt['seconds']:.2f}"),
        )
    )
    for party in (answer["party"], answer["peer"]):
        show_learned(party, receipt["learned"][party])
    show_notes(receipt["notes"])
