"""Progress on a terminal and elsewhere."""

from __future__ import annotations

import pytest

from fusion.cli.output import watch
from fusion.progress import Event


def test_one_plain_line_a_phase(capfd):
    with watch(["hospital", "insurer"]) as show:
        show(Event("hospital", "psi.intersect", "exchanging masks", 0, 10))
        show(Event("hospital", "psi.intersect", "exchanging masks", 5, 10))
        show(Event("somebody", "psi.intersect", "passing by"))
        show(Event("insurer", "psi.intersect", "matching"))
    assert capfd.readouterr() == ("", "hospital: exchanging masks\ninsurer: matching\n")


@pytest.mark.parametrize("columns", ["80", "120"])
def test_bars_on_a_terminal(capfd, monkeypatch, columns):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setenv("TERM", "xterm-256color")
    with watch(["hospital", "insurer"]) as show:
        show(Event("hospital", "psi.intersect", "[exchanging] masks", 2500, 10000))
        show(Event("insurer", "psi.intersect", "matching"))
    out, err = capfd.readouterr()
    assert out == ""
    assert "[exchanging] masks 2,500/10,000" in err
    assert "matching" in err
    # only colours that a light and a dark ground both carry: bold, dim, green, default
    codes = {code for part in err.split("\x1b[")[1:] if "m" in part for code in [part.split("m")[0]]}
    assert {code for code in codes if code.replace(";", "").isdigit()} <= {"0", "1", "2", "32"}


def test_nothing_is_drawn_twice_by_many_threads(capfd):
    from concurrent.futures import ThreadPoolExecutor

    with watch(["hospital"]) as show, ThreadPoolExecutor(8) as pool:
        list(pool.map(show, [Event("hospital", "psi.intersect", "matching", i, 1000) for i in range(1000)]))
    assert capfd.readouterr().err == "hospital: matching\n"
