"""What follows from the length of a CKKS row, its bound and its terms.

Ternary secret, error of standard deviation 3.2, and the modulus within the 128-bit column of the Homomorphic Encryption
Standard (M. Albrecht et al., 2018, table 1, classical attacks): 218 bits at the degree of 8,192, which all bounds and
terms fit into. The degree of 4,096 has 109 bits: too few to flood what is released.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass

from fusion.errors import InputError, PeerError

# Fresh encryptions in a result for each of its terms: the term itself, and being re-randomised on the way.
FRESH_PER_TERM = 4
LARGEST_TERMS = 1 << 40
PARAMETER_BYTES = 28

_DEGREE = 8192
_SPECIAL_BITS = 38
# SEAL's error is centred binomial with 21 pairs of coins: never beyond 21.
_ERROR = 21
# The most that a coefficient of a fresh encryption can be off. At the level of the keys that is e u + e0 + e1 s, with
# errors e and ternary u, s. It is divided by the special prime, and both halves of the ciphertext are rounded, the
# second then meeting the key: 1/2 + N/2.
_FRESH_NOISE = -(-_ERROR * (2 * _DEGREE + 1) >> _SPECIAL_BITS - 1) + _DEGREE // 2 + 1
_STATISTICAL = 40
# Error of SEAL's transforms in double precision, relative to the largest value: 8 log2(N) sqrt(N / 2) 2^-53 at most.
_FLOAT_BITS = 39
_MAX_LENGTH = 1 << 24
_ENTRIES = struct.Struct("<IQdd")


@dataclass(frozen=True, slots=True)
class Parameters:
    """Everything public about a key but the key itself; follows from its first four entries (:meth:`choose`).

    Attributes
    ----------
    length : int
        Numbers in a row.
    bound : float
        No number encrypted is larger in absolute value.
    terms : int
        Largest sum of absolute weights in any result.
    precision : float
        A released number differs by at most this from the exact result, in the unit of the numbers; but for a
        chance below 2^-70 a ciphertext.
    bits : tuple of int
        Sizes of the primes of a ciphertext, then of the one that only keys have.
    scale_bits : int
        Numbers are multiplied by 2 to this power and rounded.
    flood_bits : int
        The flood is uniform between -2 and 2 to this power.
    """

    length: int
    bound: float
    terms: int
    precision: float
    bits: tuple[int, ...]
    scale_bits: int
    flood_bits: int

    @property
    def degree(self) -> int:
        """Degree N of the ring: 8192. A ciphertext holds N / 2 numbers."""
        return _DEGREE

    @classmethod
    def choose(cls, length: int, bound: float, terms: int, precision: float | None = None) -> Parameters:
        """The smallest parameters that do.

        Parameters
        ----------
        length : int
            1 to 2**24.
        bound : float
            2**-64 to 2**64.
        terms : int
            1 to 2**40.
        precision : float, optional
            For released numbers. By default the bound (rounded up to a power of two) times 2**-20, or times
            ``terms`` * 2**-36 where that is more: double precision carries no better.

        Raises
        ------
        InputError
            Arguments out of range, or a precision that no parameters reach.
        """
        if not 1 <= length <= _MAX_LENGTH:
            raise InputError("a row holds 1 to 2**24 numbers")
        if not (math.isfinite(bound) and 2.0**-64 <= bound <= 2.0**64):
            raise InputError("the bound of encrypted numbers lies between 2**-64 and 2**64")
        if not 1 <= terms <= LARGEST_TERMS:
            raise InputError("the number of terms lies between 1 and 2**40")
        unit = power_above(bound)
        finest = math.ldexp(terms, 3 - _FLOAT_BITS)
        relative = max(2.0**-20, finest) if precision is None else precision / unit
        if not (math.isfinite(relative) and finest <= relative <= terms):
            raise InputError(
                "this precision is out of reach for the bound and terms; ask for one between "
                f"{finest * unit:.3g} and {terms * unit:.3g}"
            )
        noise = FRESH_PER_TERM * terms * _FRESH_NOISE
        flood_bits = (_DEGREE * noise << _STATISTICAL - 1).bit_length()
        # a quarter of the precision for the flood, one for the rounding, one for double precision
        scale_bits = flood_bits + math.ceil(math.log2(4 * 8 * math.sqrt(_DEGREE) / relative))
        largest = (terms << scale_bits) + terms + noise + (1 << flood_bits)
        # the primes lie just below powers of two: together they lose less than the one bit added here
        need = (2 * largest).bit_length() + 1
        count = -(-need // 60)
        bits = (*(-(-need // count),) * count, _SPECIAL_BITS)
        return cls(length, bound, terms, relative * unit, bits, scale_bits, flood_bits)

    @property
    def unit(self) -> float:
        """What numbers are divided by before they are encoded: the power of two at or above the bound."""
        return power_above(self.bound)

    @property
    def chunks(self) -> int:
        """Ciphertexts in a row."""
        return -(-self.length * 2 // self.degree)

    @property
    def error(self) -> float:
        """A decrypted number, not released, differs by at most this from the exact result."""
        noise = FRESH_PER_TERM * self.terms * (_FRESH_NOISE + 1)
        return self.unit * (math.ldexp(self.terms, 1 - _FLOAT_BITS) + math.ldexp(self.degree * noise, -self.scale_bits))

    @property
    def row_bytes(self) -> int:
        """Bytes of a row's ciphertexts."""
        return self.chunks * 2 * (len(self.bits) - 1) * self.degree * 8

    def to_bytes(self) -> bytes:
        """The four entries that the others follow from."""
        return _ENTRIES.pack(self.length, self.terms, self.bound, self.precision)

    @classmethod
    def from_bytes(cls, data: bytes) -> Parameters:
        """PeerError on anything that :meth:`choose` refuses."""
        length, terms, bound, precision = _ENTRIES.unpack(data)
        try:
            return cls.choose(length, bound, terms, precision)
        except InputError as error:
            raise PeerError(f"a CKKS key has impossible parameters: {error}") from None


def power_above(bound: float) -> float:
    mantissa, exponent = math.frexp(bound)
    return math.ldexp(1.0, exponent - (mantissa == 0.5))
