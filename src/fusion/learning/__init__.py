"""Models over columns that never meet, and how to judge them."""

from __future__ import annotations

from fusion.learning import cutoffs, metrics, points
from fusion.learning.alignment import AlignmentWarning
from fusion.learning.glm import VerticalGLM
from fusion.learning.logistic import RangeWarning, VerticalLogistic
from fusion.learning.objective import ConvergenceWarning

__all__ = [
    "AlignmentWarning",
    "ConvergenceWarning",
    "RangeWarning",
    "VerticalGLM",
    "VerticalLogistic",
    "cutoffs",
    "metrics",
    "points",
]
