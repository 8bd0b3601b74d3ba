"""`SecureFedAvg` does what Flower's own averaging does, to within its steps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flwr.app import Context
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg, Result, Strategy

from fusion.flower import InProcessGrid, SecureFedAvg, Terms
from tests.flower.federation import Federation, app, initial

TERMS = Terms(bound=4.0, max_examples=1000, metrics={"loss": 100.0}, evaluate_metrics={"loss": 100.0})


def run(grid: InProcessGrid, strategy: Strategy, rounds: int = 3, **more: Any) -> Result:
    found: list[Result] = []
    server = ServerApp()

    @server.main()
    def main(grid: Grid, context: Context) -> None:
        found.append(strategy.start(grid, initial(), num_rounds=rounds, **more))

    grid.serve(server)
    return found[0]


@pytest.fixture
def federation(tmp_path: Path) -> Federation:
    return Federation.make(tmp_path)


def test_the_model_is_that_of_plain_averaging(federation: Federation) -> None:
    plain = run(InProcessGrid(app(None), 4), FedAvg(min_train_nodes=4, min_available_nodes=4))
    strategy = SecureFedAvg(TERMS, federation.clients)
    secure = run(federation.grid(app(TERMS)), strategy)
    for ours, theirs in zip(secure.arrays.values(), plain.arrays.values(), strict=True):
        assert ours.dtype == theirs.dtype or theirs.dtype == "float64"
        np.testing.assert_allclose(ours.numpy(), theirs.numpy(), atol=1e-6)
    for number in (1, 2, 3):
        for ours, theirs in (
            (secure.train_metrics_clientapp, plain.train_metrics_clientapp),
            (secure.evaluate_metrics_clientapp, plain.evaluate_metrics_clientapp),
        ):
            assert dict(ours[number]) == pytest.approx(dict(theirs[number]), rel=1e-5)
        assert strategy.included[number] == tuple(sorted(federation.clients))
