from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fusion.correlations import ot_extension
from fusion.errors import InputError

from .parties import Seeded, run


def opened(seed="s"):
    rng = np.random.default_rng(7)
    pairs = rng.integers(0, 256, (128, 2, 32), dtype=np.uint8)
    bits = rng.integers(0, 2, 128, dtype=np.uint8)
    return ot_extension.Sender(bits, pairs[np.arange(128), bits]), ot_extension.Receiver(pairs), bits


def test_over_a_channel():
    choices = [np.random.default_rng(n).integers(0, 2, n, dtype=np.uint8) for n in (1, 127, 128, 129, 3584)]

    def sender(peer, session):
        side = ot_extension.Sender.open(peer, session, source=Seeded("s"))
        return [side.extend(peer, session.id + bytes([i]), len(bits)) for i, bits in enumerate(choices)]

    def receiver(peer, session):
        side = ot_extension.Receiver.open(peer, session, source=Seeded("r"))
        return [side.extend(peer, session.id + bytes([i]), bits) for i, bits in enumerate(choices)]

    for pairs, keys, bits in zip(*run(sender, receiver), choices, strict=True):
        n = len(bits)
        assert pairs.shape == (n, 2, 16)
        assert (keys == pairs[np.arange(n), bits]).all()
        assert len(np.unique(pairs.reshape(-1, 16), axis=0)) == 2 * n


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 1), max_size=300), st.binary(max_size=40))
def test_any_choices_and_label(bits, label):
    sender, receiver, _ = opened()
    bits = np.array(bits, np.uint8)
    request, keys = receiver.request(label, bits)
    assert request.shape == (ot_extension.request_rows(len(bits)), 16)
    pairs = sender.answer(label, len(bits), request)
    assert (keys == pairs[np.arange(len(bits)), bits]).all()


def test_keys_are_those_of_the_definition():
    """Bit by bit: q_i = t_i + s_i b, and the keys hash rows of q and of q + s."""
    sender, receiver, secret = opened()
    bits = np.random.default_rng(3).integers(0, 2, 20, dtype=np.uint8)
    request, _ = receiver.request(b"label", bits)
    pairs = sender.answer(b"label", 20, request)
    columns = []
    for i in range(128):
        seed = receiver._pairs[i, 0].tobytes()
        label = b"fusion/correlations/ot-extension/1/label"
        parts = (len(seed).to_bytes(2, "little"), seed, len(label).to_bytes(2, "little"), label)
        expanded = hashlib.shake_128(b"fusion/correlations/stream/1/" + b"".join(parts)).digest(16)
        columns.append([expanded[j // 8] >> (7 - j % 8) & 1 for j in range(20)])
    for j in range(20):
        row = [columns[i][j] ^ int(secret[i] & bits[j]) for i in range(128)]
        other = [bit ^ int(secret[i]) for i, bit in enumerate(row)]
        for c, r in enumerate((row, other)):
            packed = bytes(sum(r[8 * k + m] << (7 - m) for m in range(8)) for k in range(16))
            message = b"fusion/correlations/ot-extension/1/key/label" + j.to_bytes(8, "little") + packed
            assert pairs[j, c].tobytes() == hashlib.sha256(message).digest()[:16]


def test_another_label_gives_other_keys_and_another_request():
    sender, receiver, _ = opened()
    bits = np.ones(64, np.uint8)
    requests = [receiver.request(label, bits)[0] for label in (b"1", b"2")]
    assert (requests[0] != requests[1]).any()
    answers = [sender.answer(label, 64, request) for label, request in zip((b"1", b"2"), requests, strict=True)]
    assert (answers[0] != answers[1]).any(axis=2).all()


def test_the_request_hides_the_choices():
    """Two requests for opposite choices differ in every row alike: each is masked by the other column."""
    _, receiver, _ = opened()
    zeros, ones = (receiver.request(b"x", np.full(128, bit, np.uint8))[0] for bit in (0, 1))
    assert (zeros ^ ones == 255).all()
    share = np.unpackbits(zeros).mean()
    assert abs(share - 0.5) < 4 * 0.5 / np.sqrt(128 * 128)


def test_streams_of_different_labels_and_seeds_differ():
    streams = {ot_extension.stream(seed, label, 16) for seed in (b"", b"a", b"ab") for label in (b"", b"b", b"bc")}
    assert len(streams) == 9
    assert ot_extension.stream(b"a", b"b", 8) == ot_extension.stream(b"a", b"b", 16)[:8]


@pytest.mark.parametrize("bits", [np.array([2], np.uint8), np.array([1]), np.ones((1, 1), np.uint8)])
def test_choices_must_be_bits(bits):
    with pytest.raises(InputError, match="choices"):
        opened()[1].request(b"", bits)


def test_nothing_secret_is_printed():
    assert repr(opened()[0]) == "<ot_extension.Sender>"
    assert repr(opened()[1]) == "<ot_extension.Receiver>"
