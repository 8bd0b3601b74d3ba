"""The objective from two halves is the pooled one, for every family."""

from __future__ import annotations

import numpy as np
import pytest

import fusion
from fusion.channel import Chunk
from fusion.errors import PeerError
from fusion.learning.families import Family
from fusion.learning.ideal import Pooled
from fusion.learning.vertical import VerticalObjective, ask_to_stop, receive_numbers, serve

from .clear import ClearAnswering, ClearAsking

FAMILIES = [
    Family.of("gaussian", None),
    Family.of("poisson", None),
    Family.of("gamma", None),
    Family.of("tweedie", 1.3),
]


def data(family, rows=300, a=3, b=2, seed=1):
    random = np.random.default_rng(seed)
    x = random.normal(size=(rows, a + b))
    x = (x - x.mean(0)) / x.std(0)
    offset = random.uniform(-0.5, 0.5, rows)
    weight = random.integers(1, 4, rows).astype(float)
    mean = np.exp(x @ random.normal(size=a + b) * 0.3 + offset)
    y = random.gamma(2.0, mean / 2) if family.power == 2 else random.poisson(mean).astype(float)
    return x[:, :a], x[:, a:], y, offset, weight


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize(("a", "b"), [(3, 2), (1, 0), (2, 1)])
@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_two_halves_are_the_whole(family, a, b, intercept):
    if b == 0 and not intercept:
        b = 1
    xa, xb, y, offset, weight = data(family, a=a, b=b)
    pooled_x = np.column_stack([xa, xb, *([np.ones(len(y))] if intercept else [])])
    k = pooled_x.shape[1]
    pooled = Pooled(family, pooled_x, y, offset, weight, k - 1 if intercept else None)
    betas = np.random.default_rng(2).normal(size=(3, k)) * 0.2

    def label(peer):
        with peer.operation("test.fit"):
            peer.open(learn="both", kinds=(), rows=len(y), parameters={})
            objective = VerticalObjective(
                peer, ClearAsking(peer), family, xb, y, offset, weight, theirs=a, intercept=intercept
            )
            found = [objective.gram(), *(objective.evaluate(beta) for beta in betas), *map(objective.fisher, betas)]
            assert (objective.columns, objective.intercept) == (pooled.columns, pooled.intercept)
            ask_to_stop(peer, a)
        return found

    def feature(peer):
        with peer.operation("test.fit"):
            peer.open(learn="both", kinds=(), rows=len(y), parameters={})
            serve(peer, ClearAnswering(peer), family, xa, theirs=b + intercept, intercept=intercept)

    found = fusion.simulate(label=label, feature=feature)["label"]
    expected = [pooled.gram(), *(pooled.evaluate(beta) for beta in betas), *map(pooled.fisher, betas)]
    for ours, theirs in zip(found, expected, strict=True):
        if isinstance(ours, tuple):
            np.testing.assert_allclose(ours[0], theirs[0], rtol=1e-9, atol=1e-8)
            np.testing.assert_allclose(ours[1], theirs[1], rtol=1e-9, atol=1e-8)
        else:
            np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-8)


def test_a_peer_whose_numbers_never_end():
    class Endless:
        peer, sent = "hospital", 0

        def exchange(self, outgoing, widths):
            while self.sent < 1000:
                self.sent += 1
                yield Chunk(1, np.zeros((4, 8), np.uint8))

    peer = Endless()
    with pytest.raises(PeerError, match="other than the 9 finite numbers"):
        receive_numbers(peer, 9)
    assert peer.sent == 3
