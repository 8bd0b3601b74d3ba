"""Known answers from the standards, one JSON file a source; each names its provenance."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

FOLDER = Path(__file__).parents[1] / "vectors"


def load(name: str) -> dict[str, Any]:
    vectors: dict[str, Any] = json.loads((FOLDER / name).read_text(encoding="utf-8"))
    assert vectors["provenance"]
    return vectors


def rows(hexes: list[str]) -> NDArray[np.uint8]:
    """Hexadecimal strings of equal length as the rows of one array."""
    return np.array([list(bytes.fromhex(h)) for h in hexes], dtype=np.uint8)
