"""No branch and no address depends on a secret, as valgrind's memcheck sees the portable kernel and AVX2."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
CSRC = HERE.parents[1] / "src" / "fusion" / "kernels" / "csrc"
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module", params=["-O3", "-O1", "-Os"])
def program(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = os.environ.get("CC", "cc")
    assert shutil.which(compiler.split()[0]), f"no C compiler {compiler!r}: install gcc or clang, or set CC"
    assert shutil.which("valgrind"), "install valgrind with its headers (Debian, Ubuntu: apt install valgrind)"
    built = tmp_path_factory.mktemp("native") / "constant_time"
    names = (
        "ristretto_portable.c",
        "ristretto_avx2.c",
        "elgamal_portable.c",
        "scalar25519.c",
        "hashing.c",
        "sha256.c",
        "sha256_avx2.c",
        "sha512.c",
        "sha512_avx2.c",
    )
    names += ("ntt.c", "ntt_ifma.c", "rlwe_samples.c", "rlwe_scales.c", "rlwe_ifma.c")
    names += ("aes.c", "aes_x86.c", "gf128.c", "gf128_x86.c")  # the latter of each is named by the former, but not run
    names += ("excode.c",)
    sources = [str(HERE / "constant_time.c"), *(str(CSRC / name) for name in names)]
    command = [*compiler.split(), "-std=c11", "-g", request.param, f"-I{CSRC}", *sources, "-o", str(built)]
    subprocess.run(command, check=True)
    return built


def memcheck(program: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["valgrind", "--quiet", "--error-exitcode=9", str(program), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_no_branch_or_address_depends_on_a_secret(program):
    result = memcheck(program)
    assert (result.returncode, result.stdout) == (0, "done\n"), result.stderr


def test_a_branch_on_a_secret_is_noticed(program):
    result = memcheck(program, "leak")
    assert result.returncode == 9
    assert "depends on uninitialised" in result.stderr
