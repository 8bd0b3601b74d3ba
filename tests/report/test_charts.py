"""Charts: every number where it belongs, whatever its size."""

from __future__ import annotations

import itertools
import math
import re
from xml.etree import ElementTree as ET

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fusion.errors import InputError
from fusion.learning import metrics
from fusion.report import charts
from fusion.report.drawing import HEIGHT, WIDTH, Canvas, Scale, element, number, words

SVG = "{http://www.w3.org/2000/svg}"

sizes = st.floats(min_value=-1e12, max_value=1e12, allow_nan=False)


def drawn(chart) -> ET.Element:
    return ET.fromstring(chart.svg)  # noqa: S314 - our own


def tips(chart) -> list[str]:
    return [title.text or "" for title in drawn(chart).iter(f"{SVG}title")][1:]


@given(st.lists(sizes, min_size=1, max_size=20), st.booleans())
def test_scales_hold_every_value_between_round_ends(values, zero):
    scale = Scale.over(values, 300.0, 40.0, zero=zero)
    slack = 1e-8 * (scale.high - scale.low)  # of a hair, which nobody sees
    assert scale.low <= min(values) + slack
    assert scale.high >= max(values) - slack
    assert not zero or scale.low <= 0 <= scale.high
    ticks = scale.ticks()
    assert 2 <= len(ticks) <= 12
    assert ticks == sorted(ticks)
    places = [scale(value) for value in values]
    assert all(40 - 1e-5 <= place <= 300 + 1e-5 for place in places)
    for a, b in itertools.pairwise(values):
        assert (scale(a) - scale(b)) * (b - a) >= -1e-9


@given(st.lists(st.floats(min_value=1e-6, max_value=1e6), min_size=1, max_size=20))
def test_logarithmic_scales(values):
    scale = Scale.over(values, 0.0, 100.0, log=True)
    assert all(-1e-6 <= scale(value) <= 100 + 1e-6 for value in values)
    assert all(scale.low <= tick <= scale.high for tick in scale.ticks())
    assert scale.ticks()
    middle = math.sqrt(scale.low * scale.high)
    assert scale(middle) == pytest.approx(50.0)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.0, 1.0, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (0.0, 37.0, [0, 10, 20, 30, 40]),
        (-3.0, 4.0, [-4, -2, 0, 2, 4]),
        (1982.0, 2018.0, [1980, 1990, 2000, 2010, 2020]),
    ],
)
def test_ticks_are_round(low, high, expected):
    assert Scale.over([low, high], 0.0, 1.0).ticks() == expected


def test_values_that_are_not_there_do_not_move_a_scale():
    assert Scale.over([math.nan, 1.0, math.inf, 3.0], 0.0, 1.0) == Scale.over([1.0, 3.0], 0.0, 1.0)
    assert Scale.over([math.nan], 0.0, 1.0).ticks()
    assert Scale.over([-1.0, 2.0, 8.0], 0.0, 1.0, log=True) == Scale.over([2.0, 8.0], 0.0, 1.0, log=True)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.12345, "0.1235"), (-2.5, "−2.5"), (1234567.8, "1,234,568"), (0.0, "0"), (math.nan, "–"), (1e-7, "1e−07")],
)
def test_numbers_as_labels(value, text):
    assert number(value) == text


def test_elements_escape_everything():
    text = element("text", words("a<b>&\"'"), fill='"><script>', font_size=2.0, empty="", absent=None)
    assert text == ('<text fill="&quot;&gt;&lt;script&gt;" font-size="2">a&lt;b&gt;&amp;&quot;&#x27;</text>')
    assert words("a\x00\x1b\u202e") == "a\ufffd\ufffd\ufffd"
    assert words("收入 é") == "收入 é"


@given(st.text(max_size=40))
def test_any_text_makes_well_formed_markup(text):
    chart = charts.lines(text, {text: pd.Series([1.0, 2.0], index=[0, 1])}, x=text, y=text, marks=True)
    assert drawn(chart).tag == f"{SVG}svg"


def test_marks_stand_where_their_numbers_say():
    line = pd.Series([0.0, 10.0, 5.0], index=[0.0, 5.0, 10.0])
    chart = charts.points("t", {"a": line})
    circles = [(float(c.get("cx")), float(c.get("cy"))) for c in drawn(chart).iter(f"{SVG}circle")]
    (x0, y0), (x1, y1), (x2, y2) = circles
    assert x1 - x0 == pytest.approx(x2 - x1)
    assert y0 > y2 > y1
    assert y0 - y2 == pytest.approx(y2 - y1, abs=0.02)
    assert tips(chart) == ["a: 0, 0", "a: 5, 10", "a: 10, 5"]


def test_bars_are_as_high_as_their_numbers():
    frame = pd.DataFrame({"a": [1.0, 2.0, -1.0], "b": [np.nan, 4.0, 0.5]}, index=["x", "y", "z"])
    chart = charts.bars("t", frame, reference=1.0)
    bars = [r for r in drawn(chart).iter(f"{SVG}rect") if r.find(f"{SVG}title") is not None]
    heights = [float(r.get("height", "0")) for r in bars]
    unit = heights[0]
    assert heights == pytest.approx([unit, 2 * unit, unit, 4 * unit, unit / 2], abs=0.05)
    tops = [float(r.get("y", "0")) for r in bars]
    assert tops[2] == pytest.approx(tops[0] + unit, abs=0.02)  # what is below 0 hangs from the line
    assert tips(chart)[0] == "a, x: 1"
    pd.testing.assert_frame_equal(chart.table.frame.reset_index(drop=True), frame.reset_index(drop=True))


def test_series_differ_without_colour():
    lines = {f"s{i}": pd.Series([0.0, i + 1.0], index=[0, 1]) for i in range(6)}
    paths = list(drawn(charts.lines("t", lines)).iter(f"{SVG}polyline"))
    looks = {(p.get("stroke-dasharray") or "") for p in paths}
    assert len(looks) == 6
    assert len({p.get("stroke") for p in paths}) == 6


def test_long_curves_are_thinned_and_keep_their_ends():
    x = np.linspace(0, 1, 10_001)
    chart = charts.lines("t", {"a": pd.Series(x**2, index=x)})
    assert len(chart.svg) < 10_000
    assert len(chart.table.frame) <= 200
    assert list(chart.table.frame.index[[0, -1]]) == [0.0, 1.0]


def test_everything_stays_on_the_page():
    names = ["a name that is far too long to stand below a bar of this width", "收入" * 20, "c"]
    frame = pd.DataFrame({name: [1.0, 2.0, 3.0] for name in names}, index=names)
    for chart in (
        charts.bars("t", frame),
        charts.heat("t", frame),
        charts.intervals("t", dict.fromkeys(names, frame)),
        charts.lines("t", {name: pd.Series([1.0, 1e12], index=[0, 1e9]) for name in names}),
    ):
        for text in drawn(chart).iter(f"{SVG}text"):
            assert -1 <= float(text.get("x")) <= WIDTH
            assert 0 <= float(text.get("y")) <= float(drawn(chart).get("viewBox").split()[3])


def test_long_names_are_slanted_whole_and_short_ones_thinned():
    places = ["Champion", "Cambridge", "Suffolk", "Norfolk", "Lincolnshire", "North Yorkshire", "Northumberland"]
    chart = charts.bars("t", pd.DataFrame({"a": range(7)}, index=places), x="cells")
    labels = [text for text in drawn(chart).iter(f"{SVG}text") if text.text in places]
    assert [label.text for label in labels] == places
    assert all(label.get("transform").startswith("rotate(-30 ") for label in labels)
    assert float(drawn(chart).get("viewBox").split()[3]) > HEIGHT
    years = [str(year) for year in range(1982, 2019)]
    chart = charts.bars("t", pd.DataFrame({"a": range(37)}, index=years))
    labels = [text for text in drawn(chart).iter(f"{SVG}text") if text.text in years]
    assert 10 < len(labels) < 20
    assert all(label.get("transform") is None for label in labels)
    assert drawn(chart).get("viewBox") == f"0 0 {WIDTH} {HEIGHT}"


def test_constant_empty_and_missing_values_are_drawn():
    one = pd.Series([5.0], index=[1.0])
    assert "polyline" in charts.lines("t", {"a": one}).svg
    assert tips(charts.lines("t", {"a": pd.Series([1.0, np.nan, 2.0], index=[0, 1, 2])}, marks=True)) == [
        "a: 0, 1",
        "a: 2, 2",
    ]
    assert charts.heat("t", pd.DataFrame([[0.0, np.nan]], columns=["a", "b"])).svg
    assert charts.bars("t", pd.DataFrame({"a": [np.nan]})).svg


def test_numbers_of_curves_with_their_own_x_stand_side_by_side():
    curves = {"a": pd.Series([0.0, 1.0], index=[0, 1]), "b": pd.Series([0.0, 2.0, 3.0], index=[0, 1, 2])}
    frame = charts.lines("t", curves, x="share").table.frame
    assert list(frame.columns) == ["share (a)", "a", "share (b)", "b"]
    assert frame["a"].isna().tolist() == [False, False, True]
    assert frame["share (b)"].tolist() == [0, 1, 2]


def test_whiskers_reach_from_end_to_end():
    frame = pd.DataFrame({"e": [1.0], "low": [0.5], "high": [2.0]}, index=["a"])
    chart = charts.intervals("t", {"g": frame}, log=True, reference=1.0)
    (line,) = [rule for rule in drawn(chart).iter(f"{SVG}line") if rule.get("stroke-width") == "2.2"]
    (mark,) = drawn(chart).iter(f"{SVG}circle")
    middle = (float(line.get("x1")) + float(line.get("x2"))) / 2
    assert float(mark.get("cx")) == pytest.approx(middle, abs=0.05)  # 1 is in the middle of a half and two
    assert tips(chart) == ["a (g): 1, from 0.5 to 2"]


def test_curves_of_the_metrics():
    random = np.random.default_rng(1)
    exposure = random.uniform(0.5, 1, 300)
    predicted = exposure * random.gamma(2, 1, 300)
    y = random.poisson(predicted)
    curve = metrics.lorenz(y, predicted / exposure, exposure=exposure)
    chart = charts.lorenz("Lorenz", {"model": curve}, y="claims")
    assert "share of claims" in chart.svg
    assert "100%" in chart.svg
    bands = metrics.actual_expected(y, predicted, exposure=exposure)
    chart = charts.actual_expected("A/E", bands, y="claims a year")
    assert list(chart.table.frame.columns) == ["actual", "expected"]
    rates = bands[["actual", "expected"]].div(bands["exposure"], axis=0)
    np.testing.assert_allclose(chart.table.frame, rates)


def test_a_notebook_shows_a_chart():
    chart = charts.lines("t", {"a": pd.Series([1.0, 2.0])})
    assert chart._repr_svg_() == chart.svg
    assert re.match(r'<svg xmlns="http://www.w3.org/2000/svg"', chart.svg)


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: charts.lines("t", {}), "no series"),
        (lambda: charts.lines("t", {"a": pd.Series(["x"], index=[1])}), "numbers"),
        (lambda: charts.lines("t", {"a": pd.Series([1.0], index=["x"])}), "numbers"),
        (lambda: charts.lines("t", {"a": pd.Series([], dtype=float)}), "at least one point"),
        (lambda: charts.points("t", {"a": pd.Series(np.arange(1501.0))}), "at most 1,500"),
        (lambda: charts.bars("t", pd.DataFrame({"a": [1], "b": [2]}), over=pd.DataFrame({"c": [1]})), "one column"),
        (lambda: charts.bars("t", pd.DataFrame({"a": [1]}), over=pd.DataFrame({"c": [1]}, index=[3])), "same index"),
    ],
)
def test_what_cannot_be_drawn(draw, message):
    with pytest.raises(InputError, match=message):
        draw()


def test_the_plot_leaves_room():
    canvas = Canvas("t")
    assert 0 < canvas.left < canvas.right < WIDTH
    assert 0 < canvas.top < canvas.bottom < HEIGHT
