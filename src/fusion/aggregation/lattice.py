"""Ring learning with errors behind encrypted arrays: thousands of values a ciphertext, and exact sums of their rows.

A ciphertext holds a polynomial of n numbers, 4096 or 8192. A row of k values is spread over it so that value j of the
i-th of m = n/k rows is coefficient j m + i; longer rows take several ciphertexts. A weighted sum of rows is a product
with the polynomial that has weight w_i at X^(m-1-i): coefficient j m + m - 1 is then the sum for value j.

Nothing of that is computed before an array leaves the process. Until then it is the ciphertexts it came from and what
to do with them. On its way it becomes responses, which hide weights from the key's owner and hold what he may open and
nothing else: one for each row, or as few as the ciphertexts where every row counts alike. Responses are final.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from typing import Any, NoReturn, TypeVar

import numpy as np

from fusion.aggregation.encoding import MAX_DECIMALS, Integers, Row, scaled_limit, whole
from fusion.aggregation.layout import Layout
from fusion.aggregation.schemes import Indices
from fusion.aggregation.weightings import Weighting
from fusion.crypto import rlwe
from fusion.errors import InputError, PeerError

__all__ = ["generate", "private_from_bytes", "public_from_bytes"]

_BOUND = 1 << 28
_TERMS = 1 << 20
_MAX_TERMS = 1 << 32
_MAX_BITS = 50  # of a plaintext
_LIMITS = struct.Struct("<BQ")
_FRESH, _PACKED, _SINGLE = b"\0", b"\1", b"\2"
# Polynomials of weights at a time, and responses opened at a time: some 30 MB each.
_AT_ONCE = 128
_Opened = TypeVar("_Opened", rlwe.Ciphertexts, rlwe.Responses)


def generate(**parameters: Any) -> _Private:
    """Make a key.

    ``bound``, ``decimals`` and ``terms``, 2^28, 0 and 2^20 by default, are limits of the arrays under it: no more
    terms, and no more than bound times terms. The smaller, the shorter everything is.
    """
    if set(parameters) - {"bound", "terms", "decimals"}:
        raise InputError('"lattice" takes bound, terms and decimals')
    terms = whole(parameters.get("terms", _TERMS), "terms", 1, _MAX_TERMS)
    decimals = whole(parameters.get("decimals", 0), "decimals", 0, MAX_DECIMALS)
    bits = (2 * scaled_limit(parameters.get("bound", _BOUND), decimals) * terms).bit_length()
    if bits > _MAX_BITS:
        raise InputError('bound times terms, in units of the last decimal, is below 2^49 for "lattice"; declare less')
    return _Private(rlwe.generate(_parameters(bits, terms)))


def public_from_bytes(data: bytes) -> _Public:
    """Read a key and check its limits and every residue."""
    return _Public(rlwe.PublicKey.from_bytes(_read_limits(data[: _LIMITS.size]), data[_LIMITS.size :]))


def private_from_bytes(data: bytes) -> _Private:
    """Make a key again from its seeds."""
    cut = max(0, len(data) - _LIMITS.size)
    return _Private(rlwe.SecretKey.from_bytes(_read_limits(data[cut:]), data[:cut]))


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class _Term:
    """Rows of a sum: weighted sums of ``source`` rows, or without a weighting these themselves.

    ``weight`` bounds the absolute weights that the ciphertexts are already sums of.
    """

    ciphertexts: rlwe.Ciphertexts
    source: int
    weight: int
    weighting: Weighting | None = None

    def rows(self) -> int:
        return self.source if self.weighting is None else self.weighting.results

    def weigh(self) -> Weighting:
        return Weighting.identity(self.source) if self.weighting is None else self.weighting


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class _Sums:
    """What can be computed with: a sum of terms of as many rows."""

    layout: Layout
    terms: tuple[_Term, ...]

    @property
    def plain(self) -> bool:
        """Whether the rows are those of the ciphertexts, in order."""
        return len(self.terms) == 1 and self.terms[0].weighting is None

    @property
    def rows(self) -> int:
        return self.terms[0].rows()


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class _Results:
    """What has left a process, and can only be decrypted."""

    responses: rlwe.Responses
    single: bool


_Cells = _Sums | _Results


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class _Public:
    key: rlwe.PublicKey

    @property
    def name(self) -> str:
        return "lattice"

    @property
    def key_id(self) -> bytes:
        return self.key.id

    @property
    def summary(self) -> str:
        p = self.key.parameters
        return f"degree={p.degree}, bound times terms up to {_largest(p)}, {p.terms} terms"

    def to_bytes(self) -> bytes:
        return _write_limits(self.key.parameters) + self.key.to_bytes()

    def check(self, row: Row) -> None:
        p = self.key.parameters
        if row.terms > p.terms or row.largest * row.terms > _largest(p):
            terms = min(row.terms, p.terms)
            raise InputError(
                f"this key is for {p.terms} terms and, in units of the last decimal, bound times terms up to "
                f"{_largest(p)}: declare a bound of at most {_largest(p) // terms} with {terms} terms, "
                'or generate("lattice", bound=..., terms=...) for more'
            )

    def encrypt(self, values: Integers, row: Row) -> _Cells:
        return self.encrypted(self.key, values, row)

    def encrypted(self, key: rlwe.PublicKey | rlwe.SecretKey, values: Integers, row: Row) -> _Cells:
        """With either half of the key."""
        layout = self._layout(row)
        return _Sums(layout, (_Term(key.encrypt(layout.write(values)), len(values), 1),))

    def take(self, cells: _Cells, rows: Indices | slice, row: Row) -> _Cells:
        sums = _sums(cells)
        every = np.arange(sums.rows)
        chosen = every[rows]
        if np.array_equal(chosen, every):
            return sums
        return self._weighted(sums, Weighting(len(chosen), np.arange(len(chosen)), chosen, np.ones_like(chosen)))

    def add(self, one: _Cells, other: _Cells) -> _Cells:
        left, right = _sums(one), _sums(other)
        if left.plain and right.plain:
            (a,), (b,) = left.terms, right.terms
            both = a.ciphertexts + b.ciphertexts
            return _Sums(left.layout, (_Term(both, a.source, self._weigh(a.weight + b.weight)),))
        terms = {id(term.ciphertexts): term for term in left.terms}
        for term in right.terms:
            known = terms.get(id(term.ciphertexts))
            terms[id(term.ciphertexts)] = (
                term if known is None else replace(term, weighting=known.weigh() + term.weigh())
            )
        return _Sums(left.layout, tuple(terms.values()))

    def negate(self, cells: _Cells) -> _Cells:
        return self.scale(np.array(-1), cells, None)

    def scale(self, weights: Indices, cells: _Cells, row: Row | None) -> _Cells:
        sums = _sums(cells)
        if weights.ndim or not sums.plain:
            each = np.arange(sums.rows)
            return self._weighted(sums, Weighting.of(sums.rows, each, each, np.broadcast_to(weights, each.shape)))
        (term,), factor = sums.terms, int(weights)
        constant = np.zeros((1, self.key.parameters.degree), np.int64)
        constant[0, 0] = factor
        weight = self._weigh(term.weight * abs(factor))
        plain = rlwe.prepare_weights(self.key.parameters, constant)
        return _Sums(sums.layout, (_Term(term.ciphertexts.multiply(plain), term.source, weight),))

    def combine(self, matrix: Indices, cells: _Cells, row: Row) -> _Cells:
        place, source = np.nonzero(matrix)
        return self._weighted(_sums(cells), Weighting(len(matrix), place, source, matrix[place, source]))

    def group_sum(self, codes: Indices, groups: int, cells: _Cells, row: Row) -> _Cells:
        each = np.arange(len(codes))
        return self._weighted(_sums(cells), Weighting.of(groups, codes, each, np.ones_like(each)))

    def rerandomise(self, cells: _Cells, *, full: bool) -> _Cells:
        if full:
            raise InputError(
                '"lattice" hides weights from an owner who makes his key as generate does, not from one who makes it '
                'to spy; take "elgamal" or "paillier" for that'
            )
        if isinstance(cells, _Results):
            return cells
        layout = cells.layout
        if cells.plain:
            return _Results(self._respond(cells.terms[0].ciphertexts, layout.packed(cells.rows)), single=False)
        blocks = max(layout.blocks(term.source) for term in cells.terms)
        step = max(1, _AT_ONCE // max(1, blocks))
        terms = [(term, term.weigh()) for term in cells.terms]
        responses = [
            self._respond(self._product(layout, terms, piece, first, min(first + step, cells.rows)), layout.single())
            for piece in range(layout.pieces)
            for first in range(0, max(1, cells.rows), step)
        ]
        c0, c1 = (np.concatenate(parts) for parts in zip(*((each.c0, each.c1) for each in responses), strict=True))
        return _Results(replace(responses[0], c0=c0, c1=c1), single=True)

    def squeeze(self, cells: _Cells, row: Row) -> _Cells:
        return cells

    def body_bytes(self, row: Row, rows: int, *, squeezed: bool) -> tuple[int, ...]:
        p, layout = self.key.parameters, self._layout(row)
        blocks, coefficients = layout.pieces * layout.blocks(rows), layout.share * (min(layout.rows, rows) or 1)
        return (
            1 + rlwe.Ciphertexts.bytes_of(p, blocks, seeded=True),
            1 + rlwe.Ciphertexts.bytes_of(p, blocks, seeded=False),
            1 + rlwe.Responses.bytes_of(p, blocks, coefficients),
            1 + rlwe.Responses.bytes_of(p, layout.pieces * rows, layout.share),
        )

    def cells_to_bytes(self, cells: _Cells) -> bytes:
        if isinstance(cells, _Results):
            return (_SINGLE if cells.single else _PACKED) + cells.responses.to_bytes()
        return _FRESH + cells.terms[0].ciphertexts.to_bytes()

    def cells_from_bytes(self, data: memoryview, row: Row, rows: int, *, squeezed: bool) -> _Cells:
        kind, body, layout = bytes(data[:1]), bytes(data[1:]), self._layout(row)
        cells: _Cells
        if kind == _FRESH:
            ciphertexts = rlwe.Ciphertexts.from_bytes(self.key, body)
            cells, found = _Sums(layout, (_Term(ciphertexts, rows, 1),)), len(ciphertexts)
        elif kind in (_PACKED, _SINGLE):
            chosen = layout.single() if kind == _SINGLE else layout.packed(rows)
            responses = rlwe.Responses.from_bytes(self.key.parameters, self.key.id, body, chosen.tolist())
            cells, found = _Results(responses, single=kind == _SINGLE), len(responses)
        else:
            raise PeerError("the ciphertexts of the array are of no known kind; check the sender's version")
        if found != layout.pieces * (rows if kind == _SINGLE else layout.blocks(rows)):
            raise PeerError(f"the array announces {rows} rows, and has another number of ciphertexts")
        return cells

    def _layout(self, row: Row) -> Layout:
        return Layout.of(row, self.key.parameters.degree)

    def _weigh(self, weight: float) -> int:
        """``weight``, or an error before it is given to any row: whatever a sender announced, nothing wraps."""
        if weight > self.key.parameters.terms:
            raise InputError("the weights would sum to more than the terms of the key; make one with more terms")
        return int(weight)

    def _weighted(self, sums: _Sums, weighting: Weighting) -> _Sums:
        """Weighted sums of the rows, written down."""
        terms = []
        for term in sums.terms:
            inner = 1.0 if term.weighting is None else term.weighting.largest
            self._weigh(term.weight * inner * weighting.largest)
            both = weighting if term.weighting is None else weighting.after(term.weighting)
            terms.append(replace(term, weighting=both))
        return _Sums(sums.layout, tuple(terms))

    def _product(
        self, layout: Layout, terms: list[tuple[_Term, Weighting]], piece: int, first: int, last: int
    ) -> rlwe.Ciphertexts:
        """One piece of some rows, each in a ciphertext of its own.

        The bound of the noise is that of the row with the largest weights in each step. So where a row takes more than
        one step, it is taken alone.
        """
        p = self.key.parameters
        zero = np.zeros((last - first, p.ring.limbs, p.degree), np.uint64)
        total = rlwe.Ciphertexts(p, self.key.id, zero, zero, 0, multiplied=True)
        for term, weighting in terms:
            some, start = weighting.between(first, last), piece * layout.blocks(term.source)
            block, place = np.divmod(some.source, layout.rows)
            blocks = np.unique(block)
            for begin in range(0, len(blocks), _AT_ONCE):
                taken = blocks[begin : begin + _AT_ONCE]
                here = (block >= taken[0]) & (block <= taken[-1])
                weights = np.zeros((last - first, len(taken), layout.degree), np.int64)
                at = np.searchsorted(taken, block[here]), layout.rows - 1 - place[here]
                weights[some.row[here], *at] = some.weight[here]
                dense = len(taken) == taken[-1] - taken[0] + 1
                rows = slice(start + taken[0], start + taken[-1] + 1) if dense else start + taken
                total = total + term.ciphertexts[rows].inner(rlwe.prepare_weights(p, weights))
        return total

    def _respond(self, ciphertexts: rlwe.Ciphertexts, coefficients: Indices) -> rlwe.Responses:
        nothing = np.zeros((len(ciphertexts), len(coefficients)), np.uint64)
        return self.key.respond(ciphertexts, coefficients.tolist(), mask=nothing)[0]


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class _Private:
    key: rlwe.SecretKey

    @property
    def public(self) -> _Public:
        return _Public(self.key.public)

    def to_bytes(self) -> bytes:
        return self.key.to_bytes() + _write_limits(self.key.parameters)

    def encrypt(self, values: Integers, row: Row) -> _Cells:
        return self.public.encrypted(self.key, values, row)

    def decrypt(self, cells: _Cells, row: Row, rows: int, weight: int, *, squeezed: bool) -> Integers:
        p = self.key.parameters
        layout = Layout.of(row, p.degree)
        if isinstance(cells, _Results):
            used = 1 if cells.single else min(layout.rows, rows) or 1
            opened = [self.key.open(part) for part in _parts(cells.responses)]
            values = layout.read(rlwe.centred(p, np.concatenate(opened)), row, rows, used)
        else:
            # what has not left the owner needs no response: weights meet the values themselves
            values = np.zeros((rows, row.width), np.int64)
            for term in cells.terms:
                source = self._rows(term, layout, row)
                if term.weighting is None:
                    values += source
                else:
                    each = term.weighting
                    np.add.at(values, each.row, each.weight[:, None] * source[each.source])
        row.check(values, weight, PeerError)
        return values

    def _rows(self, term: _Term, layout: Layout, row: Row) -> Integers:
        p = self.key.parameters
        opened = [self.key.decrypt(part) for part in _parts(term.ciphertexts)]
        polynomials = rlwe.centred(p, np.concatenate(opened))
        values = layout.read(polynomials[:, : layout.share * layout.rows], row, term.source, layout.rows)
        row.check(values, term.weight, PeerError)
        return values

    def __reduce__(self) -> NoReturn:
        raise InputError("a private key is not pickled; keep to_bytes() where only its owner reads it")


def _parts(whole: _Opened) -> list[_Opened]:
    """A few rows at a time."""
    return [whole[first : first + _AT_ONCE] for first in range(0, max(1, len(whole)), _AT_ONCE)]


def _sums(cells: _Cells) -> _Sums:
    if isinstance(cells, _Results):
        raise InputError("a result that was sent is only decrypted; compute with it before it is sent")
    return cells


def _largest(parameters: rlwe.Parameters) -> int:
    return (parameters.plain_modulus - 1) // 2


def _parameters(bits: int, terms: int) -> rlwe.Parameters:
    return rlwe.parameters(bits, products=0, terms=terms)


def _write_limits(parameters: rlwe.Parameters) -> bytes:
    return _LIMITS.pack(parameters.plain_modulus.bit_length() - 1, parameters.terms)


def _read_limits(data: bytes) -> rlwe.Parameters:
    if len(data) == _LIMITS.size:
        bits, terms = _LIMITS.unpack(data)
        if 2 <= bits <= _MAX_BITS and 1 <= terms <= _MAX_TERMS:
            return _parameters(bits, terms)
    raise PeerError("the lattice key has no sound limits; check the sender's version")
