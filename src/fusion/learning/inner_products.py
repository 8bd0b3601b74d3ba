"""Inner products of a vector of one party and a vector of the other, learned by one of them alone.

Functionality: the feature party holds rows u, the label party rows v; the label party learns u . v.

Parties
    The label party asks (`Asking`), the feature party answers (`Answering`).
Inputs
    Rows of n floats each. Both know how many there are.
Outputs
    The label party: inner products, to a relative precision of about 2^-24 of the product of both norms.
Protocol
    A row becomes integers by a power of two that brings its Euclidean norm to just below 2^24; by Cauchy and Schwarz
    no inner product then exceeds 2^48 but for rounding, half of what the plaintext modulus 2^50 has room for. The
    encrypted side's integers are the coefficients of polynomials, lowest first; the other side's, highest first:
    coefficient N - 1 of the product of two such polynomials is their inner product. Longer rows take several
    polynomials, whose products are summed.
    `columns`: the label party encrypts its rows; the feature party multiplies and answers with that one coefficient.
    `row`: the feature party encrypts its row; the label party multiplies and answers with that coefficient under a
    uniform mask, the feature party opens and returns it, and the label party takes the mask away.
    Either way the feature party adds a random number of 23 bits, about as much as rounding has made wrong.
Leakage
    The label party: the inner products, to about 2^-26 of both norms; and for each row of the feature party the power
    of two next to its norm. The feature party: nothing, as what it opens is masked uniformly modulo t. Both: how many
    rows and how long.
    What is opened holds no more of the multiplier than the inner product: see `fusion.crypto.rlwe.PublicKey.respond`.
Threat model
    Semi-honest. A label party that encrypts other vectors than its own learns other sums over the feature party's
    rows, single values among them. A feature party that answers falsely makes the result wrong.
Rounds and bytes
    `columns`: one round trip, 205 KB for each 8,192 values of a row that is encrypted, 66 KB for each product.
    `row`: one and a half round trips, the same sizes.
Assumptions
    Ring learning with errors at N = 8192, as `fusion.crypto.rlwe` states.
Reference
    Inner products in one coefficient: Huang, Lu, Hong, Ding: Cheetah (USENIX Security 2022), section 3.
"""

from __future__ import annotations

import os

import numpy as np
import numpy.typing as npt

from fusion.channel import Channel, Chunk
from fusion.crypto import rlwe
from fusion.errors import PeerError

__all__ = ["Answering", "Asking"]

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]

_NORM_BITS = 24
_PLAIN_BITS = 50
_DEGREE = 8192
_AT_ONCE = 32  # rows whose products stand in memory together
_POLYNOMIALS_AT_ONCE = 512
_MOST_TERMS = 1 << 14
_FRAME = 1 << 19
_SHARE = 8
_HIDDEN_BITS = 23  # of an inner product of 48: no more than rounding has made wrong already
_EXPONENT = 2
_MOST_SHIFT = 2000
_PRIME_BITS = 50
_CIPHERTEXT_HEAD = 1 + 16 + 4 + 32
_RESPONSE_HEAD = 16 + 4
_COEFFICIENT = [_DEGREE - 1]
_GOLDEN = 0.6180339887498949  # whose multiples modulo 1 lie as evenly as can be


class _Link:
    """Keys of both sides, and what travels."""

    def __init__(self, peer: Channel) -> None:
        self.peer = peer
        self.parameters = rlwe.parameters(_PLAIN_BITS, terms=_MOST_TERMS, multiplier_bits=_NORM_BITS, degree=_DEGREE)
        self.secret = rlwe.generate(self.parameters)
        public = self.secret.public.to_bytes()
        self.public = rlwe.PublicKey.from_bytes(self.parameters, self.swap(public, len(public)))

    def wipe(self) -> None:
        """Clear the secret key; nothing works afterwards."""
        self.secret.wipe()

    def encrypted(self, integers: Integers) -> bytes:
        """Rows of integers under our key."""
        return self.secret.encrypt(_polynomials(integers).reshape(-1, _DEGREE)).to_bytes()

    def ciphertexts(self, data: bytes, rows: int) -> list[rlwe.Ciphertexts]:
        """What `encrypted` made over there, one for each row."""
        found = rlwe.Ciphertexts.from_bytes(self.public, data)
        if len(found) % rows:
            raise PeerError(f"{self.peer.peer} sent {len(found)} ciphertexts, which do not make {rows} rows")
        each = len(found) // rows
        return [found[i * each : (i + 1) * each] for i in range(rows)]

    def answers(self, row: rlwe.Ciphertexts, prepared: rlwe.Plaintexts, *, masked: bool) -> tuple[bytes, Words]:
        """Responses to the inner products of one encrypted row with each of ours, and their masks."""
        count = prepared.shape[0]
        shown = None if masked else self.blurred(np.zeros((count, 1), np.uint64))
        responses, mask = self.public.respond(row.inner(prepared), _COEFFICIENT, mask=shown)
        return responses.to_bytes(), mask[:, 0]

    def opened(self, data: bytes, count: int) -> Words:
        """What `answers` made over there, opened: (count,) below t."""
        responses = rlwe.Responses.from_bytes(self.parameters, self.secret.public.id, data, _COEFFICIENT)
        if len(responses) != count:
            raise PeerError(f"{self.peer.peer} sent {len(responses)} responses where {count} belong")
        return self.secret.open(responses)[:, 0]

    def blurred(self, residues: Words) -> Words:
        """With digits that mean nothing made random: exact sums can be solved for a column of few values, by lattice
        reduction."""
        drawn = np.frombuffer(os.urandom(8 * residues.size), "<u8").reshape(residues.shape).astype(np.uint64)
        noise = (drawn >> np.uint64(64 - _HIDDEN_BITS)) - np.uint64(1 << _HIDDEN_BITS - 1)
        # t is a power of two that divides 2^64, so the sum may wrap
        return (residues + noise) & np.uint64(self.parameters.plain_modulus - 1)

    def prepare(self, integers: Integers) -> rlwe.Plaintexts:
        return rlwe.prepare(self.parameters, _polynomials(integers)[..., ::-1])

    def signed(self, residues: Words) -> Floats:
        return rlwe.centred(self.parameters, residues).astype(np.float64)

    def ciphertext_bytes(self, rows: int, length: int) -> int:
        """Length of what `encrypted` makes."""
        return _CIPHERTEXT_HEAD + rows * _blocks(length) * len(self.parameters.primes) * _DEGREE * _PRIME_BITS // 8

    def answer_bytes(self, count: int) -> int:
        """Length of what `answers` makes."""
        bits = self.parameters.switch_bits
        return _RESPONSE_HEAD + -(-count * _DEGREE * bits // 8) + -(-count * bits // 8)

    def send(self, data: bytes) -> None:
        _exchange(self.peer, data, 0)

    def receive(self, size: int) -> bytes:
        return _exchange(self.peer, b"", size)

    def swap(self, data: bytes, size: int) -> bytes:
        return _exchange(self.peer, data, size)


class Asking(_Link):
    """The label party's side; see `fusion.learning.vertical.Asking`."""

    noise = 2.0**-20  # relative; what rounding leaves of products of typical columns

    def columns(self, ours: Floats, theirs: int) -> Floats:
        """Our rows, (b, n), times each of ``theirs`` rows over there: (theirs, b)."""
        exponents = _shifts(ours)
        self.send(self.encrypted(_integers(ours, exponents)))
        scales = _exponents(self.receive(theirs * _EXPONENT), self.peer)
        found = np.empty((theirs, len(ours)))
        for start, count in _batches(theirs, ours.shape[1]):
            for j in range(len(ours)):
                opened = self.opened(self.receive(self.answer_bytes(count)), count)
                found[start : start + count, j] = self.signed(opened)
        products: Floats = np.ldexp(found, -(scales[:, None] + exponents[None, :]))
        return products

    def row(self, ours: Floats) -> Floats:
        """Our rows, (b, n), times the one row over there: (b,)."""
        exponents = _shifts(ours)
        scale = _exponents(self.receive(_EXPONENT), self.peer)
        (row,) = self.ciphertexts(self.receive(self.ciphertext_bytes(1, ours.shape[1])), 1)
        if len(row) != _blocks(ours.shape[1]):
            raise PeerError(f"{self.peer.peer} sent a row of another length")
        masks = []
        for start, count in _batches(len(ours), ours.shape[1]):
            batch = slice(start, start + count)
            prepared = self.prepare(_integers(ours[batch], exponents[batch]))
            data, mask = self.answers(row, prepared, masked=True)
            masks.append(mask)
            self.send(data)
        shares = np.frombuffer(self.receive(_SHARE * len(ours)), "<u8").astype(np.uint64)
        if (shares >= self.parameters.plain_modulus).any():
            raise PeerError(f"{self.peer.peer} returned a share out of range")
        # t is a power of two that divides 2^64, so the difference may wrap
        values = (shares - np.concatenate(masks)) & np.uint64(self.parameters.plain_modulus - 1)
        products: Floats = np.ldexp(self.signed(values), -(scale + exponents))
        return products


class Answering(_Link):
    """The feature party's side; see `fusion.learning.vertical.Answering`."""

    def columns(self, ours: Floats, theirs: int) -> None:
        """Answer `Asking.columns`: our rows, (a, n), and how many of theirs there are."""
        exponents = _shifts(ours)
        data = self.receive(self.ciphertext_bytes(theirs, ours.shape[1]))
        rows = self.ciphertexts(data, theirs)
        if len(rows[0]) != _blocks(ours.shape[1]):
            raise PeerError(f"{self.peer.peer} sent rows of another length")
        self.send(exponents.astype("<i2").tobytes())
        for start, count in _batches(*ours.shape):
            batch = slice(start, start + count)
            prepared = self.prepare(_integers(ours[batch], exponents[batch]))
            for row in rows:
                self.send(self.answers(row, prepared, masked=False)[0])

    def row(self, ours: Floats, theirs: int) -> None:
        """Answer `Asking.row`: our row, (1, n), and how many of theirs there are."""
        exponents = _shifts(ours)
        self.send(exponents.astype("<i2").tobytes())
        self.send(self.encrypted(_integers(ours, exponents)))
        counts = [count for _, count in _batches(theirs, ours.shape[1])]
        shares = [self.opened(self.receive(self.answer_bytes(count)), count) for count in counts]
        self.send(self.blurred(np.concatenate(shares)).astype("<u8").tobytes())


def _shifts(rows: Floats) -> Integers:
    """The power of two that brings each row's norm to just below 2^24."""
    shifts = np.full(len(rows), _MOST_SHIFT)  # of rows of zeros, so that nothing random shows beside them
    for i, row in enumerate(rows):
        # in two steps: squares of very large or small numbers leave the range
        _, first = np.frexp(np.abs(row).max(initial=0.0))
        norm, second = np.frexp(np.linalg.norm(np.ldexp(row, -first)))
        if norm > 0:
            shifts[i] = _NORM_BITS - int(first) - int(second)
    return shifts


def _integers(rows: Floats, shifts: Integers) -> Integers:
    """Rows times powers of two, rounded up or down."""
    # Equal values must not all be rounded the same way: the error would grow with the rows, not with their root.
    uneven = np.arange(rows.shape[1]) * _GOLDEN % 1.0
    rounded: Integers = np.floor(np.ldexp(rows, shifts[:, None]) + uneven).astype(np.int64)
    return rounded


def _exponents(data: bytes, peer: Channel) -> npt.NDArray[np.int64]:
    shifts = np.frombuffer(data, "<i2").astype(np.int64)
    if (np.abs(shifts) > _MOST_SHIFT).any():
        raise PeerError(f"{peer.peer} sent a scale out of range")
    return shifts


def _blocks(length: int) -> int:
    return -(-length // _DEGREE)


def _batches(count: int, length: int) -> list[tuple[int, int]]:
    """Where batches of rows begin, and how many rows each has."""
    most = max(1, min(_AT_ONCE, _POLYNOMIALS_AT_ONCE // _blocks(length)))
    return [(start, min(most, count - start)) for start in range(0, count, most)]


def _polynomials(integers: Integers) -> Integers:
    """Rows as polynomials, (rows, blocks, N); what the last lacks is zero."""
    rows, length = integers.shape
    padded = np.zeros((rows, _blocks(length) * _DEGREE), np.int64)
    padded[:, :length] = integers
    return padded.reshape(rows, -1, _DEGREE)


def _exchange(peer: Channel, data: bytes, size: int) -> bytes:
    """Send bytes while receiving ``size`` of them."""
    rows = np.frombuffer(data, np.uint8).reshape(-1, 1)
    chunks = (Chunk(1, rows[start : start + _FRAME]) for start in range(0, len(rows), _FRAME))
    received = bytearray()
    for chunk in peer.exchange(chunks, {1: 1}):
        received += chunk.rows.tobytes()
        if len(received) > size:
            break
    if len(received) != size:
        raise PeerError(f"{peer.peer} sent other than the {size} bytes that belong here; check its version")
    return bytes(received)
