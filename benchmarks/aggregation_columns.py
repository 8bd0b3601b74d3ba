"""Our encrypted columns, in a process of their own."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import fusion
from benchmarks import child
from benchmarks.columns import clocked
from fusion.aggregation import EncryptedArray
from fusion.crypto import elgamal

_PAILLIER = 1000  # values, one a ciphertext
_PACKED = (20, 2000)  # rows of values of 16 bits
_PEOPLE, _FEATURES, _BINS = 100_000, 8, 32
_CKKS = (40, 4096)
_GROUPS = 100


@contextlib.contextmanager
def prepare(job: dict[str, Any]) -> Iterator[Callable[[], dict[str, Any]]]:
    """Make keys and whatever a key computes once; the job names ``bits`` and ``sums``."""
    random = np.random.default_rng(1)
    small = random.integers(0, 2**16, _PAILLIER)
    packed = random.integers(0, 2**16, _PACKED)
    keys = {
        "paillier": fusion.aggregation.generate("paillier", bits=job["bits"]),
        "elgamal": fusion.aggregation.generate("elgamal"),
        "lattice": fusion.aggregation.generate("lattice", bound=1, decimals=6, terms=10_000),
        "ckks": fusion.aggregation.generate("ckks", length=_CKKS[1], bound=10**6, terms=1000),
    }
    limits = {"bound": 2**16, "terms": 1000}
    sizes: dict[str, float] = {}
    for scheme in ("paillier", "elgamal", "lattice"):
        public, private = keys[scheme]
        for half in (public, private):
            private.decrypt(half.encrypt(small, **limits).sum())  # the first use of a key makes tables

    def paillier(rates: dict[str, float]) -> bool:
        public, private = keys["paillier"]
        one = clocked(rates, "encrypt", len(small), lambda: public.encrypt(small, **limits))
        clocked(rates, "encrypt, key owner", len(small), lambda: private.encrypt(small, **limits))
        many = clocked(rates, "encrypt, packed", packed.size, lambda: public.encrypt(packed, **limits))
        clocked(rates, "add", len(small), lambda: one + one)
        clocked(rates, "add, packed", packed.size, lambda: many + many)
        back = clocked(rates, "decrypt", len(small), lambda: private.decrypt(one))
        clocked(rates, "decrypt, squeezed", len(small), lambda: private.decrypt(one.squeeze()))
        both = clocked(rates, "decrypt, packed", packed.size, lambda: private.decrypt(many))
        return bool((back == small).all() and (both == packed).all())

    def exponential(rates: dict[str, float]) -> bool:
        public, private = keys["elgamal"]
        labels = random.integers(0, 2, _PEOPLE)
        column = clocked(rates, "encrypt", _PEOPLE, lambda: public.encrypt(labels, bound=1, terms=_PEOPLE))
        clocked(rates, "add", _PEOPLE, lambda: column + column)
        right = True
        for bits in (30, 32):
            sums = random.integers(0, 2**bits, job["sums"])
            encrypted = public.encrypt(sums, bound=2**bits, terms=1)
            private.decrypt(encrypted[:1])  # makes the table of small multiples
            back = clocked(rates, f"decrypt, 2^{bits}", len(sums), lambda: private.decrypt(encrypted))  # noqa: B023
            right &= bool((back == sums).all())
        return right

    def histogram(rates: dict[str, float]) -> bool:
        key = elgamal.generate(1)
        labels = random.integers(0, 2, (_PEOPLE, 1))
        column = key.public.encrypt(labels)
        bins = random.integers(0, _BINS, (_PEOPLE, _FEATURES), dtype=np.uint8)
        # a row holds two points, and is added once for each feature
        additions = 2 * bins.size
        found = clocked(rates, "histogram, points added", additions, lambda: elgamal.histogram(bins, _BINS, column))
        back = key.decrypt(found, _PEOPLE).reshape(_FEATURES, _BINS)
        expected = [np.bincount(bins[:, i], labels[:, 0], _BINS) for i in range(_FEATURES)]
        return bool((back == np.array(expected)).all())

    def lattice(rates: dict[str, float]) -> bool:
        public, private = keys["lattice"]
        column = random.uniform(-1, 1, _CKKS).ravel()
        codes = random.integers(0, _GROUPS, len(column))
        limits_ = {"decimals": 6, "bound": 1, "terms": 10_000}
        ours = clocked(rates, "encrypt", len(column), lambda: public.encrypt(column, **limits_))
        own = clocked(rates, "encrypt, key owner", len(column), lambda: private.encrypt(column, **limits_))
        sizes["lattice"] = len(own.to_bytes()) / len(column)
        twice = clocked(rates, "add", len(column), lambda: ours + own)
        sent = clocked(rates, "write a sum", len(column), twice.to_bytes)
        received = EncryptedArray.from_bytes(sent, public)
        back = clocked(rates, "decrypt", len(column), lambda: private.decrypt(received))
        grouped = clocked(rates, "100 groups, rows", len(column), lambda: own.groupby(codes).sum().to_bytes())
        sums = private.decrypt(EncryptedArray.from_bytes(grouped, public))
        expected = np.bincount(codes, np.rint(column * 10**6)) / 10**6
        return bool(np.abs(back - 2 * column).max() < 2e-6 and np.array_equal(sums, expected))

    def ckks(rates: dict[str, float]) -> bool:
        public, private = keys["ckks"]
        values = random.uniform(-1, 1, _CKKS)
        rows = clocked(rates, "encrypt", values.size, lambda: public.encrypt(values, decimals=6, bound=1, terms=1000))
        sizes["ckks"] = len(rows.to_bytes()) / values.size
        clocked(rates, "add", values.size, lambda: rows + rows)
        back = clocked(rates, "decrypt", values.size, lambda: private.decrypt(rows))
        return bool(np.abs(back - values).max() < 1e-4)

    def run() -> dict[str, Any]:
        rates: dict[str, dict[str, float]] = {"paillier": {}, "elgamal": {}, "lattice": {}, "ckks": {}}
        right = paillier(rates["paillier"])
        right &= exponential(rates["elgamal"]) & histogram(rates["elgamal"])
        right &= lattice(rates["lattice"]) & ckks(rates["ckks"])
        return {"rates": rates, "bytes_per_value": sizes, "right": right}

    yield run


if __name__ == "__main__":
    child.play(prepare)
