"""The key-value store's kernel against the plain twin: the same solution, byte for byte."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import okvs as twin

from fusion.errors import InputError
from fusion.kernels import block, okvs

VARIANTS = block.variants()
SEED = bytes(range(16))


def random_rows(seed: int, n: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, 16), dtype=np.uint8)


def listed(rows: np.ndarray) -> list[bytes]:
    return [row.tobytes() for row in rows]


def test_the_band_is_that_of_the_twin():
    assert okvs.BAND == twin.BAND
    assert okvs.columns(3, 7) == twin.columns(3, 7) == 3 * (7 + 14) * 32


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize(
    ("n", "bins", "slots"),
    [(0, 1, 1), (1, 1, 1), (2, 1, 1), (33, 1, 1), (300, 1, 1), (300, 1, 30), (400, 3, 5), (500, 40, 1), (700, 2, 13)],
)
def test_the_solution_is_the_twins(n, bins, slots, variant):
    keys, values = random_rows(n, n), random_rows(n + 1, n)
    store = okvs.encode(bins, slots, SEED, keys, values, variant=variant)
    assert store is not None
    assert listed(store) == twin.encode(SEED, listed(keys), listed(values), bins, slots)
    assert (okvs.decode(bins, slots, SEED, keys, store, variant=variant) == values).all()


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize(("bins", "slots"), [(1, 1), (1, 17), (2, 16), (5, 3), (64, 1)])
def test_any_key_of_any_store_decodes_as_the_twin_says(bins, slots, variant):
    keys, store = random_rows(1, 150), random_rows(2, okvs.columns(bins, slots))
    decoded = okvs.decode(bins, slots, SEED, keys, store, variant=variant)
    assert listed(decoded) == [twin.decode(SEED, key, listed(store), bins, slots) for key in listed(keys)]


@settings(max_examples=25, deadline=None)
@given(data=st.data(), bins=st.integers(1, 4), slots=st.integers(1, 40), seed=st.binary(min_size=16, max_size=16))
def test_what_goes_in_comes_out(data, bins, slots, seed):
    """Or is refused, exactly when the twin refuses it."""
    most = 30 * bins * slots + 200
    n = data.draw(st.integers(0, min(most, 400)))
    keys, values = random_rows(n, n), random_rows(n + 1, n)
    store = okvs.encode(bins, slots, seed, keys, values)
    if store is None:
        assert twin.encode(seed, listed(keys), listed(values), bins, slots) is None
    else:
        assert (okvs.decode(bins, slots, seed, keys, store) == values).all()


@pytest.mark.parametrize("n", [460, 470, 476, 477, 478, 479, 480])
def test_one_band_fails_as_often_as_a_random_matrix(n):
    """All keys in one band: the measured rate's 99.9 % interval (Clopper and Pearson) holds the exact chance."""
    keys = random_rows(n, n)
    runs = 400
    failures = sum(okvs.encode(1, 1, i.to_bytes(16, "big"), keys, keys) is None for i in range(runs))
    assert twin.inside_interval(failures, runs, twin.failure_of_one_slot(n))


def test_more_keys_than_a_band_holds_are_refused():
    keys = random_rows(1, 481)
    assert okvs.encode(1, 1, SEED, keys, keys) is None


@pytest.mark.parametrize("position", [0, 1, 250, 498, 499])
def test_a_key_that_occurs_twice_is_refused(position):
    keys, values = random_rows(1, 500), random_rows(2, 500)
    keys[position] = keys[(position + 137) % 500]
    assert okvs.encode(1, 20, SEED, keys, values) is None
    values[position] = values[(position + 137) % 500]
    assert okvs.encode(1, 20, SEED, keys, values) is None


@pytest.mark.parametrize(("n", "bins", "slots"), [(20_000, 4, 165), (9_000, 1, 300)])
def test_threads_and_variants_do_not_matter(n, bins, slots):
    keys, values = random_rows(1, n), random_rows(2, n)
    stores = [
        okvs.encode(bins, slots, SEED, keys, values, threads=t, variant=v) for t in (1, 2, 5, None) for v in VARIANTS
    ]
    assert stores[0] is not None
    assert all(store is not None and (store == stores[0]).all() for store in stores)
    for threads in (1, 2, 5, None):
        for variant in VARIANTS:
            decoded = okvs.decode(bins, slots, SEED, keys, stores[0], threads=threads, variant=variant)
            assert (decoded == values).all()


def test_one_failing_bin_fails_the_store():
    """Keys chosen to lie in the second of three bins, more than it can hold."""
    keys = random_rows(1, 2000)
    inside = [key for key in listed(keys) if (twin.row(SEED, key, 3, 2).bit_length() - 1) // (16 * 32) == 1]
    crowded = np.frombuffer(b"".join(inside), dtype=np.uint8).reshape(-1, 16)
    assert len(crowded) > 16 * 32
    for threads in (1, 3):
        assert okvs.encode(3, 2, SEED, crowded, crowded, threads=threads) is None
    fewer = crowded[:400]
    store = okvs.encode(3, 2, SEED, fewer, fewer)
    assert store is not None
    outside = np.concatenate([store[: 16 * 32], store[2 * 16 * 32 :]])
    assert not outside.any()


def test_few_keys_in_a_large_store_and_many_in_a_small_one():
    """A decoder meets both: blocks that no key covers, and batches that share a single band."""
    few, many = random_rows(1, 7), random_rows(2, 20_000)
    large, small = random_rows(3, okvs.columns(3, 700)), random_rows(4, okvs.columns(1, 1))
    expected = [twin.decode(SEED, key, listed(large), 3, 700) for key in listed(few)]
    assert listed(okvs.decode(3, 700, SEED, few, large)) == expected
    decoded = okvs.decode(1, 1, SEED, many, small)
    for i in (0, 1, 8191, 8192, 8193, 19_999):
        assert decoded[i].tobytes() == twin.decode(SEED, many[i].tobytes(), listed(small), 1, 1)


def test_columns_at_any_address():
    keys, values = random_rows(1, 600), random_rows(2, 600)
    store = okvs.encode(1, 25, SEED, keys, values)
    assert store is not None
    shifted = np.empty(store.nbytes + 3, dtype=np.uint8)[3:].reshape(store.shape)
    shifted[:] = store
    assert (okvs.decode(1, 25, SEED, keys, shifted) == values).all()


def test_inputs_are_not_touched():
    keys, values = random_rows(1, 300), random_rows(2, 300)
    before = keys.copy(), values.copy()
    store = okvs.encode(1, 15, SEED, keys, values)
    assert store is not None
    kept = store.copy()
    okvs.decode(1, 15, SEED, keys, store)
    assert (keys == before[0]).all()
    assert (values == before[1]).all()
    assert (store == kept).all()


def test_refusals():
    rows = random_rows(1, 4)
    with pytest.raises(InputError, match="equal length, not 4 and 3"):
        okvs.encode(1, 1, SEED, rows, rows[:3])
    with pytest.raises(InputError, match="the seed must have 16 bytes, not 15"):
        okvs.encode(1, 1, SEED[:15], rows, rows)
    for bins, slots in ((0, 1), (1, 0), (-1, 5), (2**16, 2**16), (1, 2**32)):
        with pytest.raises(InputError, match="at least one bin and one slot"):
            okvs.encode(bins, slots, SEED, rows, rows)
    with pytest.raises(InputError, match=r"keys must have shape \(n, 16\)"):
        okvs.decode(1, 1, SEED, rows[:, :8], random_rows(2, 480))
    for length in (0, 479, 481):
        with pytest.raises(InputError, match=f"the store must have 480 columns, not {length}"):
            okvs.decode(1, 1, SEED, rows, random_rows(2, length))
