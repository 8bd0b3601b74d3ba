"""Results as tables for people."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
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
    {"kernels": _kernels, "channel": _channel, "psi": _psi}[found["benchmark"]](found, screen)


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
    screen.print(f"psi, {found['protocol']}, {learn}: seconds, median [lowest, highest]\n", markup=False)
    grid = _grid(["rows", "", "seconds", "bytes/row", "peak MB", "CPU s", "ratio"])
    measured = found.get("series") or [found]
    for one in measured:
        for name, told in {"fusion": one["fusion"], **one["peers"]}.items():
            grid.add_row(
                f"{one['n']:,}" if name == "fusion" else "",
                f"{name} {told['version']}",
                _with_spread(told["seconds"], told["spread"]),
                f"{told['bytes_per_item']:.4g}" if "bytes_per_item" in told else "",
                f"{max(told['peak_mb'].values()):.4g}",
                f"{sum(told['cpu_seconds'].values()):.3g}",
                _ratio(told.get("ratio")),
            )
    screen.print(grid)
    screen.print("\nWhere our time goes, in seconds of the slower side\n")
    phases = list(dict.fromkeys(phase for one in measured for phase in one["fusion"]["phases"]))
    grid = _grid(["rows", *phases])
    for one in measured:
        grid.add_row(f"{one['n']:,}", *(f"{one['fusion']['phases'].get(phase, 0):.3g}" for phase in phases))
    screen.print(grid)
    for name, told in measured[0]["peers"].items():
        if "note" in told:
            screen.print(f"\n{name}: {told['note']}.", style="dim", markup=False)
