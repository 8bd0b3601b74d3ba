"""Benchmarks of Fusion and its peers, run from a checkout: ``python -m benchmarks NAME``.

This file imports nothing but the standard library: the environments of the peers import it too.
"""

from __future__ import annotations

__all__ = ["BenchmarkError"]


class BenchmarkError(Exception):
    """Something that keeps a benchmark from running; its message is one line."""
