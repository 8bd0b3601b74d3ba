"""Silent vector oblivious linear evaluation over GF(2^128): long random correlations from a short exchange.

Functionality: the sender gets a random element delta and a vector B; the receiver gets random vectors A and C;
everywhere C = A delta + B.

Parties
    A sender (`Sender`) and a receiver (`Receiver`). They open once and extend as often as they like, also in later
    operations on the same channel; delta stays the same.
Inputs
    The length M, equal on both sides.
Outputs
    (delta, B); (A, C). Each element 16 bytes.
Protocol
    The receiver draws a sparse vector a' of N elements, N >= 2 M: of 256 equal stretches each holds one random
    value at one random place. The correlations c = a' delta + b of these 256 values come from `base_vole`. The
    sender grows one tree for each stretch, whose leaves are its share b'; by the transfers of `ot_extension` the
    receiver gets all leaves but the one at its secret place. There the sum of all leaves and b, which the sender
    sends, together with c yields what makes c' = a' delta + b' hold. Both compress their vectors by one public
    linear code, N to M.
Leakage
    None: M is known to both.
Threat model
    Semi-honest. A is indistinguishable from random under dual LPN with regular noise of weight 256 over GF(2^128),
    rate 1/2 and the code of `fusion.kernels.code`; docs/decisions/0011 derives at least 128 bits for every M. The
    rest rests on its parts. The checks of Weng, Yang, Katz and Wang (S&P 2021) would make it malicious-secure.
Rounds and bytes
    Opening: one round trip, 8 KB from the sender and 12 KB from the receiver. Extending: one round trip, 128 KB and
    4 KB a level of a tree from the receiver, 4 KB and 8 KB a level from the sender; a tree has ceil(log2(M / 128))
    levels, and at least 4. In all 320 KB for a million.
Reference
    Boyle, Couteau, Gilboa, Ishai, Kohl, Rindal, Scholl: Efficient two-round OT extension and silent non-interactive
    secure computation (CCS 2019).
"""

from __future__ import annotations

import os
from collections import Counter
from typing import Self

import numpy as np
from numpy.typing import NDArray

from fusion.channel import Channel, Session
from fusion.correlations import _wire, base_ot, base_vole, ot_extension, trees
from fusion.correlations._wire import WIDTH, Rows, swap
from fusion.crypto.random import Source
from fusion.errors import InputError
from fusion.kernels import code, ggm

__all__ = ["MAX_LENGTH", "NOISE", "Receiver", "Sender", "leaves", "traffic"]

NOISE = 256
"""Weight of the noise, one in each stretch."""
MAX_LENGTH = 1 << 27
_RATE = 2  # elements before compression for each after
_SHORTEST = 16  # leaves of a tree: a shorter code than 4096 to 2048 is never used
_TRANSFERS = ot_extension.BASE + base_vole.TRANSFERS


def leaves(length: int) -> int:
    """Leaves of each of the 256 trees that ``length`` correlations take.

    Raises
    ------
    InputError
        Unless 1 <= length <= 2^27.
    """
    if not 1 <= length <= MAX_LENGTH:
        raise InputError(f"a correlation has 1 to {MAX_LENGTH} elements, not {length}")
    return max(_SHORTEST, -(-_RATE * length // NOISE))


def traffic(length: int) -> int:
    """Bytes that an opening and one extension to ``length`` correlations take, both directions, frames included.

    Raises
    ------
    InputError
        As `leaves`.
    """
    levels = NOISE * ggm.depth(leaves(length))
    points = _TRANSFERS * base_ot.POINT_ROWS
    requests = ot_extension.request_rows(levels) + base_vole.message_rows(NOISE)
    opening = 2 * _wire.traffic(points) + _wire.traffic(base_vole.OPENING_ROWS)
    return opening + _wire.traffic(requests) + _wire.traffic(2 * levels + NOISE)


class _Labels:
    """Names extensions alike on both sides and never twice: by the session, which is fresh, and a count within it."""

    def __init__(self) -> None:
        self._counts: Counter[bytes] = Counter()

    def next(self, session: Session) -> bytes:
        self._counts[session.id] += 1
        return session.id + self._counts[session.id].to_bytes(8, "little")


class Sender:
    """The side that holds delta. Made by `open`.

    Attributes
    ----------
    delta : bytes
        16 bytes, the same for all extensions. Secret.
    """

    def __init__(self, transfers: ot_extension.Sender, noise: base_vole.Sender, source: Source) -> None:
        self._transfers = transfers
        self._noise = noise
        self._source = source
        self._labels = _Labels()
        self.delta = noise.delta

    @classmethod
    def open(cls, peer: Channel, session: Session, *, source: Source = os.urandom, threads: int | None = None) -> Self:
        """Run the base transfers; the peer calls `Receiver.open`.

        Parameters
        ----------
        peer : Channel
        session : Session
            What ``peer.open`` returned.
        source : callable
            Randomness; only tests pass another.
        threads : int, optional
            Threads to use; None: all CPUs this process may use.

        Raises
        ------
        PeerError
            If the peer sends invalid points or another number of bytes.
        """
        bits = np.unpackbits(np.frombuffer(source(_TRANSFERS // 8), np.uint8))
        keys = base_ot.receive(peer, session, bits, source=source, threads=threads)
        message = swap(peer, None, base_vole.OPENING_ROWS)
        first, rest = slice(ot_extension.BASE), slice(ot_extension.BASE, None)
        noise = base_vole.Sender(session.id, bits[rest], keys[rest], message)
        return cls(ot_extension.Sender(bits[first], keys[first]), noise, source)

    def __repr__(self) -> str:
        return "<vole.Sender>"

    def extend(self, peer: Channel, session: Session, length: int, *, threads: int | None = None) -> Rows:
        """B of ``length`` correlations, (length, 16) uint8; the peer calls `Receiver.extend`.

        Parameters
        ----------
        peer, session, threads
            As in `open`; the session may be a later one on the same channel.
        length : int
            M, 1 to 2^27.

        Raises
        ------
        PeerError
            If the peer sends another number of bytes.
        InputError
            If the length is out of range.
        """
        count = leaves(length)
        depth, label = ggm.depth(count), self._labels.next(session)
        roots = _draw(self._source, NOISE)
        b, sums = ggm.expand(roots, trees.level_keys(label, NOISE, depth), count, threads=threads)
        requests = ot_extension.request_rows(NOISE * depth)
        received = swap(peer, None, requests + base_vole.message_rows(NOISE))
        keys = self._transfers.answer(label, NOISE * depth, received[:requests])
        totals = sums[:, -1, 0] ^ sums[:, -1, 1] ^ self._noise.extend(label, NOISE, received[requests:])
        swap(peer, np.concatenate([trees.hide(sums, keys).reshape(-1, WIDTH), totals]), 0)
        return _cut(code.Code(NOISE * count, threads=threads).compress(b.reshape(-1, WIDTH)), length)


class Receiver:
    """The side that gets A. Made by `open`."""

    def __init__(self, transfers: ot_extension.Receiver, noise: base_vole.Receiver, source: Source) -> None:
        self._transfers = transfers
        self._noise = noise
        self._source = source
        self._labels = _Labels()

    @classmethod
    def open(cls, peer: Channel, session: Session, *, source: Source = os.urandom, threads: int | None = None) -> Self:
        """Run the base transfers; the peer calls `Sender.open`. Parameters and errors are those of `Sender.open`."""
        pairs = base_ot.send(peer, session, _TRANSFERS, source=source, threads=threads)
        noise = base_vole.Receiver(session.id, pairs[ot_extension.BASE :], _draw(source, base_vole.TREES))
        swap(peer, noise.message, 0)
        return cls(ot_extension.Receiver(pairs[: ot_extension.BASE]), noise, source)

    def __repr__(self) -> str:
        return "<vole.Receiver>"

    def extend(self, peer: Channel, session: Session, length: int, *, threads: int | None = None) -> tuple[Rows, Rows]:
        """A and C of ``length`` correlations, (length, 16) uint8 each; the peer calls `Sender.extend`.

        Parameters and errors are those of `Sender.extend`.
        """
        count = leaves(length)
        depth, label = ggm.depth(count), self._labels.next(session)
        points = _below(count, np.frombuffer(self._source(NOISE * 8), "<u8"))
        values = _draw(self._source, NOISE)
        bits = trees.choices(points, depth)
        request, keys = self._transfers.request(label, bits)
        message, shares = self._noise.extend(label, values)
        swap(peer, np.concatenate([request, message]), 0)
        compressing = code.Code(NOISE * count, threads=threads)
        c = np.empty((NOISE, count, WIDTH), np.uint8)
        room = c.reshape(-1, WIDTH)  # memory that is used twice need not be cleared by the system twice
        # while the sender answers
        a = _cut(compressing.compress_noise(points, values, room), length)
        received = swap(peer, None, (2 * depth + 1) * NOISE)
        hints = trees.reveal(received[:-NOISE], bits, keys, NOISE)
        totals = ggm.puncture(c, hints, points, trees.level_keys(label, NOISE, depth), threads=threads)
        ggm.place(c, points, totals ^ received[-NOISE:] ^ shares, threads=threads)
        return a, _cut(compressing.compress(room), length)


def _draw(source: Source, n: int) -> Rows:
    return np.frombuffer(source(n * WIDTH), np.uint8).reshape(n, WIDTH)


def _below(bound: int, words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """64-bit words scaled to 0 .. bound - 1, for a bound below 2^31; probabilities are even within 1 in 2^33."""
    factor, half, low = np.uint64(bound), np.uint64(32), np.uint64(2**32 - 1)
    scaled: NDArray[np.uint64] = ((words >> half) * factor + ((words & low) * factor >> half)) >> half
    return scaled


def _cut(vector: Rows, length: int) -> Rows:
    vector.resize((length, WIDTH), refcheck=False)  # without a copy; no view is left
    return vector
