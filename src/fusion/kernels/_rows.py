"""What every kernel call needs: checked arrays, and rows split among threads."""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusion.errors import InputError
from fusion.kernels._native import ffi

Bytes = NDArray[np.uint8]

# An interrupt is served between pieces: none takes longer than about two seconds.
_LARGEST_PIECE = 1 << 16
_ALIGNMENT = 64


def cpus() -> int:
    """How many CPUs this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@functools.cache
def _shared_pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=cpus(), thread_name_prefix="fusion-kernel")


if hasattr(os, "register_at_fork"):
    # Threads do not survive a fork: the child makes its own pool.
    os.register_at_fork(after_in_child=_shared_pool.cache_clear)


def split(
    work: Callable[[int, int], object], n: int, *, threads: int | None, grain: int, largest: int = _LARGEST_PIECE
) -> None:
    """Call `work(start, stop)` over pieces that cover rows 0 to n, by `threads` threads; None means all CPUs.

    `grain` is the smallest piece worth a thread. Pieces start at multiples of it, and `largest` bounds them.
    """
    if threads is None:
        threads = cpus()
    if threads < 1:
        raise InputError("threads must be at least 1, or None for all CPUs")
    share = -(-n // threads)
    piece = min(max(grain, -(-share // grain) * grain), largest)
    pieces = [(start, min(start + piece, n)) for start in range(0, n, piece)]
    threads = min(threads, len(pieces))
    if threads <= 1:
        for start, stop in pieces:
            work(start, stop)
        return
    cancelled = threading.Event()

    def run(own: int) -> None:
        for start, stop in pieces[own::threads]:
            if cancelled.is_set():
                return
            work(start, stop)

    pool = _shared_pool()
    futures = [pool.submit(run, own) for own in range(threads)]
    try:
        for future in futures:
            future.result()
    finally:
        cancelled.set()


def byte_rows(array: object, width: int | None, what: str) -> Bytes:
    """`array` as contiguous (n, width) uint8, or an InputError that says what is wrong; None: any width."""
    if not isinstance(array, np.ndarray) or array.dtype != np.uint8:
        raise InputError(f"{what} must be a numpy array of uint8")
    if array.ndim != 2 or (width is not None and array.shape[1] != width):
        shape = "(n, width)" if width is None else f"(n, {width})"
        raise InputError(f"{what} must have shape {shape}, not {array.shape}")
    return np.ascontiguousarray(array)


def points_below(points: object, bound: int) -> NDArray[np.uint64]:
    """`points` as contiguous (n,) uint64, or an InputError that says what is wrong."""
    if not isinstance(points, np.ndarray) or points.dtype != np.uint64 or points.ndim != 1:
        raise InputError("points must be a numpy array of uint64 with one dimension")
    if (points >= bound).any():
        raise InputError(f"every point must be below {bound}")
    return np.ascontiguousarray(points)


def byte_string(value: object, what: str) -> bytes:
    """`value` as bytes, or an InputError."""
    if not isinstance(value, bytes | bytearray | memoryview):
        raise InputError(f"{what} must be bytes")
    return bytes(value)


def aligned(size: int) -> Bytes:
    """Memory for vectors: that many bytes from a multiple of 64 on, not cleared."""
    memory = np.empty(size + _ALIGNMENT, dtype=np.uint8)
    return memory[-memory.ctypes.data % _ALIGNMENT :][:size]


def pointer(array: Bytes, *, writable: bool = False) -> Any:
    """The array's memory as C sees it; the array must be contiguous and outlive the call."""
    return ffi.from_buffer("uint8_t[]", array, require_writable=writable)
