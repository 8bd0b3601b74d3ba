"""One party of a fit, in a process of its own."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd

import fusion
from benchmarks import child
from benchmarks.pair import party
from benchmarks.psi_party import phases
from fusion import progress
from fusion.learning import VerticalGLM, VerticalLogistic, metrics
from fusion.progress import Event


@contextlib.contextmanager
def prepare(job: dict[str, Any]) -> Iterator[Callable[[], dict[str, Any]]]:
    """Load and meet; the job names the ``data``, which ``part`` of them is ours, the model and the family."""
    name, other = job["who"]["name"], job["who"]["peer"]
    with np.load(job["data"]) as arrays:
        x = pd.DataFrame(arrays[job["part"]]).add_prefix("x")
        y = arrays["y"] if job["part"] == "label" else None
    x.index = pd.RangeIndex(len(x), name="pair-benchmark")
    changes: list[tuple[float, str]] = []

    def note(event: Event) -> None:
        known = [what for what in ("round", "epoch") if f"{what} " in event.phase]
        phase = f"{known[0]}s" if known else event.phase.replace(other, "the peer")
        if event.party == name and (not changes or changes[-1][1] != phase):
            changes.append((time.monotonic(), phase))

    def run() -> dict[str, Any]:
        model: VerticalGLM | VerticalLogistic
        if job["model"] == "logistic":
            model = VerticalLogistic(ridge=0.0)
        else:
            model = VerticalGLM(job["family"], power=job["power"])
        with progress.listen(note):
            model.fit(peer, x, y)
        changes.append((time.monotonic(), ""))
        table = model.coefficients
        found = {"phases": phases(changes), "coef": table["coef"].tolist()}
        if isinstance(model, VerticalGLM):
            return {**found, "std err": table["std err"].tolist(), "rounds": int(model.facts.get("rounds", 0))}
        score = model.decision_function(peer, x)
        auc = None if score is None else metrics.auc(y, score)
        return {**found, "auc": auc, "rounds": int(model.facts["epochs"])}

    with fusion.connect(party(job["who"]), peer=other) as peer:
        yield run


if __name__ == "__main__":
    child.play(prepare)
