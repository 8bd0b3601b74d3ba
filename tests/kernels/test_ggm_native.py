"""Trees in C alone: under the sanitisers, and under memcheck for what depends on secrets."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
CSRC = HERE.parents[1] / "src" / "fusion" / "kernels" / "csrc"
NAMES = ("ggm.c", "aes.c", "aes_x86.c")
pytestmark = pytest.mark.timeout(600)  # the build and memcheck, on a busy machine


def build(folder: Path, *flags: str) -> Path:
    compiler = os.environ.get("CC", "cc")
    assert shutil.which(compiler.split()[0]), f"no C compiler {compiler!r}: install gcc or clang, or set CC"
    sources = [str(HERE / "ggm_native.c"), *(str(CSRC / name) for name in NAMES)]
    program = folder / "ggm_native"
    command = [*compiler.split(), "-std=c11", "-g", "-Wall", "-Wextra", "-Werror", *flags, f"-I{CSRC}", *sources]
    built = subprocess.run([*command, "-o", str(program)], capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    return program


def test_clean_under_sanitisers(tmp_path):
    program = build(tmp_path, "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
    result = subprocess.run([str(program)], capture_output=True, text=True, check=False, timeout=300)
    assert (result.returncode, result.stdout) == (0, "done\n"), result.stderr


def memcheck(program: Path, argument: str) -> subprocess.CompletedProcess[str]:
    command = ["valgrind", "--quiet", "--error-exitcode=9", str(program), argument]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.slow
@pytest.mark.parametrize("level", ["-O3", "-O1", "-Os"])
def test_no_branch_or_address_depends_on_a_secret(tmp_path, level):
    assert shutil.which("valgrind"), "install valgrind with its headers (Debian, Ubuntu: apt install valgrind)"
    program = build(tmp_path, level, "-DMEMCHECK")
    result = memcheck(program, "portable")
    assert (result.returncode, result.stdout) == (0, "done\n"), result.stderr
    assert memcheck(program, "leak").returncode == 9
