"""What a party holds, on its way between processes and beside its twin."""

from __future__ import annotations

import math
import stat

import msgspec
import pandas as pd
import pytest

import fusion
from fusion.channel import Receipt
from fusion.errors import InputError
from fusion.report import Step, learned, receipts, taught, traffic
from fusion.scenarios.outcome import Comparison, Outcome, agree, compare


@pytest.fixture(scope="module")
def outcomes() -> dict[str, Outcome]:
    """Three parties who add up, two of whom meet."""
    table = pd.DataFrame({"id": [1, 2, 3]})

    def role(party):
        def play(group):
            outcome = Outcome({"total": 1.0})
            fusion.aggregation.secure_sum(group, [1], bound=10)
            outcome.step("add up", group)
            other = {"a": "b", "b": "a"}.get(party)
            if other:
                fusion.psi.intersect(group[other], table, on=["id"])
                outcome.step("meet", group[other])
            return outcome

        return play

    return fusion.simulate(**{party: role(party) for party in "abc"})


def test_an_outcome_survives_the_way_between_processes(outcomes, tmp_path):
    one = Outcome({"D2": 0.1 + 0.2, "members": 3392}, steps=outcomes["a"].steps)
    one.tables["coefficients: visits/../x"] = pd.DataFrame(
        {"coef": [0.5, math.nan], "of": ["yes", None]}, index=["age", "sex[male]"]
    )
    one.tables["bands"] = pd.DataFrame({"n": [1, 2]}, index=pd.RangeIndex(1, 3, name="band"))
    one.write(tmp_path / "out")
    again = Outcome.read(tmp_path / "out")
    assert again.figures == one.figures
    assert again.steps == one.steps
    assert list(again.tables) == list(one.tables)
    for name, table in one.tables.items():
        pd.testing.assert_frame_equal(again.tables[name], table, check_dtype=False)
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == 0o700
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["0.parquet", "1.parquet", "outcome.json"]


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_figure_that_is_no_number_does_not_leave(tmp_path, value):
    with pytest.raises(InputError, match="no finite number"):
        Outcome({"D2": value}).write(tmp_path / "out")


def test_another_content_is_refused(tmp_path):
    Outcome({"D2": 1.0}).write(tmp_path / "out")
    (tmp_path / "out" / "outcome.json").write_text('{"figures": {}, "tables": [], "steps": [], "more": 1}')
    with pytest.raises(msgspec.ValidationError):
        Outcome.read(tmp_path / "out")


def figures(**values: float) -> dict[str, Outcome]:
    return {"a": Outcome(dict(values))}


@pytest.mark.parametrize(
    ("value", "cleartext", "tolerance", "agrees"),
    [
        (1.0, 1.0, 0.0, True),
        (1.0, 1.0 + 1e-9, 0.0, False),
        (1.0, 1.05, 0.1, True),
        (1.0, 1.2, 0.1, False),
        (math.nan, 1.0, 0.1, False),
        (math.nan, math.nan, 0.1, False),
        (math.inf, math.inf, 0.1, False),
    ],
)
def test_figures_agree_within_their_tolerance(value, cleartext, tolerance, agrees):
    (one,) = compare(figures(x=value), figures(x=cleartext), {"x": tolerance})
    assert one.agrees is agrees
    assert agree([one]) is agrees


def test_what_only_one_of_the_two_has_does_not_agree():
    for ours, clear in ((figures(x=1.0), {}), ({}, figures(x=1.0)), (figures(x=1.0), figures())):
        (one,) = compare(ours, clear, {})
        assert not one.agrees
    assert not agree([])


def tables(*rows: float, index: tuple[str, ...] = ("age", "sex")) -> dict[str, Outcome]:
    frame = pd.DataFrame({"coef": rows, "of": "yes"}, index=index)
    return {"a": Outcome(tables={"t": frame, "free": frame * 2})}


def test_tables_are_compared_number_by_number():
    assert compare(tables(1.0, 2.0), tables(1.0, 2.3), {}) == []  # no tolerance, no comparison
    (one,) = compare(tables(1.0, 2.0), tables(1.0, 2.3), {"t": 0.1})
    assert one == Comparison("a", "t, coef of sex", 2.0, 2.3, 0.1)
    assert not one.agrees
    assert compare(tables(1.0, 2.0), tables(1.05, 2.0), {"t": 0.1})[0].agrees


def test_tables_of_another_shape_do_not_agree():
    mine = tables(1.0, 2.0)
    for other in (
        tables(1.0, 2.0, index=("sex", "age")),
        tables(1.0, index=("age",)),
        tables(1.0, math.nan),
        {"a": Outcome()},
        {},
    ):
        for ours, clear in ((mine, other), (other, mine)):
            (one,) = compare(ours, clear, {"t": 1e9})
            assert not one.agrees


def test_a_group_gives_a_receipt_for_each_channel(outcomes):
    assert [step.name for step in outcomes["a"].steps] == ["add up", "add up", "meet"]
    assert {step.receipt.parties[1] for step in outcomes["c"].steps} == {"a", "b"}
    assert all(isinstance(step.receipt, Receipt) for step in outcomes["a"].steps)


def test_sections_made_of_receipts(outcomes):
    steps = {party: outcome.steps for party, outcome in outcomes.items()}
    section = traffic(steps)
    frame = section.parts[1].frame
    # every session once, with a line for either party: three pairs that add up, one that meets
    assert list(frame["step"]) == ["add up", "", "add up", "", "meet", "", "add up", ""]
    assert list(frame["party"]) == ["a", "b", "a", "c", "a", "b", "b", "c"]
    total = sum(step.receipt.bytes_sent for own in steps.values() for step in own)
    assert frame["bytes sent"].sum() == total
    assert f"{total:,} bytes" in section.parts[0]
    assert "which of its own keys" in str(taught("a", steps["a"]))
    tables = learned(steps).parts[1:]
    assert [table.title for table in tables] == ["a", "b", "c"]
    assert tables[2].frame["step"].iloc[0] == "add up"
    every = receipts(steps).parts[1:]
    assert [table.title for table in every][:3] == ["a: add up", "a: add up", "a: meet"]
    for table, step in zip(every, [step for own in steps.values() for step in own], strict=True):
        assert step.receipt.transcript in list(table.frame["value"])
        assert table.collapsed


def test_steps_that_teach_alike_stand_together(outcomes):
    meet = outcomes["a"].steps[-1]
    again = Step("meet again", meet.receipt)
    assert [names for names, _ in taught("a", [meet, again, meet])] == ["meet, meet again"]
