from __future__ import annotations

import pytest

from .keypairs import EXACT, Pair, pair


@pytest.fixture(params=EXACT)
def keys(request: pytest.FixtureRequest) -> Pair:
    """A pair of keys of each scheme that computes exactly."""
    return pair(str(request.param))
