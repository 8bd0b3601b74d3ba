"""The RAND health insurance experiment at its six sites, each a hospital of its own: visits by SGD in numpy."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from flwr.app import Array, ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp.strategy import FedAvg
from statsmodels.datasets import randhie

from fusion.flower import HomomorphicFedAvg, HomomorphicMod, InProcessGrid, SecureFedAvg, SecureMod, Terms
from fusion.learning import metrics
from tests.flower.federation import Federation, run

SITES = [f"site-{number}" for number in range(1, 7)]
COLUMNS = ["coins", "idp", "lpi", "fmde", "xage", "female", "physlm", "disea", "hlthg", "hlthf", "hlthp"]
TERMS = Terms(bound=1.0, max_examples=10_000, metrics={"deviance": 100.0})
TRAINING = 10


@cache
def table() -> pd.DataFrame:
    found = pd.read_csv(Path(randhie.__file__).parent / "src" / "randhie.csv").dropna(
        subset=[*COLUMNS, "mdvis", "time"]
    )
    found[COLUMNS] = (found[COLUMNS] - found[COLUMNS].mean()) / found[COLUMNS].std()
    return found


def part(site: int, *, test: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rows = table()[(table()["site"] == site) & ((table()["zper"] % 10 >= 7) == test)]
    x = np.column_stack([np.ones(len(rows)), rows[COLUMNS]])
    return x, rows["mdvis"].to_numpy(float), rows["time"].to_numpy(float)


def made(terms: Terms | None, mod: type[SecureMod] = SecureMod) -> ClientApp:
    app = ClientApp(mods=[] if terms is None else [mod(terms)])

    @app.train()
    def train(message: Message, context: Context) -> Message:
        x, y, exposure = part(1 + int(context.node_config["partition-id"]), test=False)
        weights = message.content["arrays"]["weights"].numpy()
        predicted = exposure * np.exp(x @ weights)
        deviance = metrics.deviance(y, predicted, family="poisson")
        order = np.random.default_rng(int(message.content["config"]["server-round"])).permutation(len(y))
        for rows in np.array_split(order, len(y) // 200):
            error = exposure[rows] * np.exp(x[rows] @ weights) - y[rows]
            weights = weights - 0.01 * (x[rows].T @ error / len(rows)).astype(np.float32)
        record = MetricRecord({"num-examples": len(y), "deviance": deviance})
        arrays = ArrayRecord({"weights": Array(weights)})
        return Message(RecordDict({"arrays": arrays, "metrics": record}), reply_to=message)

    return app


def judged(arrays: ArrayRecord) -> tuple[float, float]:
    x, y, exposure = (np.concatenate(each) for each in zip(*(part(n, test=True) for n in range(1, 7)), strict=True))
    predicted = exposure * np.exp(x @ arrays["weights"].numpy())
    d2 = metrics.d2(y, predicted, family="poisson", exposure=exposure, base=y.sum() / exposure.sum())
    return d2, metrics.gini(y, predicted, exposure=exposure)


@pytest.mark.parametrize(("strategy", "mod"), [(SecureFedAvg, SecureMod), (HomomorphicFedAvg, HomomorphicMod)])
def test_the_figures_of_the_model_are_those_of_plain_averaging(
    tmp_path: Path, strategy: type[SecureFedAvg], mod: type[SecureMod]
) -> None:
    start = ArrayRecord({"weights": Array(np.zeros(1 + len(COLUMNS), np.float32))})
    plain = FedAvg(fraction_evaluate=0.0, min_train_nodes=6, min_available_nodes=6)
    clear = run(InProcessGrid(made(None), 6), plain, rounds=TRAINING, arrays=start)
    federation = Federation.make(tmp_path, SITES)
    grid = federation.grid(made(TERMS, mod))
    secure = run(grid, strategy(TERMS, federation.clients), rounds=TRAINING, arrays=start)
    ours, theirs = judged(secure.arrays), judged(clear.arrays)
    assert [round(each, 3) for each in ours] == [round(each, 3) for each in theirs]
    assert ours[0] > 0.06
    assert ours[1] > 0.15
    assert secure.train_metrics_clientapp[TRAINING]["deviance"] < secure.train_metrics_clientapp[1]["deviance"]
