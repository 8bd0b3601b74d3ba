"""Models over columns that never meet, and how to judge them."""

from __future__ import annotations

from fusion.learning import metrics

__all__ = ["metrics"]
