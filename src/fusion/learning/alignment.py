"""Whether row i here and row i there belong together, without saying anything about people."""

from __future__ import annotations

import hashlib
import warnings
from typing import Any

import numpy as np
import pandas as pd

from fusion.channel import Channel, Chunk, Session
from fusion.errors import MismatchError, PeerError

__all__ = ["AlignmentWarning", "check_alignment", "fingerprint"]

_BYTES = 32
_NONE = bytes(_BYTES)


class AlignmentWarning(UserWarning):
    """Only the number of rows could be compared; that they stand in the same order is the caller's word."""


def fingerprint(frame: Any) -> bytes:
    """A hash of the session that paired these rows and of their order; 32 zero bytes if the index tells neither."""
    if not isinstance(frame, pd.DataFrame):
        return _NONE
    index = frame.index
    name = index.name
    if not isinstance(name, str) or not name.startswith("pair-") or not pd.api.types.is_integer_dtype(index.dtype):
        return _NONE
    numbers = np.asarray(index, dtype="<i8").tobytes()
    return hashlib.sha256(b"fusion/learning/alignment/1/" + name.encode() + b"\0" + numbers).digest()


def check_alignment(peer: Channel, session: Session, ours: bytes) -> None:
    """Compare with the other side.

    Raises
    ------
    MismatchError
        When row counts differ, or both sides' rows come from an intersection but not from the same one in the same
        order: one of them was sorted, filtered or repeated since.

    Warns
    -----
    AlignmentWarning
        When a side's rows do not come from an intersection.
    """
    if session.ours.rows != session.theirs.rows:
        raise MismatchError("rows", session.ours.rows, session.theirs.rows)
    # bound to the session: alone it could be compared with that of another day
    masked = hashlib.sha256(session.id + ours).digest()
    sent = np.frombuffer(_NONE if ours == _NONE else masked, np.uint8).reshape(1, _BYTES)
    got = [chunk.rows for chunk in peer.exchange([Chunk(1, sent)], {1: _BYTES})]
    if len(got) != 1 or len(got[0]) != 1:
        raise PeerError(f"{peer.peer} sent no alignment; check that both run the same version")
    theirs = bytes(got[0])
    if _NONE in (theirs, bytes(sent)):
        warnings.warn(
            f"{'this side' if ours == _NONE else peer.peer} passes rows that come from no intersection; only their "
            "number is compared. Pass what fusion.psi.intersect returned, index and all",
            AlignmentWarning,
            stacklevel=4,
        )
    elif theirs != masked:
        raise MismatchError("alignment", "the order of the rows here", "another order, or another intersection")
