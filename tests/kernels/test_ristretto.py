"""Every variant against RFC 9496's vectors, the plain twin and libsodium."""

from __future__ import annotations

import copy as copying
import pickle
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import libsodium, vectors
from reference import ristretto255 as twin

from fusion import kernels
from fusion.errors import InputError
from fusion.kernels import ristretto

RISTRETTO = vectors.load("ristretto255.json")
ORDER = ristretto.ORDER
IDENTITY = bytes(32)
# Around the blocks that share an inversion and the lanes of wide variants.
LENGTHS = [0, 1, 2, 3, 7, 8, 9, 15, 17, 63, 64, 65, 127, 128, 129, 255, 256, 257]
EDGE_SCALARS = {
    "zero": 0,
    "one": 1,
    "two": 2,
    "seven": 7,
    "eight": 8,
    "fifteen": 15,
    "sixteen": 16,
    "order-1": ORDER - 1,
    "order-2": ORDER - 2,
    "half-order": (ORDER + 1) // 2,
    "2^252": 2**252,
    "2^252-1": 2**252 - 1,
    "one-high-digit": 15 << 248,
    "sparse": 1 << 128 | 1,
    "digits-8": int("8" * 62, 16),
    "digits-7": int("7" * 63, 16),
    "digits-f": int("f" * 62, 16),
}


def little(value: int) -> bytes:
    return value.to_bytes(32, "little")


def random_rows(seed: int, n: int, width: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, width), dtype=np.uint8)


def random_scalars(seed: int, n: int) -> np.ndarray:
    source = random.Random(seed)
    return np.frombuffer(b"".join(little(source.randrange(ORDER)) for _ in range(n)), dtype=np.uint8).reshape(n, 32)


@pytest.fixture(scope="module")
def elements() -> np.ndarray:
    """10,000 encoded elements by libsodium, identities and small multiples of the generator among them."""
    rows = libsodium.from_uniform(random_rows(1, 10_000, 64))
    rows[[0, 63, 64, 65, 1000, 1001, 9_999]] = 0
    rows[5_000:5_016] = vectors.rows(RISTRETTO["multiples"])
    return rows


def decoded(rows: np.ndarray, variant: str) -> ristretto.Points:
    points, valid = ristretto.decode(rows, variant=variant)
    assert valid.all()
    return points


# --- RFC 9496, appendix A ---


def test_multiples_of_the_generator(variant):
    expected = vectors.rows(RISTRETTO["multiples"])
    scalars = np.array([list(little(i)) for i in range(16)], dtype=np.uint8)
    points = ristretto.multiply_base(scalars, variant=variant)
    assert (ristretto.encode(points, variant=variant) == expected).all()
    generator = points[np.ones(16, dtype=np.int64)]
    sums = ristretto.add(points[:15], generator[:15], variant=variant)
    assert (ristretto.encode(sums, variant=variant) == expected[1:]).all()
    for i in range(16):
        assert ristretto.multiply_encode(generator[:1], little(i), variant=variant).tobytes() == expected[i].tobytes()


def test_invalid_encodings_are_refused_among_valid_ones(variant):
    bad = vectors.rows([case["encoding"] for case in RISTRETTO["invalid"]])
    good = vectors.rows(RISTRETTO["multiples"])
    order = np.random.default_rng(5).permutation(len(bad) + len(good))
    points, valid = ristretto.decode(np.concatenate([bad, good])[order], variant=variant)
    assert (valid == (order >= len(bad))).all()
    encodings = ristretto.encode(points, variant=variant)
    assert not encodings[~valid].any(), "an invalid row must give the identity"
    assert (encodings[valid] == np.concatenate([bad, good])[order][valid]).all()


def test_from_uniform(variant):
    uniform = vectors.rows([case["uniform"] for case in RISTRETTO["from_uniform"]])
    expected = vectors.rows([case["encoding"] for case in RISTRETTO["from_uniform"]])
    assert (ristretto.encode(ristretto.from_uniform(uniform, variant=variant), variant=variant) == expected).all()


# --- libsodium, 10,000 rows each ---


def test_from_uniform_equals_libsodium(variant):
    uniform = random_rows(2, 10_000, 64)
    # Halves that are 0, 1, p - 1, p, p + 18 and all ones, with and without the ignored top bit.
    edges = [0, 1, 2**255 - 20, 2**255 - 19, 2**255 - 1, 2**255, 2**256 - 1]
    for i, low in enumerate(edges):
        for j, high in enumerate(edges):
            uniform[i * len(edges) + j] = list(little(low) + little(high))
    points = ristretto.from_uniform(uniform, variant=variant)
    assert (ristretto.encode(points, variant=variant) == libsodium.from_uniform(uniform)).all()


def test_decode_equals_libsodium(variant, elements):
    source = np.random.default_rng(3)
    rows = elements.copy()
    rows[::4] = source.integers(0, 256, rows[::4].shape, dtype=np.uint8)  # mostly refused for a high bit
    rows[1::4] = source.integers(0, 256, rows[1::4].shape, dtype=np.uint8)
    rows[1::4, 31] &= 0x7F
    rows[1::4, 0] &= 0xFE  # the rest of the checks
    rows[2::4] = [list(little(-int.from_bytes(e.tobytes(), "little") % twin.P)) for e in elements[2::4]]
    points, valid = ristretto.decode(rows, variant=variant)
    assert (valid == libsodium.is_valid(rows)).all()
    assert 2_000 < np.count_nonzero(valid) < 9_000
    encodings = ristretto.encode(points, variant=variant)
    assert (encodings[valid] == rows[valid]).all()
    assert not encodings[~valid].any()


def test_multiply_equals_libsodium(variant, elements):
    scalar = random_scalars(4, 1).tobytes()
    points = decoded(elements, variant)
    expected = libsodium.multiply(elements, scalar)
    product = ristretto.multiply(points, scalar, variant=variant)
    assert (ristretto.encode(product, variant=variant) == expected).all()
    assert (ristretto.multiply_encode(points, scalar, variant=variant) == expected).all()


@pytest.mark.parametrize("value", EDGE_SCALARS.values(), ids=EDGE_SCALARS)
def test_edge_scalars_equal_libsodium(variant, elements, value):
    rows = np.concatenate([elements[:150], elements[4_990:5_030]])
    points = decoded(rows, variant)
    expected = libsodium.multiply(rows, little(value))
    product = ristretto.multiply(points, little(value), variant=variant)
    assert (ristretto.encode(product, variant=variant) == expected).all()
    assert (ristretto.multiply_encode(points, little(value), variant=variant) == expected).all()


def test_multiply_base_equals_libsodium(variant):
    edges = np.array([list(little(value)) for value in EDGE_SCALARS.values()], dtype=np.uint8)
    scalars = np.concatenate([edges, random_scalars(6, 10_000)])
    points = ristretto.multiply_base(scalars, variant=variant)
    assert (ristretto.encode(points, variant=variant) == libsodium.multiply_base(scalars)).all()


def test_add_equals_libsodium(variant, elements):
    other = elements[::-1].copy()
    other[:100] = elements[:100]  # doublings
    total = ristretto.add(decoded(elements, variant), decoded(other, variant), variant=variant)
    assert (ristretto.encode(total, variant=variant) == libsodium.add(elements, other)).all()


# --- the identity, in every disguise and place ---


def test_identity_results_do_not_disturb_their_block(variant, elements):
    """P - P is the identity in any of its four representations; its row shares inversions with others."""
    scalar = random_scalars(7, 1).tobytes()
    points = decoded(elements[100:400], variant)
    negative = ristretto.multiply(points, little(ORDER - 1), variant=variant)
    zeros = ristretto.add(points, negative, variant=variant)
    assert not ristretto.encode(zeros, variant=variant).any()
    assert not ristretto.multiply_encode(zeros, scalar, variant=variant).any()
    cancels = np.random.default_rng(8).random(300) < 0.3
    halves = ristretto.add(points, points, variant=variant)
    expected = ristretto.encode(halves, variant=variant)
    expected[cancels] = 0
    rows = points._rows.copy()
    rows[cancels] = zeros._rows[cancels]
    mixed = ristretto.Points(rows)
    assert (ristretto.multiply_encode(mixed, little(2), variant=variant) == expected).all()


def test_every_representation_of_a_multiple_encodes_alike(variant, elements):
    """k (P + Q) by either route; the routes hold different representatives of one element."""
    scalar = random_scalars(9, 1).tobytes()
    p, q = decoded(elements[200:500], variant), decoded(elements[700:1000], variant)
    together = ristretto.multiply_encode(ristretto.add(p, q, variant=variant), scalar, variant=variant)
    apart = ristretto.add(
        ristretto.multiply(p, scalar, variant=variant),
        ristretto.multiply(q, scalar, variant=variant),
        variant=variant,
    )
    assert (together == ristretto.encode(apart, variant=variant)).all()


@pytest.mark.parametrize("k", [0, 1, 2, 3, ORDER - 1, (ORDER + 1) // 2, 2**252, 3**158 % ORDER])
def test_every_point_of_a_coset_multiplies_alike(variant, k):
    """An element is a point up to the points of order 1, 2 and 4; multiply_encode doubles half of the product."""
    i = twin.SQRT_M1
    small = [twin.IDENTITY, twin.Point(0, twin.P - 1), twin.Point(i, 0), twin.Point(twin.P - i, 0)]
    elements = [twin.IDENTITY, twin.GENERATOR, *(twin.from_uniform(row.tobytes()) for row in random_rows(11, 3, 64))]
    rows = []
    for z, p in enumerate((twin.add(p, q) for p in elements for q in small), start=1):
        rows.append(b"".join(little(v * z % twin.P) for v in (p.x, p.y, 1, p.x * p.y)))
    points = ristretto.Points(np.frombuffer(b"".join(rows), np.uint8).reshape(-1, 128))
    expected = [twin.encode(twin.multiply(p, k)) for p in elements for _ in small]
    assert [row.tobytes() for row in ristretto.multiply_encode(points, little(k), variant=variant)] == expected
    product = ristretto.multiply(points, little(k), variant=variant)
    assert [row.tobytes() for row in ristretto.encode(product, variant=variant)] == expected


# --- against the plain twin ---


@settings(max_examples=25, deadline=None)
@given(uniform=st.binary(min_size=64, max_size=64), scalar=st.integers(0, ORDER - 1))
@pytest.mark.parametrize("name", kernels.variants())
def test_equals_the_plain_twin(name, uniform, scalar):
    row = np.frombuffer(uniform, dtype=np.uint8).reshape(1, 64)
    points = ristretto.from_uniform(row, variant=name)
    expected = twin.from_uniform(uniform)
    assert ristretto.encode(points, variant=name).tobytes() == twin.encode(expected)
    product = twin.encode(twin.multiply(expected, scalar))
    assert ristretto.multiply_encode(points, little(scalar), variant=name).tobytes() == product
    assert ristretto.encode(ristretto.multiply(points, little(scalar), variant=name)).tobytes() == product


# --- shapes, threads, refusals ---


@pytest.mark.parametrize("n", LENGTHS)
def test_lengths_and_threads(variant, elements, n):
    rows = elements[4_950 : 4_950 + n]
    scalar = random_scalars(n, 1).tobytes()
    one, three = ({"variant": variant, "threads": t} for t in (1, 3))
    points, valid = ristretto.decode(rows, **three)
    assert len(points) == n
    assert valid.shape == (n,)
    assert (ristretto.encode(points, **three) == rows).all()
    expected = libsodium.multiply(rows, scalar)
    for options in (one, three):
        assert (ristretto.multiply_encode(points, scalar, **options) == expected).all()
        assert (ristretto.encode(ristretto.multiply(points, scalar, **options), **options) == expected).all()


def test_threads_do_not_change_results(variant):
    uniform, scalars = random_rows(11, 1_000, 64), random_scalars(12, 1_000)
    results = []
    for threads in (1, 3):
        options = {"variant": variant, "threads": threads}
        p, q = ristretto.from_uniform(uniform, **options), ristretto.multiply_base(scalars, **options)
        results.append(ristretto.encode(ristretto.add(p, q, **options), **options))
    assert (results[0] == results[1]).all()


def test_variants_read_each_others_points(elements):
    names = kernels.variants()
    points = decoded(elements[:100], names[0])
    scalar = random_scalars(13, 1).tobytes()
    expected = libsodium.multiply(elements[:100], scalar)
    for first in names:
        product = ristretto.multiply(points, scalar, variant=first)
        for second in names:
            assert (ristretto.encode(product, variant=second) == expected).all()


def test_strided_rows_are_read_correctly(variant, elements):
    wide = np.zeros((50, 64), dtype=np.uint8)
    wide[:, 32:] = elements[1_100:1_150]
    points, valid = ristretto.decode(wide[:, 32:], variant=variant)
    assert valid.all()
    assert (ristretto.encode(points[::-2], variant=variant) == elements[1_100:1_150][::-2]).all()


def test_points_are_selected_and_say_nothing_of_themselves(elements):
    points, _ = ristretto.decode(elements[:10])
    mask = np.arange(10) % 3 == 0
    assert (ristretto.encode(points[mask]) == elements[:10][mask]).all()
    assert repr(points[2:5]) == "<Points of length 3>"
    assert (ristretto.encode(points[::3]) == elements[:10:3]).all()
    for copy in (pickle.dumps, copying.deepcopy):
        with pytest.raises(InputError, match="not pickled"):
            copy(points)
    with pytest.raises(InputError, match="indexed by"):
        points[3]
    with pytest.raises(InputError, match="does not fit 10 points"):
        points[np.array([10])]


@pytest.mark.parametrize(
    "rows",
    [
        np.zeros((3, 31), dtype=np.uint8),
        np.zeros(32, dtype=np.uint8),
        np.zeros((3, 32), dtype=np.int8),
        np.zeros((3, 32, 1), dtype=np.uint8),
        [[0] * 32],
        bytes(32),
    ],
    ids=["narrow", "flat", "signed", "deep", "list", "bytes"],
)
def test_wrong_rows_never_reach_the_kernel(rows):
    for function in (ristretto.decode, ristretto.from_uniform, ristretto.multiply_base):
        with pytest.raises(InputError, match="must"):
            function(rows)


@pytest.mark.parametrize(
    "rows", [np.zeros((3, 64), np.uint8), np.zeros((3, 128)), np.zeros(384, np.uint8), [bytes(128)]]
)
def test_points_of_another_shape_never_reach_the_kernel(rows):
    with pytest.raises(InputError, match="points must"):
        ristretto.Points(rows)


@pytest.mark.parametrize("value", [ORDER, ORDER + 1, 2**253, 2**256 - 1, ORDER + 2**64, 2**255])
def test_unreduced_scalars_are_refused(value):
    points = ristretto.multiply_base(np.zeros((1, 32), dtype=np.uint8))
    for function in (ristretto.multiply, ristretto.multiply_encode):
        with pytest.raises(InputError, match="below the group order"):
            function(points, little(value))
    scalars = np.array([list(little(1)), list(little(value))], dtype=np.uint8)
    with pytest.raises(InputError, match="below the group order"):
        ristretto.multiply_base(scalars)


def test_other_wrong_arguments_are_refused():
    points = ristretto.multiply_base(np.zeros((2, 32), dtype=np.uint8))
    with pytest.raises(InputError, match="32 bytes"):
        ristretto.multiply(points, bytes(31))
    with pytest.raises(InputError, match="must be bytes"):
        ristretto.multiply(points, 5)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="must be a Points"):
        ristretto.encode(np.zeros((2, 128), dtype=np.uint8))  # type: ignore[arg-type]
    with pytest.raises(InputError, match="equal length"):
        ristretto.add(points, points[:1])
    with pytest.raises(InputError, match="at least 1"):
        ristretto.encode(points, threads=0)
