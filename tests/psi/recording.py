"""What a party received, frame by frame: for tests that ask what the wire shows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from fusion.channel.channel import Channel
from fusion.channel.frames import Frame
from fusion.channel.mailbox import Mailbox


@contextmanager
def recorded(monkeypatch: Any) -> Iterator[list[Frame]]:
    """Every frame that any channel of this process puts on its wire, in order of sending."""
    frames: list[Frame] = []
    put = Mailbox.put

    def record(self: Mailbox, frame: Frame, *arguments: Any) -> None:
        frames.append(frame)
        put(self, frame, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(Mailbox, "put", record)
        yield frames


def shapes(frames: list[Frame]) -> list[tuple[int, int, int]]:
    """Kind, stream and length of each: all that a reader of sizes sees."""
    return sorted((int(frame.kind), frame.stream, len(frame.payload)) for frame in frames)


Role = Callable[[Channel], Any]
