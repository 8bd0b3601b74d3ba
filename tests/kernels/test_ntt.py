"""The transform against its definition, products against long integers, and every variant against every other."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import rlwe as twin

from fusion import kernels
from fusion.errors import InputError
from fusion.kernels import ntt

VARIANTS = kernels.variants("ntt")


def primes_of(degree: int, count: int = 4, below: int = 2**50) -> tuple[int, ...]:
    found: list[int] = []
    p = below - (below - 1) % (2 * degree)
    while len(found) < count:
        if ntt.is_prime(p):
            found.append(p)
        p -= 2 * degree
    return tuple(found)


# large ones, and the smallest that there are: 40961 and 65537 for both degrees
RINGS = [
    ntt.ring(4096, primes_of(4096, 2)),
    ntt.ring(8192, primes_of(8192)),
    ntt.ring(8192, (65537,)),
    ntt.ring(4096, (40961, primes_of(4096)[0], 65537)),
]
ring_ids = ["4096", "8192", "8192 small", "4096 mixed"]
every_ring = pytest.mark.parametrize("ring", RINGS, ids=ring_ids)
every_variant = pytest.mark.parametrize("variant", VARIANTS)


def random_elements(ring: ntt.Ring, rows: int, seed: int) -> np.ndarray:
    source = np.random.default_rng(seed)
    return np.stack([source.integers(0, p, (rows, ring.degree), dtype=np.uint64) for p in ring.primes], axis=1)


def extreme_elements(ring: ntt.Ring) -> np.ndarray:
    """All zero, all p - 1, p - 1 and 0 in turn, one alone at either end."""
    rows = ring.empty(5)
    top = np.array([p - 1 for p in ring.primes], np.uint64)[:, None]
    rows[0], rows[1], rows[2], rows[3], rows[4] = 0, top, 0, 0, 0
    rows[2, :, ::2] = top
    rows[3, :, 0] = 1
    rows[4, :, -1] = 1
    return rows


@every_variant
@every_ring
def test_values_are_those_of_the_polynomial(ring, variant):
    x = np.concatenate([random_elements(ring, 1, 1), extreme_elements(ring)])
    values = x.copy()
    ntt.forward(ring, values, variant=variant)
    bits = ring.degree.bit_length() - 1
    for limb, p in enumerate(ring.primes):
        psi = twin.first_root(p, ring.degree)
        for row in (0, 1, 2):
            coefficients = x[row, limb].tolist()
            for i in (0, 1, 2, 5, 8, 13, 16, ring.degree // 2 + 3, ring.degree - 1):
                root = pow(psi, 2 * twin.reverse(i, bits) + 1, p)
                assert values[row, limb, i] == twin.value_at(coefficients, root, p)
    assert (values < np.array(ring.primes, np.uint64)[:, None]).all()
    ntt.inverse(ring, values, variant=variant)
    assert (values == x).all()


@every_ring
def test_variants_give_the_same_words(ring):
    x = np.concatenate([random_elements(ring, 3, 2), extreme_elements(ring)])
    y = np.concatenate([extreme_elements(ring), random_elements(ring, 3, 3)])
    found = []
    for variant in VARIANTS:
        values, back = x.copy(), y.copy()
        ntt.forward(ring, values, variant=variant)
        ntt.inverse(ring, back, variant=variant)
        found.append(
            [
                values,
                back,
                ntt.add(ring, x, y, variant=variant),
                ntt.subtract(ring, x, y, variant=variant),
                ntt.multiply(ring, x, y, variant=variant),
                ntt.multiply(ring, x, y[5:6], variant=variant),
                ntt.inner(ring, x, np.stack([y, x]), variant=variant),
            ]
        )
    for other in found[1:]:
        for ours, theirs in zip(found[0], other, strict=True):
            assert (ours == theirs).all()


@every_variant
@every_ring
def test_word_by_word_operations_equal_the_integers(ring, variant):
    x = np.concatenate([random_elements(ring, 3, 2), extreme_elements(ring)])
    y = np.concatenate([extreme_elements(ring), random_elements(ring, 3, 3)])
    p = np.array(ring.primes, dtype=object)[:, None]
    a, b = x.astype(object), y.astype(object)
    assert (ntt.add(ring, x, y, variant=variant) == (a + b) % p).all()
    assert (ntt.subtract(ring, x, y, variant=variant) == (a - b) % p).all()
    assert (ntt.multiply(ring, x, y, variant=variant) == a * b % p).all()
    held = x.copy()
    assert ntt.subtract(ring, y, held, out=held, variant=variant) is held
    assert (held == (b - a) % p).all()
    with pytest.raises(InputError, match="contiguous array that can be written"):
        ntt.add(ring, x, y, out=np.asfortranarray(x), variant=variant)
    inner = ntt.inner(ring, x, np.stack([y, x]), variant=variant)
    assert (inner[0] == (a * b).sum(axis=0) % p).all()
    assert (inner[1] == (a * a).sum(axis=0) % p).all()


@every_variant
@every_ring
def test_products_equal_those_of_long_integers(ring, variant):
    a, b = random_elements(ring, 3, 4), np.concatenate([random_elements(ring, 1, 5), extreme_elements(ring)[1:3]])
    x, y = a.copy(), b.copy()
    ntt.forward(ring, x, variant=variant)
    ntt.forward(ring, y, variant=variant)
    z = ntt.multiply(ring, x, y, variant=variant)
    ntt.inverse(ring, z, variant=variant)
    for row in range(3):
        for limb, p in enumerate(ring.primes):
            exact = twin.product(a[row, limb].tolist(), b[row, limb].tolist())
            assert z[row, limb].tolist() == [c % p for c in exact]


@given(
    a=st.lists(st.integers(-(2**60), 2**60), min_size=8, max_size=8),
    b=st.lists(st.integers(-9, 9), min_size=8, max_size=8),
)
def test_the_product_of_the_twin_is_the_schoolbook_product(a, b):
    assert twin.product(a, b) == twin.schoolbook(a, b)


@every_variant
@pytest.mark.parametrize("terms", [1, 2, 2047, 2048, 2049, 4097])
def test_long_sums_of_the_largest_products(variant, terms):
    """What the accumulators hold at most, over several runs of them."""
    p = RINGS[1].primes[0]
    ring = ntt.ring(4096, (p,))
    tops = np.full((terms, 1, 4096), p - 1, np.uint64)
    assert (ntt.inner(ring, tops, tops[None], variant=variant) == terms % p).all()


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32), shift=st.integers(0, 8191))
def test_a_power_of_x_shifts_and_negates(seed, shift):
    ring = RINGS[1]
    a, b = random_elements(ring, 1, seed), np.zeros((1, 4, 8192), np.uint64)
    b[:, :, shift] = 1
    x, y = a.copy(), b.copy()
    ntt.forward(ring, x)
    ntt.forward(ring, y)
    z = ntt.multiply(ring, x, y)
    ntt.inverse(ring, z)
    p = np.array(ring.primes, np.uint64)[:, None]
    expected = np.roll(a[0], shift, axis=1)
    expected[:, :shift] = (p - expected[:, :shift]) % p
    assert (z[0] == expected).all()


def test_threads_do_not_matter():
    ring = RINGS[1]
    x, y = random_elements(ring, 5, 1), random_elements(ring, 5, 2)
    one, three = x.copy(), x.copy()
    ntt.forward(ring, one, threads=1)
    ntt.forward(ring, three, threads=3)
    assert (one == three).all()
    assert (ntt.multiply(ring, x, y, threads=1) == ntt.multiply(ring, x, y, threads=3)).all()
    b = np.stack([x, y, x])
    assert (ntt.inner(ring, x, b, threads=1) == ntt.inner(ring, x, b, threads=3)).all()


def test_primes():
    sieve = [n for n in range(2, 2000) if all(n % d for d in range(2, math.isqrt(n) + 1))]
    assert [n for n in range(2000) if ntt.is_prime(n)] == sieve
    # the least strong pseudoprimes to the first 4 and 9 primes (OEIS A014233), and a Carmichael number
    assert not any(map(ntt.is_prime, (3215031751, 3825123056546413051, 561)))
    assert ntt.is_prime(2**61 - 1)


def test_refusals():
    with pytest.raises(InputError, match="degree 4096 or 8192, not 1024"):
        ntt.ring(1024, (40961,))
    with pytest.raises(InputError, match="1 to 4 different primes"):
        ntt.ring(4096, ())
    with pytest.raises(InputError, match="1 to 4 different primes"):
        ntt.ring(4096, (40961, 40961))
    for wrong in (40961 * 65537, 2**50 + 1, 12289):
        with pytest.raises(InputError, match="is no prime"):
            ntt.ring(8192, (wrong,))
    ring = RINGS[0]
    x = random_elements(ring, 2, 1)
    for wrong_array in (x[0], x.astype(np.int64), x[:, :1], x[:, :, :100], x.tolist()):
        with pytest.raises(InputError, match=r"uint64 of shape \(rows, 2, 4096\)"):
            ntt.forward(ring, wrong_array)
    with pytest.raises(InputError, match="contiguous array that can be written"):
        ntt.inverse(ring, np.asfortranarray(x))
    frozen = x.copy()
    frozen.flags.writeable = False
    with pytest.raises(InputError, match="contiguous array that can be written"):
        ntt.forward(ring, frozen)
    with pytest.raises(InputError, match="equal length, not 2 and 1"):
        ntt.add(ring, x, x[:1])
    with pytest.raises(InputError, match="one row, or as many as a: 2, not 3"):
        ntt.multiply(ring, x, random_elements(ring, 3, 1))
    with pytest.raises(InputError, match=r"shape \(rows, 2, 2, 4096\)"):
        ntt.inner(ring, x, x)
    with pytest.raises(InputError, match="at least one term"):
        ntt.inner(ring, x[:0], x[None, :0])
    with pytest.raises(InputError, match="cannot run here"):
        ntt.add(ring, x, x, variant="vax")
