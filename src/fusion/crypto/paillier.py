"""Paillier's encryption of integers, which adds under encryption, for whole columns.

A public key is a modulus n = p q. A ciphertext of m is (1 + m n) h_s^r modulo n^2, where h_s is an n-th power: who
knows p and q removes the power, and multiplying ciphertexts adds what they hold (Paillier, Eurocrypt 1999). Exponents r
have half the bits of n (Damgard, Jurik and Nielsen, "A generalization of Paillier's public-key system with applications
to electronic voting", 2010, section 4.2), and powers of h_s come from a table.

Assumptions. Deciding n-th powers modulo n^2 is hard, and h^r modulo n with an r of half length cannot be told from a
random square, which for moduli such as ours follows from factoring being hard (Goldreich and Rosen, 2003).

What differs from the paper: h is a square that everybody derives from n by a hash, h_s = h^n. So the public key is n
alone, its owner cannot choose a weak h_s, and keys of other libraries fit as they are. docs/decisions/0015 argues it.

What it does not do. Ciphertexts can be changed on the way to others that decrypt well: authenticate the channel. Never
decrypt for a peer what is not a sum you agreed to. `PublicKey.rerandomise` hides how a ciphertext was made from
everybody but the key owner; from the owner only with ``full=True``.

Time. GMP is not constant time: other programs on the same processor can learn something of exponents. Decryption
blinds its secret exponents by fresh 64-bit factors.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NoReturn

import gmpy2
import numpy as np
from numpy.typing import NDArray

from fusion.crypto import _primes
from fusion.crypto._powers import Powers
from fusion.crypto.random import Source
from fusion.errors import InputError, PeerError
from fusion.kernels._rows import Bytes, byte_rows, byte_string, split

__all__ = ["MINIMUM_BITS", "Ciphertexts", "PrivateKey", "PublicKey", "generate", "insecure_generate"]

MINIMUM_BITS = 3072
"""Smallest key: 128-bit security (NIST SP 800-57 part 1, table 2)."""

Plaintexts = Sequence[int] | NDArray[Any]
"""Integers: a list, or a one-dimensional array of an integer type or of Python integers."""

# Powers a thread takes at once: some tenths of a second.
_GRAIN = 16


class Ciphertexts:
    """A column of ciphertexts under one key.

    Indexing by a slice, a mask or integers selects ciphertexts; `Ciphertexts.concatenate` joins columns. Made by keys.
    """

    __slots__ = ("_values", "public")

    def __init__(self, values: Iterable[int] | NDArray[Any], public: PublicKey) -> None:
        self.public = public
        if isinstance(values, np.ndarray):
            self._values = values
        else:
            listed = list(values)
            self._values = np.empty(len(listed), dtype=object)
            self._values[:] = listed

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
        values = [gmpy2.mpz(int.from_bytes(row.tobytes(), "big")) for row in rows]
        public._check(values)
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
            Unless it is odd, of 3072 to 16384 bits, composite, no perfect power and without factors below 2^16.
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
        if not least <= n.bit_length() <= _primes.LARGEST:
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
        _same_length(numbers, values)
        n, square = self.n, self._square
        return Ciphertexts([c * (1 + m * n) % square for c, m in zip(values, numbers, strict=True)], self)

    def negate(self, cs: Ciphertexts) -> Ciphertexts:
        """Change every sign, at three multiplications a ciphertext."""
        return Ciphertexts(self._inverses(self._own(cs)._values.tolist()), self)

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
        _same_length(numbers, values)
        negative = [i for i, factor in enumerate(numbers) if factor < 0]
        for i, inverse in zip(negative, self._inverses([values[i] for i in negative]), strict=True):
            values[i] = inverse
        square = self._square
        return Ciphertexts(
            _each(lambda i: gmpy2.powmod(values[i], abs(numbers[i]), square), len(values), threads), self
        )

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
        negative = sorted({i for row in weights for i, weight in enumerate(row) if weight < 0})
        inverses = dict(zip(negative, self._inverses([values[i] for i in negative]), strict=True))
        return Ciphertexts([self._combination(row, values, inverses) for row in weights], self)

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
        square, sums = self._square, [gmpy2.mpz(1)] * groups
        for code, value in zip(codes.tolist(), values, strict=True):
            sums[code] = sums[code] * value % square
        return Ciphertexts(sums, self)

    def squeeze(self, cs: Ciphertexts, width: int, per: int, *, threads: int | None = None) -> Ciphertexts:
        """Put several ciphertexts into one, which is cheaper to send and to decrypt: `packing.split` undoes it.

        Parameters
        ----------
        cs : Ciphertexts
            Of plaintexts at least ``-2^(width - 1)`` and below ``2^(width - 1)``: what is beyond spoils its neighbour.
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
        values, square = self._own(cs)._values.tolist(), self._square
        shift = gmpy2.mpz(1) << width

        def horner(i: int) -> int:
            *rest, total = values[i * per : (i + 1) * per]
            for value in reversed(rest):
                total = gmpy2.powmod(total, shift, square) * value % square
            return total  # type: ignore[no-any-return]

        return Ciphertexts(_each(horner, -(-len(values) // per), threads), self)

    def rerandomise(
        self, cs: Ciphertexts, *, full: bool = False, threads: int | None = None, source: Source = os.urandom
    ) -> Ciphertexts:
        """Give every ciphertext fresh randomness, and leave what it holds.

        Afterwards nobody without the private key can tell how it was made. The key's owner can, with effort or with
        primes chosen for it, since powers of one h_s of half length are not all n-th powers. With ``full=True`` each is
        multiplied by the n-th power of a random unit: a proper key's owner then sees a uniform ciphertext of the sum
        and nothing else. That takes an exponentiation of full length each, some 30 times as long, shared by `threads`.
        """
        values = self._own(cs)._values
        if not full:
            return self._multiplied(values, self._masks(len(values), source))
        size = -(-self.bits // 8) + 16
        units = [gmpy2.mpz(int.from_bytes(source(size), "big")) % self.n for _ in range(len(values))]
        return self._multiplied(values, _each(lambda i: self._power(units[i]), len(units), threads))

    def _power(self, unit: int) -> int:
        return gmpy2.powmod(unit, self.n, self._square)  # type: ignore[no-any-return]

    def _multiplied(self, values: NDArray[Any], masks: list[int]) -> Ciphertexts:
        return Ciphertexts([c * mask % self._square for c, mask in zip(values, masks, strict=True)], self)

    def _masks(self, n: int, source: Source) -> list[int]:
        with self._lock:
            if self._powers is None:
                self._powers = Powers(self.h_s, self.n)
        return self._powers.of(_exponents(n, self.bits, source))

    def _plaintexts(self, plaintexts: Plaintexts) -> list[int]:
        numbers = _integers(plaintexts)
        half = self.n >> 1
        if numbers and not (min(numbers) >= -half and max(numbers) <= half):
            place = next(i for i, number in enumerate(numbers) if abs(number) > half)
            raise InputError(f"the integer in place {place} is too large for a key of {self.bits} bits")
        return numbers

    def _own(self, cs: object) -> Ciphertexts:
        if not isinstance(cs, Ciphertexts):
            raise InputError("expected Ciphertexts, which a key's encrypt() makes")
        if cs.public is not self and cs.public.n != self.n:
            raise InputError("these ciphertexts belong to another key")
        return cs

    def _check(self, values: list[int]) -> None:
        product = gmpy2.mpz(1)
        for value in values:
            product = product * value % self.n
        if gmpy2.gcd(product, self.n) == 1 and (not values or max(values) < self._square):
            return
        for i, value in enumerate(values):
            if value >= self._square or gmpy2.gcd(value, self.n) != 1:
                raise PeerError(f"ciphertext {i} is not a unit below the square of the modulus; check the peer's key")

    def _inverses(self, values: list[int]) -> list[int]:
        # One inversion for all: the inverse of the product of all, times the products of all others (Montgomery 1987).
        square, products = self._square, [gmpy2.mpz(1)]
        for value in values:
            products.append(products[-1] * value % square)
        inverse, inverses = gmpy2.invert(products[-1], square), []
        for value, product in zip(reversed(values), reversed(products[:-1]), strict=True):
            inverses.append(inverse * product % square)
            inverse = inverse * value % square
        return inverses[::-1]

    def _combination(self, weights: list[int], values: list[int], inverses: dict[int, int]) -> int:
        # Digit by digit from the top; those with the same digit are multiplied first (Pippenger 1976).
        used = [(abs(weight), values[i] if weight > 0 else inverses[i]) for i, weight in enumerate(weights) if weight]
        bits, square = max((weight.bit_length() for weight, _ in used), default=0), self._square
        width = min(range(1, 17), key=lambda w: -(-bits // w) * (len(used) + 2 ** (w + 1)))
        total = gmpy2.mpz(1)
        for shift in range((bits - 1) // width * width, -1, -width):
            buckets: dict[int, int] = {}
            for weight, value in used:
                digit = weight >> shift & ((1 << width) - 1)
                buckets[digit] = buckets[digit] * value % square if digit in buckets else value
            for _ in range(width if total != 1 else 0):
                total = total * total % square
            running = gmpy2.mpz(1)
            for digit in range(max(buckets), 0, -1):
                if digit in buckets:
                    running = running * buckets[digit] % square
                total = total * running % square
        return total  # type: ignore[no-any-return]

    def __eq__(self, other: object) -> bool:
        return bool(self.n == other.n) if isinstance(other, PublicKey) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.key_id)

    def __repr__(self) -> str:
        return f"PublicKey({self.bits} bits, {self.key_id.hex()})"

    def __reduce__(self) -> NoReturn:
        raise InputError("keys are not pickled; use to_bytes() and from_bytes()")


class PrivateKey:
    """What decrypts. Made by `generate`, `from_bytes` or `from_primes`; printing shows nothing secret.

    Attributes
    ----------
    public : PublicKey
    """

    __slots__ = ("_halves", "_lock", "_powers", "_primes", "_squares_inverse", "public")

    def __init__(self, p: int, q: int) -> None:
        p, q = gmpy2.mpz(p), gmpy2.mpz(q)
        self.public = PublicKey(p * q)
        self._primes = (p, q)
        # (1 + m n)^(p - 1) is 1 - m q p modulo p^2, so a quotient by p times this gives m modulo p.
        self._halves = ((p, p * p, gmpy2.invert(-q, p)), (q, q * q, gmpy2.invert(-p, q)))
        self._squares_inverse = gmpy2.invert(p * p, q * q)
        self._lock = threading.Lock()
        self._powers: tuple[Powers, Powers] | None = None

    @classmethod
    def from_primes(cls, p: int, q: int) -> PrivateKey:
        """Take the two primes of a key made elsewhere.

        Raises
        ------
        InputError
            Unless they are different primes whose product has at least 3072 bits and shares no factor with
            (p - 1)(q - 1).
        """
        return cls._checked(p, q, MINIMUM_BITS)

    @classmethod
    def insecure_from_primes(cls, p: int, q: int) -> PrivateKey:
        """Take primes of a key of 128 bits or more: for tests, and to read old data."""
        return cls._checked(p, q, _primes.SMALLEST)

    @classmethod
    def from_bytes(cls, data: bytes) -> PrivateKey:
        """Read what `to_bytes` wrote; InputError as in `from_primes`."""
        return cls._checked(*_halves(data), MINIMUM_BITS)

    @classmethod
    def insecure_from_bytes(cls, data: bytes) -> PrivateKey:
        """Read a key of 128 bits or more: for tests, and to read old data."""
        return cls._checked(*_halves(data), _primes.SMALLEST)

    @classmethod
    def _checked(cls, p: int, q: int, least: int) -> PrivateKey:
        n = p * q
        if not least <= n.bit_length() <= _primes.LARGEST:
            raise InputError(f"a private key of {n.bit_length()} bits is refused; make one of {least} bits or more")
        sound = p != q and all(x % 2 and gmpy2.is_prime(x, 40) for x in (p, q))
        if not sound or gmpy2.gcd(n, (p - 1) * (q - 1)) != 1:
            raise InputError("the private key is not made of two fitting primes; the file is damaged, or no such key")
        return cls(p, q)

    def to_bytes(self) -> bytes:
        """Encode the two primes, big-endian: SECRET. Whoever reads them reads everything encrypted under the key."""
        size = -(-max(prime.bit_length() for prime in self._primes) // 8)
        return b"".join(int(prime).to_bytes(size, "big") for prime in self._primes)

    def encrypt(self, plaintexts: Plaintexts, *, source: Source = os.urandom) -> Ciphertexts:
        """Encrypt as `PublicKey.encrypt` does, with the same distribution, faster: modulo p^2 and q^2."""
        public = self.public
        numbers = public._plaintexts(plaintexts)
        with self._lock:
            if self._powers is None:
                base = public.h_s
                self._powers = (Powers(base, self._primes[0]), Powers(base, self._primes[1]))
        exponents = _exponents(len(numbers), public.bits, source)
        (_, p2, _), (_, q2, _) = self._halves
        inverse, n, square = self._squares_inverse, public.n, public._square
        values = []
        for m, a, b in zip(numbers, *(powers.of(exponents) for powers in self._powers), strict=True):
            values.append((a + (b - a) * inverse % q2 * p2) * (1 + m * n) % square)
        return Ciphertexts(values, public)

    def decrypt(self, cs: Ciphertexts, *, threads: int | None = None) -> list[int]:
        """Decrypt to integers between -n/2 and n/2.

        Parameters
        ----------
        cs : Ciphertexts
        threads : int, optional
            None: all CPUs this process may use.

        Raises
        ------
        InputError
            If they belong to another key.
        """
        values = self.public._own(cs)._values.tolist()
        (p, _, _), (q, _, _) = self._halves
        inverse, n, half = gmpy2.invert(p, q), self.public.n, self.public.n >> 1
        numbers = [0] * len(values)

        def work(start: int, stop: int) -> None:
            parts = (_residues(values[start:stop], *half) for half in self._halves)
            for i, (a, b) in enumerate(zip(*parts, strict=True), start):
                m = a + (b - a) * inverse % q * p
                numbers[i] = int(m - n if m > half else m)

        split(work, len(values), threads=threads, grain=_GRAIN)
        return numbers

    def __repr__(self) -> str:
        return f"PrivateKey({self.public.bits} bits, <redacted>)"

    def __reduce__(self) -> NoReturn:
        raise InputError("private keys are not pickled; store to_bytes() where it is safe")


def generate(bits: int = MINIMUM_BITS, source: Source = os.urandom) -> PrivateKey:
    """Make a key pair.

    Parameters
    ----------
    bits : int
        Length of the modulus, a multiple of 16 from 3072 to 16384.
    source : callable
        Number of bytes -> that many uniform bytes.

    Raises
    ------
    InputError
        On another length.
    """
    _primes.check_size(bits)
    if bits < MINIMUM_BITS:
        raise InputError(f"keys have at least {MINIMUM_BITS} bits; tests may call insecure_generate")
    return PrivateKey(*_primes.prime_pair(bits, source))


def insecure_generate(bits: int, source: Source = os.urandom) -> PrivateKey:
    """Make a key pair of 128 bits or more, which others can break: for tests."""
    _primes.check_size(bits)
    return PrivateKey(*_primes.prime_pair(bits, source))


def _residues(values: list[int], prime: int, square: int, scale: int) -> list[int]:
    """The plaintexts modulo one prime.

    The exponent is p - 1 times a fresh factor, taken out again afterwards: no two calls show the same exponent to who
    watches the time. It costs 4 %; GMP's constant-time power would cost 32 %.
    """
    blind = int.from_bytes(os.urandom(8), "little") | 1
    exponent = (prime - 1) * blind
    scale = scale * gmpy2.invert(blind, prime) % prime
    powers = gmpy2.powmod_base_list([value % square for value in values], exponent, square)
    return [(power - 1) // prime * scale % prime for power in powers]


def _exponents(n: int, bits: int, source: Source) -> Bytes:
    """N exponents of half the modulus's bits, rounded up to bytes."""
    size = -(-bits // 16)
    return np.frombuffer(source(n * size), dtype=np.uint8).reshape(n, size)


def _each(function: Callable[[int], int], n: int, threads: int | None) -> list[int]:
    """`function` of 0 to n - 1, shared by threads; it pays for what leaves the interpreter's lock for long."""
    results = [0] * n

    def work(start: int, stop: int) -> None:
        results[start:stop] = [function(i) for i in range(start, stop)]

    split(work, n, threads=threads, grain=_GRAIN)
    return results


def _integers(values: Plaintexts) -> list[int]:
    if isinstance(values, np.ndarray):
        if values.ndim != 1 or values.dtype.kind not in "iuO":
            raise InputError("integers must come as a list, or as a one-dimensional array of an integer type")
        values = values.tolist()
    for i, value in enumerate(values):
        if not isinstance(value, int | np.integer | gmpy2.mpz) or isinstance(value, bool):
            raise InputError(f"the value in place {i} is no integer; scale and round fractions first")
    return [int(value) for value in values]


def _same_length(numbers: Sequence[int], values: Sequence[int]) -> None:
    if len(numbers) != len(values):
        raise InputError(f"{len(numbers)} integers do not go with {len(values)} ciphertexts")


def _number(data: bytes) -> int:
    data = byte_string(data, "the key")
    if data[:1] in (b"", b"\0") or 8 * len(data) > _primes.LARGEST:
        raise PeerError(f"the key must be a modulus of 1 to {_primes.LARGEST // 8} bytes without leading zeros")
    return gmpy2.mpz(int.from_bytes(data, "big"))  # type: ignore[no-any-return]


def _halves(data: bytes) -> tuple[int, int]:
    data = byte_string(data, "the key")
    if len(data) % 2 or 8 * len(data) > _primes.LARGEST:
        raise InputError("a private key is two primes of one length; the file is damaged, or no such key")
    size = len(data) // 2
    return int.from_bytes(data[:size], "big"), int.from_bytes(data[size:], "big")
