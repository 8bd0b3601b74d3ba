"""Pages: whole, self-contained, and with every text as text."""

from __future__ import annotations

import base64
import hashlib
import html
import os
import re
import stat
import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fusion import report
from fusion.errors import InputError
from fusion.report import Figure, Figures, Report, Section, Table, charts

from .conftest import Seen

EVIL = '<script>alert("1")</script>&\'<img src=x onerror=alert(2)>"]]><!--'


def a_page(text: str) -> Report:
    """A page with a text in every place that takes one."""
    line = pd.Series([1.0, 3.0, 2.0], index=[0.0, 1.0, 2.0])
    frame = pd.DataFrame({text: [1.0, 2.0], "note": [text, "b"]}, index=pd.Index([text, "y"], name=text))
    estimates = pd.DataFrame({"e": [1.2, 0.9], "low": [1.0, 0.7], "high": [1.4, 1.1]}, index=[text, "other"])
    drawings = [
        charts.lines(text, {text: line, "b": line + 1}, x=text, y=text, caption=text, marks=True, diagonal=True),
        charts.points(text, {text: line}, x=text, y=text, caption=text),
        charts.bars(text, frame[[text]], x=text, y=text, caption=text, reference=1.0),
        charts.bars(text, frame[[text]], over=frame[[text]].rename(columns={text: text + "2"})),
        charts.intervals(text, {text: estimates, "b": estimates}, x=text, caption=text, reference=1.0, log=True),
        charts.heat(text, pd.DataFrame([[1.0, -0.5]], index=[text], columns=[text, "b"]), x=text, caption=text),
    ]
    parts = [
        text,
        Figures([Figure(text, text, text)]),
        *drawings,
        Table(text, frame, caption=text),
        Table(text, frame, caption=text, collapsed=True),
    ]
    return Report(text, [Section(text, parts)], kicker=text, summary=text, source=text)


PLAIN = Seen.of(report.render(a_page("plain")))


def test_what_a_page_holds(tmp_path, read):
    path = tmp_path / "page.html"
    report.write(a_page("plain"), path)
    seen = read(path)
    assert seen.unbalanced == []
    assert seen.count("h1") == seen.count("h2") == 1
    assert seen.count("svg") == 6
    assert seen.count("table") == 6 + 2
    assert seen.count("details") == 6 + 1
    assert seen.all("svg")[0]["viewbox"].startswith("0 0 560 ")  # the parser writes names of attributes small
    for svg in seen.all("svg"):
        assert svg["role"] == "img"
    assert "Made by Fusion" in seen.text
    assert "This page is one file and loads nothing" in seen.text


def test_every_text_stays_text(tmp_path, read):
    path = tmp_path / "page.html"
    report.write(a_page(EVIL), path)
    seen = read(path)
    assert seen.count("script") == seen.count("img") == 0
    assert all(not name.startswith("on") for _, attributes in seen.elements for name in attributes)
    # the title as the reader sees it
    assert ("h1", EVIL) in seen.texts
    assert seen.text.count('alert("1")') >= 40


def test_the_same_elements_whatever_the_text():
    seen = Seen.of(report.render(a_page(EVIL)))
    assert [tag for tag, _ in seen.elements] == [tag for tag, _ in PLAIN.elements]
    assert seen.unbalanced == []


@settings(max_examples=40, deadline=None)
@given(
    st.text(min_size=1, max_size=30).filter(lambda text: text.strip() not in ("", "e", "low", "high", "b", "note", "y"))
)
def test_no_text_changes_the_page(text):
    seen = Seen.of(report.render(a_page(text)))
    assert [tag for tag, _ in seen.elements] == [tag for tag, _ in PLAIN.elements]
    assert seen.unbalanced == []


def test_the_policy_forbids_everything_but_the_one_style(tmp_path):
    text = report.render(a_page("plain"))
    policies = [m["content"] for m in Seen.of(text).all("meta") if m.get("http-equiv") == "Content-Security-Policy"]
    (style,) = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policies == [f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"]
    # it stands before anything that it governs
    assert text.index("Content-Security-Policy") < text.index("<style>")


def test_a_page_loads_nothing():
    text = report.render(a_page("plain"))
    seen = Seen.of(text)
    for _, attributes in seen.elements:
        assert not {"src", "href", "xlink:href", "style", "srcset", "data", "action"} & attributes.keys()
    assert "url(" not in text
    assert "@import" not in text
    assert set(re.findall(r"https?://[^\"' <]+", text)) == {"http://www.w3.org/2000/svg"}
    assert seen.count("script") == seen.count("link") == seen.count("iframe") == 0


def test_pages_are_small():
    assert len(report.render(a_page("plain"))) < 40_000


def test_the_numbers_behind_a_chart_are_in_the_page():
    line = pd.Series([0.123456, 0.654321], index=[2001, 2002])
    seen = Seen.of(report.render(Report("t", [Section("s", [charts.lines("c", {"rate": line}, x="year")])])))
    cells = [text for tag, text in seen.texts if tag == "td"]
    assert cells == ["2001", "0.1235", "2002", "0.6543"]
    assert [text for tag, text in seen.texts if tag == "th"] == ["year", "rate"]


def test_tables_write_numbers_as_they_are_told():
    frame = pd.DataFrame({"n": [1234567, 1], "share": [0.5, np.nan], "yes": [True, False], "who": ["a", None]})
    table = Table("", frame, formats={"share": ".1%"})
    assert table.header() == [("n", True), ("share", True), ("yes", False), ("who", False)]
    assert table.rows() == [
        [("1,234,567", True), ("50.0%", True), ("yes", False), ("a", False)],
        [("1", True), ("", True), ("no", False), ("", False)],
    ]
    assert Table("", frame.set_index("who")).header()[0] == ("who", False)


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ([0.123456, 0.5], ["0.1235", "0.5000"]),
        ([1.5, 2.25, -3], ["1.500", "2.250", "-3.000"]),
        ([123.456, 1000.4], ["123", "1,000"]),
        ([0.0, 12.5], ["0.00", "12.50"]),
        ([2.0, 3.1e-5], ["2", "3.1e-05"]),
        ([np.nan, np.inf, 0.0], ["", "inf", "0"]),
    ],
)
def test_a_column_has_the_decimals_that_its_numbers_need(values, texts):
    rows = Table("", pd.DataFrame({"a": values})).rows()
    assert [row[0] for row in rows] == [(text, True) for text in texts]


def test_a_file_is_whole_private_and_replaced_at_once(tmp_path, monkeypatch):
    path = tmp_path / "page.html"
    report.write(a_page("first"), path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match=r"cannot write .*page\.html: No space left on device"):
        report.write(a_page("second"), path)
    assert "first" in path.read_text("utf-8")
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("where", ["missing/page.html", "."])
def test_a_place_that_cannot_be_written(tmp_path, where):
    with pytest.raises(InputError, match="cannot write") as caught:
        report.write(a_page("x"), tmp_path / where)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_without_the_extra_it_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(InputError, match=re.escape('pip install "privacy-fusion[report]"')):
        report.write(a_page("x"), tmp_path / "page.html")


def test_a_section_takes_what_it_can_show():
    with pytest.raises(InputError, match="Figures, Table and Chart"):
        Section("s", [pd.DataFrame({"a": [1]})])


def test_a_drawing_that_is_not_ours_is_text():
    chart = report.Chart("t", "<svg onload=alert(1)></svg>", Table("", pd.DataFrame({"a": [1]})))
    text = report.render(Report("t", [Section("s", [chart])]))
    assert Seen.of(text).count("svg") == 0
    assert html.escape("<svg onload=alert(1)>") in text


def test_what_is_no_regular_file_is_not_replaced(tmp_path):
    os.mkfifo(tmp_path / "page.html")
    with pytest.raises(InputError, match="no regular file"):
        report.write(Report("Title", "Lead", ()), tmp_path / "page.html")
    assert (tmp_path / "page.html").is_fifo()
