"""The documentation leads to all of its pages."""

from __future__ import annotations

import re
from pathlib import Path

DECISIONS = Path(__file__).parents[2] / "docs" / "decisions"


def test_every_decision_is_listed_by_its_title() -> None:
    listed = re.findall(r"^- \[(\d{4})\]\((.+)\): (.+)$", (DECISIONS / "README.md").read_text("utf-8"), re.MULTILINE)
    titles = {path: path.read_text("utf-8").splitlines()[0] for path in sorted(DECISIONS.glob("[0-9]*.md"))}
    assert [(name, f"# {number}: {title}") for number, name, title in listed] == [
        (path.name, title) for path, title in titles.items()
    ]
