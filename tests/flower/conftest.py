from __future__ import annotations

from pathlib import Path

import pytest

from tests.flower.federation import Federation


@pytest.fixture
def federation(tmp_path: Path) -> Federation:
    return Federation.make(tmp_path)
