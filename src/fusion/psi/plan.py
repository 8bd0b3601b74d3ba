"""Which protocol suits two tables, and what it will cost: computed from sizes alone, before anything is sent."""

from __future__ import annotations

from dataclasses import dataclass

from fusion.correlations import vole as correlation
from fusion.crypto import okvs
from fusion.errors import InputError
from fusion.psi import ecdh
from fusion.psi.matches import tag_bytes

__all__ = ["Cost", "choose", "estimate"]

# From here on the fixed cost of a correlation is less than what it saves on each item.
_LARGE = 1 << 13
_FRAME = 16
_CHUNK_HEADER = 24  # a frame's header, then count and width
_TALK = 1500  # announcements, transcripts and ends of streams of both sides

# Seconds on one core with the widest vectors, and with portable C, as docs/performance.md measures them.
_PREPARE = 0.6e-6  # reading, hashing and matching, for each item of either side
_ECDH = 7.0e-6, 65e-6  # for each item of either side, at each side
_VOLE = 1.2e-6, 6.0e-6
_VOLE_FIXED = 0.06, 0.35
_BASE_MB = 130.0  # the interpreter and its libraries
_ECDH_MB, _VOLE_MB = 200e-6, 260e-6  # for each item of the larger side


@dataclass(frozen=True, slots=True)
class Cost:
    """What an intersection takes.

    Attributes
    ----------
    protocol : str
    seconds : float
        On one core a party, from tables in memory, on a local network: with vector instructions; a rough figure.
    seconds_portable : float
        The same by portable C.
    bytes : int
        Both directions together, before encryption; within one per cent.
    memory_mb : float
        Peak of the larger side, in megabytes beside its table; a rough figure.
    """

    protocol: str
    seconds: float
    seconds_portable: float
    bytes: int
    memory_mb: float


def choose(nx: int, ny: int, learn: str) -> str:
    """The protocol that ``protocol="auto"`` stands for: a function of both sizes, who learns and the wire version.

    ``"vole"`` when either side has 2^13 keys or more; below, ``"ecdh"`` costs no more and rests on less.
    """
    return "vole" if max(nx, ny) >= _LARGE else "ecdh"


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
    """
    if min(nx, ny) < 0 or learn not in ("both", "one"):
        raise InputError("sizes are 0 or more, and learn is 'both' or 'one'")
    width = tag_bytes(nx, ny)
    both = learn == "both"
    items = nx + ny
    tags = nx + (ny if both else 0)
    chunks = -(-nx // ecdh.CHUNK) + -(-ny // ecdh.CHUNK)
    by_ecdh = 32 * items + width * tags + _CHUNK_HEADER * chunks * (2 if both else 1) + _TALK
    stored, tagged = (min(nx, ny), max(nx, ny)) if both else (nx, ny)
    columns = okvs.parameters(stored).columns
    by_vole = 16 * columns + width * tagged + 0 + _TALK
    if both:
        by_vole += -(-tagged // 8)
    larger = max(nx, ny)
    costs = {
        "ecdh": Cost(
            "ecdh",
            *(round(items * (_PREPARE + each), 3) for each in _ECDH),
            by_ecdh,
            round(_BASE_MB + larger * _ECDH_MB, 1),
        ),
        "vole": Cost(
            "vole",
            *(round(items * (_PREPARE + each / 2) + fixed, 3) for each, fixed in zip(_VOLE, _VOLE_FIXED, strict=True)),
            by_vole,
            round(_BASE_MB + larger * _VOLE_MB, 1),
        ),
    }
    first = choose(nx, ny, learn)
    return {name: costs[name] for name in sorted(costs, key=lambda name: name != first)}
