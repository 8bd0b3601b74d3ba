"""expand_message_xmd over bytes, written from RFC 9380, 5.3.1: the definition the kernel is compared with."""

from __future__ import annotations

import hashlib


def expand_message_xmd(message: bytes, dst: bytes, length: int) -> bytes:
    """RFC 9380, 5.3.1 with SHA-512."""
    blocks = -(-length // 64)
    assert blocks <= 255
    assert len(dst) <= 255
    suffix = dst + bytes([len(dst)])
    first = hashlib.sha512(bytes(128) + message + length.to_bytes(2, "big") + b"\0" + suffix).digest()
    block, out = bytes(64), b""
    for i in range(1, blocks + 1):
        mixed = bytes(a ^ b for a, b in zip(first, block, strict=True))
        block = hashlib.sha512(mixed + bytes([i]) + suffix).digest()
        out += block
    return out[:length]
