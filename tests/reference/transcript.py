"""The transcript of docs/decisions/0012, from the plain bytes that went one way: the definition the channel follows."""

from __future__ import annotations

import hashlib

LEAF = 4032


def frames(stream: bytes) -> list[tuple[bytes, bytes]]:
    """Headers of 16 bytes, whose second four are the length of the payload, and payloads."""
    found = []
    while stream:
        end = 16 + int.from_bytes(stream[4:8], "little")
        assert len(stream) >= end
        found.append((stream[:16], stream[16:end]))
        stream = stream[end:]
    return found


def frame_digest(header: bytes, payload: bytes) -> bytes:
    message = b"fusion/frame/2" + header
    while len(payload) >= LEAF:
        message += hashlib.sha256(b"fusion/leaf/2".ljust(64, b"\0") + payload[:LEAF]).digest()
        payload = payload[LEAF:]
    return hashlib.sha256(message + payload).digest()


def transcript(stream: bytes) -> bytes:
    digests = [frame_digest(header, payload) for header, payload in frames(stream)]
    return hashlib.sha256(b"fusion/transcript/2" + b"".join(digests)).digest()
