"""Encrypted arrays against numpy, under every scheme."""

from __future__ import annotations

import operator

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fusion import InputError
from fusion.aggregation import EncryptedArray, paillier

from .keypairs import SCHEMES, SLOTS, pair

EXAMPLES = {"cleartext": 60, "paillier": 25, "elgamal": 25, "ckks": 8, "lattice": 25}
LIMITS = {"bound": 1000, "terms": 500}

whole_numbers = st.integers(-1000, 1000)
weights = st.integers(-12, 12)


def wrong(plain, encrypted, private):
    """What numpy has and the decryption has not."""
    decrypted = private.decrypt(encrypted)
    assert decrypted.shape == encrypted.shape == plain.shape
    assert decrypted.dtype == plain.dtype
    return np.argwhere(decrypted != plain).tolist()


def draw_table(data, rows, columns):
    shape = (rows,) if columns is None else (rows, columns)
    size = rows * (columns or 1)
    return np.array(data.draw(st.lists(whole_numbers, min_size=size, max_size=size)), np.int64).reshape(shape)


def step(data, plain, encrypted, public):
    """One operation on both; the weight it must end with, or None."""
    names = ["negate", "scale", "add", "subtract"]
    if public.scheme != "lattice" or encrypted.fresh:  # what was computed is only decrypted after that
        names.append("travel")
    if plain.ndim and encrypted._rows is not None:
        names += ["weight", "matrix", "vector", "take", "slice", "mask", "one", "sum", "group"]
    name = data.draw(st.sampled_from(names))
    rows = 0 if encrypted._rows is None else len(plain)

    def some(least, most, size):
        return np.array(data.draw(st.lists(st.integers(least, most), min_size=size, max_size=size)), np.int64)

    if name == "negate":
        return -plain, lambda: -encrypted, 1
    if name == "scale":
        factor = data.draw(weights)
        return plain * factor, lambda: factor * encrypted, abs(factor)
    if name in ("add", "subtract"):
        sign = 1 if name == "add" else -1
        return plain + sign * plain, lambda: encrypted + encrypted if sign > 0 else encrypted - encrypted, 2
    if name == "travel":
        return plain, lambda: EncryptedArray.from_bytes(encrypted.to_bytes(), public), 1
    if name == "weight":
        each = some(-12, 12, rows).reshape((-1,) + (1,) * (plain.ndim - 1))
        return plain * each, lambda: encrypted * each, int(np.abs(each).max(initial=0))
    if name == "matrix":
        matrix = some(-3, 3, 2 * rows).reshape(2, rows)
        return matrix @ plain, lambda: matrix @ encrypted, int(np.abs(matrix).sum(axis=1).max(initial=0))
    if name == "vector":
        vector = some(-3, 3, rows)
        return np.asarray(vector @ plain), lambda: vector @ encrypted, int(np.abs(vector).sum())
    if name == "take" and rows:
        chosen = some(-rows, rows - 1, 3)
        return plain[chosen], lambda: encrypted[chosen], 1
    if name == "slice":
        cut = data.draw(st.slices(rows))
        return plain[cut], lambda: encrypted[cut], 1
    if name == "one" and rows:
        at = data.draw(st.integers(-rows, rows - 1))
        return np.asarray(plain[at]), lambda: encrypted[at], 1
    if name == "sum":
        return np.asarray(plain.sum(axis=0)), lambda: encrypted.sum(axis=0), rows
    if name == "group":
        codes = some(0, 3, rows)
        expected = np.zeros((5, *plain.shape[1:]), np.int64)
        np.add.at(expected, codes, plain)
        return expected, lambda: encrypted.groupby(codes, groups=5).sum(), int(np.bincount(codes).max(initial=0))
    mask = some(0, 1, rows).astype(bool)
    return plain[mask], lambda: encrypted[mask], 1


@pytest.mark.parametrize("scheme", SCHEMES)
def test_any_program_gives_what_numpy_gives(scheme):
    public, private = pair(scheme)

    @settings(max_examples=EXAMPLES[scheme], deadline=None, suppress_health_check=list(HealthCheck))
    @given(data=st.data(), rows=st.integers(0, 5), columns=st.sampled_from([None, 1, 3, SPILL]))
    def run(data, rows, columns):
        plain = draw_table(data, rows, columns)
        key = data.draw(st.sampled_from([public, private]))
        encrypted = key.encrypt(plain, **LIMITS)
        weight = 1
        for _ in range(data.draw(st.integers(0, 5))):
            plain_after, compute, factor = step(data, plain, encrypted, public)
            if weight * factor > LIMITS["terms"]:
                with pytest.raises(InputError, match="more than the declared terms, 500; encrypt with more terms"):
                    compute()
                continue
            plain, encrypted, weight = plain_after, compute(), weight * factor
            assert encrypted.weight == weight
            assert not encrypted.fresh
        assert wrong(plain, encrypted, private) == []
        assert wrong(plain, EncryptedArray.from_bytes(encrypted.to_bytes(), public), private) == []
        if encrypted._rows is not None:
            assert wrong(plain, encrypted.squeeze(), private) == []

    run()


SPILL = SLOTS  # under the short Paillier key such a row needs more than one ciphertext


def test_the_longest_rows_take_several_ciphertexts():
    public, _ = pair("paillier")
    assert public._scheme.body_bytes(public.encrypt(np.zeros((1, SPILL)), **LIMITS)._row, 1, squeezed=False) == (
        2 * 128,
    )


def test_extremes_at_the_full_number_of_terms(keys):
    public, private = keys
    plain = np.array([[1000, -1000, 0]] * 20)
    encrypted = public.encrypt(plain, bound=1000, terms=20)
    assert wrong(plain.sum(axis=0), encrypted.sum(axis=0), private) == []
    assert wrong(plain * 20, encrypted * 20, private) == []
    assert wrong(plain[:1] * -20, encrypted[:1] * -20, private) == []
    with pytest.raises(InputError, match="more than the declared terms, 20"):
        encrypted * 21
    more = public.encrypt(np.zeros((21, 1)), bound=1000, terms=20)
    for compute in (
        lambda: encrypted.sum(axis=0) + encrypted[0],
        lambda: more.sum(axis=0),
        lambda: more.groupby([0] * 21).sum(),
        lambda: np.ones(21, int) @ more,
    ):
        with pytest.raises(InputError, match="more than the declared terms, 20"):
            compute()


def test_empty_arrays_and_empty_groups(keys):
    public, private = keys
    none = public.encrypt(np.zeros((0, 2), np.int64), **LIMITS)
    assert private.decrypt(none).shape == (0, 2)
    assert private.decrypt(EncryptedArray.from_bytes(none.to_bytes(), public)).shape == (0, 2)
    assert private.decrypt(none.sum(axis=0)).tolist() == [0, 0]
    assert private.decrypt(none.groupby(np.zeros(0, np.int64), groups=2).sum()).tolist() == [[0, 0], [0, 0]]
    assert private.decrypt(none.groupby(np.zeros(0, np.int64)).sum()).shape == (0, 2)
    assert private.decrypt(np.zeros((3, 0), np.int64) @ none).tolist() == [[0, 0]] * 3
    one = public.encrypt([5], **LIMITS)
    assert private.decrypt(one.groupby([2]).sum()).tolist() == [0, 0, 5]
    # an empty group is no open zero on its way: it is re-randomised like all others
    empty = EncryptedArray.from_bytes(one.groupby([0], groups=2).sum().to_bytes(), public)
    assert private.decrypt(empty).tolist() == [5, 0]
    assert private.decrypt(public.encrypt([], **LIMITS)).tolist() == []


def test_decimals_come_back_exactly(keys):
    public, private = keys
    plain = np.array([0.1, 0.2, -0.3, 1e-9, 2.675])
    encrypted = public.encrypt(plain, decimals=2, bound=20, terms=100)
    assert private.decrypt(encrypted).tolist() == [0.1, 0.2, -0.3, 0.0, 2.67]  # the float 2.675 is a little less
    assert private.decrypt(encrypted.sum()) == 2.67
    assert private.decrypt(encrypted * 3).tolist() == [0.3, 0.6, -0.9, 0.0, 8.01]


def test_a_long_vector_is_one_row(keys):
    public, private = keys
    columns = np.arange(12)
    packed, spread = public.encrypt(columns.reshape(1, -1), **LIMITS), public.encrypt(columns, **LIMITS)
    assert private.decrypt(packed + packed).tolist() == [(2 * columns).tolist()]
    if public.scheme not in ("cleartext", "lattice"):
        assert len(packed.to_bytes()) < len(spread.to_bytes())


def test_sums_beyond_64_bits_are_exact():
    for scheme in ("cleartext", "paillier"):
        public, private = pair(scheme)
        plain = np.array([2**62, 2**62, -(2**62)])
        encrypted = public.encrypt(plain, bound=2**62, terms=2**20)
        total = private.decrypt(2**18 * (encrypted[0] + encrypted[1]))
        assert total.item() == 2**81
        assert private.decrypt(encrypted).dtype == object
        fixed = public.encrypt(plain / 10**4, decimals=4, bound=2**49, terms=2**20)
        assert private.decrypt(fixed * 2**19).dtype == np.float64


def test_only_like_adds_up_with_like(keys):
    public, private = keys
    a = public.encrypt([1, 2], **LIMITS)
    other, _ = pair(public.scheme, 1)
    cleartext, _ = pair("cleartext", 2)
    for b, what in (
        (other.encrypt([1, 2], **LIMITS), "keys"),
        (public.encrypt([1, 2], bound=1000, terms=499), "terms"),
        (public.encrypt([1, 2], bound=999, terms=500), "bounds"),
        (public.encrypt([1, 2], decimals=1, bound=100, terms=500), "decimals"),
        (public.encrypt([[1], [2]], **LIMITS), "row widths"),
        (public.encrypt([1, 2, 3], **LIMITS), "numbers of rows"),
        (a.sum(), "numbers of rows"),
        (cleartext.encrypt([1, 2], **LIMITS), "schemes|keys"),
    ):
        for compute in (lambda b=b: a + b, lambda b=b: b - a):
            with pytest.raises(InputError, match=f"different ({what}); only like adds up with like"):
                compute()
    with pytest.raises(InputError, match="another key"):
        pair(public.scheme, 1)[1].decrypt(a)
    with pytest.raises(InputError, match="another key"):
        pair("cleartext", 2)[1].decrypt(a)
    assert private.decrypt(a).tolist() == [1, 2]


@pytest.mark.parametrize(
    "compute",
    [
        lambda a: a + 1,
        lambda a: 1 + a,
        lambda a: 1 - a,
        lambda a: a + np.array([1, 2, 3]),
        lambda a: np.array([1, 2, 3]) - a,
        lambda a: a * 0.5,
        lambda a: a * np.array([1.0, 2.0, 3.0]),
        lambda a: a * "2",
        lambda a: a * a,
        lambda a: a * [1, 2],
        lambda a: a * np.ones((3, 1), int),
        lambda a: np.eye(3) @ a,
        lambda a: np.ones((3, 2), int) @ a,
        lambda a: np.ones((1, 2, 3), int) @ a,
        lambda a: a * 2**80,
        lambda a: np.array([2**62, 2**62, 2**62]) @ a,
        lambda a: np.array([-(2**63), 0, 0]) @ a,
        lambda a: a[3],
        lambda a: a[-4],
        lambda a: a[[0, 3]],
        lambda a: a[[True, False]],
        lambda a: a[0, 0],
        lambda a: a[None],
        lambda a: a[0.5],
        lambda a: a[True],
        lambda a: a["x"],
        lambda a: a["x":],
        lambda a: a[0.5:],
        lambda a: a[::0],
        lambda a: a.sum(axis=1),
        lambda a: a.groupby([0, 1]),
        lambda a: a.groupby([0, 1, -1]),
        lambda a: a.groupby([0.0, 1.0, 2.0]),
        lambda a: a.groupby([0, 1, 2], groups=2),
        lambda a: a.groupby([0, 1, 2], groups=2**60),
        lambda a: a.groupby([0, 1, 2**40]),
        lambda a: a.sum()[0],
        lambda a: a.sum().sum(),
        lambda a: len(a.sum()),
        lambda a: a.sum() * [1],
        np.asarray,
    ],
)
def test_misuse_is_an_input_error(compute):
    public, private = pair("cleartext")
    encrypted = public.encrypt([1, 2, 3], **LIMITS)
    with pytest.raises(InputError):
        compute(encrypted)
    assert private.decrypt(encrypted).tolist() == [1, 2, 3]


def test_packed_rows_stay_together():
    public, _ = pair("cleartext")
    encrypted = public.encrypt([[1, 2], [3, 4]], **LIMITS)
    for compute in (encrypted.sum, lambda: encrypted * [1, 2], lambda: encrypted.sum(axis=1)):
        with pytest.raises(InputError):
            compute()


def test_arrays_are_not_looped_over():
    public, _ = pair("cleartext")
    with pytest.raises(TypeError):
        iter(public.encrypt([1], **LIMITS))
    with pytest.raises(TypeError):
        hash(public.encrypt([1], **LIMITS))


@pytest.mark.parametrize(
    ("values", "match"),
    [
        (np.zeros((2, 0)), "a row holds 1 to"),
        (np.zeros((1, 1, 1)), "not one of 3 dimensions"),
        (5, "not one of 0 dimensions"),
        ([[1], [2, 3]], "rows have different lengths"),
        (["a"], "holds no numbers"),
        ([None], "row 0, column 0 is missing or no number"),
        (pd.Series([1, None], dtype="Int64"), "row 1 is missing"),
    ],
)
def test_what_is_no_array_of_numbers(values, match):
    with pytest.raises(InputError, match=match):
        pair("cleartext")[0].encrypt(values)


@pytest.mark.parametrize(
    "dtype", ["int64", "int8", "float32", "bool", "Int64", "Float64", "boolean", "int64[pyarrow]", "double[pyarrow]"]
)
def test_pandas_columns_are_arrays(dtype):
    public, private = pair("cleartext")
    series = pd.Series([1, 0, 1], dtype=dtype)
    assert private.decrypt(public.encrypt(series)).tolist() == [1, 0, 1]
    assert private.decrypt(public.encrypt(pd.DataFrame({"x": series})))["x"].tolist() == [1, 0, 1]


@pytest.mark.parametrize(
    "limits", [{"terms": 0}, {"terms": 2**41}, {"terms": 1.5}, {"decimals": -1}, {"decimals": 19}, {"moments": 2}]
)
def test_limits_that_are_none(limits):
    with pytest.raises(InputError):
        pair("cleartext")[0].encrypt([1], **limits)


def test_a_scheme_says_what_it_can_hold():
    with pytest.raises(
        InputError, match='at most 2\\^40 for "elgamal"; with 1048576 terms declare a bound of at most 1048576,'
    ):
        pair("elgamal")[0].encrypt([1])
    with pytest.raises(InputError, match="need a key of as many slots, this one has 30"):
        pair("elgamal")[0].encrypt(np.zeros((1, 31)), **LIMITS)
    with pytest.raises(InputError, match="does not fit a key of 128 bits; declare less"):
        paillier.insecure_generate(128)[0].encrypt([1], bound=2**62, terms=2**40)


def test_what_travels_is_fresh(keys):
    public, private = keys
    encrypted = public.encrypt([1, 2, 3], **LIMITS)
    assert encrypted.fresh
    assert encrypted.to_bytes() == encrypted.to_bytes()
    for derived in (encrypted[:], encrypted + encrypted, -encrypted, encrypted * 1, encrypted.groupby([0, 1, 2]).sum()):
        assert not derived.fresh
        one, other = derived.to_bytes(), derived.to_bytes(full=public.scheme not in ("ckks", "lattice"))
        size = len(one) // 3
        assert one[-size:] != other[-size:]
        assert wrong(private.decrypt(derived), EncryptedArray.from_bytes(one, public), private) == []
        assert wrong(private.decrypt(derived), EncryptedArray.from_bytes(other, public), private) == []
    if public.scheme in ("ckks", "lattice"):
        with pytest.raises(InputError, match=r"take another scheme|take \"elgamal\" or"):
            (encrypted + encrypted).to_bytes(full=True)
    received = EncryptedArray.from_bytes(encrypted.to_bytes(), public)
    assert not received.fresh
    assert received.to_bytes() != encrypted.to_bytes()


def test_two_encryptions_differ(keys):
    public, _ = keys
    for key in keys:
        assert key.encrypt([7, 7], **LIMITS).to_bytes() != key.encrypt([7, 7], **LIMITS).to_bytes()
    body = public.encrypt([7, 7], **LIMITS).to_bytes()[:-32]
    size = 24 if public.scheme == "cleartext" else 64
    assert body[-size:] != body[-2 * size : -size]


def test_squeezed_rows(keys):
    public, private = keys
    plain = np.arange(-6, 7)
    encrypted = public.encrypt(plain, **LIMITS)
    squeezed = encrypted.squeeze()
    assert wrong(plain, squeezed, private) == []
    if public.scheme != "paillier":
        assert squeezed is encrypted
        return
    assert len(squeezed.to_bytes()) < len(encrypted.to_bytes()) / 3
    received = EncryptedArray.from_bytes(squeezed.to_bytes(full=True), public)
    for computed, expected in (
        (received + squeezed, plain * 2),
        (squeezed * -500, plain * -500),
        (squeezed - received, plain * 0),
    ):
        assert wrong(expected, computed, private) == []
    for compute in (
        lambda: squeezed[0],
        squeezed.sum,
        lambda: squeezed * plain,
        lambda: squeezed.groupby(np.abs(plain)),
        lambda: np.eye(13, dtype=int) @ squeezed,
        squeezed.squeeze,
        lambda: squeezed + encrypted,
    ):
        with pytest.raises(InputError):
            compute()


def test_printing_shows_what_is_declared(keys):
    public, _ = keys
    encrypted = public.encrypt([[1.5, 2]], decimals=1, bound=9.5, terms=40)
    assert repr(encrypted) == f"EncryptedArray({public.scheme}, shape=(1, 2), decimals=1, bound=9.5, terms=40)"
    assert repr(encrypted.groupby([0])) == f"Groups({encrypted!r}, groups=1)"
    assert (encrypted.bound, encrypted.terms, encrypted.key_id) == (9.5, 40, public.key_id)


def test_nobody_compares_what_is_encrypted(keys):
    public, _ = keys
    array = public.encrypt([1, 2], **LIMITS)
    frame = public.encrypt(pd.DataFrame({"x": [1, 2]}), **LIMITS)
    for thing in (array, array.sum(), frame, frame.groupby(np.array([0, 0])).agg(["sum"])):
        for other in (thing, 1, np.array([1, 2]), None):
            for compare in (operator.eq, operator.ne, operator.lt, operator.ge):
                with pytest.raises(InputError, match="cannot be compared; decrypt results first"):
                    compare(thing, other)
    with pytest.raises(InputError, match="cannot be compared"):
        pd.Series([1, 2]) == array  # noqa: B015


def test_masked_values_are_missing_ones():
    public, private = pair("cleartext")
    with pytest.raises(InputError, match="masked values"):
        public.encrypt(np.ma.array([1, 99], mask=[False, True]))
    assert private.decrypt(public.encrypt(np.ma.array([1, 99]))).tolist() == [1, 99]


def test_series_and_frames_leave_operators_to_the_array():
    public, private = pair("cleartext")
    encrypted = public.encrypt([1, 2, 3], **LIMITS)
    assert private.decrypt(pd.Series([3, 0, -1]) * encrypted).tolist() == [3, 0, -3]
    for wrong_way in (lambda: encrypted @ np.ones(3, int), lambda: encrypted @ encrypted):
        with pytest.raises(InputError, match="before the encrypted array"):
            wrong_way()
    with pytest.raises(InputError, match="weight it by numpy arrays"):
        encrypted * encrypted


def test_only_a_public_key_reads():
    public, private = pair("elgamal")
    data = public.encrypt([1], **LIMITS).to_bytes()
    for key in (private, public.to_bytes(), None):
        with pytest.raises(InputError, match=r"private\.public"):
            EncryptedArray.from_bytes(data, key)
