"""Which protocol suits two tables, and what it will cost: computed from sizes alone, before anything is sent."""

from __future__ import annotations

from dataclasses import dataclass

from fusion.errors import InputError
from fusion.psi import ecdh, vole

__all__ = ["LARGE", "Cost", "choose", "estimate"]

# Announced with "auto", so that sides that would choose differently do not begin.
LARGE = 1 << 14
"""Keys of both sides together from which a correlation saves more than it costs, in bytes, time and round trips."""

# Both announcements and both transcripts, for short names and a few key columns.
_TALK = 700

# Seconds on one core, first with the widest vectors, then by portable C: fitted to runs of 2^16 and 2^20 rows, the
# portable ones of 2^16 alone.
_PREPARE = 0.2e-6  # reading, hashing and matching, for each item of either side
_ECDH = 4.0e-6, 27e-6  # for each item of either side, at each side
_VOLE = 0.25e-6, 1.7e-6
_VOLE_FIXED = 0.04, 0.06
_BASE_MB = 130.0  # the interpreter and its libraries
_ECDH_MB, _VOLE_MB = 230e-6, 220e-6  # for each item of the larger side, its table included


@dataclass(frozen=True, slots=True)
class Cost:
    """What an intersection takes.

    Attributes
    ----------
    protocol : str
    seconds : float
        On one core a party, from file to file, on a local network: with vector instructions; a rough figure.
    seconds_portable : float
        The same by portable C.
    bytes : int
        Both directions together, before encryption: exact but for the announcements, which depend on names and kinds.
    memory_mb : float
        Peak of the larger side's process, in megabytes, with a table of one column; a rough figure.
    """

    protocol: str
    seconds: float
    seconds_portable: float
    bytes: int
    memory_mb: float


def choose(nx: int, ny: int) -> str:
    """The protocol that ``protocol="auto"`` stands for, equal on both sides and whoever learns.

    ``"vole"`` when both sides together have `LARGE` keys or more. Below, ``"ecdh"`` takes a fraction of a second too,
    fewer round trips, and rests on less.
    """
    return "vole" if nx + ny >= LARGE else "ecdh"


def estimate(nx: int, ny: int, *, learn: str = "both") -> dict[str, Cost]:
    """What an intersection of ``nx`` by ``ny`` keys costs with each protocol.

    Parameters
    ----------
    nx, ny : int
        Distinct keys of the one side and of the other; with one learner, ``nx`` are the learner's.
    learn : "both" or "one"
        Whether both sides learn the result.

    Returns
    -------
    dict of str to Cost
        By protocol; the one that "auto" takes comes first.

    Raises
    ------
    InputError
        If a size is negative or too large for a protocol, or ``learn`` is another word.
    """
    if min(nx, ny) < 0 or learn not in ("both", "one"):
        raise InputError("sizes are 0 or more, and learn is 'both' or 'one'")
    both = learn == "both"
    encoded, tagged = sorted((nx, ny)) if both else (nx, ny)
    traffic = {
        "ecdh": ecdh.traffic(nx, ny, both=both),
        "vole": vole.traffic(encoded, tagged, both=both),
    }
    seconds = {
        "ecdh": [(nx + ny) * (_PREPARE + each) for each in _ECDH],
        "vole": [(nx + ny) * (_PREPARE + each) + fixed for each, fixed in zip(_VOLE, _VOLE_FIXED, strict=True)],
    }
    memory = {"ecdh": _ECDH_MB, "vole": _VOLE_MB}
    first = choose(nx, ny)
    return {
        name: Cost(
            protocol=name,
            seconds=round(seconds[name][0], 3),
            seconds_portable=round(seconds[name][1], 3),
            bytes=_TALK + traffic[name],
            memory_mb=round(_BASE_MB + max(nx, ny) * memory[name], 1),
        )
        for name in sorted(traffic, key=lambda name: name != first)
    }
