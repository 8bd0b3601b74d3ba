"""What a checkpoint belongs to: parameters and data, told apart without being told.

A checkpoint names the fit that it may go on with by a hash of everything that must be the same, this party's own rows
among it. A plain hash would also say whether two files are of the same data, and to whoever finds a file and knows all
rows but a few values, by trying, what these are. So the hash is salted for each run and slow: comparing costs a tenth
of a second, and so does every guess. It is compared with what is in the file, and never leaves this party.

Reference
---------
RFC 7914 (scrypt), section 2 for the size of blocks.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TypeVar

import msgspec
import numpy as np
import numpy.typing as npt

from fusion.errors import InputError
from fusion.learning import files

__all__ = ["VERSION", "Binding", "Bound", "read", "write"]

Floats = npt.NDArray[np.float64]

VERSION = 2
"""Of checkpoints."""

_WHAT = "the checkpoint"
_SALT = 16
_COST = 1 << 15  # with blocks of 8: 32 MiB and a tenth of a second
_BLOCKS = 8


class Bound(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What every checkpoint begins with."""

    version: int
    fit: str  # `Binding.mark` of the run that wrote it


B = TypeVar("B", bound=Bound)


class Binding:
    """Parameters and data that must be the same when a run goes on.

    Parameters
    ----------
    order : bytes
        A hash of the order of the rows.
    text : str
        Parameters and sizes.
    columns : arrays of floats
        This party's data.
    """

    def __init__(self, order: bytes, text: str, *columns: Floats) -> None:
        found = hashlib.sha256(order + text.encode())
        for column in columns:
            found.update(np.ascontiguousarray(column).tobytes())
        self._data = found.digest()
        self.mark = self._marked(os.urandom(_SALT))
        """Salt and hash, as a checkpoint of this run holds them."""

    def holds(self, mark: str) -> bool:
        """Whether a mark is of the same parameters and data, whatever its salt."""
        try:
            salt = bytes.fromhex(mark)[:_SALT]
        except ValueError:
            return False
        return self._marked(salt) == mark

    def _marked(self, salt: bytes) -> str:
        slow = hashlib.scrypt(self._data, salt=salt, n=_COST, r=_BLOCKS, p=1, maxmem=1 << 27, dklen=32)
        return (salt + slow).hex()


def write(path: Path, content: Bound) -> None:
    """Replace the file; InputError when that fails."""
    files.write(path, content, _WHAT)


def read(path: Path, kind: type[B], binding: Binding) -> B | None:
    """What the same fit wrote; None without a file.

    Raises
    ------
    InputError
        When the file holds anything else, or belongs to another fit.
    """
    content = files.read(path, kind, _WHAT)
    if content is not None and not (content.version == VERSION and binding.holds(content.fit)):
        raise InputError(f"{path} belongs to a fit of other data or parameters; remove it to start afresh")
    return content
