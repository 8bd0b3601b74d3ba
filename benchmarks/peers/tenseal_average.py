"""An average under TenSEAL's CKKS, in its own environment: processor time of each step, as JSON.

``python -m benchmarks.peers.tenseal_average VALUES CLIENTS TIMES``. Degree 8192, moduli of 60, 40 and 60 bits, as its
tutorial on encrypted vectors takes them. Each client encrypts and serialises its update, the server reads and adds, a
holder of the secret key decrypts. One thread.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from typing import Any

__all__ = ["measure"]

_SLOTS = 4096


def measure(values: int, clients: int, times: int) -> dict[str, Any]:
    """Milliseconds of each step, bytes of one update, and the largest error of a value."""
    import numpy as np
    import tenseal as ts

    context = ts.context(ts.SCHEME_TYPE.CKKS, 8192, coeff_mod_bit_sizes=[60, 40, 60], n_threads=1)
    context.global_scale = 2**40
    public = context.copy()
    public.make_context_public()
    random = np.random.default_rng(7)
    taken: dict[str, list[float]] = {}
    began = 0.0

    def lap(step: str, count: int = 1) -> None:
        nonlocal began
        taken.setdefault(step, []).append(1e3 * (time.process_time() - began) / count)
        began = time.process_time()

    error = size = 0.0
    for _ in range(times):
        expected = np.zeros(values)
        total: list[Any] = []
        for client in range(clients):
            update = random.uniform(-0.1, 0.1, values).astype(np.float32)
            expected += update
            began = time.process_time()
            pieces = [ts.ckks_vector(public, update[at : at + _SLOTS]) for at in range(0, values, _SLOTS)]
            lap("encrypt")
            sent = [piece.serialize() for piece in pieces]
            lap("serialise")
            size = sum(map(len, sent))
            read = [ts.ckks_vector_from(public, piece) for piece in sent]
            total = read if client == 0 else [one + other for one, other in zip(total, read, strict=True)]
            lap("read and add")
        result = [piece.serialize() for piece in total]
        began = time.process_time()
        opened = [ts.ckks_vector_from(context, piece).decrypt() for piece in result]
        lap("decrypt")
        error = max(error, float(np.abs(np.concatenate(opened) - expected).max()))
    steps = {step: round(statistics.median(each), 2) for step, each in taken.items()}
    return {
        "client_milliseconds": round(steps["encrypt"] + steps["serialise"] + steps["decrypt"], 2),
        "server_milliseconds": round(steps["read and add"] * clients, 2),
        "bytes_sent": int(size),
        "expansion": round(size / (4 * values), 2),
        "steps": steps,
        "largest_error": error,
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(measure(*map(int, sys.argv[1:4]))) + "\n")
