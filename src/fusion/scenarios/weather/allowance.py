"""How many totals a peer may have: each is one equation about a series that is not to be given away."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import msgspec

from fusion.errors import InputError, PolicyError

__all__ = ["Allowance"]

_Count = Annotated[int, msgspec.Meta(ge=0)]


class Allowance:
    """Totals of each subject that a peer may still have, counted on the side that holds the weather.

    A subject is what a total is an equation about, such as one season of all cells. As long as a peer has far fewer
    totals of it than there are unknown numbers, these are not determined; with as many independent ones they all are.

    Parameters
    ----------
    totals : int
        How many of each subject a peer gets, whatever it asks about, for ever.
    path : path, optional
        A JSON file that keeps the count between runs; one process at a time may use it. Without it the count ends with
        this object.

    Raises
    ------
    InputError
        The file cannot be read: a fresh count is no substitute for a lost one.
    """

    def __init__(self, totals: int, path: str | os.PathLike[str] | None = None) -> None:
        if isinstance(totals, bool) or totals < 1:
            raise InputError("an allowance is one total of each subject or more")
        self.totals = totals
        self._path = None if path is None else Path(path)
        self._lock = threading.Lock()
        self._used = self._read()

    def take(self, peer: str, subjects: Iterable[str]) -> None:
        """Count one more total of each subject for the peer, and keep the count before anything is answered.

        Raises
        ------
        PolicyError
            The peer has had all its totals of one of them; nothing is counted then.
        """
        with self._lock:
            mine = dict(self._used.get(peer, {}))
            for subject in subjects:
                mine[subject] = mine.get(subject, 0) + 1
                if mine[subject] > self.totals:
                    raise PolicyError(
                        f"{peer} asks for more than its {self.totals} totals of {subject}; "
                        "further ones would give away the weather behind them"
                    )
            used = {**self._used, peer: mine}
            self._write(used)
            self._used = used

    def _read(self) -> dict[str, dict[str, int]]:
        if self._path is None or not self._path.exists():
            return {}
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=dict[str, dict[str, _Count]])
        except (OSError, msgspec.MsgspecError):
            raise InputError("the file of the allowance cannot be read; restore it from a backup") from None

    def _write(self, used: dict[str, dict[str, int]]) -> None:
        if self._path is None:
            return
        beside = self._path.with_name(self._path.name + ".new")
        with beside.open("wb") as file:
            file.write(msgspec.json.encode(used))
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self._path)
