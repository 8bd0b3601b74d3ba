"""phe's Paillier on a column of integers, in its own environment: a Python loop over values, as its users write it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from benchmarks import child
from benchmarks.columns import clocked


@contextlib.contextmanager
def prepare(job: dict[str, Any]) -> Iterator[Callable[[], dict[str, Any]]]:
    """Make a key; the job names its ``bits`` and how many ``values`` there are."""
    import phe

    public, private = phe.generate_paillier_keypair(n_length=job["bits"])
    values = [37 * i % 65_536 for i in range(job["values"])]

    def run() -> dict[str, Any]:
        rates: dict[str, float] = {}
        encrypted = clocked(rates, "encrypt", len(values), lambda: [public.encrypt(value) for value in values])
        clocked(rates, "add", len(values), lambda: [one + one for one in encrypted])
        back = clocked(rates, "decrypt", len(values), lambda: [private.decrypt(one) for one in encrypted])
        return {"rates": {"paillier": rates}, "right": back == values}

    yield run


if __name__ == "__main__":
    child.play(prepare)
