"""Bytes across a channel, and two parties who compute with them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import fusion
from fusion import InputError, PeerError, aggregation
from fusion.aggregation import EncryptedFrame, EncryptedGroups, PublicKey
from fusion.aggregation.transfer import exchange
from fusion.channel.messages import Chunk
from fusion.channel.simulate import run


@pytest.mark.parametrize("sizes", [(0, 0), (1, 0), (1015, 1016), (1017, 300_000), (262_136, 262_137)])
@pytest.mark.parametrize("window", [1, 16])
def test_bytes_arrive(sizes, window):
    sent = [np.random.default_rng(size).bytes(size) for size in sizes]
    received = run(
        {"a": lambda peer: exchange(peer, sent[0]), "b": lambda peer: exchange(peer, bytearray(sent[1]))},
        window=window,
    )
    assert (received["a"], received["b"]) == (sent[1], sent[0])


def test_too_much_is_refused_before_it_is_read():
    run({"a": lambda peer: exchange(peer, bytes(9000)), "b": lambda peer: exchange(peer, limit=9000)})
    with pytest.raises(PeerError, match="a announces more than the limit of 5000 bytes"):
        run({"a": lambda peer: exchange(peer, bytes(9000)), "b": lambda peer: exchange(peer, limit=5000)})


def test_only_bytes_are_sent():
    with pytest.raises(InputError, match="call to_bytes"):
        run({"a": lambda peer: exchange(peer, aggregation.ideal.generate()[0]), "b": exchange})


@pytest.mark.parametrize(
    ("announced", "sent"),
    [
        (1, []),
        (2, [np.zeros((1, 1024), np.uint8)]),
        (1, [np.zeros((2, 1024), np.uint8)]),
        (2, [np.zeros((1, 1024), np.uint8)] * 2),
        (1, [np.full((1, 1024), 1, np.uint8)]),  # a length beyond what is there
        (2, [np.zeros((2, 1024), np.uint8)]),  # a row too many for the length
        (1, [np.array([[0] * 1023 + [1]], np.uint8)]),  # padding that is none
    ],
)
def test_hostile_senders(announced, sent):
    def liar(peer):
        with peer.operation("aggregation.exchange"):
            peer.open(learn="both", kinds=(), rows=announced, parameters={"suite": "bytes/1"})
            list(peer.exchange([Chunk(0, rows) for rows in sent], {0: 1024}))
            peer.finish({})

    with pytest.raises(PeerError, match="liar sent other bytes than it announced"):
        run({"victim": exchange, "liar": liar})


def test_two_parties_group_a_frame():
    costs = pd.DataFrame({"cost": [250.5, 0.0, 1200.25, 99.75]})
    ward = pd.Series(["a", "b", "a", "b"], name="ward")

    def insurer(peer):
        public, private = aggregation.generate("elgamal", slots=2)
        exchange(peer, public.to_bytes())
        exchange(peer, private.encrypt(costs, decimals=2, bound=2000, terms=1000).to_bytes())
        return private.decrypt(EncryptedGroups.from_bytes(exchange(peer), public)), peer.receipt()

    def hospital(peer):
        public = PublicKey.from_bytes(exchange(peer))
        frame = EncryptedFrame.from_bytes(exchange(peer), public)
        exchange(peer, frame.groupby(ward).agg(["count", "sum"]).to_bytes())

    table, receipt = fusion.simulate(insurer=insurer, hospital=hospital)["insurer"]
    pd.testing.assert_frame_equal(table, costs.groupby(ward).agg(["count", "sum"]), check_index_type=False)
    assert "bytes that hospital chose to send" in receipt.learned["insurer"][0]
