"""Processes of their own that meet over TLS on loopback, and one that is killed in the middle."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from channel.parties import Keys, free_ports

import fusion

from .sum_process import values

SCRIPT = Path(__file__).with_name("sum_process.py")
# The parties find the package where the tests found it; warnings are errors there too.
ENVIRONMENT = os.environ | {"PYTHONPATH": str(Path(fusion.__file__).parents[1]), "PYTHONWARNINGS": "error"}


def run(folder: Path, peers: dict[str, list[str]], tasks: dict[str, dict], *, pinned: bool = False) -> dict[str, Any]:
    """Start everybody. Of two that meet, the earlier one listens; what each printed, or its status."""
    keys = Keys.make(folder, list(peers))
    ports = dict(zip(peers, free_ports(len(peers)), strict=True))
    order = list(peers)
    started = {}
    for name in order:
        text = f'name = "{name}"\nidentity = "{keys[name].path}"\ntimeout = 60\nlisten = "127.0.0.1:{ports[name]}"\n'
        for peer in peers[name]:
            text += f'[peers.{peer}]\nfingerprint = "{keys[peer].fingerprint}"\n'
            if order.index(peer) < order.index(name):
                text += f'address = "127.0.0.1:{ports[peer]}"\n'
        (folder / f"{name}.toml").write_text(text)
        task = {"name": name, "peers": peers[name]} | tasks[name]
        if pinned and task["size"]:
            task["pins"] = {client: keys[client].fingerprint for client in order if tasks[client]["size"]}
            task["identity"] = str(keys[name].path)
        started[name] = subprocess.Popen(
            [sys.executable, str(SCRIPT), str(folder / f"{name}.toml"), json.dumps(task)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=ENVIRONMENT,
            text=True,
        )
    found: dict[str, Any] = {}
    for name, process in started.items():
        out, errors = process.communicate(timeout=100)
        found[name] = json.loads(out) if process.returncode == 0 else (process.returncode, errors)
    return found


@pytest.mark.parametrize("dies", ["", "b", "d"])
def test_a_group(tmp_path, dies: str) -> None:
    names = "abcd"
    peers = {name: [peer for peer in names if peer != name] for name in names}
    found = run(tmp_path, peers, {name: {"size": 1000, "die": name == dies} for name in names})
    stay = [name for name in names if name != dies]
    assert not dies or found[dies][0] == -9
    for name in stay:
        assert found[name]["included"] == stay, found
        np.testing.assert_array_equal(found[name]["total"], sum(values(other, 1000) for other in stay))


def test_a_server_with_a_client_that_is_killed(tmp_path) -> None:
    names = "abcde"
    peers = {"server": list(names)} | {name: ["server"] for name in names}
    tasks = {"server": {"size": 0}} | {name: {"size": 1000, "die": name == "c"} for name in names}
    found = run(tmp_path, peers, tasks, pinned=True)
    np.testing.assert_array_equal(found["server"]["total"], sum(values(other, 1000) for other in "abde"))
    for name in "abde":
        assert found[name]["included"] == list("abde")
        assert found[name]["total"] is None
