"""Multiples from tables: both variants against libsodium, which knows no tables, and against Python integers."""

from __future__ import annotations

import random

import numpy as np
import pytest
from reference import libsodium

from fusion import kernels
from fusion.errors import InputError
from fusion.kernels import multiples, ristretto
from fusion.kernels.ristretto import ORDER


@pytest.fixture(params=kernels.variants("elgamal"))
def variant(request: pytest.FixtureRequest) -> str:
    """Every variant of this kernel that this CPU can run."""
    return str(request.param)


LENGTHS = [0, 1, 7, 8, 9, 16, 63, 64, 65, 130]
EDGES = [0, 1, -1, 7, 8, 9, -7, -8, -9, 15, 16, -16, 255, 2**32, -(2**32), 2**62, 2**63 - 1, -(2**63)]


def little(values: list[int]) -> np.ndarray:
    joined = b"".join((value % ORDER).to_bytes(32, "little") for value in values)
    return np.frombuffer(joined, dtype=np.uint8).reshape(-1, 32)


def numbers(seed: int, n: int) -> list[int]:
    source = random.Random(seed)
    edges = [0, 1, ORDER - 1, 8, 16, 2**252, 15 << 248, int("8" * 62, 16)]
    return (edges + [source.randrange(ORDER) for _ in range(n)])[:n]


@pytest.mark.parametrize("n", LENGTHS)
def test_rows_equal_libsodium(variant, n):
    source = np.random.default_rng(n)
    keys = libsodium.from_uniform(source.integers(0, 256, (2, 64), dtype=np.uint8))
    elements = ristretto.decode(keys)[0]
    tables = [multiples.Multiples(elements[j : j + 1], variant=variant) for j in range(2)]
    r = numbers(n, n)
    values = source.integers(-(2**63), 2**63 - 1, (n, 2))
    values[: len(EDGES), 0] = EDGES[:n]
    rows = multiples.encrypt(little(r), values, tables, variant=variant)
    got = ristretto.encode(rows).reshape(n, 3, 32)
    assert (got[:, 0] == libsodium.multiply_base(little(r))).all()
    for j in range(2):
        small = libsodium.multiply_base(little([int(v) for v in values[:, j]]))
        masks = [libsodium.multiply(keys[j : j + 1], little([k]).tobytes()) for k in r]
        expected = libsodium.add(np.concatenate([np.empty((0, 32), np.uint8), *masks]), small)
        assert (got[:, 1 + j] == expected).all()


def test_small_multiples(variant):
    got = ristretto.encode(multiples.multiply_small(np.array(EDGES), variant=variant))
    assert (got == libsodium.multiply_base(little(EDGES))).all()


@pytest.mark.parametrize("n", [0, 1, 2, 1000])
def test_scalars_are_reduced(n):
    source = np.random.default_rng(n)
    wide = source.integers(0, 256, (n, 64), dtype=np.uint8)
    got = multiples.reduce_scalars(wide)
    assert (got == little([int.from_bytes(row.tobytes(), "little") for row in wide])).all()


def test_scalars_at_the_edges_are_reduced():
    edges = [k * ORDER + d for k in (0, 1, 2, 15, 2**128, 2**256, 2**512 // ORDER - 1) for d in (-1, 0, 1)]
    edges += [2**512 - 1, 2**512 - 2, 2**256, 2**256 - 1, (2**256 - 1) << 256, 2**252]
    rows = b"".join((edge % 2**512).to_bytes(64, "little") for edge in edges)
    got = multiples.reduce_scalars(np.frombuffer(rows, dtype=np.uint8).reshape(-1, 64))
    assert (got == little([edge % 2**512 for edge in edges])).all()


def test_threads_change_nothing(variant):
    values = np.arange(-500, 500)
    one = ristretto.encode(multiples.multiply_small(values, threads=1, variant=variant))
    assert (ristretto.encode(multiples.multiply_small(values, threads=3, variant=variant)) == one).all()


def test_what_is_not_rows_is_refused(variant):
    base = ristretto.multiply_base(little([1]))
    table = multiples.Multiples(base, variant=variant)
    with pytest.raises(InputError, match="below the group order"):
        multiples.encrypt(np.full((1, 32), 255, np.uint8), np.zeros((1, 1), np.int64), [table], variant=variant)
    with pytest.raises(InputError, match=r"\(1, 1\) int64"):
        multiples.encrypt(little([1]), np.zeros((1, 2), np.int64), [table], variant=variant)
    with pytest.raises(InputError, match="of one element, not of 2"):
        multiples.Multiples(ristretto.multiply_base(little([1, 2])), variant=variant)
