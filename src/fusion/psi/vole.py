"""Intersection by a key-value store and a vector oblivious linear evaluation: little traffic, no public-key work an item.

Functionality: both parties hold a set of items; who learns, learns which of its items the other also holds.

Parties
    The receiver encodes its items into a store: whoever learns alone; of two learners the one with fewer items, or
    with the first name when both have as many. The other is the sender.
Inputs
    32-byte digests of the items, none twice, already in a secret random order.
Outputs
    For a learner, its items that match, in the order of their tags.
Protocol
    A digest is a key, its first half, and a value H(x), its second. After both announcements the receiver draws the
    store's seed and encodes key -> H(x) into a vector P of m elements of GF(2^128), 1.05 n of them. The correlation
    gives it random vectors A, C and the sender delta, B with C = A delta + B. It sends P + A. The sender forms
    K = B + (P + A) delta = C + P delta; decoding is linear, so for an item y

        decode(K, y) + H(y) delta = decode(C, y) + (decode(P, y) + H(y)) delta,

    where the bracket vanishes if the receiver holds y and is random to it otherwise. Both hash their side of this,
    with the session, into a tag. The sender sends its tags; the receiver compares. When both learn, it answers with
    one bit for each of the sender's tags.
Leakage
    Both: the number of items of the other side. A learner: the intersection. A sender that does not learn: nothing
    else, as A masks P. A receiver: nothing else, as the tags of items that it does not hold are random to who does
    not know delta.
Threat model
    Semi-honest. A peer that deviates can choose its items, so learn whether a guessed item is here; can falsify the
    result; a receiver can overfill its store with more items than it announced, up to about the store's columns; a
    sender can make the receiver's bits tell whether chosen equations hold. A malicious variant adds the checks of
    Raghuraman and Rindal, section 5, to the correlation and to the tags.
Correctness
    A tag has 40 + log2(nx) + log2(ny) bits, so that two different items ever share one with probability 2^-40. The
    store fails with probability below 2^-40; that is an error, never a wrong result.
Rounds and bytes
    Four round trips. The receiver sends 16 m bytes, m = 1.05 n its own items; the sender t n', t the width of a tag
    (10 bytes at 2^20 by 2^20) and n' its items; two learners n'/8 more. The correlation takes 330 KB at 2^20.
Assumptions
    Those of `fusion.correlations.vole` (dual LPN, decisional Diffie-Hellman for the base transfers), SHA-256 a random
    oracle.
Reference
    Raghuraman, Rindal: Blazing fast PSI from improved OKVS and subfield VOLE (CCS 2022), section 4; the store is that
    of `fusion.crypto.okvs`.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from fusion.channel import Channel, Chunk, Session
from fusion.correlations import vole
from fusion.crypto import okvs
from fusion.errors import PeerError
from fusion.kernels import block, hashing
from fusion.psi.matches import Matches, match, tag_bytes

__all__ = ["SUITE", "matches"]

SUITE = "rb-okvs-480+vole-regular-256+sha256"
_WIDTH = 16
_CHUNK = 1 << 15  # elements of the masked store in a frame
_SEED, _STORE, _TAGS, _BITS = 1, 2, 3, 4

Rows = npt.NDArray[np.uint8]


def matches(peer: Channel, session: Session, items: Rows, *, threads: int | None = None) -> Matches | None:
    """Run the protocol over ``items``, shape (n, 32); None for a party that does not learn."""
    if _receives(session, peer):
        return _receiver(peer, session, items, threads)
    return _sender(peer, session, items, threads)


def _receives(session: Session, peer: Channel) -> bool:
    if session.ours.learn != "both":
        return session.ours.learn == peer.name
    return (session.ours.rows, peer.name) < (session.theirs.rows, peer.peer)


def _receiver(peer: Channel, session: Session, items: Rows, threads: int | None) -> Matches:
    sizes = okvs.parameters(len(items))
    keys = np.ascontiguousarray(items[:, :_WIDTH])
    peer.phase("making correlations")
    seed = secrets.token_bytes(_WIDTH)  # only now: both sides have fixed their items
    _send(peer, _SEED, np.frombuffer(seed, np.uint8).reshape(1, _WIDTH))
    a, c = vole.Receiver.open(peer, session, threads=threads).extend(peer, session, sizes.columns, threads=threads)
    peer.phase("encoding the store", len(items))
    store = okvs.encode(sizes, seed, keys, np.ascontiguousarray(items[:, _WIDTH:]), threads=threads)
    np.bitwise_xor(store, a, out=store)
    del a
    peer.phase("sending the store", len(store))
    _send(peer, _STORE, store)
    del store
    peer.phase("tagging", len(items))
    width = tag_bytes(session.ours.rows, session.theirs.rows)
    ours = _tags(session, okvs.decode(sizes, seed, keys, c, threads=threads), width, threads)
    del c, keys
    peer.phase("receiving tags", session.theirs.rows)
    theirs = _receive(peer, _TAGS, session.theirs.rows, width)
    peer.phase("matching")
    mine, other = match(ours, theirs)
    if session.ours.learn == "both":
        bits = np.zeros(len(theirs), np.bool_)
        bits[other] = True
        _send(peer, _BITS, np.packbits(bits).reshape(-1, 1))
    return Matches(mine, ours[mine])


def _sender(peer: Channel, session: Session, items: Rows, threads: int | None) -> Matches | None:
    sizes = okvs.parameters(session.theirs.rows)
    peer.phase("making correlations")
    seed = _receive(peer, _SEED, 1, _WIDTH).tobytes()
    sender = vole.Sender.open(peer, session, threads=threads)
    store = sender.extend(peer, session, sizes.columns, threads=threads)
    peer.phase("receiving the store", len(store))
    filled = 0
    for chunk in peer.exchange((), {_STORE: _WIDTH}):
        end = filled + len(chunk.rows)
        if end > len(store):
            raise PeerError(f"{peer.peer} sent more than the {len(store)} elements of its store")
        block.scale_add(store[filled:end], chunk.rows, sender.delta, threads=threads)
        filled = end
        peer.advance(len(chunk.rows))
    if filled != len(store):
        raise PeerError(f"{peer.peer} sent {filled} of the {len(store)} elements of its store")
    peer.phase("tagging", len(items))
    values = okvs.decode(sizes, seed, np.ascontiguousarray(items[:, :_WIDTH]), store, threads=threads)
    del store
    block.scale_add(values, np.ascontiguousarray(items[:, _WIDTH:]), sender.delta, threads=threads)
    ours = _tags(session, values, tag_bytes(session.ours.rows, session.theirs.rows), threads)
    del values
    peer.phase("sending tags", len(ours))
    _send(peer, _TAGS, ours)
    if session.ours.learn != "both":
        return None
    peer.phase("receiving matches")
    packed = _receive(peer, _BITS, -(-len(ours) // 8), 1).ravel()
    bits = np.unpackbits(packed).astype(np.bool_)
    if bits[len(ours) :].any():
        raise PeerError(f"{peer.peer} marked items that do not exist")
    found = np.flatnonzero(bits[: len(ours)])
    order, _ = match(ours[found], ours[found])  # sorts by tag
    return Matches(found[order], ours[found[order]])


def _tags(session: Session, values: Rows, width: int, threads: int | None) -> Rows:
    domain = b"fusion/psi/vole/1/" + SUITE.encode() + b"/tag/" + session.id
    return hashing.sha256_rows(domain, values, width, threads=threads)


def _send(peer: Channel, stream: int, rows: Rows) -> None:
    size = max(1, _CHUNK * _WIDTH // rows.shape[1])

    def chunks() -> Iterator[Chunk]:
        for start in range(0, len(rows), size):
            yield Chunk(stream, rows[start : start + size])
            peer.advance(min(size, len(rows) - start))

    for _ in peer.exchange(chunks(), {}):
        pass


def _receive(peer: Channel, stream: int, count: int, width: int) -> Rows:
    rows, filled = np.empty((count, width), np.uint8), 0
    for chunk in peer.exchange((), {stream: width}):
        end = filled + len(chunk.rows)
        if end > count:
            raise PeerError(f"{peer.peer} sent more than the {count} rows that belong here")
        rows[filled:end] = chunk.rows
        filled = end
    if filled != count:
        raise PeerError(f"{peer.peer} sent {filled} of the {count} rows that belong here")
    return rows
