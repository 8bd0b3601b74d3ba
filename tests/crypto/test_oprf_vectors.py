"""RFC 9497's OPRF and VOPRF for ristretto255-SHA512, spelled out on `crypto.group`, against its vectors."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from reference import vectors

from fusion.crypto import group

VECTORS = vectors.load("oprf_ristretto255.json")
OPRF, VOPRF = 0, 1
CASES = [(mode, case) for name, mode in (("oprf", OPRF), ("voprf", VOPRF)) for case in VECTORS[name]["tests"]]


def context(mode: int) -> bytes:
    return b"OPRFV1-" + bytes([mode]) + b"-ristretto255-SHA512"


def prefixed(data: bytes) -> bytes:
    return len(data).to_bytes(2, "big") + data


def derive_key(seed: bytes, info: bytes, mode: int) -> group.Scalar:
    for counter in range(256):
        message = seed + prefixed(info) + bytes([counter])
        key = group.hash_to_scalar(message, b"DeriveKeyPair" + context(mode))
        if key.value:
            return key
    raise AssertionError


def hash_input(message: bytes, mode: int, variant: str) -> group.Points:
    row = np.frombuffer(message, dtype=np.uint8).reshape(1, -1)
    return group.hash_to_group(row, b"HashToGroup-" + context(mode), variant=variant)


def finalize(message: bytes, blind: group.Scalar, evaluated: str, variant: str) -> str:
    point = group.decode(vectors.rows([evaluated]), variant=variant)
    unblinded = group.multiply_encode(point, blind.inverse(), variant=variant).tobytes()
    return hashlib.sha512(prefixed(message) + prefixed(unblinded) + b"Finalize").hexdigest()


def prove(secret: group.Scalar, random: group.Scalar, blinded: list[str], evaluated: list[str], variant: str) -> str:
    def to_scalar(transcript: bytes) -> group.Scalar:
        return group.hash_to_scalar(transcript, b"HashToScalar-" + context(VOPRF))

    public = group.encode(group.multiply_base([secret], variant=variant), variant=variant).tobytes()
    seed = hashlib.sha512(prefixed(public) + prefixed(b"Seed-" + context(VOPRF))).digest()
    total = group.multiply_base([group.Scalar(0)], variant=variant)
    for i, (c, d) in enumerate(zip(blinded, evaluated, strict=True)):
        transcript = prefixed(seed) + i.to_bytes(2, "big") + prefixed(bytes.fromhex(c)) + prefixed(bytes.fromhex(d))
        weight = to_scalar(transcript + b"Composite")
        term = group.multiply(group.decode(vectors.rows([c]), variant=variant), weight, variant=variant)
        total = group.add(total, term, variant=variant)
    parts = [
        group.encode(total, variant=variant),
        group.multiply_encode(total, secret, variant=variant),
        group.encode(group.multiply_base([random], variant=variant), variant=variant),
        group.multiply_encode(total, random, variant=variant),
    ]
    transcript = prefixed(public) + b"".join(prefixed(part.tobytes()) for part in parts)
    challenge = to_scalar(transcript + b"Challenge")
    return (challenge.to_bytes() + (random - challenge * secret).to_bytes()).hex()


@pytest.mark.parametrize(("name", "mode"), [("oprf", OPRF), ("voprf", VOPRF)])
def test_key_derivation_and_tag(name, mode, variant):
    assert (b"HashToGroup-" + context(mode)).hex() == VECTORS[name]["group_dst"]
    secret = derive_key(bytes.fromhex(VECTORS["seed"]), bytes.fromhex(VECTORS["key_info"]), mode)
    assert secret.to_bytes().hex() == VECTORS[name]["secret"]
    if mode == VOPRF:
        public = group.encode(group.multiply_base([secret], variant=variant), variant=variant)
        assert public.tobytes().hex() == VECTORS[name]["public"]


@pytest.mark.parametrize(("mode", "case"), CASES, ids=[f"mode{m}-{len(c['input'])}-{c['input'][0]}" for m, c in CASES])
def test_blind_evaluate_finalize(mode, case, variant):
    secret = derive_key(bytes.fromhex(VECTORS["seed"]), bytes.fromhex(VECTORS["key_info"]), mode)
    for i, text in enumerate(case["input"]):
        message = bytes.fromhex(text)
        blind = group.Scalar.from_bytes(bytes.fromhex(case["blind"][i]))
        point = hash_input(message, mode, variant)
        assert group.multiply_encode(point, blind, variant=variant).tobytes().hex() == case["blinded"][i]
        blinded = group.decode(vectors.rows([case["blinded"][i]]), variant=variant)
        assert group.multiply_encode(blinded, secret, variant=variant).tobytes().hex() == case["evaluated"][i]
        assert finalize(message, blind, case["evaluated"][i], variant) == case["output"][i]
    if mode == VOPRF:
        random = group.Scalar.from_bytes(bytes.fromhex(case["proof_random"]))
        assert prove(secret, random, case["blinded"], case["evaluated"], variant) == case["proof"]
