"""SecretFlow's HEU on a column of integers, in its own environment: Paillier, and Okamoto-Uchiyama."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from benchmarks import child
from benchmarks.columns import clocked


@contextlib.contextmanager
def prepare(job: dict[str, Any]) -> Iterator[Callable[[], dict[str, Any]]]:
    """Make a key of each scheme; the job names ``bits``, ``values`` and ``ou_bits``."""
    import numpy as np
    from heu import numpy as arrays
    from heu import phe

    kits = {
        "paillier": arrays.setup(phe.SchemaType.ZPaillier, job["bits"]),
        "ou": arrays.setup(phe.SchemaType.OU, job["ou_bits"]),
    }
    values = 37 * np.arange(job["values"]) % 65_536
    for kit in kits.values():  # the first call makes tables
        kit.encryptor().encrypt(kit.array(values[:2], kit.bigint_encoder()))

    def run() -> dict[str, Any]:
        found: dict[str, dict[str, float]] = {}
        right = True
        for scheme, kit in kits.items():
            rates: dict[str, float] = {}
            encryptor, evaluator, decryptor = kit.encryptor(), kit.evaluator(), kit.decryptor()
            plain = kit.array(values, kit.bigint_encoder())
            encrypted = clocked(rates, "encrypt", len(values), lambda: encryptor.encrypt(plain))  # noqa: B023
            clocked(rates, "add", len(values), lambda: evaluator.add(encrypted, encrypted))  # noqa: B023
            back = clocked(rates, "decrypt", len(values), lambda: decryptor.decrypt(encrypted))  # noqa: B023
            right &= bool((back.to_numpy(kit.bigint_encoder()) == values).all())
            found[scheme] = rates
        return {"rates": found, "right": right}

    yield run


if __name__ == "__main__":
    child.play(prepare)
