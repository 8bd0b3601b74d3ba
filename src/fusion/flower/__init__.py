"""Federations that run Flower: encrypted averages, and a federation inside one process (extra ``flower``).

The only package that imports ``flwr``. What is here loads when first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from fusion.errors import InputError

if TYPE_CHECKING:
    from fusion.flower.attendance import attend
    from fusion.flower.homomorphic import HomomorphicFedAvg
    from fusion.flower.homomorphic_client import HomomorphicMod
    from fusion.flower.in_process import InProcessGrid, run_in_process
    from fusion.flower.introduction import find_parties, introduce
    from fusion.flower.member import Member, load_clients
    from fusion.flower.noise import Noise
    from fusion.flower.secure import SecureFedAvg
    from fusion.flower.secure_client import SecureMod
    from fusion.flower.terms import Terms

_MODULES = {
    "HomomorphicFedAvg": "homomorphic",
    "HomomorphicMod": "homomorphic_client",
    "InProcessGrid": "in_process",
    "Member": "member",
    "Noise": "noise",
    "SecureFedAvg": "secure",
    "SecureMod": "secure_client",
    "Terms": "terms",
    "attend": "attendance",
    "find_parties": "introduction",
    "introduce": "introduction",
    "load_clients": "member",
    "run_in_process": "in_process",
}

__all__ = [
    "HomomorphicFedAvg",
    "HomomorphicMod",
    "InProcessGrid",
    "Member",
    "Noise",
    "SecureFedAvg",
    "SecureMod",
    "Terms",
    "attend",
    "find_parties",
    "introduce",
    "load_clients",
    "run_in_process",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'fusion.flower' has no attribute {name!r}")
    try:
        return getattr(importlib.import_module(f"fusion.flower.{_MODULES[name]}"), name)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "flwr":
            raise
        raise InputError("this needs Flower; pip install 'privacy-fusion[flower]'") from None


def __dir__() -> list[str]:
    return sorted(__all__)
