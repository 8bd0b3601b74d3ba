"""A peer that is authenticated, opens the operation properly, and then sends what it should not."""

from __future__ import annotations

import numpy as np
import pytest

from fusion.channel import Chunk
from fusion.correlations import base_ot, base_vole, ot_extension, vole
from fusion.correlations._wire import swap
from fusion.crypto import group
from fusion.errors import FusionError, PeerAborted, PeerError

from .parties import raises_at, run

P = 2**255 - 19


def send(*chunks):
    """A party that sends these chunks in one exchange and takes what comes."""

    def play(peer, session):
        widths = dict.fromkeys(range(16), 16)
        for _ in peer.exchange(iter(chunks), widths):
            pass
        for _ in peer.exchange(iter(()), widths):
            pass

    return play


def rows(data, stream=1):
    return Chunk(stream, np.frombuffer(data, np.uint8).reshape(-1, 16))


def points(n):
    scalars = [group.random_scalar() for _ in range(n)]
    return group.encode(group.multiply_base(scalars)).tobytes()


GOOD = points(3)
POINTS = {
    "identity": (GOOD[:64] + bytes(32), "invalid or the identity"),
    "not_canonical": (GOOD[:64] + (P + 2).to_bytes(32, "little"), "invalid or the identity"),
    "negative": (GOOD[:64] + (1).to_bytes(32, "little"), "invalid or the identity"),
    "not_on_the_curve": (GOOD[:64] + (26).to_bytes(32, "little"), "invalid or the identity"),
    "too_few": (GOOD[:64], "4 of the 6 rows"),
    "too_many": (GOOD + GOOD[:32], "more than the 6 rows"),
    "half_a_point": (GOOD[:80], "5 of the 6 rows"),
}


@pytest.mark.parametrize("fault", POINTS)
def test_the_sender_of_base_transfers_refuses(fault):
    data, words = POINTS[fault]
    with pytest.raises(PeerError, match=words) as caught:
        run(lambda p, s: base_ot.send(p, s, 3), send(rows(data)))
    assert raises_at("sender", caught.value)


@pytest.mark.parametrize("fault", POINTS)
def test_the_receiver_of_base_transfers_refuses(fault):
    data, words = POINTS[fault]

    def attacker(peer, session):
        swap(peer, None, 6)
        send(rows(data))(peer, session)

    with pytest.raises(PeerError, match=words) as caught:
        run(attacker, lambda p, s: base_ot.receive(p, s, np.zeros(3, np.uint8)))
    assert raises_at("receiver", caught.value)


CHUNKS = {
    "nothing": ([], "0 of the"),
    "one_row": ([rows(bytes(16))], "1 of the"),
    "another_stream": ([rows(bytes(16), stream=2)], "stream 2"),
    "another_width": ([Chunk(1, np.zeros((1, 15), np.uint8))], "does not fit rows of 16"),
    "too_many": ([rows(bytes(1 << 19)), rows(bytes(1 << 19))], "more than the"),
}


@pytest.mark.parametrize("fault", CHUNKS)
@pytest.mark.parametrize("stage", ["opening", "extension"])
def test_the_sender_of_correlations_refuses(fault, stage):
    chunks, words = CHUNKS[fault]

    def attacker(peer, session):
        if stage == "opening":
            base_ot.send(peer, session, 256)
        else:
            vole.Receiver.open(peer, session)
        send(*chunks)(peer, session)

    with pytest.raises(PeerError, match=words) as caught:
        run(lambda p, s: vole.Sender.open(p, s).extend(p, s, 500), attacker)
    assert raises_at("sender", caught.value)


@pytest.mark.parametrize("fault", CHUNKS)
def test_the_receiver_of_correlations_refuses(fault):
    chunks, words = CHUNKS[fault]

    def attacker(peer, session):
        vole.Sender.open(peer, session)
        swap(peer, None, ot_extension.request_rows(256 * 4) + base_vole.message_rows(256))
        send(*chunks)(peer, session)

    with pytest.raises(PeerError, match=words) as caught:
        run(attacker, lambda p, s: vole.Receiver.open(p, s).extend(p, s, 500))
    assert raises_at("receiver", caught.value)


def test_rows_where_none_belong_are_refused():
    """The receiver of an extension hears nothing while it sends its request."""

    def attacker(peer, session):
        ot_extension.Sender.open(peer, session)
        send(rows(bytes(16)))(peer, session)

    def victim(peer, session):
        ot_extension.Receiver.open(peer, session).extend(peer, session.id, np.ones(5, np.uint8))

    with pytest.raises(PeerError, match="stream 1") as caught:
        run(attacker, victim)
    assert raises_at("receiver", caught.value)


def test_different_lengths_are_noticed():
    """Trees of other depths mean messages of other sizes."""
    with pytest.raises(PeerError, match=r"of the|more than"):
        run(
            lambda p, s: vole.Sender.open(p, s).extend(p, s, 10_000),
            lambda p, s: vole.Receiver.open(p, s).extend(p, s, 1000),
        )


@pytest.mark.parametrize("seed", range(12))
def test_any_bytes_of_the_right_number_give_a_result(seed):
    """Well-formed dishonest messages spoil the correlation, and nothing else."""
    random = np.random.default_rng(seed)

    def noise(n):
        return random.integers(0, 256, (n, 16), dtype=np.uint8)

    def dishonest_sender(peer, session):
        vole.Sender.open(peer, session)
        swap(peer, None, ot_extension.request_rows(256 * 4) + base_vole.message_rows(256))
        swap(peer, noise(256 * 9), 0)

    def dishonest_receiver(peer, session):
        base_ot.send(peer, session, 256)
        swap(peer, noise(256), 0)
        swap(peer, noise(ot_extension.request_rows(256 * 4) + base_vole.message_rows(256)), 0)
        swap(peer, None, 256 * 9)

    _, (a, c) = run(dishonest_sender, lambda p, s: vole.Receiver.open(p, s).extend(p, s, 500))
    assert a.shape == c.shape == (500, 16)
    b, _ = run(lambda p, s: vole.Sender.open(p, s).extend(p, s, 500), dishonest_receiver)
    assert b.shape == (500, 16)


def test_an_error_shows_nothing_secret():
    """Messages hold counts, never bytes."""
    secret = bytes(range(16))
    with pytest.raises(FusionError) as caught:
        run(lambda p, s: swap(p, rows(secret).rows, 2), lambda p, s: swap(p, rows(secret).rows, 1))
    assert not isinstance(caught.value, PeerAborted)
    assert "1 of the 2 rows" in str(caught.value)
