"""Costs told in advance, against receipts; and which protocol "auto" takes."""

from __future__ import annotations

import inspect

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fusion
from fusion.channel import simulate
from fusion.correlations import vole as correlation
from fusion.psi import ecdh, estimate, intersect, plan, vole

from .parties import sets
from .test_intersect import both

sizes = st.one_of(st.integers(0, 2 * plan.LARGE), st.integers(0, 2**26))


def keys(n, start=0):
    return pd.DataFrame({"k": range(start, start + n)})


def meet(nx, ny, **options):
    out = both(keys(nx), keys(ny, nx // 2), ["k"], **options)
    return out["left"][1], out["right"][1]


# both sides of a frame of either protocol, and of a level of the trees
SIZES = [(1000, 1000), (1000, 30_000), (5000, 4096), (33_000, 60_000)]


@pytest.mark.parametrize("learn", ["both", "left", "right"])
@pytest.mark.parametrize("protocol", ["ecdh", "vole"])
@pytest.mark.parametrize(("nx", "ny"), SIZES)
def test_bytes_are_those_of_the_receipt(nx, ny, protocol, learn):
    receipts = meet(nx, ny, learn=learn, protocol=protocol)
    sent = sum(receipt.bytes_sent for receipt in receipts)
    of = (ny, nx) if learn == "right" else (nx, ny)
    told = estimate(*of, learn="both" if learn == "both" else "one")[protocol]
    assert told.protocol == protocol
    assert told.bytes == pytest.approx(sent, rel=0.01)
    assert abs(told.bytes - sent) < 200  # it is only the announcements that are not known


def bytes_between(left, right, *, learn="both", rows=(0, 0)):
    """What both send, frames included, while each plays its part between announcement and end."""
    sent = {}

    def role(part, count):
        def play(peer):
            with peer.operation("test"):
                session = peer.open(learn=learn, kinds=(), rows=count, parameters={})
                before = peer._transcript.sent.bytes
                part(peer, session)
                sent[peer.name] = peer._transcript.sent.bytes - before
                peer.finish({})

        return play

    simulate(left=role(left, rows[0]), right=role(right, rows[1]))
    return sum(sent.values())


@pytest.mark.parametrize("length", [1, 2048, 2049, 100_000])
def test_bytes_of_a_correlation_are_exact(length):
    sides = correlation.Sender, correlation.Receiver
    parts = (lambda p, s, side=side: side.open(p, s).extend(p, s, length) for side in sides)
    assert correlation.traffic(length) == bytes_between(*parts)


@pytest.mark.parametrize("learn", ["both", "left"])
@pytest.mark.parametrize(("nx", "ny"), [(0, 0), (1, 0), (0, 8), (30, 9), (4096, 4097), (40_000, 60_000)])
def test_bytes_of_both_protocols_are_exact(nx, ny, learn):
    items = sets(np.random.default_rng(0), nx, ny, 0)
    encoded, tagged = sorted((nx, ny)) if learn == "both" else (nx, ny)
    for protocol, told in (
        (ecdh, ecdh.traffic(nx, ny, both=learn == "both")),
        (vole, vole.traffic(encoded, tagged, both=learn == "both")),
    ):
        parts = (lambda p, s, protocol=protocol, own=own: protocol.matches(p, s, [own].pop) for own in items)
        assert told == bytes_between(*parts, learn=learn, rows=(nx, ny))


def test_few_bytes_an_item():
    n = 1 << 20
    one, two = (estimate(n, n, learn=learn)["vole"].bytes / n for learn in ("one", "both"))
    assert one < 29
    assert two < 29
    assert correlation.traffic(1_100_000) < 400_000


@given(nx=sizes, ny=sizes, learn=st.sampled_from(["both", "one"]))
def test_an_estimate_for_any_sizes(nx, ny, learn):
    costs = estimate(nx, ny, learn=learn)
    assert set(costs) == {"ecdh", "vole"}
    assert next(iter(costs)) == plan.choose(nx, ny)
    for name, cost in costs.items():
        assert cost.protocol == name
        assert 0 <= cost.seconds <= cost.seconds_portable
        assert cost.bytes > 0
        assert cost.memory_mb > 0


@given(nx=sizes, ny=sizes)
def test_two_learners_cost_the_same_from_either_side(nx, ny):
    assert estimate(nx, ny) == estimate(ny, nx)


@pytest.mark.parametrize(
    ("nx", "ny", "learn"), [(-1, 5, "both"), (5, -1, "one"), (5, 5, "left"), (2**28, 2**28, "one")]
)
def test_what_cannot_be_estimated(nx, ny, learn):
    with pytest.raises(fusion.InputError):
        estimate(nx, ny, learn=learn)


# --- auto ---


@given(nx=sizes, ny=sizes)
def test_both_sides_choose_the_same(nx, ny):
    assert plan.choose(nx, ny) == plan.choose(ny, nx)


def test_only_sizes_decide():
    """No party's name, nor who learns, can make two sides differ: neither is an argument."""
    assert list(inspect.signature(plan.choose).parameters) == ["nx", "ny"]


def test_choices_are_those_of_this_wire_version():
    assert fusion.channel.messages.WIRE_VERSION == 2
    small = {plan.choose(*of) for of in ((0, 0), (2**14 - 1, 0), (0, 2**14 - 1), (2**13, 2**13 - 1))}
    large = {plan.choose(*of) for of in ((2**14, 0), (1, 2**14 - 1), (2**13, 2**13), (2**20, 2**20))}
    assert (small, large) == ({"ecdh"}, {"vole"})


@pytest.mark.parametrize("learn", ["both", "left", "right"])
@pytest.mark.parametrize("nx", [20, plan.LARGE - 10])
def test_the_receipt_says_what_auto_became(nx, learn):
    """Tables of very different sizes, whichever side learns."""
    receipts = meet(nx, 10, learn=learn)
    chosen = "vole" if nx + 10 == plan.LARGE else "ecdh"
    for receipt in receipts:
        assert receipt.parameters["protocol"] == chosen
        assert receipt.parameters["suite"] == {"ecdh": ecdh.SUITE, "vole": vole.SUITE}[chosen]
        assert receipt.parameters["how"] == "inner"


def test_sides_that_would_choose_differently_do_not_begin(monkeypatch):
    """A version with another border announces it."""
    heard = {}

    def announces(border):
        def play(peer):
            try:
                with peer.operation("psi.intersect"):
                    suite = f"{ecdh.SUITE}, from {border} keys {vole.SUITE}"
                    peer.open(
                        learn="both",
                        kinds=("integer",),
                        rows=3,
                        parameters={"how": "inner", "protocol": "auto", "suite": suite},
                    )
                    raise RuntimeError("met")
            except fusion.MismatchError as error:
                heard["field"] = error.field

        return play

    with pytest.raises(fusion.MismatchError):
        simulate(ours=lambda peer: intersect(peer, keys(3), ["k"]), theirs=announces(plan.LARGE // 2))
    assert heard == {"field": "suite"}
    with pytest.raises(RuntimeError, match="met"):  # so it was the border, and nothing else
        simulate(ours=lambda peer: intersect(peer, keys(3), ["k"]), theirs=announces(plan.LARGE))
