"""Two channels in one process. Each end's outgoing mail is the other's incoming mail.

The window is enforced exactly: when both ends wait to send, neither will ever receive, and both get an error at once.
"""

from __future__ import annotations

import threading

from fusion.channel.mailbox import Mailbox
from fusion.errors import TransportError

__all__ = ["MemoryTransport", "mailboxes"]


class MemoryTransport:
    """Ends a pair of mailboxes; there is nothing else to do."""

    def __init__(self, name: str, mailbox: Mailbox, other: Mailbox) -> None:
        self._name = name
        self._mailbox = mailbox
        self._other = other

    def close(self) -> None:
        with self._mailbox.changed:
            self._mailbox.fail(TransportError("this channel is closed; connect again"))
            # what was sent before stays readable, as on a socket
            self._other.fail(TransportError(f"{self._name} has left"))


def mailboxes(window: int) -> tuple[Mailbox, Mailbox]:
    """Two ends of one wire, each way at most ``window`` frames."""
    changed = threading.Condition()
    a = Mailbox(window, changed)
    b = Mailbox(window, changed, outgoing=a.incoming, incoming=a.outgoing)
    b.peer_activity, a.peer_activity = a.activity, b.activity

    def stalled() -> bool:
        return a.sending and b.sending and not a.room and not b.room

    a.stalled = b.stalled = stalled
    return a, b
