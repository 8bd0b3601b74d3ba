"""The page on reports does what it says."""

from __future__ import annotations

import re
from pathlib import Path

from .conftest import Seen

PAGE = Path(__file__).parents[2] / "docs" / "report.md"


def test_the_example_writes_a_page(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (example,) = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    exec(example, {})  # noqa: S102 - our own page
    seen = Seen.of((tmp_path / "claims.html").read_text("utf-8"))
    assert seen.count("svg") == 2
    for words in ("Claims of the insured", "hospital[1]", "fit claims", "predict claims", "transcript"):
        assert words in seen.text
