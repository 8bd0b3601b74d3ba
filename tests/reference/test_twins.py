"""The plain twins against the standards' vectors: what the kernel is compared with must itself be right."""

from __future__ import annotations

import phe
import pytest
from reference import expand, libsodium, paillier, ristretto255, vectors

RISTRETTO = vectors.load("ristretto255.json")
EXPAND = vectors.load("expand_message_xmd.json")


def test_multiples_of_the_generator():
    point = ristretto255.IDENTITY
    for encoding in RISTRETTO["multiples"]:
        assert ristretto255.encode(point).hex() == encoding
        decoded = ristretto255.decode(bytes.fromhex(encoding))
        assert decoded is not None
        assert ristretto255.encode(decoded).hex() == encoding
        point = ristretto255.add(point, ristretto255.GENERATOR)


@pytest.mark.parametrize("case", RISTRETTO["invalid"], ids=lambda c: f"{c['fault']}-{c['encoding'][:8]}")
def test_invalid_encodings(case):
    assert ristretto255.decode(bytes.fromhex(case["encoding"])) is None
    assert not libsodium.is_valid(vectors.rows([case["encoding"]]))[0]


@pytest.mark.parametrize("case", RISTRETTO["from_uniform"], ids=lambda c: c["uniform"][:8])
def test_from_uniform(case):
    assert ristretto255.encode(ristretto255.from_uniform(bytes.fromhex(case["uniform"]))).hex() == case["encoding"]


@pytest.mark.parametrize("case", RISTRETTO["sqrt_ratio_m1"], ids=lambda c: f"{c['u'][:2]}/{c['v'][:2]}")
def test_square_root_of_a_ratio(case):
    u, v, r = (int.from_bytes(bytes.fromhex(case[name]), "little") for name in "uvr")
    assert ristretto255.sqrt_ratio_m1(u, v) == (case["was_square"], r)


def test_the_generator_has_the_group_order():
    assert ristretto255.encode(ristretto255.multiply(ristretto255.GENERATOR, ristretto255.ORDER)) == bytes(32)


@pytest.mark.parametrize("case", EXPAND["tests"], ids=lambda c: f"{c['message'][:5]}-{c['length']}")
def test_expand_message_xmd(case):
    out = expand.expand_message_xmd(case["message"].encode(), EXPAND["dst"].encode(), case["length"])
    assert out.hex() == case["uniform"]


def test_paillier_against_python_paillier():
    """An implementation that shares nothing with ours but the scheme."""
    public, private = phe.generate_paillier_keypair(n_length=256)
    for m in (0, 1, -1, 2**40, -(2**40), public.max_int, -public.max_int):
        theirs = public.encrypt(m).ciphertext()
        assert paillier.decrypt(private.p, private.q, theirs) == m
        ours = phe.EncryptedNumber(public, paillier.encrypt(public.n, m, 123456789))
        assert private.decrypt(ours) == m
