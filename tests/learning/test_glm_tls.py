"""A fit and a prediction over real TLS."""

from __future__ import annotations

import socket
import threading

import numpy as np

import fusion
from fusion.channel import Identity, Party, Peer
from fusion.learning import VerticalGLM, ideal

from .parties import FEATURE, LABEL, Joined


def test_over_the_network(tmp_path):
    joined = Joined.draw("poisson", 700)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
    keys = {name: Identity.create(name, tmp_path / f"{name}.key") for name in (LABEL, FEATURE)}
    listening = Party(LABEL, keys[LABEL], address, {FEATURE: Peer(FEATURE, keys[FEATURE].fingerprint, None)}, 30.0)
    dialling = Party(FEATURE, keys[FEATURE], None, {LABEL: Peer(LABEL, keys[LABEL].fingerprint, address)}, 30.0)

    def feature():
        with fusion.connect(dialling, peer=LABEL) as peer:
            VerticalGLM().fit(peer, joined.feature).predict(peer, joined.feature)

    other = threading.Thread(target=feature)
    other.start()
    try:
        with fusion.connect(listening, peer=FEATURE) as peer:
            model = VerticalGLM().fit(peer, joined.label, joined.y, **joined.extra)
            predicted = model.predict(peer, joined.label, exposure=joined.extra["exposure"])
    finally:
        other.join(90)
    assert not other.is_alive()
    parts = {LABEL: joined.label, FEATURE: joined.feature}
    twin = ideal.GLM().fit(parts, joined.y, label=LABEL, **joined.extra)
    np.testing.assert_allclose(predicted, twin.predict(parts, exposure=joined.extra["exposure"]), rtol=1e-4)
