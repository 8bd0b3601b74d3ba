"""A peer that follows the announcement and the correlation, and then sends what it should not."""

from __future__ import annotations

import contextlib

import numpy as np
import pandas as pd
import pytest

import fusion
from fusion.channel import Chunk
from fusion.channel.frames import Kind, Memory
from fusion.channel.messages import encode_chunk
from fusion.correlations import vole as correlation
from fusion.crypto import okvs
from fusion.psi import intersect, vole
from fusion.psi.matches import tag_bytes

VICTIM = pd.DataFrame({"k": ["a", "b", "c"]})
_SEED, _STORE, _TAGS, _BITS = 1, 2, 3, 4


def zeros(stream, rows, width=16):
    return Chunk(stream, np.zeros((rows, width), np.uint8))


def exchange(peer, chunks, widths):
    return list(peer.exchange(iter(chunks), widths))


def opening(peer, rows, learn):
    parameters = {"how": "inner", "protocol": "vole", "suite": vole.SUITE}
    return peer.open(learn=learn, kinds=("text",), rows=rows, parameters=parameters)


def end(peer):
    with contextlib.suppress(fusion.PeerError):  # what the victim says of it counts
        peer.finish({})


def receiver(store, bits=(), *, rows=2, learn="both"):
    """Two items, so that of two learners it receives; then ``store`` and ``bits`` where they belong."""

    def role(peer):
        with peer.operation("psi.intersect"):
            session = opening(peer, rows, learn)
            correlation.Receiver.open(peer, session).extend(peer, session, okvs.parameters(rows).columns)
            exchange(peer, store, {})
            exchange(peer, [], {_TAGS: tag_bytes(3, rows)})
            if learn == "both":
                exchange(peer, bits, {})
            else:  # not asked for
                for chunk in bits:
                    peer._put(Kind.CHUNK, encode_chunk(chunk, Memory()), chunk.stream)
            end(peer)

    return role


def sender(tags, *, rows=4, learn="both"):
    """Four items, so that of two learners it sends; then ``tags`` where they belong."""

    def role(peer):
        with peer.operation("psi.intersect"):
            session = opening(peer, rows, learn)
            correlation.Sender.open(peer, session).extend(peer, session, okvs.parameters(3).columns)
            exchange(peer, [], {_SEED: 16, _STORE: 16})
            exchange(peer, tags, {})
            if learn == "both":
                exchange(peer, [], {_BITS: 1})
            end(peer)

    return role


def refused(role, words, *, learn="both"):
    with pytest.raises(fusion.PeerError, match=words) as caught:
        fusion.simulate(victim=lambda peer: intersect(peer, VICTIM, ["k"], protocol="vole", learn=learn), attacker=role)
    assert any("victim" in note for note in caught.value.__notes__)
    assert "\n" not in str(caught.value)


M = okvs.parameters(2).columns
W = tag_bytes(3, 4)
SEED = zeros(_SEED, 1)

STORES = {
    "nothing": ([], "0 of the 1 rows"),
    "no_seed": ([zeros(_STORE, M)], "0 of the 1 rows that belong on stream 1"),
    "two_seeds_at_once": ([zeros(_SEED, 2), zeros(_STORE, M)], "2 rows on stream 1 where 1 belong"),
    "two_seeds": ([SEED, SEED, zeros(_STORE, M)], "1 rows on stream 1 where 0 belong"),
    "no_store": ([SEED], f"0 of the {M} rows that belong on stream 2"),
    "short_store": ([SEED, zeros(_STORE, M - 1)], f"{M - 1} rows on stream 2 where {M} belong"),
    "long_store": ([SEED, zeros(_STORE, M + 1)], f"{M + 1} rows on stream 2 where {M} belong"),
    "store_in_two_parts": ([SEED, zeros(_STORE, M - 1), zeros(_STORE, 1)], f"{M - 1} rows on stream 2"),
    "another_chunk_after_the_store": ([SEED, zeros(_STORE, M), zeros(_STORE, 1)], "1 rows on stream 2 where 0 belong"),
    "wide_store": ([SEED, zeros(_STORE, M, 17)], "does not fit rows of 16"),
    "narrow_seed": ([zeros(_SEED, 1, 15)], "does not fit rows of 16"),
    "tags_in_its_place": ([SEED, zeros(_TAGS, 3, W)], "stream 3"),
}


@pytest.mark.parametrize("fault", STORES)
@pytest.mark.parametrize("learn", ["both", "attacker"])
def test_bad_stores_are_refused(fault, learn):
    chunks, words = STORES[fault]
    refused(receiver(chunks, learn=learn), words, learn=learn)


TAGS = {
    "nothing": ([], "0 of the 4 rows"),
    "too_few": ([zeros(_TAGS, 3, W)], "3 rows on stream 3 where 4 belong"),
    "too_many": ([zeros(_TAGS, 5, W)], "5 rows on stream 3 where 4 belong"),
    "far_too_many": ([zeros(_TAGS, 4, W), zeros(_TAGS, 50_000, W)], "50000 rows on stream 3 where 0 belong"),
    "narrow": ([zeros(_TAGS, 4, W - 1)], f"does not fit rows of {W}"),
    "wide": ([zeros(_TAGS, 4, W + 1)], f"does not fit rows of {W}"),
    "another_stream": ([zeros(_BITS, 1, 1)], "stream 4"),
}


@pytest.mark.parametrize("fault", TAGS)
@pytest.mark.parametrize("learn", ["both", "victim"])
def test_bad_tags_are_refused(fault, learn):
    chunks, words = TAGS[fault]
    refused(sender(chunks, learn=learn), words, learn=learn)


def bits(*values):
    return [Chunk(_BITS, np.array(values, np.uint8).reshape(-1, 1))]


BITS = {
    "none": ([], "0 of the 1 rows"),
    "too_many": (bits(0, 0), "2 rows on stream 4 where 1 belong"),
    "wide": ([zeros(_BITS, 1, 2)], "does not fit rows of 1"),
    "beyond_the_end": (bits(0b0001_0000), "items that do not exist"),
    "last_of_the_byte": (bits(0b1000_0001), "items that do not exist"),
}


@pytest.mark.parametrize("fault", BITS)
def test_bad_bits_are_refused(fault):
    chunks, words = BITS[fault]
    refused(receiver([SEED, zeros(_STORE, M)], chunks), words)


def test_bits_of_a_peer_that_learns_alone_are_refused():
    """The sender has nothing more to hear, so bits stand where the transcripts are compared."""
    role = receiver([SEED, zeros(_STORE, M)], bits(0), learn="attacker")
    refused(role, "CHUNK where FINISH belongs", learn="attacker")


def test_another_result_is_refused():
    refused(receiver([SEED, zeros(_STORE, M)], bits(0b1110_0000)), "different results")


@pytest.mark.parametrize("repeat", [False, True])
def test_made_up_tags_match_nothing(repeat):
    """Equal ones as well; the receiver does not stumble over them."""
    rows = np.zeros((4, W), np.uint8) if repeat else np.arange(4 * W, dtype=np.uint8).reshape(4, W)
    got = {}

    def victim(peer):
        got["victim"] = intersect(peer, VICTIM, ["k"], protocol="vole", learn="victim")

    fusion.simulate(victim=victim, attacker=sender([Chunk(_TAGS, rows)], learn="victim"))
    assert len(got["victim"]) == 0


@pytest.mark.parametrize("rows", [2**27, 2**31])
def test_more_keys_than_the_protocol_takes_are_refused_before_anything_is_made(rows):
    """A store for so many would have to be as long here."""
    with pytest.raises(fusion.InputError, match=r"cut larger tables|a correlation has"):
        fusion.simulate(
            victim=lambda peer: intersect(peer, VICTIM, ["k"], protocol="vole", learn="attacker"),
            attacker=receiver([], rows=rows, learn="attacker"),
        )
