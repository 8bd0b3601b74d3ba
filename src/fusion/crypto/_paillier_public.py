"""Paillier public keys and columns of ciphertexts; `fusion.crypto.paillier` says what they rest on."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

import gmpy2
import numpy as np
from numpy.typing import NDArray

from fusion.crypto import _modular, _primes
from fusion.crypto._modular import Plaintexts
from fusion.crypto._powers import Powers, exponents
from fusion.crypto.random import Source
from fusion.errors import InputError, PeerError
from fusion.kernels._rows import Bytes, byte_rows, byte_string

MINIMUM_BITS = 3072
"""Smallest key: 128-bit security (NIST SP 800-57 part 1, table 2)."""


class Ciphertexts:
    """A column of ciphertexts under one key.

    Indexing by a slice, a mask or integers selects ciphertexts; `Ciphertexts.concatenate` joins columns. Made by keys.
    """

    __slots__ = ("_values", "public")

    def __init__(self, values: Iterable[int] | NDArray[Any], public: PublicKey) -> None:
        self.public = public
        if not isinstance(values, np.ndarray):
            listed = list(values)
            values = np.empty(len(listed), dtype=object)
            values[:] = listed
        self._values: NDArray[Any] = values

    @classmethod
    def concatenate(cls, columns: Sequence[Ciphertexts]) -> Ciphertexts:
        """Join columns under one key; InputError if there is none, or if keys differ."""
        if not columns:
            raise InputError("there must be at least one column to join")
        public = columns[0].public
        return cls(np.concatenate([public._own(column)._values for column in columns]), public)

    @classmethod
    def from_bytes(cls, rows: Bytes, public: PublicKey) -> Ciphertexts:
        """Read what `to_bytes` wrote.

        Parameters
        ----------
        rows : (n, public.ciphertext_bytes) uint8
        public : PublicKey

        Raises
        ------
        PeerError
            If a row is not a unit modulo n^2; names the first.
        InputError
            On another shape or type.
        """
        rows = byte_rows(rows, public.ciphertext_bytes, "ciphertexts")
        return cls.from_numbers([int.from_bytes(row.tobytes(), "big") for row in rows], public)

    @classmethod
    def from_numbers(cls, numbers: Sequence[int], public: PublicKey) -> Ciphertexts:
        """Take ciphertexts that another library made; PeerError names the first that is not a unit modulo n^2."""
        values = [gmpy2.mpz(number) for number in _modular.integers(numbers)]
        fault = _modular.first_fault(values, public.n)
        if fault is not None:
            raise PeerError(f"ciphertext {fault} is not a unit below the square of the modulus; check the peer's key")
        return cls(values, public)

    def to_bytes(self) -> Bytes:
        """Encode big-endian, (n, public.ciphertext_bytes) uint8.

        What was computed from ciphertexts shows how, to those who know these: `PublicKey.rerandomise` it first.
        """
        size = self.public.ciphertext_bytes
        data = b"".join([int(value).to_bytes(size, "big") for value in self._values.tolist()])
        return np.frombuffer(data, dtype=np.uint8).reshape(len(self), size)

    def numbers(self) -> list[int]:
        """List the ciphertexts as Python integers, for other libraries."""
        return [int(value) for value in self._values.tolist()]

    def __len__(self) -> int:
        return len(self._values)

    def __getitem__(self, rows: slice | NDArray[Any]) -> Ciphertexts:
        if not isinstance(rows, slice | np.ndarray):
            raise InputError("select ciphertexts by a slice, or an array of booleans or integers")
        try:
            selected = self._values[rows]
        except IndexError:
            raise InputError(f"the selection does not fit a column of {len(self)} ciphertexts") from None
        if selected.ndim != 1:
            raise InputError("the selection must have one dimension")
        return Ciphertexts(selected, self.public)

    def __repr__(self) -> str:
        return f"Ciphertexts({len(self)} under {self.public.bits} bits)"

    def __reduce__(self) -> NoReturn:
        raise InputError("ciphertexts are not pickled; use to_bytes() and from_bytes()")


class PublicKey:
    """What encrypts and computes. Made by `generate`, `from_bytes` or `from_modulus`.

    Attributes
    ----------
    n : int
        The modulus. Plaintexts lie strictly between -n/2 and n/2.
    bits : int
        Its length.
    key_id : bytes
        16 bytes that identify the key.
    """

    __slots__ = ("_lock", "_powers", "_square", "bits", "key_id", "n")

    def __init__(self, n: int) -> None:
        self.n: int = gmpy2.mpz(n)
        self.bits = self.n.bit_length()
        self.key_id = hashlib.sha256(b"fusion/crypto/paillier/key/1" + self.to_bytes()).digest()[:16]
        self._square = self.n * self.n
        self._lock = threading.Lock()
        self._powers: Powers | None = None

    @classmethod
    def from_modulus(cls, n: int) -> PublicKey:
        """Take a modulus that somebody else made, after what can be checked without its factors.

        Nobody can tell without its factors that it has just two, both large. A bad one endangers what is encrypted to
        its owner, who can read that anyway, and what the owner may not learn of a computation's inputs.

        Raises
        ------
        PeerError
            Unless it is odd, of 3072 to 8192 bits, composite, no perfect power and without factors below 2^16.
        """
        return cls._received(n, MINIMUM_BITS)

    @classmethod
    def insecure_from_modulus(cls, n: int) -> PublicKey:
        """Take a modulus of 128 bits or more: for tests, and to read old keys."""
        return cls._received(n, _primes.SMALLEST)

    @classmethod
    def from_bytes(cls, data: bytes) -> PublicKey:
        """Read what `to_bytes` wrote: the modulus, big-endian without leading zeros; PeerError as in `from_modulus`."""
        return cls._received(_number(data), MINIMUM_BITS)

    @classmethod
    def insecure_from_bytes(cls, data: bytes) -> PublicKey:
        """Read a key of 128 bits or more: for tests, and to read old keys."""
        return cls._received(_number(data), _primes.SMALLEST)

    @classmethod
    def _received(cls, n: int, least: int) -> PublicKey:
        if n < 0 or not least <= n.bit_length() <= _primes.LARGEST:
            raise PeerError(
                f"the key has {n.bit_length()} bits; {least} to {_primes.LARGEST} are accepted: ask for another"
            )
        fault = _primes.fault(n)
        if fault:
            raise PeerError(f"the key's modulus is unfit: {fault}; ask its owner for another")
        return cls(n)

    def to_bytes(self) -> bytes:
        """Encode the modulus, big-endian."""
        return int(self.n).to_bytes(-(-self.bits // 8), "big")

    @property
    def ciphertext_bytes(self) -> int:
        """Bytes of a ciphertext."""
        return 2 * -(-self.bits // 8)  # type: ignore[no-any-return]

    @property
    def h_s(self) -> int:
        """The n-th power whose powers hide plaintexts: h^n for the square h of a hash of n."""
        stream = hashlib.shake_256(b"fusion/crypto/paillier/base/1" + self.to_bytes())
        root = gmpy2.mpz(int.from_bytes(stream.digest(-(-self.bits // 8) + 16), "big"))
        if gmpy2.gcd(root, self.n) != 1:
            raise PeerError("the key's modulus is unfit: it shares a factor with a hash; ask its owner for another")
        return gmpy2.powmod(root * root, self.n, self._square)  # type: ignore[no-any-return]

    def encrypt(self, plaintexts: Plaintexts, *, source: Source = os.urandom) -> Ciphertexts:
        """Encrypt each integer under fresh randomness.

        Parameters
        ----------
        plaintexts : sequence of n int, or (n,) array
            Between -n/2 and n/2.

        Raises
        ------
        InputError
            If one is no integer or out of range; names its place.
        """
        numbers = self._plaintexts(plaintexts)
        n, square = self.n, self._square
        masks = self._masks(len(numbers), source)
        return Ciphertexts([(1 + m * n) * mask % square for m, mask in zip(numbers, masks, strict=True)], self)

    def zeros(self, n: int) -> Ciphertexts:
        """N ciphertexts of 0 that hide nothing: a start for sums."""
        return Ciphertexts([gmpy2.mpz(1)] * n, self)

    def add(self, a: Ciphertexts, b: Ciphertexts) -> Ciphertexts:
        """Add two columns of one length."""
        if len(self._own(a)) != len(self._own(b)):
            raise InputError(f"columns of {len(a)} and {len(b)} ciphertexts cannot be added")
        return Ciphertexts(a._values * b._values % self._square, self)

    def add_plain(self, cs: Ciphertexts, plaintexts: Plaintexts) -> Ciphertexts:
        """Add a known integer to each ciphertext."""
        numbers = self._plaintexts(plaintexts)
        values = self._own(cs)._values.tolist()
        _modular.same_length(numbers, values)
        n, square = self.n, self._square
        return Ciphertexts([c * (1 + m * n) % square for c, m in zip(values, numbers, strict=True)], self)

    def negate(self, cs: Ciphertexts) -> Ciphertexts:
        """Change every sign, at three multiplications a ciphertext."""
        return Ciphertexts(_modular.inverses(self._own(cs)._values.tolist(), self._square), self)

    def multiply(self, cs: Ciphertexts, factors: Plaintexts, *, threads: int | None = None) -> Ciphertexts:
        """Multiply each ciphertext by a known integer; small ones are cheap.

        Parameters
        ----------
        cs : Ciphertexts
        factors : sequence of len(cs) int
        threads : int, optional
            None: all CPUs this process may use.
        """
        numbers = self._plaintexts(factors)
        values = self._own(cs)._values.tolist()
        _modular.same_length(numbers, values)
        for i, inverse in self._inverses(values, {i for i, number in enumerate(numbers) if number < 0}).items():
            values[i] = inverse
        powers = _modular.powers(values, [abs(number) for number in numbers], self._square, threads)
        return Ciphertexts(powers, self)

    def combine(self, matrix: NDArray[Any], cs: Ciphertexts) -> Ciphertexts:
        """Multiply a known matrix with a column.

        A row costs about (bits / w) (entries + 2^(w + 1)) multiplications for entries of so many bits, with the best w.

        Parameters
        ----------
        matrix : (m, len(cs)) array of an integer type or of Python integers
        cs : Ciphertexts

        Returns
        -------
        Ciphertexts
            m of them.
        """
        if np.shape(matrix)[1:] != (len(self._own(cs)),):
            raise InputError(f"the matrix must be an array with a column for each of the {len(cs)} ciphertexts")
        weights = [self._plaintexts(row) for row in matrix]
        values = cs._values.tolist()
        inverses = self._inverses(values, {i for row in weights for i, weight in enumerate(row) if weight < 0})
        sums = []
        for row in weights:
            used = [(abs(weight), values[i] if weight > 0 else inverses[i]) for i, weight in enumerate(row) if weight]
            sums.append(_modular.power_product([x for x, _ in used], [c for _, c in used], self._square))
        return Ciphertexts(sums, self)

    def group_sum(self, codes: NDArray[Any], groups: int, cs: Ciphertexts) -> Ciphertexts:
        """Add up the ciphertexts of each group.

        Parameters
        ----------
        codes : (len(cs),) array of an integer type
            The group of each ciphertext, 0 to ``groups - 1``.
        groups : int
            At least 0.
        cs : Ciphertexts

        Returns
        -------
        Ciphertexts
            `groups` of them; an empty group's is a 0 that hides nothing.
        """
        values = self._own(cs)._values.tolist()
        codes = np.asarray(codes)
        if codes.shape != (len(values),) or (codes.dtype.kind not in "iu" and len(codes)):
            raise InputError(f"codes must be an integer array of length {len(values)}")
        if len(codes) and (codes.min() < 0 or codes.max() >= groups):
            raise InputError(f"codes must be 0 to {groups - 1}")
        return Ciphertexts(_modular.group_products(codes.tolist(), groups, values, self._square), self)

    def squeeze(self, cs: Ciphertexts, width: int, per: int, *, threads: int | None = None) -> Ciphertexts:
        """Put several ciphertexts into one, which is cheaper to send and to decrypt: `packing.split` undoes it.

        Parameters
        ----------
        cs : Ciphertexts
            Of plaintexts at least ``-2^(width - 1)`` and below ``2^(width - 1)``: what is beyond changes its neighbour,
            and nobody notices if the neighbour stays in range.
        width : int
            Bits for each.
        per : int
            How many go into one; `width * per` is at most ``bits - 2``.
        threads : int, optional
            None: all CPUs this process may use.

        Returns
        -------
        Ciphertexts
            ``ceil(len(cs) / per)`` of them; the last may hold fewer.
        """
        if width < 1 or per < 1 or width * per > self.bits - 2:
            raise InputError(f"{per} plaintexts of {width} bits do not fit a key of {self.bits} bits; squeeze fewer")
        values = self._own(cs)._values.tolist()
        return Ciphertexts(_modular.squeeze(values, width, per, self._square, threads), self)

    def rerandomise(
        self, cs: Ciphertexts, *, full: bool = False, threads: int | None = None, source: Source = os.urandom
    ) -> Ciphertexts:
        """Give every ciphertext fresh randomness, and leave what it holds.

        Afterwards nobody without the private key can tell how it was made. The key's owner can, with effort or with
        primes chosen for it, since powers of one h_s of half length are not all n-th powers. Two parities of the
        weights he sees at once where what went in has randomness that is no square modulo p or q (from `phe`, from
        ``full=True``, or on purpose), since powers of h_s are squares. With ``full=True`` each is multiplied by the
        n-th power of a random unit: a proper key's owner then sees a uniform ciphertext of the sum and nothing else.
        That takes an exponentiation of full length each, some 30 times as long, shared by `threads`.
        """
        values = self._own(cs)._values.tolist()
        masks = self._uniform(len(values), threads, source) if full else self._masks(len(values), source)
        return Ciphertexts([c * mask % self._square for c, mask in zip(values, masks, strict=True)], self)

    def _uniform(self, n: int, threads: int | None, source: Source) -> list[int]:
        """Random units to the power n."""
        size = -(-self.bits // 8) + 16
        units: list[int] = []
        while len(units) < n:
            unit = gmpy2.mpz(int.from_bytes(source(size), "little")) % self.n
            # only a modulus made to be hostile has others that are ever drawn
            if gmpy2.gcd(unit, self.n) == 1:
                units.append(unit)
        return _modular.powers(units, [self.n] * n, self._square, threads)

    def _masks(self, n: int, source: Source) -> list[int]:
        with self._lock:
            if self._powers is None:
                self._powers = Powers(self.h_s, self.n)
        return self._powers.of(exponents(n, self.bits, source))

    def _plaintexts(self, plaintexts: Plaintexts) -> list[int]:
        numbers = _modular.integers(plaintexts)
        half = self.n >> 1
        if numbers and not (min(numbers) >= -half and max(numbers) <= half):
            place = next(i for i, number in enumerate(numbers) if abs(number) > half)
            raise InputError(f"the integer in place {place} is too large for a key of {self.bits} bits")
        return numbers

    def _inverses(self, values: list[int], places: set[int]) -> dict[int, int]:
        inverses = _modular.inverses([values[i] for i in places], self._square)
        return dict(zip(places, inverses, strict=True))

    def _own(self, cs: object) -> Ciphertexts:
        if not isinstance(cs, Ciphertexts):
            raise InputError("expected Ciphertexts, which a key's encrypt() makes")
        if cs.public is not self and cs.public.n != self.n:
            raise InputError("these ciphertexts belong to another key")
        return cs

    def __eq__(self, other: object) -> bool:
        return bool(self.n == other.n) if isinstance(other, PublicKey) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.key_id)

    def __repr__(self) -> str:
        return f"PublicKey({self.bits} bits, {self.key_id.hex()})"

    def __reduce__(self) -> NoReturn:
        raise InputError("keys are not pickled; use to_bytes() and from_bytes()")


def _number(data: bytes) -> int:
    data = byte_string(data, "the key")
    if data[:1] in (b"", b"\0") or 8 * len(data) > _primes.LARGEST:
        raise PeerError(f"the key must be a modulus of 1 to {_primes.LARGEST // 8} bytes without leading zeros")
    return gmpy2.mpz(int.from_bytes(data, "big"))  # type: ignore[no-any-return]
