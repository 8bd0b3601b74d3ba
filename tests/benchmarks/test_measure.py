"""Sizes, medians and turns."""

from __future__ import annotations

import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import BenchmarkError, measure
from benchmarks.measure import merge_medians, rounded, sizes, summarise, take_turns


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1", [1]),
        ("65536", [65536]),
        ("2^16", [65536]),
        ("2**16", [65536]),
        ("1e6", [10**6]),
        (" 2^10 , 3e2,7 ", [1024, 300, 7]),
        ("2^36", [1 << 36]),
    ],
)
def test_sizes(text: str, expected: list[int]) -> None:
    assert sizes(text) == expected


@pytest.mark.parametrize(
    "text", ["", "0", "-1", "1.5", "2^", "^2", "2^2^2", "2^37", "9^99", "9" * 5000, "1_000", "٣", "0x10", "1,,2", "n"]
)
def test_no_sizes(text: str) -> None:
    with pytest.raises(BenchmarkError) as caught:
        sizes(text)
    assert "\n" not in str(caught.value)


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=20))
def test_a_summary_lies_within_its_spread(values: list[float]) -> None:
    summary = summarise(values)
    assert summary.low == min(values)
    assert summary.high == max(values)
    assert summary.low <= summary.median <= summary.high
    assert summary.median == statistics.median(values)


def test_nothing_measured_is_a_fault_of_ours() -> None:
    with pytest.raises(ValueError, match="nothing"):
        summarise([])


def test_spread_is_rounded_and_ordered() -> None:
    assert summarise([0.123456, 98765.4, 3.0]).spread == [0.1235, 98770.0]


def test_rounded_keeps_four_digits() -> None:
    assert [rounded(value) for value in (0.0, 1.23456e-7, 123456.0)] == [0.0, 1.235e-7, 123500.0]


def test_medians_by_name_count_what_is_missing_as_nothing() -> None:
    runs = [{"a": 1.0, "b": 5.0}, {"a": 3.0}, {"a": 2.0, "c": 1.0}]
    assert merge_medians(runs) == {"a": 2.0, "b": 0.0, "c": 0.0}


def test_contenders_take_turns() -> None:
    order: list[str] = []

    def contender(name: str) -> int:
        order.append(name)
        return len(order)

    results = take_turns({"x": lambda: contender("x"), "y": lambda: contender("y")}, 3)
    assert order == ["x", "y"] * 3
    assert results == {"x": [1, 3, 5], "y": [2, 4, 6]}


def test_who_takes_long_gets_no_further_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    # a clock that shows how often the slow one has run
    monkeypatch.setattr(measure.time, "monotonic", lambda: 5.0 * order.count("slow"))

    results = take_turns({"slow": lambda: order.append("slow"), "quick": lambda: order.append("quick")}, 3, patience=4)
    assert order == ["slow", "quick", "quick", "quick"]
    assert {name: len(runs) for name, runs in results.items()} == {"slow": 1, "quick": 3}
