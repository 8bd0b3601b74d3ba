"""fusion psi intersect: what is refused before a peer is met, and two processes that meet."""

from __future__ import annotations

import re
import signal
import time
from pathlib import Path

import pandas as pd
import pytest

from fusion.cli.psi import parse_on
from fusion.errors import InputError

# GB 11643 examples of the standard, then numbers made valid by hand; the sides spell them differently
HOSPITAL = """id_number,birth_date,disea
11010519491231002X,1949-12-31,1.5
440524188001010014,1880-01-01,2.5
 110105491231003 ,1949-12-31,3.5
,1950-01-01,4.5
"""
INSURER = """member_id,born,claims
440524188001010014,1880年1月1日,10.00
11010519491231002x,19491231,20.00
11010519491231002x,19491231,30.00
"""
ON = {"hospital": "id_number:cn_id,birth_date:date", "insurer": "member_id:cn_id,born:date"}


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    paths = {"hospital": tmp_path / "hospital" / "table.csv", "insurer": tmp_path / "insurer" / "table.csv"}
    for side, text in (("hospital", HOSPITAL), ("insurer", INSURER)):
        paths[side].parent.mkdir(exist_ok=True)
        paths[side].write_text(text, "utf-8")
    return paths


def arguments(parties, side, file, **changes):
    words = {
        "config": parties[side],
        "peer": "insurer" if side == "hospital" else "hospital",
        "table": file,
        "on": ON[side],
        "out": parties[side].parent / "out.csv",
        "duplicates": "first",
    } | changes
    return ["psi", "intersect"] + [
        word for name, value in words.items() if value is not None for word in (f"--{name}", value)
    ]


@pytest.fixture
def both(start, parties, files):
    """Run both sides at once and return what each said."""

    def run(hospital=(), insurer=(), **changes):
        running = [
            start(*arguments(parties, side, files[side], **changes | dict(own)), "--json")
            for side, own in (("hospital", hospital), ("insurer", insurer))
        ]
        return [process.finish() for process in running]

    return run


@pytest.mark.parametrize(
    ("text", "on"),
    [
        ("id", ["id"]),
        ("id, born", ["id", "born"]),
        ("id:cn_id,born:date", {"id": "cn_id", "born": "date"}),
        (" 身份证号 : cn_id ", {"身份证号": "cn_id"}),
    ],
)
def test_key_columns_on_the_command_line(text, on):
    assert parse_on(text) == on


@pytest.mark.parametrize("text", ["", ",", "id,", ":cn_id", "id,id", "id:text,id:date", "id:text,born", "id:"])
def test_key_columns_that_say_nothing_clear(text):
    with pytest.raises(InputError, match="--on"):
        parse_on(text)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"config": "nowhere.toml"}, "nowhere.toml"),
        ({"peer": "bank"}, "bank"),
        ({"table": "nowhere.csv"}, "nowhere.csv"),
        ({"table": "."}, "."),
        ({"on": "id_number:cn_id,birthdate:date"}, "birth_date"),
        ({"on": "id_number:passport"}, "cn_id"),
        ({"on": "id_number:cn_id,birth_date"}, "kind"),
        ({"out": "nowhere/out.csv"}, "folder"),
        ({"out": "out.xlsx"}, ".parquet"),
        ({"out": "o" * 300 + ".csv"}, "File name too long"),
        ({"out": "o" * 300 + "/out.csv"}, "File name too long"),
        ({"out": "hospital/folder.csv"}, "is no file"),
        ({"out": None}, "--out"),
        ({"learn": "bank"}, "--learn"),
        ({"learn": "insurer"}, "leave out --out"),
        ({"learn": "hospital", "out": None}, "--out"),
    ],
    ids=str,
)
def test_refused_before_a_peer_is_met(fusion, parties, files, tmp_path, monkeypatch, changes, says):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "hospital" / "folder.csv").mkdir()
    began = time.monotonic()
    ran = fusion(*arguments(parties, "hospital", files["hospital"], **changes), "--json")
    assert ran.code == 1
    assert says in ran.one_line
    assert ran.json == {"error": "InputError", "message": ran.one_line}
    assert time.monotonic() - began < 50  # the peer would be awaited for 60 seconds
    assert not list(tmp_path.glob("**/out*"))


@pytest.mark.parametrize(
    ("content", "says"),
    [(b"", "empty"), ("id_number,出生日期\n".encode("gb18030"), "UTF-8"), (b"id_number,birth_date\n1\n", "row 2")],
    ids=["empty", "encoding", "ragged"],
)
def test_files_that_are_no_tables(fusion, parties, tmp_path, content, says):
    table = tmp_path / "table.csv"
    table.write_bytes(content)
    ran = fusion(*arguments(parties, "hospital", table))
    assert ran.code == 1
    assert says in ran.one_line


def test_the_result_never_replaces_the_table(fusion, parties, files):
    ran = fusion(*arguments(parties, "hospital", files["hospital"], out=files["hospital"]))
    assert ran.code == 1
    assert "is the table itself" in ran.one_line
    assert files["hospital"].read_text("utf-8") == HOSPITAL


def test_two_processes_find_the_people_they_share(both, parties, files):
    hospital, insurer = both()
    assert (hospital.code, insurer.code) == (0, 0), hospital.err + insurer.err
    assert hospital.json["matched"] == insurer.json["matched"] == 2
    assert (hospital.json["rows"], insurer.json["rows"]) == (4, 3)
    assert hospital.json["receipt"]["sizes"] == insurer.json["receipt"]["sizes"] == {"hospital": 3, "insurer": 2}
    assert hospital.json["receipt"]["transcript"] == insurer.json["receipt"]["transcript"]
    assert hospital.json["receipt"]["bytes_sent"] == insurer.json["receipt"]["bytes_received"]
    # cells come back as they were, and row i here and row i there are the same person
    pairs = {
        tuple(zip(*rows, strict=True))
        for rows in [
            [
                pd.read_csv(parties[side].parent / "out.csv", dtype=str)[column]
                for side, column in (("hospital", "disea"), ("insurer", "claims"))
            ]
        ]
    }
    assert {frozenset(pair) for pair in pairs} == {frozenset({("1.5", "20.00"), ("2.5", "10.00")})}
    assert "hospital: exchanging masks" in hospital.err


def test_parquet_in_and_out(both, parties, files, tmp_path):
    for side in files:
        table = pd.read_csv(files[side], dtype=str)
        table["row"] = range(len(table))
        files[side] = files[side].with_suffix(".parquet")
        table.to_parquet(files[side])
    outs = {side: parties[side].parent / "out.parquet" for side in files}
    ran = both({"out": outs["hospital"]}, {"out": outs["insurer"]})
    assert [side.code for side in ran] == [0, 0]
    got = {side: pd.read_parquet(path) for side, path in outs.items()}
    assert sorted(zip(got["hospital"]["row"], got["insurer"]["row"], strict=True)) == [(0, 1), (1, 0)]
    assert got["hospital"]["row"].dtype == "int64"


@pytest.mark.parametrize(("asked", "used"), [("auto", "ecdh"), ("ecdh", "ecdh"), ("vole", "vole")])
def test_the_protocol_asked_for(both, asked, used):
    ran = both(protocol=asked)
    assert [side.code for side in ran] == [0, 0]
    assert [side.json["receipt"]["parameters"]["protocol"] for side in ran] == [used, used]
    assert [side.json["matched"] for side in ran] == [2, 2]


def test_one_learner(both, parties, files):
    hospital, insurer = both(insurer={"out": None}, learn="hospital")
    assert (hospital.code, insurer.code) == (0, 0)
    assert (hospital.json["matched"], insurer.json["matched"]) == (2, None)
    assert insurer.json["out"] is None
    assert not (parties["insurer"].parent / "out.csv").exists()


def test_summary_for_people(start, parties, files):
    running = [start(*arguments(parties, side, files[side])) for side in files]
    hospital, insurer = (process.finish() for process in running)
    assert (hospital.code, insurer.code) == (0, 0)
    for words in (
        r"rows in the file +4\n",
        r"usable keys of insurer +2\n",
        r"rows both have +2\n",
        r"protocol +ecdh\n",
        "hospital learned",
    ):
        assert re.search(words, hospital.out), hospital.out
    assert "which of its own keys the other side holds too: 2 of 3" in hospital.out
    assert "Note: rows left out, as they cannot match: 1 without a value in 'id_number'\n" in hospital.out
    assert "Note: rows left out, as they repeat the key of an earlier row: 1\n" in insurer.out


def test_few_matches_explain_themselves(both, parties, files):
    files["insurer"].write_text("member_id,born,claims\n11010519491231003X,1970-01-01,1\n", "utf-8")
    _, insurer = both()
    assert insurer.json["matched"] == 0
    assert insurer.json["receipt"]["notes"]
    assert pd.read_csv(parties["insurer"].parent / "out.csv").columns.tolist() == ["member_id", "born", "claims"]


def test_sides_that_disagree_both_fail_and_write_nothing(both, parties, files):
    hospital, insurer = both(insurer={"on": "member_id:cn_id"})
    assert (hospital.code, insurer.code) == (1, 1)
    assert hospital.json["error"] == insurer.json["error"] == "MismatchError"
    assert "kinds" in hospital.last_line
    assert "kinds" in insurer.last_line
    assert not list(parties["hospital"].parent.parent.glob("**/*out*"))


def test_duplicates_are_refused_unless_asked_for(both, parties, files):
    hospital, insurer = both(duplicates="error")
    assert insurer.json["error"] == "InputError"
    assert "first" in insurer.last_line
    assert hospital.json["error"] == "PeerAborted"
    assert not list(parties["hospital"].parent.parent.glob("**/*out*"))


@pytest.mark.parametrize(
    ("number", "says"), [(signal.SIGKILL, "connection to insurer"), (signal.SIGTERM, "insurer left .* Terminated")]
)
def test_a_peer_that_is_killed(start, parties, tmp_path, number, says):
    table = tmp_path / "many.csv"
    table.write_text("id\n" + "".join(f"{i}\n" for i in range(100_000)))
    out = parties["hospital"].parent / "out.csv"
    out.write_text("what was there before")
    changes = {"on": "id:integer"}
    slow = ("--protocol", "ecdh")
    # so slow that it is under way when the signal comes, however late that is
    hospital = start(*arguments(parties, "hospital", table, **changes), *slow, "--json", FUSION_KERNEL="portable")
    insurer = start(*arguments(parties, "insurer", table, **changes), *slow, FUSION_KERNEL="portable")
    insurer.until("exchanging masks")
    insurer.send_signal(number)
    ran = hospital.finish()
    assert ran.code == 1
    assert ran.json["error"] in ("TransportError", "PeerAborted")
    assert re.search(says, ran.last_line)
    assert out.read_text() == "what was there before"
    assert sorted(path.name for path in out.parent.iterdir()) == ["key.pem", "out.csv", "party.toml"]


def test_ctrl_c_while_waiting(start, parties, files):
    insurer = start(*arguments(parties, "insurer", files["insurer"]))
    insurer.until("waiting for hospital")
    insurer.send_signal(signal.SIGINT)
    ran = insurer.finish()
    assert ran.code == 130
    assert ran.last_line == "interrupted"
