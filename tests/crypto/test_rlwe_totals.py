"""Sums under a shared key in short words: exact, within the plan, and no wider than they say."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from crypto.rlwe_tools import Seeded
from hypothesis import given, settings
from hypothesis import strategies as st

from fusion.crypto.rlwe import PublicKey, Share, combine
from fusion.crypto.rlwe.plan import STATISTICAL_BITS, Parameters, total_parameters
from fusion.crypto.rlwe.totals import encrypt_summand, open_total, part_of_total, second_halves, total_bits
from fusion.errors import InputError
from fusion.kernels import ntt

SEED = bytes(range(32))


def shared(parameters: Parameters) -> tuple[list[Share], PublicKey]:
    shares = [Share.generate(parameters, SEED, source=Seeded(f"party {i}")) for i in range(parameters.parties)]
    return shares, combine(parameters, SEED, [share.contribution for share in shares])


@settings(max_examples=12, deadline=None)
@given(parties=st.integers(2, 8), bits=st.sampled_from([1, 17, 50]), seed=st.integers(0, 2**32))
def test_sums_are_exact(parties: int, bits: int, seed: int) -> None:
    p = total_parameters(bits, parties=parties, openings=4)
    shares, public = shared(p)
    rng = np.random.default_rng(seed)
    terms = int(rng.integers(1, parties + 1))
    messages = rng.integers(0, p.plain_modulus, (terms, 2, p.degree), dtype=np.uint64)
    source = Seeded(f"{seed} sent")
    first, second = zip(*(encrypt_summand(public, each, source=source) for each in messages), strict=True)
    c0, c1 = first[0].copy(), second[0]
    for a, b in zip(first[1:], second[1:], strict=True):
        c0, c1 = c0 + a, ntt.add(p.ring, c1, b)
    parts = [part_of_total(share, c1, terms=terms, source=Seeded(f"{seed} part")) for share in shares]
    assert max(int(x.max()) for x in (*first, *parts)) >> total_bits(p) == 0
    expected = messages.sum(axis=0, dtype=np.uint64) % np.uint64(p.plain_modulus)
    np.testing.assert_array_equal(open_total(p, c0 + sum(parts)), expected)
    # without one of the parts there is nothing: what is left is uniform
    assert (open_total(p, c0 + sum(parts[1:])) == expected).mean() < 0.6


@pytest.mark.parametrize("parties", [2, 3, 10, 64, 100, 1000, 1024])
@pytest.mark.parametrize("openings", [1, 62 * 1024, 10**8])
def test_what_is_planned_opens_and_hides(parties: int, openings: int) -> None:
    p = total_parameters(50, parties=parties, openings=openings)
    noise = p.sum_noise + parties * Fraction(2 ** (p.flood_bits - 1))
    rounded = Fraction(2 * parties, 2 ** (total_bits(p) + 1)) + Fraction(parties, 2**65)
    assert noise / p.q + rounded < Fraction(1, 2 * p.plain_modulus)
    assert Fraction(openings * p.degree * p.response_noise, 2**p.flood_bits) <= Fraction(1, 2**STATISTICAL_BITS)
    assert total_bits(p) <= 64


def test_ten_clients_of_a_million_values() -> None:
    p = total_parameters(50, parties=10, openings=62 * 900)
    assert (p.degree, len(p.primes), p.flood_bits, total_bits(p)) == (8192, 3, 95, 57)
    # two values of 25 bits to a coefficient do not fit the smaller ring, whose modulus has at most 101 bits
    assert 10 * 2.0**50 * 4096 * p.response_noise / 2 * 2**STATISTICAL_BITS > 2.0**101


def test_noise_is_within_its_bound() -> None:
    p = total_parameters(50, parties=3, openings=1)
    shares, public = shared(p)
    message = np.random.default_rng(1).integers(0, p.plain_modulus, (1, p.degree), dtype=np.uint64)
    first, second = encrypt_summand(public, message, source=Seeded("1"))
    secret = shares[0]._secret
    for share in shares[1:]:
        secret = ntt.add(p.ring, secret, share._secret)
    x = ntt.multiply(p.ring, second, secret)
    ntt.inverse(p.ring, x)
    c1s = [_composed(p, x[0, :, j]) for j in range(0, p.degree, 97)]
    width = 2 ** total_bits(p)
    worst = 0
    for place, value in zip(range(0, p.degree, 97), c1s, strict=True):
        phase = Fraction(int(first[0, place]) * p.q, width) + value - Fraction(int(message[0, place]) * p.q, 2**50)
        worst = max(worst, abs((phase + Fraction(p.q, 2)) % p.q - Fraction(p.q, 2)))
    assert 0 < worst <= p.public_noise + Fraction(p.q, 2 * width)


def _composed(p: Parameters, residues: np.ndarray) -> int:
    return sum(int(r) * (p.q // q) * pow(p.q // q, -1, q) for r, q in zip(residues, p.primes, strict=True)) % p.q


def test_second_halves_depend_on_the_source_alone() -> None:
    p = total_parameters(50, parties=2, openings=1)
    _, public = shared(p)
    rng = np.random.default_rng(1)
    messages = rng.integers(0, p.plain_modulus, (3, p.degree), dtype=np.uint64)
    _, second = encrypt_summand(public, messages, source=Seeded("5"))
    np.testing.assert_array_equal(second_halves(public, 3, source=Seeded("5")), second)
    assert not np.array_equal(second_halves(public, 3, source=Seeded("6")), second)
    assert len(np.unique(second[:, 0, 0])) == 3


def test_bad_input_is_refused() -> None:
    for bits, parties, openings in ((0, 2, 1), (51, 2, 1), (50, 0, 1), (50, 1025, 1), (50, 2, 0)):
        with pytest.raises(InputError, match="1 to 50 bits, 1 to 1024 parties"):
            total_parameters(bits, parties=parties, openings=openings)
    with pytest.raises(InputError, match="no parameters fit"):
        total_parameters(50, parties=1024, openings=2 ** math.ceil(60))
    p = total_parameters(50, parties=2, openings=1)
    shares, public = shared(p)
    _, second = encrypt_summand(public, np.zeros((1, p.degree), np.int64))
    with pytest.raises(InputError, match="more terms than the parameters allow"):
        part_of_total(shares[0], second, terms=3)
