"""Signed digits against centred residues; what a packing permits and what it notices."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reference import paillier as twin

from fusion.crypto import packing
from fusion.crypto.packing import Packing
from fusion.errors import InputError, PeerError


def rows(values: list[list[int]]) -> np.ndarray:
    return np.array(values, dtype=np.int64)


@st.composite
def tables(draw: st.DrawFn, width: int) -> np.ndarray:
    n, k = draw(st.integers(0, 4)), draw(st.integers(1, 5))
    top = 2 ** (min(width, 64) - 1)
    value = st.one_of(st.integers(-top, top - 1), st.sampled_from([-top, top - 1, 0, -1]))
    return np.array(
        draw(st.lists(st.lists(value, min_size=k, max_size=k), min_size=n, max_size=n)), dtype=np.int64
    ).reshape(n, k)


@given(st.data(), st.integers(1, 200))
def test_digits_are_those_of_the_definition(data: st.DataObject, width: int) -> None:
    values = data.draw(tables(width))
    joined = packing.join(values, width)
    assert joined == [sum(v << (width * j) for j, v in enumerate(row)) for row in values.tolist()]
    assert [twin.digits(number, width, values.shape[1]) for number in joined] == values.tolist()
    read = packing.split(joined, width, values.shape[1])
    assert read.dtype == (np.int64 if width <= 64 else object)
    assert read.tolist() == values.tolist()


@given(st.data(), st.integers(1, 300), st.integers(1, 5))
def test_every_number_in_range_has_digits(data: st.DataObject, width: int, k: int) -> None:
    number = data.draw(st.integers(-(2 ** (width * k)), 2 ** (width * k)))
    try:
        expected = twin.digits(number, width, k)
    except AssertionError:
        with pytest.raises(PeerError, match="number 1 has more than"):
            packing.split([0, number], width, k)
    else:
        assert packing.split([number], width, k).tolist() == [expected]


def test_tables_larger_than_the_workspace(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(1).integers(-(2**20), 2**20, (50, 3))
    monkeypatch.setattr(packing, "_WORKSPACE", 1000)
    for width in (21, 80):
        assert packing.split(packing.join(values, width), width, 3).tolist() == values.tolist()


@given(st.data(), st.integers(1, 2**63 - 1), st.integers(1, 2**70), st.integers(1, 4))
def test_sums_within_the_bounds_are_exact(data: st.DataObject, bound: int, terms: int, k: int) -> None:
    pack = Packing(bound, terms, k)
    row = st.lists(st.one_of(st.integers(-bound, bound), st.sampled_from([-bound, bound])), min_size=k, max_size=k)
    values = data.draw(st.lists(row, min_size=1, max_size=4))
    plaintexts = pack.pack(rows(values))
    share = terms // len(values)
    weights = [data.draw(st.one_of(st.integers(-share, share), st.just(share))) for _ in values]
    total = sum(w * p for w, p in zip(weights, plaintexts, strict=True))
    assert abs(total) < 2 ** (pack.bits - 1)
    counters, read = pack.unpack([total], weight=sum(map(abs, weights)))
    assert counters.tolist() == [sum(weights)]
    assert read.tolist() == [[sum(w * row[j] for w, row in zip(weights, values, strict=True)) for j in range(k)]]
    positive = sum(abs(w) * p for w, p in zip(weights, plaintexts, strict=True))
    assert pack.unpack([positive])[0].tolist() == [sum(map(abs, weights))]


def test_nothing_added_is_nothing() -> None:
    counters, values = Packing(5, 3, 2).unpack([0])
    assert counters.tolist() == [0]
    assert values.tolist() == [[0, 0]]
    counters, values = Packing(5, 3, 2).unpack([])
    assert counters.shape == (0,)
    assert values.shape == (0, 2)


def test_more_terms_than_declared_are_noticed() -> None:
    pack = Packing(5, 3, 2)
    one = pack.pack(rows([[1, 1]]))[0]
    assert pack.unpack([3 * one])[0].tolist() == [3]
    with pytest.raises(PeerError, match="row 1 counts more terms"):
        pack.unpack([one, 4 * one])
    with pytest.raises(PeerError, match="row 0 counts more terms"):
        pack.unpack([-one])
    with pytest.raises(PeerError, match="row 0 counts more terms"):
        pack.unpack([-3 * one], weight=2)
    assert pack.unpack([-3 * one], weight=3)[1].tolist() == [[-3, -3]]


@pytest.mark.parametrize("excess", [1, -1])
def test_a_value_beyond_the_bound_is_noticed(excess: int) -> None:
    """A dishonest row: bound + 1 under a counter of 1, among honest rows, and less an honest row."""
    pack = Packing(100, 10, 3)
    cheat = 1 + ((100 * excess + excess) << (2 * pack.width))
    with pytest.raises(PeerError, match="row 0, column 1 exceeds its bound"):
        pack.unpack([cheat])
    full = pack.pack(rows([[0, 100 * excess, 0]]))[0]
    with pytest.raises(PeerError, match="row 0, column 1 exceeds its bound"):
        pack.unpack([cheat + 9 * full])
    with pytest.raises(PeerError, match="row 0, column 1 exceeds its bound"):
        pack.unpack([cheat - full], weight=0)


def test_a_broken_guard_is_noticed() -> None:
    """A sum as large as the guard bit, and one beyond the last digit."""
    pack = Packing(100, 10, 3)
    with pytest.raises(PeerError, match="column 2 exceeds its bound"):
        pack.unpack([1 + (1 << (pack.width * 4 - 2))])
    with pytest.raises(PeerError, match="number 0 has more than 4 digits"):
        pack.unpack([1 + (1 << (pack.width * 4))])


def test_capacity_fits_the_plaintext_space_and_no_more_would() -> None:
    for bound, terms, bits in [(2**15, 1000, 3072), (1, 1, 128), (2**63 - 1, 2**20, 3072), (2**31, 2**20, 2048)]:
        k = Packing.capacity(bound, terms, bits)
        assert k >= 1
        assert Packing(bound, terms, k).bits <= bits - 2 < Packing(bound, terms, k + 1).bits
    assert Packing.capacity(2**15, 1000, 3072) == 112
    assert Packing.capacity(2**62, 2**62, 128) == 0


def test_errors_name_the_place_and_not_the_value() -> None:
    pack = Packing(100, 10, 2)
    with pytest.raises(InputError, match="row 1, column 0") as caught:
        pack.pack(rows([[0, 0], [-123456, 0]]))
    assert "123456" not in str(caught.value)
    for lowest in (-(2**63), 2**63 - 1):
        with pytest.raises(InputError, match="row 0, column 1"):
            pack.pack(rows([[0, lowest]]))


@pytest.mark.parametrize(
    "call",
    [
        lambda: Packing(0, 1, 1),
        lambda: Packing(1, 0, 1),
        lambda: Packing(1, 1, 0),
        lambda: Packing(2**63, 1, 1),
        lambda: Packing(1, True, 1),
        lambda: Packing(5, 5, 2).pack(rows([[1, 2, 3]])),
        lambda: Packing(5, 5, 2).pack(np.zeros((1, 2))),
        lambda: Packing(5, 5, 2).pack(np.zeros(2, dtype=np.int64)),
        lambda: Packing(5, 5, 2).unpack([0], weight=6),
        lambda: Packing(5, 5, 2).unpack([0], weight=-1),
        lambda: packing.join(rows([[4]]), 3),
        lambda: packing.join(rows([[-5]]), 3),
        lambda: packing.join(rows([[1]]), 0),
        lambda: packing.split([1], 3, 0),
        lambda: packing.join(np.zeros((3, 0), dtype=np.int64), 3),
    ],
)
def test_what_cannot_be_is_refused(call: object) -> None:
    with pytest.raises(InputError):
        call()  # type: ignore[operator]
