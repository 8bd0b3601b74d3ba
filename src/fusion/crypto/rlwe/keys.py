"""Keys: who encrypts, who answers, who opens."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from fusion.crypto.random import Source
from fusion.crypto.rlwe._streams import (
    ID_BYTES,
    SEED_BYTES,
    Reader,
    draw_seed,
    element_bytes,
    pack_elements,
    stream_key,
    transformed,
    unpack_elements,
    wipe,
)
from fusion.crypto.rlwe.ciphertexts import Ciphertexts
from fusion.crypto.rlwe.plaintexts import Messages, draw_residues, residues
from fusion.crypto.rlwe.plan import PRIMES, Parameters
from fusion.crypto.rlwe.responses import Responses, chosen_coefficients
from fusion.errors import InputError, PeerError
from fusion.kernels import ntt
from fusion.kernels import rlwe as kernel
from fusion.kernels.ntt import Words

# Rows encrypted or answered at a time: what that holds meanwhile is some 1.5 MB a row.
_GROUP = 32


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class PublicKey:
    """b = e - a s for a public a: encrypts, and answers.

    Attributes
    ----------
    parameters : Parameters
    seed : bytes
        What `a` is drawn from, 32 bytes.
    a, b : (1, limbs, n) uint64
        Transformed.
    id : bytes
        16 bytes that name the key.
    """

    parameters: Parameters
    seed: bytes
    a: Words
    b: Words
    id: bytes

    def encrypt(self, messages: Messages, *, source: Source = os.urandom, threads: int | None = None) -> Ciphertexts:
        """Encrypt polynomials.

        Parameters
        ----------
        messages : (rows, n) int64 or uint64
            As in `residues`.
        source : callable
            Number of bytes -> that many uniform bytes.
        threads : int, optional
            Threads that share the rows; None: all CPUs this process may use.

        Raises
        ------
        InputError
            On another shape or type, or a message out of range.
        """
        p, plain = self.parameters, residues(self.parameters, messages)
        c0, c1 = p.ring.empty(len(plain)), p.ring.empty(len(plain))
        for i in range(0, len(plain), _GROUP):
            some = slice(i, i + _GROUP)
            c0[some], c1[some] = self._fresh(plain[some], draw_seed(source), threads)
        return Ciphertexts(p, self.id, c0, c1, p.public_noise)

    def _fresh(self, plain: Words, seed: bytes, threads: int | None) -> tuple[Words, Words]:
        """Both halves of some encryptions."""
        p = self.parameters
        u = transformed(p, kernel.ternary(p.degree, stream_key(b"mask", seed), len(plain)), threads=threads)
        c0 = ntt.multiply(p.ring, u, self.b, threads=threads)
        c1 = ntt.multiply(p.ring, u, self.a, threads=threads)
        wipe(u)
        errors = kernel.error(p.degree, stream_key(b"error", seed), 2 * len(plain), threads=threads)
        e0 = encoded(p, plain, errors[: len(plain)], threads=threads)
        e1 = transformed(p, errors[len(plain) :], threads=threads)
        ntt.add(p.ring, c0, e0, out=c0, threads=threads)
        ntt.add(p.ring, c1, e1, out=c1, threads=threads)
        wipe(e0, e1, errors)
        return c0, c1

    def respond(
        self,
        ciphertexts: Ciphertexts,
        coefficients: Sequence[int],
        *,
        mask: Words | None = None,
        source: Source = os.urandom,
        threads: int | None = None,
    ) -> tuple[Responses, Words]:
        """Make of sums and products what the key owner may see: the chosen coefficients plus a mask, and nothing else.

        Adds a fresh encryption of the mask, floods the noise, switches to the smallest modulus that still decrypts, and
        leaves the other coefficients out. He learns nothing about a multiplier beyond what he opens, by the argument
        of docs/decisions/0019.

        Parameters
        ----------
        ciphertexts : Ciphertexts
            Under this key.
        coefficients : sequence of int
            Which coefficients he may open, ascending.
        mask : (rows, k) uint64, optional
            Below t. None draws it uniformly, so that he learns nothing at all; zeros show him the values.
        source : callable
            Number of bytes -> that many uniform bytes.
        threads : int, optional
            Threads that share the rows; None: all CPUs this process may use.

        Returns
        -------
        responses : Responses
        mask : (rows, k) uint64
            What was added modulo t.

        Raises
        ------
        InputError
            If the ciphertexts are under another key, sum more terms than the parameters allow, or on a mask of
            another shape, type or range.
        """
        p, rows = self.parameters, len(ciphertexts)
        if ciphertexts.key_id != self.id or ciphertexts.parameters != p:
            raise InputError("the ciphertexts are under another key")
        if p.parties != 1:
            raise InputError("no single party can open a response under a shared key")
        if ciphertexts.noise > p.sum_noise:
            raise InputError("these sums have more terms than the parameters allow; make parameters with more terms")
        chosen = chosen_coefficients(p, coefficients)
        if mask is None:
            mask = draw_residues(p, (rows, len(chosen)), source)
        elif np.shape(mask) != (rows, len(chosen)):
            raise InputError(f"the mask must have shape ({rows}, {len(chosen)}), not {np.shape(mask)}")
        added = residues(p, mask)
        parts = [
            self._answer(ciphertexts[i : i + _GROUP], chosen, added[i : i + _GROUP], source, threads)
            for i in range(0, max(rows, 1), _GROUP)
        ]
        c0, c1 = (np.concatenate(each) for each in zip(*parts, strict=True))
        return Responses(p, self.id, tuple(chosen.tolist()), c0, c1), mask

    def _answer(
        self, ciphertexts: Ciphertexts, chosen: NDArray[np.int64], mask: Words, source: Source, threads: int | None
    ) -> tuple[Words, Words]:
        """Both halves of some responses."""
        p = self.parameters
        message = np.zeros((len(ciphertexts), p.degree), np.uint64)
        message[:, chosen] = mask
        fresh = self.encrypt(message, source=source, threads=threads)
        c0 = ntt.add(p.ring, ciphertexts.c0, fresh.c0, out=fresh.c0, threads=threads)
        c1 = ntt.add(p.ring, ciphertexts.c1, fresh.c1, out=fresh.c1, threads=threads)
        ntt.inverse(p.ring, c0, threads=threads)
        ntt.inverse(p.ring, c1, threads=threads)
        shown = np.take(c0, chosen, axis=2)
        kernel.flood(p.ring, shown, stream_key(b"flood", draw_seed(source)), p.flood_bits, threads=threads)
        switched = [kernel.switch(p.ring, p.scale, x, threads=threads) for x in (shown, c1)]
        wipe(message, c0, c1, shown)
        return switched[0], switched[1]

    def to_bytes(self) -> bytes:
        """What travels: id of the parameters, seed, and b, 50 bits a residue."""
        return self.parameters.id + self.seed + pack_elements(self.b)

    @classmethod
    def from_bytes(cls, parameters: Parameters, data: bytes) -> PublicKey:
        """Read what `to_bytes` wrote; PeerError if it is malformed, or for other parameters."""
        reader = Reader(data, "a public key")
        if reader.take(ID_BYTES) != parameters.id:
            raise PeerError("the public key is for other parameters; both sides must choose the same")
        seed, packed = reader.take(SEED_BYTES), reader.take(element_bytes(parameters))
        reader.finish()
        return public_key(parameters, seed, unpack_elements(parameters, packed, 1))

    def __repr__(self) -> str:
        return f"PublicKey(degree={self.parameters.degree}, id={self.id.hex()[:8]})"


class SecretKey:
    """A ternary polynomial s: encrypts at half the size, decrypts, opens responses. Made by `generate`.

    Attributes
    ----------
    parameters : Parameters
    public : PublicKey
    """

    def __init__(self, parameters: Parameters, secret: Words, public: PublicKey, own: bytes = b"") -> None:
        self.parameters, self.public = parameters, public
        self._secret = secret  # (1, limbs, n), transformed, modulo at least two primes
        self._own = bytearray(own)  # the seed of the secret

    def encrypt(self, messages: Messages, *, source: Source = os.urandom, threads: int | None = None) -> Ciphertexts:
        """Encrypt polynomials; `Ciphertexts.to_bytes` of the result is half as long as of any other.

        Parameters and errors are those of `PublicKey.encrypt`.
        """
        p, public = self.parameters, draw_seed(source)
        plain = residues(p, messages)
        c0 = p.ring.empty(len(plain))
        c1 = kernel.uniform(p.ring, stream_key(b"ciphertexts", public), len(plain), threads=threads)
        for i in range(0, len(plain), _GROUP):
            some = slice(i, i + _GROUP)
            errors = kernel.error(p.degree, stream_key(b"error", draw_seed(source)), len(plain[some]), threads=threads)
            e = encoded(p, plain[some], errors, threads=threads)
            product = ntt.multiply(p.ring, c1[some], self._values(), threads=threads)
            ntt.subtract(p.ring, e, product, out=c0[some], threads=threads)
            wipe(e, errors, product)  # the product alone would give the secret away
        return Ciphertexts(p, self.public.id, c0, c1, p.secret_noise, public)

    def decrypt(self, ciphertexts: Ciphertexts, *, threads: int | None = None) -> Words:
        """The messages, (rows, n) uint64 below t; InputError if they are under another key."""
        p = self.parameters
        if ciphertexts.key_id != self.public.id or ciphertexts.parameters != p:
            raise InputError("the ciphertexts are under another key")
        x = ntt.multiply(p.ring, ciphertexts.c1, self._values(), threads=threads)
        ntt.add(p.ring, x, ciphertexts.c0, out=x, threads=threads)
        ntt.inverse(p.ring, x, threads=threads)
        return kernel.decode(p.ring, p.scale, x, threads=threads)

    def open(self, responses: Responses, *, threads: int | None = None) -> Words:
        """The chosen coefficients plus the mask, (rows, k) uint64 below t; InputError if they are under another key."""
        p = self.parameters
        if responses.key_id != self.public.id or responses.parameters != p:
            raise InputError("the responses are under another key")
        pair = ntt.ring(p.degree, PRIMES[:2])
        x = kernel.reduce(pair, responses.c1, threads=threads)
        ntt.forward(pair, x, threads=threads)
        x = ntt.multiply(pair, x, self._checked()[:, :2], threads=threads)
        ntt.inverse(pair, x, threads=threads)
        phase = kernel.join(pair, x, threads=threads)[:, responses.coefficients] + responses.c0
        wipe(x)
        return kernel.round_words(p.scale, phase & np.uint64(2**p.switch_bits - 1))

    def to_bytes(self) -> bytes:
        """The secret itself, 64 bytes: the seeds that `from_bytes` makes the same key of. For its owner alone.

        Raises
        ------
        InputError
            If the key was wiped.
        """
        self._checked()
        return bytes(self._own) + self.public.seed

    @classmethod
    def from_bytes(cls, parameters: Parameters, data: bytes) -> SecretKey:
        """Make the key again that `to_bytes` wrote, for the same parameters; PeerError on another length."""
        reader = Reader(data, "a secret key")
        own, seed = reader.take(SEED_BYTES), reader.take(SEED_BYTES)
        reader.finish()
        secret, b = draw_pair(parameters, seed, own)
        return cls(parameters, secret, public_key(parameters, seed, b), own)

    def wipe(self) -> None:
        """Clear the secret; the key does nothing afterwards."""
        wipe(self._secret)
        self._secret = self._secret[:0]
        self._own[:] = bytes(len(self._own))

    def _checked(self) -> Words:
        if not len(self._secret):
            raise InputError("the secret key was wiped; generate another")
        return self._secret

    def _values(self) -> Words:
        return self._checked()[:, : len(self.parameters.primes)]

    def __reduce__(self) -> NoReturn:
        raise InputError("a secret key is not pickled; keep to_bytes() where only its owner reads it")

    def __repr__(self) -> str:
        return f"SecretKey(<redacted>, id={self.public.id.hex()[:8]})"


def generate(parameters: Parameters, *, source: Source = os.urandom) -> SecretKey:
    """Draw a key pair.

    Parameters
    ----------
    parameters : Parameters
        For one party; for several see `Share`.
    source : callable
        Number of bytes -> that many uniform bytes.

    Raises
    ------
    InputError
        If the parameters are for several parties.
    """
    if parameters.parties != 1:
        raise InputError(f"the parameters are for {parameters.parties} parties: let each generate a Share")
    seed, own = draw_seed(source), draw_seed(source)
    return SecretKey.from_bytes(parameters, own + seed)


def draw_pair(parameters: Parameters, seed: bytes, own: bytes) -> tuple[Words, Words]:
    """The secret s of a seed of its own, modulo at least two primes, and b = e - a s for the `a` of `seed`; both
    transformed."""
    p = parameters
    wide = ntt.ring(p.degree, PRIMES[: max(2, len(p.primes))])
    small = kernel.ternary(p.degree, stream_key(b"secret", own), 1)
    secret = kernel.lift(wide, small)
    ntt.forward(wide, secret)
    e = transformed(p, kernel.error(p.degree, stream_key(b"key error", own), 1), threads=1)
    product = ntt.multiply(p.ring, _public_a(p, seed), secret[:, : len(p.primes)])
    b = ntt.subtract(p.ring, e, product)
    wipe(small, e, product)  # the product alone would give the secret away
    return secret, b


def public_key(parameters: Parameters, seed: bytes, b: Words) -> PublicKey:
    """The public key of a seed and b, with its id."""
    body = hashlib.sha256(b"fusion rlwe 1 key\0" + parameters.id + seed + pack_elements(b))
    return PublicKey(parameters, seed, _public_a(parameters, seed), b, body.digest()[:ID_BYTES])


def encoded(parameters: Parameters, plain: Words, errors: kernel.Integers, *, threads: int | None) -> Words:
    """The transform of (q/t) m + e."""
    x = kernel.encode(parameters.ring, parameters.scale, plain, errors, threads=threads)
    ntt.forward(parameters.ring, x, threads=threads)
    return x


def _public_a(parameters: Parameters, seed: bytes) -> Words:
    return kernel.uniform(parameters.ring, stream_key(b"public key", seed), 1)
