"""Parameters, and the bounds that they keep.

Noise is counted in absolute values of coefficients: a ciphertext (c0, c1) of m has noise E if c0 + c1 s = (q/t) m + E
modulo q, taken over the rationals. It decrypts if 2 t E < q. All bounds are worst cases, none is a likelihood.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass

from fusion.errors import InputError
from fusion.kernels import ntt
from fusion.kernels import rlwe as kernel
from fusion.kernels.ntt import Ring
from fusion.kernels.rlwe import ERROR_BOUND, Scale

PRIMES = (1125899906826241, 1125899906629633, 1125899905744897, 1125899905351681)
"""The four largest primes of 50 bits that are 1 modulo 16384; every modulus q is the product of the first few."""

LARGEST_MODULUS_BITS = {4096: 101, 8192: 203}
"""Most bits of q for 128 bits of security, even against quantum computers, with a ternary secret and errors of standard
deviation 3.19: Bossuat and others, "Security guidelines for implementing homomorphic encryption", 2024, as computed by
the lattice estimator. They allow 107 and 214 against classical computers, and the Homomorphic Encryption Standard of
2018 109 and 218."""

STATISTICAL_BITS = 40
MAX_PLAIN_BITS = 50
WORD_BITS = 64
"""Modulus of what parties that share a key send each other."""


@dataclass(frozen=True, slots=True)
class Parameters:
    """Sizes that all who take part agree on; made by `parameters`.

    Attributes
    ----------
    degree : int
        Coefficients of a polynomial, n.
    primes : tuple of int
        Their product is q.
    plain_modulus : int
        t: messages are modulo it.
    terms : int
        Most products, or ciphertexts where there are no products, in one sum.
    multiplier : int
        Largest absolute value of a coefficient of a plaintext multiplier; 0: there are no products.
    parties : int
        How many share the secret key.
    flood_bits : int
        A response is flooded with integers of so many bits, sign included.
    switch_bits : int
        A response is modulo 2 to this.
    """

    degree: int
    primes: tuple[int, ...]
    plain_modulus: int
    terms: int
    multiplier: int
    parties: int
    flood_bits: int
    switch_bits: int

    def __post_init__(self) -> None:
        if self.q.bit_length() > LARGEST_MODULUS_BITS.get(self.degree, 0):
            raise InputError("the modulus is too large for 128 bits of security at this degree")
        if not self._opens():
            raise InputError("noise and flooding leave no room for the message; make them with parameters()")

    @property
    def q(self) -> int:
        """The modulus of ciphertexts."""
        return math.prod(self.primes)

    @property
    def ring(self) -> Ring:
        """Where ciphertexts live."""
        return ntt.ring(self.degree, self.primes)

    @property
    def scale(self) -> Scale:
        """The passages between q, t and the modulus of a response."""
        return kernel.scale(self.ring, self.plain_modulus, self.switch_bits)

    @property
    def id(self) -> bytes:
        """16 bytes that name these parameters."""
        fields = (self.degree, *self.primes, self.plain_modulus, self.terms, self.multiplier, self.parties)
        text = ",".join(map(str, (*fields, self.flood_bits, self.switch_bits)))
        return hashlib.sha256(b"fusion rlwe 1 parameters\0" + text.encode()).digest()[:16]

    @property
    def secret_noise(self) -> int:
        """Bound of the noise of an encryption under the secret key: an error, and half for rounding (q/t) m."""
        return ERROR_BOUND + 1

    @property
    def public_noise(self) -> int:
        """Bound of the noise of an encryption under the public key, e1 + e2 s - u e: s and e are sums over parties."""
        return _public_noise(self.degree, self.parties)

    @property
    def sum_noise(self) -> int:
        """Bound of the noise of what may be answered: `terms` products, or ciphertexts, however encrypted."""
        return _sum_noise(self.degree, self.terms, self.multiplier, self.parties)

    @property
    def response_noise(self) -> int:
        """Bound of the noise that flooding has to hide: a sum, and the fresh encryption of its mask."""
        return self.sum_noise + self.public_noise

    def product_noise(self, noise: int) -> int:
        """Bound of the noise of a product: each coefficient is a sum of n products."""
        return self.degree * self.multiplier * noise

    @property
    def distance(self) -> float:
        """Bound of the statistical distance of a response's noise from one that depends on nothing but its flooding."""
        return self.degree * self.response_noise / (1 << self.flood_bits)

    def _opens(self) -> bool:
        """Whether a response decrypts: noise, flooding by all parties, and rounding to the smaller modulus."""
        noise, to = self.response_noise + (self.parties << self.flood_bits - 1), 1 << self.switch_bits
        # c0 and c1 are each off by a half at most, and c1 meets n coefficients of the secret
        return 2 * noise * self.plain_modulus * to + (self.degree + 1) * self.plain_modulus * self.q < to * self.q


def parameters(
    plain_bits: int,
    *,
    products: int = 1,
    terms: int = 1,
    multiplier_bits: int | None = None,
    batching: bool = False,
    degree: int | None = None,
    parties: int = 1,
) -> Parameters:
    """Choose the smallest parameters that fit; a pure function, so that both sides choose the same.

    Parameters
    ----------
    plain_bits : int
        Messages are modulo 2 to this, 1 to 50; with `batching` modulo a prime just below.
    products : {0, 1}
        Whether ciphertexts are multiplied by plaintexts before they are summed.
    terms : int
        Most ciphertexts, or products, in one sum; 1 to 2^32.
    multiplier_bits : int, optional
        Coefficients of multipliers are at most 2 to this in absolute value; None: any residue modulo t, centred.
    batching : bool
        Choose t so that messages may be products slot by slot.
    degree : {4096, 8192}, optional
        Coefficients of a polynomial; None: as few as will do.
    parties : int
        How many share the secret key, 1 to 1024.

    Returns
    -------
    Parameters
        Responses have at most 2^-40 of statistical distance from one that depends on its decryption alone.

    Raises
    ------
    InputError
        If a value is out of range, or nothing fits.
    """
    if not 1 <= plain_bits <= MAX_PLAIN_BITS:
        raise InputError(f"plain_bits must be 1 to {MAX_PLAIN_BITS}, not {plain_bits}")
    if products not in (0, 1):
        raise InputError("products must be 0 or 1: nothing is multiplied twice")
    if not 1 <= terms <= 2**32:
        raise InputError("terms must be 1 to 2^32")
    if not 1 <= parties <= 1024:
        raise InputError("parties must be 1 to 1024")
    if multiplier_bits is not None and not 0 <= multiplier_bits < plain_bits:
        raise InputError("multiplier_bits must be at least 0 and below plain_bits")
    if degree is not None and degree not in LARGEST_MODULUS_BITS:
        raise InputError(f"degree must be {' or '.join(map(str, LARGEST_MODULUS_BITS))}")
    for n in LARGEST_MODULUS_BITS if degree is None else (degree,):
        t = _plain_prime(plain_bits, n) if batching else 2**plain_bits
        if not t:
            continue
        multiplier = 0 if not products else t // 2 if multiplier_bits is None else 2**multiplier_bits
        for limbs in range(1, len(PRIMES) + 1):
            q = math.prod(PRIMES[:limbs])
            if q.bit_length() <= LARGEST_MODULUS_BITS[n]:
                found = _flooded(n, PRIMES[:limbs], t, terms, multiplier, parties)
                if found is not None:
                    return found
    raise InputError("no parameters fit: ask for fewer plain_bits, multiplier_bits or terms, or for degree 8192")


def total_parameters(plain_bits: int, *, parties: int, openings: int) -> Parameters:
    """The smallest parameters for sums of at most one ciphertext of each party.

    Parameters
    ----------
    plain_bits : int
        Messages are modulo 2 to this, 1 to 50.
    parties : int
        How many share the key, and how many terms a sum has at most; 1 to 1024.
    openings : int
        How many ciphertexts are opened under one key, over its whole life.

    Returns
    -------
    Parameters
        All parts of decryptions together have at most 2^-40 of statistical distance from ones that depend on nothing
        but what they open.

    Raises
    ------
    InputError
        If a value is out of range, or nothing fits.
    """
    if not 1 <= plain_bits <= MAX_PLAIN_BITS or not 1 <= parties <= 1024 or openings < 1:
        raise InputError("a shared key is for messages of 1 to 50 bits, 1 to 1024 parties, and one opening or more")
    t = 1 << plain_bits
    for degree, most in LARGEST_MODULUS_BITS.items():
        noise = _sum_noise(degree, parties, 0, parties) + _public_noise(degree, parties)
        for limbs in range(1, len(PRIMES) + 1):
            q = math.prod(PRIMES[:limbs])
            # half of what still opens: the rest is for words that are rounded
            room = q // (4 * t) - noise
            flood = min((room // parties).bit_length(), kernel.MAX_FLOOD_BITS) if room > 0 else 0
            enough = (openings * degree * noise << STATISTICAL_BITS) <= 1 << flood
            if q.bit_length() <= most and enough:
                return Parameters(degree, PRIMES[:limbs], t, parties, 0, parties, flood, WORD_BITS)
    raise InputError("no parameters fit: ask for fewer plain_bits, parties or openings")


def _public_noise(degree: int, parties: int) -> int:
    return 2 * parties * degree * ERROR_BOUND + ERROR_BOUND + 1


def _sum_noise(degree: int, terms: int, multiplier: int, parties: int) -> int:
    return terms * (degree * multiplier if multiplier else 1) * _public_noise(degree, parties)


def _plain_prime(bits: int, degree: int) -> int | None:
    """The largest prime of at most so many bits that is 1 modulo 2n, and none of ours."""
    for candidate in range(2**bits - (2**bits - 1) % (2 * degree), 1, -2 * degree):
        if candidate not in PRIMES and ntt.is_prime(candidate):
            return candidate
    return None


def _flooded(
    degree: int, primes: tuple[int, ...], t: int, terms: int, multiplier: int, parties: int
) -> Parameters | None:
    """The smallest response that can be flooded enough, and then the most flooding; None if there is none."""
    q = math.prod(primes)
    noise = _sum_noise(degree, terms, multiplier, parties) + _public_noise(degree, parties)
    enough = (degree * noise * 2**STATISTICAL_BITS - 1).bit_length()
    for bits in range(t.bit_length(), WORD_BITS + 1):
        room = ((2**bits - (degree + 1) * t) * q - 1) // (2 * t * 2**bits) - noise
        if room < parties:
            continue
        flood = min((room // parties).bit_length(), kernel.MAX_FLOOD_BITS)
        if flood >= enough:
            return Parameters(degree, primes, t, terms, multiplier, parties, flood, bits)
    return None
