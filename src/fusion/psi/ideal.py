"""The cleartext twin of this package: what the protocols compute, computed by somebody who sees everything.

It defines the result, is the oracle of the tests, and shows what is learned.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fusion.errors import InputError, MismatchError
from fusion.tables import Table, key_columns

__all__ = ["intersect"]

On = Sequence[str] | Mapping[str, str] | str


def intersect(
    inputs: Mapping[str, tuple[Any, On]], *, learn: str = "both", duplicates: str = "error"
) -> dict[str, Any]:
    """What `fusion.psi.intersect` gives each party, but in the order of the keys.

    Parameters
    ----------
    inputs : mapping
        For each of two parties its table and its ``on``.
    learn, duplicates
        As for `fusion.psi.intersect`.

    Returns
    -------
    dict
        For each party its matching rows, aligned with the other's, or None where it does not learn.
    """
    if len(inputs) != 2:
        raise InputError("an intersection has two parties")
    tables, positions, kinds = {}, {}, []
    for party, (source, on) in inputs.items():
        tables[party] = Table.of(source)
        keys = key_columns(tables[party], on)
        kinds.append(keys.kinds)
        first: dict[tuple[str, ...], int] = {}
        rows = zip(*(column.to_pylist() for column in keys.columns), strict=True)
        for key, row in zip(rows, keys.valid.tolist(), strict=True):
            if key in first and duplicates == "error":
                raise InputError(f"{party} holds duplicate keys")
            first.setdefault(key, row)
        positions[party] = first
    if kinds[0] != kinds[1]:
        raise MismatchError("kinds", *kinds)
    one, other = positions.values()
    shared = sorted(one.keys() & other.keys())
    return {
        party: tables[party].take(np.array([positions[party][key] for key in shared], np.int64))
        if learn in ("both", party)
        else None
        for party in inputs
    }
