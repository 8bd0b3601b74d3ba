"""How wide a tag must be."""

from __future__ import annotations

import numpy as np
import pytest

from fusion.psi.matches import tag_bytes


@pytest.mark.parametrize(
    ("nx", "ny", "expected"), [(1 << 20, 1 << 20, 10), (1, 1, 6), (1 << 24, 1 << 24, 11), (0, 9, 6), (1, 1 << 31, 9)]
)
def test_tags_are_wide_enough(nx, ny, expected):
    assert tag_bytes(nx, ny) == tag_bytes(ny, nx) == expected
    assert 8 * expected >= 40 + np.log2(max(nx, 1)) + np.log2(max(ny, 1))
