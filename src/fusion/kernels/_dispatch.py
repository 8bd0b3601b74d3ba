"""Which variant of each kernel runs here."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from fusion.errors import InputError
from fusion.kernels._native import ffi, lib


def _usable(variant: Callable[[int], Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    while (operations := variant(len(found))) != ffi.NULL:
        found[ffi.string(operations.name).decode()] = operations
    return found


_KERNELS = {
    "ristretto255": _usable(lib.fusion_ristretto_variant),
    "elgamal": _usable(lib.fusion_elgamal_variant),
    "sha256": _usable(lib.fusion_sha256_variant),
    "sha512": _usable(lib.fusion_sha512_variant),
    "ntt": _usable(lib.fusion_ntt_variant),
    "rlwe": _usable(lib.fusion_rlwe_variant),
}


def variants(kernel: str = "ristretto255") -> tuple[str, ...]:
    """Names of the variants of a kernel that this CPU can run, fastest first; ``"portable"`` is always the last.

    Parameters
    ----------
    kernel : {"ristretto255", "elgamal", "sha256", "sha512", "ntt", "rlwe"}
    """
    return tuple(_KERNELS[kernel])


def active(kernel: str = "ristretto255") -> str:
    """Name of the variant in use: what the environment variable ``FUSION_KERNEL`` asks for, else the fastest.

    One name is asked for, of all kernels: those that have no variant of that name run their fastest.

    Parameters
    ----------
    kernel : {"ristretto255", "elgamal", "sha256", "sha512", "ntt", "rlwe"}

    Raises
    ------
    InputError
        If ``FUSION_KERNEL`` names a variant that does not exist or that this CPU cannot run.
    """
    asked = os.environ.get("FUSION_KERNEL")
    known = {name: None for each in _KERNELS for name in variants(each)}
    if asked and asked not in known:
        raise _cannot_run(asked, known)
    return asked if asked in _KERNELS[kernel] else variants(kernel)[0]


def operations(variant: str | None, kernel: str = "ristretto255") -> Any:
    """The table of operations of a variant; of the active one for None."""
    name = active(kernel) if variant is None else variant
    if name not in _KERNELS[kernel]:
        raise _cannot_run(name, _KERNELS[kernel])
    return _KERNELS[kernel][name]


def _cannot_run(name: str, known: dict[str, Any]) -> InputError:
    return InputError(f"kernel variant {name!r} cannot run here; choose one of {', '.join(known)}")
