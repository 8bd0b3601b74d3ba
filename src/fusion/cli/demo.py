"""``fusion demo``: a whole scenario on this machine, each party in a process of its own."""

from __future__ import annotations

import io
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fusion import scenarios
from fusion.cli.output import Json, console, fail, print_json, show_learned, watch

if TYPE_CHECKING:
    import pandas as pd
    from rich.table import Table as RichTable

    from fusion.cli.processes import Outcome

__all__ = ["demo"]

_SHOWN_ROWS = 3


def _known(name: str) -> str:
    if name not in scenarios.NAMES:
        raise typer.BadParameter(f"choose from {', '.join(scenarios.NAMES)}")
    return name


def demo(
    name: Annotated[
        str, typer.Argument(metavar="SCENARIO", help=f"One of: {', '.join(scenarios.NAMES)}.", callback=_known)
    ],
    as_json: Json = False,
) -> None:
    """Play a scenario between two processes, on real data."""
    from fusion.cli.processes import play

    scenario = scenarios.load(name)
    tables = scenario.data()
    if not as_json:
        _announce(scenario)
    with watch(scenario.PARTIES) as show:
        outcomes = play(name, tables, show)
    got = {party: outcome.table for party, outcome in outcomes.items()}
    wanted = {party: _as_text(table) for party, table in scenario.ideal(tables).items()}
    agrees = _same_pairs(got, wanted)
    answer = _answer(name, tables, outcomes, agrees)
    if as_json:
        print_json(answer)
    else:
        _show(scenario, answer, outcomes)
    if not agrees:
        rows = ", ".join(f"{party} {len(got[party]):,} for {len(wanted[party]):,}" for party in got)
        fail(
            "FusionError",
            f"the result differs from its cleartext twin (rows: {rows}); please report this",
            as_json=False,
        )
        raise typer.Exit(1)


def _answer(
    name: str, tables: Mapping[str, pd.DataFrame], outcomes: Mapping[str, Outcome], agrees: bool
) -> dict[str, Any]:
    receipts = {party: outcome.receipt for party, outcome in outcomes.items()}
    return {
        "scenario": name,
        "parties": list(tables),
        "rows": {party: len(table) for party, table in tables.items()},
        "matched": min(len(outcome.table) for outcome in outcomes.values()),
        "seconds": round(max(receipt["seconds"] for receipt in receipts.values()), 3),
        "bytes_sent": {party: receipt["bytes_sent"] for party, receipt in receipts.items()},
        "protocol": next(iter(receipts.values()))["parameters"]["protocol"],
        "kernel": next(iter(outcomes.values())).kernel,
        "agrees_with_cleartext": agrees,
        "receipt": receipts,
    }


def _as_text(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table as it reads after a journey through CSV, as the parties' tables made one."""
    from fusion.cli.processes import read_cells

    return read_cells(io.StringIO(table.to_csv(index=False)))


def _same_pairs(got: Mapping[str, pd.DataFrame], wanted: Mapping[str, pd.DataFrame]) -> bool:
    """Say whether both hold the same rows side by side; the order of pairs is free."""
    return got.keys() == wanted.keys() and _pairs(got).equals(_pairs(wanted))


def _pairs(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    import pandas as pd

    side_by_side = pd.concat(dict(sorted(tables.items())), axis=1)
    return side_by_side.sort_values(list(side_by_side.columns)).reset_index(drop=True)


def _announce(scenario: scenarios.Scenario) -> None:
    from rich.text import Text

    screen = console()
    screen.print(Text(f"\n{scenario.TITLE}\n", style="bold"))
    screen.print(Text(f"{scenario.SOURCE}\n"))
    screen.print("Two processes, each with only its own file, talk over mutual TLS 1.3.\n")


def _show(scenario: scenarios.Scenario, answer: Mapping[str, Any], outcomes: Mapping[str, Outcome]) -> None:
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    screen = console()
    parties = answer["parties"]
    matched = {party: len(outcome.table) for party, outcome in outcomes.items()}
    keys = answer["receipt"][parties[0]]["sizes"]
    figures = Table(box=None, pad_edge=False, header_style="bold")
    figures.add_column("")
    for party in parties:
        figures.add_column(party, justify="right")
    for label, of in (
        ("rows in its own file", answer["rows"]),
        ("without a valid key, or repeated", {party: answer["rows"][party] - keys[party] for party in parties}),
        ("different usable keys", keys),
        ("rows both have", matched),
        ("bytes sent", answer["bytes_sent"]),
    ):
        figures.add_row(label, *(f"{of[party]:,}" for party in parties))
    screen.print("")
    screen.print(figures)

    for party in parties:
        show_learned(party, answer["receipt"][party]["learned"][party])
        table, title = _first_rows(outcomes[party].table, scenario.KEYS[party], screen.width - 4)
        screen.print(Text.assemble((f"\n{party}", "bold"), f" keeps {title}"))
        screen.print(Padding(table, (0, 0, 0, 2), expand=False))

    verdict = ("yes", "bold green") if answer["agrees_with_cleartext"] else ("no", "bold red")
    screen.print("\nRow 1 of one side and row 1 of the other are the same person, and so on down.")
    took = f"{answer['seconds']:.2f} seconds with protocol {answer['protocol']} on the {answer['kernel']} kernel"
    screen.print(f"It took {took}.\n")
    screen.print(Text.assemble("Agrees with its cleartext twin, a plain join of both files: ", verdict))


def _first_rows(table: pd.DataFrame, keys: Collection[str], width: int) -> tuple[RichTable, str]:
    """Return the first rows with as many columns as fit, and words for what they are."""
    from rich.cells import cell_len
    from rich.table import Table
    from rich.text import Text

    head = table.head(_SHOWN_ROWS)
    shown = Table(box=None, pad_edge=False, header_style="bold")
    for name in head.columns:
        width -= max(map(cell_len, (name, *head[name]))) + 2
        if width < 0:
            break
        shown.add_column(name, justify="left" if name in keys else "right", no_wrap=True)
    columns = len(shown.columns)
    for row in head.iloc[:, :columns].itertuples(index=False):
        shown.add_row(*map(Text, row))
    of_columns = "" if columns == table.shape[1] else f" ({columns} of {table.shape[1]} columns)"
    return shown, f"its own {len(table):,} rows; the first {len(head)}{of_columns}:"
