"""fusion demo: a whole scenario in two processes, and what happens when one of them does not finish."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from pathlib import Path

import pandas as pd
import pytest

from fusion.cli import demo, processes
from fusion.errors import FusionError, TransportError
from fusion.scenarios import medical_insurance

NAME = "medical-insurance"


@pytest.fixture(scope="module")
def tables() -> dict[str, pd.DataFrame]:
    """A few rows of either side, so that a run takes hardly longer than starting its processes."""
    return {side: table.head(400) for side, table in medical_insurance.data().items()}


@pytest.fixture
def workspace(tmp_path, monkeypatch) -> Path:
    """The folder in which the folders of the parties are made."""
    path = tmp_path / "workspace"
    path.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(path))
    monkeypatch.setenv("TMPDIR", str(path))
    return path


def processes_about(path: Path) -> list[int]:
    """Numbers of the processes whose command line names a path."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                words = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if os.fsencode(path) in words:
                found.append(int(entry.name))
    return found


def gone(path: Path, seconds: float = 10) -> bool:
    """Whether every process about a path has ended, now or soon."""
    until = time.monotonic() + seconds
    while processes_about(path):
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


def test_json_of_the_whole_run(start, workspace):
    ran = start("demo", NAME, "--json").finish()
    assert ran.code == 0, ran.err
    answer = ran.json
    assert answer["scenario"] == NAME
    assert answer["parties"] == ["hospital", "insurer"]
    assert answer["rows"] == {"hospital": 4747, "insurer": 4460}
    assert answer["matched"] == 3392
    assert answer["agrees_with_cleartext"] is True
    assert answer["kernel"] in ("portable", "avx2", "ifma")
    assert answer["protocol"] == "ecdh"  # what "auto" makes of so few keys
    assert 0 < answer["seconds"] < 60
    receipts = answer["receipt"]
    assert answer["bytes_sent"] == {side: receipts[side]["bytes_sent"] for side in receipts}
    # 32 bytes for each own key and a tag for each of the other side's, and little else
    for side, other in (("hospital", "insurer"), ("insurer", "hospital")):
        sizes = receipts[side]["sizes"]
        assert 0 < answer["bytes_sent"][side] - 32 * sizes[side] - 9 * sizes[other] < 1000
    assert receipts["hospital"]["transcript"] == receipts["insurer"]["transcript"]
    for side in answer["parties"]:
        assert receipts[side]["learned"].keys() == {"hospital", "insurer"}
    # progress is on stderr, in plain lines, without an error among them
    assert "hospital: exchanging masks" in ran.err.splitlines()
    assert "fusion:" not in ran.err
    assert list(workspace.iterdir()) == []


def test_text_for_newcomers(start, workspace):
    ran = start("demo", NAME, COLUMNS="80").finish()
    assert ran.code == 0
    assert "Agrees with its cleartext twin, a plain join of both files: yes" in ran.out
    assert "Identity numbers and" in ran.out
    assert "synthetic" in ran.out
    for words in (
        "4,747",
        "4,460",
        "107",
        "131",
        "3,392",
        "protocol ecdh",
        "hospital learned",
        "insurer learned",
        "member_id",
    ):
        assert words in ran.out
    assert "\x1b" not in ran.out + ran.err
    assert max(map(len, ran.out.splitlines())) <= 80


def test_each_folder_holds_what_its_party_may_see(tables, workspace):
    seen = {}

    def look(event):
        for folder in workspace.iterdir():
            if folder.name not in seen:
                seen[folder.name] = (
                    folder.stat().st_mode & 0o777,
                    {file.name: file.read_text("utf-8") for file in folder.iterdir()},
                )

    processes.play(NAME, tables, look)
    assert len(seen) == 2
    for name, (mode, files) in seen.items():
        side = name.split("-")[1]
        other = {"hospital": "insurer", "insurer": "hospital"}[side]
        assert mode == 0o700
        assert set(files) == {"party.toml", "table.csv", f"{side}.key"}
        assert files["table.csv"].startswith(",".join(tables[side].columns))
        assert tables[other].columns[2] not in files["table.csv"]
    assert list(workspace.iterdir()) == []


def test_no_code_of_the_folder_where_the_user_stands_runs(tables, workspace, tmp_path, monkeypatch):
    (tmp_path / "pandas.py").write_text("raise SystemExit('run')")
    paths = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(str(Path(path).absolute()) for path in paths if path))
    monkeypatch.chdir(tmp_path)
    assert set(processes.play(NAME, tables, lambda event: None)) == {"hospital", "insurer"}


def test_a_result_that_differs_is_a_failure(fusion, workspace, tables, monkeypatch):
    monkeypatch.setattr(medical_insurance, "data", lambda: tables)
    true = medical_insurance.ideal

    def swapped(given):
        # the right rows on both sides, but two people exchanged
        result = true(given)
        order = [1, 0, *range(2, len(result["insurer"]))]
        return result | {"insurer": result["insurer"].iloc[order]}

    assert fusion("demo", NAME, "--json").json["agrees_with_cleartext"] is True
    monkeypatch.setattr(medical_insurance, "ideal", swapped)
    ran = fusion("demo", NAME, "--json")
    assert ran.code == 1
    assert ran.json["agrees_with_cleartext"] is False
    matched = ran.json["matched"]
    assert f"differs from its cleartext twin (rows: hospital {matched} for {matched}, " in ran.last_line
    ran = fusion("demo", NAME)
    assert ran.code == 1
    assert "Agrees with its cleartext twin, a plain join of both files: no" in ran.out


@pytest.mark.parametrize("lost", ["hospital", "insurer"])
def test_missing_rows_are_a_difference(lost):
    one = {side: pd.DataFrame({side: ["1", "2"]}) for side in ("hospital", "insurer")}
    assert demo._same_pairs(one, {side: table.iloc[::-1] for side, table in reversed(one.items())})
    assert not demo._same_pairs(one, one | {lost: one[lost].head(1)})
    assert not demo._same_pairs(one, {side: table.head(1) for side, table in one.items()})


@pytest.mark.parametrize("name", ["a", "ab", "abc", "abcd"])
def test_cells_are_compared_as_they_are(name):
    # lines of four bytes begin at every place, seen from the end of a parser's buffer, as the header grows
    table = pd.DataFrame({name: [" "] * 200_000, "z": ["1"] * 200_000})
    pd.testing.assert_frame_equal(demo._as_text(table), table)


@pytest.mark.parametrize("victim", ["hospital", "insurer"])
def test_a_party_that_is_killed(tables, workspace, monkeypatch, victim):
    children = {}
    start = subprocess.Popen

    def record(words, **options):
        children[words[-2]] = start(words, **options)
        return children[words[-2]]

    monkeypatch.setattr(subprocess, "Popen", record)

    def kill(event):
        if event.party == victim and "waiting" in event.phase:
            children[victim].kill()

    began = time.monotonic()
    with pytest.raises(FusionError, match=f"^{victim}: .*SIGKILL"):
        processes.play(NAME, tables, kill)
    assert time.monotonic() - began < 20
    assert all(child.returncode is not None for child in children.values())
    assert list(workspace.iterdir()) == []


def test_the_party_at_fault_is_named_not_the_one_that_noticed(tables, workspace):
    broken = tables | {"insurer": tables["insurer"].drop(columns="born")}
    with pytest.raises(FusionError, match=r"^insurer: .*born"):
        processes.play(NAME, broken, lambda event: None)
    assert list(workspace.iterdir()) == []


def test_a_party_that_never_ends(tables, workspace, monkeypatch):
    monkeypatch.setattr(processes, "_DEADLINE", 0.5)
    with pytest.raises(TransportError, match="did not finish"):
        processes.play(NAME, tables, lambda event: None)
    assert gone(workspace, 0)
    assert list(workspace.iterdir()) == []


def test_a_port_that_was_taken_in_between(tables, workspace, monkeypatch):
    choose = processes._free_port
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ports = [taken.getsockname()[1]]
        monkeypatch.setattr(processes, "_free_port", lambda: ports.pop() if ports else choose())
        outcomes = processes.play(NAME, tables, lambda event: None)
        assert set(outcomes) == {"hospital", "insurer"}
        assert ports == []

        monkeypatch.setattr(processes, "_ATTEMPTS", 1)
        monkeypatch.setattr(processes, "_free_port", lambda: taken.getsockname()[1])
        with pytest.raises(TransportError, match="port"):
            processes.play(NAME, tables, lambda event: None)
    assert list(workspace.iterdir()) == []


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_all_processes_and_clears_up(start, workspace, number, code):
    process = start("demo", NAME)
    process.until("insurer: starting")
    assert len(processes_about(workspace)) == 2
    process.send_signal(number)
    ran = process.finish(timeout=20)
    assert ran.code == code
    assert ran.last_line
    assert gone(workspace, 0)
    assert list(workspace.iterdir()) == []


def test_no_party_outlives_a_parent_that_was_killed(start, workspace):
    process = start("demo", NAME)
    process.until("hospital: waiting for insurer")
    process.kill()
    process.wait()
    assert gone(workspace)
