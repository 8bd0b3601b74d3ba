"""Keys of every scheme, made once. The Paillier key is short: these tests are about arrays, not about its strength."""

from __future__ import annotations

import functools

from fusion import aggregation
from fusion.aggregation import PrivateKey, PublicKey, paillier

Pair = tuple[PublicKey, PrivateKey]

SCHEMES = ("cleartext", "paillier", "elgamal", "ckks", "lattice")
SLOTS = 30


@functools.cache
def pair(scheme: str, copy: int = 0) -> Pair:
    """The key of a scheme; other copies are other keys."""
    if scheme == "cleartext":
        return aggregation.ideal.generate()
    if scheme == "paillier":
        return paillier.insecure_generate(512)
    if scheme == "ckks":
        return aggregation.generate("ckks", length=SLOTS, bound=10**6, terms=500)
    if scheme == "lattice":
        return aggregation.generate("lattice", bound=10**6, terms=500)
    return aggregation.generate("elgamal", slots=SLOTS)
