"""Inner products of two parties under encryption: what they are, how precise, and what a bad peer gets."""

from __future__ import annotations

import numpy as np
import pytest

import fusion
from fusion.errors import FusionError, PeerAborted, PeerError
from fusion.learning.inner_products import Answering, Asking

from .tampering import MUTATIONS, Tampering, inside


def both(ask, answer, *, rows=10):
    """Play one side each in an operation."""

    def role(side, play):
        return lambda peer: inside(peer, rows, lambda channel: play(side(channel)))

    return fusion.simulate(label=role(Asking, ask), feature=role(Answering, answer))["label"]


@pytest.mark.parametrize(("n", "ours", "theirs"), [(1, 1, 1), (8192, 2, 3), (8193, 1, 2), (20_000, 2, 35)])
def test_products_are_precise_to_their_norms(n, ours, theirs):
    random = np.random.default_rng(n)
    mine = random.normal(size=(ours, n)) * 10.0 ** random.integers(-9, 9, (ours, 1))
    yours = random.gamma(1.0, size=(theirs, n)) * 10.0 ** random.integers(-9, 9, (theirs, 1))
    found = both(
        lambda asking: (asking.columns(mine, theirs), asking.row(np.tile(mine, (17, 1)))),
        lambda answering: (answering.columns(yours, ours), answering.row(yours[:1], 17 * ours)),
    )
    norms = np.linalg.norm(yours, axis=1)[:, None] * np.linalg.norm(mine, axis=1)
    assert found[0].shape == (theirs, ours)
    assert (np.abs(found[0] - yours @ mine.T) / norms).max() < 2.0**-22
    assert (np.abs(found[1] - np.tile(mine, (17, 1)) @ yours[0]) / np.tile(norms[0], 17)).max() < 2.0**-22


def test_the_largest_products_do_not_wrap():
    """Equal vectors meet the bound of Cauchy and Schwarz; norms just below a power of two are the worst."""
    worst = np.full((1, 5000), np.nextafter(1.0, 0) / np.sqrt(5000))
    spike = np.zeros((1, 5000))
    spike[0, 4999] = np.nextafter(1.0, 0)
    rows = np.concatenate([worst, -worst, spike, -spike])
    found = both(lambda asking: asking.columns(rows, 4), lambda answering: answering.columns(rows, 4))
    np.testing.assert_allclose(found, rows @ rows.T, atol=2.0**-22)
    told = both(lambda asking: asking.row(rows), lambda answering: answering.row(rows[:1], 4))
    np.testing.assert_allclose(told, rows @ worst[0], atol=2.0**-22)


def test_rows_of_zeros_and_tiny_numbers():
    mine = np.array([[0.0, 0.0], [1e-250, 2e-250], [1e250, 0.0]])
    yours = np.array([[3.0, 4.0], [0.0, 0.0]])
    found = both(lambda asking: asking.columns(mine, 2), lambda answering: answering.columns(yours, 3))
    norms = np.array([[5.0], [0.0]]) * np.array([0.0, np.sqrt(5) * 1e-250, 1e250])
    assert (np.abs(found - yours @ mine.T) <= norms * 2.0**-22).all()


def test_digits_below_rounding_say_nothing():
    """The same products again and again differ in all of the 23 bits, and in no other."""
    row = np.ones((1, 4)) / 2  # whole numbers of 2^22 each, with a product of 2^46

    def values(told):
        return np.ldexp(told, 46).astype(np.int64)

    asked = both(
        lambda asking: (asking.columns(row.repeat(300, axis=0), 1).ravel(), asking.row(row.repeat(300, axis=0))),
        lambda answering: (answering.columns(row, 300), answering.row(row, 300)),
    )
    for told in asked:
        off = values(told) - 2**46
        assert -(2**22) <= off.min() < -(2**22) * 0.85  # all 300 above it: 1 in 10^10
        assert 2**22 * 0.85 < off.max() < 2**22
        assert abs(off.mean()) < 2**22 * 0.2  # 6 standard deviations
        low = np.bincount(off & 7, minlength=8)
        assert ((low - 37.5) ** 2 / 37.5).sum() < 56  # chi-square of 7 degrees of freedom: 1 in 10^9


def test_what_the_feature_party_opens_is_uniform(monkeypatch):
    """The same products again and again: their masked values fill all of the plaintext modulus evenly."""
    opened = []
    kept = Answering.opened

    def opening(self, data, count):
        found = kept(self, data, count)
        opened.append(found)
        return found

    monkeypatch.setattr(Answering, "opened", opening)
    both(lambda asking: asking.row(np.ones((512, 4))), lambda answering: answering.row(np.ones((1, 4)), 512))
    values = np.concatenate(opened)
    assert len(np.unique(values)) == 512
    counts = np.bincount((values >> np.uint64(47)).astype(int), minlength=8)  # the top 3 of 50 bits
    assert ((counts - 64) ** 2 / 64).sum() < 56  # chi-square of 7 degrees of freedom: 1 in 10^9
    low = np.bincount((values & np.uint64(7)).astype(int), minlength=8)
    assert ((low - 64) ** 2 / 64).sum() < 56


@pytest.mark.parametrize("mutation", MUTATIONS)
@pytest.mark.parametrize("message", range(4))
@pytest.mark.parametrize("who", ["label", "feature"])
def test_bad_bytes_from_either_side(who, message, mutation):
    """Key, ciphertexts or scale, answers, shares: typed, in one line, without a hang; random ones may also pass."""
    raised, tampering = {}, {}

    def wrap(name, peer):
        if name == who:
            peer = tampering["it"] = Tampering(peer, message, MUTATIONS[mutation])
        return peer

    def role(name, side, play):
        def run(peer):
            try:
                inside(wrap(name, peer), 10, lambda channel: play(side(channel)))
            except FusionError as error:
                raised[name] = error

        return run

    def ask(asking):
        asking.columns(np.ones((1, 3)), 2)
        asking.row(np.ones((2, 3)))

    def answer(answering):
        answering.columns(np.ones((2, 3)), 1)
        answering.row(np.ones((1, 3)), 2)

    fusion.simulate(label=role("label", Asking, ask), feature=role("feature", Answering, answer))
    assert not any("\n" in str(error) for error in raised.values())
    assert tampering["it"].sent > message or raised or message == 3
    if tampering["it"].sent > message and mutation in ("shorter", "longer", "nothing"):
        assert isinstance(raised["feature" if who == "label" else "label"], PeerError | PeerAborted)
