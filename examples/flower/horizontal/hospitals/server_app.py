"""What runs at the server: it averages updates that it cannot see."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from flwr.app import Array, ArrayRecord, Context
from flwr.serverapp import Grid, ServerApp

from fusion.flower import SecureFedAvg, load_clients
from hospitals import model

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    folder = Path(str(context.run_config["folder"]))
    strategy = SecureFedAvg(model.TERMS, load_clients(folder / "clients.toml"))
    start = np.zeros(len(model.NAMES))
    start[0] = 1.0
    result = strategy.start(
        grid, ArrayRecord({"weights": Array(start)}), num_rounds=int(context.run_config["rounds"]), timeout=600
    )
    found = {
        "hospitals": list(strategy.included[max(strategy.included)]),
        # of the model that each round began with
        "deviance": [round(float(one["deviance"]), 6) for one in result.train_metrics_clientapp.values()],
        "model": dict(zip(model.NAMES, result.arrays["weights"].numpy().round(6).tolist(), strict=True)),
    }
    (folder / "model.json").write_text(json.dumps(found, indent=2))
    print(json.dumps(found, indent=2))
