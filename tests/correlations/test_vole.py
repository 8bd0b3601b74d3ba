from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import vole as ideal

from fusion.channel import simulate
from fusion.channel.mailbox import Mailbox
from fusion.correlations import vole
from fusion.errors import InputError
from fusion.kernels import block, code

from .parties import Seeded, run


def correlate(lengths, *, seed=None, threads=None, window=1):
    """(delta, session id, sender's source, Bs), (receiver's source, [(A, C), ...])."""
    sources = [{"source": Seeded(seed + role)} if seed else {} for role in "sr"]

    def sender(peer, session):
        side = vole.Sender.open(peer, session, threads=threads, **sources[0])
        return side.delta, session.id, [side.extend(peer, session, n, threads=threads) for n in lengths]

    def receiver(peer, session):
        side = vole.Receiver.open(peer, session, threads=threads, **sources[1])
        return [side.extend(peer, session, n, threads=threads) for n in lengths]

    out = run(sender, receiver, window=window)
    return *out, *(options.get("source") for options in sources)


def check(delta, b, a, c):
    assert a.shape == b.shape == c.shape
    assert (c == block.scale(a, delta) ^ b).all()


def numbers(rows):
    return [int.from_bytes(row.tobytes(), "little") for row in rows]


@pytest.mark.parametrize("length", [1, 2, 127, 128, 129, 2047, 2048, 2049, 2305, 40_000])
def test_the_equation_holds_everywhere(length):
    (delta, _, [b]), [(a, c)], *_ = correlate([length])
    assert len(a) == length
    check(delta, b, a, c)


@settings(max_examples=8, deadline=None)
@given(st.lists(st.integers(1, 9000), min_size=1, max_size=3))
def test_any_lengths_in_a_row(lengths):
    (delta, _, bs), pairs, *_ = correlate(lengths)
    for length, b, (a, c) in zip(lengths, bs, pairs, strict=True):
        assert len(a) == length
        check(delta, b, a, c)


def test_every_share_is_that_of_the_twin(monkeypatch):
    """Byte by byte, with trees of two and three leaves so that the twin stays quick."""
    monkeypatch.setattr(vole, "_SHORTEST", 2)
    lengths = [200, 300]
    (delta, session, bs), pairs, sent, received = correlate(lengths, seed="twin")
    # the sender draws bits, a scalar and then roots; the receiver a scalar, roots, and then places and values
    roots, drawn = sent.given[2:], received.given[2:]
    for i, length in enumerate(lengths):
        leaves = max(2, -(-length // 128))
        words = [int.from_bytes(drawn[2 * i][8 * k : 8 * k + 8], "little") for k in range(256)]
        a, b, c = ideal.extend(
            int.from_bytes(delta, "little"),
            [roots[i][16 * k : 16 * k + 16] for k in range(256)],
            [word * leaves >> 64 for word in words],
            [int.from_bytes(drawn[2 * i + 1][16 * k : 16 * k + 16], "little") for k in range(256)],
            session + (i + 1).to_bytes(8, "little"),
            leaves,
            length,
        )
        assert numbers(bs[i]) == b
        assert numbers(pairs[i][0]) == a
        assert numbers(pairs[i][1]) == c


def test_threads_change_nothing():
    one, two = (correlate([5000], seed="t", threads=threads) for threads in (1, 2))
    assert one[0][0] == two[0][0]  # the rest depends on the session too
    check(two[0][0], two[0][2][0], *two[1][0])


def test_one_opening_serves_several_operations():
    def play(role):
        def party(peer):
            side, out = None, []
            for _ in range(3):
                with peer.operation("test.correlations"):
                    session = peer.open(learn="both", kinds=(), rows=0, parameters={})
                    side = side or role.open(peer, session)
                    out.append(side.extend(peer, session, 300))
                    peer.finish({})
            return side, out

        return party

    out = simulate(a=play(vole.Sender), b=play(vole.Receiver))
    side, bs = out["a"]
    for b, (a, c) in zip(bs, out["b"][1], strict=True):
        check(side.delta, b, a, c)
    everything = np.concatenate([*bs, *(a for a, _ in out["b"][1])])
    assert len(np.unique(everything, axis=0)) == 6 * 300


def test_what_a_party_gets_looks_uniform():
    """Seven standard deviations of 387 figures: what depends on the session is drawn anew in every run."""
    (_, _, [b]), [(a, c)], *_ = correlate([40_000], seed="uniform")
    for rows in (a, b, c):
        assert len(np.unique(rows, axis=0)) == len(rows)
        counts = np.bincount(rows.reshape(-1), minlength=256)
        expected = rows.size / 256
        statistic = ((counts - expected) ** 2 / expected).sum()
        assert abs(statistic - 255) < 7 * np.sqrt(510)
        share = np.unpackbits(rows, axis=0).reshape(len(rows), 8, 16).mean(axis=0)
        assert abs(share - 0.5).max() < 7 * 0.5 / np.sqrt(len(rows))


def test_deltas_and_places_are_spread():
    """Secrets drawn by the parties cover their range: no bit of delta is constant, no leaf is left out."""
    deltas = [correlate([1])[0][0] for _ in range(40)]
    bits = np.unpackbits(np.frombuffer(b"".join(deltas), np.uint8).reshape(40, 16), axis=1).sum(axis=0)
    assert 1 <= bits.min() <= bits.max() <= 39
    words = np.random.default_rng(1).integers(0, 2**64, 20_000, dtype=np.uint64)
    for bound in (2, 3, 16, 11_016, 2**20):
        places = vole._below(bound, words)
        assert [int(p) for p in places[:200]] == [int(w) * bound >> 64 for w in words[:200]]
        assert places.max() < bound
    assert set(vole._below(16, words)) == set(range(16))


def test_the_code_mixes_the_bits_of_the_field():
    """Eight places of noise span eight dimensions over GF(2); a code over GF(2) would leave it at that."""
    vector = np.zeros((4096, 16), np.uint8)
    places = np.arange(8) * 512 + 3
    vector[places] = np.random.default_rng(2).integers(0, 256, (8, 16), dtype=np.uint8)
    assert rank(numbers(vector)) == 8
    assert rank(numbers(code.Code(len(vector)).compress(vector))) == 128


def rank(words):
    basis = {}
    for word in words:
        left = word
        while left and left.bit_length() in basis:
            left ^= basis[left.bit_length()]
        if left:
            basis[left.bit_length()] = left
    return len(basis)


def test_lengths_and_frames_depend_on_the_length_only(monkeypatch):
    def frames(length):
        seen, put = [], Mailbox.put

        def record(self, frame, *rest):
            seen.append((int(frame.kind), frame.stream, len(frame.payload)))
            put(self, frame, *rest)

        with monkeypatch.context() as patch:
            patch.setattr(Mailbox, "put", record)
            correlate([length])
        return sorted(seen)

    assert frames(2100) == frames(2100) == frames(2176)
    assert len(frames(2100)) == len(frames(1))
    assert frames(2100) != frames(1)


def test_bytes_are_those_of_the_docstring():
    length = 140_000
    depth = 11
    out = {}

    def measured(name, role):
        def play(peer):
            with peer.operation("test.correlations"):
                session = peer.open(learn="both", kinds=(), rows=0, parameters={})
                role.open(peer, session).extend(peer, session, length)
                peer.finish({})
            out[name] = peer.receipt()

        return play

    simulate(s=measured("s", vole.Sender), r=measured("r", vole.Receiver))
    opening_s, opening_r = 32 * 256, 32 * 256 + 16 * 256
    assert vole.leaves(length) == -(-length // 128)
    extension_s = 256 * (32 * depth + 16)
    extension_r = 256 * 512 + 256 * 16 * depth
    for name, expected in (("s", opening_s + extension_s), ("r", opening_r + extension_r)):
        assert 0 <= out[name].bytes_sent - expected < 1200, name


@pytest.mark.parametrize("length", [0, -1, 2**27 + 1])
def test_lengths_out_of_range_are_refused(length):
    with pytest.raises(InputError, match="1 to 134217728"):
        vole.leaves(length)


def test_nothing_secret_is_printed():
    def texts(role):
        return lambda peer, session: repr(role.open(peer, session))

    assert run(texts(vole.Sender), texts(vole.Receiver)) == ("<vole.Sender>", "<vole.Receiver>")
