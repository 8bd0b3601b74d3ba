"""Lattice encryption: against the plain twin, its algebra, its bytes, and what it refuses."""

from __future__ import annotations

import contextlib
import copy
import pickle
import re
from pathlib import Path

import numpy as np
import pytest
from crypto.rlwe_tools import Seeded, chi_square, integers, product_modulo
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import rlwe as twin

from fusion.crypto import rlwe
from fusion.errors import InputError, PeerError

WIDE = rlwe.parameters(50, terms=3)
SUMS = rlwe.parameters(16, products=0, terms=100)
SLOTS = rlwe.parameters(40, batching=True, terms=2)
KEYS = {p: rlwe.generate(p, source=Seeded("keys")) for p in (WIDE, SUMS, SLOTS)}
every_kind = pytest.mark.parametrize("parameters", KEYS, ids=["wide", "sums", "slots"])


def messages(p: rlwe.Parameters, rows: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, p.plain_modulus, (rows, p.degree), dtype=np.uint64)


def multipliers(p: rlwe.Parameters, *shape: int, seed: int = 2) -> np.ndarray:
    m = p.multiplier
    return np.random.default_rng(seed).integers(-m, m, (*shape, p.degree), endpoint=True)


@pytest.mark.parametrize("kernel", ["portable", None])
def test_every_step_equals_the_twin(kernel, monkeypatch):
    """Keys, both encryptions, a sum of products, a response, its opening: every coefficient."""
    if kernel:
        monkeypatch.setenv("FUSION_KERNEL", kernel)
    p = WIDE
    n, q, t = p.degree, p.q, p.plain_modulus
    source = Seeded("twin")
    secret = rlwe.generate(p, source=source)
    public = secret.public
    s, e = twin.secret_of(source.given[1], n)
    (a,), (b,) = integers(p, public.a), integers(p, public.b)
    assert public.a[0].tolist() == twin.uniform_values(twin.key(b"public key", source.given[0]), 0, p.primes, n)
    assert b == twin.combination(([-x for x in a], s), plus=e, q=q)

    m, w = messages(p, 2), multipliers(p, 1, 2)
    ciphertexts = secret.encrypt(m, source=source)
    for row in range(2):
        values = twin.uniform_values(twin.key(b"ciphertexts", source.given[2]), row, p.primes, n)
        assert ciphertexts.c1[row].tolist() == values
    c0, c1 = integers(p, ciphertexts.c0), integers(p, ciphertexts.c1)
    for row in range(2):
        assert c0[row] == twin.encrypt_secretly(m[row].tolist(), row, source.given[3], c1[row], s, q, t)

    total = ciphertexts.inner(rlwe.prepare(p, w))
    pairs = list(zip(w[0].tolist(), range(2), strict=True))
    d0, d1 = (twin.combination(*[(x, c[i]) for x, i in pairs], plus=[0] * n, q=q) for c in (c0, c1))
    assert (integers(p, total.c0), integers(p, total.c1)) == ([d0], [d1])

    chosen, mask = [0, 77, n - 1], np.array([[1, 0, t - 1]], np.uint64)
    responses, same = public.respond(total, chosen, mask=mask, source=source)
    assert same is mask
    message = [0] * n
    message[0], message[n - 1] = 1, t - 1
    f0, f1 = twin.encrypt_publicly(message, 0, 1, source.given[4], a, b, q, t)
    flood = twin.flood(twin.words(twin.key(b"flood", source.given[5]), 0, 0), p.flood_bits, len(chosen))
    to = 2**p.switch_bits
    r0 = [twin.rescale((x + y) % q, to, q) % to for x, y in zip(d0, f0, strict=True)]
    for k, z in zip(chosen, flood, strict=True):
        r0[k] = twin.rescale((d0[k] + f0[k] + z) % q, to, q) % to
    r1 = [twin.rescale((x + y) % q, to, q) % to for x, y in zip(d1, f1, strict=True)]
    assert responses.c0.tolist() == [[r0[k] for k in chosen]]
    assert responses.c1.tolist() == [r1]

    opened = twin.decrypt(r0, r1, s, to, t)
    exact = twin.combination(*[(x, m[i].tolist()) for x, i in pairs], plus=message, q=t)
    assert opened == exact
    assert secret.open(responses).tolist() == [[exact[k] for k in chosen]]
    assert len(source.given) == 6


@every_kind
def test_sums_differences_and_negation(parameters):
    p, secret = parameters, KEYS[parameters]
    a, b = messages(p, 5, 1), messages(p, 5, 2)
    x, y = secret.encrypt(a), secret.public.encrypt(b)
    t = p.plain_modulus
    assert (secret.decrypt(x) == a).all()
    assert (secret.decrypt(y) == b).all()
    assert (secret.decrypt(x + y) == (a + b) % t).all()
    assert (secret.decrypt(x - y) == (a + (t - b)) % t).all()
    assert (secret.decrypt(-x) == (t - a) % t).all()
    for rows in range(1, 6):
        assert (secret.decrypt(x[:rows].sum()) == a[:rows].astype(object).sum(axis=0) % t).all()
        assert x[:rows].sum().noise == rows * x.noise
    assert (secret.decrypt(y[-1]) == b[-1:]).all()
    with pytest.raises(InputError, match="at least one"):
        x[:0].sum()


@pytest.mark.parametrize("degree", [4096, 8192])
def test_products_in_coefficients(degree):
    p = rlwe.parameters(20, degree=8192, terms=2) if degree == 8192 else rlwe.parameters(4, degree=4096)
    secret = rlwe.generate(p)
    m, w = messages(p, 2), multipliers(p, 2)
    product = secret.public.encrypt(m).multiply(rlwe.prepare(p, w))
    one = secret.encrypt(m).multiply(rlwe.prepare(p, w[:1]))
    for row in range(2):
        for found, by in ((product, w[row]), (one, w[0])):
            exact = product_modulo(m[row].tolist(), by.tolist(), p.plain_modulus)
            assert secret.decrypt(found[row])[0].tolist() == exact


def test_products_in_slots():
    p, secret = SLOTS, KEYS[SLOTS]
    t = p.plain_modulus
    a, b = messages(p, 2, 5), messages(p, 2, 6)
    x = secret.encrypt(rlwe.to_coefficients(p, a))
    product = x.multiply(rlwe.prepare(p, rlwe.to_coefficients(p, b)))
    exact = a.astype(object) * b.astype(object) % t
    assert (rlwe.to_slots(p, secret.decrypt(product)) == exact).all()
    responses, mask = secret.public.respond(product, range(p.degree))
    opened = secret.open(responses).astype(object) - mask.astype(object)
    assert (rlwe.to_slots(p, (opened % t).astype(np.uint64)) == exact).all()
    with pytest.raises(InputError, match="batching=True"):
        rlwe.to_coefficients(WIDE, a)


def test_an_inner_product_of_many_rows_is_one_number():
    """What a generalised linear model asks for: 20,000 rows in three blocks, two columns, signed fixed point."""
    p, secret = WIDE, KEYS[WIDE]
    n, source = p.degree, np.random.default_rng(3)
    v = source.integers(-(2**17), 2**17, (20_000,))
    u = source.integers(-(2**17), 2**17, (2, 20_000))
    blocks, weights = np.zeros((3, n), np.int64), np.zeros((2, 3, n), np.int64)
    blocks.reshape(-1)[: len(v)] = v
    weights.reshape(2, -1)[:, : len(v)] = u
    ciphertexts = rlwe.Ciphertexts.from_bytes(secret.public, secret.encrypt(blocks).to_bytes())
    total = ciphertexts.inner(rlwe.prepare(p, weights[:, :, ::-1]))
    responses, mask = secret.public.respond(total, [n - 1])
    received = rlwe.Responses.from_bytes(p, secret.public.id, responses.to_bytes(), [n - 1])
    shares = secret.open(received)
    assert rlwe.centred(p, (shares - mask) % np.uint64(p.plain_modulus))[:, 0].tolist() == (u @ v).tolist()
    zeros = np.zeros((2, 1), np.uint64)
    shown, _ = secret.public.respond(total, [n - 1], mask=zeros)
    assert rlwe.centred(p, secret.open(shown))[:, 0].tolist() == (u @ v).tolist()


@pytest.mark.parametrize("height", [512, 2048, 8192])
def test_several_columns_in_one_response(height):
    """Blocks of fewer rows leave room for one column beside the other, each with a coefficient of its own."""
    p, secret = WIDE, KEYS[WIDE]
    n, source = p.degree, np.random.default_rng(4)
    columns = n // height
    v = source.integers(-(2**20), 2**20, (3, height))
    u = source.integers(-(2**20), 2**20, (3, columns, height))
    blocks = np.zeros((3, n), np.int64)
    blocks[:, :height] = v
    total = secret.encrypt(blocks).inner(rlwe.prepare(p, u[None, :, :, ::-1].reshape(1, 3, n)))
    chosen = range(height - 1, n, height)
    responses, mask = secret.public.respond(total, chosen)
    found = rlwe.centred(p, (secret.open(responses) - mask) % np.uint64(p.plain_modulus))
    assert found.tolist() == [np.einsum("br,bcr->c", v, u).tolist()]


def test_what_a_key_owner_receives_is_uniform():
    """Chi-square at 10^-6 of every number in a response, and of what it opens to, for a constant product.

    All is seeded, so this passes always or never.
    """
    p, secret, source = WIDE, KEYS[WIDE], Seeded("uniform")
    n = p.degree
    zeros = secret.encrypt(np.zeros((4, n), np.uint64), source=source)
    product = zeros.multiply(rlwe.prepare(p, np.ones((1, n), np.int64)))
    responses, mask = secret.public.respond(product, range(n), source=source)
    for words, top in (
        (responses.c0, 2**p.switch_bits),
        (responses.c1, 2**p.switch_bits),
        (mask, p.plain_modulus),
        (secret.open(responses), p.plain_modulus),
    ):
        assert words.size >= 4 * n
        assert chi_square(words, top) < 377


def test_the_mask_is_uniform_modulo_a_prime():
    secret = KEYS[SLOTS]
    zero = secret.encrypt(np.zeros((4, SLOTS.degree), np.uint64))
    responses, mask = secret.public.respond(zero, range(SLOTS.degree), source=Seeded("prime"))
    assert chi_square(mask, SLOTS.plain_modulus) < 377
    assert (secret.open(responses) == mask).all()
    assert (mask < SLOTS.plain_modulus).all()


def test_randomness_is_fresh():
    p, secret = SUMS, KEYS[SUMS]
    m = np.zeros((2, p.degree), np.int64)
    seen = set()
    for ciphertexts in (secret.encrypt(m), secret.encrypt(m), secret.public.encrypt(m), secret.public.encrypt(m)):
        for row in range(2):
            seen |= {ciphertexts.c0[row].tobytes(), ciphertexts.c1[row].tobytes()}
    assert len(seen) == 16
    fixed = [secret.encrypt(m, source=Seeded("same")).to_bytes() for _ in range(2)]
    assert fixed[0] == fixed[1]


def test_threads_do_not_matter():
    p, secret = WIDE, KEYS[WIDE]
    m = messages(p, 3)
    results = []
    for threads in (1, 3):
        x = secret.encrypt(m, source=Seeded("a"), threads=threads)
        y = secret.public.encrypt(m, source=Seeded("b"), threads=threads)
        z = x.inner(rlwe.prepare(p, multipliers(p, 2, 3), threads=threads), threads=threads)
        responses, _ = secret.public.respond(z, [5], source=Seeded("c"), threads=threads)
        results.append(
            (x.to_bytes(), y.to_bytes(), responses.to_bytes(), secret.open(responses, threads=threads).tolist())
        )
    assert results[0] == results[1]


@every_kind
def test_bytes_and_sizes(parameters):
    p, secret = parameters, KEYS[parameters]
    public, m = secret.public, messages(parameters, 2)
    element = len(p.primes) * p.degree * 50 // 8
    seeded, pair = secret.encrypt(m).to_bytes(), public.encrypt(m).to_bytes()
    assert (len(seeded), len(pair)) == (21 + 32 + 2 * element, 21 + 4 * element)
    for data in (seeded, pair):
        found = rlwe.Ciphertexts.from_bytes(public, data)
        assert found.to_bytes() == data
        assert (secret.decrypt(found) == m).all()
        assert found.noise == (p.secret_noise if data is seeded else p.public_noise)
    again = rlwe.PublicKey.from_bytes(p, public.to_bytes())
    assert (again.id, again.to_bytes(), len(public.to_bytes())) == (public.id, public.to_bytes(), 48 + element)
    responses, _ = public.respond(secret.encrypt(m), [1, 2, 5])
    data = responses.to_bytes()
    bits = p.switch_bits
    assert len(data) == 20 + 2 * p.degree * bits // 8 + -(-2 * 3 * bits // 8)
    found = rlwe.Responses.from_bytes(p, public.id, data, [1, 2, 5])
    assert found.to_bytes() == data
    assert (secret.open(found) == secret.open(responses)).all()
    assert rlwe.Ciphertexts.from_bytes(public, secret.encrypt(m[:0]).to_bytes()).to_bytes()[17:21] == bytes(4)


def test_many_responses_at_once_and_none():
    p, secret = SUMS, KEYS[SUMS]
    m = messages(p, 70)
    responses, mask = secret.public.respond(secret.encrypt(m), [3, 4])
    assert ((secret.open(responses) - mask) % np.uint64(p.plain_modulus) == m[:, 3:5]).all()
    assert len(np.unique(responses.c1, axis=0)) == 70
    nothing, mask = secret.public.respond(secret.encrypt(m[:0]), [3, 4])
    assert (secret.open(nothing).shape, mask.shape, len(nothing)) == ((0, 2), (0, 2), 0)


def test_a_product_does_not_leave_on_its_own():
    secret = KEYS[WIDE]
    product = secret.encrypt(messages(WIDE, 1)).multiply(rlwe.prepare(WIDE, multipliers(WIDE, 1)))
    for tainted in (product, -product, product[0], product.sum(), secret.encrypt(messages(WIDE, 1)) + product):
        with pytest.raises(InputError, match="send what respond"):
            tainted.to_bytes()
    with pytest.raises(InputError, match="not multiplied again"):
        product.multiply(rlwe.prepare(WIDE, multipliers(WIDE, 1)))


SMALL_PUBLIC = KEYS[SUMS].public
SMALL = {
    "seeded": KEYS[SUMS].encrypt(np.zeros((1, 4096), np.int64)).to_bytes(),
    "pair": SMALL_PUBLIC.encrypt(np.zeros((1, 4096), np.int64)).to_bytes(),
    "key": SMALL_PUBLIC.to_bytes(),
    "responses": SMALL_PUBLIC.respond(KEYS[SUMS].encrypt(np.zeros((1, 4096), np.int64)), [7])[0].to_bytes(),
}


def read(name: str, data: bytes) -> object:
    if name == "key":
        return rlwe.PublicKey.from_bytes(SUMS, data)
    if name == "responses":
        return KEYS[SUMS].open(rlwe.Responses.from_bytes(SUMS, SMALL_PUBLIC.id, data, [7]))
    return KEYS[SUMS].decrypt(rlwe.Ciphertexts.from_bytes(SMALL_PUBLIC, data))


@pytest.mark.parametrize("name", SMALL)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_hostile_bytes_are_read_or_refused(name, data):
    """Cut, prolonged, or changed anywhere: a result of the right shape or a PeerError."""
    whole = SMALL[name]
    kind = data.draw(st.sampled_from(["cut", "longer", "changed", "head", "anything"]))
    if kind == "cut":
        changed = whole[: data.draw(st.integers(0, len(whole) - 1))]
    elif kind == "longer":
        changed = whole + data.draw(st.binary(min_size=1, max_size=9))
    elif kind == "anything":
        changed = data.draw(st.binary(max_size=300))
    else:
        at = data.draw(st.integers(0, len(whole) - 1 if kind == "changed" else 60))
        changed = whole[:at] + bytes([whole[at] ^ data.draw(st.integers(1, 255))]) + whole[at + 1 :]
    if kind in ("cut", "longer", "anything"):
        with pytest.raises(PeerError):
            read(name, changed)
    else:
        with contextlib.suppress(PeerError):
            read(name, changed)


def test_residues_out_of_range_are_refused():
    ones = b"\xff" * (len(SMALL["key"]) - 48)
    for data, start in ((SMALL["key"], 48), (SMALL["pair"], 21), (SMALL["seeded"], 21)):
        changed = data[:start] + ones + data[start + len(ones) :]
        with pytest.raises(PeerError, match="not below its prime"):
            read("key" if data is SMALL["key"] else "pair", changed)
    tail = SMALL["responses"]
    assert SUMS.switch_bits % 8  # so that the last byte has room
    with pytest.raises(PeerError, match="end in zeros"):
        read("responses", tail[:-1] + bytes([tail[-1] | 0x80]))
    with pytest.raises(PeerError, match="no known kind"):
        read("pair", b"\2" + SMALL["pair"][1:])
    huge = SMALL["seeded"][:17] + b"\xff" * 4 + SMALL["seeded"][21:]
    with pytest.raises(PeerError, match="ends too early"):
        read("seeded", huge)


def test_keys_and_parameters_are_not_confused():
    p, secret = WIDE, KEYS[WIDE]
    other = rlwe.generate(p)
    m = messages(p, 1)
    x, y = secret.encrypt(m), other.encrypt(m)
    with pytest.raises(InputError, match="different keys"):
        x + y
    with pytest.raises(InputError, match="another key"):
        secret.decrypt(y)
    with pytest.raises(InputError, match="another key"):
        secret.public.respond(y, [0])
    with pytest.raises(InputError, match="another key"):
        secret.open(other.public.respond(y, [0])[0])
    with pytest.raises(PeerError, match="another key"):
        rlwe.Ciphertexts.from_bytes(other.public, x.to_bytes())
    with pytest.raises(PeerError, match="another key"):
        rlwe.Responses.from_bytes(p, other.public.id, secret.public.respond(x, [0])[0].to_bytes(), [0])
    with pytest.raises(PeerError, match="other parameters"):
        rlwe.PublicKey.from_bytes(SLOTS, secret.public.to_bytes())
    with pytest.raises(InputError, match="parameters differ"):
        x.multiply(rlwe.prepare(SLOTS, multipliers(SLOTS, 1)))


def test_refusals():
    p, secret = WIDE, KEYS[WIDE]
    t = p.plain_modulus
    wrong = messages(p, 1)
    wrong[0, 5] = t
    for bad, why in (
        (wrong, "not below the plain modulus"),
        (np.full((1, p.degree), t // 2 + 1), "out of range"),
        (np.full((1, p.degree), -(2**63)), "out of range"),
        (np.zeros((1, p.degree)), "int64 or uint64"),
        ([[0] * p.degree], "int64 or uint64"),
    ):
        with pytest.raises(InputError, match=why):
            secret.encrypt(bad)
    with pytest.raises(InputError, match=r"shape \(rows, 8192\)"):
        secret.encrypt(np.zeros((1, 4096), np.int64))
    for bad, why in (
        (np.full((1, p.degree), p.multiplier + 1), "out of range"),
        (np.full((1, p.degree), -(2**63)), "out of range"),
        (np.zeros(p.degree, np.int64), "shape"),
        (np.zeros((1, p.degree), np.float64), "int64 or uint64"),
    ):
        with pytest.raises(InputError, match=why):
            rlwe.prepare(p, bad)
    with pytest.raises(InputError, match="for sums only"):
        rlwe.prepare(SUMS, np.zeros((1, 4096), np.int64))
    for bad, why in (
        (np.full((1, 4096), 101), "larger than the terms"),
        (np.full((1, 4096), -(2**63)), "larger than the terms"),
        (np.zeros((1, 4096), np.uint64), "of int64"),
        (np.zeros(4096, np.int64), "shape"),
    ):
        with pytest.raises(InputError, match=why):
            rlwe.prepare_weights(SUMS, bad)
    x = secret.encrypt(messages(p, 2))
    for coefficients in ([], [-1], [8192], [1, 1], [2, 1], [0.5], 3):
        with pytest.raises(InputError, match="coefficients must"):
            secret.public.respond(x, coefficients)
    for mask in (np.zeros((1, 1), np.uint64), np.zeros(2, np.uint64)):
        with pytest.raises(InputError, match="the mask must have shape"):
            secret.public.respond(x, [0], mask=mask)
    with pytest.raises(InputError, match="not below the plain modulus"):
        secret.public.respond(x, [0], mask=np.full((2, 1), t, np.uint64))
    with pytest.raises(InputError, match="instead of 32"):
        rlwe.generate(p, source=lambda n: b"short")


def test_the_example_of_the_documentation_runs():
    page = Path(__file__).parents[2] / "docs" / "lattices.md"
    (example,) = re.findall(r"^```python\n(.+?)^```$", page.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert "assert " in example
    exec(compile(example, str(page), "exec"), {})  # noqa: S102


@every_kind
def test_a_secret_key_is_its_seeds(parameters):
    secret = KEYS[parameters]
    data = secret.to_bytes()
    assert len(data) == 64
    again = rlwe.SecretKey.from_bytes(parameters, data)
    assert again.public.id == secret.public.id
    m = messages(parameters, 1)
    assert np.array_equal(again.decrypt(secret.public.encrypt(m)), m)
    for wrong in (b"", data[:-1], data + b"\0"):
        with pytest.raises(PeerError, match="a secret key"):
            rlwe.SecretKey.from_bytes(parameters, wrong)


def test_secrets_stay_inside():
    secret = rlwe.generate(SUMS, source=Seeded("inside"))
    x = secret.encrypt(np.zeros((1, 4096), np.int64))
    responses, _ = secret.public.respond(x, [0])
    for thing in (secret, x, responses, secret.public):
        assert len(repr(thing)) < 100
        assert "array" not in repr(thing)
    assert "redacted" in repr(secret)
    for action in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(InputError, match="not pickled"):
            action(secret)
        with pytest.raises(InputError, match="not pickled"):
            action(x)
    held, seed = secret._secret, secret._own
    secret.wipe()
    assert not held.any()
    assert not any(seed)
    for use in (
        secret.to_bytes,
        lambda: secret.encrypt(np.zeros((1, 4096), np.int64)),
        lambda: secret.decrypt(x),
        lambda: secret.open(responses),
    ):
        with pytest.raises(InputError, match="was wiped"):
            use()
