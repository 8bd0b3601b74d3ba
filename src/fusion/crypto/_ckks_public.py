"""CKKS without a secret: the public key, rows under it, and sums of rows. See :mod:`fusion.crypto.ckks`."""

from __future__ import annotations

import hashlib
import math
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from fusion.crypto import _seal
from fusion.crypto._ckks_parameters import FRESH_PER_TERM, LARGEST_TERMS, PARAMETER_BYTES, Parameters
from fusion.errors import InputError, PeerError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

_PUBLIC_MAGIC = b"fckksPK1"
_CELLS_MAGIC = b"fckksCT1"
_CELLS = struct.Struct("<8s16sIQQ")


@dataclass(frozen=True, slots=True, eq=False)
class Ciphertexts:
    """Encrypted rows.

    Attributes
    ----------
    public : PublicKey
        The key they are under.
    residues : ndarray of uint64, shape (n, chunks, 2, primes, N)
        The ciphertexts of each row.
    weight : int
        Upper bound of the sum of absolute weights in any row.
    encryptions : int
        Upper bound of the fresh encryptions added up in any row, each of which adds noise.
    fresh : bool
        Nothing was computed since they were encrypted or re-randomised.
    """

    public: PublicKey
    residues: NDArray[np.uint64] = field(repr=False)
    weight: int
    encryptions: int
    fresh: bool

    def __len__(self) -> int:
        return len(self.residues)

    def __getitem__(self, rows: slice | NDArray[Any] | Sequence[int]) -> Ciphertexts:
        """Some of the rows, in that order."""
        return Ciphertexts(self.public, self.residues[rows], self.weight, self.encryptions, self.fresh)

    def to_bytes(self) -> bytes:
        """The rows for someone else, re-randomised first unless fresh.

        Returns
        -------
        bytes
            44 bytes and ``parameters.row_bytes`` a row.
        """
        cells = self if self.fresh else self.public.rerandomise(self)
        head = _CELLS.pack(_CELLS_MAGIC, self.public.key_id, len(cells), cells.weight, cells.encryptions)
        return head + cells.residues.astype("<u8").tobytes()

    @classmethod
    def from_bytes(cls, data: bytes | memoryview, public: PublicKey) -> Ciphertexts:
        """Read rows from someone else, strictly.

        Raises
        ------
        PeerError
            Another key or format, a wrong length, a residue at or beyond its prime (naming the row), or more terms
            than the key allows. That well-formed rows hold what they should, nothing can tell.
        """
        if len(data) < _CELLS.size:
            raise PeerError("encrypted rows end within their head")
        magic, key_id, rows, weight, encryptions = _CELLS.unpack_from(data)
        if magic != _CELLS_MAGIC:
            raise PeerError("these bytes are no CKKS rows of this version")
        if key_id != public.key_id:
            raise PeerError("encrypted rows are under another key; encrypt with this one")
        if len(data) != _CELLS.size + rows * public.parameters.row_bytes:
            raise PeerError("encrypted rows have another length than they announce")
        _check_budget(public.parameters, weight, encryptions, PeerError)
        shape = (rows, *public._row_shape)
        residues = np.frombuffer(data, "<u8", offset=_CELLS.size).reshape(shape).astype(np.uint64)
        beyond = (residues >= public._primes).any(axis=(1, 2, 3, 4))
        if beyond.any():
            raise PeerError(f"encrypted row {int(np.argmax(beyond))} has a residue beyond its prime")
        return cls(public, residues, weight, encryptions, fresh=True)


class PublicKey:
    """Encrypts, and computes on what is encrypted.

    Attributes
    ----------
    parameters : Parameters
    key_id : bytes
        16 bytes: a hash of parameters, primes and key.
    """

    __slots__ = ("_context", "_engine", "_key", "_primes", "_row_shape", "key_id", "parameters")

    def __init__(self, parameters: Parameters, key: NDArray[np.uint64]) -> None:
        self.parameters = parameters
        self._engine = _seal.engine(parameters.degree, parameters.bits, parameters.scale_bits)
        self._key = key
        self._context = self._engine.context(key)
        self._primes = np.array(self._engine.primes[:-1], np.uint64)[:, np.newaxis]
        self._row_shape = (parameters.chunks, 2, len(self._primes), parameters.degree)
        primes = b"".join(prime.to_bytes(8, "little") for prime in self._engine.primes)
        self.key_id = hashlib.sha256(b"fusion ckks key v1" + primes + self.to_bytes()).digest()[:16]

    def encrypt(self, values: ArrayLike) -> Ciphertexts:
        """Encrypt rows of numbers.

        Parameters
        ----------
        values : array_like of float, shape (n, length)
            Finite, at most the bound in absolute value. They become multiples of 2**-scale_bits times the unit.

        Raises
        ------
        InputError
            Another shape, or a number that is not finite or beyond the bound (naming its row and column).
        """
        rows = np.asarray(values)
        if rows.ndim != 2 or rows.shape[1] != self.parameters.length or rows.dtype.kind not in "iuf":
            raise InputError(f"rows to encrypt are an array of numbers of shape (n, {self.parameters.length})")
        rows = rows.astype(np.float64)
        wrong = np.argwhere(~(np.abs(rows) <= self.parameters.bound))
        if len(wrong):
            row, column = map(int, wrong[0])
            what = "is beyond the declared bound" if np.isfinite(rows[row, column]) else "is missing or not finite"
            raise InputError(f"row {row}, column {column} {what}")
        residues = np.empty((len(rows), *self._row_shape), np.uint64)
        slots = self.parameters.degree // 2
        scaled = rows / self.parameters.unit
        for i, row_ in enumerate(scaled):
            for j in range(self.parameters.chunks):
                residues[i, j] = self._engine.encrypt(self._context, row_[j * slots : (j + 1) * slots])
        return Ciphertexts(self, residues, 1, 1, fresh=True)

    def rerandomise(self, cells: Ciphertexts) -> Ciphertexts:
        """The same values under fresh randomness: a fresh encryption of zero is added to every ciphertext.

        Hides from third parties how rows came about. The key owner sees the sum of the noises.

        Raises
        ------
        InputError
            After more re-randomisations than the flood of a release can cover: three for each declared term.
        """
        check_same(self, cells)
        zeros = self.encrypt(np.zeros((len(cells), self.parameters.length)))
        _check_budget(self.parameters, cells.weight, cells.encryptions + 1)
        residues = self._add(cells.residues, zeros.residues)
        return Ciphertexts(self, residues, cells.weight, cells.encryptions + 1, fresh=True)

    def to_bytes(self) -> bytes:
        """Parameters and key, nothing secret."""
        return _PUBLIC_MAGIC + self.parameters.to_bytes() + self._key.astype("<u8").tobytes()

    @classmethod
    def from_bytes(cls, data: bytes | memoryview) -> PublicKey:
        """Read a key from someone else, strictly.

        Raises
        ------
        PeerError
            Another format, impossible parameters, a wrong length or a residue beyond its prime.
        """
        parameters, body = read_head(data, _PUBLIC_MAGIC)
        (key,) = read_residues(parameters, body, 2)
        return cls(parameters, key)

    def __repr__(self) -> str:
        p = self.parameters
        return (
            f"PublicKey(ckks, length={p.length}, bound={p.bound:g}, terms={p.terms}, precision={p.precision:.3g}, "
            f"id={self.key_id.hex()})"
        )

    def __reduce__(self) -> NoReturn:
        raise InputError("a key is not pickled; use to_bytes()")

    def _add(self, one: NDArray[np.uint64], other: NDArray[np.uint64]) -> NDArray[np.uint64]:
        total = one + other
        # below its prime, the difference wraps round to something huge
        reduced: NDArray[np.uint64] = np.minimum(total, total - self._primes)
        return reduced

    def _negate(self, residues: NDArray[np.uint64]) -> NDArray[np.uint64]:
        opposite = self._primes - residues
        reduced: NDArray[np.uint64] = np.minimum(opposite, opposite - self._primes)  # the opposite of 0 is 0
        return reduced


def add(one: Ciphertexts, other: Ciphertexts) -> Ciphertexts:
    """Row by row; InputError for other keys, numbers of rows, or beyond the declared terms."""
    check_same(one.public, other)
    if len(one) != len(other):
        raise InputError(f"{len(one)} encrypted rows cannot be added to {len(other)}; take the same rows of both")
    weight, encryptions = one.weight + other.weight, one.encryptions + other.encryptions
    _check_budget(one.public.parameters, weight, encryptions)
    return Ciphertexts(one.public, one.public._add(one.residues, other.residues), weight, encryptions, fresh=False)


def negate(cells: Ciphertexts) -> Ciphertexts:
    """Row by row."""
    residues = cells.public._negate(cells.residues)
    return Ciphertexts(cells.public, residues, cells.weight, cells.encryptions, fresh=False)


def scale(cells: Ciphertexts, weights: ArrayLike) -> Ciphertexts:
    """Each row times its own whole number.

    Parameters
    ----------
    cells : Ciphertexts
        n rows.
    weights : array_like of int, shape (n,)
        Their largest absolute value counts towards the declared terms.
    """
    by = _whole(weights, (len(cells),))
    public, times = cells.public, np.abs(by)
    most = int(times.max(initial=0))
    _check_budget(public.parameters, most * cells.weight, most * cells.encryptions)
    signed = cells.residues.copy()
    signed[by < 0] = public._negate(signed[by < 0])
    total = np.zeros_like(signed)
    for bit in range(most.bit_length()):
        chosen = (times >> bit & 1).astype(np.bool_)
        total[chosen] = public._add(total[chosen], signed[chosen])
        if bit + 1 < most.bit_length():
            signed = public._add(signed, signed)
    return Ciphertexts(public, total, most * cells.weight, most * cells.encryptions, fresh=False)


def combine(matrix: ArrayLike, cells: Ciphertexts) -> Ciphertexts:
    """Weighted sums of rows: whole numbers of shape (m, n) and n rows give m rows."""
    by = np.asarray(matrix)
    by = _whole(by, (len(by), len(cells)))
    public = cells.public
    most = int(np.abs(by).sum(1).max(initial=0))
    _check_budget(public.parameters, most * cells.weight, most * cells.encryptions)
    total = np.zeros((len(by), *public._row_shape), np.uint64)
    for i, weights in enumerate(by):
        used = np.flatnonzero(weights)
        if used.size:
            products = scale(cells[used], weights[used])
            total[i] = group_sum(np.zeros(used.size, np.int64), 1, products, _checked=True).residues[0]
    return Ciphertexts(public, total, most * cells.weight, most * cells.encryptions, fresh=False)


def group_sum(codes: ArrayLike, groups: int, cells: Ciphertexts, *, _checked: bool = False) -> Ciphertexts:
    """Sums of the rows of each group; zero for groups that have none.

    Parameters
    ----------
    codes : array_like of int, shape (n,)
        The group of each row, 0 to ``groups`` - 1.
    groups : int
        How many groups there are.
    cells : Ciphertexts
        n rows.
    """
    group = _whole(codes, (len(cells),))
    if group.size and not (group.min() >= 0 and group.max() < groups):
        raise InputError(f"group codes lie between 0 and {groups - 1}")
    public = cells.public
    most = int(np.bincount(group, minlength=1).max())
    if not _checked:
        _check_budget(public.parameters, most * cells.weight, most * cells.encryptions)
    order = np.argsort(group, kind="stable")
    rows, of = cells.residues[order], group[order]
    # neighbours of one group are added in pairs, until each group has one row left
    while True:
        first = np.flatnonzero(np.diff(of, prepend=-1))
        place = np.arange(len(of)) - np.repeat(first, np.diff(first, append=len(of)))
        second = place % 2 == 1
        if not second.any():
            break
        at = np.flatnonzero(second)
        rows[at - 1] = public._add(rows[at - 1], rows[at])
        rows, of = rows[~second], of[~second]
    total = np.zeros((groups, *public._row_shape), np.uint64)
    total[of] = rows
    return Ciphertexts(public, total, most * cells.weight, most * cells.encryptions, fresh=False)


def _whole(values: ArrayLike, shape: tuple[int, ...]) -> NDArray[np.int64]:
    array = np.asarray(values)
    if array.shape != shape or (array.size and array.dtype.kind not in "iu"):
        raise InputError(f"weights and group codes of these rows are whole numbers of shape {shape}")
    if array.size and max(-int(array.min()), int(array.max())) > LARGEST_TERMS:
        raise InputError("weights and group codes lie within 2**40")
    return array.astype(np.int64)


def _check_budget(
    parameters: Parameters, weight: int, encryptions: int, error: type[InputError | PeerError] = InputError
) -> None:
    if weight > parameters.terms:
        raise error(f"a sum of weight {weight} is beyond the {parameters.terms} terms of the key; make one for more")
    if encryptions > FRESH_PER_TERM * parameters.terms:
        raise error(f"rows were re-randomised too often for the {parameters.terms} terms of the key; make one for more")


def check_same(public: PublicKey, cells: Ciphertexts) -> None:
    if cells.public.key_id != public.key_id:
        raise InputError("encrypted rows are under another key; only rows of one key go together")


def read_head(data: bytes | memoryview, magic: bytes) -> tuple[Parameters, memoryview]:
    view = memoryview(data)
    start = len(magic) + PARAMETER_BYTES
    if len(view) < start:
        raise PeerError("a CKKS key ends within its head")
    if view[: len(magic)] != magic:
        raise PeerError("these bytes are no CKKS key of this kind and version")
    return Parameters.from_bytes(bytes(view[len(magic) : start])), view[start:]


def read_residues(parameters: Parameters, body: memoryview, *halves: int) -> list[NDArray[np.uint64]]:
    """The arrays of a key, of so many polynomials each."""
    shape = (len(parameters.bits), parameters.degree)
    if len(body) != 8 * sum(halves) * math.prod(shape):
        raise PeerError("a CKKS key has another length than its parameters say")
    primes = np.array(_seal.engine(parameters.degree, parameters.bits, parameters.scale_bits).primes, np.uint64)
    residues = np.frombuffer(body, "<u8").reshape(-1, *shape).astype(np.uint64)
    if (residues >= primes[:, np.newaxis]).any():
        raise PeerError("a CKKS key has a residue beyond its prime")
    return [part.copy() for part in np.split(residues, np.cumsum(halves)[:-1])]
