"""The README's example prints what the README says it prints."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

README = (Path(__file__).parents[2] / "README.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def test_example_prints_what_it_says() -> None:
    (example,), (printed,) = blocks("python"), blocks("text")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", example],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == (printed, "")


def test_parties_of_the_example_name_each_other() -> None:
    insurer, hospital = (tomllib.loads(text) for text in blocks("toml"))
    assert set(insurer["peers"]) == {hospital["name"]}
    assert set(hospital["peers"]) == {insurer["name"]}
    port = insurer["listen"].rpartition(":")[2]
    assert hospital["peers"]["insurer"]["address"].endswith(f":{port}")
