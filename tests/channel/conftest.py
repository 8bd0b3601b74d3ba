from __future__ import annotations

import importlib
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fusion.channel import tls

from .parties import Keys

sys.path.insert(0, str(Path(__file__).parents[1]))  # for `reference`, the plain twins


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return Keys.make(tmp_path_factory.mktemp("keys"))


@pytest.fixture(params=["memory", "tls"])
def transport(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def brisk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Heartbeats so frequent that a deadline of a third of a second means something."""
    monkeypatch.setattr(tls, "HEARTBEAT", 0.05)


def _names() -> list[str]:
    """The threads of this process but those of the kernel, which wait for more work until it ends."""
    return [thread.name for thread in threading.enumerate() if not thread.name.startswith("fusion-kernel")]


@pytest.fixture(autouse=True)
def _quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever dials too early need not lose a quarter of a second in every test."""
    # the function of that name hides the module
    monkeypatch.setattr(importlib.import_module("fusion.channel.connect"), "_RETRY", 0.03)


@pytest.fixture(autouse=True)
def _no_thread_stays() -> Iterator[None]:
    yield
    until = time.monotonic() + 30
    while left := [name for name in _names() if name.startswith("fusion-")]:
        assert time.monotonic() < until, f"threads stay: {left}"
        time.sleep(0.02)
