"""Results as pictures that survive print: few inks, and names beside the curves instead of a legend."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from benchmarks import BenchmarkError

__all__ = ["draw"]

_INK, _SOFT = "#222222", "#8a8a8a"
# who by colour, which protocol by the dashes; told apart in grey as well, by lightness and by the mark
_LOOKS: Mapping[tuple[str, str], Mapping[str, Any]] = {
    ("fusion", "vole"): {"color": "#00695c", "marker": "o", "linewidth": 2.2},
    ("fusion", "ecdh"): {"color": "#00695c", "marker": "D", "linewidth": 1.5, "linestyle": (0, (4, 1.5))},
    ("secretflow", "vole"): {"color": "#c0722b", "marker": "s", "linewidth": 1.4},
    ("secretflow", "ecdh"): {"color": "#c0722b", "marker": "v", "linewidth": 1.2, "linestyle": (0, (4, 1.5))},
    ("openmined", "ecdh"): {"color": "#7a86b8", "marker": "^", "linewidth": 1.2, "linestyle": (0, (4, 1.5))},
}
_NAMES = {
    ("fusion", "vole"): "Fusion vole",
    ("fusion", "ecdh"): "Fusion ecdh",
    ("secretflow", "vole"): "SecretFlow RR22",
    ("secretflow", "ecdh"): "SecretFlow ECDH",
    ("openmined", "ecdh"): "OpenMined",
}
_BARS = ("#00695c", "#7fb5ad", "#c9dedb")
_STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 9.0,
    "axes.edgecolor": _SOFT,
    "axes.labelcolor": _INK,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": _SOFT,
    "ytick.color": _SOFT,
    "xtick.labelcolor": _INK,
    "ytick.labelcolor": _INK,
    "text.color": _INK,
    "svg.hashsalt": "fusion",  # the same figures give the same file
    "svg.fonttype": "path",
}


def draw(found: Mapping[str, Any], file: Path) -> None:
    """Draw a result of ``kernels`` or ``psi``; the file's ending chooses the format.

    Raises
    ------
    BenchmarkError
        If there is nothing to compare, or the file cannot be written.
    """
    with mpl.rc_context(_STYLE):
        figure = _kernels(found) if found["benchmark"] == "kernels" else _psi(found)
        try:
            figure.savefig(file, metadata={"Date": None} if file.suffix == ".svg" else None, dpi=160)
        except OSError as error:
            raise BenchmarkError(f"cannot write {file}: {error.strerror}") from None


def _caption(figure: Figure, found: Mapping[str, Any], text: str) -> None:
    facts = found["machine"]
    cores = len(facts["cores_used"])
    where = f"{facts['cpu']} (family/model {facts['family_model_stepping']}), {cores} core{'s' if cores > 1 else ''}"
    figure.text(0.015, 0.015, f"{text}\n{where}, Python {facts['python']}", fontsize=7, color="#555555", va="bottom")


_Curve = list[tuple[int, Mapping[str, Any]]]  # sizes and what was measured there


def _psi(found: Mapping[str, Any]) -> Figure:
    curves = _curves(found.get("series", ()))
    sizes = sorted({n for curve in curves.values() for n, _ in curve})
    if len(sizes) < 2:
        raise BenchmarkError("a curve needs several sizes, such as --n 2^12,2^14,2^16")
    figure = Figure(figsize=(7.2, 6.6))
    for bottom, measure, unit, title in (
        (0.565, "seconds", "s", "seconds, from file to file"),
        (0.125, "bytes_per_item", "B", "bytes a row, both ways together"),
    ):
        axes = figure.add_axes((0.08, bottom, 0.655, 0.345))
        for key, curve in reversed(curves.items()):
            at = [n for n, _ in curve]
            axes.plot(at, [told[measure] for _, told in curve], markersize=4.2, clip_on=False, **_LOOKS[key])
            if measure == "seconds":
                low, high = zip(*(told["spread"] for _, told in curve), strict=True)
                axes.vlines(at, low, high, color=_LOOKS[key]["color"], linewidth=0.8)
        axes.set_xscale("log", base=2)
        axes.set_yscale("log")
        axes.set_xticks(sizes, [_size(n) for n in sizes])
        axes.xaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.grid(axis="y", color="#dddddd", linewidth=0.5)
        axes.set_title(title, loc="left", fontsize=9.5, pad=6)
        _label_ends(
            axes, sizes[-1], {key: (curve[-1][0], curve[-1][1][measure]) for key, curve in curves.items()}, unit
        )
    axes.set_xlabel("rows of each party")
    learn = "both sides learn" if found["learn"] == "both" else "one side learns"
    link = "loopback"
    if "relay" in found:
        link = f"{found['relay']['mbit_per_second']} Mbit/s and a round trip of {found['relay']['round_trip_ms']} ms"
    figure.text(0.015, 0.965, f"Set intersection, {learn}, {link}", fontsize=11, va="center")
    text = "Medians; bars from fastest to slowest run. Two processes on two cores"
    if ("openmined", "ecdh") in curves:
        text += "; OpenMined: one process, one side learns"
    _caption(figure, found, text + ".")
    return figure


def _curves(series: Sequence[Mapping[str, Any]]) -> dict[tuple[str, str], _Curve]:
    """By who and which protocol. What was measured for two of our protocols is the same in both."""
    found: dict[tuple[str, str], dict[int, Mapping[str, Any]]] = {}
    for one in series:
        for who, told in {"fusion": one["fusion"], **one["peers"]}.items():
            ran = "ecdh" if who == "openmined" else one["fusion"]["protocol"]
            found.setdefault((who, ran), {})[one["n"]] = told
    return {key: list(found[key].items()) for key in _LOOKS if key in found}


def _label_ends(axes: Axes, last: int, ends: Mapping[tuple[str, str], tuple[int, float]], unit: str) -> None:
    """Each curve's name at the right, level with its end, pushed apart where curves end close together.

    A curve that ends early has its name above its end.
    """
    low, high = (math.log(limit) for limit in axes.get_ylim())
    apart = 0.085
    at = -math.inf
    for key, (n, value) in sorted(ends.items(), key=lambda item: item[1][1]):
        text = _NAMES[key]
        where: dict[str, Any] = {"xytext": (2, 5), "textcoords": "offset points", "ha": "right"}
        if n == last:
            text += f"  {value:.3g} {unit}"
            at = max((math.log(value) - low) / (high - low), at + apart)
            where = {"xytext": (1.03, at), "textcoords": "axes fraction", "va": "center"}
        axes.annotate(
            text,
            (n, value),
            color=_LOOKS[key]["color"],
            fontsize=8.5,
            fontweight="bold" if key == ("fusion", "vole") else "normal",
            annotation_clip=False,
            **where,
        )


def _size(n: int) -> str:
    power = n.bit_length() - 1
    return f"$2^{{{power}}}$" if n == 1 << power else f"{n:,}"


def _kernels(found: Mapping[str, Any]) -> Figure:
    if "libsodium" not in found["peers"]:
        raise BenchmarkError("there is nothing to compare; add --against libsodium")
    peer = found["peers"]["libsodium"]
    rows = [
        (operation, variant, ratio, found["fusion"]["operations"][operation][variant]["microseconds"])
        for operation, told in peer["operations"].items()
        for variant, ratio in told["ratio"].items()
    ]
    operations = list(peer["operations"])
    variants = list(dict.fromkeys(variant for _, variant, _, _ in rows if variant != "native"))
    figure = Figure(figsize=(6.4, 0.95 + 0.21 * len(rows) + 0.17 * len(operations)))
    height = figure.get_size_inches()[1]
    axes = figure.add_axes((0.245, 0.62 / height, 0.735, 1 - 1.05 / height))
    position, ticks = 0.0, []
    for operation in operations:
        own = [row for row in rows if row[0] == operation]
        ticks.append(position + (len(own) - 1) / 2)
        for _, variant, ratio, microseconds in own:
            colour = _BARS[variants.index(variant) % len(_BARS)] if variant in variants else _BARS[1]
            axes.barh(position, ratio, height=0.82, color=colour)
            name = f"{variant}, " if variant in variants else ""
            axes.annotate(
                f"{ratio:.3g}x  ({name}{microseconds:.3g} µs)",
                (ratio, position),
                (4, 0),
                textcoords="offset points",
                va="center",
                fontsize=7.5,
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8},
            )
            position += 1
        position += 0.8
    axes.axvline(1, color=_INK, linewidth=0.8, zorder=1.5)
    axes.set_yticks(ticks, operations)
    axes.tick_params(axis="y", length=0)
    axes.invert_yaxis()
    axes.set_xlim(0, max(ratio for _, _, ratio, _ in rows) * 1.42)
    axes.set_ylim(position - 1.2, -0.8)
    axes.spines["left"].set_visible(False)
    axes.set_title(f"How many times as fast as libsodium {peer['version']}", loc="left", fontsize=10.5, pad=8)
    _caption(figure, found, f"Medians over {found['n']:,} rows, one core; in brackets the time a row takes us.")
    return figure
