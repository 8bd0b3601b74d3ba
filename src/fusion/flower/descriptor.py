"""What two parties are asked to compute together, in Flower's run: the session's descriptor, and what a visit brings.

Plain structures; nothing here needs Flower, so a party's session process starts without it.
"""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from fusion.errors import InputError, PeerError

__all__ = ["MAX_JOB", "Descriptor", "Job", "Scalar", "State", "Visit", "decode", "folder_of_sessions"]

Scalar = bool | int | float | str
State = Literal["waiting", "busy", "done", "failed"]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=64, pattern=r"\A[!-~]*\Z")]
MAX_JOB = 1 << 20


class Descriptor(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A session as the server announces it. It names nobody's key and nobody's address: each party has its own file.

    ``via`` says how the two talk: "relay", through the server, or "tls", directly.
    """

    version: Literal[1]
    session: Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{32}\Z")]
    operation: Name
    via: Literal["relay", "tls"]
    parties: tuple[Name, Name]
    parameters: Annotated[
        dict[Name, Annotated[str, msgspec.Meta(max_length=256)] | bool | int | float], msgspec.Meta(max_length=64)
    ]

    def encoded(self) -> bytes:
        return msgspec.msgpack.encode(self, order="deterministic")

    def peer_of(self, name: str) -> str:
        """The other one of the two."""
        if name not in self.parties or self.parties[0] == self.parties[1]:
            raise PeerError(f"the server introduces others than {name}; correct the parties in the ServerApp")
        return self.parties[self.parties[0] == name]

    def binding(self, run_id: int) -> str:
        """What both must have heard alike, as one word: TLS compares it."""
        label = b"fusion/flower/session/1/" + run_id.to_bytes(8, "little")
        return hashlib.sha256(label + self.encoded()).hexdigest()


class Job(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a session's process is told when it starts.

    ``role`` and ``policy`` are ``module:name``. ``place`` is a locked file among those that it inherits.
    """

    descriptor: Descriptor
    binding: str
    party: str
    role: str
    policy: str
    node: dict[str, Any]
    path: list[str]
    socket: str = ""
    place: int = -1


class Visit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a visitor brings to a session's process, and what it takes away.

    ``error`` and ``field`` are fit for the server; ``text`` stays at the party.
    """

    binding: str = ""
    packet: bytes = b""
    state: State = "waiting"
    result: dict[str, Scalar] = {}
    error: str = ""
    field: str = ""
    text: str = ""


def decode(data: bytes, expected: type[Any]) -> Any:
    """The structure in ``data``, strictly."""
    try:
        return msgspec.msgpack.decode(data, type=expected)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, OverflowError):
        raise PeerError(
            f"bytes came that are no {expected.__name__}; run the same version of this package everywhere"
        ) from None


def folder_of_sessions(environment: Mapping[str, str] = os.environ) -> Path:
    """Where the sockets of this user's sessions are; nobody else may enter."""
    folder = Path(environment.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()) / f"fusion-{os.getuid()}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError as error:
        raise InputError(f"cannot make {folder}: {error.strerror}; set XDG_RUNTIME_DIR to a folder of yours") from None
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise InputError(f"{folder} is open to others; remove it, or set XDG_RUNTIME_DIR to a folder of yours")
    return folder
