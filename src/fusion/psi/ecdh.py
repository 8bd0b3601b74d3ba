"""Diffie-Hellman intersection on ristretto255.

Functionality: both parties hold a set of items; who learns, learns which of its items the other also holds.

Parties
    Two, symmetric: each runs `matches` with its own items.
Inputs
    32-byte digests of the items, none twice, in any order.
Outputs
    For a learner, its items that match, in the order of their tags.
Protocol
    Party A draws a secret scalar a, party B a secret scalar b, fresh in every session. Each sends a H(x) or b H(y)
    for its items, in a random order; each multiplies what it receives by its own scalar. The point a b H(x) is hashed
    with the session into a tag, and tags go back in the order received, but only to a party that learns.
Leakage
    Both: the number of items of the other side. A learner: the intersection. A party that does not learn: nothing
    else. The masks are random points to whoever does not know the scalar (decisional Diffie-Hellman in ristretto255,
    H a random oracle), and their order is random.
Threat model
    Semi-honest. A peer that deviates decides what our result is: it can leave out items, and make any of our rows
    count as shared without holding them, as by returning the tags that it was sent. It learns whether an item that
    it can guess is here, by offering it. It cannot learn the scalar, nor an item that it cannot guess. Every encoding
    is checked to be canonical, on the group and not the identity; repeated masks are refused.
Correctness
    A tag has 40 + log2(nx) + log2(ny) bits, so that anywhere in the run an item of one side and a different one of
    the other share a tag with probability at most 2^-40. Two items of one side may more often; tags are only compared
    across.
Rounds and bytes
    Two flights, overlapping. A party sends 32 n + t m bytes, n its own items, m the peer's, t the width of a tag
    (10 bytes at 2^20 by 2^20), the second term only to a learner; and 24 bytes a chunk. Where chunks end depends on
    the sizes alone, and is checked.
Reference
    Huberman, Franklin, Hogg: Enhancing privacy and trust in electronic communities (EC 1999); hash to group as in
    RFC 9497, ristretto255-SHA512.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

from fusion.channel import Channel, Chunk, Session
from fusion.channel.messages import ENDS_BYTES, stream_bytes
from fusion.crypto import group
from fusion.crypto.random import permutation
from fusion.errors import PeerError
from fusion.kernels import hashing
from fusion.kernels.join import join, repeated
from fusion.psi.matches import Matches, tag_bytes

__all__ = ["CHUNK", "SUITE", "matches", "traffic"]

SUITE = "ristretto255-SHA512"
CHUNK = 4096  # rows in a chunk: long enough for every lane and thread, short enough to overlap with the network
_MASKS, _TAGS = 1, 2

Rows = npt.NDArray[np.uint8]


def traffic(learner: int, other: int, *, both: bool) -> int:
    """Bytes of a run, both directions, frames included, between parties with so many items."""
    width = tag_bytes(learner, other)
    streams = [(learner, 32), (other, 32), (learner, width)]
    if both:
        streams.append((other, width))
    return ENDS_BYTES + sum(stream_bytes(rows, each, CHUNK) for rows, each in streams)


def matches(peer: Channel, session: Session, hand_over: Callable[[], Rows]) -> Matches | None:
    """Run the protocol; None for a party that does not learn.

    ``hand_over`` gives the digests, shape (n, 32), as many as the session says.
    """
    items = hand_over()
    n, m = session.ours.rows, session.theirs.rows
    width = tag_bytes(n, m)
    learn = session.ours.learn
    we_learn, they_learn = learn in ("both", peer.name), learn in ("both", peer.peer)
    domain = b"fusion/psi/ecdh/1/" + SUITE.encode() + b"/"
    # at most 45 bytes, so that expand_message_xmd needs two compressions for its last hash rather than three
    hash_to_group_tag = b"fusion/ecdh/1" + hashlib.sha256(domain + b"item/" + session.id).digest()
    secret = group.random_scalar()
    order = permutation(n)
    theirs: deque[Rows] = deque()  # masks received, not yet worked on
    seen: list[Rows] = []
    their_tags: list[Rows] = []

    def outgoing() -> Iterator[Chunk | None]:
        sent = returned = 0
        while sent < n or returned < m:
            if theirs:
                received = theirs.popleft()
                points = group.decode(received)
                product = group.multiply_encode(points, secret)
                answer = hashing.sha256_rows(domain + b"tag/" + session.id, product, width)
                returned += len(answer)
                if we_learn:
                    their_tags.append(answer)
                if they_learn:
                    yield Chunk(_TAGS, answer)
            elif sent < n:
                block = items[order[sent : sent + CHUNK]]
                points = group.hash_to_group(block, hash_to_group_tag)
                sent += len(block)
                yield Chunk(_MASKS, group.multiply_encode(points, secret))
                peer.advance(len(block))
            else:
                yield None

    peer.phase("exchanging masks", n)
    our_tags = np.empty((n if we_learn else 0, width), np.uint8)
    filled = received = 0
    widths = {_MASKS: 32, _TAGS: width} if we_learn else {_MASKS: 32}
    for chunk in peer.exchange(outgoing(), widths):
        if chunk.stream == _MASKS:
            _check_cut(peer, "masks", len(chunk.rows), m - received)
            received += len(chunk.rows)
            theirs.append(chunk.rows)
            seen.append(chunk.rows[:, :16].copy())  # enough to tell masks apart
        else:
            _check_cut(peer, "tags", len(chunk.rows), n - filled)
            end = filled + len(chunk.rows)
            our_tags[filled:end] = chunk.rows
            filled = end
    if received != m or filled != len(our_tags):
        raise PeerError(f"{peer.peer} ended after {received} of {m} masks and {filled} of {len(our_tags)} tags")
    if seen and repeated(np.concatenate(seen)).any():
        raise PeerError(f"{peer.peer} sent the same mask twice; its items must be distinct")
    if not we_learn:
        return None
    peer.phase("matching")
    mine, _ = join(our_tags, np.concatenate(their_tags) if their_tags else np.empty((0, width), np.uint8))
    return Matches(order[mine], our_tags.take(mine, axis=0) if session.ours.learn == "both" else None)


def _check_cut(peer: Channel, what: str, count: int, missing: int) -> None:
    """One chunk at a time in full, so that rows sent one by one cannot cost us a call and a buffer each."""
    if count != min(CHUNK, missing):
        raise PeerError(f"{peer.peer} sent {count} {what} at once where {min(CHUNK, missing)} belong")
