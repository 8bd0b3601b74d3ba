"""A peer that is authenticated, follows the announcement, and then sends what it should not."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import fusion
from fusion.channel import Chunk
from fusion.crypto import group
from fusion.kernels import ristretto
from fusion.psi import ecdh, intersect

OURS = pd.DataFrame({"k": ["a", "b", "c"]})
IDENTITY = np.zeros((1, 32), np.uint8)
P = 2**255 - 19


def encodings(n: int) -> np.ndarray:
    scalars = np.frombuffer(b"".join(group.random_scalar().to_bytes() for _ in range(n)), np.uint8).reshape(n, 32)
    return ristretto.encode(ristretto.multiply_base(scalars))


def number(value: int) -> np.ndarray:
    return np.frombuffer(value.to_bytes(32, "little"), np.uint8).reshape(1, 32)


def attack(chunks, *, rows=2, widths=None, result=b""):
    """Play `intersect` up to the exchange, then send ``chunks``."""

    def role(peer):
        with peer.operation("psi.intersect"):
            peer.open(
                learn="both",
                kinds=("text",),
                rows=rows,
                parameters={"how": "inner", "protocol": "ecdh", "suite": ecdh.SUITE},
            )
            for _ in peer.exchange(iter(chunks), {1: 32, 2: ecdh.tag_bytes(3, rows)}):
                pass
            peer.finish({}, result=result)

    return role


def good_tags(n=3, rows=2):
    return Chunk(2, np.arange(n * ecdh.tag_bytes(3, rows), dtype=np.uint8).reshape(n, -1))


TWO = encodings(2)

FAULTS = {
    "identity": ([Chunk(1, np.concatenate((IDENTITY, TWO[:1]))), good_tags()], "invalid or the identity"),
    "not_canonical": ([Chunk(1, np.concatenate((number(P + 2), TWO[:1]))), good_tags()], "invalid or the identity"),
    "negative": ([Chunk(1, np.concatenate((number(1), TWO[:1]))), good_tags()], "invalid or the identity"),
    "top_bit_set": (
        [Chunk(1, np.concatenate((TWO[:1] | np.eye(1, 32, 31, dtype=np.uint8) * 128, TWO[1:]))), good_tags()],
        "invalid or the identity",
    ),
    "repeated_mask": ([Chunk(1, np.concatenate((TWO[:1], TWO[:1]))), good_tags()], "same mask twice"),
    "too_many_masks": ([Chunk(1, encodings(3)), good_tags()], "3 masks at once where 2 belong"),
    "too_few_masks": ([Chunk(1, TWO[:1]), good_tags()], "1 masks at once where 2 belong"),
    "no_masks": ([good_tags()], "before the number it announced"),
    "too_many_tags": ([Chunk(1, TWO), good_tags(4)], "4 tags at once where 3 belong"),
    "too_few_tags": ([Chunk(1, TWO), good_tags(2)], "2 tags at once where 3 belong"),
    "one_mask_at_a_time": ([Chunk(1, TWO[:1]), Chunk(1, TWO[1:]), good_tags()], "1 masks at once where 2 belong"),
    "missing_tags": ([Chunk(1, TWO)], "0 of 3 tags"),
    "masks_after_the_last": ([Chunk(1, TWO), Chunk(1, encodings(1)), good_tags()], "1 masks at once where 0 belong"),
    "wrong_width": ([Chunk(1, np.zeros((2, 31), np.uint8))], "does not fit rows of 32"),
    "unknown_stream": ([Chunk(3, TWO)], "stream 3"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_bad_rows_are_refused(fault):
    chunks, words = FAULTS[fault]
    with pytest.raises(fusion.PeerError, match=words) as caught:
        fusion.simulate(victim=lambda peer: intersect(peer, OURS, ["k"], protocol="ecdh"), attacker=attack(chunks))
    assert any("victim" in note for note in caught.value.__notes__)


def test_another_result_is_refused():
    with pytest.raises(fusion.PeerError, match="different results"):
        fusion.simulate(
            victim=lambda peer: intersect(peer, OURS, ["k"], protocol="ecdh"),
            attacker=attack([Chunk(1, TWO), good_tags()], result=b"other"),
        )


@pytest.mark.parametrize("rows", [-1, 2**31 + 1, 2**40])
def test_impossible_sizes_are_refused(rows):
    with pytest.raises(fusion.PeerError, match="out of range"):
        fusion.simulate(
            victim=lambda peer: intersect(peer, OURS, ["k"], protocol="ecdh"), attacker=attack([], rows=rows)
        )


def test_tags_from_a_peer_that_learns_alone_are_refused():
    def role(peer):
        with peer.operation("psi.intersect"):
            peer.open(
                learn="attacker",
                kinds=("text",),
                rows=2,
                parameters={"how": "inner", "protocol": "ecdh", "suite": ecdh.SUITE},
            )
            for _ in peer.exchange(iter([Chunk(1, TWO), good_tags()]), {1: 32, 2: ecdh.tag_bytes(3, 2)}):
                pass

    with pytest.raises(fusion.PeerError, match="stream 2"):
        fusion.simulate(
            victim=lambda peer: intersect(peer, OURS, ["k"], learn="attacker", protocol="ecdh"), attacker=role
        )
