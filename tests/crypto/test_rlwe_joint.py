"""Keys that parties share: the sum opens for all of them together, and for nobody else."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from crypto.rlwe_tools import Seeded, integers
from reference import rlwe as twin

from fusion.crypto import rlwe
from fusion.errors import InputError, PeerError
from fusion.kernels import ntt

SEED = bytes(range(32))


def party_keys(p: rlwe.Parameters, name: str = "party") -> tuple[list[rlwe.Share], rlwe.PublicKey]:
    shares = [rlwe.Share.generate(p, SEED, source=Seeded(f"{name} {i}")) for i in range(p.parties)]
    return shares, rlwe.combine(p, SEED, [share.contribution for share in shares])


@pytest.mark.parametrize(("parties", "bits", "batching"), [(2, 50, False), (3, 30, True), (12, 16, False)])
def test_a_sum_opens_for_all_together(parties, bits, batching):
    p = rlwe.parameters(bits, products=0, terms=parties, parties=parties, batching=batching)
    shares, public = party_keys(p)
    source = np.random.default_rng(1)
    vectors = source.integers(0, p.plain_modulus, (parties, 2, p.degree), dtype=np.uint64)
    sent = [public.encrypt(vector).to_bytes() for vector in vectors]
    received = [rlwe.Ciphertexts.from_bytes(public, data) for data in sent]
    total = received[0]
    for other in received[1:]:
        total = total + other
    again = rlwe.Ciphertexts.from_bytes(public, total.to_bytes(), terms=parties)
    assert again.noise == total.noise == p.sum_noise
    chosen = [0, 3, p.degree - 1]
    parts = [share.decrypt(again, chosen) for share in shares]
    expected = vectors[:, :, chosen].astype(object).sum(axis=0) % p.plain_modulus
    assert (rlwe.open_shares(again, chosen, parts) == expected).all()
    assert (rlwe.open_shares(again, chosen, parts[::-1]) == expected).all()
    # all but one learn nothing of use: what they compute is far off, and half of six values of 16 bits is never right
    assert (rlwe.open_shares(again, chosen, [*parts[:-1], np.zeros_like(parts[-1])]) == expected).mean() < 0.5


def test_the_worst_case_still_opens():
    p = rlwe.parameters(50, products=0, terms=4, parties=3)
    shares, public = party_keys(p)
    zero = public.encrypt(np.zeros((1, p.degree), np.int64))
    # as much noise as the parameters allow, on top of a sum's own
    extra = np.array([[[(p.sum_noise - zero.noise) % r] * p.degree for r in p.primes]], np.uint64)
    ntt.forward(p.ring, extra)
    noisy = rlwe.Ciphertexts(p, public.id, ntt.add(p.ring, zero.c0, extra), zero.c1, p.sum_noise)
    parts = [share.decrypt(noisy, range(p.degree)) for share in shares]
    assert not rlwe.open_shares(noisy, range(p.degree), parts).any()


def test_every_step_equals_the_twin():
    p = rlwe.parameters(16, products=0, parties=2)
    n, q = p.degree, p.q
    sources = [Seeded("a"), Seeded("b")]
    shares = [rlwe.Share.generate(p, SEED, source=source) for source in sources]
    public = rlwe.combine(p, SEED, [share.contribution for share in shares])
    (a,) = integers(p, public.a)
    secrets = [twin.secret_of(source.given[0], n) for source in sources]
    parts = [twin.combination(([-x for x in a], s), plus=e, q=q) for s, e in secrets]
    assert integers(p, public.b) == [[(x + y) % q for x, y in zip(*parts, strict=True)]]
    ciphertexts = public.encrypt(np.ones((1, n), np.uint64))
    (c1,) = integers(p, ciphertexts.c1)
    found = shares[1].decrypt(ciphertexts, range(n), source=sources[1])
    flood = twin.flood(twin.words(twin.key(b"flood", sources[1].given[1]), 0, 0), p.flood_bits, n)
    phase = twin.combination((c1, secrets[1][0]), plus=flood, q=q)
    assert found.tolist() == [[twin.rescale(x, 2**64, q) % 2**64 for x in phase]]


def test_refusals():
    p = rlwe.parameters(16, products=0, parties=2)
    shares, public = party_keys(p)
    contributions = [share.contribution for share in shares]
    with pytest.raises(InputError, match="for 2 parties, not 1"):
        rlwe.combine(p, SEED, contributions[:1])
    with pytest.raises(PeerError, match="wrong length"):
        rlwe.combine(p, SEED, [contributions[0], contributions[1][:-1]])
    with pytest.raises(PeerError, match="not below its prime"):
        rlwe.combine(p, SEED, [contributions[0], b"\xff" * len(contributions[1])])
    with pytest.raises(InputError, match="32 bytes, not 5"):
        rlwe.combine(p, b"short", contributions)
    with pytest.raises(InputError, match="32 bytes, not 5"):
        rlwe.Share.generate(p, b"short")
    with pytest.raises(InputError, match="let each generate a Share"):
        rlwe.generate(p)
    x = public.encrypt(np.zeros((1, p.degree), np.int64))
    with pytest.raises(InputError, match="under a shared key"):
        public.respond(x, [0])
    with pytest.raises(InputError, match="more terms"):
        shares[0].decrypt(x + x, [0])
    parts = [share.decrypt(x, [0]) for share in shares]
    with pytest.raises(PeerError, match="from 1 parties instead of 2"):
        rlwe.open_shares(x, [0], parts[:1])
    for wrong in (parts[1].astype(np.int64), np.zeros((1, 2), np.uint64)):
        with pytest.raises(PeerError, match="no uint64 of shape"):
            rlwe.open_shares(x, [0], [parts[0], wrong])
    other = rlwe.parameters(15, products=0, parties=2)
    with pytest.raises(InputError, match="other parameters"):
        shares[0].decrypt(party_keys(other)[1].encrypt(np.zeros((1, other.degree), np.int64)), [0])
    assert repr(shares[0]) == "Share(<redacted>)"
    for action in (pickle.dumps, copy.copy):
        with pytest.raises(InputError, match="not pickled"):
            action(shares[0])
    held = shares[0]._secret
    shares[0].wipe()
    assert not held.any()
    with pytest.raises(InputError, match="was wiped"):
        shares[0].decrypt(x, [0])
