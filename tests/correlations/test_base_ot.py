from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fusion.correlations import base_ot
from fusion.crypto import group
from fusion.errors import InputError

from .parties import Seeded, run


def transfer(bits, seed="s", **options):
    return run(
        lambda p, s: (s.id, base_ot.send(p, s, len(bits), source=Seeded(seed + "a"), **options)),
        lambda p, s: base_ot.receive(p, s, bits, source=Seeded(seed + "b"), **options),
    )


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(0, 1), min_size=1, max_size=40))
def test_the_receiver_gets_what_it_chose(bits):
    bits = np.array(bits, np.uint8)
    (_, pairs), keys = transfer(bits)
    assert pairs.shape == (len(bits), 2, 32)
    assert (keys == pairs[np.arange(len(bits)), bits]).all()
    assert len(np.unique(pairs.reshape(-1, 32), axis=0)) == 2 * len(bits)


def test_keys_are_those_of_the_definition():
    bits = np.array([0, 1, 1], np.uint8)
    (session, pairs), _ = transfer(bits, threads=1)
    secret = group.random_scalar(Seeded("sa"))
    for i in range(3):
        for c in range(2):
            label = np.array([[i, 0, 0, 0, c]], np.uint8)
            point = group.hash_to_group(label, b"fusion/correlations/base-ot/1/point/" + session)
            message = b"fusion/correlations/base-ot/1/key/" + session + label.tobytes()
            product = group.encode(group.multiply(point, secret)).tobytes()
            assert pairs[i, c].tobytes() == hashlib.sha256(message + product).digest()


def test_each_session_gives_other_keys():
    bits = np.zeros(2, np.uint8)
    assert (transfer(bits)[0][1] != transfer(bits)[0][1]).any(axis=2).all()


@pytest.mark.parametrize(
    "bits", [np.array([2], np.uint8), np.array([], np.uint8), np.array([1]), np.ones((1, 1), np.uint8)]
)
def test_choices_must_be_bits(bits):
    with pytest.raises(InputError, match="choices"):
        base_ot.receive(None, None, bits)


def test_at_least_one_transfer():
    with pytest.raises(InputError, match="at least one"):
        base_ot.send(None, None, 0)
