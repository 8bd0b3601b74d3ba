"""AES-128 over bytes, written from FIPS 197: the definition the kernel is compared with."""

from __future__ import annotations

import functools


def times(a: int, b: int) -> int:
    """Product in GF(2)[x] / (x^8 + x^4 + x^3 + x + 1), FIPS 197 section 4."""
    product = 0
    for i in range(8):
        if b >> i & 1:
            product ^= a << i
    for i in range(14, 7, -1):
        if product >> i & 1:
            product ^= 0x11B << (i - 8)
    return product


def _substitute(x: int) -> int:
    """FIPS 197 5.1.1: the inverse (0 for 0), then an affine map."""
    inverse = next((y for y in range(1, 256) if times(x, y) == 1), 0)
    rotations = (inverse << i | inverse >> (8 - i) for i in range(5))
    result = 0x63
    for rotation in rotations:
        result ^= rotation & 0xFF
    return result


SBOX = [_substitute(x) for x in range(256)]
DOUBLE, TRIPLE = ([times(a, x) for x in range(256)] for a in (2, 3))


@functools.lru_cache(maxsize=64)
def expand(key: bytes) -> list[bytes]:
    """FIPS 197 5.2: eleven round keys of 16 bytes."""
    words = [key[i : i + 4] for i in range(0, 16, 4)]
    constant = 1
    for i in range(4, 44):
        word = words[-1]
        if i % 4 == 0:
            word = bytes(SBOX[b] for b in word[1:] + word[:1])
            word = bytes([word[0] ^ constant]) + word[1:]
            constant = times(constant, 2)
        words.append(bytes(a ^ b for a, b in zip(words[-4], word, strict=True)))
    return [b"".join(words[i : i + 4]) for i in range(0, 44, 4)]


def encrypt(key: bytes, block: bytes) -> bytes:
    """FIPS 197 5.1; byte r + 4 c of a block is row r, column c of the state."""
    round_keys = expand(key)
    state = [a ^ b for a, b in zip(block, round_keys[0], strict=True)]
    for r in range(1, 11):
        state = [SBOX[b] for b in state]
        state = [state[(i + 4 * (i % 4)) % 16] for i in range(16)]
        if r < 10:
            mixed = []
            for c in range(0, 16, 4):
                a = state[c : c + 4]
                mixed += [DOUBLE[a[i]] ^ TRIPLE[a[(i + 1) % 4]] ^ a[(i + 2) % 4] ^ a[(i + 3) % 4] for i in range(4)]
            state = mixed
        state = [a ^ b for a, b in zip(state, round_keys[r], strict=True)]
    return bytes(state)


def compress(key: bytes, block: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(encrypt(key, block), block, strict=True))
