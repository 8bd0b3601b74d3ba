from __future__ import annotations

import math
import pickle
import random
import sys

import numpy as np
import pytest
import tenseal.sealapi as seal
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from fusion.crypto import _seal, ckks
from fusion.crypto._ckks_parameters import _FRESH_NOISE, FRESH_PER_TERM
from fusion.errors import InputError, PeerError

KEY = ckks.generate(5, bound=100, terms=50)
LONG = ckks.generate(5000, bound=0.75, terms=1000, precision=1e-4)
P = KEY.public.parameters
GRID = [
    (length, bound, terms, precision)
    for length, bound in ((1, 1e-9), (4096, 1), (4097, 3e9))
    for terms in (1, 7, 2**20, 2**40)
    for precision in (None, 2.0 ** (math.ceil(math.log2(bound)) - 36) * terms, bound * terms)
]


def rows(values):
    return np.array(values, float).reshape(-1, 5)


@pytest.mark.parametrize(("length", "bound", "terms", "precision"), GRID)
def test_parameters_keep_to_the_standard_and_leave_room(length, bound, terms, precision):
    p = ckks.Parameters.choose(length, bound, terms, precision)
    assert sum(p.bits) <= seal.CoeffModulus.MaxBitCount(p.degree, seal.SEC_LEVEL_TYPE.TC128)
    assert p.degree * p.chunks >= 2 * length
    primes = _seal.engine(p.degree, p.bits, p.scale_bits).primes
    assert [prime.bit_length() for prime in primes] == list(p.bits)
    noise = FRESH_PER_TERM * terms * _FRESH_NOISE
    # the largest sum, all its noise and the flood stay below half of the modulus
    assert 2 * ((terms << p.scale_bits) + terms + noise + 2**p.flood_bits) < math.prod(primes[:-1])
    # statistical distance of a flooded coefficient vector, over all N coefficients
    assert p.degree * noise <= 2 ** (p.flood_bits + 1 - 40)
    # flood (beyond 8 sqrt(N) of its half width once in 2^90 slots), rounding and double precision
    flood = 8 * math.sqrt(p.degree) * 2.0 ** (p.flood_bits - p.scale_bits) * p.unit
    assert flood + p.precision / 4 + p.error <= p.precision
    assert p.error <= p.precision / 3
    assert ckks.Parameters.from_bytes(p.to_bytes()) == p


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((0, 1, 1), "a row holds"),
        ((2**24 + 1, 1, 1), "a row holds"),
        ((1, 0, 1), "bound"),
        ((1, math.nan, 1), "bound"),
        ((1, math.inf, 1), "bound"),
        ((1, 1, 0), "terms"),
        ((1, 1, 2**40 + 1), "terms"),
        ((1, 1, 1, 2.0**-40), "out of reach"),
        ((1, 1, 4, 5.0), "out of reach"),
        ((1, 1, 4, math.nan), "out of reach"),
        ((1, 1, 4, -1.0), "out of reach"),
    ],
)
def test_impossible_parameters(arguments, says):
    with pytest.raises(InputError, match=says):
        ckks.generate(*arguments)


def test_the_transform_evaluates_at_the_roots():
    """By definition: entry k is the value at psi^(2 reversed(k) + 1), psi the smallest primitive 2N-th root."""
    degree, primes = 16, (97, 193, 257)
    drawn = random.Random(1)
    coefficients = [drawn.randrange(-(2**80), 2**80) for _ in range(degree)]
    for prime, values in zip(primes, _seal.transform(coefficients, primes), strict=True):
        psi = min(x for x in range(2, prime) if pow(x, degree, prime) == prime - 1)
        places = [pow(psi, 2 * int(f"{k:04b}"[::-1], 2) + 1, prime) for k in range(degree)]
        assert values.tolist() == [
            sum(c * pow(x, i, prime) for i, c in enumerate(coefficients)) % prime for x in places
        ]


NUMBERS = st.one_of(st.floats(-100, 100), st.sampled_from([0.0, -0.0, 100.0, -100.0, 5e-324]))


@settings(max_examples=12, deadline=None)
@given(st.lists(NUMBERS, min_size=20, max_size=20), st.data())
def test_all_operations_agree_with_numpy_within_the_stated_error(numbers, data):
    values = rows(numbers)
    n = len(values)
    cells = KEY.public.encrypt(values)
    weights = np.array(data.draw(st.lists(st.integers(-50, 50), min_size=n, max_size=n)))
    codes = np.array(data.draw(st.lists(st.integers(0, 3), min_size=n, max_size=n)))
    matrix = np.array(data.draw(st.lists(st.integers(-8, 8), min_size=2 * n, max_size=2 * n))).reshape(2, n)
    sums = np.zeros((4, 5))
    np.add.at(sums, codes, values)
    for got, expected in [
        (cells, values),
        (cells[::-1], values[::-1]),
        (cells[np.array([2, 2, 0])], values[[2, 2, 0]]),
        (cells[values[:, 0] > 0], values[values[:, 0] > 0]),
        (ckks.add(cells, cells[::-1]), values + values[::-1]),
        (ckks.add(cells, ckks.negate(cells)), values * 0),
        (ckks.scale(cells, weights), values * weights[:, np.newaxis]),
        (ckks.combine(matrix, cells), matrix @ values),
        (ckks.group_sum(codes, 4, cells), sums),
        (KEY.public.rerandomise(ckks.scale(cells, weights)), values * weights[:, np.newaxis]),
    ]:
        assert KEY.decrypt(got).shape == expected.shape
        assert np.abs(KEY.decrypt(got) - expected).max(initial=0.0) <= P.error
        if got.weight:
            assert np.abs(expected).max(initial=0.0) <= got.weight * 100 * (1 + 1e-12)


def test_long_rows_take_several_ciphertexts_and_the_largest_sum_fits():
    values = np.random.default_rng(2).choice([-0.75, 0.75], (2, 5000))
    cells = ckks.scale(LONG.public.encrypt(values), [1000, -1000])
    assert cells.residues.shape[1] == 2
    assert cells.weight == 1000
    expected = values * np.array([[1000.0], [-1000.0]])
    assert np.abs(LONG.decrypt(cells) - expected).max() <= LONG.public.parameters.error
    released = LONG.release(cells)
    assert released.precision == 1e-4
    assert np.abs(released.values - expected).max() <= 1e-4


def test_fresh_noise_is_what_the_bound_assumes():
    """Rounding after the switch from the keys' modulus: variance (1 + 2N/3) / 12 a coefficient, no more."""
    zeros = LONG.public.encrypt(np.zeros((6, 5000)))
    p = LONG.public.parameters
    slots = LONG.decrypt(zeros) / p.unit * 2.0**p.scale_bits
    expected = math.sqrt((1 + 2 * p.degree / 3) / 12 * p.degree / 2)
    assert 0.9 < slots.std() / expected < 1.1
    assert np.abs(slots).max() <= p.degree * _FRESH_NOISE
    # the worst case is far above: no key and no randomness reach it by chance
    assert 100 * expected / math.sqrt(p.degree / 2) < _FRESH_NOISE


def test_a_release_is_the_decryption_plus_the_drawn_flood():
    """The flood computed here from the same draw, by a discrete Fourier transform, to the last bit that counts."""
    values = rows(np.linspace(-90, 90, 5))
    cells = KEY.public.encrypt(values)
    released = KEY.release(cells, source=random.Random(8).randbytes)
    again = KEY.release(cells, source=random.Random(8).randbytes)
    assert (released.values == again.values).all()

    size = P.flood_bits // 8 + 1
    drawn = random.Random(8).randbytes(P.degree * size)
    flood = [
        int.from_bytes(drawn[i : i + size], "little") % 2 ** (P.flood_bits + 1) - 2**P.flood_bits
        for i in range(0, P.degree * size, size)
    ]
    twist = np.exp(-1j * np.pi * np.arange(P.degree) / P.degree)
    spectrum = np.fft.fft(np.array(flood, float) * 2.0**-P.scale_bits * twist)
    # SEAL orders its slots by powers of 3
    slots = [spectrum[(pow(3, j, 2 * P.degree) - 1) // 2].real for j in range(5)]
    step = P.precision / 4
    exact = KEY.decrypt(cells) + np.array(slots) * P.unit
    assert np.abs(released.values - exact).max() <= step / 2 * (1 + 1e-6)
    assert (released.values / step == np.rint(released.values / step)).all()


def test_the_flood_is_uniform():
    """Chi-squared with 255 degrees of freedom stays below 384 but once in 10^6."""
    drawn = np.array(ckks._uniform(8192 * 4, 70, random.Random(4).randbytes), dtype=object)
    assert drawn.min() >= -(2**70)
    assert drawn.max() < 2**70
    assert drawn.min() < -(2**70) * 0.99
    for shift in (0, 31, 63):
        byte = ((drawn + 2**70) >> shift & 255).astype(int)
        assert chisquare(np.bincount(byte, minlength=256)).statistic < 384


def test_released_numbers_keep_their_precision_and_differ_each_time():
    values = np.random.default_rng(3).uniform(-0.75, 0.75, (3, 5000))
    cells = LONG.public.encrypt(values)
    first, second = LONG.release(cells), LONG.release(cells)
    assert (first.values != second.values).any()
    error = np.abs(first.values - values)
    assert error.max() <= first.precision
    # the flood is there: far beyond what a decryption is off by
    assert error.max() > 1e3 * np.abs(LONG.decrypt(cells) - values).max()


def test_terms_are_counted_before_anything_is_computed():
    cells = KEY.public.encrypt(rows(range(10)))
    half = ckks.scale(cells, [25, 1])
    with pytest.raises(InputError, match="beyond the 50 terms"):
        ckks.add(half, ckks.scale(cells, [1, -26]))
    with pytest.raises(InputError, match="beyond the 50 terms"):
        ckks.scale(cells, [1, 51])
    with pytest.raises(InputError, match="beyond the 50 terms"):
        ckks.combine([[25, -26]], cells)
    with pytest.raises(InputError, match="beyond the 50 terms"):
        ckks.group_sum(np.zeros(51, int), 1, cells[np.zeros(51, int)])
    assert ckks.add(half, half).weight == 50


def test_noise_of_fresh_encryptions_is_counted_too():
    once = ckks.generate(1, 1.0, 1)
    cells = once.public.encrypt([[0.5]])
    for _ in range(3):
        cells = once.public.rerandomise(cells)
    assert once.decrypt(cells)[0, 0] == pytest.approx(0.5, abs=once.public.parameters.error)
    with pytest.raises(InputError, match="re-randomised too often"):
        once.public.rerandomise(cells)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ([[1, 2, 3, 4, 100.001]], "row 0, column 4 is beyond"),
        ([[0] * 5, [1, math.nan, 2, 3, 4]], "row 1, column 1 is missing"),
        ([[0, 0, -math.inf, 0, 0]], "row 0, column 2 is missing or not finite"),
        ([1, 2, 3, 4, 5], r"shape \(n, 5\)"),
        ([[1, 2, 3, 4]], r"shape \(n, 5\)"),
        ([["1", "2", "3", "4", "5"]], r"shape \(n, 5\)"),
    ],
)
def test_numbers_that_cannot_be_encrypted(values, says):
    with pytest.raises(InputError, match=says):
        KEY.public.encrypt(values)


@pytest.mark.parametrize(
    "call",
    [
        lambda cells: ckks.add(cells, cells[:1]),
        lambda cells: ckks.scale(cells, [1.5, 2.0]),
        lambda cells: ckks.scale(cells, [1]),
        lambda cells: ckks.combine([[1, 2, 3]], cells),
        lambda cells: ckks.group_sum([0, 2], 2, cells),
        lambda cells: ckks.group_sum([0, -1], 2, cells),
    ],
)
def test_operations_that_do_not_fit(call):
    with pytest.raises(InputError):
        call(KEY.public.encrypt(rows(range(10))))


def test_rows_of_two_keys_do_not_mix():
    other = ckks.generate(5, bound=100, terms=50)
    assert other.public.key_id != KEY.public.key_id
    mine, theirs = KEY.public.encrypt(rows(range(5))), other.public.encrypt(rows(range(5)))
    for call in (
        lambda: ckks.add(mine, theirs),
        lambda: other.decrypt(mine),
        lambda: other.release(mine),
        lambda: other.public.rerandomise(mine),
    ):
        with pytest.raises(InputError, match="another key"):
            call()
    with pytest.raises(PeerError, match="another key"):
        ckks.Ciphertexts.from_bytes(mine.to_bytes(), other.public)
    # and forced past the check, the wrong key reads numbers all over 2^20: three of five within 1e3 is a chance of 1e-7
    assert np.median(np.abs(other._open(mine.residues) - rows(range(5)))) > 1e3


def test_keys_and_rows_travel():
    values = rows(range(15))
    public = ckks.PublicKey.from_bytes(memoryview(KEY.public.to_bytes()))
    assert public.key_id == KEY.public.key_id
    assert public.parameters == P
    sent = public.encrypt(values).to_bytes()
    assert len(sent) == 44 + 3 * P.row_bytes
    cells = ckks.Ciphertexts.from_bytes(sent, KEY.public)
    owner = ckks.PrivateKey.from_bytes(KEY.to_bytes())
    assert np.abs(owner.decrypt(cells) - values).max() <= P.error
    none = ckks.Ciphertexts.from_bytes(cells[:0].to_bytes(), KEY.public)
    assert owner.decrypt(none).shape == owner.release(none).values.shape == (0, 5)


def test_what_travels_is_fresh():
    cells = KEY.public.encrypt(rows(range(10)))
    assert cells.to_bytes() == cells.to_bytes()
    total = ckks.group_sum([0, 0], 2, cells)
    assert not total.fresh
    assert (total.residues[1] == 0).all()  # the empty group, for all to see
    arrived = ckks.Ciphertexts.from_bytes(total.to_bytes(), KEY.public)
    assert (arrived.residues != total.residues).any(axis=(1, 2, 3, 4)).all()
    assert (arrived.residues[1, 0, 1] > 0).mean() > 0.99
    assert np.abs(KEY.decrypt(arrived) - [[5, 7, 9, 11, 13], [0] * 5]).max() <= P.error
    assert (arrived.weight, arrived.encryptions) == (2, 3)


def test_a_thousand_mutated_rows_give_an_error_or_numbers():
    whole = KEY.public.encrypt(rows(range(5))).to_bytes()
    drawn = random.Random(6)
    seen = {"refused": 0, "read": 0}
    for _ in range(1_000):
        data = bytearray(whole)
        kind = drawn.randrange(4)
        if kind == 0:
            del data[drawn.randrange(len(data)) :]
        elif kind == 1:
            data += drawn.randbytes(drawn.randrange(1, 40))
        else:
            for _ in range(drawn.choice([1, 1, 4])):
                data[drawn.randrange(44 if kind == 2 else len(data))] ^= 1 << drawn.randrange(8)
        try:
            cells = ckks.Ciphertexts.from_bytes(bytes(data), KEY.public)
            assert np.isfinite(KEY.decrypt(cells)).all()
        except PeerError:
            seen["refused"] += 1
        else:
            seen["read"] += 1
    assert min(seen.values()) > 50


@pytest.mark.parametrize("cut", [0, 1, 8, 27, 43, 44, 45, -8, -1])
def test_truncated_bytes_are_refused(cut):
    for data, read in (
        (KEY.public.encrypt(rows(range(5))).to_bytes(), lambda data: ckks.Ciphertexts.from_bytes(data, KEY.public)),
        (KEY.public.to_bytes(), ckks.PublicKey.from_bytes),
        (KEY.to_bytes(), ckks.PrivateKey.from_bytes),
    ):
        with pytest.raises(PeerError):
            read(data[:cut])


def test_mutated_keys_give_an_error_or_a_key():
    whole = KEY.public.to_bytes()
    drawn = random.Random(7)
    seen = {"refused": 0, "read": 0}
    for _ in range(120):
        data = bytearray(whole)
        data[drawn.randrange(36 if drawn.random() < 0.8 else len(data))] ^= 1 << drawn.randrange(8)
        try:
            assert ckks.PublicKey.from_bytes(bytes(data)).key_id != KEY.public.key_id
        except PeerError:
            seen["refused"] += 1
        else:
            seen["read"] += 1
    assert min(seen.values()) > 5


def test_residues_beyond_their_primes_are_refused():
    data = bytearray(KEY.public.encrypt(rows(range(15))).to_bytes())
    data[44 + P.row_bytes : 44 + P.row_bytes + 8] = b"\xff" * 8
    with pytest.raises(PeerError, match="row 1 has a residue beyond its prime"):
        ckks.Ciphertexts.from_bytes(bytes(data), KEY.public)
    key = bytearray(KEY.public.to_bytes())
    key[-8:] = b"\xff" * 8
    with pytest.raises(PeerError, match="beyond its prime"):
        ckks.PublicKey.from_bytes(bytes(key))


def test_announced_terms_beyond_the_key_are_refused():
    data = bytearray(KEY.public.encrypt(rows(range(5))).to_bytes())
    for place in (28, 36):
        bad = data.copy()
        bad[place : place + 8] = (2**63).to_bytes(8, "little")
        with pytest.raises(PeerError, match="terms"):
            ckks.Ciphertexts.from_bytes(bytes(bad), KEY.public)


def test_no_secret_is_shown_or_pickled():
    secret = KEY._secret.astype("<u8").tobytes()
    pieces = {secret[at : at + 16] for at in range(0, len(secret), 4096)}
    cells = KEY.public.encrypt(rows(range(5)))
    theirs = KEY.public._context
    assert not theirs.is_private()
    assert not theirs.has_galois_keys()
    assert not theirs.has_relin_keys()
    for data in (KEY.public.to_bytes(), cells.to_bytes(), theirs.serialize()):
        assert not any(piece in data for piece in pieces)
    assert all(piece in KEY.to_bytes() for piece in pieces)
    for thing in (KEY, KEY.public, cells):
        assert len(repr(thing)) < 300
        with pytest.raises(InputError, match="pickled"):
            pickle.dumps(thing)
    assert not {"_secret", "_context"} & set(repr(KEY).replace("(", " ").split())
    assert not hasattr(KEY, "__dict__")


def test_two_encryptions_of_one_row_share_nothing():
    cells = KEY.public.encrypt(np.ones((2, 5)))
    assert (cells.residues[0] == cells.residues[1]).mean() < 1e-3


def test_a_missing_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "tenseal", None)
    _seal.engine.cache_clear()
    with pytest.raises(InputError, match=r"pip install 'privacy-fusion\[tenseal\]'"):
        ckks.generate(5, bound=100, terms=50)
