"""The examples of `examples/flower`, as a reader runs them: in one process, in Flower's simulation, in a deployment."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fusion.flower import run_in_process
from fusion.learning.ideal import GLM
from fusion.learning.metrics import auc

EXAMPLES = Path(__file__).parents[2] / "examples" / "flower"
BIN = Path(sys.executable).parent


class Bench:
    """A folder, an environment of its own, and every process that was started with it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_ports(6)
        self.environment = os.environ | {
            "FLWR_HOME": str(folder / "flwr"),
            "FLWR_TELEMETRY_ENABLED": "0",
            "FLWR_DISABLE_UPDATE_CHECK": "1",
            "FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION": "1",
            "FLWR_SUPEREXEC_TASK_POLL_INTERVAL": "0.05",
            "FLWR_LOCAL_SUPERLINK_HTTP_API_PORT": str(self.port),
            "RAY_USAGE_STATS_ENABLED": "0",
            "XDG_RUNTIME_DIR": str(folder),
            "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        }

    def prepare(self, example: str, *more: str) -> Path:
        parties = self.folder / "p"
        self.run(sys.executable, EXAMPLES / "prepare.py", example, parties, *more)
        return parties

    def run(self, *command: object, seconds: float = 200.0) -> str:
        done = subprocess.run(
            [str(word) for word in command],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
        return done.stdout + done.stderr

    def flwr(self, example: str, *more: str, folder: Path, config: str = "") -> str:
        app = EXAMPLES / example
        return self.run(BIN / "flwr", "run", app, *more, "--stream", "--run-config", f'folder="{folder}" {config}')

    @contextlib.contextmanager
    def deployment(self, folder: Path) -> Iterator[Path]:
        """A SuperLink and SuperNodes, while the block lasts; the file of what they say."""
        log = folder / "deployment.log"
        command = [sys.executable, EXAMPLES / "deployment.py", folder, "--port", str(self.port)]
        with log.open("w") as file:
            process = subprocess.Popen(command, env=self.environment, stdout=file, stderr=subprocess.STDOUT)
        try:
            until = time.monotonic() + 200
            while "\nready\n" not in log.read_text():
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < until, log.read_text()
                time.sleep(0.1)
            self.environment["FLWR_HOME"] = str(folder / "flwr")
            yield log
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(90)

    def clean(self) -> None:
        """End what is left of what we started: all of it has our folder in its environment."""
        mark = f"XDG_RUNTIME_DIR={self.folder}".encode()
        until = time.monotonic() + 20
        while time.monotonic() < until:
            left = [pid for pid in processes() if mark in environment_of(pid)]
            if not left:
                return
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.2)
        raise AssertionError(f"processes stay: {left}")


def processes() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit() and int(path.name) != os.getpid()]


def environment_of(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return []


def free_ports(count: int) -> int:
    """The first of several ports that are free together."""
    for _ in range(100):
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError, OverflowError):
            first = stack.enter_context(socket.create_server(("127.0.0.1", 0))).getsockname()[1]
            for number in range(first + 1, first + count):
                stack.enter_context(socket.create_server(("127.0.0.1", number)))
            return int(first)
    raise AssertionError("no free ports")


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    try:
        yield made
    finally:
        made.clean()


@pytest.fixture
def hospitals(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(EXAMPLES / "horizontal"))
    return importlib.import_module("hospitals.model")


def check_hospitals(folder: Path, model: Any, rounds: int) -> None:
    """The masked federation's model is that of plain averaging, computed here in the clear."""
    rows = [model.read(path) for path in sorted(folder.glob("*/claims.csv"))]
    counts = np.array([len(y) for _, y in rows])
    weights = np.zeros(len(model.NAMES))
    weights[0] = 1.0
    deviances = []
    for _ in range(rounds):
        deviances.append(counts @ [model.deviance(weights, x, y) for x, y in rows] / counts.sum())
        weights = counts @ np.array([model.step(weights, x, y) for x, y in rows]) / counts.sum()
    found = json.loads((folder / "model.json").read_text())
    assert len(found["hospitals"]) == len(rows)
    np.testing.assert_allclose(found["deviance"], deviances, rtol=1e-5)
    np.testing.assert_allclose(list(found["model"].values()), weights, atol=1e-5)


def check_lenders(folder: Path) -> None:
    """The lenders' model is that of the pooled columns, and each has its own coefficients and nothing of the other."""
    found = json.loads((folder / "found.json").read_text())
    assert found["match"] == {"bank": {"rows": 800}, "partner": {"rows": 800}}
    tables = {name: pd.read_csv(folder / name / "applicants.csv") for name in ("bank", "partner")}
    pooled = tables["bank"].merge(tables["partner"], on="applicant")
    parts = {
        name: pooled[list(table.columns.drop(["applicant", "default"], errors="ignore"))]
        for name, table in tables.items()
    }
    twin = GLM("poisson", ridge=1e-3).fit(parts, pooled["default"], label="bank")
    assert found["model"]["bank"]["AUC"] == pytest.approx(auc(pooled["default"], twin.predict(parts)), abs=2e-4)
    for name, half in twin.parties.items():
        kept = pd.read_csv(folder / name / "coefficients.csv", index_col=0)
        assert list(kept.index) == list(half.coefficients.index)  # its own columns, and nothing of the other's
        np.testing.assert_allclose(kept.iloc[:, 0], half.coefficients.iloc[:, 0], atol=1e-4)


def test_hospitals_in_one_process(bench: Bench, hospitals: Any) -> None:
    folder = bench.prepare("horizontal")
    apps = {side: importlib.import_module(f"hospitals.{side}_app").app for side in ("server", "client")}
    run_in_process(apps["server"], apps["client"], 6, {"folder": str(folder), "rounds": 2})
    check_hospitals(folder, hospitals, 2)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_hospitals_simulated(bench: Bench, hospitals: Any) -> None:
    folder = bench.prepare("horizontal", "--hospitals", "4")
    nodes = "num-supernodes=4 client-resources-num-cpus=1 init-args-num-cpus=2"
    bench.flwr("horizontal", "--federation-config", nodes, folder=folder, config="rounds=2")
    check_hospitals(folder, hospitals, 2)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_lenders_simulated(bench: Bench) -> None:
    folder = bench.prepare("vertical", "--port", str(bench.port + 5))
    nodes = "num-supernodes=2 client-resources-num-cpus=1 init-args-num-cpus=2"
    bench.flwr("vertical", "--federation-config", nodes, folder=folder)
    check_lenders(folder)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_hospitals_deployed(bench: Bench, hospitals: Any) -> None:
    folder = bench.prepare("horizontal", "--hospitals", "3")
    with bench.deployment(folder):
        bench.flwr("horizontal", "loopback", folder=folder, config="rounds=1")
    check_hospitals(folder, hospitals, 1)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_lenders_deployed(bench: Bench) -> None:
    folder = bench.prepare("vertical", "--port", str(bench.port + 5))
    with bench.deployment(folder) as log:
        said = bench.flwr("vertical", "loopback", folder=folder)
    check_lenders(folder)
    assert "A00" not in log.read_text() + said  # no applicant's number
