"""Sums of elements by group and by bin."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusion.kernels import ristretto
from fusion.kernels.ristretto import ORDER, Points


def negate(points: Points) -> Points:
    return ristretto.multiply(points, (ORDER - 1).to_bytes(32, "little"))


def group_sum(
    codes: NDArray[np.int64], groups: int, points: Points, width: int, *, threads: int | None, variant: str | None
) -> Points:
    order = np.argsort(codes, kind="stable")
    labels = codes[order]
    rows = points._rows.reshape(len(codes), width * 128)[order]
    while len(labels) > 1 and (labels[1:] == labels[:-1]).any():
        starts = np.flatnonzero(np.r_[True, labels[1:] != labels[:-1]])
        rank = np.arange(len(labels)) - np.repeat(starts, np.diff(np.r_[starts, len(labels)]))
        even = np.flatnonzero(rank % 2 == 0)
        paired = even[(even + 1 < len(labels))]
        paired = paired[labels[paired + 1] == labels[paired]]
        total = ristretto.add(
            Points(rows[paired].reshape(-1, 128)), Points(rows[paired + 1].reshape(-1, 128)), threads=threads
        )
        rows[paired] = total._rows.reshape(-1, width * 128)
        rows, labels = rows[even], labels[even]
    out = ristretto.decode(np.zeros((groups * width, 32), dtype=np.uint8))[0]._rows.reshape(groups, width * 128)
    out[labels] = rows
    return Points(out.reshape(-1, 128))


def histogram(
    codes: NDArray[Any], bins: int, points: Points, width: int, *, threads: int | None, variant: str | None
) -> Points:
    parts = [
        group_sum(codes[:, f].astype(np.int64), bins, points, width, threads=threads, variant=variant)._rows
        for f in range(codes.shape[1])
    ]
    return Points(np.concatenate(parts) if parts else np.empty((0, 128), dtype=np.uint8))
