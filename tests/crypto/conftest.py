from __future__ import annotations

import sys
from pathlib import Path

import pytest

from fusion import kernels

sys.path.insert(0, str(Path(__file__).parents[1]))  # for `reference`, the plain twins


@pytest.fixture(params=kernels.variants())
def variant(request: pytest.FixtureRequest) -> str:
    """Every kernel variant this CPU can run."""
    return str(request.param)
