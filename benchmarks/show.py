"""Results as tables for people."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

__all__ = ["table"]


def table(found: Mapping[str, Any]) -> None:
    """Print a result of any benchmark on stdout."""
    # elsewhere than on a terminal nothing is cut
    screen = Console(highlight=False, width=None if sys.stdout.isatty() else 160)
    facts = found["machine"]
    screen.print(
        f"{facts['cpu']} ({facts['family_model_stepping']}; {', '.join(facts['flags'])}), "
        f"{len(facts['cores_used'])} of {facts['cores']} cores, {facts['memory_mb'] / 1024:.0f} GB"
        f"{', virtual' if facts['virtual'] else ''}\n"
        f"{facts['system']}, Python {facts['python']}, {facts['openssl']}, load before {facts['load']}\n",
        markup=False,
        style="dim",
    )
    shows = {
        "kernels": _kernels,
        "channel": _channel,
        "psi": _psi,
        "rlwe": _rlwe,
        "aggregation": _aggregation,
        "secure-sum": _secure_sum,
        "flower": _flower,
        "learning": _learning,
    }
    shows[found["benchmark"]](found, screen)


def _grid(headings: Iterable[str]) -> Table:
    grid = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))
    for i, heading in enumerate(headings):
        grid.add_column(heading, justify="right" if i else "left", header_style="bold", no_wrap=True)
    return grid


def _with_spread(value: float, spread: tuple[float, float]) -> str:
    return f"{value:.4g} [{spread[0]:.4g}, {spread[1]:.4g}]"


def _ratio(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}x"


def _kernels(found: Mapping[str, Any], screen: Console) -> None:
    ours = found["fusion"]["operations"]
    peers = found["peers"]
    screen.print(
        f"kernels over {found['n']:,} rows, one core: microseconds a row, median [lowest, highest]\n", markup=False
    )
    grid = _grid(
        [
            "",
            "variant",
            "fusion",
            *(f"{peer} {told['version']}" for peer, told in peers.items()),
            *(["ratio"] * len(peers)),
        ]
    )
    for operation, variants in ours.items():
        for i, (variant, own) in enumerate(variants.items()):
            theirs = [told["operations"].get(operation) for told in peers.values()]
            grid.add_row(
                "" if i else operation,
                variant,
                _with_spread(own["microseconds"], own["spread"]),
                *(_with_spread(peer["microseconds"], peer["spread"]) if peer and not i else "" for peer in theirs),
                *(_ratio(peer and peer["ratio"][variant]) for peer in theirs),
            )
    screen.print(grid)
    long = found["fusion"]["long"]
    published = long["published"]
    screen.print(f"\nkernels over {long['n']:,} rows, one core; vole: the work of both roles\n", markup=False)
    grid = _grid(["", "variant", "microseconds a row", "milliseconds", f"ms published for {published['n']:,}"])
    for operation, variants in long["operations"].items():
        for i, (variant, own) in enumerate(variants.items()):
            elsewhere = published["milliseconds"].get(operation)
            grid.add_row(
                "" if i else operation,
                variant,
                _with_spread(own["microseconds"], own["spread"]),
                f"{own['milliseconds']:.4g}",
                f"{elsewhere:.4g}" if elsewhere and not i else "",
            )
    screen.print(grid)
    screen.print(f"\nPublished: {published['source']}.", style="dim", markup=False)


def _channel(found: Mapping[str, Any], screen: Console) -> None:
    ours, bare = found["fusion"], found["peers"]["ssl"]
    screen.print(
        f"channel, {found['n']:,} bytes in chunks of {ours['chunk_bytes']:,}: seconds, median [lowest, highest]\n",
        markup=False,
    )
    grid = _grid(["", "fusion", "MB/s", "CPU s", "bare ssl", "MB/s", "CPU s", "ratio"])
    for way in ("one way", "both ways"):
        cells = []
        for told in (ours[way], bare[way]):
            cells += [
                _with_spread(told["seconds"], told["spread"]),
                f"{told['mb_per_second']:.4g}",
                f"{sum(told['cpu_seconds'].values()):.3g}",
            ]
        grid.add_row(way, *cells, _ratio(bare[way]["ratio"]))
    screen.print(grid)


def _psi(found: Mapping[str, Any], screen: Console) -> None:
    learn = "both sides learn" if found["learn"] == "both" else "the receiver learns"
    link = "loopback"
    if "relay" in found:
        relay = found["relay"]
        link = f"{relay['mbit_per_second']} Mbit/s, round trip {relay['round_trip_ms']} ms by {relay['by']}"
    files = "" if found["files"] == "csv" else f", {found['files']} files"
    screen.print(f"psi, {learn}{files}: seconds, median [lowest, highest]\nlink: {link}\n", markup=False)
    measured = found.get("series") or [found]
    grid = _grid(["rows", "", "seconds", "runs", "bytes/row", "peak MB", "CPU s", "ratio"])
    for one in measured:
        for name, told in {"fusion": one["fusion"], **one["peers"]}.items():
            auto = "auto, " if name == "fusion" and one["protocol"] == "auto" else ""
            grid.add_row(
                f"{one['n']:,}" if name == "fusion" else "",
                f"{name} {told['version']} ({auto}{told['protocol']})",
                _with_spread(told["seconds"], told["spread"]),
                str(told["runs"]),
                f"{told['bytes_per_item']:.4g}",
                f"{max(told['peak_mb'].values()):.4g}",
                f"{sum(told['cpu_seconds'].values()):.3g}",
                _ratio(told.get("ratio")),
            )
    screen.print(grid)
    # of several sizes the largest: there it matters
    largest = {one["fusion"]["protocol"]: one for one in sorted(measured, key=lambda one: one["n"])}
    for protocol, one in largest.items():
        screen.print(f"\nWhere our time goes with {protocol} at {one['n']:,} rows, in seconds\n")
        screen.print(_phases(one["fusion"]["phases"]))
    notes = {name: told["note"] for one in measured for name, told in one["peers"].items()}
    for name, note in notes.items():
        screen.print(f"\n{name}: {note}.", style="dim", markup=False)


def _rlwe(found: Mapping[str, Any], screen: Console) -> None:
    contenders = {**found["fusion"]["variants"], **found["peers"]}
    peer = found["peers"].get("tenseal")
    screen.print(
        f"rlwe at degree {found['degree']:,}, one core: milliseconds a call, median [lowest, highest]\n", markup=False
    )
    names = [f"tenseal {told['version']}" if told is peer else f"fusion, {name}" for name, told in contenders.items()]
    grid = _grid(["", *names, "ratio"])
    for operation in _in_order([list(told["operations"]) for told in contenders.values()]):
        cells = [told["operations"].get(operation) for told in contenders.values()]
        ratio = peer["operations"].get(operation, {}).get("ratio") if peer else None
        shown = ["" if cell is None else _with_spread(cell["milliseconds"], cell["spread"]) for cell in cells]
        grid.add_row(operation, *shown, _ratio(ratio))
    for kind in _in_order([list(told["bytes"]) for told in contenders.values()]):
        sizes = [told["bytes"].get(kind) for told in contenders.values()]
        grid.add_row(f"{kind}, bytes", *("" if size is None else f"{size:,}" for size in sizes))
    screen.print(grid)


def _secure_sum(found: Mapping[str, Any], screen: Console) -> None:
    screen.print(
        f"secure sum of {found['clients']} clients, {found['n']:,} values each: CPU milliseconds, median "
        "[lowest, highest]\n",
        markup=False,
    )
    grid = _grid(["", "one client", "server", "server after dropouts", "bytes sent", "expansion"])
    for what, told in found["fusion"]["values"].items():
        grid.add_row(
            what,
            _with_spread(told["client_milliseconds"], told["spread"]),
            f"{told['server_milliseconds']:.4g}",
            f"{told['server_milliseconds_after_dropouts']:.4g}",
            f"{told['bytes_sent']:,}",
            f"{told['expansion']:.4g}",
        )
    screen.print(grid)


def _flower(found: Mapping[str, Any], screen: Console) -> None:
    screen.print(
        f"a round of federated averaging, {found['clients']} clients, {found['n']:,} float32: CPU milliseconds, "
        "median [lowest, highest]\n",
        markup=False,
    )
    grid = _grid(["", "one client", "beyond plain", "keys", "server", "bytes sent", "expansion", "largest error"])
    rows = dict(found["fusion"]["strategies"])
    rows |= {f"{name} {told['version']}": told for name, told in found["peers"].items()}
    for name, told in rows.items():
        beyond, keys, expansion, error = (
            told.get(key)
            for key in ("client_milliseconds_beyond_plain", "setup_milliseconds", "expansion", "largest_error")
        )
        client = told["client_milliseconds"]
        grid.add_row(
            name,
            _with_spread(client, told["spread"]) if "spread" in told else f"{client:.4g}",
            "" if beyond is None else f"{beyond:.4g}",
            "" if keys is None else f"{keys:.4g}",
            f"{told['server_milliseconds']:.4g}",
            f"{told['bytes_sent']:,}",
            "" if expansion is None else f"{expansion:.4g}",
            "" if error is None else f"{error:.2g}",
        )
    screen.print(grid)
    screen.print("\none client's noise for one of 20 rounds at epsilon 4: CPU microseconds a value", markup=False)
    for name, told in found["fusion"]["noise"].items():
        screen.print(f"{name}: {told['microseconds_per_value']:.2g}, one of {told['shares']} shares", markup=False)


def _aggregation(found: Mapping[str, Any], screen: Console) -> None:
    screen.print(
        "aggregation, one core: values a second by processor time, median; microseconds a value\n", markup=False
    )
    grid = _grid(["scheme", "operation", "", "a second", "microseconds", "bytes/value", "ratio"])
    contenders = {"fusion": found["fusion"], **found["peers"]}
    for name, told in contenders.items():
        for scheme, operations in told["schemes"].items():
            for i, (operation, measured) in enumerate(operations.items()):
                size = told["bytes_per_value"].get(scheme)
                grid.add_row(
                    "" if i else scheme,
                    operation,
                    "" if i else f"{name} {told['version']}",
                    f"{measured['per_second']:,.0f}",
                    _with_spread(measured["microseconds"], measured["spread"]),
                    f"{size:.4g}" if size and not i else "",
                    _ratio(measured.get("ratio")),
                )
    screen.print(grid)


def _learning(found: Mapping[str, Any], screen: Console) -> None:
    screen.print(
        f"{found['protocol']}, {found['n']:,} rows of {' + '.join(map(str, found['columns']))} columns: seconds, "
        "median [lowest, highest]\n",
        markup=False,
    )
    logistic = found["protocol"].startswith("logistic")
    grid = _grid(["", "seconds", "runs", "epochs" if logistic else "rounds", "MB moved", "peak MB", "CPU s", "ratio"])
    for name, told in {"fusion": found["fusion"], **found["peers"]}.items():
        grid.add_row(
            f"{name} {told['version']}",
            _with_spread(told["seconds"], told["spread"]),
            str(told["runs"]),
            str(told.get("rounds", "")),
            f"{told['bytes'] / 1e6:.4g}" if told["bytes"] else "",
            f"{max(told['peak_mb'].values()):.4g}",
            f"{sum(told['cpu_seconds'].values()):.3g}",
            _ratio(told.get("ratio")),
        )
    screen.print(grid)
    if "error" in found["fusion"]:
        off = ", ".join(f"{what.replace('_', ' ')} {value:.1e}" for what, value in found["fusion"]["error"].items())
        screen.print(f"\nLargest {'' if logistic else 'relative '}error against the pooled columns: {off}.")
    screen.print("\nWhere our time goes, in seconds\n")
    screen.print(_phases(found["fusion"]["phases"]))
    for name, told in found["peers"].items():
        screen.print(f"\n{name}: {told['note']}.", style="dim", markup=False)


def _phases(parties: Mapping[str, Mapping[str, float]]) -> Table:
    """A line for each phase, a column for each party."""
    grid = _grid(["", *parties])
    for phase in _in_order([list(told) for told in parties.values()]):
        grid.add_row(phase, *(f"{told[phase]:.3g}" if phase in told else "" for told in parties.values()))
    return grid


def _in_order(lists: Iterable[Sequence[str]]) -> list[str]:
    """All names, each after the one before it in its own list."""
    found: list[str] = []
    for names in lists:
        at = 0
        for name in names:
            if name not in found:
                found.insert(at, name)
            at = found.index(name) + 1
    return found
