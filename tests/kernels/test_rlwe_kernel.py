"""Samples, roundings and packed words against the plain twin."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from reference import rlwe as twin

from fusion.errors import InputError
from fusion.kernels import ntt, rlwe

PRIMES = (1125899906826241, 1125899906629633, 1125899905744897, 1125899905351681)
RINGS = [ntt.ring(8192, PRIMES[:limbs]) for limbs in (1, 2, 3, 4)]
KEY = bytes(range(16))
every_ring = pytest.mark.parametrize("ring", RINGS, ids=lambda ring: str(ring.limbs))


@pytest.fixture(params=["portable", None])
def kernel(request, monkeypatch):
    """The streams come from whichever AES runs."""
    if request.param:
        monkeypatch.setenv("FUSION_KERNEL", request.param)


def residues(ring: ntt.Ring, values: list[int]) -> np.ndarray:
    """Coefficients of one polynomial as its residues; those that are not given are zero."""
    out = np.zeros((1, ring.limbs, ring.degree), np.uint64)
    for limb, p in enumerate(ring.primes):
        out[0, limb, : len(values)] = [v % p for v in values]
    return out


def test_streams_equal_the_twin(kernel):
    ring = ntt.ring(4096, (40961, 65537))  # of 16 and 17 bits: half of the words are refused
    found = rlwe.uniform(ring, KEY, 2)
    small, errors = rlwe.ternary(4096, KEY, 3), rlwe.error(4096, KEY, 3)
    for row in range(2):
        for limb, p in enumerate(ring.primes):
            assert found[row, limb].tolist() == twin.uniform(twin.words(KEY, row, limb), p, 4096)
        assert small[row].tolist() == twin.ternary(twin.words(KEY, row, 0), 4096)
        assert errors[row].tolist() == twin.error(twin.words(KEY, row, 0), 4096)


@pytest.mark.parametrize("primes", [PRIMES[:2], (40961, 65537)])
@pytest.mark.parametrize("bits", [1, 2, 16, 17, 48, 49, 63, 64, 65, 95, 96, 97, 127, 128, 150, 199, 256])
def test_flooding_equals_the_twin(bits, primes, kernel):
    ring = ntt.ring(4096, primes)
    before = np.concatenate([residues(ring, [-1, 0, 1] * 1365), residues(ring, [7])])
    after = before.copy()
    rlwe.flood(ring, after, KEY, bits)
    added = twin.flood(twin.words(KEY, 1, 0), bits, 4096)
    for limb, p in enumerate(ring.primes):
        assert after[1, limb].tolist() == [(int(x) + y) % p for x, y in zip(before[1, limb], added, strict=True)]
    assert min(added) >= -(2 ** (bits - 1))
    assert max(added) < 2 ** (bits - 1)


def test_samples_have_their_distribution():
    """Chi-square at 10^-6; the seed is fixed, so this passes always or never."""
    small = rlwe.ternary(8192, KEY, 40)
    counts = np.bincount(small.ravel() + 1, minlength=3)
    assert ((counts - small.size / 3) ** 2 / (small.size / 3)).sum() < 27.6  # 2 degrees of freedom
    errors = rlwe.error(8192, KEY, 40)
    weights = np.array([math.comb(42, 21 + k) / 2**42 for k in range(-12, 13)])
    inside = np.bincount(errors[abs(errors) <= 12] + 12, minlength=25)
    expected = weights * errors.size
    assert ((inside - expected) ** 2 / expected).sum() < 77.0  # 25
    assert abs(errors).max() <= rlwe.ERROR_BOUND
    assert errors.var() == pytest.approx(10.5, rel=0.02)


@settings(max_examples=25, deadline=None)
@given(t=st.one_of(st.integers(1, 50).map(lambda k: 2**k), st.integers(2, 2**50)), data=st.data())
def test_encoding_and_decoding_are_exact_roundings(t, data):
    """q m / t to the nearest integer, and t x / q likewise, halves up, at the borders and anywhere."""
    ring = data.draw(st.sampled_from(RINGS))
    q = math.prod(ring.primes)
    if any(t % p == 0 for p in ring.primes):
        return
    bits = data.draw(st.integers(1, 64))
    scale = rlwe.scale(ring, t, bits)
    messages = [*data.draw(st.lists(st.integers(0, t - 1), min_size=3, max_size=3)), 0, 1 % t, t // 2, t - 1]
    errors = data.draw(st.lists(st.integers(-(2**15), 2**15), min_size=7, max_size=7))
    m, e = np.zeros((1, 8192), np.uint64), np.zeros((1, 8192), np.int64)
    m[0, :7], e[0, :7] = messages, errors
    exact = [(q * x + t // 2) // t + y for x, y in zip(messages, errors, strict=True)]
    assert (rlwe.encode(ring, scale, m, e) == residues(ring, exact)).all()

    values = [*data.draw(st.lists(st.integers(0, q - 1), min_size=5, max_size=5)), 0, 1, q // 2, q // 2 + 1, q - 1]
    values += [(q * k + shift * t) // (2 * t) % q for k in (1, 3, 2 * t - 1) for shift in (-1, 0, 1, 2)]
    x = residues(ring, values)
    assert rlwe.decode(ring, scale, x)[0, : len(values)].tolist() == [twin.rescale(v, t, q) % t for v in values]
    switched = rlwe.switch(ring, scale, x)[0, : len(values)].tolist()
    assert switched == [twin.rescale(v, 2**bits, q) % 2**bits for v in values]

    low = [*data.draw(st.lists(st.integers(0, 2**bits - 1), min_size=5, max_size=5)), 0, 2**bits - 1, 2 ** (bits - 1)]
    rounded = rlwe.round_words(scale, np.array(low, np.uint64)).tolist()
    assert rounded == [twin.rescale(v, t, 2**bits) % t for v in low]


def test_lifting_reducing_and_joining():
    ring = RINGS[1]
    values = [0, 1, -1, 2**49, -(2**49), PRIMES[1] - 1, 1 - PRIMES[1]]
    x = np.zeros((1, 8192), np.int64)
    x[0, : len(values)] = values
    assert (rlwe.lift(ring, x) == residues(ring, values)).all()
    large = [0, 1, 2**64 - 1, PRIMES[0], PRIMES[0] - 1, 3 * PRIMES[1]]
    w = np.zeros((1, 8192), np.uint64)
    w[0, : len(large)] = large
    assert (rlwe.reduce(ring, w) == residues(ring, large)).all()
    wide = [0, 1, -1, 2**64, -(2**64), 2**79, -(2**79), PRIMES[0], -PRIMES[1], 12345678901234567890123]
    assert rlwe.join(ring, residues(ring, wide))[0, : len(wide)].tolist() == [v % 2**64 for v in wide]
    with pytest.raises(InputError, match="two primes of 50 bits"):
        rlwe.join(RINGS[2], residues(RINGS[2], wide))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(bits=st.integers(1, 64), data=st.data())
def test_packing(bits, data, kernel):
    values = data.draw(st.lists(st.integers(0, 2**bits - 1), max_size=40))
    packed = rlwe.pack(np.array(values, np.uint64), bits)
    whole = sum(v << bits * i for i, v in enumerate(values))
    assert packed == whole.to_bytes(-(-len(values) * bits // 8), "little")
    assert rlwe.unpack(packed, bits, len(values)).tolist() == values


@every_ring
@pytest.mark.parametrize("bits", [1, 40, 57, 64])
@pytest.mark.parametrize("width", [1, 7, 8, 30])
def test_switching_is_an_exact_rounding(ring, bits, width, kernel):
    q, generator = math.prod(ring.primes), random.Random(width)
    values = ([0, 1, q - 1, q // 2, q // 2 + 1] + [generator.randrange(q) for _ in range(25)])[-width:]
    x = np.array([[[v % p for v in values] for p in ring.primes]] * 2, np.uint64)
    expected = [(v * 2**bits + q // 2) // q % 2**bits for v in values]
    assert rlwe.switch(ring, rlwe.scale(ring, 2**20, bits), x).tolist() == [expected] * 2


def test_some_coefficients_are_flooded_as_the_first_of_all(kernel):
    ring = RINGS[2]
    some, whole = np.zeros((2, 3, 13), np.uint64), np.zeros((2, 3, 8192), np.uint64)
    for x in (some, whole):
        rlwe.flood(ring, x, KEY, 90)
    assert (some == whole[:, :, :13]).all()


def test_threads_do_not_matter():
    ring = RINGS[3]
    one, three = (rlwe.uniform(ring, KEY, 5, threads=threads) for threads in (1, 3))
    assert (one == three).all()
    assert (rlwe.error(8192, KEY, 5, threads=1) == rlwe.error(8192, KEY, 5, threads=3)).all()
    rlwe.flood(ring, one, KEY, 150, threads=1)
    rlwe.flood(ring, three, KEY, 150, threads=3)
    assert (one == three).all()
    scale = rlwe.scale(ring, 2**50, 64)
    assert (rlwe.decode(ring, scale, one, threads=1) == rlwe.decode(ring, scale, one, threads=3)).all()


def test_refusals():
    ring = RINGS[1]
    with pytest.raises(InputError, match="2 to 2\\^50"):
        rlwe.scale(ring, 2**50 + 1, 64)
    with pytest.raises(InputError, match="1 to 64 bits"):
        rlwe.scale(ring, 2**50, 65)
    with pytest.raises(InputError, match="no multiple of a prime"):
        rlwe.scale(ring, PRIMES[0], 64)
    with pytest.raises(InputError, match="1 to 256 bits, not 257"):
        rlwe.flood(ring, ring.empty(1), KEY, 257)
    with pytest.raises(InputError, match=r"int64 of shape \(rows, 8192\)"):
        rlwe.lift(ring, np.zeros((1, 8192), np.uint64))
    with pytest.raises(InputError, match=r"int64 of shape \(rows, 8192\)"):
        rlwe.lift(ring, np.zeros((1, 4096), np.int64))
    with pytest.raises(InputError, match="equal length, not 2 and 1"):
        rlwe.encode(ring, rlwe.scale(ring, 4, 8), np.zeros((2, 8192), np.uint64), np.zeros((1, 8192), np.int64))
    with pytest.raises(InputError, match="does not fit into 3 bits"):
        rlwe.pack(np.array([8], np.uint64), 3)
    with pytest.raises(InputError, match="take 2 bytes, not 3"):
        rlwe.unpack(b"abc", 3, 5)
    for bits in (0, 65):
        with pytest.raises(InputError, match="1 to 64 bits"):
            rlwe.pack(np.array([0], np.uint64), bits)
        with pytest.raises(InputError, match="1 to 64 bits"):
            rlwe.unpack(b"", bits, 0)
    with pytest.raises(InputError, match="16 bytes"):
        rlwe.uniform(ring, b"short", 1)
