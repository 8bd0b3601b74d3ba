"""A peer that follows the protocol of a fit but for one message, whichever it is."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import fusion
from fusion.errors import FusionError, PeerAborted, PeerError
from fusion.learning import VerticalGLM
from fusion.learning.families import Family
from fusion.learning.vertical import send_numbers, serve

from .clear import ClearAnswering
from .parties import FEATURE, LABEL, Joined
from .tampering import MUTATIONS, Tampering, inside


def attack(who, message, mutation, family="tweedie"):
    """What the honest side raised, if anything, and whether there was such a message."""
    joined = Joined.draw(family, 400, power=1.5)
    joined.feature, joined.label = joined.feature[["cost"]], joined.label[["age"]]
    raised, tampering = {}, {}

    def role(name, *arguments, **extra):
        def play(peer):
            channel = peer
            if name == who:
                channel = tampering["it"] = Tampering(peer, message, MUTATIONS[mutation])
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", UserWarning)
                    VerticalGLM(family, power=1.5 if family == "tweedie" else None, max_rounds=3).fit(
                        channel, *arguments, **extra
                    )
            except FusionError as error:
                raised[name] = error

        return play

    honest = FEATURE if who == LABEL else LABEL
    fusion.simulate(
        **{LABEL: role(LABEL, joined.label, joined.y, **joined.extra), FEATURE: role(FEATURE, joined.feature)}
    )
    assert not any("\n" in str(error) for error in raised.values())
    return raised.get(honest), tampering["it"].sent > message


@pytest.mark.parametrize("mutation", MUTATIONS)
@pytest.mark.parametrize("who", [LABEL, FEATURE])
def test_any_message_may_be_bad(clear, who, mutation):
    """Any other exception, or a hang, fails here; a warning would be an error."""
    seen = 0
    for message in range(60):
        raised, there = attack(who, message, mutation)
        if not there:
            break
        seen += 1
        if mutation in ("shorter", "nothing"):
            assert raised is not None, message
    assert seen >= 9


@pytest.mark.parametrize("mutation", MUTATIONS)
@pytest.mark.parametrize(("who", "message"), [(LABEL, 3), (LABEL, 9), (FEATURE, 3), (FEATURE, 9)])
def test_under_encryption(who, message, mutation):
    raised, there = attack(who, message, mutation)
    assert there
    if mutation in ("shorter", "nothing", "longer"):
        assert isinstance(raised, PeerError | PeerAborted)


@pytest.mark.parametrize(
    ("told", "text"),
    [
        ([9.0, 0.0], "asked for a step that there is not"),
        ([0.5, 0.0], "asked for a step that there is not"),
        ([np.nan, 0.0], "finite"),
        ([3.0, 1e308], "out of range"),
        ([3.0, np.inf], "finite"),
        ([3.0], "other than the 2 finite numbers"),
        ([3.0, 0.0, 0.0], "other than the 2 finite numbers"),
    ],
    ids=str,
)
def test_bad_questions(told, text):
    x = np.random.default_rng(1).normal(size=(50, 1))

    def ask(peer):
        send_numbers(peer, np.array(told))

    with pytest.raises(PeerError, match=text):
        fusion.simulate(
            label=lambda peer: inside(peer, 50, ask),
            feature=lambda peer: inside(
                peer,
                50,
                lambda p: serve(p, ClearAnswering(p), Family.of("poisson", None), x, theirs=1, intercept=True),
            ),
        )
