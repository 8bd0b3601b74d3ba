"""The clock of the aggregation benchmark. Standard library only: peers' environments use it too."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

__all__ = ["clocked"]

T = TypeVar("T")


def clocked(rates: dict[str, float], name: str, values: int, work: Callable[[], T]) -> T:
    """Do the work, and note how many values it did in a second of this process's processor time."""
    began = time.process_time()
    result = work()
    rates[name] = values / (time.process_time() - began)
    return result
