from __future__ import annotations

import pytest

from fusion.learning import inner_products

from .clear import ClearAnswering, ClearAsking


@pytest.fixture
def clear(monkeypatch):
    """Inner products in the clear: for breadth, where the encryption is not what is tested."""
    monkeypatch.setattr(inner_products, "Asking", ClearAsking)
    monkeypatch.setattr(inner_products, "Answering", ClearAnswering)
