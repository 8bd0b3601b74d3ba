"""Lattice encryption behind arrays: where values stand, what leaves, what the key's owner cannot tell."""

from __future__ import annotations

import functools
import struct
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from crypto.rlwe_tools import Seeded, elements, integers, noise_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from reference import rlwe as twin

from fusion import InputError, PeerError, aggregation
from fusion.aggregation import EncryptedArray, EncryptedFrame, EncryptedGroups, PrivateKey, PublicKey, lattice
from fusion.aggregation.encoding import Row
from fusion.aggregation.layout import Layout
from fusion.aggregation.weightings import Weighting
from fusion.crypto import rlwe
from fusion.crypto.rlwe import keys
from fusion.crypto.rlwe.plan import PRIMES
from fusion.kernels import ntt
from fusion.kernels import rlwe as kernel

from .test_format import resealed

LIMITS = {"bound": 500, "terms": 60}
DEGREE = 4096


@functools.cache
def short():
    """A key of the smaller degree."""
    return aggregation.generate("lattice", bound=500, terms=60)


def sent(array, public):
    return EncryptedArray.from_bytes(array.to_bytes(), public)


def test_short_keys_are_of_the_smaller_degree():
    assert "degree=4096, bound times terms up to 32767, 60 terms" in repr(short()[0])
    assert "degree=8192" in repr(aggregation.generate("lattice")[0])


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    rows=st.integers(1, 4) | st.integers(4094, 4098),
    width=st.sampled_from([None, 1, 2, 3, 1365, 2048, 2049, 4095, 4096, 4097, 9000]),
    seed=st.integers(0, 2**32),
    owner=st.booleans(),
)
def test_every_layout(rows, width, seed, owner):
    """Around the borders of ciphertexts: what is sent decrypts to what numpy has."""
    public, private = short()
    random = np.random.default_rng(seed)
    if width is not None and width > 3:
        rows = rows % 5 + 1
    plain = random.integers(-500, 500, (rows,) if width is None else (rows, width), endpoint=True)
    encrypted = (private if owner else public).encrypt(plain, **LIMITS)
    at_the_other = sent(encrypted, public)
    few = random.choice(rows, min(rows, 60), replace=False)
    weights = np.zeros((2, rows), np.int64)
    weights[0, few] = random.choice([-1, 1], len(few))
    weights[1, few[:6]] = random.integers(-10, 10, len(few[:6]), endpoint=True)
    codes = random.integers(0, 3, len(few))
    grouped = np.zeros((4, *plain.shape[1:]), np.int64)
    np.add.at(grouped, codes, plain[few])
    for computed, expected in (
        (at_the_other, plain),
        (at_the_other + encrypted, 2 * plain),
        (at_the_other * -3 - encrypted, -4 * plain),
        (weights @ at_the_other, weights @ plain),
        (at_the_other[few].groupby(codes, groups=4).sum(), grouped),
        (at_the_other[few[0]] + encrypted[few[-1]] * 2, plain[few[0]] + 2 * plain[few[-1]]),
        (at_the_other[few[:5]], plain[few[:5]]),
    ):
        assert np.array_equal(private.decrypt(computed), expected)
        assert np.array_equal(private.decrypt(sent(computed, public)), expected)


@pytest.mark.parametrize("at_once", [1, 2, 3, 128])
def test_many_ciphertexts_are_taken_in_steps(at_once, monkeypatch):
    monkeypatch.setattr(lattice, "_AT_ONCE", at_once)
    public, private = short()
    plain = np.arange(5 * DEGREE) % 1001 - 500
    column = private.encrypt(plain, **LIMITS)
    weights = np.zeros((4, len(plain)), np.int64)
    weights[0, ::350] = 1  # all five blocks, with as much weight as may be
    weights[1, 2 * DEGREE] = 60
    weights[2, -1] = -60
    result = weights @ column
    for each in (result, sent(result, public)):
        assert private.decrypt(each).tolist() == (weights @ plain).tolist()
    assert private.decrypt(sent(column + column, public)).tolist() == (2 * plain).tolist()


@pytest.mark.parametrize(
    ("bound", "terms"), [(2**29 - 1, 2**20), (2**17 - 1, 2**32), (2**49 - 1, 1), (1, 2**32), (1, 1), (3, 5)]
)
def test_the_largest_sums_do_not_wrap(bound, terms):
    limits = {"bound": bound, "terms": terms}
    public, private = aggregation.generate("lattice", **limits)
    plain = np.array([bound, -bound, 0])
    encrypted = public.encrypt(plain, **limits)
    each = np.array([terms, -terms, terms])
    for computed, expected in (
        (encrypted * terms, plain * terms),
        (encrypted * -terms, plain * -terms),
        (encrypted * each, plain * each),
        ((encrypted * terms)[::-1], plain[::-1] * terms),
    ):
        assert private.decrypt(computed).tolist() == expected.tolist()
        assert private.decrypt(sent(computed, public)).tolist() == expected.tolist()
    with pytest.raises(InputError, match="more than the declared terms"):
        encrypted * (terms + 1)
    for wider in ({"bound": 2 * bound, "terms": terms}, {"bound": 1, "terms": terms + 1}):
        with pytest.raises(
            InputError, match=r'declare a bound of at most \d+ with \d+ terms, or generate\("lattice", bound='
        ):
            public.encrypt([1], **wider)


def test_decimals_and_frames():
    public, private = aggregation.generate("lattice", bound=10**5, decimals=2, terms=1000)
    frame = pd.DataFrame({"stays": [1, 0, 2, 1], "cost": [250.5, 0.0, -1200.25, 99.75]})
    limits = {"bound": {"stays": 50, "cost": 5000}, "decimals": {"stays": 0, "cost": 2}, "terms": 1000}
    region = pd.Series(["n", "s", "n", None], name="region")
    received = EncryptedFrame.from_bytes(private.encrypt(frame, **limits, moments=2).to_bytes(), public)
    result = received.groupby(region).agg(["count", "sum", "mean", "var"])
    back = private.decrypt(EncryptedGroups.from_bytes(result.to_bytes(), public))
    expected = frame.groupby(region).agg(["count", "sum", "mean", "var"])
    pd.testing.assert_frame_equal(back, expected, rtol=1e-12)


def test_results_are_final():
    public, private = short()
    array = public.encrypt([1, 2, 3], **LIMITS)
    for result in (sent(array + array, public), sent(array[:2], public)):
        for compute in (
            lambda r: r + r,
            lambda r: -r,
            lambda r: r * 2,
            lambda r: r[0],
            lambda r: r.sum(),
            lambda r: r.groupby(np.zeros(len(r), int)).sum(),
            lambda r: np.ones(len(r), int) @ r,
        ):
            with pytest.raises(InputError, match="a result that was sent is only decrypted; compute"):
                compute(result)
        # kept in a file and read again it is the same
        assert np.array_equal(private.decrypt(sent(result, public)), private.decrypt(result))
        assert result.squeeze() is result


def test_sizes():
    """A fresh array of the key's owner is half as long; a sum is one response, however many rows went in."""
    public, private = short()
    plain = np.ones(3 * DEGREE, np.int64)
    halves = [len(key.encrypt(plain, **LIMITS).to_bytes()) for key in (public, private)]
    assert halves[0] / len(plain) < 26
    assert halves[1] / len(plain) < 13
    switched = public._scheme.key.parameters.switch_bits
    for groups in (1, 7):
        data = (np.eye(groups, len(plain), dtype=int) @ private.encrypt(plain, **LIMITS)).to_bytes()
        assert len(data) == pytest.approx(groups * DEGREE * switched / 8, rel=0.02)
    assert len((private.encrypt(plain, **LIMITS) * 2).to_bytes()) == pytest.approx(
        2 * len(plain) * switched / 8, rel=0.01
    )


def guesses(flood_bits, rounds):
    """How often the key's owner tells which of two weightings made a result, from the noise that he gets back.

    He knows his own errors, hence what noise either weighting would give, and takes the nearer one.
    """
    p = rlwe.Parameters(DEGREE, PRIMES[:1], 1024, 6400, 0, 1, flood_bits=flood_bits, switch_bits=50)
    secret, random, right = rlwe.generate(p, source=Seeded("owner")), np.random.default_rng(7), 0
    n, t, to, row = p.degree, p.plain_modulus, 2**p.switch_bits, Row(64, (1,), 6400)
    (s,) = integers(p, secret._values())
    s = [x - p.q * (x > 1) for x in s]
    for turn in range(rounds):
        source = Seeded(f"answer {turn}")
        respond = functools.partial(secret.public.respond, source=source)
        answering = SimpleNamespace(parameters=p, id=secret.public.id, respond=respond)
        holder = lattice._Public(answering)
        owner = SimpleNamespace(encrypt=functools.partial(secret.encrypt, source=Seeded(f"fresh {turn}")))
        encrypted = holder.encrypted(owner, np.zeros((64, 64), np.int64), row)
        zero = np.zeros((1, n), np.uint64)
        (own,) = noise_of(secret, encrypted.terms[0].ciphertexts, zero)
        weights = random.integers(-100, 100, (2, 1, 64), endpoint=True)
        chosen = int(random.integers(2))
        responses = holder.rerandomise(holder.combine(weights[chosen], encrypted, row), full=False).responses
        shown = twin.combination((responses.c1[0].tolist(), s), plus=[0] * n, q=to)
        phase = [shown[at] + int(c0) for at, c0 in zip(responses.coefficients, responses.c0[0], strict=True)]
        noise = np.array([(x + to // (2 * t)) % (to // t) - to // (2 * t) for x in phase], np.float64)
        errors = np.array(own).reshape(64, 64)  # value, row
        expected = [(errors @ each[0]) for each in weights]
        distances = [float(((noise - guess) ** 2).sum()) for guess in expected]
        right += int(np.argmin(distances)) == chosen
    return right


def test_without_flooding_the_noise_tells_the_weights():
    assert guesses(flood_bits=1, rounds=20) == 20


def test_with_flooding_it_does_not():
    """A fair coin leaves 15 to 45 of 60 once in 20,000; the seeds are fixed, so this passes always or never."""
    assert 15 <= guesses(flood_bits=38, rounds=60) <= 45


def test_a_key_made_to_spy_reads_weights():
    """Why `full=True` is refused: with b = 2^110 the mask u of c1 stands in c0, above the flooding."""
    p = aggregation.generate("lattice")[0]._scheme.key.parameters
    b, c1 = (elements(p, [[2**bits] + [0] * (p.degree - 1)]) for bits in (110, 100))
    holder = lattice._Public(keys.public_key(p, bytes(32), b))
    row = Row(p.degree, (1,), 1000)
    made = rlwe.Ciphertexts(p, holder.key.id, np.zeros_like(c1), c1, p.public_noise)
    sums = lattice._Sums(Layout.of(row, p.degree), (lattice._Term(made, 1, 1),))
    weight = 777
    responses = holder.rerandomise(holder.scale(np.array([weight]), sums, row), full=False).responses
    step = p.q / 2**p.switch_bits
    u = np.rint(responses.c0.view(np.int64) * step / 2**110).astype(np.int64)
    assert set(np.unique(u)) == {-1, 0, 1}
    mask = kernel.lift(p.ring, u)
    ntt.forward(p.ring, mask)
    mask = ntt.multiply(p.ring, mask, holder.key.a)
    ntt.inverse(p.ring, mask)
    bare = (responses.c1 - kernel.switch(p.ring, p.scale, mask)).view(np.int64)
    assert round(bare[0, 0] * step / 2**100) == weight
    with pytest.raises(InputError, match="not from one who makes it to spy"):
        holder.rerandomise(sums, full=True)


def test_an_empty_group_looks_like_any_other():
    public, private = short()
    result = private.encrypt([5, 6], **LIMITS).groupby([0, 0], groups=3).sum()
    responses = public._scheme.rerandomise(result._cells, full=False).responses
    assert private.decrypt(sent(result, public)).tolist() == [11, 0, 0]
    for row in responses.c1:
        counts = np.bincount(
            (row >> np.uint64(public._scheme.key.parameters.switch_bits - 4)).astype(int), minlength=16
        )
        assert ((counts - DEGREE / 16) ** 2 / (DEGREE / 16)).sum() < 74  # 15 degrees of freedom: once in 10^9


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda b: b"\3" + b[1:], "no known kind"),
        (lambda b: b"\1" + b[1:], "left over|too early|another"),
        (lambda b: b"\2" + b[1:], "left over|too early|another"),
        (lambda b: b[:1] + b"\2" + b[2:], "of no known kind"),
        (lambda b: b[:1] + b"\1" + b[2:], "too early"),
        (lambda b: b[:2] + bytes(16) + b[18:], "under another key"),
        (lambda b: b[:18] + struct.pack("<I", 3) + b[22:], "too early"),
        (lambda b: b[:18] + struct.pack("<I", 2**32 - 1) + b[22:], "too early"),
        (lambda b: b[:18] + struct.pack("<I", 1) + b[22:], "left over"),
        (lambda b: b[:22] + b"\xff" * 50 + b[72:], "not below its prime"),
    ],
)
def test_hostile_ciphertexts(change, match):
    public, private = short()
    data = private.encrypt(np.ones(DEGREE + 1, np.int64), **LIMITS).to_bytes()
    with pytest.raises(PeerError, match=match):
        EncryptedArray.from_bytes(resealed(data, body=lambda body: change(bytes(body))), public)


@pytest.mark.parametrize("single", [False, True])
@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda b: b[:1] + bytes(16) + b[17:], "under another key"),
        (lambda b: b[:17] + struct.pack("<I", 3) + b[21:], "too early"),
        (lambda b: b[:17] + struct.pack("<I", 1) + b[21:], "left over"),
        (lambda b: b[:17] + struct.pack("<I", 0) + b[21:], "left over"),
        (lambda b: b"\0" + b[1:], "no known kind|another key"),
        (lambda b: (b"\2" if b[:1] == b"\1" else b"\1") + b[1:], "too early|left over|another number"),
    ],
)
def test_hostile_responses(single, change, match):
    public, private = short()
    rows = 2 if single else DEGREE + 1
    array = private.encrypt(np.ones(DEGREE + 1, np.int64), **LIMITS)
    data = (array[[0, DEGREE]] if single else array + array).to_bytes()
    assert private.decrypt(EncryptedArray.from_bytes(data, public)).tolist() == [1 if single else 2] * rows
    with pytest.raises(PeerError, match=match):
        EncryptedArray.from_bytes(resealed(data, body=lambda body: change(bytes(body))), public)


def test_a_forged_weight_makes_nothing_wrap():
    public, private = short()
    data = resealed(private.encrypt([500], **LIMITS).to_bytes(), lambda header: header | {"weight": 0})
    forged = EncryptedArray.from_bytes(data, public)
    assert forged.weight == 0
    for compute in (lambda: forged * 60 * 60, lambda: (forged * [60]) * [60], lambda: forged[[0] * 60].sum() * 2):
        with pytest.raises(InputError, match="more than the terms of the key"):
            compute()


def test_values_beyond_the_bound_are_noticed():
    public, private = short()
    cells = public._scheme.encrypt(np.array([[400], [30_000]]), Row(1, (500,), 60))
    forged = resealed(public.encrypt([1, 2], **LIMITS).to_bytes(), body=lambda _: public._scheme.cells_to_bytes(cells))
    array = EncryptedArray.from_bytes(forged, public)
    for each in (array, array * 1, array * [1, 1], sent(array + array[[0, 0]], public)):
        with pytest.raises(PeerError, match="row 1 holds more than its declared bound"):
            private.decrypt(each)


@pytest.mark.parametrize(
    ("bits", "terms"),
    [(0, 1), (1, 1), (51, 1), (255, 1), (16, 0), (16, 2**32 + 1), (16, 2**64 - 1), (17, 60), (16, 61)],
)
def test_hostile_limits_of_keys(bits, terms):
    public, private = short()
    limits = struct.pack("<BQ", bits, terms)
    with pytest.raises(PeerError, match=r"no sound limits|other parameters"):
        PublicKey.from_bytes(resealed(public.to_bytes(), body=lambda body: limits + bytes(body[9:])))
    with pytest.raises(InputError, match=r"no sound limits|does not have the id"):
        PrivateKey.from_bytes(resealed(private.to_bytes(), body=lambda body: bytes(body[:-9]) + limits))


def test_hostile_keys():
    public, private = short()
    for data, read, error in (
        (public.to_bytes(), PublicKey.from_bytes, PeerError),
        (private.to_bytes(), PrivateKey.from_bytes, InputError),
    ):
        for length in (0, 1, 8, 9, 10, 40, 72, 73, 74, 1000):
            for body in (bytes(length), b"\xff" * length):
                with pytest.raises(error):
                    read(resealed(data, body=lambda _, body=body: body))
        for cut in (1, 9, 16):
            with pytest.raises(error):
                read(resealed(data, body=lambda body, cut=cut: body[:-cut]))
        with pytest.raises(error):
            read(resealed(data, body=lambda body: body + b"\0"))
    with pytest.raises(PeerError, match="not below its prime"):
        PublicKey.from_bytes(resealed(public.to_bytes(), body=lambda body: body[:-50] + b"\xff" * 50))
    with pytest.raises(PeerError, match="does not have the id"):
        PublicKey.from_bytes(resealed(public.to_bytes(), body=lambda body: body[:-1] + bytes([body[-1] ^ 1])))
    again = PrivateKey.from_bytes(private.to_bytes())
    assert again.decrypt(sent(PublicKey.from_bytes(public.to_bytes()).encrypt([5, -5], **LIMITS), public)).tolist() == [
        5,
        -5,
    ]


entries = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3), st.integers(-3, 3)), max_size=12)


def weighting(results, entries):
    columns = np.array(entries, np.int64).reshape(-1, 3).T
    return Weighting.of(results, *columns)


def dense(weighting, sources):
    matrix = np.zeros((weighting.results, sources), np.int64)
    matrix[weighting.row, weighting.source] += weighting.weight
    return matrix


@given(one=entries, other=entries, first=st.integers(0, 5), more=st.integers(0, 5))
def test_weightings_are_matrices(one, other, first, more):
    a, b = weighting(5, one), weighting(5, other)
    summed = np.zeros((5, 4), np.int64)
    for row, source, weight in one:
        summed[row, source] += weight
    assert np.array_equal(dense(a, 4), summed)
    assert (a.weight != 0).all()
    assert a.largest == np.abs(summed).sum(axis=1).max()
    assert np.array_equal(dense(a + b, 4), dense(a, 4) + dense(b, 4))
    assert np.array_equal(dense(b.after(a), 4), dense(b, 5) @ dense(a, 4))
    assert np.array_equal(dense(Weighting.identity(5).after(a), 4), dense(a, 4))
    last = min(5, first + more)
    if first <= last:
        assert np.array_equal(dense(a.between(first, last), 4), dense(a, 4)[first:last])
    order = list(zip(a.row.tolist(), a.source.tolist(), strict=True))
    assert order == sorted(set(order))
