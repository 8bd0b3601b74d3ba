"""What can go wrong, sorted by whose fault it is.

Messages are one line, say what to do, and never hold a value from a table or a key.
"""

from __future__ import annotations


class FusionError(Exception):
    """Root of every error this package raises on purpose."""


class InputError(FusionError):
    """Our own caller's fault: a table, a column, a file or an argument that cannot be used."""


class TransportError(FusionError):
    """The connection failed: nobody there, the wrong certificate, cut off, or silent past its deadline."""


class PolicyError(FusionError):
    """Our own policy refused the operation: before its announcement, or knowing the peer's and before any data."""


class PeerError(FusionError):
    """The peer sent bytes that break the protocol: malformed, repeated, out of order or out of range."""


class MismatchError(FusionError):
    """Both sides announced the operation differently.

    Attributes
    ----------
    field : str
        The announced field that differs, such as ``"kinds"``.
    ours, theirs : object
        The two announced values; announcements hold no row data.
    """

    def __init__(self, field: str, ours: object, theirs: object) -> None:
        super().__init__(f"the two sides disagree on {field}: here {ours!r}, there {theirs!r}; make them equal")
        self.field = field
        self.ours = ours
        self.theirs = theirs


class PeerAborted(FusionError):
    """The peer left the operation.

    Attributes
    ----------
    peer : str
        Its name.
    error : str
        The class of the error of this package that it left by, such as ``"InputError"``; ``"Exception"`` for others.
    field : str
        The announced field concerned, or the empty string.
    """

    def __init__(self, peer: str, error: str, field: str = "") -> None:
        about = f" about {field}" if field else ""
        super().__init__(f"{peer} left the operation with {error}{about}; see the message on its side")
        self.peer = peer
        self.error = error
        self.field = field
