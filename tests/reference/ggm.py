"""GGM trees over lists of bytes, written from their definition: the oracle of the kernel."""

from __future__ import annotations

from reference import aes


def add(a: bytes, b: bytes) -> bytes:
    return bytes(x ^ y for x, y in zip(a, b, strict=True))


def total(blocks: list[bytes]) -> bytes:
    result = bytes(16)
    for block in blocks:
        result = add(result, block)
    return result


def hash_block(key: bytes, x: bytes) -> bytes:
    """H(x) = AES_k(x) + x."""
    return add(aes.encrypt(key, x), x)


def children(key: bytes, node: bytes) -> tuple[bytes, bytes]:
    return hash_block(key, node), hash_block(key, add(node, b"\1" + bytes(15)))


def expand(seed: bytes, keys: list[bytes], leaves: int) -> tuple[list[bytes], list[tuple[bytes, bytes]]]:
    """The leaves of one tree, and the sums of left and of right children of each level."""
    nodes, sums = [seed], []
    for key in keys:
        pairs = [children(key, node) for node in nodes]
        left = [pair[0] for pair in pairs]
        right = [pair[1] for pair in pairs][: leaves - len(nodes)]
        sums.append((total(left), total(right)))
        nodes = left + right
    return nodes, sums


def puncture(hints: list[bytes], point: int, keys: list[bytes], leaves: int) -> list[bytes | None]:
    """The leaves again, None at ``point``, from the sum of the other side of each level."""
    nodes: list[bytes | None] = [None]
    path = 0
    for d, (key, hint) in enumerate(zip(keys, hints, strict=True)):
        pairs = [(None, None) if node is None else children(key, node) for node in nodes]
        halves = [pair[0] for pair in pairs], [pair[1] for pair in pairs][: leaves - len(nodes)]
        bit = point >> d & 1
        other = halves[1 - bit]
        if path < len(other):
            other[path] = add(hint, total([node for node in other if node is not None]))
        nodes = [*halves[0], *halves[1]]
        path |= bit << d
    assert path == point
    return nodes
