"""The key-value store: sizes, their proven bound, and the properties that protocols lean on."""

from __future__ import annotations

import itertools
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import okvs as twin

from fusion.crypto import okvs
from fusion.errors import FusionError, InputError
from fusion.kernels import okvs as kernel

SEED = b"drawn afterwards"


def random_rows(seed: int, n: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, 16), dtype=np.uint8)


# --- sizes ---


def test_sizes_are_those_of_the_first_release():
    """Both sides compute them: a change is a new wire version."""
    sizes = {n: okvs.parameters(n) for n in (0, 1, 30, 31, 1000, 2**17, 2**17 + 1, 10**6, 2**20, 2**24, 2**28)}
    assert {n: (p.bins, p.slots, p.columns) for n, p in sizes.items()} == {
        0: (1, 1, 480),
        1: (1, 1, 480),
        30: (1, 1, 480),
        31: (1, 2, 512),
        1000: (1, 33, 1504),
        2**17: (1, 4284, 137536),
        2**17 + 1: (2, 2143, 138048),
        10**6: (8, 4094, 1051648),
        2**20: (8, 4296, 1103360),
        2**24: (128, 4312, 17719296),
        2**28: (2048, 4328, 284557312),
    }


def test_bytes_an_item():
    for n in (2**16, 2**20, 2**24):
        assert 16 * okvs.parameters(n).columns <= 17 * n


def test_more_keys_never_take_fewer_columns():
    columns = [okvs.parameters(n).columns for n in (*range(5000), *range(5000, 2**22, 1009))]
    assert all(a <= b for a, b in itertools.pairwise(columns))


def log2_bound(n: int) -> float:
    sizes = okvs.parameters(n)
    return twin.log2_failure_bound(n, sizes.bins * sizes.slots)


def test_the_proven_bound_holds_for_small_stores():
    """Rounding up to a whole slot matters most there. The bound grows with n while the number of slots stays."""
    by_slots = {okvs.parameters(n).slots: n for n in range(1, 2**12)}
    assert max(log2_bound(n) for n in by_slots.values()) <= -40


@pytest.mark.parametrize("bits", range(12, 29))
def test_the_proven_bound_holds_for_large_stores(bits):
    """The least room among n of this many bits is without rounding, the most slots with it, at the largest n."""
    largest = 2**bits - 1
    sizes = okvs.parameters(largest)
    slots = sizes.bins * sizes.slots
    emptiest = 1024 / (1053 + bits) * 32 * slots  # keys that fill these slots as far as the rule ever does
    assert emptiest >= largest
    assert twin.log2_failure_bound(emptiest, slots) <= -40


def test_the_bound_is_above_the_value():
    """The value, for a Poisson number of keys, from following the elimination slot by slot."""
    sizes = okvs.parameters(2**17)
    value = twin.failure_of_poisson_keys(2**17, sizes.bins, sizes.slots)
    assert 2.0**-60 < value < 2.0 ** (log2_bound(2**17) - 1)


@pytest.mark.parametrize("n", [-1, 2**28 + 1])
def test_sizes_out_of_range(n):
    with pytest.raises(InputError, match="holds 0 to 268435456 keys"):
        okvs.parameters(n)


# --- the store ---


@pytest.mark.parametrize("n", [0, 1, 2, 3, 31, 32, 33, 479, 480, 481, 1000, 4096, 131_073])
def test_every_key_recovers_its_value(n):
    sizes = okvs.parameters(n)
    keys, values = random_rows(n, n), random_rows(n + 1, n)
    store = okvs.encode(sizes, SEED, keys, values)
    assert store.shape == (sizes.columns, 16)
    assert (okvs.decode(sizes, SEED, keys, store) == values).all()
    assert (okvs.decode(sizes, SEED, keys[::-3], store) == values[::-3]).all()


@settings(max_examples=20, deadline=None)
@given(n=st.integers(0, 600), seed=st.binary(min_size=16, max_size=16))
def test_decoding_equals_the_plain_twin(n, seed):
    sizes = okvs.parameters(n)
    keys, values, strangers = random_rows(n, n), random_rows(n + 1, n), random_rows(n + 2, 5)
    store = okvs.encode(sizes, seed, keys, values)
    columns = [row.tobytes() for row in store]
    for key, value in zip(keys[:5], values[:5], strict=True):
        assert twin.decode(seed, key.tobytes(), columns, sizes.bins, sizes.slots) == value.tobytes()
    decoded = okvs.decode(sizes, seed, strangers, store)
    for key, value in zip(strangers, decoded, strict=True):
        assert twin.decode(seed, key.tobytes(), columns, sizes.bins, sizes.slots) == value.tobytes()


@settings(max_examples=20, deadline=None)
@given(n=st.integers(0, 500), seed=st.binary(min_size=16, max_size=16))
def test_both_ways_are_linear(n, seed):
    sizes = okvs.parameters(n)
    keys, a, b = random_rows(n, n), random_rows(n + 1, n), random_rows(n + 2, n)
    probes = np.concatenate([keys, random_rows(n + 3, 50)])
    first, second = okvs.encode(sizes, seed, keys, a), okvs.encode(sizes, seed, keys, b)
    assert (okvs.encode(sizes, seed, keys, a ^ b) == first ^ second).all()
    assert (
        okvs.decode(sizes, seed, probes, first ^ second)
        == okvs.decode(sizes, seed, probes, first) ^ okvs.decode(sizes, seed, probes, second)
    ).all()


def test_the_order_of_keys_does_not_matter():
    sizes, keys, values = okvs.parameters(3000), random_rows(1, 3000), random_rows(2, 3000)
    order = np.random.default_rng(3).permutation(3000)
    store = okvs.encode(sizes, SEED, keys, values)
    assert (okvs.encode(sizes, SEED, keys[order], values[order]) == store).all()


def test_a_stranger_gets_a_value_that_looks_random():
    """With a masked store, as it travels: each bit of 20,000 strangers' values is set half the time, six sigma."""
    sizes = okvs.parameters(2000)
    store = okvs.encode(sizes, SEED, random_rows(1, 2000), random_rows(2, 2000)) ^ random_rows(3, sizes.columns)
    bits = np.unpackbits(okvs.decode(sizes, SEED, random_rows(4, 20_000), store), axis=1)
    assert (np.abs(bits.mean(axis=0) - 0.5) < 6 * 0.5 / 20_000**0.5).all()


def test_a_key_of_another_seed_is_a_stranger():
    sizes, keys, values = okvs.parameters(500), random_rows(1, 500), random_rows(2, 500)
    store = okvs.encode(sizes, SEED, keys, values)
    assert not (okvs.decode(sizes, SEED[::-1], keys, store) == values).all(axis=1).any()


def test_fewer_keys_than_announced():
    sizes, keys, values = okvs.parameters(5000), random_rows(1, 120), random_rows(2, 120)
    store = okvs.encode(sizes, SEED, keys, values)
    assert store.shape == (sizes.columns, 16)
    assert (okvs.decode(sizes, SEED, keys, store) == values).all()


@pytest.mark.parametrize("fill", [0x00, 0xFF])
def test_any_bytes_decode(fill):
    sizes = okvs.parameters(2000)
    store = np.full((sizes.columns, 16), fill, dtype=np.uint8)
    decoded = okvs.decode(sizes, SEED, random_rows(1, 3000), store)
    # A sum of an even number of equal columns is zero, of an odd number one of them.
    assert ((decoded == 0).all(axis=1) | (decoded == fill).all(axis=1)).all()


# --- refusals ---


def test_a_key_that_occurs_twice():
    sizes, keys, values = okvs.parameters(1000), random_rows(1, 1000), random_rows(2, 1000)
    keys[3] = keys[900]
    with pytest.raises(InputError, match="a key occurs twice"):
        okvs.encode(sizes, SEED, keys, values)


def test_no_solution_is_an_error_that_names_no_key(monkeypatch):
    monkeypatch.setattr(kernel, "encode", lambda *arguments, **options: None)
    keys = random_rows(1, 10)
    with pytest.raises(FusionError, match="no solution") as raised:
        okvs.encode(okvs.parameters(10), SEED, keys, keys)
    assert type(raised.value) is FusionError


def test_too_many_keys():
    keys = random_rows(1, 11)
    with pytest.raises(InputError, match="at most 10 keys, not 11"):
        okvs.encode(okvs.parameters(10), SEED, keys, keys)


def test_what_is_not_sixteen_bytes():
    sizes, rows = okvs.parameters(4), random_rows(1, 4)
    with pytest.raises(InputError, match="keys must be a numpy array"):
        okvs.encode(sizes, SEED, [b"a"], rows)
    with pytest.raises(InputError, match="values must have shape"):
        okvs.encode(sizes, SEED, rows, rows[:, :8])
    with pytest.raises(InputError, match="the seed must have 16 bytes"):
        okvs.encode(sizes, b"short", rows, rows)
    with pytest.raises(InputError, match="the store must have 480 columns, not 479"):
        okvs.decode(sizes, SEED, rows, random_rows(1, 479))


# --- memory ---


def test_memory_beyond_inputs_and_output():
    """Stays far below the store itself: bins are solved one after another in the same place."""
    n = 2**18
    sizes, keys, values = okvs.parameters(n), random_rows(1, n), random_rows(2, n)
    tracemalloc.start()
    store = okvs.encode(sizes, SEED, keys, values, threads=1)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak - store.nbytes < 16 * 2**20
