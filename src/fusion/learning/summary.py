"""Coefficients as a table and as text, the way statisticians read them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

__all__ = ["coefficient_table", "text"]

Floats = npt.NDArray[np.float64]

_QUANTILE = 1.959963984540054  # of the standard normal distribution, at 0.975


def coefficient_table(names: Sequence[str], coefficients: Floats, errors: Floats, *, log_link: bool) -> pd.DataFrame:
    """One row a coefficient: estimate, error, z, two-sided p, 95% interval, and under a log link the relativity."""
    with np.errstate(divide="ignore", invalid="ignore"):
        z = coefficients / errors
    columns = {
        "coef": coefficients,
        "std err": errors,
        "z": z,
        "P>|z|": np.array([math.erfc(abs(value) / math.sqrt(2)) for value in z]),
        "[0.025": coefficients - _QUANTILE * errors,
        "0.975]": coefficients + _QUANTILE * errors,
    }
    if log_link:
        with np.errstate(over="ignore"):  # of a column of tiny numbers, whose unit is far
            columns["relativity"] = np.exp(coefficients)
    return pd.DataFrame(columns, index=pd.Index(names))


def text(title: str, facts: Mapping[str, str], blocks: Mapping[str, pd.DataFrame], notes: Sequence[str]) -> str:
    """A summary of fixed width: title, facts in two columns, a table a block, notes."""
    tables = {heading: table.to_string(float_format=lambda value: f"{value:.4f}") for heading, table in blocks.items()}
    width = max(78, *(len(line) for table in tables.values() for line in table.splitlines()))
    rule = "=" * width
    items = [f"{name + ':':<24}{value:>14}" for name, value in facts.items()]
    half = -(-len(items) // 2)
    pairs = zip(items[:half], [*items[half:], ""] if len(items) % 2 else items[half:], strict=True)
    lines = [title.center(width).rstrip(), rule, *(f"{left}  {right}".rstrip() for left, right in pairs), rule]
    for heading, table in tables.items():
        lines += [heading, "-" * width, table, rule]
    return "\n".join([*lines, *notes])
