"""What the kernels leave on the stack: nothing of a scalar, nor of the coordinates of its products."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from fusion import kernels

HERE = Path(__file__).parent
CSRC = HERE.parents[1] / "src" / "fusion" / "kernels" / "csrc"
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built as the package is: what registers have no room for depends on the optimisation."""
    built = tmp_path_factory.mktemp("native") / "leftovers"
    sources = [str(HERE / "leftovers.c"), *(str(path) for path in sorted(CSRC.glob("*.c")))]
    compiler = os.environ.get("CC", "cc").split()
    subprocess.run([*compiler, "-std=gnu11", "-O3", f"-I{CSRC}", *sources, "-pthread", "-o", str(built)], check=True)
    return built


def test_nothing_secret_stays_on_the_stack(program):
    assert subprocess.check_output([program], text=True, timeout=300) == "done\n"


def test_what_stays_is_noticed(program):
    said = subprocess.check_output([program, "careless"], text=True, timeout=300)
    assert said == "".join(f"{name} careless left 4 pieces\n" for name in kernels.variants()) + "done\n"
