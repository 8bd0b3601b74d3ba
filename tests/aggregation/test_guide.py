"""The guide's examples print what the guide says."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

from fusion.aggregation import schemes

GUIDE = Path(__file__).parents[2] / "docs" / "aggregation.md"


def test_every_example() -> None:
    blocks = re.findall(r"^```(python|text)\n(.*?)^```$", GUIDE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert blocks
    assert [kind for kind, _ in blocks] == ["python", "text"] * (len(blocks) // 2)
    names: dict[str, object] = {}
    for (_, code), (_, expected) in zip(blocks[::2], blocks[1::2], strict=True):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(code, str(GUIDE), "exec"), names)  # noqa: S102
        assert [line.rstrip() for line in printed.getvalue().splitlines()] == [
            line.rstrip() for line in expected.splitlines()
        ]


def test_the_table_of_schemes_is_complete() -> None:
    header = next(line for line in GUIDE.read_text("utf-8").splitlines() if line.startswith('| | `"'))
    assert sorted(re.findall(r'`"(\w+)"`', header)) == sorted(schemes._MODULES)
