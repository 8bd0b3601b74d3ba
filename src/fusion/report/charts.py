"""Charts that actuaries and risk modellers read, from tables and series, as SVG with the numbers behind them.

A series (`pandas.Series`) has x for its index and y for its values. Series of one chart are told apart by colour, dash
and shape. Names and labels may be any text. Every function takes a title, ``x`` and ``y`` for what runs along the axes
with its unit, and a ``caption`` that says what to see, and returns a `Chart`, which a notebook shows as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd

from fusion.errors import InputError
from fusion.report.content import Chart, Table
from fusion.report.drawing import COLOURS, DASHES, Canvas, Drawn, Scale, element, number, text_width, words

__all__ = ["actual_expected", "bars", "heat", "intervals", "lines", "lorenz", "points"]

_MOST_POINTS = 200  # of a line: more cannot be seen at this width, and would make the page heavy
_MOST_MARKS = 1500
_REFERENCE = "#56626f"
_NEUTRAL = "#b4c0ca"  # bars below lines, so that a line has the same colour here as elsewhere

Write = Callable[[float], str]


def lines(
    title: str,
    series: Mapping[str, pd.Series],
    *,
    x: str = "",
    y: str = "",
    caption: str = "",
    diagonal: bool = False,
    zero: bool = False,
    marks: bool = False,
    write_x: Write = number,
    write_y: Write = number,
) -> Chart:
    """Draw lines, such as curves, or values over years.

    Parameters
    ----------
    series : mapping of str to Series
        By the name in the legend; x is the index, in rising order.
    diagonal : bool
        Draw y = x for comparison.
    zero : bool
        The vertical axis begins at 0.
    marks : bool
        A mark at each point; it shows its number when pointed at.
    """
    drawn = {name: _thin(_checked(line)) for name, line in series.items()}
    canvas, across, up = _plane(title, drawn, x, y, zero, write_x, write_y, _line_sample, diagonal=diagonal)
    for i, (name, line) in enumerate(drawn.items()):
        places = [(across(a), up(b)) for a, b in zip(line.index, line, strict=True) if np.isfinite(b)]
        canvas.add(_path(i, places))
        if marks:
            known = line[np.isfinite(line)]
            for (a, b), at, value in zip(places, known.index, known, strict=True):
                canvas.add(_mark(i, a, b, f"{name}: {write_x(float(at))}, {write_y(value)}"))
    return Chart(title, canvas.svg(), _behind(drawn, x), caption)


def points(
    title: str,
    series: Mapping[str, pd.Series],
    *,
    x: str = "",
    y: str = "",
    caption: str = "",
    diagonal: bool = False,
    zero: bool = False,
    write_x: Write = number,
    write_y: Write = number,
) -> Chart:
    """Draw a cloud of points, such as predictions against what happened; parameters as for `lines`.

    Raises
    ------
    InputError
        With more than 1,500 points, which a page should not hold: draw bands of them.
    """
    drawn = {name: _checked(cloud) for name, cloud in series.items()}
    if sum(map(len, drawn.values())) > _MOST_MARKS:
        raise InputError(f"a chart holds at most {_MOST_MARKS:,} points; draw means of bands of them")
    canvas, across, up = _plane(title, drawn, x, y, zero, write_x, write_y, _mark_sample, diagonal=diagonal)
    for i, (name, cloud) in enumerate(drawn.items()):
        for at, value in zip(map(float, cloud.index), cloud, strict=True):
            if np.isfinite(value):
                tip = f"{name}: {write_x(at)}, {write_y(value)}"
                canvas.add(_mark(i, across(at), up(value), tip))
    return Chart(title, canvas.svg(), _behind(drawn, x), caption)


def bars(
    title: str,
    frame: pd.DataFrame,
    *,
    x: str = "",
    y: str = "",
    caption: str = "",
    over: pd.DataFrame | None = None,
    reference: float | None = None,
    write: Write = number,
) -> Chart:
    """Draw bars in groups: one group a row of the frame, one bar a column.

    Parameters
    ----------
    frame : DataFrame
        The index names the groups.
    over : DataFrame, optional
        With the same index: lines with marks over the bars, one a column, such as what was expected. The frame then
        has one column, drawn in grey.
    reference : float, optional
        A line across, such as 1 for lift.

    Raises
    ------
    InputError
        When lines go over bars of several columns, or their index is another one.
    """
    if over is not None and (frame.shape[1] != 1 or not over.index.equals(frame.index)):
        raise InputError("lines go over the bars of one column, with the same index")
    canvas = Canvas(title)
    names = [str(name) for name in frame.columns]
    fills = [_colour(i) for i in range(len(names))] if over is None else [_NEUTRAL]
    lines_over = {} if over is None else {str(name): over.iloc[:, i] for i, name in enumerate(over.columns)}
    if len(names) + len(lines_over) > 1:
        entries = [(element("rect", width=22.0, height=12.0, fill=fills[i]), name) for i, name in enumerate(names)]
        canvas.legend([*entries, *((_line_sample(i), name) for i, name in enumerate(lines_over))])
    values = [*frame.to_numpy(dtype=float).ravel(), *(float(v) for line in lines_over.values() for v in line)]
    up = Scale.over([*values, *(() if reference is None else (reference,))], canvas.bottom, canvas.top, zero=True)
    canvas.y_axis(up, y, write)
    middles = canvas.categories([str(name) for name in frame.index], x)
    group = 0.78 * (canvas.right - canvas.left) / max(len(middles), 1)
    width = group / max(len(names), 1)
    for i, name in enumerate(names):
        for middle, label, value in zip(middles, frame.index, frame.iloc[:, i].astype(float), strict=True):
            if np.isfinite(value):
                top, bottom = sorted((up(value), up(0.0)))
                shape: dict[str, object] = {
                    "x": middle - group / 2 + i * width,
                    "y": top,
                    "width": width - 1,
                    "height": bottom - top,
                }
                canvas.add(element("rect", _tip(f"{name}, {label}: {write(value)}"), fill=fills[i], **shape))
    if reference is not None:
        canvas.rule(canvas.left, up(reference), canvas.right, up(reference), _REFERENCE, stroke_dasharray="5 4")
    for i, (name, line) in enumerate(lines_over.items()):
        places = [(m, up(v), v) for m, v in zip(middles, line.astype(float), strict=True) if np.isfinite(v)]
        canvas.add(_path(i, [(a, b) for a, b, _ in places]))
        canvas.add(*(_mark(i, a, b, f"{name}: {write(v)}") for a, b, v in places))
    behind = frame if over is None else frame.join(over)
    named = behind.rename_axis(x if frame.index.name is None else str(frame.index.name))
    return Chart(title, canvas.svg(), Table("", named, collapsed=True), caption)


def intervals(
    title: str,
    groups: Mapping[str, pd.DataFrame],
    *,
    x: str = "",
    caption: str = "",
    reference: float | None = None,
    log: bool = False,
    write: Write = number,
) -> Chart:
    """Draw estimates with their intervals, one a line, such as relativities with 95% confidence intervals.

    Parameters
    ----------
    groups : mapping of str to DataFrame
        By the name in the legend; the index names the lines, and the first three columns are the estimate and the
        lower and upper end of its interval.
    reference : float, optional
        A line down, such as 1 for relativities.
    log : bool
        A logarithmic scale: half and twice are equally far from 1.
    """
    labels = [str(name) for frame in groups.values() for name in frame.index]
    canvas = Canvas(title)
    canvas.left = min(max((text_width(label, 12) for label in labels), default=0.0) + 16, 240.0)
    canvas.height = 40 + 26.0 * len(labels) + 56
    if len(groups) > 1:
        canvas.legend([(_mark_sample(i), name) for i, name in enumerate(groups)])
        canvas.height += 20
    canvas.top -= 16
    canvas.bottom = canvas.height - 52
    ends = [v for frame in groups.values() for v in frame.iloc[:, :3].to_numpy(dtype=float).ravel()]
    known = [*ends, *(() if reference is None else (reference,))]
    across = Scale.over(known, canvas.left, canvas.right, log=log)
    canvas.x_axis(across, x, write)
    for tick in across.ticks():
        canvas.rule(across(tick), canvas.top, across(tick), canvas.bottom)
    if reference is not None:
        canvas.rule(across(reference), canvas.top, across(reference), canvas.bottom, _REFERENCE, stroke_dasharray="5 4")
    line = 0
    for i, (group, frame) in enumerate(groups.items()):
        for label, (value, low, high) in zip(frame.index, frame.iloc[:, :3].to_numpy(dtype=float), strict=True):
            height = canvas.top + 26.0 * line + 18
            line += 1
            canvas.label(str(label), canvas.left - 10, height + 4, anchor="end", fill="#1d2733")
            if np.isfinite([value, low, high]).all() and (low > 0 or not log):
                canvas.rule(across(low), height, across(high), height, _colour(i), stroke_width=2.2)
                tip = f"{label} ({group}): {write(value)}, from {write(low)} to {write(high)}"
                canvas.add(_mark(i, across(value), height, tip, size=5.5))
    behind = pd.concat([frame.iloc[:, :3].assign(of=group) for group, frame in groups.items()])
    return Chart(title, canvas.svg(), Table("", behind.rename_axis(""), collapsed=True), caption)


def heat(
    title: str, frame: pd.DataFrame, *, x: str = "", caption: str = "", write: Write = lambda v: f"{v:.2f}"
) -> Chart:
    """Draw a table as shaded cells with their numbers in them, such as correlations; darker is further from 0."""
    canvas = Canvas(title)
    canvas.left = min(max((text_width(str(label), 12) for label in frame.index), default=0.0) + 16, 200.0)
    canvas.top, canvas.height = 12.0, 12 + 30.0 * len(frame) + 56
    canvas.bottom = canvas.height - 52
    values = frame.to_numpy(dtype=float)
    most = float(np.nanmax(np.abs(values), initial=0.0)) or 1.0
    middles = canvas.categories([str(name) for name in frame.columns], x)
    width = (canvas.right - canvas.left) / max(len(middles), 1)
    for row, label in enumerate(frame.index):
        y = canvas.top + 30.0 * row
        canvas.label(str(label), canvas.left - 10, y + 19, anchor="end", fill="#1d2733")
        for middle, name, value in zip(middles, frame.columns, values[row], strict=True):
            if np.isfinite(value):
                shade = abs(value) / most
                box: dict[str, object] = {"x": middle - width / 2 + 1, "y": y + 1, "width": width - 2, "height": 28.0}
                fill = COLOURS[0] if value >= 0 else COLOURS[1]
                canvas.add(
                    element(
                        "rect",
                        _tip(f"{label}, {name}: {write(value)}"),
                        fill=fill,
                        fill_opacity=0.06 + 0.94 * shade,
                        **box,
                    )
                )
                ink = "#ffffff" if shade > 0.6 else "#1d2733"
                canvas.label(write(value), middle, y + 19, anchor="middle", fill=ink)
    return Chart(title, canvas.svg(), Table("", frame, collapsed=True), caption)


def lorenz(title: str, curves: Mapping[str, pd.DataFrame], *, y: str, caption: str = "") -> Chart:
    """Draw ordered Lorenz curves, as `fusion.learning.metrics.lorenz` returns them, against the diagonal.

    Parameters
    ----------
    y : str
        What is shared out, such as ``"claims"``.
    """
    series = {name: pd.Series(c["y"].to_numpy(), index=c["exposure"].to_numpy()) for name, c in curves.items()}
    return lines(
        title,
        series,
        x="share of exposure, lowest predicted first",
        y=f"share of {y}",
        caption=caption,
        diagonal=True,
        write_x=_percent,
        write_y=_percent,
    )


def actual_expected(title: str, bands: pd.DataFrame, *, y: str, caption: str = "", write: Write = number) -> Chart:
    """Draw what happened and what was expected per unit of exposure, as `fusion.learning.metrics.actual_expected`
    returns them: bands by rising prediction."""
    rates = bands[["actual", "expected"]].div(bands["exposure"], axis=0)
    return bars(
        title,
        rates[["actual"]],
        x="band of predicted rate, lowest first",
        y=y,
        over=rates[["expected"]],
        caption=caption,
        write=write,
    )


def _percent(value: float) -> str:
    return f"{value:.0%}"


def _checked(series: pd.Series) -> pd.Series:
    if not pd.api.types.is_numeric_dtype(series.index) or not pd.api.types.is_numeric_dtype(series):
        raise InputError("a series that is drawn has numbers for its index and for its values")
    if len(series) == 0:
        raise InputError("a series that is drawn has at least one point")
    return series.astype(float)


def _thin(line: pd.Series) -> pd.Series:
    """At most so many points, first and last among them."""
    if len(line) <= _MOST_POINTS:
        return line
    return line.iloc[np.unique(np.linspace(0, len(line) - 1, _MOST_POINTS).round().astype(int))]


def _plane(
    title: str,
    drawn: Mapping[str, pd.Series],
    x: str,
    y: str,
    zero: bool,
    write_x: Write,
    write_y: Write,
    sample: Callable[[int], Drawn],
    *,
    diagonal: bool,
) -> tuple[Canvas, Scale, Scale]:
    """Axes around all series, and the legend if there are several."""
    if not drawn:
        raise InputError("there is no series to draw")
    canvas = Canvas(title)
    if len(drawn) > 1:
        canvas.legend([(sample(i), name) for i, name in enumerate(drawn)])
    across_values = [float(v) for line in drawn.values() for v in line.index]
    across = Scale.over(across_values, canvas.left, canvas.right)
    up = Scale.over([float(v) for line in drawn.values() for v in line], canvas.bottom, canvas.top, zero=zero)
    canvas.y_axis(up, y, write_y)
    canvas.x_axis(across, x, write_x)
    if diagonal:
        low, high = max(across.low, up.low), min(across.high, up.high)
        if low < high:
            canvas.rule(across(low), up(low), across(high), up(high), _REFERENCE, stroke_dasharray="5 4")
    return canvas, across, up


def _behind(drawn: Mapping[str, pd.Series], x: str) -> Table:
    """The numbers of several series side by side, each beside its own x unless all have the same."""
    parts = list(drawn.values())
    if all(part.index.equals(parts[0].index) for part in parts):
        frame = pd.DataFrame({name: part.to_numpy() for name, part in drawn.items()}, index=parts[0].index)
        return Table("", frame.rename_axis(x), collapsed=True)
    columns: dict[str, pd.Series] = {}
    for name, part in drawn.items():
        columns[f"{x or 'x'} ({name})"] = pd.Series(part.index.to_numpy())
        columns[name] = pd.Series(part.to_numpy())
    return Table("", pd.DataFrame(columns), collapsed=True)


def _colour(i: int) -> str:
    return COLOURS[i % len(COLOURS)]


def _line_sample(i: int) -> Drawn:
    dash = DASHES[i % len(DASHES)]
    return element("line", x1=0.0, x2=22.0, y1=6.0, y2=6.0, stroke=_colour(i), stroke_width=2.2, stroke_dasharray=dash)


def _path(i: int, places: Sequence[tuple[float, float]]) -> Drawn:
    """A line with the colour and the dashes of its series."""
    corners = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    dash = DASHES[i % len(DASHES)]
    look: dict[str, object] = {"stroke": _colour(i), "stroke_width": 2.2, "stroke_dasharray": dash}
    return element("polyline", points=corners, fill="none", stroke_linejoin="round", **look)


def _mark_sample(i: int) -> Drawn:
    return _mark(i, 11.0, 6.0, "")


def _tip(text: str) -> Drawn:
    """What a reader sees who points at a mark."""
    return element("title", words(text))


def _mark(i: int, x: float, y: float, tip: str, *, size: float = 4.0) -> Drawn:
    """A small shape of its own for each series."""
    colour, inner = _colour(i), [_tip(tip)] if tip else []
    kind = i % 4
    if kind == 0:
        return element("circle", *inner, cx=x, cy=y, r=size, fill=colour)
    corners: Sequence[tuple[float, float]] = (
        ((-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0)),
        ((0.0, -1.2), (1.2, 1.0), (-1.2, 1.0)),
        ((0.0, -1.4), (1.4, 0.0), (0.0, 1.4), (-1.4, 0.0)),
    )[kind - 1]
    path = " ".join(f"{x + a * size:.1f},{y + b * size:.1f}" for a, b in corners)
    return element("polygon", *inner, points=path, fill=colour)
