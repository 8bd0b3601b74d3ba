"""Numbers that two parties hold together: each has a share, uniform by itself, and their sum modulo t is the number.

Functionality: products of what one party knows in the clear and what is shared, products slot by slot of what each
knows, division by powers of two. Every result is shared again.

Parties
    Two, with a key each. Where they differ, the feature party encrypts and the label party multiplies.
Inputs
    Integers modulo t, a prime of 50 bits; signed ones from -t/2 to t/2.
Outputs
    Shares of the results. `Shared.show` sends a share, so that the other side knows the number.
Protocol
    A share is encrypted by its holder; the other side multiplies by what it knows, and answers with the product under a
    mask that is uniform modulo t: the mask, negated, is its share, and what the holder opens is his.
    `rows`: a matrix of few columns times a vector of as many entries. Each row, reversed, fills a block of the
    multiplier, so that one coefficient of the product is one row's result; columns that do not fit into a block are cut
    into several ciphertexts, which are summed.
    `columns`: a vector of as many entries as the matrix has rows. Each column, reversed, fills a block; long
    columns are cut into several ciphertexts.
    `left`, `right`: values in slots, products slot by slot, summed over ciphertexts.
    `divide`: each divides its share and rounds down. What is wrong then is a multiple of t, if the shares together
    exceeded t. For numbers from 0 to t/2 they did if and only if either share is t/2 or more: m + m' - m m' of one bit
    of each, which is a product by `left` and `right`. The result is exact to 2, never off by a wrap.
Leakage
    None but the sizes: everything a party opens is masked uniformly modulo t. What is opened holds no more of the
    multiplier: see `fusion.crypto.rlwe.PublicKey.respond`. Its distance is 2^-44.6 an answer, and adds up: 2^-32 over a
    thousand steps.
Threat model
    Semi-honest. A party that deviates makes results wrong, and may learn what they were made to hold.
Rounds and bytes
    One exchange and one answer for each. With C = 205 KB for a ciphertext and R = 66 KB for an answer, and another
    8 bytes for each number in it: `rows` and `columns` take as many C as the cuts above make, and R, each way; a
    product by slots C for each ciphertext and 2 R.
Assumptions
    Ring learning with errors at n = 8192, as `fusion.crypto.rlwe` states.
Reference
    Chen and others: When Homomorphic Encryption Marries Secret Sharing (KDD 2021), for the products; Huang and others:
    Cheetah (USENIX Security 2022), section 3, for matrices in coefficients, and section 4.2 for the wrap of numbers
    whose sign is known.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from fusion.channel import Channel, Chunk
from fusion.crypto import rlwe
from fusion.errors import InputError, PeerError

__all__ = ["DEGREE", "MODULUS", "PARAMETERS", "Shared", "reduced", "signed", "times"]

Integers = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]
Bits = npt.NDArray[np.bool_]

DEGREE = 8192
_TERMS = 1 << 10
PARAMETERS = rlwe.parameters(50, terms=_TERMS, batching=True, degree=DEGREE)
MODULUS = PARAMETERS.plain_modulus
"""t, of all shares."""

_OFFSET = MODULUS // 4  # makes numbers from -t/4 to t/4 positive
_THREADS = 1  # of a call: with a few polynomials each, handing them on costs more than it saves
_FRAME = 1 << 19
_PRIME_BITS = 50
_CIPHERTEXT_HEAD = 1 + 16 + 4 + 32
_RESPONSE_HEAD = 16 + 4


def signed(values: Words) -> Integers:
    """Residues as the integers of least absolute value."""
    return rlwe.centred(PARAMETERS, values)


def reduced(values: Integers) -> Words:
    """Integers as residues."""
    return np.mod(values, MODULUS).astype(np.uint64)


def times(x: Integers | int, shares: Words) -> Integers:
    """Products modulo t, from -t to t; factors may have any number of bits up to 49."""
    u = signed(shares)
    factor = np.asarray(x, dtype=np.int64)
    # int64 wraps modulo 2^64, and the quotient is off by 1 at most: what remains of the difference is right
    quotient = np.rint(factor.astype(np.float64) * (u.astype(np.float64) / MODULUS)).astype(np.int64)
    with np.errstate(over="ignore"):
        return factor * u - quotient * np.int64(MODULUS)


class Shared:
    """This party's side of all that two parties do with shares.

    Parameters
    ----------
    peer : Channel
        Inside an operation that has been opened.
    label : bool
        Whether this is the label party.
    """

    def __init__(self, peer: Channel, *, label: bool) -> None:
        self.peer, self.label = peer, label
        self._secret = rlwe.generate(PARAMETERS)
        key = self._secret.public.to_bytes()
        self._public = rlwe.PublicKey.from_bytes(PARAMETERS, self._swap(key, len(key)))

    def wipe(self) -> None:
        """Clear the secret key; nothing works afterwards."""
        self._secret.wipe()

    def rows(self, x: Integers, own: Words, theirs: Words, their_rows: int) -> tuple[Words, Words]:
        """A matrix of each party times a shared vector of its own.

        Parameters
        ----------
        x : (r, k) int64
            This party's matrix.
        own : (k,) uint64
            This party's share of the vector that ``x`` is multiplied by.
        theirs : (k',) uint64
            This party's share of the vector that the other side's matrix is multiplied by.
        their_rows : int
            How many rows that matrix has.

        Returns
        -------
        (r,), (their_rows,) uint64
            Shares of the product of this party's matrix, and of the other's.
        """
        width, cuts = _row_blocks(their_rows, len(theirs))
        message = np.zeros((cuts, DEGREE), np.uint64)
        padded = np.zeros(cuts * width, np.uint64)
        padded[: len(theirs)] = theirs
        message[:, :width] = padded.reshape(cuts, width)
        width, cuts = _row_blocks(*x.shape)
        matrix = np.zeros((len(x), cuts * width), np.int64)
        matrix[:, : x.shape[1]] = x
        multiplier = np.zeros((cuts, DEGREE), np.int64)
        blocks = matrix.reshape(len(x), cuts, width)[:, :, ::-1].swapaxes(0, 1)
        multiplier[:, : len(x) * width] = blocks.reshape(cuts, -1)
        their_width, _ = _row_blocks(their_rows, len(theirs))
        mask, opened = self._both_ways(
            message,
            multiplier,
            [i * width + width - 1 for i in range(len(x))],
            [i * their_width + their_width - 1 for i in range(their_rows)],
        )
        return reduced(times(x, own).sum(axis=1) - mask.astype(np.int64)), opened

    def columns(self, x: Integers, shares: Words, theirs: int) -> tuple[Words, Words]:
        """Each party's matrix, transposed, times a vector that both share.

        Parameters
        ----------
        x : (r, k) int64
            This party's matrix.
        shares : (r,) uint64
            This party's share of the vector.
        theirs : int
            Columns of the other side's matrix, which has as many rows.

        Returns
        -------
        (k,), (theirs,) uint64
            Shares of the product of this party's matrix, and of the other's.
        """
        their_height, cuts = _column_blocks(len(x), theirs)
        padded = np.zeros(cuts * their_height, np.uint64)
        padded[: len(shares)] = shares
        message = np.zeros((cuts, DEGREE), np.uint64)
        message[:, :their_height] = padded.reshape(cuts, their_height)
        height, cuts = _column_blocks(*x.shape)
        matrix = np.zeros((cuts * height, x.shape[1]), np.int64)
        matrix[: len(x)] = x
        multiplier = np.zeros((cuts, DEGREE), np.int64)
        blocks = matrix.reshape(cuts, height, -1)[:, ::-1].swapaxes(1, 2)
        multiplier[:, : x.shape[1] * height] = blocks.reshape(cuts, -1)
        mask, opened = self._both_ways(
            message,
            multiplier,
            [j * height + height - 1 for j in range(x.shape[1])],
            [j * their_height + their_height - 1 for j in range(theirs)],
        )
        return reduced(times(x, shares[:, None]).sum(axis=0) - mask.astype(np.int64)), opened

    def slots(self, values: Integers) -> Words:
        """Products slot by slot of both parties' values, summed over the first axis.

        Parameters
        ----------
        values : (c, 8192) int64
            Both sides must pass as many.

        Returns
        -------
        (8192,) uint64
            This party's shares.
        """
        polynomials = rlwe.to_coefficients(PARAMETERS, values, threads=_THREADS)
        everything = range(DEGREE)
        if not self.label:
            self._send(self._secret.encrypt(polynomials, threads=_THREADS).to_bytes())
            opened = self._opened(self._receive(_answer_bytes(DEGREE)), everything)
            return np.asarray(rlwe.to_slots(PARAMETERS, opened[None, :], threads=_THREADS)[0])
        data = self._receive(_ciphertext_bytes(len(values)))
        answer, mask = self._answer(data, polynomials, everything)
        self._send(answer)
        return reduced(-rlwe.to_slots(PARAMETERS, mask[None, :], threads=_THREADS)[0].astype(np.int64))

    def divide(self, shares: Words, bits: int) -> Words:
        """Numbers from -t/4 to t/4, divided by a power of two and rounded, to within 2.

        Parameters
        ----------
        shares : (k,) uint64
            At most 8192.
        bits : int
            Of the power.
        """
        if self.label:
            shares = reduced(signed(shares) + _OFFSET)
        upper: Bits = shares > MODULUS // 2
        values = np.zeros((1, DEGREE), np.int64)
        values[0, : len(shares)] = upper
        both = self.slots(values)[: len(shares)]
        wrapped = reduced(upper.astype(np.int64) - both.astype(np.int64))
        quotient = (shares >> np.uint64(bits)).astype(np.int64) - times(MODULUS >> bits, wrapped)
        return reduced(quotient - (_OFFSET >> bits if self.label else 0))

    def show(self, shares: Words) -> None:
        """Let the other side know the numbers."""
        self._send(shares.astype("<u8").tobytes())

    def shown(self, shares: Words) -> Integers:
        """Know the numbers, of which the other side sends its shares."""
        data = np.frombuffer(self._receive(8 * len(shares)), "<u8").astype(np.uint64)
        if (data >= MODULUS).any():
            raise PeerError(f"{self.peer.peer} sent a share out of range; check its version")
        return signed((shares + data) % np.uint64(MODULUS))

    def _both_ways(
        self, message: Words, multiplier: Integers, ours: Sequence[int], theirs: Sequence[int]
    ) -> tuple[Words, Words]:
        """Each encrypts, multiplies what it gets, and opens the other's answer: our mask, and what we opened."""
        data = self._swap(
            self._secret.encrypt(message, threads=_THREADS).to_bytes(), _ciphertext_bytes(len(multiplier))
        )
        answer, mask = self._answer(data, multiplier, ours)
        return mask, self._opened(self._swap(answer, _answer_bytes(len(theirs))), theirs)

    def _answer(self, data: bytes, multiplier: Integers | Words, coefficients: Sequence[int]) -> tuple[bytes, Words]:
        """What their ciphertexts make with our multipliers, under a mask; and the mask."""
        found = rlwe.Ciphertexts.from_bytes(self._public, data, threads=_THREADS)
        if len(found) != len(multiplier):
            raise PeerError(f"{self.peer.peer} sent {len(found)} ciphertexts where {len(multiplier)} belong")
        product = found.inner(rlwe.prepare(PARAMETERS, multiplier[None], threads=_THREADS), threads=_THREADS)
        responses, mask = self._public.respond(product, coefficients, threads=_THREADS)
        return responses.to_bytes(), mask[0]

    def _opened(self, data: bytes, coefficients: Sequence[int]) -> Words:
        responses = rlwe.Responses.from_bytes(PARAMETERS, self._secret.public.id, data, coefficients)
        if len(responses) != 1:
            raise PeerError(f"{self.peer.peer} sent {len(responses)} responses where 1 belongs")
        return np.asarray(self._secret.open(responses, threads=_THREADS)[0])

    def _send(self, data: bytes) -> None:
        self._exchange(data, 0)

    def _receive(self, size: int) -> bytes:
        return self._exchange(b"", size)

    def _swap(self, data: bytes, size: int) -> bytes:
        return self._exchange(data, size)

    def _exchange(self, data: bytes, size: int) -> bytes:
        """Send bytes while receiving ``size`` of them."""
        rows = np.frombuffer(data, np.uint8).reshape(-1, 1)
        chunks = (Chunk(1, rows[start : start + _FRAME]) for start in range(0, len(rows), _FRAME))
        received = bytearray()
        for chunk in self.peer.exchange(chunks, {1: 1}):
            received += chunk.rows.tobytes()
            if len(received) > size:
                break
        if len(received) != size:
            raise PeerError(f"{self.peer.peer} sent other than the {size} bytes that belong here; check its version")
        return bytes(received)


def _row_blocks(rows: int, columns: int) -> tuple[int, int]:
    """How many columns a block of `Shared.rows` has, and into how many ciphertexts they are cut."""
    width = min(DEGREE // rows if rows else 0, columns)
    if not width or -(-columns // width) > _TERMS:
        raise InputError(f"{rows} rows of {columns} columns at a time are too many; pass a smaller batch")
    return width, -(-columns // width)


def _column_blocks(rows: int, columns: int) -> tuple[int, int]:
    """How many rows a block of `Shared.columns` has, and into how many ciphertexts they are cut."""
    height = min(DEGREE // columns if columns else 0, rows)
    if not height or -(-rows // height) > _TERMS:
        raise InputError(f"{rows} rows of {columns} columns at a time are too many; pass a smaller batch")
    return height, -(-rows // height)


def _ciphertext_bytes(count: int) -> int:
    return _CIPHERTEXT_HEAD + count * len(PARAMETERS.primes) * DEGREE * _PRIME_BITS // 8


def _answer_bytes(numbers: int) -> int:
    bits = PARAMETERS.switch_bits
    return _RESPONSE_HEAD + -(-DEGREE * bits // 8) + -(-numbers * bits // 8)
