"""Fusion: compute on the joined picture while each row stays home.

Subpackages load when first used, so that ``import fusion`` is fast and pulls in no optional package.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from fusion.errors import (
    FusionError,
    InputError,
    MismatchError,
    PeerAborted,
    PeerError,
    PolicyError,
    TransportError,
)

if TYPE_CHECKING:
    from fusion import (
        aggregation,
        channel,
        crypto,
        disclosure,
        flower,
        kernels,
        learning,
        progress,
        psi,
        report,
        scenarios,
        tables,
    )
    from fusion.channel.connect import connect
    from fusion.channel.simulate import simulate

__version__ = "0.1.0"

_SUBPACKAGES = (
    "aggregation",
    "channel",
    "crypto",
    "disclosure",
    "flower",
    "kernels",
    "learning",
    "progress",
    "psi",
    "report",
    "scenarios",
    "tables",
)
_FUNCTIONS = {"connect": "fusion.channel.connect", "simulate": "fusion.channel.simulate"}

__all__ = [
    "FusionError",
    "InputError",
    "MismatchError",
    "PeerAborted",
    "PeerError",
    "PolicyError",
    "TransportError",
    "aggregation",
    "channel",
    "connect",
    "crypto",
    "disclosure",
    "flower",
    "kernels",
    "learning",
    "progress",
    "psi",
    "report",
    "scenarios",
    "simulate",
    "tables",
]


def __getattr__(name: str) -> Any:
    if name in _SUBPACKAGES:
        return importlib.import_module(f"fusion.{name}")
    if name in _FUNCTIONS:
        return getattr(importlib.import_module(_FUNCTIONS[name]), name)
    raise AttributeError(f"module 'fusion' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
