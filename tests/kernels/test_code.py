from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import code as twin
from reference import gf128

from fusion.errors import InputError
from fusion.kernels import block, code


def vector(n, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, 16), dtype=np.uint8)


def compressed(rows, **options):
    return code.Code(len(rows), **options).compress(rows.copy())


@pytest.mark.parametrize("n", [32, 64, 96, 544])
def test_the_result_is_that_of_the_twin(n):
    rows = vector(n, n)
    expected = twin.compress([int.from_bytes(row.tobytes(), "little") for row in rows])
    for variant in block.variants():
        assert compressed(rows, variant=variant).tobytes() == b"".join(y.to_bytes(16, "little") for y in expected)


def test_several_buckets():
    """4128 elements have two buckets. The twin multiplies only what is not zero, from a late place on: quick enough."""
    n = 4128
    orders = [twin.order(n, 4 * stage, twin.bucket_count(n)) for stage in range(2)]
    assert [sorted(order) for order in orders] == [list(range(n))] * 2
    labels = [[label for label, _ in zip(twin.words(4 * stage, 16), range(n), strict=False)] for stage in range(2)]
    place = 4000
    rows = np.zeros((n, 16), np.uint8)
    rows[place, 0] = 1
    x = [0] * place + [1] * (n - place)
    for stage in range(2):
        v = [gf128.multiply(label, value) if value else 0 for label, value in zip(labels[stage], x, strict=True)]
        x = [v[i] for i in orders[stage]]
        if stage == 0:
            total = 0
            for i, value in enumerate(x):
                total ^= value
                x[i] = total
    columns = n // 32
    weights = [gf128.invert(16 + k) for k in range(16)]
    y = compressed(rows)
    for j, column in [(0, 0), (3, 10), (15, columns - 1)]:
        expected = x[columns * j + column]
        for i in range(16):
            expected ^= gf128.multiply(weights[j ^ i], x[columns * (16 + i) + column])
        assert y[columns * j + column].tobytes() == expected.to_bytes(16, "little")


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 300), st.integers(0, 2**32), st.binary(min_size=16, max_size=16))
def test_it_is_linear_over_the_field(size, seed, factor):
    a, b = vector(32 * size, seed), vector(32 * size, seed + 1)
    combined = compressed(block.scale(a, factor) ^ b)
    assert (combined == block.scale(compressed(a), factor) ^ compressed(b)).all()


def test_variants_agree_where_there_are_many_buckets():
    rows = vector(32 * 1000)
    results = [compressed(rows, variant=variant) for variant in block.variants()]
    assert all((result == results[0]).all() for result in results)


def test_no_element_is_lost():
    """Every unit vector changes most of the result."""
    n = 64
    for i in range(n):
        rows = np.zeros((n, 16), np.uint8)
        rows[i, 5] = 7
        assert compressed(rows).any(axis=1).sum() >= n // 4


def test_threads_change_nothing():
    rows = vector(32 * 6000)  # three parts, of 64 buckets
    expected = compressed(rows, threads=1)
    assert expected.shape == (16 * 6000, 16)
    for threads in (2, 3, None):
        assert (compressed(rows, threads=threads) == expected).all()
    assert compressed(vector(0)).shape == (0, 16)


def noise(stretches, leaves, seed):
    source = np.random.default_rng(seed)
    points = source.integers(0, leaves, stretches).astype(np.uint64)
    values = vector(stretches, seed)
    rows = np.zeros((stretches, leaves, 16), np.uint8)
    rows[np.arange(stretches), points] = values
    return points, values, rows.reshape(-1, 16)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**32))
def test_noise_is_compressed_as_the_vector_that_it_stands_for(stretches, leaves, seed):
    points, values, rows = noise(32 * stretches, leaves, seed)
    for variant in block.variants():
        assert (
            code.Code(len(rows), variant=variant).compress_noise(points, values, vector(len(rows))) == compressed(rows)
        ).all()


@pytest.mark.parametrize("leaves", [2048, 6000])
def test_noise_of_several_parts(leaves):
    points, values, rows = noise(64, leaves, leaves)
    for threads in (1, 2):
        assert (
            code.Code(len(rows), threads=threads).compress_noise(points, values, vector(len(rows))) == compressed(rows)
        ).all()
    # at the very ends of stretches
    points[::2], points[1::2] = 0, leaves - 1
    rows = np.zeros((64, leaves, 16), np.uint8)
    rows[np.arange(64), points] = values
    assert (
        code.Code(64 * leaves).compress_noise(points, values, vector(64 * leaves)) == compressed(rows.reshape(-1, 16))
    ).all()


@pytest.mark.parametrize(
    ("points", "values", "words"),
    [
        (np.zeros(31, np.uint64), vector(32), "as many points"),
        (np.zeros(32, np.int64), vector(32), "uint64"),
        (np.full(32, 32, np.uint64), vector(32), "below 32"),
        (np.zeros(31, np.uint64), vector(31), "equal stretches"),
        (np.zeros(0, np.uint64), vector(0), "equal stretches"),
        (np.zeros(32, np.uint64), vector(32)[:, :8], "shape"),
    ],
)
def test_malformed_noise_is_refused(points, values, words):
    with pytest.raises(InputError, match=words):
        code.Code(32 * 32).compress_noise(points, values, vector(32 * 32))


def test_a_code_serves_many_vectors():
    """What it keeps is the same for all, and stays so."""
    points, values, rows = noise(32, 160, 3)
    one = code.Code(len(rows))
    for seed in range(2):
        other = vector(len(rows), seed)
        assert (one.compress_noise(points, values, vector(len(rows))) == compressed(rows)).all()
        assert (one.compress(other.copy()) == compressed(other)).all()


def test_the_contraction_is_maximum_distance_separable():
    """Its matrix 1 / (x_i + y_j), of distinct x and y, is Cauchy's, each minor of which differs from zero."""
    weights = [int.from_bytes(code._weights()[16 * k : 16 * k + 16], "little") for k in range(16)]
    for j in range(16):
        for i in range(16):
            assert gf128.multiply(weights[j ^ i], j ^ (16 + i)) == 1


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (vector(33), "multiple of 32"),
        (vector(64)[::2], "contiguous"),
        (vector(32).view(np.int8), "uint8"),
        (vector(32)[:, :8], "shape"),
    ],
)
def test_malformed_vectors_are_refused(rows, words):
    with pytest.raises(InputError, match=words):
        code.Code(len(rows)).compress(rows)


def test_a_vector_of_another_length_is_refused():
    with pytest.raises(InputError, match="for 64 rows, not 32"):
        code.Code(64).compress(vector(32))
    with pytest.raises(InputError, match="for 64 rows, not 32"):
        code.Code(64).compress_noise(np.zeros(32, np.uint64), vector(32), vector(32))


def test_a_read_only_vector_is_refused():
    rows = vector(32)
    rows.flags.writeable = False
    with pytest.raises(InputError, match="written"):
        code.Code(32).compress(rows)
