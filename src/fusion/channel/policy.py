"""Who may compute what with whom: asked before anything leaves this side."""

from __future__ import annotations

from typing import Protocol

from fusion.channel.messages import Opening

__all__ = ["Policy", "allow_all"]


class Policy(Protocol):
    """A function that objects by raising `fusion.PolicyError`.

    It is asked twice for each operation: with ``theirs=None`` before this side announces anything, then with both
    announcements, before any data leaves.
    """

    def __call__(self, peer: str, ours: Opening, theirs: Opening | None) -> None: ...


def allow_all(peer: str, ours: Opening, theirs: Opening | None) -> None:
    """Object to nothing."""
