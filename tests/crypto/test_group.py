from __future__ import annotations

import pickle
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import expand, vectors
from reference import ristretto255 as twin

from fusion.crypto import group
from fusion.crypto.group import ORDER, Scalar
from fusion.errors import InputError, PeerError

RISTRETTO = vectors.load("ristretto255.json")
SCALARS = st.integers(0, ORDER - 1)


def test_the_order_is_that_of_the_twin():
    assert ORDER == twin.ORDER


@settings(deadline=None)
@given(a=SCALARS, b=SCALARS)
def test_scalars_are_integers_modulo_the_order(a, b):
    x, y = Scalar(a), Scalar(b)
    assert (x + y).value == (a + b) % ORDER
    assert (x - y).value == (a - b) % ORDER
    assert (x * y).value == a * b % ORDER
    assert (-x + x).value == 0
    assert Scalar.from_bytes(x.to_bytes()) == x
    assert (x == y) == (a == b)
    if a:
        assert x * x.inverse() == Scalar(1)


@settings(deadline=None)
@given(data=st.binary(min_size=64, max_size=64))
def test_wide_bytes_are_reduced(data):
    assert Scalar.from_bytes_wide(data).value == int.from_bytes(data, "little") % ORDER


def test_scalars_refuse_what_is_not_one():
    for value in (-1, ORDER, 2**256):
        with pytest.raises(InputError, match="below the group order"):
            Scalar(value)
    with pytest.raises(InputError, match="below the group order"):
        Scalar.from_bytes(ORDER.to_bytes(32, "little"))
    with pytest.raises(InputError, match="32 bytes, not 31"):
        Scalar.from_bytes(bytes(31))
    with pytest.raises(InputError, match="64 uniform bytes"):
        Scalar.from_bytes_wide(bytes(32))
    with pytest.raises(InputError, match="no inverse"):
        Scalar(0).inverse()


def test_scalars_keep_their_value_to_themselves():
    secret = Scalar(123456789)
    for text in (repr(secret), str(secret), f"{secret}", repr([secret])):
        assert "123456789" not in text
    with pytest.raises(TypeError):
        hash(secret)
    with pytest.raises(InputError, match="not pickled"):
        pickle.dumps(secret)
    assert secret != 123456789


def test_random_scalars_skip_zero_and_differ():
    source = iter([bytes(64), ORDER.to_bytes(64, "little"), (ORDER + 5).to_bytes(64, "little")])
    assert group.random_scalar(lambda n: next(source)).value == 5
    assert len({group.random_scalar().value for _ in range(50)}) == 50


def test_hash_to_scalar_equals_the_twin():
    for message in (b"", b"a", bytes(300)):
        expected = int.from_bytes(expand.expand_message_xmd(message, b"tag", 64), "little") % ORDER
        assert group.hash_to_scalar(message, b"tag").value == expected


def test_hash_to_group_equals_the_twin(variant):
    rows = np.random.default_rng(1).integers(0, 256, (10, 20), dtype=np.uint8)
    encodings = group.encode(group.hash_to_group(rows, b"tag", variant=variant), variant=variant)
    for row, encoding in zip(rows, encodings, strict=True):
        expected = twin.from_uniform(expand.expand_message_xmd(row.tobytes(), b"tag", 64))
        assert encoding.tobytes() == twin.encode(expected)
    other = group.encode(group.hash_to_group(rows, b"another tag", variant=variant), variant=variant)
    assert (other != encodings).any(axis=1).all()


def test_multiplication_is_linear(variant):
    source = random.Random(2)
    a, b = (Scalar(source.randrange(ORDER)) for _ in range(2))
    points = group.multiply_base([a, b, Scalar(0)], variant=variant)
    by_sum = group.multiply_encode(points, a + b, variant=variant)
    apart = group.add(
        group.multiply(points, a, variant=variant),
        group.multiply(points, b, variant=variant),
        variant=variant,
    )
    assert (by_sum == group.encode(apart, variant=variant)).all()
    back = group.multiply_encode(group.multiply(points, a, variant=variant), a.inverse(), variant=variant)
    assert (back == group.encode(points, variant=variant)).all()


def test_multiply_base_of_nothing(variant):
    assert len(group.multiply_base([], variant=variant)) == 0


@pytest.mark.parametrize("fault", sorted({case["fault"] for case in RISTRETTO["invalid"]}))
def test_a_peers_invalid_elements_are_its_fault(fault, variant):
    good = RISTRETTO["multiples"][1:]
    bad = [case["encoding"] for case in RISTRETTO["invalid"] if case["fault"] == fault]
    with pytest.raises(PeerError, match=rf"^{len(bad)} of {len(bad) + 15} elements") as caught:
        group.decode(vectors.rows(good + bad), variant=variant)
    assert bad[0] not in str(caught.value)


def test_a_peer_may_not_send_the_identity(variant):
    rows = vectors.rows(RISTRETTO["multiples"])
    with pytest.raises(PeerError, match=r"^1 of 16"):
        group.decode(rows, variant=variant)
    assert (group.encode(group.decode(rows[1:], variant=variant)) == rows[1:]).all()
