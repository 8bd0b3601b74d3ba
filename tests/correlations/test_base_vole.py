from __future__ import annotations

import hashlib

import numpy as np
import pytest
from reference import gf128

from fusion.correlations import base_vole
from fusion.kernels import block

DOMAIN = b"fusion/correlations/base-vole/1/"


def opened(seed=5):
    rng = np.random.default_rng(seed)
    pairs = rng.integers(0, 256, (128, 2, 32), dtype=np.uint8)
    bits = rng.integers(0, 2, 128, dtype=np.uint8)
    receiver = base_vole.Receiver(b"open", pairs, rng.integers(0, 256, (base_vole.TREES, 16), dtype=np.uint8))
    assert receiver.message.shape == (base_vole.OPENING_ROWS, 16)
    sender = base_vole.Sender(b"open", bits, pairs[np.arange(128), bits], receiver.message)
    return sender, receiver, rng


def numbers(rows):
    return [int.from_bytes(row.tobytes(), "little") for row in rows]


@pytest.mark.parametrize("t", [1, 3, 256])
def test_the_equation_holds(t):
    sender, receiver, rng = opened()
    for label in (b"1", b"2"):
        a = rng.integers(0, 256, (t, 16), dtype=np.uint8)
        message, c = receiver.extend(label, a)
        assert message.shape == (base_vole.message_rows(t), 16)
        b = sender.extend(label, t, message)
        assert (c == block.scale(a, sender.delta) ^ b).all()
        assert c.any(axis=1).all()
        assert b.any(axis=1).all()


def test_shares_and_message_are_those_of_the_definition():
    sender, receiver, _ = opened()
    a = np.arange(32, dtype=np.uint8).reshape(2, 16)
    message, c = receiver.extend(b"label", a)
    v, sums = [0, 0], []
    for i in range(32):
        u = [0, 0]
        for x in range(16):
            seed, label = receiver._seeds[i, x].tobytes(), DOMAIN + b"label"
            parts = (len(seed).to_bytes(2, "little"), seed, len(label).to_bytes(2, "little"), label)
            drawn = hashlib.shake_128(b"fusion/correlations/stream/1/" + b"".join(parts)).digest(32)
            g = [int.from_bytes(drawn[:16], "little"), int.from_bytes(drawn[16:], "little")]
            u = [m ^ n for m, n in zip(u, g, strict=True)]
            v = [m ^ gf128.multiply(n, x << 4 * i) for m, n in zip(v, g, strict=True)]
        sums += u
    assert numbers(c) == v
    assert numbers(message ^ np.tile(a, (32, 1))) == sums
    d = int.from_bytes(sender.delta, "little")
    assert numbers(sender.extend(b"label", 2, message)) == [
        n ^ gf128.multiply(d, m) for m, n in zip(numbers(a), v, strict=True)
    ]


def test_the_sender_lacks_one_seed_of_each_digit():
    sender, receiver, _ = opened()
    same = (sender._seeds == receiver._seeds).all(axis=2)
    delta = int.from_bytes(sender.delta, "little")
    for i in range(32):
        assert [x for x in range(16) if not same[i, x]] == [delta >> 4 * i & 15]


def test_nothing_secret_is_printed():
    sender, receiver, _ = opened()
    assert (repr(sender), repr(receiver)) == ("<base_vole.Sender>", "<base_vole.Receiver>")
