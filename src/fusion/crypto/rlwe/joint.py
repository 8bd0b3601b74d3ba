"""Keys that only all parties together can use: each holds a share s_i of s = s_1 + ... + s_n.

Every party generates a `Share` from one public seed, sends its `contribution`, and all `combine` them to the same
public key. To open a sum, each sends ``share.decrypt`` of the same ciphertexts; `open_shares` adds these up.

Threat model: semi-honest, any n - 1 of them together. The seed is public and comes from coins of all parties. Who
contributes last could choose his b so that he alone holds the key of the sum: where that is to be feared, let all
commit to their contributions first. Open each sum once: a second decryption of the same ciphertexts is flooded anew,
and the mean of many would be flooded less. Whoever decrypts must know that the ciphertexts are the agreed sum, not one
party's.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import reduce
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from fusion.crypto.random import Source
from fusion.crypto.rlwe._streams import (
    SEED_BYTES,
    draw_seed,
    element_bytes,
    pack_elements,
    stream_key,
    unpack_elements,
    wipe,
)
from fusion.crypto.rlwe.ciphertexts import Ciphertexts
from fusion.crypto.rlwe.keys import PublicKey, draw_pair, public_key
from fusion.crypto.rlwe.plan import WORD_BITS, Parameters
from fusion.crypto.rlwe.responses import chosen_coefficients
from fusion.errors import InputError, PeerError
from fusion.kernels import ntt
from fusion.kernels import rlwe as kernel
from fusion.kernels.ntt import Words


class Share:
    """One party's share of a secret key. Made by `generate`.

    Attributes
    ----------
    parameters : Parameters
    contribution : bytes
        What the others need of it to `combine`: b_i = e_i - a s_i, 50 bits a residue.
    """

    def __init__(self, parameters: Parameters, secret: Words, contribution: bytes) -> None:
        self.parameters, self.contribution = parameters, contribution
        self._secret = secret

    @classmethod
    def generate(cls, parameters: Parameters, seed: bytes, *, source: Source = os.urandom) -> Share:
        """Draw a share.

        Parameters
        ----------
        parameters : Parameters
            For as many parties as take part.
        seed : bytes
            32 bytes that all parties drew together.
        source : callable
            Number of bytes -> that many uniform bytes.

        Raises
        ------
        InputError
            If the seed has another length.
        """
        _check_seed(seed)
        secret, b = draw_pair(parameters, seed, draw_seed(source))
        return cls(parameters, secret, pack_elements(b))

    def decrypt(
        self,
        ciphertexts: Ciphertexts,
        coefficients: Sequence[int],
        *,
        source: Source = os.urandom,
        threads: int | None = None,
    ) -> Words:
        """This party's part of a decryption: c1 s_i, flooded, at the chosen coefficients.

        The flooding hides what the noise of the sum would tell about the share, but for a distance of at most
        ``parameters.distance``.

        Parameters
        ----------
        ciphertexts : Ciphertexts
            Under the combined key, the same for all parties.
        coefficients : sequence of int
            Which coefficients to open, ascending.

        Returns
        -------
        (rows, k) uint64
            Modulo 2^64.

        Raises
        ------
        InputError
            If the ciphertexts sum more terms than the parameters allow, or the coefficients are out of range.
        """
        p, chosen = self.parameters, chosen_coefficients(self.parameters, coefficients)
        if ciphertexts.parameters != p:
            raise InputError("the ciphertexts have other parameters")
        return self.flooded(ciphertexts.c1, ciphertexts.noise, chosen, source=source, threads=threads)

    def flooded(
        self, c1: Words, noise: int, chosen: NDArray[np.int64] | None, *, source: Source, threads: int | None
    ) -> Words:
        """What `decrypt` returns, at all coefficients if `chosen` is None; `noise` is a bound of the ciphertexts'."""
        p = self.parameters
        if noise > p.sum_noise:
            raise InputError("these sums have more terms than the parameters allow; make parameters with more terms")
        if not len(self._secret):
            raise InputError("the share was wiped; generate another")
        secret = self._secret[:, : len(p.primes)]
        x = ntt.multiply(p.ring, c1, secret, threads=threads)
        ntt.inverse(p.ring, x, threads=threads)
        shown = x if chosen is None else np.take(x, chosen, axis=2)
        kernel.flood(p.ring, shown, stream_key(b"flood", draw_seed(source)), p.flood_bits, threads=threads)
        part = kernel.switch(p.ring, _scale(p), shown, threads=threads)
        wipe(x, shown)
        return part

    def wipe(self) -> None:
        """Clear the share; it does nothing afterwards."""
        wipe(self._secret)
        self._secret = self._secret[:0]

    def __reduce__(self) -> NoReturn:
        raise InputError("a share of a key is not pickled; generate one for each session")

    def __repr__(self) -> str:
        return "Share(<redacted>)"


def combine(parameters: Parameters, seed: bytes, contributions: Sequence[bytes]) -> PublicKey:
    """The key that all parties share, from the contribution of each, in the same order everywhere or in any other.

    Raises
    ------
    PeerError
        If a contribution is malformed.
    InputError
        If there are more or fewer than the parameters say, or the seed has another length.
    """
    _check_seed(seed)
    if len(contributions) != parameters.parties:
        raise InputError(f"the parameters are for {parameters.parties} parties, not {len(contributions)}")
    if any(len(each) != element_bytes(parameters) for each in contributions):
        raise PeerError("a contribution to a key has the wrong length; check the peer's version")
    parts = [unpack_elements(parameters, each, 1) for each in contributions]
    return public_key(parameters, seed, reduce(lambda a, b: ntt.add(parameters.ring, a, b), parts))


def open_shares(
    ciphertexts: Ciphertexts, coefficients: Sequence[int], parts: Sequence[Words], *, threads: int | None = None
) -> Words:
    """Open what all parties decrypted a part of.

    Parameters
    ----------
    ciphertexts, coefficients
        Those of `Share.decrypt`.
    parts : sequence of (rows, k) uint64
        What each of the parties returned, in any order.

    Returns
    -------
    (rows, k) uint64
        Below t.

    Raises
    ------
    PeerError
        If there are more or fewer parts than parties, or one has another shape or type.
    """
    p, chosen = ciphertexts.parameters, chosen_coefficients(ciphertexts.parameters, coefficients)
    shape = len(ciphertexts), len(chosen)
    if len(parts) != p.parties:
        raise PeerError(f"there are parts from {len(parts)} parties instead of {p.parties}")
    if any(part.shape != shape or part.dtype != np.uint64 for part in parts):
        raise PeerError(f"a part of a decryption is no uint64 of shape {shape}")
    c0 = ciphertexts.c0.copy()
    ntt.inverse(p.ring, c0, threads=threads)
    phase = kernel.switch(p.ring, _scale(p), np.take(c0, chosen, axis=2), threads=threads)
    for part in parts:
        phase = phase + part  # modulo 2^64
    return kernel.round_words(_scale(p), phase)


def _scale(parameters: Parameters) -> kernel.Scale:
    return kernel.scale(parameters.ring, parameters.plain_modulus, WORD_BITS)


def _check_seed(seed: bytes) -> None:
    if len(seed) != SEED_BYTES:
        raise InputError(f"the seed of a shared key has {SEED_BYTES} bytes, not {len(seed)}")
