"""What a release says of itself is said once, and the package stays light until it is used."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import fusion

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]

# What `import fusion` must not load: every dependency, and whatever an extra brings.
HEAVY = {
    "aquacrop",
    "causaldata",
    "cffi",
    "cryptography",
    "flwr",
    "gmpy2",
    "jinja2",
    "matplotlib",
    "msgspec",
    "numpy",
    "pandas",
    "phe",
    "polars",
    "pyarrow",
    "ray",
    "rich",
    "scipy",
    "scorecardpy",
    "statsmodels",
    "tenseal",
    "typer",
}


def loaded_by(statement: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; {statement}; print(*sys.modules, sep='\\n')"],
        capture_output=True,
        text=True,
        check=True,
    )
    return {name.partition(".")[0] for name in done.stdout.splitlines()}


def test_one_version() -> None:
    released = re.findall(r"^## \[(\d[^]]*)\]", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert released[0] == PROJECT["version"] == fusion.__version__


def test_import_loads_no_dependency() -> None:
    assert {re.split(r"[<>=]", name)[0] for name in PROJECT["dependencies"]} <= HEAVY
    assert loaded_by("import fusion") & HEAVY == set()


def test_each_subpackage_loads_by_name() -> None:
    for name in fusion.__all__:
        assert getattr(fusion, name) is not None
    assert "polars" not in loaded_by("import fusion; [getattr(fusion, name) for name in fusion.__all__]")
