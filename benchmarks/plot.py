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
# told apart in grey as well: by lightness, and by the mark
_LOOKS = {
    "fusion": ("#00695c", "o", 2.4),
    "secretflow": ("#c0722b", "s", 1.4),
    "openmined": ("#7a86b8", "^", 1.4),
}
_NAMES = {"fusion": "Fusion", "secretflow": "SecretFlow", "openmined": "OpenMined", "libsodium": "libsodium"}
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


def _psi(found: Mapping[str, Any]) -> Figure:
    series: Sequence[Mapping[str, Any]] = found.get("series", ())
    if len(series) < 2:
        raise BenchmarkError("a curve needs several sizes, such as --n 2^12,2^14,2^16")
    figure = Figure(figsize=(6.4, 4.4))
    axes = figure.add_axes((0.085, 0.2, 0.66, 0.69))
    sizes = [one["n"] for one in series]
    names = ["fusion", *series[0]["peers"]]
    ends = {}
    for name in reversed(names):
        measured = [one["fusion"] if name == "fusion" else one["peers"][name] for one in series]
        colour, mark, width = _LOOKS[name]
        seconds = [told["seconds"] for told in measured]
        axes.plot(sizes, seconds, color=colour, marker=mark, markersize=4.5, linewidth=width, clip_on=False)
        axes.vlines(
            sizes,
            [told["spread"][0] for told in measured],
            [told["spread"][1] for told in measured],
            color=colour,
            linewidth=width / 2,
        )
        ends[name] = seconds[-1]
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xticks(sizes, [_size(n) for n in sizes])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.grid(axis="y", color="#dddddd", linewidth=0.5)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.set_xlabel("rows of each party")
    learn = "both sides learn" if found["learn"] == "both" else "one side learns"
    axes.set_title(f"Set intersection, {learn}: seconds, from file to file", loc="left", fontsize=10.5, pad=12)
    _label_ends(axes, sizes[-1], ends)
    text = "Medians; bars from fastest to slowest run. Two processes on two cores"
    if "openmined" in ends:
        text += "; OpenMined: one process, one side learns"
    _caption(figure, found, text + ".")
    return figure


def _label_ends(axes: Axes, last: int, ends: Mapping[str, float]) -> None:
    """Each curve's name to the right of its end, pushed apart where curves end close together."""
    low, high = (math.log(limit) for limit in axes.get_ylim())
    apart = 0.065
    at = -math.inf
    for name, seconds in sorted(ends.items(), key=lambda item: item[1]):
        at = max((math.log(seconds) - low) / (high - low), at + apart)
        axes.annotate(
            f"{_NAMES[name]}  {seconds:.3g} s",
            (last, seconds),
            (1.025, at),
            textcoords="axes fraction",
            va="center",
            color=_LOOKS[name][0],
            fontweight="bold" if name == "fusion" else "normal",
            annotation_clip=False,
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
