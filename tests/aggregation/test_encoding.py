"""Fixed point against exact fractions."""

from __future__ import annotations

import decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from fusion import InputError
from fusion.aggregation.encoding import MAX_LIMIT, Row, decode, encode, scaled_limit


def table(*values, dtype=None):
    return np.array(values, dtype=dtype).reshape(-1, 1)


@given(decimals=st.integers(1, 18), data=st.data())
def test_floats_are_rounded_once_from_the_exact_product(decimals, data):
    most = MAX_LIMIT / 10**decimals
    values = data.draw(st.lists(st.floats(-most, most), min_size=1, max_size=20))
    exact = [round(Fraction(value) * 10**decimals) for value in values]
    assume(all(abs(value * 10.0**decimals) < 2.0**63 for value in values))  # `most` itself may be rounded to 2^63
    assert encode(table(*values), decimals, MAX_LIMIT).ravel().tolist() == exact


@given(decimals=st.integers(1, 18), odd=st.integers(0, 2**61), sign=st.sampled_from([-1, 1]), step=st.integers(-2, 2))
def test_halves_and_their_neighbours(decimals, odd, sign, step):
    value = float(Fraction(sign * (2 * odd + 1), 2 * 10**decimals))
    for _ in range(abs(step)):
        value = float(np.nextafter(value, np.inf if step > 0 else -np.inf))
    assume(abs(Fraction(value)) * 10**decimals < MAX_LIMIT)
    expected = round(Fraction(value) * 10**decimals)
    assert encode(table(value), decimals, MAX_LIMIT).item() == expected
    # the same rounding as the decimal module's, by another path
    context = decimal.Context(prec=60, rounding=decimal.ROUND_HALF_EVEN)
    assert expected == int(
        decimal.Decimal(value).scaleb(decimals, context).quantize(decimal.Decimal(1), context=context)
    )


def test_rounding_by_hand():
    assert encode(table(2.675, 0.125, 0.375, -0.125, -0.0), 2, 1000).ravel().tolist() == [267, 12, 38, -12, 0]


@given(numbers=st.lists(st.integers(-MAX_LIMIT, MAX_LIMIT), max_size=10), decimals=st.integers(0, 18))
def test_decoding_gives_the_nearest_float(numbers, decimals):
    decoded = decode(np.array(numbers, np.int64), decimals)
    expected = numbers if decimals == 0 else [number / 10**decimals for number in numbers]
    assert decoded.tolist() == expected
    assert decoded.dtype == (np.int64 if decimals == 0 else np.float64)


def test_decoding_beyond_64_bits():
    numbers = np.array([2**70 + 1, -(2**90)], object)
    assert decode(numbers, 0).tolist() == [2**70 + 1, -(2**90)]
    assert decode(numbers, 3).tolist() == [(2**70 + 1) / 1000, -(2**90) / 1000]


@pytest.mark.parametrize("dtype", [np.bool_, np.int8, np.uint8, np.int32, np.uint64, np.float16, np.float32, object])
def test_every_type_of_number(dtype):
    assert encode(table(1, 0, 1, dtype=dtype), 3, 10**6).ravel().tolist() == [1000, 0, 1000]


def test_extremes_of_integer_types_do_not_wrap():
    for value, dtype in ((2**64 - 1, np.uint64), (-(2**63), np.int64), (2**63, object), (-128, np.int8)):
        with pytest.raises(InputError, match=r"row 0, column 0 is beyond the declared bound"):
            encode(table(value, dtype=dtype), 0, 127)
    assert encode(table(-(2**63) + 1, 2**63 - 1), 0, MAX_LIMIT).ravel().tolist() == [-(2**63) + 1, 2**63 - 1]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (np.nan, "is missing or infinite"),
        (np.inf, "is missing or infinite"),
        (-np.inf, "is missing or infinite"),
        (101.0, "is beyond the declared bound"),
        (-1e300, "is beyond the declared bound"),
        (0.5, "is no whole number; declare decimals"),
    ],
)
def test_refusals_name_the_place_and_no_value(value, reason):
    values = np.zeros((4, 3))
    values[2, 1] = value
    with pytest.raises(InputError, match=f"^the value in row 2, column 1 {reason}") as refused:
        encode(values, 0, 100)
    assert not np.isfinite(value) or str(value) not in str(refused.value)
    with pytest.raises(InputError, match=r"^the value in row 2, column height "):
        encode(values, 0, 100, "height")


@pytest.mark.parametrize("bad", [None, "7", 1 + 2j, decimal.Decimal("NaN")])
def test_objects_that_are_no_numbers(bad):
    with pytest.raises(InputError, match=r"row 1, column 0 is missing or no number"):
        encode(table(3, bad, dtype=object), 0, 100)


@pytest.mark.parametrize("dtype", ["U3", "M8[s]", np.complex128, np.longdouble])
def test_types_that_are_no_numbers(dtype):
    with pytest.raises(InputError, match="holds no numbers"):
        encode(np.zeros((1, 1), dtype), 0, 100)


@pytest.mark.parametrize(
    ("bound", "decimals", "limit"), [(1, 0, 1), (0.05, 1, 1), (1.5, 1, 15), (2**40, 3, 1000 << 40)]
)
def test_bounds_are_rounded_up(bound, decimals, limit):
    assert scaled_limit(bound, decimals) == limit


@given(bound=st.floats(1e-6, 1e6), share=st.floats(-1, 1), decimals=st.integers(0, 6))
def test_nothing_within_the_bound_is_refused(bound, share, decimals):
    value = bound * share if decimals else float(int(bound * share))
    encode(table(value), decimals, scaled_limit(bound, decimals))


@pytest.mark.parametrize("bound", [0, -1, np.nan, np.inf, "1", None, True, 1j])
def test_bounds_that_are_none(bound):
    with pytest.raises(InputError, match="bound must be a number above zero"):
        scaled_limit(bound, 0)


def test_bounds_beyond_64_bits():
    with pytest.raises(InputError, match="fewer decimals or a smaller bound"):
        scaled_limit(10, 18)


def test_a_row_says_what_its_sums_may_be():
    row = Row(3, (1, 5, 2), 2**10)
    assert row.sums(7).tolist() == [7, 35, 14]
    assert Row(2, (4,), 8).sums(8).tolist() == [32, 32]
    assert row.dtype is np.int64
    assert Row(1, (2**40,), 2**24).dtype is object


def test_bounds_beyond_floats_are_refused():
    with pytest.raises(InputError, match="smaller bound"):
        scaled_limit(10**400, 0)
    with pytest.raises(InputError, match="not so large"):
        scaled_limit(Fraction(10**400), 0)
    with pytest.raises(InputError, match="above zero"):
        scaled_limit(Fraction(-1, 3), 0)


def test_numbers_beyond_floats_are_refused():
    with pytest.raises(InputError, match="beyond every bound"):
        encode(table(10**400, 0.5, dtype=object), 1, MAX_LIMIT)


@pytest.mark.parametrize("long", [2**53 + 1, -(2**53) - 1])
def test_whole_numbers_among_fractions_are_not_rounded(long):
    with pytest.raises(InputError, match="row 1, column 0 is a whole number too long"):
        encode(table(0.5, long, dtype=object), 1, MAX_LIMIT)
    assert encode(table(0.5, 2**53, dtype=object), 1, MAX_LIMIT).ravel().tolist() == [5, 10 * 2**53]
