"""The page on learning does what it says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fusion.learning.metrics import auc

PAGE = Path(__file__).parents[2] / "docs" / "learning.md"
NUMBER = r"-?\d[\d,]*\.?\d*"


def blocks(text):
    return re.findall(r"```python\n(.*?)```", text, re.DOTALL)


def test_the_logistic_example(capsys):
    (block,) = (block for block in blocks(PAGE.read_text("utf-8")) if "VerticalLogistic" in block)
    names = {}
    exec(block, names)  # noqa: S102 - our own page
    assert "Logistic regression" in capsys.readouterr().out
    # of the 500 rows that an intersection happens to put last 0.72, give or take 0.02; of all rows give or take 0.001,
    # where the bank's columns alone have 0.656
    assert names["auc"] > 0.6
    halves = (names["model"], names["bank"][["used", "months"]]), (names["out"]["partner"], names["partner"])
    assert auc(names["bank"]["default"], sum(model._half.linear(table) for model, table in halves)) > 0.715
    assert list(names["out"]["partner"].coefficients.index) == ["income", "owns"]


def test_the_example_prints_what_is_printed(capsys):
    text = PAGE.read_text("utf-8")
    names = {}
    for block in blocks(text):
        if "VerticalLogistic" not in block:
            exec(block, names)  # noqa: S102 - our own page
    (expected,) = re.findall(r"```text\n(.*?)```", text, re.DOTALL)
    printed = capsys.readouterr().out
    # rows come in a new order every time, and with them the last digits
    assert re.sub(NUMBER, "0", printed).split() == re.sub(NUMBER, "0", expected).split()
    numbers = [[float(n.replace(",", "")) for n in re.findall(NUMBER, one)] for one in (printed, expected)]
    assert numbers[0] == pytest.approx(numbers[1], rel=1e-4, abs=1.5e-4)
    assert len(names["out"]["hospital"].coefficients) == 2
    assert len(names["twin"].coefficients) == 3
