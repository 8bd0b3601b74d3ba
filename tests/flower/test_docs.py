"""The page on Flower does what it says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import fusion
from fusion.errors import InputError

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("page", ["flower.md", "homomorphic-fedavg.md"])
def test_the_example_prints_what_is_printed(page: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = (DOCS / page).read_text("utf-8")
    names: dict[str, object] = {}
    for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        exec(block, names)  # noqa: S102 - our own page
    (expected,) = re.findall(r"```text\n(.*?)```", text, re.DOTALL)
    assert capsys.readouterr().out == expected


def test_the_package_loads_lazily_and_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert set(fusion.flower.__all__) <= set(dir(fusion.flower))
    for name in fusion.flower.__all__:
        assert getattr(fusion.flower, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = fusion.flower.Nothing

    def missing(name: str) -> None:
        raise ModuleNotFoundError("No module named 'flwr'", name="flwr.app")

    monkeypatch.setattr("fusion.flower.importlib.import_module", missing)
    with pytest.raises(InputError, match=r"privacy-fusion\[flower\]"):
        _ = fusion.flower.SecureMod
