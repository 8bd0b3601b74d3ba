"""Keys and ciphertexts to and from python-paillier (`phe`); ``pip install 'privacy-fusion[phe]'`` installs it.

Both libraries encrypt an integer m as (1 + m n) r modulo n^2 with some n-th power r, so ciphertexts pass unchanged. A
`phe` key brings a modulus and nothing else, and nothing else is needed.

`phe` writes a number as an integer times 16^exponent, and chooses the exponent by the number unless told: it shows the
number's size to everybody. Here a column has one exponent. A sender on the side of `phe` best fixes it for all numbers,
``public.encrypt(x, precision=16**-4)`` for -4; integers have 0.

`phe` calls a decryption an overflow if it lies between n/3 and 2n/3: keep sums below n/3 in absolute value.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from fusion.crypto import paillier
from fusion.errors import InputError, PeerError

try:
    import phe
except ModuleNotFoundError as missing:
    raise InputError("python-paillier is not installed; pip install 'privacy-fusion[phe]'") from missing

T = TypeVar("T")

# Differences of exponents beyond this belong to no sensible column: floats span 2^-1074 to 2^1024.
_SPAN = 256


def _of(value: Any, kind: type[T], what: str) -> T:
    if not isinstance(value, kind):
        raise InputError(f"expected {what}, not {type(value).__name__}")
    return value


def public_key(key: phe.PaillierPublicKey) -> paillier.PublicKey:
    """Take a public key of `phe`.

    Raises
    ------
    PeerError
        If it has less than 3072 bits, or its modulus is unfit.
    """
    return paillier.PublicKey.from_modulus(_of(key, phe.PaillierPublicKey, "a public key of phe").n)


def insecure_public_key(key: phe.PaillierPublicKey) -> paillier.PublicKey:
    """Take a public key of 128 bits or more: for tests, and to read old data."""
    return paillier.PublicKey.insecure_from_modulus(key.n)


def private_key(key: phe.PaillierPrivateKey) -> paillier.PrivateKey:
    """Take a private key of `phe`; InputError if it has less than 3072 bits or is damaged."""
    _of(key, phe.PaillierPrivateKey, "a private key of phe")
    return paillier.PrivateKey.from_primes(key.p, key.q)


def insecure_private_key(key: phe.PaillierPrivateKey) -> paillier.PrivateKey:
    """Take a private key of 128 bits or more: for tests, and to read old data."""
    return paillier.PrivateKey.insecure_from_primes(key.p, key.q)


def to_public_key(key: paillier.PublicKey) -> phe.PaillierPublicKey:
    """Make the same public key for `phe`."""
    return phe.PaillierPublicKey(int(_of(key, paillier.PublicKey, "a public key of fusion.crypto.paillier").n))


def to_private_key(key: paillier.PrivateKey) -> phe.PaillierPrivateKey:
    """Make the same private key for `phe`, whose attributes show the primes."""
    return phe.PaillierPrivateKey(to_public_key(key.public), *key.primes())


def ciphertexts(numbers: Sequence[phe.EncryptedNumber], key: paillier.PublicKey) -> tuple[paillier.Ciphertexts, int]:
    """Take encrypted numbers of `phe`, brought to their least exponent.

    Parameters
    ----------
    numbers : sequence of n EncryptedNumber
        Hidden by `phe` itself if they are results that it has not hidden yet.
    key : PublicKey
        The one they are encrypted under.

    Returns
    -------
    column : Ciphertexts
        n of them.
    exponent : int
        Plaintexts are integers times ``16^exponent``; 0 for no numbers.

    Raises
    ------
    InputError
        If they belong to another key.
    PeerError
        If a ciphertext is not a unit modulo n^2, or exponents lie more than 256 apart; names the place.
    """
    if isinstance(numbers, phe.EncryptedNumber) or not all(isinstance(each, phe.EncryptedNumber) for each in numbers):
        raise InputError("expected a list of encrypted numbers of phe")
    if any(number.public_key.n != key.n for number in numbers):
        raise InputError("these numbers belong to another key")
    column = paillier.Ciphertexts.from_numbers([number.ciphertext() for number in numbers], key)
    exponents = [number.exponent for number in numbers]
    least = min(exponents, default=0)
    for i, exponent in enumerate(exponents):
        if not isinstance(exponent, int) or exponent - least > _SPAN:
            raise PeerError(f"the exponent of number {i} is no integer, or far above the least; fix a precision")
    if any(exponent != least for exponent in exponents):
        column = key.multiply(column, [16 ** (exponent - least) for exponent in exponents])
    return column, least


def encrypted_numbers(column: paillier.Ciphertexts, *, exponent: int = 0) -> list[phe.EncryptedNumber]:
    """Make encrypted numbers of `phe`.

    Parameters
    ----------
    column : Ciphertexts
    exponent : int
        Plaintexts are taken as integers times ``16^exponent``. A scale by powers of 10 has no such exponent: pass 0,
        and let the other side divide.

    Returns
    -------
    list of EncryptedNumber
        `phe` hides each anew when it is asked for its ciphertext.
    """
    key = to_public_key(_of(column, paillier.Ciphertexts, "ciphertexts of fusion.crypto.paillier").public)
    return [phe.EncryptedNumber(key, number, exponent) for number in column.numbers()]
