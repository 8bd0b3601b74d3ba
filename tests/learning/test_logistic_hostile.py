"""A peer that follows the protocol of a logistic fit but for one message, whichever it is; and one over real TLS."""

from __future__ import annotations

import socket
import threading
import warnings

import numpy as np
import pytest

import fusion
from fusion.channel import Identity, Party, Peer
from fusion.errors import FusionError, PeerAborted, PeerError
from fusion.learning import VerticalLogistic, ideal

from .tampering import MUTATIONS, Tampering
from .test_logistic import FEATURE, LABEL, drawn

SCHEDULE = list(MUTATIONS)


def attack(who, message, mutation):
    """What the honest side raised, if anything, and whether there was such a message."""
    feature, label, y = drawn(400)
    raised, tampering = {}, {}

    def role(name, *arguments):
        def play(peer):
            channel = peer
            if name == who:
                channel = tampering["it"] = Tampering(peer, message, MUTATIONS[mutation])
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", UserWarning)
                    VerticalLogistic(epochs=1, validation=0.2).fit(channel, *arguments)
            except FusionError as error:
                raised[name] = error

        return play

    honest = FEATURE if who == LABEL else LABEL
    fusion.simulate(**{LABEL: role(LABEL, label[["age"]], y), FEATURE: role(FEATURE, feature[["income"]])})
    assert not any("\n" in str(error) for error in raised.values())
    return raised.get(honest), tampering["it"].sent > message


@pytest.mark.parametrize("turn", [0, 2])
@pytest.mark.parametrize("who", [LABEL, FEATURE])
def test_any_message_may_be_bad(who, turn):
    """Any other exception, or a hang, fails here; a warning would be an error. Lengths are always noticed."""
    seen = 0
    for message in range(60):
        mutation = SCHEDULE[(message + turn) % len(SCHEDULE)]
        raised, there = attack(who, message, mutation)
        if not there:
            break
        seen += 1
        if mutation in ("shorter", "longer", "nothing"):
            assert isinstance(raised, PeerError | PeerAborted), (message, mutation)
    assert 10 < seen < 60


def test_shares_out_of_range(monkeypatch):
    """The last messages are shares in the clear."""
    last = {}
    for who in (LABEL, FEATURE):
        for message in range(60):
            raised, there = attack(who, message, "ones")
            if not there:
                break
            last[who, message] = raised
    assert sum("share out of range" in str(error) for error in last.values()) == 3  # a loss, and two models


def test_over_the_network(tmp_path):
    feature, label, y = drawn(400)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
    keys = {name: Identity.create(name, tmp_path / f"{name}.key") for name in (LABEL, FEATURE)}
    listening = Party(LABEL, keys[LABEL], address, {FEATURE: Peer(FEATURE, keys[FEATURE].fingerprint, None)}, 30.0)
    dialling = Party(FEATURE, keys[FEATURE], None, {LABEL: Peer(LABEL, keys[LABEL].fingerprint, address)}, 30.0)

    def at_the_partner():
        with fusion.connect(dialling, peer=LABEL) as peer:
            VerticalLogistic(epochs=10).fit(peer, feature).predict(peer, feature)

    other = threading.Thread(target=at_the_partner)
    other.start()
    try:
        with fusion.connect(listening, peer=FEATURE) as peer:
            predicted = VerticalLogistic(epochs=10).fit(peer, label, y).predict(peer, label)
            receipt = peer.receipt()
    finally:
        other.join(90)
    assert not other.is_alive()
    assert receipt is not None
    parts = {LABEL: label, FEATURE: feature}
    twin = ideal.Logistic(epochs=10).fit(parts, y, label=LABEL)
    # rounding by chance moves a prediction by 1.7e-4, one standard deviation
    np.testing.assert_allclose(predicted, twin.predict(parts), atol=2e-3)
