"""Paillier's encryption of integers, which adds under encryption, for whole columns.

A public key is a modulus n = p q. A ciphertext of m is (1 + m n) h_s^r modulo n^2, where h_s is an n-th power: who
knows p and q removes the power, and multiplying ciphertexts adds what they hold (Paillier, Eurocrypt 1999). Exponents r
have half the bits of n (Damgard, Jurik and Nielsen, "A generalization of Paillier's public-key system with applications
to electronic voting", 2010, section 4.2), and powers of h_s come from a table.

Assumptions. Deciding n-th powers modulo n^2 is hard, and h^r modulo n with an r of half length cannot be told from a
random square, which for moduli such as `generate` makes follows from factoring being hard (Goldreich and Rosen, 2003).

What differs from the paper: h is a square that everybody derives from n by a hash, h_s = h^n. So the public key is n
alone, its owner cannot choose a weak h_s, and keys of other libraries fit as they are. docs/decisions/0015 argues it.

What it does not do. Ciphertexts can be changed on the way to others that decrypt well: authenticate the channel. Never
decrypt for a peer what is not a sum you agreed to. `PublicKey.rerandomise` hides how a ciphertext was made from
everybody but the key owner; from the owner only with ``full=True``.

Time. GMP is not constant time: other programs on the same processor can learn something of exponents. Decryption
blinds its secret exponents by fresh 64-bit factors.
"""

from __future__ import annotations

import os
import threading
from typing import NoReturn

import gmpy2

from fusion.crypto import _primes
from fusion.crypto._modular import GRAIN, PIECE, Plaintexts
from fusion.crypto._paillier_public import MINIMUM_BITS, Ciphertexts, PublicKey
from fusion.crypto._powers import Powers, exponents
from fusion.crypto.random import Source
from fusion.errors import InputError, PeerError
from fusion.kernels._rows import byte_string, split

__all__ = ["MINIMUM_BITS", "Ciphertexts", "PrivateKey", "PublicKey", "generate", "insecure_generate"]


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
            Unless they are different primes of one length whose product has 3072 to 8192 bits.
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
        # Of one length, neither divides the other less 1.
        if p == q or p.bit_length() != q.bit_length() or not all(x > 2 and gmpy2.is_prime(x, 40) for x in (p, q)):
            raise InputError("the private key is not made of two fitting primes; the file is damaged, or no such key")
        return cls(p, q)

    def to_bytes(self) -> bytes:
        """Encode the two primes, big-endian: SECRET. Whoever reads them reads everything encrypted under the key."""
        p, q = self.primes()
        size = -(-p.bit_length() // 8)
        return p.to_bytes(size, "big") + q.to_bytes(size, "big")

    def primes(self) -> tuple[int, int]:
        """Return the two primes, for other libraries: SECRET, as in `to_bytes`."""
        p, q = self._primes
        return int(p), int(q)

    def encrypt(self, plaintexts: Plaintexts, *, source: Source = os.urandom) -> Ciphertexts:
        """Encrypt as `PublicKey.encrypt` does, with the same distribution, faster: modulo p^2 and q^2."""
        public = self.public
        numbers = public._plaintexts(plaintexts)
        with self._lock:
            if self._powers is None:
                base = public.h_s
                self._powers = (Powers(base, self._primes[0]), Powers(base, self._primes[1]))
        r = exponents(len(numbers), public.bits, source)
        (_, p2, _), (_, q2, _) = self._halves
        inverse, n, square = self._squares_inverse, public.n, public._square
        masks = [
            a + (b - a) * inverse % q2 * p2 for a, b in zip(*(powers.of(r) for powers in self._powers), strict=True)
        ]
        return Ciphertexts([mask * (1 + m * n) % square for mask, m in zip(masks, numbers, strict=True)], public)

    def decrypt(self, cs: Ciphertexts, *, width: int | None = None, threads: int | None = None) -> list[int]:
        """Decrypt to integers between -n/2 and n/2.

        Parameters
        ----------
        cs : Ciphertexts
        width : int, optional
            Bits that each plaintext is known to fit: at least ``-2^(width - 1)`` and below ``2^(width - 1)``. Up to a
            quarter of the key's bits it takes half the time.
        threads : int, optional
            None: all CPUs this process may use.

        Raises
        ------
        InputError
            If they belong to another key, or width is below 1.
        PeerError
            If a plaintext does not fit the width; names the first place.
        """
        values = self.public._own(cs)._values.tolist()
        if width is not None and width < 1:
            raise InputError("width must be at least 1, or None for plaintexts of any size")
        # Modulo p alone, what does not fit could pass for what does only if it were within 2^width of a multiple of p.
        # Who finds such a number with a width below a quarter of the key's bits has factored n (Howgrave-Graham 2001).
        halves = self._halves[:1] if width is not None and 4 * width <= self.public.bits else self._halves
        numbers = [0] * len(values)

        def work(start: int, stop: int) -> None:
            numbers[start:stop] = self._join([_residues(values[start:stop], *half) for half in halves])

        split(work, len(values), threads=threads, grain=GRAIN, largest=PIECE)
        if width is not None:
            limit = 1 << (width - 1)
            for i, number in enumerate(numbers):
                if not -limit <= number < limit:
                    raise PeerError(f"plaintext {i} does not fit {width} bits; a sum left its declared bounds")
        return numbers

    def _join(self, residues: list[list[int]]) -> list[int]:
        """Integers of least absolute value with these residues modulo p, or modulo p and q."""
        (p, _, _), (q, _, _) = self._halves
        if len(residues) == 1:
            modulus, joined = p, residues[0]
        else:
            modulus, inverse = self.public.n, gmpy2.invert(p, q)
            joined = [a + (b - a) * inverse % q * p for a, b in zip(*residues, strict=True)]
        half = modulus >> 1
        return [int(m - modulus if m > half else m) for m in joined]

    def __repr__(self) -> str:
        return f"PrivateKey({self.public.bits} bits, <redacted>)"

    def __reduce__(self) -> NoReturn:
        raise InputError("private keys are not pickled; store to_bytes() where it is safe")


def generate(bits: int = MINIMUM_BITS, source: Source = os.urandom) -> PrivateKey:
    """Make a key pair.

    Parameters
    ----------
    bits : int
        Length of the modulus, a multiple of 16 from 3072 to 8192.
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
    watches the time. It costs some 4 %; GMP's constant-time power would cost 29 %.
    """
    blind = int.from_bytes(os.urandom(8), "little") | 1
    exponent = (prime - 1) * blind
    scale = scale * gmpy2.invert(blind, prime) % prime
    powers = gmpy2.powmod_base_list([value % square for value in values], exponent, square)
    return [(power - 1) // prime * scale % prime for power in powers]


def _halves(data: bytes) -> tuple[int, int]:
    data = byte_string(data, "the key")
    if len(data) % 2 or 8 * len(data) > _primes.LARGEST:
        raise InputError("a private key is two primes of one length; the file is damaged, or no such key")
    size = len(data) // 2
    return int.from_bytes(data[:size], "big"), int.from_bytes(data[size:], "big")
