"""Repeated measurements: sizes, turns, medians."""

from __future__ import annotations

import math
import re
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from benchmarks import BenchmarkError

__all__ = ["Summary", "merge_medians", "progress", "rounded", "seconds_of", "sizes", "summarise", "take_turns"]

K = TypeVar("K")
T = TypeVar("T")
_SIZE = re.compile(r"(\d+)(?:(\^|\*\*|e)(\d+))?", re.ASCII)
_LARGEST = 1 << 36


def sizes(text: str) -> list[int]:
    """Read sizes such as ``65536``, ``2^16``, ``1e6``, or several with commas between them.

    Raises
    ------
    BenchmarkError
        If one is no such number, or not between 1 and 2^36.
    """
    found = []
    for part in text.split(","):
        match = _SIZE.fullmatch(part.strip())
        if match is None:
            raise BenchmarkError(f"{part.strip()!r} is no size; write 65536, 2^16 or 1e6, with commas between several")
        number, operator, exponent = match.groups()
        # an exponent of more than two digits would only cost time before it is refused
        if len(number) > 12 or len(exponent or "") > 2:
            raise BenchmarkError(f"{part.strip()!r} is larger than 2^36")
        size = int(number)
        if operator == "e":
            size *= 10 ** int(exponent)
        elif operator:
            size **= int(exponent)
        if not 1 <= size <= _LARGEST:
            raise BenchmarkError(f"{part.strip()!r} is not between 1 and 2^36")
        found.append(size)
    return found


@dataclass(frozen=True, slots=True)
class Summary:
    """The median of several measurements, and the smallest and largest of them."""

    median: float
    low: float
    high: float

    @property
    def spread(self) -> list[float]:
        """Smallest and largest, rounded for people."""
        return [rounded(self.low), rounded(self.high)]


def summarise(values: Sequence[float]) -> Summary:
    """Return median and spread; the median of an even number of values is the mean of the middle two."""
    if not values:
        raise ValueError("nothing was measured")
    return Summary(statistics.median(values), min(values), max(values))


def merge_medians(runs: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The median of each entry over several runs, in the order of first appearance; what a run lacks counts as 0."""
    names = list(dict.fromkeys(name for run in runs for name in run))
    return {name: rounded(statistics.median(run.get(name, 0.0) for run in runs)) for name in names}


def rounded(value: float) -> float:
    """Four significant digits: more would only be noise."""
    return float(f"{value:.4g}")


def take_turns(
    contenders: Mapping[K, Callable[[], T]], repeat: int, label: str = "", patience: float = math.inf
) -> dict[K, list[T]]:
    """Run every contender ``repeat`` times: first, second, third, first, second, third, ...

    What slows the machine for a while then slows all of them. Who takes longer than ``patience`` seconds gets no
    further turn.
    """
    results: dict[K, list[T]] = {name: [] for name in contenders}
    waiting = dict(contenders)
    for turn in range(1, repeat + 1):
        for name, run in list(waiting.items()):
            if label:
                progress(f"{label}: run {turn} of {repeat}, {name}")
            began = time.monotonic()
            results[name].append(run())
            if time.monotonic() - began > patience:
                del waiting[name]
    return results


def progress(text: str) -> None:
    """Tell the person waiting what happens now."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def seconds_of(summary: Summary) -> dict[str, Any]:
    """``seconds`` and ``spread`` as every report writes them."""
    return {"seconds": rounded(summary.median), "spread": summary.spread}
