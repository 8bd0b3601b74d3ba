"""What the figures are taken on, and keeping to some of its cores."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import platform
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

__all__ = ["machine", "pinned"]

# What the kernels, and the libraries below us, choose their code by.
_FLAGS = ("aes", "avx2", "avx512f", "avx512ifma", "gfni", "pclmulqdq", "sha_ni", "vaes", "vpclmulqdq")
_PACKAGES = ("cryptography", "msgspec", "numpy", "pandas", "pyarrow")


def machine() -> dict[str, Any]:
    """Processor, memory, system and versions, as far as the system tells them; ``load`` is that before we began."""
    cpu = _processor()
    flags = cpu.get("flags", cpu.get("Features", "")).split()
    return {
        "cpu": cpu.get("model name", platform.machine()),
        "family_model_stepping": "/".join(cpu.get(key, "?") for key in ("cpu family", "model", "stepping")),
        "flags": [flag for flag in _FLAGS if flag in flags],
        "virtual": "hypervisor" in flags,
        "cores": os.cpu_count(),
        "cores_used": sorted(os.sched_getaffinity(0)),
        "load": round(os.getloadavg()[0], 2),
        "memory_mb": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20,
        "system": platform.platform(),
        "python": platform.python_version(),
        "openssl": ssl.OPENSSL_VERSION,
        "packages": {name: importlib.metadata.version(name) for name in _PACKAGES},
    }


def _processor() -> dict[str, str]:
    """The first processor's entry in /proc/cpuinfo."""
    try:
        first = Path("/proc/cpuinfo").read_text("utf-8", "replace").partition("\n\n")[0]
    except OSError:
        return {}
    pairs = (line.partition(":") for line in first.splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}


@contextlib.contextmanager
def pinned(cores: int) -> Iterator[None]:
    """Keep this process, and children started meanwhile, to the first ``cores`` of the cores it may use."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(allowed)[:cores])
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)
