"""The ground that charts are drawn on: elements with every text escaped, scales with round ticks, axes, a legend.

Charts are drawn here rather than by a plotting package because their text then stays text (searchable, in any script,
never tofu), a mark shows its number when pointed at, and a report of ten charts is smaller than one picture.
"""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

__all__ = [
    "COLOURS",
    "DASHES",
    "HEIGHT",
    "WIDTH",
    "Canvas",
    "Drawn",
    "Scale",
    "element",
    "number",
    "text_width",
    "words",
]

WIDTH, HEIGHT = 560, 340

# Okabe and Ito (2008): told apart by readers of every kind of colour vision; dashes and shapes do it without colour
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#7a6a00")
DASHES = ("", "7 4", "2 3", "9 3 2 3", "12 5", "4 2")

_INK, _MUTED, _GRID = "#1d2733", "#56626f", "#dfe4e9"
_FONT = 13.0
_SHORT, _LONGEST = 36.0, 130.0  # of labels: years are rather left out than slanted
_SIN, _COS = 0.5, 0.866  # of 30 degrees


class Drawn(str):
    """Markup whose every text has been escaped; only `words` and `element` make it."""

    __slots__ = ()

    def __html__(self) -> str:
        """Tell the page's template that this may stand as it is."""
        return str(self)


def words(text: str) -> Drawn:
    """Any text, escaped."""
    return Drawn(html.escape(_printable(text)))


def element(tag: str, *content: Drawn, **attributes: object) -> Drawn:
    """An element around others; values of attributes are escaped. An underscore in a name is a hyphen."""
    written = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{html.escape(_plain(value))}"'
        for name, value in attributes.items()
        if value is not None and value != ""
    )
    inner = "".join(content)
    return Drawn(f"<{tag}{written}>{inner}</{tag}>" if inner else f"<{tag}{written}/>")


def _plain(value: object) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else _printable(str(value))


def _printable(text: str) -> str:
    """Without control characters, which no form of HTML can hold, and without what turns the order of reading."""
    return "".join(c if c.isprintable() or c == " " else "�" for c in text)


def number(value: float) -> str:
    """A number as a label: at most four digits, thousands in groups."""
    if not math.isfinite(value):
        return "–"
    text = f"{value:,.4g}" if abs(value) < 10_000 else f"{value:,.0f}"
    return text.replace("-", "−")


def text_width(text: str, size: float = _FONT) -> float:
    """About how wide a text is drawn; wide scripts count double."""
    return sum(1.0 if ord(c) > 0x2E80 else 0.56 for c in text) * size


@dataclass(frozen=True, slots=True)
class Scale:
    """From numbers to places on the page.

    Attributes
    ----------
    low, high : float
        The numbers at its ends.
    start, end : float
        Where they are drawn.
    log : bool
    """

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    @classmethod
    def over(cls, values: Sequence[float], start: float, end: float, *, zero: bool = False, log: bool = False) -> Scale:
        """Round numbers around all values that are finite; with ``zero`` from 0."""
        known = [float(v) for v in values if math.isfinite(v) and (v > 0 or not log)] or [0.0 if not log else 1.0]
        low, high = min(known), max(known)
        if log:
            low, high = low / 1.05, high * 1.05
            return cls(low, high, start, end, True)
        if zero:
            low, high = min(low, 0.0), max(high, 0.0)
        if low == high:
            high = low + (abs(low) or 1.0)
        step = _step(low, high)
        return cls(math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step, start, end)

    def __call__(self, value: float) -> float:
        """Where a number is drawn."""
        low, high, value = (
            (math.log(v) for v in (self.low, self.high, value))
            if self.log
            else (
                self.low,
                self.high,
                value,
            )
        )
        return self.start + (value - low) / (high - low) * (self.end - self.start)

    def ticks(self) -> list[float]:
        """Round numbers from end to end, five or so."""
        if not self.log:
            step = _step(self.low, self.high)
            first = math.ceil(self.low / step - 1e-9)
            last = math.floor(self.high / step + 1e-9)
            return [round(i * step, 12) for i in range(first, last + 1)]
        for digits in ((1,), (1, 3), (1, 2, 5), (1, 1.2, 1.5, 2, 3, 5, 7)):
            exponents = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            found = [round(d * 10.0**e, 12) for e in exponents for d in digits if self.low <= d * 10.0**e <= self.high]
            if len(found) >= 4:
                return found
        step = _step(self.low, self.high)
        return [round(i * step, 12) for i in range(math.ceil(self.low / step), math.floor(self.high / step) + 1)]


def _step(low: float, high: float) -> float:
    """A round step that gives four to eight ticks."""
    raw = (high - low) / 5
    unit = 10.0 ** math.floor(math.log10(raw))
    return next(unit * factor for factor in (1, 2, 2.5, 5, 10) if unit * factor >= raw * 0.999)


@dataclass(slots=True)
class Canvas:
    """A chart being drawn: axes first, then marks, then `svg`.

    Attributes
    ----------
    title : str
        Read aloud in place of the drawing.
    left, top, right, bottom : float
        Where the plot begins and ends on the page.
    """

    title: str
    left: float = 64.0
    top: float = 40.0
    right: float = WIDTH - 16.0
    bottom: float = HEIGHT - 52.0
    height: float = HEIGHT
    _parts: list[Drawn] = field(default_factory=list)

    def add(self, *parts: Drawn) -> None:
        """Put elements on top of what is there."""
        self._parts += parts

    def label(self, text: str, x: float, y: float, **attributes: object) -> None:
        """Write a text; ``anchor`` is start, middle or end."""
        anchor = attributes.pop("anchor", None)
        settings: dict[str, object] = {"fill": _MUTED, "font_size": 12, "text_anchor": anchor}
        self.add(element("text", words(text), x=x, y=y, **(settings | attributes)))

    def rule(self, x1: float, y1: float, x2: float, y2: float, colour: str = _GRID, **attributes: object) -> None:
        """Draw a straight line."""
        self.add(element("line", x1=x1, y1=y1, x2=x2, y2=y2, stroke=colour, **attributes))

    def y_axis(self, scale: Scale, name: str, write: Callable[[float], str] = number) -> None:
        """Horizontal grid lines with their numbers; the axis is named above them, where it can be read upright."""
        for tick in scale.ticks():
            self.rule(self.left, scale(tick), self.right, scale(tick))
            self.label(write(tick), self.left - 8, scale(tick) + 4, anchor="end")
        self.label(name, 4, self.top - 12, fill=_INK)

    def x_axis(self, scale: Scale, name: str, write: Callable[[float], str] = number) -> None:
        """Numbers below the plot."""
        for tick in scale.ticks():
            self.rule(scale(tick), self.bottom, scale(tick), self.bottom + 4, _MUTED)
            self.label(write(tick), scale(tick), self.bottom + 18, anchor="middle")
        self.base(name)

    def categories(self, names: Sequence[str], name: str) -> list[float]:
        """Names below the plot; where they would touch, short ones are thinned and long ones slanted. Returns their
        middles."""
        width = (self.right - self.left) / max(len(names), 1)
        middles = [self.left + width * (i + 0.5) for i in range(len(names))]
        widest = max((text_width(text, 12) for text in names), default=0.0)
        deeper = 0.0
        if widest + 6 > width and widest > _SHORT:
            every = math.ceil(26 / width)  # lines of text stand half of that apart
            room = min(_LONGEST, (middles[0] - 4) / _COS)  # the first one ends above the left edge
            shown = [_shortened(text, room) for text in names]
            for middle, text in list(zip(middles, shown, strict=True))[::every]:
                x, y = middle + 5, self.bottom + 14
                self.label(text, x, y, anchor="end", transform=f"rotate(-30 {x:.1f} {y:.1f})")
            deeper = max(text_width(text, 12) for text in shown) * _SIN - 4
        else:
            every = math.ceil((widest + 8) / width) if widest + 6 > width else 1
            for middle, text in list(zip(middles, names, strict=True))[::every]:
                self.label(text, middle, self.bottom + 18, anchor="middle")
        self.height += deeper
        self.base(name, deeper)
        return middles

    def base(self, name: str, deeper: float = 0.0) -> None:
        """The line at the bottom, and what runs along it."""
        self.rule(self.left, self.bottom, self.right, self.bottom, _MUTED)
        self.label(name, (self.left + self.right) / 2, self.bottom + 40 + deeper, anchor="middle", fill=_INK)

    def legend(self, entries: Sequence[tuple[Drawn, str]]) -> None:
        """Samples and names in one row at the top right, in as many rows as they need; call it before the axes.

        Parameters
        ----------
        entries : sequence of (element, name)
            The sample is drawn in a box of 22 by 12.
        """
        rows: list[list[tuple[Drawn, str]]] = [[]]
        room = self.right - 8
        used = 0.0
        for sample, name in entries:
            shown = _shortened(name, room - 40)
            width = 28 + text_width(shown, 12) + 18
            if used + width > room and rows[-1]:
                rows.append([])
                used = 0.0
            rows[-1].append((sample, shown))
            used += width
        y = 12.0
        for row in rows:
            x = self.right - sum(46 + text_width(name, 12) for _, name in row) + 18
            for sample, name in row:
                self.add(element("g", sample, transform=f"translate({max(x, 0):.1f} {y - 6:.1f})"))
                self.label(name, max(x, 0) + 28, y + 4, fill=_INK)
                x += 46 + text_width(name, 12)
            y += 20
        self.top += 20 * len(rows) - 4

    def svg(self) -> Drawn:
        """The whole drawing."""
        return element(
            "svg",
            element("title", words(self.title)),
            element("rect", width=float(WIDTH), height=self.height, fill="#ffffff"),  # also on a dark page
            *self._parts,
            xmlns="http://www.w3.org/2000/svg",
            viewBox=f"0 0 {WIDTH} {self.height:g}",
            role="img",
            font_family="system-ui, 'Segoe UI', 'Noto Sans', 'Noto Sans CJK SC', sans-serif",
            font_size=_FONT,
        )


def _shortened(text: str, room: float) -> str:
    while len(text) > 3 and text_width(text, 12) > room:
        text = text[:-2].rstrip() + "…"
    return text
