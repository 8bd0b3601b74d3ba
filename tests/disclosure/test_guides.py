"""The guides print what they say they print."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("page", ["disclosure.md", "ckks.md"])
def test_examples_print_what_they_say(page):
    blocks = re.findall(r"^```(python|text)\n(.*?)^```$", (DOCS / page).read_text("utf-8"), re.MULTILINE | re.DOTALL)
    names: dict[str, object] = {}
    printed = said = ""
    for language, text in blocks:
        if language == "text":
            said += text
            continue
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            exec(compile(text, page, "exec"), names)  # noqa: S102
        printed += out.getvalue()
    assert printed == said != ""
