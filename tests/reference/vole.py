"""What silent VOLE computes, over lists of integers: the oracle of the protocol.

Both parties' randomness goes in, and out come A, B and C by their definition. How the receiver learns its share of the
leaves, the protocol's whole point, does not occur.
"""

from __future__ import annotations

import hashlib

from reference import code, gf128, ggm

NOISE = 256


def level_keys(label: bytes, trees: int, depth: int) -> list[list[bytes]]:
    keys = [
        hashlib.sha256(b"fusion/correlations/trees/1/" + label + i.to_bytes(8, "little")).digest()[:16]
        for i in range(trees * depth)
    ]
    return [keys[depth * tree : depth * (tree + 1)] for tree in range(trees)]


def extend(
    delta: int, roots: list[bytes], places: list[int], values: list[int], label: bytes, leaves: int, length: int
) -> tuple[list[int], list[int], list[int]]:
    """A, B and C."""
    keys = level_keys(label, NOISE, (leaves - 1).bit_length())
    a = [0] * (NOISE * leaves)
    for tree, (place, value) in enumerate(zip(places, values, strict=True)):
        a[leaves * tree + place] = value
    b = [
        int.from_bytes(leaf, "little")
        for root, tree_keys in zip(roots, keys, strict=True)
        for leaf in ggm.expand(root, tree_keys, leaves)[0]
    ]
    c = [gf128.multiply(x, delta) ^ y for x, y in zip(a, b, strict=True)]
    return code.compress(a)[:length], code.compress(b)[:length], code.compress(c)[:length]
