from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import ggm as twin

from fusion.errors import InputError
from fusion.kernels import block, ggm

RANDOM = np.random.default_rng(11)


def blocks(*shape):
    return RANDOM.integers(0, 256, (*shape, 16), dtype=np.uint8)


def hints_for(sums, points):
    """Of each level, the sum that does not contain the path."""
    depth = sums.shape[1]
    return np.array(
        [[sums[t, d, 1 - (int(p) >> d & 1)] for d in range(depth)] for t, p in enumerate(points)], np.uint8
    ).reshape(len(points), depth, 16)


@pytest.mark.parametrize("variant", block.variants())
@pytest.mark.parametrize("leaves", [2, 3, 4, 5, 8, 13, 33])
def test_leaves_and_sums_are_those_of_the_twin(leaves, variant):
    depth = ggm.depth(leaves)
    seeds, keys = blocks(2), blocks(2, depth)
    grown, sums = ggm.expand(seeds, keys, leaves, variant=variant)
    for t in range(2):
        expected, expected_sums = twin.expand(seeds[t].tobytes(), [key.tobytes() for key in keys[t]], leaves)
        assert grown[t].tobytes() == b"".join(expected)
        assert sums[t].tobytes() == b"".join(left + right for left, right in expected_sums)


@pytest.mark.parametrize("variant", block.variants())
@pytest.mark.parametrize("leaves", [2, 3, 5, 8, 13])
def test_every_leaf_can_be_the_missing_one(leaves, variant):
    depth = ggm.depth(leaves)
    points = np.arange(leaves, dtype=np.uint64)
    seeds, keys = blocks(leaves), blocks(leaves, depth)
    grown, sums = ggm.expand(seeds, keys, leaves, variant=variant)
    hints = hints_for(sums, points)
    punctured = np.full((leaves, leaves, 16), 0xA5, np.uint8)
    totals = ggm.puncture(punctured, hints, points, keys, variant=variant)
    for t in range(leaves):
        expected = grown[t].copy()
        expected[t] = 0
        assert (punctured[t] == expected).all()
        assert (totals[t] == np.bitwise_xor.reduce(expected)).all()
        again = twin.puncture([h.tobytes() for h in hints[t]], t, [k.tobytes() for k in keys[t]], leaves)
        assert again == [None if i == t else leaf.tobytes() for i, leaf in enumerate(grown[t])]


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 3000), st.integers(1, 5), st.integers(0, 2**32), st.sampled_from([1, 2]))
def test_the_missing_leaf_is_what_the_totals_lack(leaves, trees, seed, threads):
    random = np.random.default_rng(seed)
    points = random.integers(0, leaves, trees).astype(np.uint64)
    seeds, keys = blocks(trees), blocks(trees, ggm.depth(leaves))
    grown, sums = ggm.expand(seeds, keys, leaves, threads=threads)
    punctured = np.empty((trees, leaves, 16), np.uint8)
    totals = ggm.puncture(punctured, hints_for(sums, points), points, keys, threads=threads)
    everything = sums[:, -1, 0] ^ sums[:, -1, 1]
    ggm.place(punctured, points, totals ^ everything, threads=threads)
    assert (punctured == grown).all()


def test_variants_agree_on_wide_trees():
    seeds, keys = blocks(3), blocks(3, ggm.depth(5000))
    results = [ggm.expand(seeds, keys, 5000, variant=variant)[0] for variant in block.variants()]
    assert all((result == results[0]).all() for result in results)


def test_a_key_belongs_to_one_level_of_one_tree():
    seeds, keys = blocks(2), blocks(2, 3)
    before = ggm.expand(seeds, keys, 8)[0]
    keys[1, 2] ^= 1
    after = ggm.expand(seeds, keys, 8)[0]
    assert (before[0] == after[0]).all()
    assert (before[1] != after[1]).any(axis=1).all()


def test_no_trees():
    keys, none = blocks(0, 2), np.empty(0, np.uint64)
    assert ggm.expand(blocks(0), keys, 4)[0].shape == (0, 4, 16)
    assert ggm.puncture(blocks(0, 4), blocks(0, 2), none, keys).shape == (0, 16)
    ggm.place(np.empty((0, 4, 16), np.uint8), none, blocks(0))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: ggm.depth(1), "2 to"),
        (lambda: ggm.depth(2**31 + 1), "2 to"),
        (lambda: ggm.expand(blocks(2), blocks(2, 3), 4), "keys must be"),
        (lambda: ggm.expand(blocks(2).view(np.int8), blocks(2, 2), 4), "seeds must be"),
        (lambda: ggm.puncture(blocks(1, 4), blocks(1, 2), np.array([4], np.uint64), blocks(1, 2)), "below 4"),
        (lambda: ggm.puncture(blocks(1, 4), blocks(1, 2), np.array([1]), blocks(1, 2)), "points must be"),
        (lambda: ggm.puncture(blocks(1, 4), blocks(2, 2), np.array([1], np.uint64), blocks(1, 2)), "hints must be"),
        (lambda: ggm.puncture(blocks(2, 4), blocks(2, 2), np.array([1], np.uint64), blocks(2, 2)), "as many points"),
        (lambda: ggm.puncture(blocks(4), blocks(1, 2), np.array([1], np.uint64), blocks(1, 2)), "out must be"),
        (lambda: ggm.place(blocks(4, 4)[::2], np.array([1, 1], np.uint64), blocks(2)), "contiguous"),
        (lambda: ggm.place(blocks(4), np.array([1], np.uint64), blocks(1)), "out must be"),
        (lambda: ggm.place(blocks(2, 4), np.array([1], np.uint64), blocks(2)), "as many points"),
        (lambda: ggm.place(blocks(1, 4), np.array([4], np.uint64), blocks(1)), "below 4"),
        (lambda: ggm.place(blocks(1, 4), np.array([1], np.uint64), blocks(2)), "values must be"),
    ],
)
def test_malformed_arguments_are_refused(call, words):
    with pytest.raises(InputError, match=words):
        call()
