"""What a client has already done, so that it never does it twice.

Two vectors under one mask, two answers in one round, or the same secrets dealt among two sets of clients would show
more than one sum.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
import threading
from pathlib import Path
from typing import NamedTuple

from fusion.errors import InputError, PeerError

__all__ = ["Rounds", "Step"]

_RECORD = struct.Struct("<32sIB")


class Step(NamedTuple):
    """Something that a client does once: its number in the file, and what is said of the second time, by round."""

    number: int
    again: str


class Rounds:
    """The steps that this client has taken, by run and round.

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

    @property
    def lasting(self) -> bool:
        """Whether it outlives the process."""
        return self._path is not None

    def claim(self, subject: bytes, number: int, step: Step) -> None:
        """Note, for good, that a step is done now.

        It is on disk when this returns: a crash afterwards forbids the step for ever, and before it nothing of the
        step can have left.

        Parameters
        ----------
        subject : bytes
            32 that stand for the run, or for the keys before there is one.
        number : int
            The round.
        step : Step
            What is done.

        Raises
        ------
        PeerError
            If it was done before.
        InputError
            If the file cannot be written.
        """
        if not self.note(subject, number, step):
            raise PeerError(f"{step.again.format(number)}; a second time would show more than the sum")

    def note(self, subject: bytes, number: int, step: Step) -> bool:
        """Note a step for good, and say whether it is new; arguments and errors as for `claim`."""
        record = _RECORD.pack(subject, number, step.number)
        with self._lock:
            try:
                return self._remember(record)
            except OSError as error:
                raise InputError(
                    f"cannot remember this round in {self._path}: {error.strerror}; choose a file that can be written"
                ) from None

    def holds(self, subject: bytes, number: int, step: Step) -> bool:
        """Whether a step was noted; a file that is not there holds nothing, and is not made."""
        record = _RECORD.pack(subject, number, step.number)
        if self._path is None:
            return record in self._seen
        try:
            return record in _records(self._path.read_bytes())
        except FileNotFoundError:
            return False
        except OSError as error:
            raise InputError(
                f"cannot read {self._path}: {error.strerror}; choose a file that can be read and written"
            ) from None

    def _remember(self, record: bytes) -> bool:
        if self._path is None:
            new = record not in self._seen
            self._seen.add(record)
            return new
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)  # of two processes one is first
            held = os.pread(descriptor, os.fstat(descriptor).st_size, 0)
            whole = len(held) - len(held) % _RECORD.size  # a crash may have left part of one: that step was not taken
            if record in _records(held):
                return False
            if os.pwrite(descriptor, record, whole) != len(record):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.ftruncate(descriptor, whole + _RECORD.size)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)  # the file's name must last too
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        return True


def _records(held: bytes) -> set[bytes]:
    """The whole records in a file; what is left of one at its end is none."""
    return {held[start : start + _RECORD.size] for start in range(0, len(held) - _RECORD.size + 1, _RECORD.size)}
