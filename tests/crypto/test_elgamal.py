"""ElGamal: sums of encrypted integers are sums of integers; every variant equals the plain twin bit for bit."""

from __future__ import annotations

import copy
import pickle
import random
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import elgamal as twin
from reference import ristretto255 as curve

from fusion import kernels
from fusion.crypto import elgamal
from fusion.crypto.elgamal import Ciphertexts, PrivateKey, PublicKey
from fusion.errors import InputError, PeerError

BOUND = 2**24
KEY = elgamal.generate(3, random.Random(1).randbytes)
VARIANTS = st.sampled_from(kernels.variants("elgamal"))


def integers(seed: int, n: int, slots: int = 3, size: int = 1000) -> np.ndarray:
    return np.random.default_rng(seed).integers(-size, size + 1, (n, slots))


def same(a: Ciphertexts, b: Ciphertexts) -> bool:
    return (encode(a) == encode(b)).all()


def encode(a: Ciphertexts) -> np.ndarray:
    """Trivial rows, too."""
    return elgamal.ristretto.encode(a._points)


# --- against the plain twin ---


@pytest.fixture(params=kernels.variants("elgamal"))
def variant(request: pytest.FixtureRequest) -> str:
    """Every variant of this kernel, which are not those of the curve."""
    return str(request.param)


def test_bits_equal_the_twin(variant):
    source = random.Random(5)
    secrets = twin.scalars(2, source.randbytes)
    values = [[0, 1], [-1, 2**63 - 1], [-(2**63), 12345], [7, -8]]
    rs = twin.scalars(len(values), source.randbytes)
    rows = [twin.encrypt(twin.public(secrets), row, r) for row, r in zip(values, rs, strict=True)]

    source = random.Random(5)
    key = elgamal.generate(2, source.randbytes)
    assert key.to_bytes() == b"".join(y.to_bytes(32, "little") for y in secrets)
    assert key.public.to_bytes() == b"".join(curve.encode(p) for p in twin.public(secrets))
    got = key.public.encrypt(np.array(values), source=source.randbytes, variant=variant)
    assert got.to_bytes(variant=variant).tobytes() == twin.encode(rows)
    both = elgamal.add(got[:2], got[2:], variant=variant)
    assert both.to_bytes().tobytes() == twin.encode([twin.add(rows[0], rows[2]), twin.add(rows[1], rows[3])])


def test_the_twin_decrypts_what_we_encrypt(variant):
    secrets = [int.from_bytes(KEY.to_bytes()[32 * j : 32 * j + 32], "little") for j in range(3)]
    rows = KEY.public.encrypt(np.array([[3, -20, 0]]), variant=variant).to_bytes()[0]
    points = [curve.decode(rows[32 * i : 32 * i + 32].tobytes()) for i in range(4)]
    assert twin.decrypt(secrets, points, 30) == [3, -20, 0]


# --- against integers ---


@settings(max_examples=25, deadline=None)
@given(
    rows=st.lists(st.lists(st.integers(-BOUND, BOUND), min_size=3, max_size=3), max_size=20),
    variant=VARIANTS,
    threads=st.sampled_from([1, 2, None]),
)
def test_what_is_encrypted_is_decrypted(rows, variant, threads):
    values = np.array(rows, dtype=np.int64).reshape(-1, 3)
    fresh = KEY.public.encrypt(values, threads=threads, variant=variant)
    assert (KEY.decrypt(fresh, BOUND, threads=threads, variant=variant) == values).all()
    again = Ciphertexts.from_bytes(fresh.to_bytes(threads=threads, variant=variant), range(3), variant=variant)
    assert (KEY.decrypt(again, BOUND, variant=variant) == values).all()
    other = KEY.public.rerandomise(again, variant=variant)
    assert (KEY.decrypt(other, BOUND, variant=variant) == values).all()
    negative = elgamal.negate(fresh)
    assert (KEY.decrypt(elgamal.add(negative, negative), 2 * BOUND, variant=variant) == -2 * values).all()


@settings(max_examples=25, deadline=None)
@given(data=st.data(), variant=VARIANTS)
def test_group_sums(data, variant):
    n, groups = data.draw(st.integers(0, 40)), data.draw(st.integers(1, 12))
    codes = np.array(data.draw(st.lists(st.integers(0, groups - 1), min_size=n, max_size=n)), dtype=np.int64)
    values = integers(n, n)
    expected = np.zeros((groups, 3), dtype=np.int64)
    np.add.at(expected, codes, values)
    got = elgamal.group_sum(codes, groups, KEY.public.encrypt(values), variant=variant)
    assert (KEY.decrypt(got, BOUND) == expected).all()
    empty = np.setdiff1d(np.arange(groups), codes)
    assert not encode(got[empty]).any()


@settings(max_examples=15, deadline=None)
@given(data=st.data(), variant=VARIANTS)
def test_histograms(data, variant):
    n, features, bins = (data.draw(st.integers(low, high)) for low, high in ((0, 30), (0, 10), (1, 9)))
    codes = np.random.default_rng(n).integers(0, bins, (n, features)).astype(np.uint8)
    values = integers(n, n, 1)
    key = elgamal.generate(1)
    expected = np.zeros((features, bins, 1), dtype=np.int64)
    for feature in range(features):
        np.add.at(expected[feature], codes[:, feature], values)
    got = elgamal.histogram(codes, bins, key.public.encrypt(values), variant=variant)
    assert len(got) == features * bins
    assert (key.decrypt(got, BOUND) == expected.reshape(-1, 1)).all()


@settings(max_examples=25, deadline=None)
@given(data=st.data(), variant=VARIANTS)
def test_matrices_and_factors(data, variant):
    m, n = data.draw(st.integers(0, 4)), data.draw(st.integers(0, 12))
    size = data.draw(st.sampled_from([1, 7, 8, 9, 127, 128, 3000]))
    weights = st.integers(-size, size)
    matrix = np.array(data.draw(st.lists(weights, min_size=m * n, max_size=m * n)), dtype=np.int64).reshape(m, n)
    factors = np.array(data.draw(st.lists(weights, min_size=n, max_size=n)), dtype=np.int64)
    values = integers(n, n, size=100)
    rows = KEY.public.encrypt(values)
    assert (KEY.decrypt(elgamal.combine(matrix, rows, variant=variant), BOUND) == matrix @ values).all()
    assert (KEY.decrypt(elgamal.scale(rows, factors, variant=variant), BOUND) == factors[:, None] * values).all()


def test_large_factors_cancel():
    values = np.array([[5, 6, 7], [5, 6, 7]])
    large = 2**62 - 1
    rows = KEY.public.encrypt(values)
    assert not KEY.decrypt(elgamal.combine(np.array([[large, -large]]), rows), 10).any()
    scaled = elgamal.scale(rows, np.array([large, -large]))
    assert not KEY.decrypt(elgamal.add(scaled[:1], scaled[1:]), 10).any()


@pytest.mark.parametrize("operation", [elgamal.combine, lambda m, a: elgamal.scale(a, m[0])])
@pytest.mark.parametrize("factor", [-(2**62), -(2**63), 2**62, 2**63 - 1])
def test_larger_factors_are_refused(operation, factor):
    with pytest.raises(InputError, match="below 2\\^62"):
        operation(np.array([[factor, 1]]), KEY.public.zeros(2))


def test_sums_beyond_64_bits_come_back_within_the_bound():
    """The group has 2^252 elements: only the result counts."""
    extreme = np.array([[2**63 - 1] * 3, [-(2**63)] * 3, [2**63 - 1] * 3, [-(2**63)] * 3])
    total = elgamal.group_sum(np.zeros(4, dtype=np.int64), 1, KEY.public.encrypt(extreme))
    assert (KEY.decrypt(total, 5) == -2).all()


def test_rows_and_slots_are_picked(variant):
    values = integers(1, 10)
    rows = KEY.public.encrypt(values, variant=variant)
    mask = np.arange(10) % 3 == 0
    for index in (slice(2, 7), slice(None, None, -2), mask, np.array([3, 3, -1]), np.array([], dtype=np.int64)):
        assert (KEY.decrypt(rows[index], BOUND) == values[index]).all()
    for index in (np.zeros((2, 2), dtype=np.int64), np.array(1), np.array([0.5]), slice("x"), slice(None, None, 0)):
        with pytest.raises(InputError):
            rows[index]
    picked = rows.columns([2, 0])
    assert picked.slots == (2, 0)
    assert (KEY.decrypt(KEY.public.rerandomise(picked), BOUND) == values[:, [2, 0]]).all()
    assert (KEY.decrypt(picked.columns([0]), BOUND) == values[:, [0]]).all()
    assert KEY.decrypt(rows.columns([]), BOUND).shape == (10, 0)
    nothing = KEY.public.encrypt(np.empty((0, 3), dtype=np.int64))
    assert nothing.to_bytes().shape == (0, 128)
    assert KEY.decrypt(nothing, 5).shape == (0, 3)


def test_many_slots():
    key = elgamal.generate(40)
    values = integers(9, 5, 40)
    assert (key.decrypt(key.public.encrypt(values), BOUND) == values).all()


# --- secrecy ---


def test_equal_rows_look_different():
    rows = KEY.public.encrypt(np.zeros((50, 3), dtype=np.int64)).to_bytes().reshape(-1, 32)
    assert len(np.unique(rows, axis=0)) == 200


def test_differences_of_slots_do_not_show():
    """Equal values in two slots give different elements: one key for both would give the same."""
    row = KEY.public.encrypt(np.array([[5, 5, 5]])).to_bytes().reshape(-1, 32)
    assert len(np.unique(row, axis=0)) == 4


def test_rerandomised_rows_share_nothing():
    rows = KEY.public.encrypt(integers(2, 20))
    fresh = KEY.public.rerandomise(rows)
    both = np.concatenate([rows.to_bytes().reshape(-1, 32), fresh.to_bytes().reshape(-1, 32)])
    assert len(np.unique(both, axis=0)) == 160


def test_trivial_rows_do_not_leave(variant):
    zeros = KEY.public.zeros(2)
    assert not KEY.decrypt(zeros, 0).any()
    rows = elgamal.add(KEY.public.encrypt(integers(1, 2)), zeros)
    with pytest.raises(InputError, match="row 1 is a trivial encryption, open to all; rerandomise"):
        elgamal.group_sum(np.array([0, 2]), 3, rows).to_bytes(variant=variant)
    assert not KEY.decrypt(KEY.public.rerandomise(zeros), 0).any()
    KEY.public.rerandomise(zeros).to_bytes()


def test_the_scalars_are_cleared(monkeypatch):
    seen = []
    reduce = elgamal.multiples.reduce_scalars
    monkeypatch.setattr(elgamal.multiples, "reduce_scalars", lambda *a, **k: seen.append(reduce(*a, **k)) or seen[-1])
    KEY.public.encrypt(integers(1, 4))
    assert seen[0].shape == (4, 32)
    assert not seen[0].any()


@pytest.mark.parametrize("what", [KEY, KEY.public, KEY.public.zeros(1)])
def test_nothing_is_pickled(what):
    with pytest.raises(InputError, match="not pickled"):
        pickle.dumps(what)
    with pytest.raises(InputError, match="not pickled"):
        copy.deepcopy(what)


def test_no_secret_is_printed():
    secret = KEY.to_bytes()
    for text in (repr(KEY), str(KEY), repr(KEY.public), repr(KEY.public.zeros(2))):
        for j in range(3):
            own = secret[32 * j : 32 * j + 32]
            assert own.hex()[:8] not in text
            assert str(int.from_bytes(own, "little"))[:8] not in text


# --- decryption refuses ---


def test_a_value_outside_the_bound_is_an_error(variant):
    values = np.array([[1, 2, 3], [4, 100, 6], [101, 5, -5]])
    rows = KEY.public.encrypt(values)
    with pytest.raises(InputError, match="row 2, slot 0: the value lies outside the bound") as caught:
        KEY.decrypt(rows, 100, variant=variant)
    assert "101" not in str(caught.value)
    assert (KEY.decrypt(rows[:2], 100, variant=variant) == values[:2]).all()


def test_another_key_decrypts_nothing():
    with pytest.raises(InputError, match=r"row 0, slot 0: .* for another key"):
        elgamal.generate(3).decrypt(KEY.public.encrypt(integers(1, 3)), 10**6)


@pytest.mark.parametrize("bound", [-1, 2**63])
def test_a_bound_out_of_range(bound):
    with pytest.raises(InputError, match="bound"):
        KEY.decrypt(KEY.public.zeros(1), bound)


# --- bytes of a peer ---


def test_keys_travel():
    assert PublicKey.from_bytes(KEY.public.to_bytes()) == KEY.public
    assert hash(PublicKey.from_bytes(KEY.public.to_bytes())) == hash(KEY.public)
    assert PrivateKey.from_bytes(KEY.to_bytes()).public == KEY.public
    assert len(KEY.public.key_id) == 16
    others = [elgamal.generate(3).public, PublicKey.from_bytes(KEY.public.to_bytes()[:64])]
    assert len({KEY.public.key_id, *(other.key_id for other in others)}) == 3
    assert all(other != KEY.public for other in others)
    assert KEY.public.slots == 3


BODY = KEY.public.to_bytes()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "no slots"),
        (BODY[:-1], "32 bytes a slot, which 95 bytes are not"),
        (BODY + b"\0", "32 bytes a slot"),
        (BODY[:32] + bytes(32) + BODY[64:], "slot 1 is the identity"),
        (BODY[:64] + b"\xff" * 32, "slot 2 is not a canonical encoding"),
        (BODY[:64] + (1).to_bytes(32, "little"), "slot 2 is not a canonical encoding"),
        (BODY[:64] + BODY[:32], "slot 2 occurs twice"),
        (BODY[:32] * 3, "slot 1 occurs twice"),
    ],
    ids=["empty", "short", "long", "identity", "large", "negative", "twice", "thrice"],
)
def test_a_public_key_is_validated(data, message):
    with pytest.raises(PeerError, match=message):
        PublicKey.from_bytes(data)


SECRET = KEY.to_bytes()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "32 bytes a slot"),
        (SECRET[:-1], "32 bytes a slot"),
        (SECRET[:32] + bytes(32), "slot 1 is the identity"),
        (SECRET[:32] + b"\xff" * 32, "below the group order"),
        (SECRET[:32] * 2, "slot 1 occurs twice"),
    ],
    ids=["empty", "short", "zero", "large", "twice"],
)
def test_a_private_key_is_validated(data, message):
    with pytest.raises(InputError, match=message):
        PrivateKey.from_bytes(data)


@pytest.mark.parametrize("column", range(4))
def test_bad_elements_are_refused(variant, column):
    rows = KEY.public.encrypt(integers(1, 40)).to_bytes()
    for row, bad in ((0, b"\xff" * 32), (17, (1).to_bytes(32, "little")), (39, bytes(31) + b"\x80")):
        changed = rows.copy()
        changed[row, 32 * column : 32 * column + 32] = np.frombuffer(bad, dtype=np.uint8)
        changed[39, :32] = 255  # the first bad row is named
        with pytest.raises(PeerError, match=f"row {row} of the ciphertexts: element {0 if row == 39 else column}"):
            Ciphertexts.from_bytes(changed, range(3), variant=variant)


def test_a_row_that_hides_nothing_is_refused(variant):
    rows = KEY.public.encrypt(integers(1, 40)).to_bytes()
    rows[7, :32] = 0
    with pytest.raises(PeerError, match="row 7 of the ciphertexts is not encrypted"):
        Ciphertexts.from_bytes(rows, range(3), variant=variant)
    rows = KEY.public.encrypt(integers(1, 40)).to_bytes()
    rows[7, 32:64] = 0  # -m G = r Y may happen
    Ciphertexts.from_bytes(rows, range(3), variant=variant)


@pytest.mark.parametrize("slots", [[0, 1], [0, 1, 2, 3]])
def test_rows_of_another_width_are_refused(slots):
    with pytest.raises(InputError, match="shape"):
        Ciphertexts.from_bytes(KEY.public.encrypt(integers(1, 4)).to_bytes(), slots)


# --- arguments ---


ROWS = KEY.public.encrypt(integers(1, 4))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: elgamal.generate(0), "at least one slot"),
        (lambda: KEY.public.encrypt(np.zeros((2, 2), dtype=np.int64)), r"\(n, 3\)"),
        (lambda: KEY.public.encrypt(np.zeros((2, 3))), "integers"),
        (lambda: KEY.public.encrypt(np.zeros((2, 3), dtype=np.uint64)), "integers"),
        (lambda: KEY.public.encrypt([[1, 2, 3]]), "integers"),
        (lambda: KEY.public.zeros(-1), "0 rows or more"),
        (lambda: elgamal.add(ROWS, ROWS[:2]), "equal length"),
        (lambda: elgamal.add(ROWS, ROWS.columns([0, 2, 1])), "same slots"),
        (lambda: ROWS.columns([0, 3]), "among the slots"),
        (lambda: ROWS.columns([1, 1]), "at most once"),
        (lambda: ROWS[1], "slice"),
        (lambda: ROWS[np.array([4])], "does not fit 4 rows"),
        (lambda: elgamal.combine(np.zeros((2, 3), dtype=np.int64), ROWS), r"\(m, 4\)"),
        (lambda: elgamal.combine(np.zeros(4, dtype=np.int64), ROWS), r"\(m, 4\)"),
        (lambda: elgamal.scale(ROWS, np.zeros(3, dtype=np.int64)), r"\(4,\)"),
        (lambda: elgamal.group_sum(np.zeros(3, dtype=np.int64), 1, ROWS), r"\(4,\)"),
        (lambda: elgamal.group_sum(np.array([0, 1, 2, 3]), 3, ROWS), "between 0 and 2"),
        (lambda: elgamal.group_sum(np.array([0, 1, -1, 0]), 3, ROWS), "between 0 and 2"),
        (lambda: elgamal.group_sum(np.zeros(4, dtype=np.int64), -1, ROWS), "0 bins or more"),
        (lambda: elgamal.histogram(np.zeros((4, 1), dtype=np.int64), 1, ROWS), "uint8 or uint16"),
        (lambda: elgamal.histogram(np.zeros((3, 1), dtype=np.uint8), 1, ROWS), "one row a ciphertext"),
        (lambda: elgamal.histogram(np.ones((4, 1), dtype=np.uint8), 1, ROWS), "between 0 and 0"),
        (lambda: Ciphertexts.from_bytes(np.zeros((1, 96), dtype=np.uint8), [0, 0]), "at most once"),
        (lambda: Ciphertexts.from_bytes(np.zeros((1, 64), dtype=np.uint8), [-1]), "from 0 on"),
        (lambda: elgamal.generate(1).public.rerandomise(ROWS), "has only 1 slots"),
        (lambda: elgamal.generate(1).decrypt(ROWS, 5), "has only 1 slots"),
    ],
)
def test_wrong_arguments_are_named(call, message):
    with pytest.raises(InputError, match=message):
        call()


def test_smaller_integers_are_welcome():
    values = np.array([[1, -2, 3]], dtype=np.int8)
    assert (KEY.decrypt(KEY.encrypt(values), 5) == values).all()
    codes = np.array([0, 1, 1, 0], dtype=np.uint32)
    assert same(elgamal.group_sum(codes, 2, ROWS), elgamal.group_sum(codes.astype(np.int64), 2, ROWS))


def test_the_documented_example_says_what_it_prints(capsys):
    page = (Path(__file__).parents[2] / "docs" / "elgamal.md").read_text("utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    exec(code, {})  # noqa: S102
    assert capsys.readouterr().out.split() == ["[[10", "2]", "[", "0", "0]", "[-3", "2]]"]


def test_threads_change_nothing(variant):
    values, source = integers(3, 300), random.Random(4)
    state = source.getstate()
    results = []
    for threads in (1, 3):
        source.setstate(state)
        rows = KEY.public.encrypt(values, source=source.randbytes, threads=threads, variant=variant)
        codes = np.random.default_rng(1).integers(0, 5, (300, 2)).astype(np.uint8)
        results.append(
            [
                encode(rows),
                encode(elgamal.histogram(codes, 5, rows, threads=threads, variant=variant)),
                encode(elgamal.combine(values[:, :2].T.copy(), rows, threads=threads, variant=variant)),
                KEY.decrypt(rows, BOUND, threads=threads, variant=variant),
            ]
        )
    for one, three in zip(*results, strict=True):
        assert (one == three).all()
