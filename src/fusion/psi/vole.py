"""Intersection by a key-value store and a vector oblivious linear evaluation: few bytes an item, and no curve.

Functionality: both parties hold a set of items; who learns, learns which of its items the other also holds.

Parties
    The receiver encodes its items into a store: whoever learns alone; of two learners the one with fewer items, or
    with the first name when both have as many. The other is the sender.
Inputs
    32-byte digests of the items, none twice, in any order.
Outputs
    For a learner, its items that match, in the order of their tags.
Protocol
    Both hash their digests with the session: the first half of the hash of x is its key, the second its value H(x).
    The receiver draws the store's seed and encodes key -> H(x) into a vector P of m elements of GF(2^128), m about
    1.05 n. The correlation gives it random vectors A, C and the sender delta, B with C = A delta + B. It sends the
    seed and P + A. The sender forms K = B + (P + A) delta = C + P delta; decoding is linear, so for an item y

        decode(K, y) + H(y) delta = decode(C, y) + (decode(P, y) + H(y)) delta,

    where the bracket vanishes if the receiver holds y and, but for a chance of 2^-128, does not if it holds y not.
    Both hash their side of this, with the session and the key of y, into a tag. The sender sends its tags in a random
    order; the receiver compares. When both learn, it answers with one bit for each of the sender's tags.
Leakage
    Both: the number of items of the other side. A learner: the intersection. A sender that does not learn: nothing
    else, as A masks P. A receiver: nothing else, as a tag of an item that it does not hold is the hash of something
    with a nonzero multiple of delta in it, of which it knows nothing; and where the matching tags stand says nothing,
    as the sender's order is random.
Threat model
    Semi-honest. A peer that deviates can choose its items, so learn whether a guessed item is here; can falsify the
    result, the receiver by marking items that it does not hold; a receiver can overfill its store with more items
    than it announced, up to about the store's columns; a sender can make the receiver's bits tell whether chosen
    equations hold, also ones over the secrets of the correlation. A malicious variant adds the checks of Raghuraman
    and Rindal, section 5, to the correlation and to the tags. Shapes, counts and bits beyond the end are checked
    whatever the peer does.
Correctness
    A tag has 40 + log2(nx) + log2(ny) bits, so that two different items ever share one with probability 2^-40. The
    store fails with probability below 2^-40; that is an error, never a wrong result.
Rounds and bytes
    Three and a half round trips, four when both learn. The receiver sends 16 m bytes; the sender t n', t the width
    of a tag (10 bytes at 2^20 by 2^20) and n' its items; two learners n'/8 more. The correlation takes 330 KB at
    2^20. `traffic` counts every byte.
Assumptions
    Those of `fusion.correlations.vole` (dual LPN, decisional Diffie-Hellman for the base transfers), SHA-256 a random
    oracle.
Reference
    Raghuraman, Rindal: Blazing fast PSI from improved OKVS and subfield VOLE (CCS 2022), section 4; the store is that
    of `fusion.crypto.okvs`. docs/fast-intersection.md argues each step.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping

import numpy as np
import numpy.typing as npt

from fusion.channel import Channel, Chunk, Session
from fusion.channel.messages import ENDS_BYTES, stream_bytes
from fusion.correlations import vole
from fusion.crypto import okvs
from fusion.crypto.random import permutation
from fusion.errors import PeerError
from fusion.kernels import block, hashing
from fusion.kernels.join import join
from fusion.psi.matches import Matches, tag_bytes

__all__ = ["FRAME", "SUITE", "matches", "traffic"]

SUITE = "rb-okvs-480+vole-regular-256+sha256"
_WIDTH = 16
FRAME = 1 << 19  # bytes of rows in a frame: enough to fill the network, little enough to work while the next comes
_BLOCK = 1 << 16  # rows hashed at a time, so that what is hashed never stands in memory whole
_SEED, _STORE, _TAGS, _BITS = 1, 2, 3, 4

Rows = npt.NDArray[np.uint8]


def matches(peer: Channel, session: Session, hand_over: Callable[[], Rows]) -> Matches | None:
    """Run the protocol; None for a party that does not learn.

    ``hand_over`` gives the digests, shape (n, 32), as many as the session says. If nobody else keeps them, they make
    room as soon as they are hashed with the session.
    """
    if _receives(session, peer):
        return _receiver(peer, session, hand_over)
    return _sender(peer, session, hand_over)


def traffic(encoded: int, tagged: int, *, both: bool) -> int:
    """Bytes of a run, both directions, frames included, between a receiver and a sender with so many items."""
    columns = okvs.parameters(encoded).columns
    streams = [(1, _WIDTH), (columns, _WIDTH), (tagged, tag_bytes(encoded, tagged))]
    if both:
        streams.append((-(-tagged // 8), 1))
    rows = sum(stream_bytes(count, width, FRAME // width) for count, width in streams)
    # the seed and the store share an exchange
    return vole.traffic(columns) + rows + (len(streams) - 1) * ENDS_BYTES


def _receives(session: Session, peer: Channel) -> bool:
    if session.ours.learn != "both":
        return session.ours.learn == peer.name
    return (session.ours.rows, peer.name) < (session.theirs.rows, peer.peer)


def _receiver(peer: Channel, session: Session, hand_over: Callable[[], Rows]) -> Matches:
    count = session.ours.rows
    sizes = okvs.parameters(count)
    peer.phase("making correlations")
    a, c = vole.Receiver.open(peer, session).extend(peer, session, sizes.columns)
    peer.phase("encoding the store", count)
    keys, values = _keys_and_values(session, hand_over())
    seed = secrets.token_bytes(_WIDTH)  # only now: both sides have fixed their items
    store = okvs.encode(sizes, seed, keys, values)
    del values
    np.bitwise_xor(store, a, out=store)
    del a
    peer.phase("sending the store", len(store))
    _send(peer, (_SEED, _frames(np.frombuffer(seed, np.uint8).reshape(1, _WIDTH))), (_STORE, _frames(store)))
    del store
    peer.phase("tagging", count)
    width = tag_bytes(count, session.theirs.rows)
    ours = _tags(session, okvs.decode(sizes, seed, keys, c), keys, width)
    del c, keys
    peer.phase("receiving tags", session.theirs.rows)
    theirs = _receive(peer, _TAGS, session.theirs.rows, width)
    peer.phase("matching")
    mine, other = join(ours, theirs)
    if session.ours.learn != "both":
        return Matches(mine, None)
    bits = np.zeros(len(theirs), np.bool_)
    bits[other] = True
    _send(peer, (_BITS, _frames(np.packbits(bits).reshape(-1, 1))))
    return Matches(mine, ours.take(mine, axis=0))


def _sender(peer: Channel, session: Session, hand_over: Callable[[], Rows]) -> Matches | None:
    count = session.ours.rows
    sizes = okvs.parameters(session.theirs.rows)
    peer.phase("making correlations")
    sender = vole.Sender.open(peer, session)
    store = sender.extend(peer, session, sizes.columns)
    keys, values = _keys_and_values(session, hand_over())
    order = permutation(count)
    peer.phase("receiving the store", len(store))
    seed = b""
    for stream, start, rows in _arrivals(peer, {_SEED: (1, _WIDTH), _STORE: (len(store), _WIDTH)}):
        if stream == _SEED:
            seed = rows.tobytes()
        else:
            block.scale_add(store[start : start + len(rows)], rows, sender.delta)
            peer.advance(len(rows))
    peer.phase("tagging", count)
    sums = okvs.decode(sizes, seed, keys, store)
    del store
    block.scale_add(sums, values, sender.delta)
    del values
    width = tag_bytes(count, session.theirs.rows)
    ours = np.empty((count, width), np.uint8)

    def shuffled() -> Iterator[Rows]:
        for start in range(0, count, FRAME // width):
            rows = order[start : start + FRAME // width]
            part = ours[start : start + len(rows)]
            part[:] = _tags(session, sums.take(rows, axis=0), keys.take(rows, axis=0), width)
            yield part

    peer.phase("sending tags", count)
    _send(peer, (_TAGS, shuffled()))
    if session.ours.learn != "both":
        return None
    peer.phase("receiving matches")
    bits = np.unpackbits(_receive(peer, _BITS, -(-len(ours) // 8), 1).ravel()).astype(np.bool_)
    if bits[len(ours) :].any():
        raise PeerError(f"{peer.peer} marked items that do not exist")
    found = np.flatnonzero(bits[: len(ours)])
    tags = ours.take(found, axis=0)
    sorts, _ = join(tags, tags)
    return Matches(order[found[sorts]], tags.take(sorts, axis=0))


def _keys_and_values(session: Session, items: Rows) -> tuple[Rows, Rows]:
    """Two halves of a hash of every item, (n, 16) each.

    Hashed anew, because whoever writes into a table may have prepared items whose digests collide in one half; the
    session is not known before all items are fixed.
    """
    keys, values = np.empty((len(items), _WIDTH), np.uint8), np.empty((len(items), _WIDTH), np.uint8)
    prefix = _prefix(session, b"item")
    for start in range(0, len(items), _BLOCK):
        part = slice(start, start + _BLOCK)
        hashed = hashing.sha256_rows(prefix, items[part], 2 * _WIDTH)
        keys[part], values[part] = hashed[:, :_WIDTH], hashed[:, _WIDTH:]
    return keys, values


def _tags(session: Session, sums: Rows, keys: Rows, width: int) -> Rows:
    """With the key, so that a guess at a sum is tried against one tag and not against all."""
    tags = np.empty((len(sums), width), np.uint8)
    prefix = _prefix(session, b"tag")
    for start in range(0, len(sums), _BLOCK):
        part = slice(start, start + _BLOCK)
        tags[part] = hashing.sha256_rows(prefix, np.hstack((sums[part], keys[part])), width)
    return tags


def _prefix(session: Session, use: bytes) -> bytes:
    """64 bytes, a whole block of SHA-256, so that a row after it takes one compression only."""
    return hashlib.sha256(b"fusion/psi/vole/1/" + SUITE.encode() + b"/" + use).digest() + session.id


def _send(peer: Channel, *streams: tuple[int, Iterable[Rows]]) -> None:
    """Send frames of rows, each made when the one before is on its way."""

    def chunks() -> Iterator[Chunk]:
        for stream, frames in streams:
            for rows in frames:
                yield Chunk(stream, rows)
                peer.advance(len(rows))

    for _ in peer.exchange(chunks(), {}):
        pass


def _frames(rows: Rows) -> Iterator[Rows]:
    size = FRAME // rows.shape[1]
    return (rows[start : start + size] for start in range(0, len(rows), size))


def _receive(peer: Channel, stream: int, count: int, width: int) -> Rows:
    received = np.empty((count, width), np.uint8)
    for _, start, rows in _arrivals(peer, {stream: (count, width)}):
        received[start : start + len(rows)] = rows
        peer.advance(len(rows))
    return received


def _arrivals(peer: Channel, shapes: Mapping[int, tuple[int, int]]) -> Iterator[tuple[int, int, Rows]]:
    """Stream, place and rows of what arrives, until each stream has as many rows as it must have.

    Chunks are full but for the last of a stream, so that rows sent one by one cannot cost us a call each.
    """
    filled = dict.fromkeys(shapes, 0)
    for chunk in peer.exchange((), {stream: width for stream, (_, width) in shapes.items()}):
        start, (count, width) = filled[chunk.stream], shapes[chunk.stream]
        due = min(FRAME // width, count - start)
        if len(chunk.rows) != due:
            raise PeerError(f"{peer.peer} sent {len(chunk.rows)} rows on stream {chunk.stream} where {due} belong")
        filled[chunk.stream] += due
        yield chunk.stream, start, chunk.rows
    for stream, (count, _) in shapes.items():
        if filled[stream] != count:
            raise PeerError(f"{peer.peer} sent {filled[stream]} of the {count} rows that belong on stream {stream}")
