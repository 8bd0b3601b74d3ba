from __future__ import annotations

import pytest

from .keypairs import SCHEMES, Pair, pair


@pytest.fixture(params=SCHEMES)
def keys(request: pytest.FixtureRequest) -> Pair:
    """A pair of keys of each scheme."""
    return pair(str(request.param))
