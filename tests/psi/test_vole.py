"""The fast intersection on bare items: against its twin, on the wire, and how often it may be wrong."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import gf128
from reference import okvs as store_twin

import fusion
from fusion.channel import Session
from fusion.correlations import vole as correlation
from fusion.crypto import okvs
from fusion.crypto.random import permutation
from fusion.psi import ecdh, vole
from fusion.psi import matches as tags

from .parties import agrees, meet, one_opening, sets, twin
from .recording import recorded

_SEED, _STORE, _TAGS, _BITS = 1, 2, 3, 4


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def rows_on(frames, stream, width):
    """What travelled on a stream, as rows; the correlation's flights use stream 1 as the seed does."""
    data = b"".join(bytes(frame.payload)[8:] for frame in frames if frame.kind == 4 and frame.stream == stream)
    return np.frombuffer(data, np.uint8).reshape(-1, width)


# --- the result ---


@settings(max_examples=25, deadline=None)
@given(
    nx=st.integers(0, 40),
    ny=st.integers(0, 40),
    share=st.floats(0, 1),
    learn=st.sampled_from(["both", "left", "right"]),
    window=st.sampled_from([1, 2, 16]),
    seed=st.integers(0, 2**32),
)
def test_agrees_with_the_twin(nx, ny, share, learn, window, seed):
    left, right = sets(rng(seed), nx, ny, round(share * min(nx, ny)))
    [got] = meet(vole, [(left, right)], learn=learn, window=window)
    assert [found is None for found in got] == [learn == "right", learn == "left"]
    assert agrees(left, right, got)


@pytest.mark.parametrize("learn", ["both", "left", "right"])
def test_more_than_a_frame_of_everything(learn):
    """Stores of 37,000 elements, 53,000 tags; one frame of each may be under way."""
    left, right = sets(rng(), 35_000, 70_000, 20_000)
    [got] = meet(vole, [(left, right)], learn=learn, window=1)
    assert agrees(left, right, got)


@pytest.mark.parametrize(("nx", "ny", "receiver"), [(3, 4, "left"), (4, 3, "right"), (4, 4, "left"), (0, 4, "left")])
def test_of_two_learners_the_smaller_receives(nx, ny, receiver, monkeypatch):
    assert receives(monkeypatch, "both", nx, ny) == receiver


@pytest.mark.parametrize("sizes", [(3, 4), (4, 3), (0, 9), (9, 0)])
@pytest.mark.parametrize("learner", ["left", "right"])
def test_who_learns_alone_receives(sizes, learner, monkeypatch):
    assert receives(monkeypatch, learner, *sizes) == learner


def receives(monkeypatch, learn, nx, ny):
    names = []
    play = vole._receiver
    monkeypatch.setattr(vole, "_receiver", lambda peer, *rest: (names.append(peer.name), play(peer, *rest))[1])
    meet(vole, [sets(rng(), nx, ny, 0)], learn=learn)
    [name] = names
    return name


# --- what is computed, by hand ---


def halves(session, item):
    prefix = hashlib.sha256(b"fusion/psi/vole/1/" + vole.SUITE.encode() + b"/item").digest() + session
    digest = hashlib.sha256(prefix + item).digest()
    return digest[:16], digest[16:]


def test_every_tag_and_the_store_are_those_of_the_twin(monkeypatch):
    """From the shares of the correlation on, byte by byte."""
    seen = {}

    def spy(kind, copied):
        extend = kind.extend

        def spied(self, peer, session, length, **options):
            shares = extend(self, peer, session, length, **options)
            seen[kind], seen["session"] = copied(self, shares), session.id  # the protocol works in place
            return shares

        monkeypatch.setattr(kind, "extend", spied)

    spy(correlation.Sender, lambda side, b: (side.delta, b.copy()))
    spy(correlation.Receiver, lambda side, shares: shares[0].copy())
    order = [2, 0, 3, 1]
    monkeypatch.setattr(vole, "permutation", lambda n: np.array(order[:n]))
    left, right = sets(rng(1), 3, 4, 2)
    with recorded(monkeypatch) as frames:
        [(mine, other)] = meet(vole, [(left, right)])
    session, (delta, b), a = seen["session"], seen[correlation.Sender], seen[correlation.Receiver]
    width = tags.tag_bytes(3, 4)
    sizes = okvs.parameters(3)
    [seed] = [bytes(f.payload)[8:] for f in frames if f.kind == 4 and f.stream == _SEED and len(f.payload) == 24]
    masked = rows_on(frames, _STORE, 16)

    keys, values = zip(*(halves(session, row.tobytes()) for row in left), strict=True)
    plain = store_twin.encode(seed, list(keys), list(values), sizes.bins, sizes.slots)
    assert (masked == np.frombuffer(b"".join(plain), np.uint8).reshape(-1, 16) ^ a).all()

    number = int.from_bytes(delta, "little")
    k = [
        gf128.multiply(int.from_bytes(sent, "little"), number) ^ int.from_bytes(share, "little")
        for sent, share in zip(masked.tolist(), b.tolist(), strict=True)
    ]
    elements = [element.to_bytes(16, "little") for element in k]
    prefix = hashlib.sha256(b"fusion/psi/vole/1/" + vole.SUITE.encode() + b"/tag").digest() + session
    expected = []
    for row in right:
        key, value = halves(session, row.tobytes())
        decoded = int.from_bytes(store_twin.decode(seed, key, elements, sizes.bins, sizes.slots), "little")
        total = decoded ^ gf128.multiply(int.from_bytes(value, "little"), number)
        expected.append(hashlib.sha256(prefix + total.to_bytes(16, "little") + key).digest()[:width])
    assert [row.tobytes() for row in rows_on(frames, _TAGS, width)] == [expected[j] for j in order]
    assert (mine.tags == other.tags).all()
    assert [row.tobytes() for row in mine.tags] == sorted(expected[j] for _, j in twin(left, right))
    bits = np.unpackbits(rows_on(frames, _BITS, 1).ravel())[:4]
    assert bits.tolist() == [int(j in {j for _, j in twin(left, right)}) for j in order]


# --- what the wire shows ---


@pytest.mark.parametrize("learn", ["both", "left"])
def test_the_wire_shows_nothing_that_can_be_computed_from_items(monkeypatch, learn):
    plain, hashed = [], []
    encode, split = okvs.encode, vole._keys_and_values

    def encoded(*arguments, **options):
        plain.append(encode(*arguments, **options))
        stored = plain[0]
        plain[0] = stored.copy()  # it is masked in place
        return stored

    def halved(*arguments):
        hashed.append(split(*arguments))
        return hashed[-1]

    monkeypatch.setattr(vole.okvs, "encode", encoded)
    monkeypatch.setattr(vole, "_keys_and_values", halved)
    left, right = sets(rng(2), 300, 300, 100)
    with recorded(monkeypatch) as frames:
        meet(vole, [(left, right)], learn=learn)
    wire = b"".join(bytes(frame.payload) for frame in frames)
    assert len(wire) > 200_000
    for rows in (left, right, plain[0], *(part for both in hashed for part in both)):
        for row in rows:
            if row.any():  # columns that no key needs are zero before they are masked
                assert row[:8].tobytes() not in wire
                assert row[-8:].tobytes() not in wire
    masked = rows_on(frames, _STORE, 16)
    assert len(np.unique(masked, axis=0)) == len(masked)  # so free columns are masked too, each by its own
    # whoever holds a shared item and decodes what it received finds no value
    seed = next(bytes(f.payload)[8:] for f in frames if f.kind == 4 and f.stream == _SEED and len(f.payload) == 24)
    (keys, values), *_ = hashed
    assert not (okvs.decode(okvs.parameters(300), seed, keys, masked) == values).all(axis=1).any()


def test_every_operation_draws_everything_anew(monkeypatch):
    pair = sets(rng(3), 200, 200, 200)
    sent = []
    for _ in range(2):
        with recorded(monkeypatch) as frames:
            meet(vole, [pair])
        seeds = {bytes(f.payload)[8:] for f in frames if f.kind == 4 and f.stream == _SEED}
        stores = {row.tobytes() for row in rows_on(frames, _STORE, 16)}
        sent.append(seeds | stores | {row.tobytes() for row in rows_on(frames, _TAGS, tags.tag_bytes(200, 200))})
    assert sent[0].isdisjoint(sent[1])


@pytest.mark.parametrize("protocol", [vole, ecdh])
def test_items_travel_in_a_random_order(monkeypatch, protocol):
    """Of the same items in the same order, and the same secrets but for the order."""
    left, right = sets(rng(5), 40, 40, 40)
    drawn = []

    def spied(n):
        drawn.append(permutation(n))
        return drawn[-1]

    monkeypatch.setattr(protocol, "permutation", spied)
    (mine, other), (again, _) = meet(protocol, [(left, right)] * 2)
    assert {tuple(sorted(order)) for order in drawn} == {tuple(range(40))}
    assert len({tuple(order) for order in drawn}) == len(drawn) == (2 if protocol is vole else 4)
    assert agrees(left, right, (mine, other))
    assert mine.ours.tolist() != again.ours.tolist()


def test_items_are_hashed_with_the_session():
    items = rng(4).integers(0, 256, (70_000, 32), dtype=np.uint8)  # more than are hashed at a time
    sessions = [Session(bytes([i]) * 32, None, None) for i in (1, 2)]
    (keys, values), (others, _) = (vole._keys_and_values(session, items) for session in sessions)
    for i in (0, 1, 65_535, 65_536, 69_999):
        assert halves(sessions[0].id, items[i].tobytes()) == (keys[i].tobytes(), values[i].tobytes())
    assert not (keys == others).all(axis=1).any()


# --- failures ---


def test_a_store_without_solution_ends_in_an_error_on_both_sides(monkeypatch):
    """600 keys in 480 columns; one key less finds the sizes it needs."""
    enough = okvs.parameters
    monkeypatch.setattr(vole.okvs, "parameters", lambda n: okvs.Parameters(n, 1, 1) if n == 600 else enough(n))
    caught = {}

    def role(items):
        def play(peer):
            for rows in (items, items[1:]):
                try:
                    with peer.operation("psi.intersect"):
                        session = peer.open(learn="both", kinds=(), rows=len(rows), parameters={})
                        found = vole.matches(peer, session, [rows].pop)
                        peer.finish({})
                    caught[peer.name, len(rows)] = len(found.ours)
                except fusion.FusionError as error:
                    caught[peer.name, len(rows)] = error

        return play

    left, right = sets(rng(5), 600, 700, 600)
    fusion.simulate(left=role(left), right=role(right))
    ours, theirs = caught["left", 600], caught["right", 700]
    assert type(ours) is fusion.FusionError
    assert "no solution" in str(ours)
    assert isinstance(theirs, fusion.PeerAborted)
    assert "FusionError" in str(theirs)
    assert caught["left", 599] == caught["right", 699]  # the channel serves again
    assert caught["left", 599] in (598, 599)


def test_different_items_share_a_tag_as_often_as_its_width_says(monkeypatch):
    """Tags of one byte: each of 20,000 items of the receiver matches the sender's one item by chance."""
    collisions = runs = 0
    compare = vole.join

    def counting(ours, theirs):
        nonlocal collisions, runs
        if theirs.shape == (1, 1):
            collisions += int((ours == theirs[0]).all(axis=1).sum())
            runs += len(ours)
        return compare(ours, theirs)

    monkeypatch.setattr(vole, "tag_bytes", lambda ours, theirs: 1)
    monkeypatch.setattr(vole, "join", counting)
    meet(vole, [sets(rng(i), 20_000, 1, 0) for i in range(3)], learn="left")
    assert runs == 60_000
    # so wide, 147 to 334, that chance leaves it once in a billion runs; tags of one bit more or less give 117 or 469
    assert store_twin.inside_interval(collisions, runs, 1 / 256, 1 - 1e-9), f"{collisions} of {runs}"


def chance_of_a_wrong_match(nx, ny, bits):
    """That of nx and ny independent tags some two are equal: over how many different ones the ny are."""
    space = 2**bits
    different = np.zeros(ny + 1)
    different[0] = 1
    for _ in range(ny):
        taken = np.arange(ny + 1) / space
        different = different * taken + np.roll(different * (1 - taken), 1)
    return 1 - float(different @ (1 - np.arange(ny + 1) / space) ** nx)


def test_the_chance_of_a_wrong_match():
    assert chance_of_a_wrong_match(1, 1, 8) == pytest.approx(1 / 256)
    assert chance_of_a_wrong_match(64, 64, 16) == pytest.approx(64 * 64 / 2**16, rel=0.04)
    # the width that the product takes, for sizes of every kind
    for nx, ny in ((1, 1), (5, 1000), (4096, 3)):
        assert nx * ny * 2.0 ** (-8 * tags.tag_bytes(nx, ny)) <= 2.0**-40


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_wrong_matches_are_as_rare_as_the_formula_says(monkeypatch):
    """With 4 bits of statistical security instead of 40, sets of 64 by 64 without a common item."""
    runs, n = 4000, 64
    monkeypatch.setattr(tags, "_STATISTICAL_SECURITY", 4)
    assert tags.tag_bytes(n, n) == 2
    chance = chance_of_a_wrong_match(n, n, 16)
    assert chance <= 2**-4
    with one_opening(monkeypatch):
        got = meet(vole, [sets(rng(i), n, n, 0) for i in range(runs)], learn="left")
    wrong = sum(bool(len(mine.ours)) for mine, _ in got)
    assert store_twin.inside_interval(wrong, runs, chance, 1 - 1e-9), f"{wrong} of {runs}, expected {chance:.4f}"


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_ten_thousand_small_runs_are_right(monkeypatch):
    source, wrong = rng(6), 0
    with one_opening(monkeypatch):
        for learn in ("both", "left"):
            for _ in range(50):  # openings; a hundred operations on each
                pairs = []
                for _ in range(100):
                    nx, ny = (int(n) for n in source.integers(0, 200, 2))
                    pairs.append(sets(source, nx, ny, int(source.integers(0, min(nx, ny) + 1))))
                got = meet(vole, pairs, learn=learn)
                wrong += sum(not agrees(*pair, found) for pair, found in zip(pairs, got, strict=True))
    assert wrong == 0


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_two_hundred_large_runs_are_right():
    """2^16 by 2^16, everything drawn anew: no failure in 200 bounds the rate by 3/200, with 95 % confidence."""
    source, n = rng(7), 1 << 16
    for _ in range(200):
        pair = sets(source, n, n, n // 2)
        [(mine, other)] = meet(vole, [pair])
        assert len(mine.ours) == len(other.ours) == n // 2
        assert (pair[0][mine.ours] == pair[1][other.ours]).all()
