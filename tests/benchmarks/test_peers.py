"""Environments of peers are pinned whole, made once, and made anew when the recipe changes. None is made here."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmarks import BenchmarkError, peers

FILES = sorted(Path(peers.__file__).parent.glob("*.txt"))


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "PEERS", tmp_path / ".peers")


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_requirement_is_pinned(file: Path) -> None:
    lines = [line for line in file.read_text("utf-8").splitlines() if line and not line.startswith("#")]
    assert lines
    for line in lines:
        assert re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][0-9A-Za-z.]*( --hash=sha256:[0-9a-f]{64})?", line)


def test_versions_are_those_that_are_pinned() -> None:
    assert peers.version("secretflow") == "0.9.5"
    assert peers.version("openmined") == "2.0.6"


def fill(recipe: str) -> bool:
    with peers.folder_for("somebody", recipe) as (folder, ready):
        assert (folder / "content").exists() == ready
        (folder / "content").touch()
    return ready


def test_a_folder_is_filled_once_for_each_recipe() -> None:
    assert [fill("one"), fill("one"), fill("two"), fill("two"), fill("one")] == [False, True, False, True, False]


def test_a_folder_whose_filling_failed_is_filled_anew() -> None:
    def fail() -> None:
        with peers.folder_for("somebody", "recipe") as (folder, ready):
            assert not ready
            (folder / "content").touch()
            raise BenchmarkError("no network")

    with pytest.raises(BenchmarkError, match="no network"):
        fail()
    assert not fill("recipe")


def test_a_command_that_fails_says_why_in_one_line() -> None:
    script = "echo first; echo 'ERROR: the reason' >&2; echo; echo 'goodbye' >&2; exit 3"
    with pytest.raises(BenchmarkError, match=r"^it failed \(ERROR: the reason\)$"):
        peers.run(["sh", "-c", script], "it failed")


def test_a_command_that_says_nothing_has_an_exit_code() -> None:
    with pytest.raises(BenchmarkError, match=r"^it failed \(exit code 3\)$"):
        peers.run(["sh", "-c", "exit 3"], "it failed")


def test_a_command_that_is_not_there() -> None:
    with pytest.raises(BenchmarkError, match=r"^it failed \(No such file or directory\)$"):
        peers.run(["/nowhere/command"], "it failed")
