"""`intersect`: find the rows that two parties share, and give each its own rows, aligned."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from fusion.channel import Channel, Group, Session
from fusion.errors import InputError
from fusion.kernels import hashing
from fusion.kernels.join import repeated
from fusion.psi import ecdh, vole
from fusion.psi.plan import LARGE, choose
from fusion.tables import ColumnReport, Keys, Table, explain_left_out, explain_matches, key_columns

__all__ = ["intersect"]


_PROTOCOLS = {"ecdh": (ecdh.SUITE, ecdh.matches), "vole": (vole.SUITE, vole.matches)}


def intersect(
    peer: Channel,
    table: Any,
    on: Sequence[str] | Mapping[str, str] | str,
    *,
    learn: str = "both",
    how: Literal["inner"] = "inner",
    duplicates: Literal["error", "first"] = "error",
    protocol: Literal["auto", "vole", "ecdh"] = "auto",
) -> Any:
    """Find the rows whose keys both parties hold. Both sides call this, each with its own table.

    Parameters
    ----------
    peer : Channel
        The other party.
    table : pandas.DataFrame, pyarrow.Table, polars.DataFrame or path
        This party's rows; a path names a CSV or Parquet file.
    on : list of str, or dict of str to str
        The key columns, or ``{column: kind}`` with kinds ``text``, ``integer``, ``date``, ``cn_id``, ``phone`` and
        ``uscc``. Without a kind, the column's type decides. Only the kinds, in order, travel.
    learn : str
        Who gets the result: ``"both"``, or one party's name; the other then gets None.
    how : "inner"
        Which rows come back: those that both hold.
    duplicates : "error" or "first"
        What to do with rows that repeat a key: refuse, or keep the first of each.
    protocol : "auto", "vole" or "ecdh"
        How; the module of that name in `fusion.psi` says what it assumes. Both sides must say the same. "auto" takes
        "vole" unless the tables are small; the receipt says which it was. See `fusion.psi.estimate`.

    Returns
    -------
    table of the same kind, or None
        This party's matching rows: row i here and row i there are the same. Their order is that of session-masked
        tags and says nothing about either table. A path gives a `pyarrow.Table`; a pandas result has a
        ``RangeIndex`` named ``"pair-<session>"``.

    Raises
    ------
    InputError
        When the table or an argument cannot be used, or keys repeat.
    MismatchError
        When the two sides ask for different things.
    PeerAborted, PeerError, PolicyError, TransportError
        See `fusion.errors`.

    Notes
    -----
    Each side learns how many usable, distinct keys the other has. A learner learns which of its rows the other
    holds. Rows with a missing or invalid key never match. ``peer.receipt()`` tells what was done; its ``notes`` count
    the rows left out and, when few match, say what may be wrong with this side's keys. Semi-honest; the full
    statements stand in `fusion.psi.ecdh` and `fusion.psi.vole`.
    """
    if isinstance(peer, Group):
        raise InputError(f"two parties meet here, not a group; pass one channel, such as group[{next(iter(peer))!r}]")
    with peer.operation("psi.intersect"):
        _check(how=how, duplicates=duplicates, protocol=protocol)
        peer.phase("reading keys")
        source = Table.of(table)
        items, digests = _items(key_columns(source, on), duplicates)
        held = [digests]
        del digests  # whoever takes them out of the list is the only one to keep them
        session = peer.open(
            learn=learn,
            kinds=items.kinds,
            rows=len(items.positions),
            parameters={"how": how, "protocol": protocol, "suite": _suite(protocol)},
        )
        chosen = choose(len(items.positions), session.theirs.rows) if protocol == "auto" else protocol
        suite, run = _PROTOCOLS[chosen]
        settled = {"protocol": chosen, "suite": suite}
        matches = run(peer, session, held.pop)
        if matches is None:
            peer.finish(_learned(session, peer, None), notes=_notes(items, session, peer, None), settled=settled)
            return None
        agreed = b""
        if matches.tags is not None:
            agreed = hashlib.sha256(b"fusion/psi/result/1" + session.id + matches.tags.tobytes()).digest()
        peer.finish(
            _learned(session, peer, len(matches.ours)),
            result=agreed,
            notes=_notes(items, session, peer, len(matches.ours)),
            settled=settled,
        )
        return source.take(items.positions[matches.ours], index_name=f"pair-{session.id.hex()[:32]}")


def _suite(protocol: str) -> str:
    """What would be computed with, and when: sides that would compute differently must not begin."""
    if protocol == "auto":
        return f"{ecdh.SUITE}, from {LARGE} keys {vole.SUITE}"
    return _PROTOCOLS[protocol][0]


def _check(*, how: str, duplicates: str, protocol: str) -> None:
    for name, value, allowed in (
        ("how", how, ("inner",)),
        ("duplicates", duplicates, ("error", "first")),
        ("protocol", protocol, ("auto", *_PROTOCOLS)),
    ):
        if value not in allowed:
            raise InputError(f"{name}={value!r} is not known; write {' or '.join(map(repr, allowed))}")


@dataclass(frozen=True, slots=True, repr=False)
class _Items:
    """The distinct keys of a table."""

    kinds: tuple[str, ...]
    report: tuple[ColumnReport, ...]
    positions: npt.NDArray[np.int64]  # for each key, the row of the table where it stands
    repeated: int  # rows that were left out because an earlier one has their key


def _items(keys: Keys, duplicates: str) -> tuple[_Items, npt.NDArray[np.uint8]]:
    """The distinct keys, and the digest of each, (n, 32)."""
    domain = b"fusion/psi/item/2/" + "/".join(keys.kinds).encode()
    # filled up to whole blocks, which are hashed once for all rows
    digests = hashing.sha256_columns(domain.ljust(-(-len(domain) // 64) * 64, b"\0"), keys.columns)
    again = repeated(digests)
    count = int(again.sum())
    if not count:
        return _Items(keys.kinds, keys.report, keys.valid, 0), digests
    if duplicates == "error":
        raise InputError(
            f"{count} rows repeat a key of an earlier row; remove them, add a key column, or pass duplicates='first'"
        )
    return _Items(keys.kinds, keys.report, keys.valid[~again], count), digests[~again]


def _learned(session: Session, peer: Channel, matched: int | None) -> dict[str, list[str]]:
    """What each side learned, as far as this side may know it."""
    sizes = {peer.name: session.theirs.rows, peer.peer: session.ours.rows}
    learned = {}
    brought = {peer.name: session.ours.rows, peer.peer: session.theirs.rows}
    for party, size in sizes.items():
        learned[party] = [f"how many distinct keys the other side brought: {size:,}"]
        if session.ours.learn in ("both", party):
            count = "" if matched is None else f": {matched:,} of {brought[party]:,}"
            learned[party].append(f"which of its own keys the other side holds too{count}")
    return learned


def _notes(items: _Items, session: Session, peer: Channel, matched: int | None) -> list[str]:
    """What this side should know of its own table; ``matched`` is None if it does not learn."""
    notes = []
    if items.repeated:
        notes.append(f"rows left out, as they repeat the key of an earlier row: {items.repeated:,}")
    left_out = explain_left_out(items.report)
    if matched is None:
        return notes + left_out
    if len(items.positions) and not session.theirs.rows:
        return [*notes, *left_out, f"{peer.peer} brought no usable key, so nothing can match; its notes say why"]
    return notes + (explain_matches(items.report, len(items.positions), matched) or left_out)
