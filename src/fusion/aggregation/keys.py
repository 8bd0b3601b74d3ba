"""Keys: the public half encrypts, the private half decrypts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NoReturn, overload

import numpy as np
import numpy.typing as npt
import pandas as pd

from fusion.aggregation.arrays import EncryptedArray
from fusion.aggregation.encoding import (
    MAX_DECIMALS,
    MAX_TERMS,
    MAX_WIDTH,
    Row,
    decode,
    encode,
    scaled_limit,
    whole,
)
from fusion.aggregation.format import KeyHeader, open_envelope, seal_envelope
from fusion.aggregation.frames import EncryptedFrame, EncryptedGroups, decrypt_frame, decrypt_groups, encrypt_frame
from fusion.aggregation.schemes import Private, Public, scheme
from fusion.disclosure.masked import refuse_masked
from fusion.errors import InputError, PeerError

__all__ = ["PrivateKey", "PublicKey", "generate"]

_BOUND = 2**31
_TERMS = 2**20


def generate(scheme_name: str, /, **parameters: Any) -> tuple[PublicKey, PrivateKey]:
    """Make a pair of keys.

    Parameters
    ----------
    scheme_name : {"elgamal", "paillier", "lattice", "ckks"}
        Which scheme, see the guide to encrypted sums.
    **parameters
        The scheme's own. "elgamal": ``slots``, the most values in a row. "paillier": ``bits`` of the modulus.
        "lattice": ``bound``, ``decimals`` and ``terms``, the most that arrays may declare. "ckks": these, and
        ``length``, the most values in a row.

    Returns
    -------
    (PublicKey, PrivateKey)
        Give the public one to whoever encrypts or computes; whoever holds the private one reads everything.

    Raises
    ------
    InputError
        No such scheme, an unknown or too weak parameter, or a missing optional package.
    """
    private = scheme(scheme_name).generate(**parameters)
    return PublicKey(private.public), PrivateKey(private)


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class PublicKey:
    """Encrypts for the owner of the private key. Not secret.

    Attributes
    ----------
    scheme : str
        Its name, such as "paillier".
    key_id : bytes
        16 bytes that differ between any two keys.
    """

    _scheme: Public

    @property
    def scheme(self) -> str:
        """The name of the scheme."""
        return self._scheme.name

    @property
    def key_id(self) -> bytes:
        """16 bytes that differ between any two keys."""
        return self._scheme.key_id

    @overload
    def encrypt(
        self, values: pd.DataFrame, *, decimals: Any = ..., bound: Any = ..., terms: int = ..., moments: int = ...
    ) -> EncryptedFrame: ...
    @overload
    def encrypt(
        self, values: npt.ArrayLike, *, decimals: int = ..., bound: float = ..., terms: int = ...
    ) -> EncryptedArray: ...
    def encrypt(
        self, values: Any, *, decimals: Any = 0, bound: Any = _BOUND, terms: int = _TERMS, moments: int = 1
    ) -> EncryptedArray | EncryptedFrame:
        """Encrypt numbers: an array row by row, or a frame.

        Parameters
        ----------
        values : (n,) or (n, k) array-like of numbers, or pandas.DataFrame
            An array of shape (n,) becomes n rows of one value, one of (n, k) packs the k values of each row. A long
            vector that is only added to others is smallest as one row: ``vector.reshape(1, -1)``. All columns of a
            frame must be numbers; they are packed by row, with a count.
        decimals : int, or mapping of column to int
            How many decimals count, 0 to 18. More are rounded, halves to even; with 0 floats must be whole.
        bound : float, or mapping of column to float
            Largest absolute value there may be, in the caller's units. A larger one is refused, so nothing overflows.
        terms : int
            Largest sum of absolute weights of any result: how many rows may be added up. 1 to 2^40.
        moments : int
            Frames only: 2 encrypts squares as well, for variances.

        Returns
        -------
        EncryptedArray or EncryptedFrame

        Raises
        ------
        InputError
            A value that is missing, infinite or beyond the bound, naming row and column, never the value; limits that
            the scheme cannot hold, saying which it can.
        """
        return _encrypt(self._scheme, self._scheme, values, decimals, bound, terms, moments)

    def to_bytes(self) -> bytes:
        """The key in a versioned format; whoever reads it checks it."""
        return _write_key(self._scheme, self._scheme.to_bytes(), secret=False)

    @classmethod
    def from_bytes(cls, data: bytes) -> PublicKey:
        """Read and check a key; PeerError when it is none, damaged or unsound."""
        header, body = open_envelope(data, KeyHeader)
        if header.secret:
            raise PeerError("this is a private key, which nobody should send; ask for the public one")
        public = scheme(header.scheme, PeerError).public_from_bytes(bytes(body))
        return cls(_check_id(header, public))

    def __reduce__(self) -> NoReturn:
        raise InputError("a key is not pickled; to_bytes() and from_bytes() write and read it")

    def __repr__(self) -> str:
        return f"PublicKey({self.scheme}, {self._scheme.summary}, id={self.key_id.hex()[:8]})"


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class PrivateKey:
    """Decrypts. Whoever holds it reads everything that was encrypted under its public key.

    Attributes
    ----------
    public : PublicKey
        The half to give away.
    """

    _scheme: Private

    @property
    def public(self) -> PublicKey:
        """The half to give away."""
        return PublicKey(self._scheme.public)

    @overload
    def encrypt(
        self, values: pd.DataFrame, *, decimals: Any = ..., bound: Any = ..., terms: int = ..., moments: int = ...
    ) -> EncryptedFrame: ...
    @overload
    def encrypt(
        self, values: npt.ArrayLike, *, decimals: int = ..., bound: float = ..., terms: int = ...
    ) -> EncryptedArray: ...
    def encrypt(
        self, values: Any, *, decimals: Any = 0, bound: Any = _BOUND, terms: int = _TERMS, moments: int = 1
    ) -> EncryptedArray | EncryptedFrame:
        """As `PublicKey.encrypt`, faster where the secret helps."""
        return _encrypt(self._scheme, self._scheme.public, values, decimals, bound, terms, moments)

    @overload
    def decrypt(self, encrypted: EncryptedArray) -> npt.NDArray[Any]: ...
    @overload
    def decrypt(self, encrypted: EncryptedFrame | EncryptedGroups) -> pd.DataFrame: ...
    def decrypt(self, encrypted: EncryptedArray | EncryptedFrame | EncryptedGroups) -> npt.NDArray[Any] | pd.DataFrame:
        """Read numbers.

        Decrypt sums over enough rows only: never single rows that somebody else sent, as if this were a service.

        Returns
        -------
        numpy.ndarray
            For an array, of its shape: int64 with no decimals (Python integers if bound times terms needs more than 63
            bits), else float64, the nearest to the exact result.
        pandas.DataFrame
            For the result of a groupby, as pandas' own ``agg`` returns it; for a frame, its rows.

        Raises
        ------
        InputError
            Something else, or encrypted under another key.
        PeerError
            A result beyond what its limits allow, naming the row: its sender did not keep to them.
        """
        if isinstance(encrypted, EncryptedGroups):
            return decrypt_groups(encrypted, self._open(encrypted._table))
        if isinstance(encrypted, EncryptedFrame):
            return decrypt_frame(encrypted, self._open(encrypted._table))
        if not isinstance(encrypted, EncryptedArray):
            raise InputError("decrypt takes what encrypt returned, or what was computed from it")
        return decode(self._open(encrypted).reshape(encrypted.shape), encrypted.decimals)

    def _open(self, array: EncryptedArray) -> npt.NDArray[Any]:
        public = self._scheme.public
        if (array.scheme, array.key_id) != (public.name, public.key_id):
            raise InputError("this is encrypted under another key; decrypt with the one it belongs to")
        rows = 1 if array._rows is None else array._rows
        return self._scheme.decrypt(array._cells, array._row, rows, array.weight, squeezed=array._squeezed)

    def to_bytes(self) -> bytes:
        """The secret key itself, in the clear: keep it where only its owner reads it, never send it."""
        return _write_key(self._scheme.public, self._scheme.to_bytes(), secret=True)

    @classmethod
    def from_bytes(cls, data: bytes) -> PrivateKey:
        """Read and check one's own key; InputError when it is none, damaged or unsound."""
        try:
            header, body = open_envelope(data, KeyHeader)
            if not header.secret:
                raise InputError("this is a public key; only the private one decrypts")
            private = scheme(header.scheme).private_from_bytes(bytes(body))
            _check_id(header, private.public)
        except PeerError as error:
            # one's own file, not a peer's bytes
            raise InputError(str(error)) from None
        return cls(private)

    def __reduce__(self) -> NoReturn:
        raise InputError("a private key is not pickled; keep to_bytes() where only its owner reads it")

    def __repr__(self) -> str:
        public = self._scheme.public
        return f"PrivateKey({public.name}, {public.summary}, id={public.key_id.hex()[:8]}, secret=<redacted>)"


def _encrypt(
    encryptor: Public | Private, public: Public, values: Any, decimals: Any, bound: Any, terms: int, moments: int
) -> EncryptedArray | EncryptedFrame:
    terms = whole(terms, "terms", 1, MAX_TERMS)
    if isinstance(values, pd.DataFrame):
        return encrypt_frame(encryptor, public, values, decimals, bound, terms, moments)
    if moments != 1:
        raise InputError("moments belong to frames; encrypt the squares of an array as an array of their own")
    decimals = whole(decimals, "decimals", 0, MAX_DECIMALS)
    array = _as_array(values)
    table = array.reshape(len(array), -1) if array.size else array.reshape(len(array), (*array.shape, 1)[1])
    if not 1 <= table.shape[1] <= MAX_WIDTH:
        raise InputError(f"a row holds 1 to {MAX_WIDTH} values")
    row = Row(table.shape[1], (scaled_limit(bound, decimals),), terms)
    public.check(row)
    integers = encode(table, decimals, row.largest)
    return EncryptedArray(
        decimals=decimals,
        weight=1,
        fresh=True,
        _row=row,
        _packed=array.ndim == 2,
        _squeezed=False,
        _rows=len(array),
        _scheme=public,
        _cells=encryptor.encrypt(integers, row),
    )


def _as_array(values: Any) -> npt.NDArray[Any]:
    if isinstance(values, pd.Series) and isinstance(values.dtype, pd.api.extensions.ExtensionDtype):
        if values.isna().any():
            raise InputError(f"the value in row {int(values.isna().argmax())} is missing; fill or drop it first")
        values = values.to_numpy(dtype=getattr(values.dtype, "numpy_dtype", None))
    refuse_masked(values)
    try:
        array = np.asarray(values)
    except ValueError:
        raise InputError("the rows have different lengths; give an array of shape (n,) or (n, k)") from None
    if array.ndim not in (1, 2):
        raise InputError(f"an array of shape (n,) or (n, k) is encrypted, not one of {array.ndim} dimensions")
    if array.dtype == object and not array.size:
        array = array.astype(np.int64)
    return array


def _write_key(public: Public, body: bytes, *, secret: bool) -> bytes:
    return seal_envelope(KeyHeader(scheme=public.name, secret=secret, key_id=public.key_id), body)


def _check_id(header: KeyHeader, public: Public) -> Public:
    if public.name != header.scheme or public.key_id != header.key_id:
        raise PeerError("this key does not have the id that it carries; it was damaged or put together wrongly")
    return public
