"""Sums under a shared key, with no more on the wire than it takes to open them.

A share meets c1 alone. c0 is added to what the shares made of c1, and then rounded to a message: so c0 travels as words
of few bits, a part of a decryption too, and one word holds the sum of both where one party sends both. Of a ciphertext
of 8192 messages of 50 bits and its opening that leaves 207 bits a coefficient, for ten parties, where the ciphertext
alone has 300. `plan.total_parameters` plans for it.

Correctness, in fractions of q, for T terms and N
parties, words of w bits and an f-bit flooding::

    noise + N 2^(f-1)       at most q/(4t)            of the ciphertexts and of what floods them
    (T + N) / 2^(w+1)       at most 1/(8t)            each word is off by a half
    N / 2^65                                          parts are rounded to 64 bits before
    -------------------
    together below 1/(2t): the nearest message is the right one
"""

from __future__ import annotations

import os

import numpy as np

from fusion.crypto.random import Source
from fusion.crypto.rlwe._streams import draw_seed, stream_key, transformed, wipe
from fusion.crypto.rlwe.joint import Share
from fusion.crypto.rlwe.keys import PublicKey
from fusion.crypto.rlwe.plaintexts import Messages, residues
from fusion.crypto.rlwe.plan import WORD_BITS, Parameters
from fusion.kernels import ntt
from fusion.kernels import rlwe as kernel
from fusion.kernels.ntt import Words

__all__ = ["encrypt_summand", "open_total", "part_of_total", "second_halves", "total_bits"]

_GROUP = 4


def total_bits(parameters: Parameters) -> int:
    """Bits of a word: of c0, and of a part."""
    return parameters.plain_modulus.bit_length() - 1 + (2 * parameters.parties - 1).bit_length() + 2


def encrypt_summand(
    public: PublicKey, messages: Messages, *, source: Source = os.urandom, threads: int | None = None
) -> tuple[Words, Words]:
    """Encrypt polynomials for one sum.

    Parameters and errors are those of `PublicKey.encrypt`.

    Returns
    -------
    c0 : (rows, n) uint64
        Words of `total_bits`.
    c1 : (rows, limbs, n) uint64
        Transformed. It depends on the source alone, not on the messages.
    """
    p, seed = public.parameters, draw_seed(source)
    plain = residues(p, messages)
    words, c1 = np.empty(plain.shape, np.uint64), p.ring.empty(len(plain))
    shift = np.uint64(total_bits(p) - p.plain_modulus.bit_length() + 1)
    for group in _groups(len(plain)):
        u = _second_halves(public, group, seed, c1[group], threads)
        c0 = ntt.multiply(p.ring, u, public.b, threads=threads)
        ntt.inverse(p.ring, c0, threads=threads)
        errors = kernel.error(p.degree, _key(b"first error", group, seed), len(u), threads=threads)
        e0 = kernel.lift(p.ring, errors, threads=threads)
        ntt.add(p.ring, c0, e0, out=c0, threads=threads)
        # t divides the modulus of a word: (q/t) m becomes a shift, and nothing of it is rounded
        np.left_shift(plain[group], shift, out=words[group])
        words[group] += kernel.switch(p.ring, _scale(p), c0, threads=threads)
        wipe(u, errors, e0, c0)
    words &= np.uint64((1 << total_bits(p)) - 1)
    return words, c1


def second_halves(public: PublicKey, rows: int, *, source: Source, threads: int | None = None) -> Words:
    """The c1 that `encrypt_summand` gave for any messages of so many rows with the same source; public."""
    seed, c1 = draw_seed(source), public.parameters.ring.empty(rows)
    for group in _groups(rows):
        wipe(_second_halves(public, group, seed, c1[group], threads))
    return c1


def _groups(rows: int) -> list[slice]:
    """Rows that are worked on together: few, so that what is computed on stays in the cache."""
    return [slice(start, min(start + _GROUP, rows)) for start in range(0, rows, _GROUP)]


def _key(purpose: bytes, group: slice, seed: bytes) -> bytes:
    """Streams count rows from the first of a group."""
    return stream_key(purpose + b" %d" % group.start, seed)


def _second_halves(public: PublicKey, group: slice, seed: bytes, out: Words, threads: int | None) -> Words:
    """Put c1 = u a + e1 into `out`, and return u, which is secret."""
    p, rows = public.parameters, group.stop - group.start
    u = transformed(p, kernel.ternary(p.degree, _key(b"mask", group, seed), rows), threads=threads)
    product = ntt.multiply(p.ring, u, public.a, threads=threads)
    errors = kernel.error(p.degree, _key(b"second error", group, seed), rows, threads=threads)
    e1 = transformed(p, errors, threads=threads)
    ntt.add(p.ring, product, e1, out=out, threads=threads)
    wipe(e1, product)  # each would give u away
    return u


def part_of_total(
    share: Share, c1: Words, *, terms: int, source: Source = os.urandom, threads: int | None = None
) -> Words:
    """One party's part of the decryption of a sum, flooded.

    Parameters
    ----------
    c1 : (rows, limbs, n) uint64
        The sum of the second halves, the same for all parties.
    terms : int
        How many.

    Returns
    -------
    (rows, n) uint64
        Words of `total_bits`.

    Raises
    ------
    InputError
        If there are more terms than the parameters allow.
    """
    p = share.parameters
    shift, out = WORD_BITS - total_bits(p), np.empty((len(c1), p.degree), np.uint64)
    for group in _groups(len(c1)):
        words = share.flooded(c1[group], terms * p.public_noise, None, source=source, threads=threads)
        words += np.uint64(1 << shift - 1)
        np.right_shift(words, np.uint64(shift), out=out[group])
    return out


def open_total(parameters: Parameters, words: Words) -> Words:
    """The sum of the messages.

    Parameters
    ----------
    words : (rows, n) uint64
        The sum of the first halves of all terms, and of the parts of all parties; it may wrap.

    Returns
    -------
    (rows, n) uint64
        Below t.
    """
    return kernel.round_words(_scale(parameters), words & np.uint64((1 << total_bits(parameters)) - 1))


def _scale(parameters: Parameters) -> kernel.Scale:
    return kernel.scale(parameters.ring, parameters.plain_modulus, total_bits(parameters))
