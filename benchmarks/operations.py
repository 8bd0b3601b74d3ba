"""What the benchmark of the kernels measures, each on one core."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

import fusion
from benchmarks import BenchmarkError
from benchmarks.peers import libsodium
from fusion import kernels
from fusion.channel import Channel, Session
from fusion.correlations import vole
from fusion.crypto import elgamal
from fusion.crypto import okvs as store
from fusion.kernels import block, hashing, join, okvs, ristretto, sums

__all__ = ["NATIVE", "PUBLISHED", "Operation", "kernel", "long_operations", "short_operations"]

NATIVE = "native"  # what has no variants
PUBLISHED = {
    "n": 1 << 20,
    "milliseconds": {"okvs_encode": 143.0, "okvs_decode": 42.0},
    "source": "Raghuraman and Rindal (CCS 2022), one thread of an Intel i7-9750H: for orientation, not measured here",
}
_DST = b"RFC9497-OPRFV1-\x00-ristretto255-SHA512"

Rows = NDArray[np.uint8]
Ours = Callable[[str], object]  # takes the name of a variant
Theirs = Callable[[libsodium.Libsodium], object]


@dataclass(frozen=True, slots=True)
class Operation:
    """What is measured: ``ours`` for every variant, or once, and ``theirs`` if libsodium does the same."""

    name: str
    ours: Ours
    theirs: Theirs | None = None
    variants: tuple[str, ...] = (NATIVE,)


def short_operations(n: int) -> list[Operation]:
    """The curve and hashing, over ``n`` rows."""
    random = np.random.default_rng(n)
    uniform = _bytes(random, n, 64)
    digests = _bytes(random, n, 32)
    scalars = _bytes(random, n, 32)
    scalars[:, 31] &= 0x0F  # below the order, whatever the rest
    scalar = scalars[0].tobytes()
    one = ristretto.from_uniform(uniform, threads=1)
    p = ristretto.encode(one, threads=1)
    q = p[::-1].copy()
    digits = random.integers(ord("0"), ord("9") + 1, (n, 18), dtype=np.uint8)
    column = pa.array(digits.view("S18").ravel().astype("U18"))
    prefixed = np.concatenate((np.tile(np.array([18, 0, 0, 0], np.uint8), (n, 1)), digits), axis=1)
    key = b"benchmark key of the length that intersections use, more or less"

    def decoded(encodings: Rows, variant: str) -> ristretto.Points:
        points, valid = ristretto.decode(encodings, threads=1, variant=variant)
        if not valid.all():
            raise BenchmarkError("the kernel refuses a valid encoding")
        return points

    def encoded(points: ristretto.Points, variant: str) -> Rows:
        return ristretto.encode(points, threads=1, variant=variant)

    def hash_to_group(variant: str) -> Rows:
        expanded = hashing.expand_message_xmd(digests, _DST, threads=1)
        return encoded(ristretto.from_uniform(expanded, threads=1, variant=variant), variant)

    curve = kernels.variants()
    return [
        Operation(
            "multiply",
            lambda v: ristretto.multiply_encode(decoded(p, v), scalar, threads=1, variant=v),
            lambda sodium: sodium.multiply(p, scalar),
            curve,
        ),
        Operation(
            "multiply_base",
            lambda v: encoded(ristretto.multiply_base(scalars, threads=1, variant=v), v),
            lambda sodium: sodium.multiply_base(scalars),
            curve,
        ),
        Operation("hash_to_group", hash_to_group, lambda sodium: sodium.hash_to_group(digests, _DST), curve),
        Operation(
            "from_uniform",
            lambda v: encoded(ristretto.from_uniform(uniform, threads=1, variant=v), v),
            lambda sodium: sodium.from_uniform(uniform),
            curve,
        ),
        Operation("decode", lambda v: decoded(p, v) and None, lambda sodium: sodium.decode(p), curve),
        Operation("encode", lambda v: encoded(one, v), variants=curve),
        Operation(
            "add",
            lambda v: encoded(ristretto.add(decoded(p, v), decoded(q, v), threads=1, variant=v), v),
            lambda sodium: sodium.add(p, q),
            curve,
        ),
        Operation("add_points", lambda v: ristretto.add(one, one, threads=1, variant=v) and None, variants=curve),
        *_elgamal(random, n),
        Operation(
            "expand_message_xmd",
            lambda _: hashing.expand_message_xmd(digests, _DST, threads=1),
            lambda sodium: sodium.expand(digests, _DST),
        ),
        Operation(
            "sha256",
            lambda _: hashing.sha256_rows(key, p, 32, threads=1),
            lambda sodium: sodium.sha256(key, p),
        ),
        Operation(
            "sha256_columns",
            lambda _: hashing.sha256_columns(key, [column], threads=1),
            lambda sodium: sodium.sha256(key, prefixed),
        ),
    ]


def _elgamal(random: np.random.Generator, n: int) -> list[Operation]:
    """One value a row; a histogram of eight features by 32 bins; sums below 2^30, the table being there."""
    private = elgamal.generate(1)
    values = random.integers(-(2**30) + 1, 2**30, (n, 1))
    codes = random.integers(0, 32, (n, 8)).astype(np.uint8)
    rows = private.public.encrypt(values, threads=1)
    points = ristretto.decode(rows.to_bytes(threads=1).reshape(-1, 32), threads=1)[0]
    return [
        Operation(
            "elgamal_encrypt",
            lambda v: private.public.encrypt(values, threads=1, variant=v) and None,
            variants=kernels.variants("elgamal"),
        ),
        Operation(
            "elgamal_histogram",
            lambda v: ristretto.encode(
                sums.histogram(codes, 32, points, 2, threads=1, variant=v), variant=v, threads=1
            ),
            variants=kernels.variants("elgamal"),
        ),
        Operation(
            "elgamal_decrypt",
            lambda v: private.decrypt(rows, 2**30, threads=1, variant=v),
            variants=kernels.variants("elgamal"),
        ),
    ]


def long_operations(n: int) -> list[Operation]:
    """What the intersection by store and correlation computes, over ``n`` rows."""
    random = np.random.default_rng(n)
    a, b = _bytes(random, n, block.WIDTH), _bytes(random, n, block.WIDTH)
    key = a[0].tobytes()
    sizes = store.parameters(n)
    geometry = sizes.bins, sizes.slots, key
    held = okvs.encode(*geometry, a, b, threads=1)
    if held is None:
        raise BenchmarkError("the store of random keys has no solution")
    blocks = block.variants()
    # tags as wide as those of a million by a million, half of them on both sides
    tags = np.ascontiguousarray(a[:, :10])
    others = random.permutation(np.concatenate([tags[: n // 2], b[n // 2 :, :10]]))
    return [
        Operation("aes", lambda v: block.encrypt(key, a, threads=1, variant=v), variants=blocks),
        Operation("gf128_multiply", lambda v: block.multiply(a, b, threads=1, variant=v), variants=blocks),
        Operation("gf128_scale", lambda v: block.scale(a, key, threads=1, variant=v), variants=blocks),
        Operation("okvs_encode", lambda v: okvs.encode(*geometry, a, b, threads=1, variant=v), variants=blocks),
        Operation("okvs_decode", lambda v: okvs.decode(*geometry, a, held, threads=1, variant=v), variants=blocks),
        Operation("join", lambda _: np.stack(join.join(tags, others, threads=1))),
        # the environment tells only the fastest variant from the portable one
        Operation("vole", lambda v: _vole(sizes.columns, v), variants=tuple(dict.fromkeys((blocks[0], blocks[-1])))),
    ]


def _vole(n: int, variant: str) -> None:
    """Both roles of a correlation, with all that precedes it, one thread each."""

    def role(side: type[vole.Sender] | type[vole.Receiver]) -> Callable[[Channel], Any]:
        def play(peer: Channel) -> Any:
            with peer.operation("benchmark"):
                session: Session = peer.open(learn="both", kinds=(), rows=n, parameters={})
                opened = side.open(peer, session, threads=1)
                made = opened.extend(peer, session, n, threads=1)
                peer.finish({})
            return opened, made

        return play

    with kernel(variant):
        out = fusion.simulate(sender=role(vole.Sender), receiver=role(vole.Receiver))
    (sender, b), (_, (a, c)) = out["sender"], out["receiver"]
    some = slice(0, 1000)
    if not np.array_equal(c[some], block.scale(a[some], sender.delta) ^ b[some]):
        raise BenchmarkError("the two sides of a correlation do not belong together")


@contextlib.contextmanager
def kernel(variant: str) -> Iterator[None]:
    """Let ``variant``, the fastest or the portable one, be what runs where none is named."""
    before = os.environ.pop("FUSION_KERNEL", None)
    if variant == "portable":
        os.environ["FUSION_KERNEL"] = variant
    try:
        yield
    finally:
        os.environ.pop("FUSION_KERNEL", None)
        if before is not None:
            os.environ["FUSION_KERNEL"] = before


def _bytes(random: np.random.Generator, n: int, width: int) -> Rows:
    return random.integers(0, 256, (n, width), dtype=np.uint8)
