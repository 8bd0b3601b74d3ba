"""TenSEAL's CKKS on vectors of numbers, in its own environment."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from benchmarks import child
from benchmarks.columns import clocked

_TURNS = 40


@contextlib.contextmanager
def prepare(job: dict[str, Any]) -> Iterator[Callable[[], dict[str, Any]]]:
    """Make a key at N = 8192 with moduli of 60, 40 and 60 bits: what its tutorial on size recommends for precision."""
    import numpy as np
    import tenseal

    context = tenseal.context(tenseal.SCHEME_TYPE.CKKS, 8192, coeff_mod_bit_sizes=[60, 40, 60], n_threads=1)
    context.global_scale = 2.0**40
    slots = 4096
    values = np.random.default_rng(job["seed"]).uniform(-1, 1, slots)

    def run() -> dict[str, Any]:
        rates: dict[str, float] = {}
        turns = range(_TURNS)
        count = slots * _TURNS
        encrypted = clocked(rates, "encrypt", count, lambda: [tenseal.ckks_vector(context, values) for _ in turns])
        clocked(rates, "add", count, lambda: [one + encrypted[0] for one in encrypted])
        back = clocked(rates, "decrypt", count, lambda: [one.decrypt() for one in encrypted])
        size = len(encrypted[0].serialize()) / slots
        right = bool(np.abs(np.array(back[-1]) - values).max() < 1e-4)
        return {"rates": {"ckks": rates}, "bytes_per_value": {"ckks": size}, "right": right}

    yield run


if __name__ == "__main__":
    child.play(prepare)
