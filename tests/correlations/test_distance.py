"""The figures of docs/decisions/0011 that can be computed again in seconds."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from reference import distance

from fusion.correlations import vole

# (1 - distance)^256 = 2^-128
DISTANCE = 1 - 2**-0.5


def test_the_noise_holds_128_bits_at_this_distance():
    assert -vole.NOISE * math.log2(1 - DISTANCE) >= 128 - 1e-9


@pytest.mark.parametrize(("n", "bits"), [(64, 15.9), (128, 20.1), (256, 30.7)])
def test_a_random_code_is_hardly_ever_worse(n, bits):
    assert distance.failure(n, DISTANCE) == pytest.approx(-bits, abs=0.1)


@pytest.mark.parametrize("price", [0.0, 1.5])
def test_accumulators_are_counted_exactly(price):
    """Every support of every weight, and every choice of the inputs at which a run ends, for seven elements."""
    n = 7
    found = np.zeros((n + 1, n + 1))
    for support in product((0, 1), repeat=n):
        inputs = [i for i in range(n) if support[i]]
        for ends in product((0, 1), repeat=len(inputs)):
            running, weight, endings, possible = False, 0, 0, True
            chosen = dict(zip(inputs, ends, strict=True))
            for i in range(n):
                if chosen.get(i):
                    possible &= running
                    running, endings = False, endings + 1
                elif i in chosen:
                    running = True
                weight += running
            if possible:
                found[len(inputs), weight] += 2 ** (-price * endings)
    found[0, 0] = 0
    ways = np.array([[math.comb(n, w)] for w in range(n + 1)])
    assert np.exp2(distance.accumulator(n, price)) == pytest.approx(found / ways)
