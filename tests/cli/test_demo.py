"""fusion demo: a whole scenario in two processes, and what happens when one of them does not finish."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from fusion.cli import processes
from fusion.errors import FusionError, TransportError
from fusion.scenarios import medical_insurance

NAME = "medical-insurance"


@pytest.fixture(scope="module")
def tables() -> dict[str, pd.DataFrame]:
    """Fewer rows of either side, but as many as the models take."""
    return {side: table.head(3500) for side, table in medical_insurance.data().items()}


@pytest.fixture(scope="module")
def played(tables) -> dict[str, processes.Played]:
    """What came of one run on those."""
    return processes.play(NAME, tables, lambda event: None)


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


def gone(path: Path, seconds: float = 60) -> bool:
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
    assert answer["agrees_with_cleartext"] is True
    assert answer["kernel"] in ("portable", "avx2", "ifma")
    assert answer["seconds"] > 0
    figures = answer["figures"]["insurer"]
    assert figures["members"] == {"value": 3392, "cleartext": 3392, "tolerance": 0, "agrees": True}
    assert figures["visits: D2"]["value"] > figures["visits: D2, insurer alone"]["value"] + 0.05
    receipts = answer["receipts"]
    for side, other in (("hospital", "insurer"), ("insurer", "hospital")):
        steps = [step["receipt"] for step in receipts[side]]
        assert answer["bytes_sent"][side] == sum(receipt["bytes_sent"] for receipt in steps)
        # 32 bytes for each own key and a tag for each of the other side's, and little else
        sizes = steps[0]["sizes"]
        assert steps[0]["parameters"]["protocol"] == "ecdh"  # what "auto" makes of so few keys
        assert 0 < steps[0]["bytes_sent"] - 32 * sizes[side] - 9 * sizes[other] < 1000
        assert all(receipt["learned"].keys() == {"hospital", "insurer"} for receipt in steps)
        assert answer["peak_memory"][side] > 2**20
        assert answer["cpu_seconds"][side] > 0
    transcripts = [[step["receipt"]["transcript"] for step in receipts[side]] for side in receipts]
    assert transcripts[0] == transcripts[1]
    # progress is on stderr, in plain lines, without an error among them
    assert "hospital: exchanging masks" in ran.err.splitlines()
    assert "fusion:" not in ran.err
    assert list(workspace.iterdir()) == []


def test_text_for_newcomers_and_the_report(start, workspace, tmp_path):
    page = tmp_path / "out.html"
    ran = start("demo", NAME, "--report", page, COLUMNS="80").finish()
    assert ran.code == 0, ran.err
    for words in (
        "数据要素×医疗健康",
        "Two processes",
        "synthetic",
        "4,747",
        "3,392",
        "hospital learned",
        "insurer learned",
        "insurer holds visits: relativities",
        "Agrees with its cleartext twin, one process that sees all tables: yes",
    ):
        assert words in ran.out
    assert "\x1b" not in ran.out + ran.err
    assert max(map(len, ran.out.splitlines())) <= 80
    assert str(page) in ran.out.replace("\n", "")
    text = page.read_text("utf-8")
    assert "Checked against the clear" in text
    assert page.stat().st_mode & 0o077 == 0
    assert sorted(tmp_path.iterdir()) == [page, workspace]


def test_a_folder_in_place_of_the_report_is_said_before_anything_runs(fusion, monkeypatch, tmp_path):
    monkeypatch.setattr(medical_insurance, "data", lambda: pytest.fail("it began"))
    ran = fusion("demo", NAME, "--report", tmp_path)
    assert ran.code == 1
    assert "it is a folder" in ran.one_line


def test_a_folder_that_is_not_there_is_said_before_anything_runs(fusion, monkeypatch, tmp_path):
    monkeypatch.setattr(medical_insurance, "data", lambda: pytest.fail("it began"))
    ran = fusion("demo", NAME, "--json", "--report", tmp_path / "missing" / "out.html")
    assert ran.code == 1
    assert "its folder does not exist" in ran.last_line


def test_a_report_that_cannot_be_written_is_one_line(fusion, played, tables, monkeypatch, tmp_path):
    monkeypatch.setattr(medical_insurance, "data", lambda: tables)
    monkeypatch.setattr(processes, "play", lambda name, tables, show: played)
    ran = fusion("demo", NAME, "--json", "--report", tmp_path)
    assert ran.code == 1
    assert "cannot write" in ran.last_line


def test_a_figure_on_one_side_only_is_a_failure_and_json(fusion, played, tables, monkeypatch):
    monkeypatch.setattr(medical_insurance, "data", lambda: tables)
    monkeypatch.setattr(processes, "play", lambda name, tables, show: played)
    monkeypatch.setattr(medical_insurance, "ideal", lambda tables: {})
    ran = fusion("demo", NAME, "--json")
    assert ran.code == 1
    members = ran.json["figures"]["hospital"]["members"]
    assert members["cleartext"] is None
    assert members["agrees"] is False
    assert "NaN" not in ran.out


def test_without_the_extra_it_says_so_before_anything_runs(fusion, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    monkeypatch.setattr(medical_insurance, "data", lambda: pytest.fail("it began"))
    ran = fusion("demo", NAME, "--report", tmp_path / "out.html")
    assert ran.code == 1
    assert 'pip install "privacy-fusion[report]"' in ran.one_line


THREE = """
from __future__ import annotations
import pandas as pd
import fusion
from fusion.report import Report
from fusion.scenarios.outcome import Outcome

TITLE, SECTOR, SOURCE = "Three add up", "sector", "made up"
PARTIES = ("north", "south", "west")
TOLERANCES, SHOWN = {"mean": 1e-12}, ("all",)

def data():
    only = pd.DataFrame({"id": [1, 2], "x": [1.5, 2.5]})
    return {"north": only, "south": {"left": only, "right": only * 2}, "west": only * 3}

def own(tables):
    frames = list(tables.values()) if isinstance(tables, dict) else [tables]
    return int(sum(frame["id"].sum() for frame in frames)), pd.concat(frames)

def run(peers, tables, party):
    value, frame = own(tables)
    outcome = Outcome()
    total = fusion.aggregation.secure_sum(peers, [value], bound=100).total
    outcome.step("add up", peers)
    if party != "west":
        other = {"north": "south", "south": "north"}[party]
        found = fusion.psi.intersect(peers[other], frame, on={"id": "integer"}, duplicates="first")
        outcome.step("meet", peers[other])
        outcome.figures["shared"] = len(found)
    outcome.figures |= {"total": int(total[0]), "mean": frame["x"].mean()}
    outcome.tables["all"] = frame.reset_index(drop=True)
    return outcome

def ideal(tables):
    values = {party: own(part) for party, part in tables.items()}
    total = sum(value for value, _ in values.values())
    outs = {p: Outcome({"total": total, "mean": f["x"].mean()}, {"all": f}) for p, (_, f) in values.items()}
    for party in ("north", "south"):
        outs[party].figures["shared"] = 2
    return outs

def report(outcomes):
    return Report(TITLE, [])
"""


def test_three_parties_in_a_group(start, workspace, tmp_path):
    (tmp_path / "three.py").write_text(THREE)
    # the parties are processes of their own: each finds the scenario as it starts
    (tmp_path / "sitecustomize.py").write_text(
        "import fusion.scenarios as s\ns._MODULES['three'] = 'three'\ns.NAMES = tuple(s._MODULES)\n"
    )
    paths = [str(tmp_path), *(str(Path(path).absolute()) for path in sys.path if path)]
    page = tmp_path / "out.html"
    ran = start("demo", "three", "--json", "--report", page, PYTHONPATH=os.pathsep.join(paths)).finish()
    assert ran.code == 0, ran.err
    answer = ran.json
    assert answer["agrees_with_cleartext"] is True
    assert answer["rows"] == {"north": 2, "south": 4, "west": 2}
    assert {party: figures["total"]["value"] for party, figures in answer["figures"].items()} == dict.fromkeys(
        ("north", "south", "west"), 3 + 9 + 9
    )
    assert [step["name"] for step in answer["receipts"]["west"]] == ["add up", "add up"]
    assert [step["name"] for step in answer["receipts"]["north"]] == ["add up", "add up", "meet"]
    assert "Who learned what" in page.read_text("utf-8")
    ran = start("demo", "three", PYTHONPATH=os.pathsep.join(paths)).finish()
    assert ran.code == 0, ran.err
    assert "Three processes" in ran.out


def test_each_folder_holds_what_its_party_may_see(tables, workspace):
    seen = {}

    def look(event):
        for folder in workspace.iterdir():
            if folder.name not in seen:
                seen[folder.name] = (
                    folder.stat().st_mode & 0o777,
                    {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()},
                    pd.read_parquet(folder / "tables" / "table.parquet"),
                )

    processes.play(NAME, tables, look)
    assert len(seen) == 2
    for name, (mode, files, table) in seen.items():
        side = name.split("-")[1]
        assert mode == 0o700
        assert files == {"party.toml", "tables/table.parquet", f"{side}.key"}
        pd.testing.assert_frame_equal(table, tables[side])
    assert list(workspace.iterdir()) == []


def test_no_code_of_the_folder_where_the_user_stands_runs(tables, workspace, tmp_path, monkeypatch):
    (tmp_path / "pandas.py").write_text("raise SystemExit('run')")
    paths = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(str(Path(path).absolute()) for path in paths if path))
    monkeypatch.chdir(tmp_path)
    assert set(processes.play(NAME, tables, lambda event: None)) == {"hospital", "insurer"}


def test_a_result_that_differs_is_a_failure(fusion, played, tables, monkeypatch, tmp_path):
    monkeypatch.setattr(medical_insurance, "data", lambda: tables)
    monkeypatch.setattr(processes, "play", lambda name, tables, show: played)
    true = medical_insurance.ideal
    truth = fusion("demo", NAME, "--json").json
    assert truth["agrees_with_cleartext"] is True

    def off(given):
        outcomes = true(given)
        outcomes["insurer"].figures["visits: D2"] += 2e-4
        return outcomes

    monkeypatch.setattr(medical_insurance, "ideal", off)
    ran = fusion("demo", NAME, "--json")
    assert ran.code == 1
    assert ran.json["agrees_with_cleartext"] is False
    assert [name for name, each in ran.json["figures"]["insurer"].items() if not each["agrees"]] == ["visits: D2"]
    assert "differ from the cleartext twin (insurer: visits: D2)" in ran.last_line
    page = tmp_path / "out.html"
    ran = fusion("demo", NAME, "--report", page)
    assert ran.code == 1
    assert "Agrees with its cleartext twin, one process that sees all tables: no" in ran.out
    assert "At least one figure differs from its cleartext twin" in page.read_text("utf-8")


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
    assert time.monotonic() - began < 100  # the other one would wait for long
    assert all(child.returncode is not None for child in children.values())
    assert list(workspace.iterdir()) == []


def test_the_party_at_fault_is_named_not_the_one_that_noticed(tables, workspace):
    broken = tables | {"insurer": tables["insurer"].drop(columns="born")}
    with pytest.raises(FusionError, match=r"^insurer: .*born"):
        processes.play(NAME, broken, lambda event: None)
    assert list(workspace.iterdir()) == []


def test_a_party_that_never_ends(tables, workspace, monkeypatch):
    monkeypatch.setattr(processes, "_DEADLINE", 0.1)
    with pytest.raises(TransportError, match="did not finish"):
        processes.play(NAME, tables, lambda event: None)
    assert gone(workspace, 0)
    assert list(workspace.iterdir()) == []


def test_a_port_that_was_taken_in_between(tables, workspace, monkeypatch):
    choose = processes._free_ports
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ports = [taken.getsockname()[1]]
        monkeypatch.setattr(processes, "_free_ports", lambda n: [ports.pop()] if ports else choose(n))
        outcomes = processes.play(NAME, tables, lambda event: None)
        assert set(outcomes) == {"hospital", "insurer"}
        assert ports == []

        monkeypatch.setattr(processes, "_ATTEMPTS", 1)
        monkeypatch.setattr(processes, "_free_ports", lambda n: [taken.getsockname()[1]])
        with pytest.raises(TransportError, match="port"):
            processes.play(NAME, tables, lambda event: None)
    assert list(workspace.iterdir()) == []


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_all_processes_and_clears_up(start, workspace, number, code):
    process = start("demo", NAME)
    process.until("insurer: starting")
    assert len(processes_about(workspace)) == 2
    process.send_signal(number)
    ran = process.finish()
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
