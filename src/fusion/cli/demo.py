"""``fusion demo``: a whole scenario on this machine, each party in a process of its own."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fusion import scenarios
from fusion.cli.output import Json, console, fail, print_json, show_learned, watch
from fusion.errors import InputError

if TYPE_CHECKING:
    import pandas as pd
    from rich.table import Table as RichTable

    from fusion.cli.processes import Played
    from fusion.scenarios.outcome import Comparison

__all__ = ["demo"]

_SHOWN_ROWS = 15


def _known(name: str) -> str:
    if name not in scenarios.NAMES:
        raise typer.BadParameter(f"choose from {', '.join(scenarios.NAMES)}")
    return name


def demo(
    name: Annotated[
        str, typer.Argument(metavar="SCENARIO", help=f"One of: {', '.join(scenarios.NAMES)}.", callback=_known)
    ],
    as_json: Json = False,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a report with charts to this HTML file.")
    ] = None,
) -> None:
    """Play a scenario between processes, one a party, on real data."""
    from fusion.cli.processes import play
    from fusion.scenarios.outcome import compare

    if report is not None:
        from fusion.report import require

        require()
        if not report.absolute().parent.is_dir():
            raise InputError(f"cannot write {report}: its folder does not exist")
    scenario = scenarios.load(name)
    tables = scenario.data()
    if not as_json:
        _announce(scenario)
    with watch(scenario.PARTIES) as show:
        played = play(name, tables, show)
    outcomes = {party: each.outcome for party, each in played.items()}
    compared = compare(outcomes, scenario.ideal(tables), scenario.TOLERANCES)
    answer = _answer(name, tables, played, compared)
    if report is not None:
        from fusion import report as reports
        from fusion.scenarios.presentation import whole_report

        reports.write(whole_report(scenario, outcomes, compared, _facts(played)), report)
        answer["report"] = str(report)
    if as_json:
        print_json(answer)
    else:
        _show(scenario, answer, played, compared)
    if not answer["agrees_with_cleartext"]:
        wrong = ", ".join(f"{each.party}: {each.name}" for each in compared if not each.agrees)
        fail("FusionError", f"figures differ from the cleartext twin ({wrong}); please report this", as_json=False)
        raise typer.Exit(1)


def _answer(
    name: str, tables: Mapping[str, Any], played: Mapping[str, Played], compared: Sequence[Comparison]
) -> dict[str, Any]:
    import msgspec

    from fusion.scenarios.outcome import agree

    steps = {party: each.outcome.steps for party, each in played.items()}
    figures: dict[str, dict[str, Any]] = {party: {} for party in played}
    for each in compared:
        figures[each.party][each.name] = {
            "value": None if math.isnan(each.value) else each.value,  # JSON knows no NaN
            "cleartext": None if math.isnan(each.cleartext) else each.cleartext,
            "tolerance": each.tolerance,
            "agrees": each.agrees,
        }
    return {
        "scenario": name,
        "parties": list(played),
        "rows": {party: _rows(own) for party, own in tables.items()},
        "seconds": round(max(each.seconds for each in played.values()), 3),
        "cpu_seconds": {party: round(each.cpu_seconds, 3) for party, each in played.items()},
        "peak_memory": {party: each.peak_memory for party, each in played.items()},
        "bytes_sent": {party: sum(step.receipt.bytes_sent for step in own) for party, own in steps.items()},
        "kernel": next(iter(played.values())).kernel,
        "figures": figures,
        "agrees_with_cleartext": agree(compared),
        "receipts": {party: msgspec.to_builtins(own) for party, own in steps.items()},
    }


def _rows(tables: scenarios.Tables) -> int:
    return sum(map(len, tables.values())) if isinstance(tables, dict) else len(tables)


def _facts(played: Mapping[str, Played]) -> dict[str, str]:
    """What a reader of the report may want to know of the run."""
    import os

    facts = {"processes": f"{len(played)} on one machine, mutual TLS 1.3 between any two", "cores": str(os.cpu_count())}
    for party, each in played.items():
        facts[party] = (
            f"{each.seconds:.1f} seconds, {each.cpu_seconds:.1f} of processor time, "
            f"at most {each.peak_memory / 2**20:,.0f} MiB of memory, {each.kernel} kernel"
        )
    return facts


def _announce(scenario: scenarios.Scenario) -> None:
    from rich.text import Text

    screen = console()
    screen.print(Text(f"\n{scenario.TITLE}", style="bold"))
    screen.print(Text(f"{scenario.SECTOR}\n"))
    screen.print(Text(f"{scenario.SOURCE}\n"))
    count = {2: "Two", 3: "Three"}[len(scenario.PARTIES)]
    screen.print(f"{count} processes, each with only its own file, talk over mutual TLS 1.3.\n")


def _show(
    scenario: scenarios.Scenario,
    answer: Mapping[str, Any],
    played: Mapping[str, Played],
    compared: Sequence[Comparison],
) -> None:
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    from fusion.report import taught
    from fusion.scenarios.presentation import figure

    screen = console()
    sizes = Table(box=None, pad_edge=False, header_style="bold")
    sizes.add_column("")
    for party in played:
        sizes.add_column(party, justify="right")
    for label, of in (("rows in its own file", answer["rows"]), ("bytes sent", answer["bytes_sent"])):
        sizes.add_row(label, *(f"{of[party]:,}" for party in played))
    screen.print("")
    screen.print(sizes)

    for party, each in played.items():
        show_learned(party, (f"{names}: {'; '.join(said)}" for names, said in taught(party, each.outcome.steps)))
        for name in scenario.SHOWN:
            if name in each.outcome.tables:
                screen.print(Text.assemble("\n", (party, "bold"), f" holds {name}"))
                table = _as_rich(each.outcome.tables[name], screen.width - 4)
                screen.print(Padding(table, (0, 0, 0, 2), expand=False))

    figures = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("", "", "between the parties", "in the clear", "agrees"):
        figures.add_column(title, justify="left" if not title else "right")
    last = ""
    for one in compared:
        verdict = Text("yes", "green") if one.agrees else Text("no", "bold red")
        shown = one.party if one.party != last else ""
        figures.add_row(Text(shown), Text(one.name), figure(one.value), figure(one.cleartext), verdict)
        last = one.party
    screen.print("")
    screen.print(figures)
    screen.print(f"\nIt took {answer['seconds']:.1f} seconds on the {answer['kernel']} kernel.")
    if "report" in answer:
        screen.print(Text(f"The report is in {answer['report']}"))
    else:
        screen.print(f"For a page with charts: fusion demo {answer['scenario']} --report FILE.html")
    verdict = Text("yes", "bold green") if answer["agrees_with_cleartext"] else Text("no", "bold red")
    words = "\nAgrees with its cleartext twin, one process that sees all tables: "
    screen.print(Text.assemble(words, verdict))


def _as_rich(table: pd.DataFrame, width: int) -> RichTable:
    """Return the first rows with as many columns as fit."""
    from rich.cells import cell_len
    from rich.table import Table as Drawn
    from rich.text import Text

    from fusion.report import Table

    content = Table("", table.head(_SHOWN_ROWS))
    header, rows = content.header(), content.rows()
    columns = 0
    for i, (name, _) in enumerate(header):
        width -= max(cell_len(text) for text in (name, *(row[i][0] for row in rows))) + 2
        if width < 0 and columns:
            break
        columns += 1
    shown = Drawn(box=None, pad_edge=False, header_style="bold")
    for name, is_number in header[:columns]:
        shown.add_column(Text(name), justify="right" if is_number else "left", no_wrap=True)
    for row in rows:
        shown.add_row(*(Text(text) for text, _ in row[:columns]))
    return shown
