"""The TLS channel between two processes on the loopback interface, beside bare blocking ``ssl`` sockets.

Both move chunks of the size that an intersection sends, with the same cipher and keys. The channel also frames,
hashes its transcript both ways, and compares transcripts at the end; the sockets do nothing else at all.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import fusion
from benchmarks import BenchmarkError
from benchmarks.channel_party import CHUNK_BYTES
from benchmarks.children import Report, elapsed
from benchmarks.machine import machine, pinned
from benchmarks.measure import rounded, seconds_of, summarise, take_turns
from benchmarks.pair import RECEIVER, SENDER, run_pair

__all__ = ["DEFAULT_N", "benchmark"]

DEFAULT_N = 1 << 29
_CORES = 2
_SLOWEST = 1e6  # bytes a second that are not yet a hang


def benchmark(n: int, *, repeat: int) -> dict[str, Any]:
    """Move ``n`` bytes in all, one way, and half of them each way at once.

    Raises
    ------
    BenchmarkError
        If the ends do not meet, or something is missing at the end.
    """
    with pinned(_CORES), tempfile.TemporaryDirectory(prefix="fusion-benchmark-") as folder:
        facts = machine()
        ours: dict[str, Any] = {}
        sockets: dict[str, Any] = {}
        for way, parts in (("one way", (0, n)), ("both ways", (n // 2, n // 2))):
            # whole chunks, and at least one
            to_send = {
                name: -(-part // CHUNK_BYTES) * CHUNK_BYTES
                for name, part in zip((RECEIVER, SENDER), parts, strict=True)
            }
            contenders: dict[str, Callable[[], dict[str, Report]]] = {
                over: partial(_move, Path(folder), over, to_send) for over in ("fusion", "ssl")
            }
            turns = take_turns(contenders, repeat, f"channel {way}")
            ours[way] = _summary(turns["fusion"], sum(to_send.values()))
            sockets[way] = _summary(turns["ssl"], sum(to_send.values()))
            sockets[way]["ratio"] = rounded(sockets[way]["seconds"] / ours[way]["seconds"])
    return {
        "benchmark": "channel",
        "protocol": "tls",
        "n": n,
        "machine": facts,
        "fusion": {"version": fusion.__version__, "chunk_bytes": CHUNK_BYTES, **ours},
        "peers": {"ssl": {"version": facts["openssl"], **sockets}},
    }


def _move(folder: Path, over: str, to_send: dict[str, int]) -> dict[str, Report]:
    jobs = {
        name: {"over": over, "send": to_send[name], "receive": to_send[other]}
        for name, other in ((RECEIVER, SENDER), (SENDER, RECEIVER))
    }
    reports = run_pair("benchmarks.channel_party", folder, jobs, seconds=60 + sum(to_send.values()) / _SLOWEST, ports=2)
    for name, job in jobs.items():
        if reports[name].details["received"] != job["receive"]:
            raise BenchmarkError(f"{over}: the {name} got other than the {job['receive']} bytes that were sent")
    return reports


def _summary(runs: list[dict[str, Report]], total: int) -> dict[str, Any]:
    seconds = summarise([elapsed(reports) for reports in runs])
    return {
        **seconds_of(seconds),
        "mb_per_second": rounded(total / 1e6 / seconds.median),
        "cpu_seconds": {
            name: rounded(summarise([reports[name].cpu_seconds for reports in runs]).median)
            for name in (RECEIVER, SENDER)
        },
    }
