"""Encrypted arrays: rows that add up without anybody seeing them.

The row is the unit of encryption. An array of shape (n,) has n rows of one value; one of shape (n, k) packs the k
values of each row together. Rows can be selected, added and weighted; the values within a row stay together.
"""

from __future__ import annotations

import numbers
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from fusion.aggregation.encoding import MAX_GROUPS, Row, whole
from fusion.aggregation.format import ArrayHeader, open_envelope, seal_envelope
from fusion.aggregation.schemes import Cells, Indices, Public
from fusion.errors import InputError, PeerError

__all__ = ["EncryptedArray", "Groups"]


def not_compared(_: object, __: object) -> NoReturn:
    """Instead of comparing what nobody here can read: identity would pass for the answer."""
    raise InputError("encrypted values cannot be compared; decrypt results first")


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class EncryptedArray:
    """Encrypted numbers, made by `PublicKey.encrypt`, that compute like a numpy array of integers or decimals.

    ``a + b``, ``a - b`` and ``-a`` work on arrays of one shape; ``a * weights`` takes a whole number, or one for each
    row (shape (n,), or (n, 1) for packed rows); ``matrix @ a`` takes weighted sums of rows; ``a.sum()`` and
    ``a.groupby(codes).sum()`` add rows; ``a[...]`` selects rows. Decrypting gives what numpy gives on the cleartext,
    exactly.

    Scale, bound and terms are declared at encryption and public. The array carries an upper bound of the sum of
    absolute weights in any of its rows; what would exceed ``terms`` raises `InputError` before anything is computed.

    Attributes
    ----------
    shape : tuple of int
        As that of the cleartext.
    decimals, bound, terms
        As declared to `PublicKey.encrypt`; the bound rounded up to the decimals.
    weight : int
        Upper bound of the sum of absolute weights of a row; 1 when freshly encrypted.
    fresh : bool
        Whether these are whole new encryptions of this process. What is not fresh is re-randomised by `to_bytes`.
    """

    decimals: int
    weight: int
    fresh: bool
    _row: Row
    _packed: bool
    _squeezed: bool
    _rows: int | None
    _scheme: Public
    _cells: Cells

    __array_ufunc__ = None  # numpy leaves its operators to the ones below
    __pandas_priority__ = 5000  # and so does pandas, whose frames have 4000
    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = not_compared
    __iter__ = None  # a loop over rows would be thousands of times slower than sum() or groupby()
    __hash__ = None  # type: ignore[assignment]

    @property
    def scheme(self) -> str:
        """The name of the scheme."""
        return self._scheme.name

    @property
    def key_id(self) -> bytes:
        """16 bytes that name the key."""
        return self._scheme.key_id

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the cleartext."""
        rows = () if self._rows is None else (self._rows,)
        return (*rows, self._row.width) if self._packed else rows

    @property
    def bound(self) -> float:
        """Largest absolute value of a fresh value, in the caller's units; of packed rows, of all their values."""
        return float(Fraction(self._row.largest, 10**self.decimals))

    @property
    def terms(self) -> int:
        """Largest sum of absolute weights that a result may have."""
        return self._row.terms

    def __len__(self) -> int:
        if self._rows is None:
            raise InputError("this is a single result without rows")
        return self._rows

    def __getitem__(self, key: Any) -> EncryptedArray:
        """Rows by number, slice, boolean mask or array of numbers. A selection counts as not fresh: whoever holds the
        whole could tell which rows were selected."""
        rows = self._need_rows()
        if isinstance(key, numbers.Integral) and not isinstance(key, bool | np.bool_):
            if not -rows <= int(key) < rows:
                raise InputError(f"there is no such row; the array has {rows}")
            chosen: Indices | slice = np.array([int(key) % rows])
            return replace(self, fresh=False, _rows=None, _cells=self._scheme.take(self._cells, chosen, self._row))
        if isinstance(key, slice):
            try:
                chosen, count = key, len(range(*key.indices(rows)))
            except (TypeError, ValueError):
                raise InputError("a slice of rows is made of whole numbers, its step not zero") from None
        else:
            chosen = _row_numbers(key, rows)
            count = len(chosen)
        return replace(self, fresh=False, _rows=count, _cells=self._scheme.take(self._cells, chosen, self._row))

    def __add__(self, other: object) -> EncryptedArray:
        peer = self._same(other)
        weight = self._weigh(self.weight + peer.weight)
        return self._computed(self._scheme.add(self._cells, peer._cells), weight)

    def __sub__(self, other: object) -> EncryptedArray:
        peer = self._same(other)
        weight = self._weigh(self.weight + peer.weight)
        return self._computed(self._scheme.add(self._cells, self._scheme.negate(peer._cells)), weight)

    def __radd__(self, other: object) -> NoReturn:
        self._same(other)
        raise AssertionError  # two encrypted arrays meet in __add__

    __rsub__ = __radd__

    def __neg__(self) -> EncryptedArray:
        return self._computed(self._scheme.negate(self._cells), self.weight)

    def __mul__(self, weights: object) -> EncryptedArray:
        numbers_ = _integers(weights, "weights", self.terms)
        rows = 1 if self._rows is None else self._rows
        one_each = (rows, 1) if self._packed else (rows,)
        if numbers_.ndim and (self._rows is None or self._squeezed or numbers_.shape != one_each):
            raise InputError(
                "weights are one whole number"
                + ("" if self._rows is None or self._squeezed else f", or one for each row, of shape {one_each}")
            )
        weight = self._weigh(self.weight * int(np.abs(numbers_).max(initial=0)))
        each = numbers_.ravel() if numbers_.ndim else numbers_
        return self._computed(self._scheme.scale(each, self._cells, self._row), weight)

    __rmul__ = __mul__

    def __matmul__(self, other: object) -> NoReturn:
        raise InputError("the matrix of weights stands before the encrypted array: matrix @ array")

    def __rmatmul__(self, other: object) -> EncryptedArray:
        rows = self._need_rows()
        weights = _integers(other, "the matrix", self.terms)
        if weights.ndim not in (1, 2) or weights.shape[-1] != rows:
            raise InputError(f"a matrix of shape (m, {rows}) multiplies an array of {rows} rows")
        matrix = weights if weights.ndim == 2 else weights[None, :]
        sums = np.abs(matrix)
        # first in floats, which do not wrap; then exactly
        self._weigh(int(sums.sum(axis=1, dtype=np.float64).max(initial=0) / 2))
        weight = self._weigh(self.weight * int(sums.sum(axis=1).max(initial=0)))
        cells = self._scheme.combine(np.ascontiguousarray(matrix), self._cells, self._row)
        return replace(self._computed(cells, weight), _rows=None if weights.ndim == 1 else len(weights))

    def sum(self, axis: int | None = None) -> EncryptedArray:
        """Add all rows. Packed rows add value by value and need ``axis=0``, as only numpy could add across them."""
        rows = self._need_rows()
        if axis != 0 and (axis is not None or self._packed):
            raise InputError("only rows are added: sum(axis=0); the values within a packed row stay together")
        weight = self._weigh(self.weight * rows)
        cells = self._scheme.group_sum(np.zeros(rows, np.int64), 1, self._cells, self._row)
        return replace(self._computed(cells, weight), _rows=None)

    def groupby(self, codes: object, *, groups: int | None = None) -> Groups:
        """Group rows by a public whole number each.

        Parameters
        ----------
        codes : (n,) integers
            The group of each row, 0 and up.
        groups : int, optional
            How many groups there are, those without rows included, at most 2^20; by default as many as the largest
            code needs.

        Raises
        ------
        InputError
            Codes of another shape or type, negative, or not below ``groups``.
        """
        rows = self._need_rows()
        codes = np.asarray(codes)
        if codes.shape != (rows,) or codes.dtype.kind not in "iu":
            raise InputError(f"codes are whole numbers, one for each of {rows} rows")
        least = 1 + int(codes.max()) if rows else 0
        if groups is None:
            groups = least
        if rows and codes.min() < 0:
            raise InputError("codes are 0 and up; leave out rows without a group")
        if least > MAX_GROUPS:
            raise InputError(f"codes are below {MAX_GROUPS}; number the groups from 0, as pandas.factorize does")
        return Groups(self, codes.astype(np.int64), whole(groups, "groups", least, MAX_GROUPS))

    def squeeze(self) -> EncryptedArray:
        """The same rows in as few ciphertexts as hold them, for results that only add up and get decrypted.

        Squeezed rows are added to rows squeezed alike, weighted by one number, sent and decrypted; not selected,
        grouped or multiplied by a matrix. Paillier joins as many rows as a ciphertext holds, for much less than
        decrypting each would cost; other schemes have nothing to gain, and their arrays come back as they are.
        """
        rows = self._need_rows()
        joined, single = (max(self._scheme.body_bytes(self._row, rows, squeezed=each)) for each in (True, False))
        if joined >= single:
            return self
        cells = self._scheme.squeeze(self._cells, self._row)
        return replace(self, fresh=False, _squeezed=True, _cells=cells)

    def to_bytes(self, *, full: bool = False) -> bytes:
        """The array for whoever has the key, or for a file; not secret.

        What is not fresh is re-randomised on its way: its ciphertexts cannot be told from new ones of the same values.
        The array itself stays as it is, so each call gives other bytes.

        Parameters
        ----------
        full : bool
            Re-randomise without anything that the key's owner chose: for results that go back to an owner who may have
            made the key to spy. Some thirty times slower under Paillier, 28 ms a ciphertext of 3072 bits; no different
            under ElGamal; refused under the lattice scheme and CKKS.
        """
        return seal_envelope(self._header(), self._body(full=full))

    @classmethod
    def from_bytes(cls, data: bytes, public: Any) -> EncryptedArray:
        """Read an array under a key.

        Parameters
        ----------
        data : bytes
            From `to_bytes`.
        public : PublicKey
            The key that it has to be under.

        Raises
        ------
        PeerError
            Bytes that are no array, damaged, of another key or scheme, or hold a value that is no ciphertext; the
            message names what and where.
        """
        header, body = open_envelope(data, ArrayHeader)
        return cls._read(header, body, public)

    def _body(self, *, full: bool) -> bytes:
        cells = self._cells if self.fresh else self._scheme.rerandomise(self._cells, full=full)
        return self._scheme.cells_to_bytes(cells)

    def _header(self) -> ArrayHeader:
        return ArrayHeader(
            scheme=self.scheme,
            key_id=self.key_id,
            rows=1 if self._rows is None else self._rows,
            single=self._rows is None,
            packed=self._packed,
            squeezed=self._squeezed,
            width=self._row.width,
            limits=self._row.limits,
            decimals=self.decimals,
            terms=self._row.terms,
            weight=self.weight,
        )

    @classmethod
    def _read(cls, header: ArrayHeader, body: memoryview, public: object) -> EncryptedArray:
        scheme = getattr(public, "_scheme", None)
        if scheme is None or not hasattr(scheme, "cells_from_bytes"):
            raise InputError("the key to read under is a PublicKey; that of a private key is private.public")
        if header.scheme != scheme.name:
            raise PeerError(f"this array is under a key of scheme {header.scheme}, the key given is {scheme.name}")
        if header.key_id != scheme.key_id:
            raise PeerError("this array is under another key; give the one it was encrypted under")
        row = header.row()
        try:
            scheme.check(row)
        except InputError as error:
            raise PeerError(f"the array declares what its key cannot hold: {error}") from None
        # before anything is allocated: what is announced is there
        if len(body) not in scheme.body_bytes(row, header.rows, squeezed=header.squeezed):
            raise PeerError(f"the array announces {header.rows} rows, its ciphertexts have {len(body)} bytes")
        cells = scheme.cells_from_bytes(body, row, header.rows, squeezed=header.squeezed)
        return cls(
            decimals=header.decimals,
            weight=header.weight,
            fresh=False,
            _row=row,
            _packed=header.packed,
            _squeezed=header.squeezed,
            _rows=None if header.single else header.rows,
            _scheme=scheme,
            _cells=cells,
        )

    def _computed(self, cells: Cells, weight: int) -> EncryptedArray:
        return replace(self, fresh=False, weight=weight, _cells=cells)

    def _need_rows(self) -> int:
        if self._rows is None:
            raise InputError("this is a single result without rows; add it, weight it or decrypt it")
        if self._squeezed:
            raise InputError("the rows are squeezed together; select, group and multiply them before squeeze()")
        return self._rows

    def _weigh(self, weight: int) -> int:
        if weight > self.terms:
            raise InputError(
                f"the weights would sum to more than the declared terms, {self.terms}; encrypt with more terms"
            )
        return weight

    def _same(self, other: object) -> EncryptedArray:
        if not isinstance(other, EncryptedArray):
            raise InputError("encrypted arrays add up with encrypted arrays only; encrypt the other side first")
        for name, ours, theirs in (
            ("schemes", self.scheme, other.scheme),
            ("keys", self.key_id, other.key_id),
            ("decimals", self.decimals, other.decimals),
            ("bounds", self._row.limits, other._row.limits),
            ("terms", self.terms, other.terms),
            ("row widths", (self._packed, self._row.width), (other._packed, other._row.width)),
            ("numbers of rows", self._rows, other._rows),
            ("squeezing", self._squeezed, other._squeezed),
        ):
            if ours != theirs:
                raise InputError(f"the two arrays have different {name}; only like adds up with like")
        return other

    def __reduce__(self) -> NoReturn:
        raise InputError("an encrypted array is not pickled; to_bytes() and from_bytes() write and read it")

    def __array__(self, *_: object, **__: object) -> NoReturn:
        raise InputError("an encrypted array is no numpy array; add it up, or weight it by numpy arrays of integers")

    def __repr__(self) -> str:
        return (
            f"EncryptedArray({self.scheme}, shape={self.shape}, decimals={self.decimals}, bound={self.bound:.12g}, "
            f"terms={self.terms})"
        )


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Groups:
    """Rows of an encrypted array by group, from `EncryptedArray.groupby`."""

    _array: EncryptedArray
    _codes: Indices
    _groups: int

    def sum(self) -> EncryptedArray:
        """Sums by group: row g of the result adds the rows with code g; zero where there are none.

        Raises
        ------
        InputError
            When the largest group has more rows than the declared terms allow.
        """
        array = self._array
        largest = int(np.bincount(self._codes).max(initial=0))
        weight = array._weigh(array.weight * largest)
        cells = array._scheme.group_sum(self._codes, self._groups, array._cells, array._row)
        return replace(array._computed(cells, weight), _rows=self._groups)

    def __reduce__(self) -> NoReturn:
        raise InputError("groups of an encrypted array are not pickled; send their sum() with to_bytes()")

    def __repr__(self) -> str:
        return f"Groups({self._array!r}, groups={self._groups})"


def _row_numbers(key: object, rows: int) -> Indices:
    """A mask or an array of row numbers, negative ones from the end, as numbers from 0."""
    chosen = np.asarray(key)
    if isinstance(key, list) and not key:
        chosen = chosen.astype(np.int64)
    if isinstance(key, tuple) or chosen.ndim != 1 or chosen.dtype.kind not in "biu":
        raise InputError("rows are selected by a number, a slice, a mask or an array of row numbers")
    if chosen.dtype.kind == "b":
        if len(chosen) != rows:
            raise InputError(f"the mask has {len(chosen)} entries for {rows} rows")
        return np.flatnonzero(chosen)
    if len(chosen) and (int(chosen.min()) < -rows or int(chosen.max()) >= rows):
        raise InputError(f"there is no such row; the array has {rows}")
    chosen = chosen.astype(np.int64)
    return np.where(chosen < 0, chosen + rows, chosen)


def _integers(values: object, name: str, most: int) -> npt.NDArray[np.int64]:
    """Plaintext weights as int64; InputError unless all are whole and within ``most``, so that nothing wraps."""
    array = np.asarray(values)
    if array.dtype == object and all(isinstance(value, int) for value in array.ravel()):
        beyond = any(abs(value) > most for value in array.ravel())
    elif array.dtype.kind in "biu":
        beyond = bool((array > most).any() or (array.dtype.kind == "i" and (array < -most).any()))
    else:
        raise InputError(f"{name} must hold whole numbers; scale fractions to whole numbers first")
    if beyond:
        raise InputError(f"{name} would sum to more than the declared terms, {most}; encrypt with more terms")
    return array.astype(np.int64)
