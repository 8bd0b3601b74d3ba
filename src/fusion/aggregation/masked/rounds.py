"""What a client has already done, so that it never does it twice: two vectors under one mask, or two unmaskings of one
round, would show more than a sum.
"""

from __future__ import annotations

import fcntl
import os
import struct
import threading
from pathlib import Path

from fusion.errors import InputError, PeerError

__all__ = ["MASKED", "UNMASKED", "Rounds"]

MASKED, UNMASKED = 1, 2
_DID = {MASKED: "sent a vector for", UNMASKED: "answered for"}
_RECORD = struct.Struct("<32sIB")


class Rounds:
    """The rounds in which this client has sent a vector, and those in which it has answered.

    Parameters
    ----------
    path : path, optional
        A file that outlives the process; made when it does not exist. Without one the rounds are remembered in this
        object alone, which is enough when the client's keys live no longer than it does.
    """

    def __init__(self, path: str | os.PathLike[str] | None = None) -> None:
        self._path = None if path is None else Path(path)
        self._seen: set[bytes] = set()
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"Rounds({'in memory' if self._path is None else str(self._path)!r})"

    def claim(self, run: bytes, number: int, step: int) -> None:
        """Note, for good, that a step of a round is done now.

        On disk when this returns: a crash after it forbids the step for ever, and none before it can have let the
        answer out.

        Raises
        ------
        PeerError
            If it was done before.
        InputError
            If the file cannot be written.
        """
        record = _RECORD.pack(run, number, step)
        with self._lock:
            if self._path is None:
                if record in self._seen:
                    raise _again(number, step)
                self._seen.add(record)
                return
            try:
                _append(self._path, record, _again(number, step))
            except OSError as error:
                raise InputError(
                    f"cannot remember this round in {self._path}: {error.strerror}; choose a file that can be written"
                ) from None


def _again(number: int, step: int) -> PeerError:
    return PeerError(
        f"the server asks again for round {number}, and this client has already {_DID[step]} it; "
        "a second time would show more than the sum"
    )


def _append(path: Path, record: bytes, refused: PeerError) -> None:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)  # of two processes one is first
        held = os.pread(descriptor, os.fstat(descriptor).st_size, 0)
        whole = len(held) - len(held) % _RECORD.size  # a crash may have left part of one: its step was never taken
        if any(held[start : start + _RECORD.size] == record for start in range(0, whole, _RECORD.size)):
            raise refused
        os.pwrite(descriptor, record, whole)
        os.ftruncate(descriptor, whole + _RECORD.size)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)  # the file's name must last too
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
