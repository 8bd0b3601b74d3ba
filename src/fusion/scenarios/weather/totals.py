"""Totals over a secret book: one side encrypts a column, the other answers with sums weighted by secret numbers.

Functionality: the asker holds n whole numbers, the answerer an m x n matrix of whole weights from 0 to 1000; the asker
learns the m weighted sums, each within half a step, and the answerer nothing.

Parties
    Two: the asker runs `ask`, the answerer `answer`, with the same `Query`.
Inputs
    Asker: a column of n whole numbers from 0 to `bound` (n). Answerer: the weights.
Outputs
    Asker: m totals in thousandths of its unit, each with noise that is uniform within half a step either way.
Protocol
    The asker makes an ElGamal key for this one query, encrypts its column and a zero, and sends both. The answerer
    multiplies by its weights, those of the zero filling each row up to 1000 n, adds the encrypted noise and sends the
    sums back, re-randomised.
Leakage
    Answerer: n, which is public. Asker: m linear equations about the weights with known error, no more. The sums are
    re-randomised by uniform scalars, and announce the same sum of weights whatever the weights are.
Threat model
    Semi-honest. An asker who encrypts another column than its own gets totals of that one: with a column that is zero
    but in one row it reads that row's weights to within half a step, and since nothing proves that values keep to their
    bound, it can raise them until the step no longer matters. The answerer's `Allowance` counts every total, so it can
    do so for few. An answerer who uses other weights changes the totals. It reads nothing of the column, but if it
    sends sums that exceed what decryption reaches for some columns and not for others, it learns from the asker's
    leaving which of them this is: one bit a query.
Rounds and bytes
    Two flights: 64 (n + 1) bytes there, 64 m back, and less than 1 KiB around them.
Reference
    Exponential ElGamal, ISO/IEC 18033-6:2019, 6.2, on ristretto255 (RFC 9496).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt

from fusion.aggregation import EncryptedArray, PublicKey, generate
from fusion.channel import Channel, Session
from fusion.crypto.random import Source
from fusion.errors import InputError, PeerError
from fusion.scenarios.weather.allowance import Allowance
from fusion.scenarios.weather.products import THOUSAND
from fusion.scenarios.weather.wire import receive, send

__all__ = ["Query", "answer", "ask", "bound", "rounding_noise"]

Integers = npt.NDArray[np.int64]

_REACH = 1 << 40  # of ElGamal's decryption
_LONGEST = 1 << 20
_AROUND = 1 << 16  # more than a key and the headers of an array take
_LENGTH_BYTES = 4


@dataclass(frozen=True, slots=True)
class Query:
    """What both sides agree on before a query; the opening compares it.

    Attributes
    ----------
    purpose : str
        In a few words, such as "payout of the portfolio".
    terms : str
        A digest of everything that says what the rows and the weights are.
    rows : int
        Length of the column.
    subjects : sequence of str
        For each total, what it is an equation about: the answerer's allowance counts by it.
    unit : str
        Of the column, such as "yuan".
    step : int
        To what the totals are rounded, in that unit; 0 for exact ones.
    """

    purpose: str
    terms: str
    rows: int
    subjects: Sequence[str]
    unit: str
    step: int


def bound(rows: int) -> int:
    """Return the largest value that a column of so many rows may hold: what decryption reaches, 2^40 in all."""
    if not 1 <= rows <= _LONGEST:
        raise InputError(f"a column has 1 to {_LONGEST} rows")
    return _REACH // _terms(rows)


def ask(peer: Channel, query: Query, column: npt.ArrayLike) -> Integers:
    """Learn the totals of a column that the peer does not see.

    Returns
    -------
    (m,) int64
        In thousandths of the column's unit, each within half a step.

    Raises
    ------
    InputError
        A column of another length, or with a value that is negative, too large or no whole number.
    PolicyError, PeerAborted
        This side's policy, or the peer's allowance, does not permit the query.
    PeerError
        An answer of another shape, or with totals beyond what decryption reaches.
    """
    with peer.operation("weather.totals"):
        values, most = np.asarray(column), bound(query.rows)
        if values.shape != (query.rows,) or values.dtype.kind not in "iu":
            raise InputError(f"the column holds {query.rows} whole numbers; round to its unit first")
        if (values < 0).any() or (values > most).any():
            raise InputError(f"a column of {query.rows} rows holds numbers from 0 to {most}; take a larger unit")
        _open(peer, query, learner=peer.name)
        public, private = generate("elgamal")
        padded = np.append(values.astype(np.int64), 0)
        encrypted = private.encrypt(padded, bound=most, terms=_terms(query.rows))
        key = public.to_bytes()
        peer.phase("sending the encrypted column")
        send(peer, len(key).to_bytes(_LENGTH_BYTES, "little") + key + encrypted.to_bytes())
        peer.phase(f"waiting for the totals of {peer.peer}")
        reply = EncryptedArray.from_bytes(receive(peer, _AROUND + 64 * len(query.subjects)), public)
        expected = ((len(query.subjects),), encrypted.bound, encrypted.terms, encrypted.decimals, encrypted.terms)
        if (reply.shape, reply.bound, reply.terms, reply.decimals, reply.weight) != expected:
            raise PeerError(f"{peer.peer} answers with other totals than agreed; check its version")
        totals = np.asarray(private.decrypt(reply), np.int64)
        _finish(peer, query, asker=peer.name, answerer=peer.peer)
        return totals


def answer(
    peer: Channel,
    query: Query,
    weights: npt.ArrayLike,
    *,
    allowance: Allowance,
    source: Source = os.urandom,
) -> None:
    """Let the peer learn totals of its column under these weights.

    Parameters
    ----------
    weights : (m, n) whole numbers
        0 to 1000.
    allowance : Allowance
        Asked, and charged, before the column is read; a query that fails later stays charged.
    source : callable
        Randomness of the noise.

    Raises
    ------
    InputError
        Weights of another shape or out of range, or a step too coarse for so many rows.
    PolicyError
        The peer has had its totals.
    PeerError
        A column of another length or with other limits, or bytes that are no ciphertexts.
    """
    with peer.operation("weather.totals"):
        matrix, most = np.asarray(weights), bound(query.rows)
        if matrix.shape != (len(query.subjects), query.rows) or matrix.dtype.kind not in "iu":
            raise InputError("weights are whole numbers, a row for each total and a column for each row of the query")
        if (matrix < 0).any() or (matrix > THOUSAND).any():
            raise InputError(f"weights are thousandths, 0 to {THOUSAND}")
        if query.step * THOUSAND // 2 > most:
            raise InputError(f"with {query.rows} rows a step is at most {2 * most // THOUSAND}; take a smaller one")
        noise = rounding_noise(len(matrix), query.step, source)
        _open(peer, query, learner=peer.peer)
        allowance.take(peer.peer, query.subjects)
        peer.phase(f"waiting for the column of {peer.peer}")
        public, column = _read_column(peer, query.rows, most)
        peer.phase("weighting")
        padding = THOUSAND * query.rows - matrix.sum(axis=1, dtype=np.int64)
        try:
            sums = cast(EncryptedArray, np.column_stack([matrix.astype(np.int64), padding]) @ column)
            blurred = sums + public.encrypt(noise, bound=most, terms=_terms(query.rows))
        except InputError:  # ours was checked above
            raise PeerError(f"{peer.peer} sends a column that cannot be weighted; check its version") from None
        send(peer, blurred.to_bytes(full=True))
        _finish(peer, query, asker=peer.peer, answerer=peer.name)


def rounding_noise(count: int, step: int, source: Source = os.urandom) -> Integers:
    """Draw whole numbers within half a step either way, in thousandths: they round a total that nobody here sees.

    A total with this noise is no further from the truth than one rounded to the step, and its digits below the step are
    random: whoever sees it learns about log2(range / step) bits.
    """
    if isinstance(step, bool) or step < 0:
        raise InputError("a step is a whole number of units, or 0")
    half = step * THOUSAND // 2
    # 64 bits modulo a width below 2^40: no value is likelier than another by more than one in 2^24
    raw = np.frombuffer(source(8 * count), "<u8") % np.uint64(2 * half + 1)
    return raw.astype(np.int64) - half


def _open(peer: Channel, query: Query, *, learner: str) -> Session:
    agreed: dict[str, str | int] = {
        "purpose": query.purpose,
        "terms": query.terms,
        "totals": len(query.subjects),
        "rounded to": f"{query.step} {query.unit}",
        "suite": "elgamal-ristretto255/1",
    }
    return peer.open(learn=learner, kinds=(), rows=query.rows, parameters=agreed)


def _read_column(peer: Channel, rows: int, most: int) -> tuple[PublicKey, EncryptedArray]:
    data = receive(peer, _AROUND + 64 * rows)
    end = _LENGTH_BYTES + int.from_bytes(data[:_LENGTH_BYTES], "little")
    public = PublicKey.from_bytes(data[_LENGTH_BYTES:end])
    if public.scheme != "elgamal":
        raise PeerError(f"{peer.peer} sends a key of another scheme than elgamal; check its version")
    column = EncryptedArray.from_bytes(data[end:], public)
    expected = ((rows + 1,), float(most), _terms(rows), 0, 1)
    if (column.shape, column.bound, column.terms, column.decimals, column.weight) != expected:
        raise PeerError(f"{peer.peer} sends a column of another length or with other limits than agreed")
    return public, column


def _finish(peer: Channel, query: Query, *, asker: str, answerer: str) -> None:
    rounded = f"each within {query.step / 2:,g} {query.unit} of the truth" if query.step else "exact"
    peer.finish(
        {
            asker: [f"{len(query.subjects)} totals of its own column, {rounded}"],
            answerer: ["nothing: the column came encrypted, and its length was agreed"],
        }
    )


def _terms(rows: int) -> int:
    return THOUSAND * rows + 1  # the weights of a row with its padding, and the noise
