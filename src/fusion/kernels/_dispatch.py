"""Which variant of the curve runs here."""

from __future__ import annotations

import os
from typing import Any

from fusion.errors import InputError
from fusion.kernels._native import ffi, lib


def _usable() -> dict[str, Any]:
    found: dict[str, Any] = {}
    while (operations := lib.fusion_ristretto_variant(len(found))) != ffi.NULL:
        found[ffi.string(operations.name).decode()] = operations
    return found


_VARIANTS = _usable()


def variants() -> tuple[str, ...]:
    """Names of the variants this CPU can run, fastest first; ``"portable"`` is always the last."""
    return tuple(_VARIANTS)


def active() -> str:
    """Name of the variant in use: what the environment variable ``FUSION_KERNEL`` asks for, else the fastest.

    Raises
    ------
    InputError
        If ``FUSION_KERNEL`` names a variant that does not exist or that this CPU cannot run.
    """
    name = os.environ.get("FUSION_KERNEL") or variants()[0]
    operations(name)
    return name


def operations(variant: str | None) -> Any:
    """The table of operations of a variant; of the active one for None."""
    name = active() if variant is None else variant
    if name not in _VARIANTS:
        raise InputError(f"kernel variant {name!r} cannot run here; choose one of {', '.join(_VARIANTS)}")
    return _VARIANTS[name]
