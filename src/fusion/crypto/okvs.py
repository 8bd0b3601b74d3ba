"""An oblivious key-value store: n keys with values in GF(2^128) become a vector little longer than n.

Every key selects some columns of the vector, given by the key and a seed alone, and its value is their sum. Encoding
solves these linear equations; decoding sums columns and gives some value for any key. Both are linear in the values:
``decode(a ^ b) == decode(a) ^ decode(b)`` for stores of the same parameters and seed.

The construction is a random band matrix (Dietzfelbinger and Walzer, ESA 2019; Bienstock, Patel, Seo and Yeo,
"Near-optimal oblivious key-value stores for efficient PSI, PSU and volume-hiding multi-maps", USENIX Security 2023, as
RB-OKVS). A key's band is 480 columns wide and starts at a multiple of 32; csrc/okvs.h defines every bit of it.

Obliviousness. A store on its own tells something about its keys: columns left free are zero. It must not leave this
process unless each column is masked by an independent uniform one, as a vector oblivious linear evaluation provides.

Failure. For keys fixed before the seed is drawn, the equations are solvable but for a chance below 2^-40, which
`parameters` guarantees. Draw 16 uniform bytes for each store, and only after its keys are fixed: who knows the seed
first can choose keys that fail. A failure is an error, never a wrong value.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fusion.errors import FusionError, InputError
from fusion.kernels import okvs as kernel
from fusion.kernels._rows import Bytes
from fusion.kernels.block import blocks

LARGEST = 2**28

# Bins share nothing, so threads solve them apart.
_KEYS_PER_BIN = 2**17


@dataclass(frozen=True, slots=True)
class Parameters:
    """Sizes of a store, equal for all who use it. Made by `parameters`.

    Attributes
    ----------
    n : int
        Most keys it may hold.
    bins, slots : int
        Its geometry: bands start in `bins` bins of `slots` slots.
    """

    n: int
    bins: int
    slots: int

    @property
    def columns(self) -> int:
        """Length of the store, 16 bytes each."""
        return kernel.columns(self.bins, self.slots)


def parameters(n: int) -> Parameters:
    """Sizes of a store that holds n keys and fails with a chance below 2^-40.

    There are ``n (1053 + bit length of n) / 2^15`` slots of 32 columns, rounded up, and 448 columns at the end of each
    bin: at 2^20, 5.2 % more columns than keys. docs/decisions/0010 derives the rule and proves the bound.

    Parameters
    ----------
    n : int
        0 to 2^28.

    Raises
    ------
    InputError
        If n is out of range.
    """
    if not 0 <= n <= LARGEST:
        raise InputError(f"a store holds 0 to {LARGEST} keys, not {n}; cut larger tables into buckets")
    bins = max(1, -(-n // _KEYS_PER_BIN))
    slots = -(-n * (1053 + n.bit_length()) // 2**15)
    return Parameters(n, bins, max(1, -(-slots // bins)))


def encode(parameters: Parameters, seed: bytes, keys: Bytes, values: Bytes, *, threads: int | None = None) -> Bytes:
    """Build the store from which every key recovers its value.

    Parameters
    ----------
    parameters : Parameters
    seed : bytes
        16 bytes, uniform and drawn after the keys were fixed; not secret.
    keys : (n, 16) uint8
        All different; at most ``parameters.n``.
    values : (n, 16) uint8
    threads : int, optional
        Threads that share the bins; None: all CPUs this process may use. The result does not depend on it.

    Returns
    -------
    (parameters.columns, 16) uint8
        Mask it before it leaves this process.

    Raises
    ------
    InputError
        On another shape, type or length, on too many keys, or if a key occurs twice.
    FusionError
        If the equations have no solution, with a chance below 2^-40.
    """
    items = blocks(keys, "keys")
    if len(items) > parameters.n:
        raise InputError(f"the store holds at most {parameters.n} keys, not {len(items)}")
    store = kernel.encode(parameters.bins, parameters.slots, seed, items, values, threads=threads)
    if store is None:
        if _has_duplicates(items):
            raise InputError("a key occurs twice; make the keys distinct")
        raise FusionError("the key-value store has no solution, which happens less than once in 2^40 runs; run again")
    return store


def decode(parameters: Parameters, seed: bytes, keys: Bytes, store: Bytes, *, threads: int | None = None) -> Bytes:
    """Recover the value of every key that the store was built from; a key it was not built from gives some value.

    Parameters
    ----------
    parameters, seed
        Those of `encode`.
    keys : (n, 16) uint8
        Any number of them.
    store : (parameters.columns, 16) uint8
        Any bytes, a peer's as well.
    threads : int, optional
        Threads that share the keys; None: all CPUs this process may use. The result does not depend on it.

    Returns
    -------
    (n, 16) uint8

    Raises
    ------
    InputError
        On another shape, type or length.
    """
    return kernel.decode(parameters.bins, parameters.slots, seed, keys, store, threads=threads)


def _has_duplicates(keys: Bytes) -> bool:
    words = keys.view(np.uint64)
    ordered = words[np.lexsort((words[:, 0], words[:, 1]))]
    return bool((ordered[1:] == ordered[:-1]).all(axis=1).any())
