"""One party of an intersection benchmark, in a process of its own: a file in, and one out where it learns."""

from __future__ import annotations

import contextlib
import itertools
import os
import time
from collections.abc import Callable, Iterator
from typing import Any

# these load when first used; the clock is not for that
import pandas  # noqa: F401, ICN001
import pyarrow.csv
import pyarrow.parquet  # noqa: F401

import fusion
from benchmarks import child
from benchmarks.pair import party
from fusion import kernels, progress, psi, tables
from fusion.kernels import block
from fusion.progress import Event

_WRITING = "writing the result"


@contextlib.contextmanager
def prepare(job: dict[str, Any]) -> Iterator[Callable[[], dict[str, Any]]]:
    """Meet the peer; the job names ``table``, ``out``, the column ``on``, who learns, and the protocol."""
    name, other = job["who"]["name"], job["who"]["peer"]
    changes: list[tuple[float, str]] = []

    def note(event: Event) -> None:
        # the same on both sides: "waiting for the peer"
        phase = event.phase.replace(other, "the peer")
        if event.party == name and (not changes or changes[-1][1] != phase):
            changes.append((time.monotonic(), phase))

    def run() -> dict[str, Any]:
        with progress.listen(note):
            result = psi.intersect(peer, job["table"], on=[job["on"]], learn=job["learn"], protocol=job["protocol"])
        if result is not None:
            changes.append((time.monotonic(), _WRITING))
            tables.write(result, job["out"])
        changes.append((time.monotonic(), ""))
        return {
            "phases": phases(changes),
            "rows": None if result is None else tables.Table.of(result).rows,
            "kernel": {"curve": kernels.active(), "blocks": _blocks()},
        }

    with fusion.connect(party(job["who"]), peer=job["who"]["peer"]) as peer:
        yield run


def phases(changes: list[tuple[float, str]]) -> dict[str, float]:
    """Seconds in each phase, from the moments at which phases began; the last moment is the end."""
    found: dict[str, float] = {}
    for (began, phase), (ended, _) in itertools.pairwise(changes):
        found[phase] = found.get(phase, 0.0) + ended - began
    return found


def _blocks() -> str:
    """The variant of AES and the field that is in use."""
    portable = os.environ.get("FUSION_KERNEL") == "portable"
    return block.variants()[-1 if portable else 0]


if __name__ == "__main__":
    child.play(prepare)
