"""Any sequence of frames whatever ends a party's operation with a typed error, and with nothing else."""

from __future__ import annotations

import time

import pytest
from channel.parties import one_line, rows, swap
from hypothesis import given, settings
from hypothesis import strategies as st

from fusion.channel import Channel
from fusion.channel.frames import Frame, Kind
from fusion.channel.mailbox import Mailbox
from fusion.channel.messages import Abort, Finish, Opening, encode
from fusion.errors import FusionError, PeerError, TransportError

from .evil import chunk

OPENING = Opening("test.swap", "both", ("integer",), {}, 2, bytes(32))
SENSIBLE = {
    Kind.HELLO: [b""],
    Kind.HEARTBEAT: [b""],
    Kind.OPEN: [encode(OPENING)],
    Kind.CHUNK: [chunk(rows(2)), chunk(rows(1, 9))],
    Kind.END: [b""],
    Kind.FINISH: [encode(Finish(bytes(32), bytes(32), b""))],
    Kind.ABORT: [encode(Abort("InputError", "learn"))],
}


@st.composite
def scripts(draw):
    """The honest frames of an operation, with some left out, repeated, moved, renumbered or overwritten."""
    kinds = draw(
        st.lists(st.sampled_from(Kind), max_size=6)
        | st.permutations([Kind.OPEN, Kind.CHUNK, Kind.END, Kind.FINISH])
        | st.just([Kind.OPEN, Kind.CHUNK, Kind.CHUNK, Kind.END, Kind.FINISH])
        | st.just([Kind.OPEN, Kind.END, Kind.FINISH, Kind.ABORT])
    )
    frames = []
    for number, kind in enumerate(kinds):
        payload = draw(st.sampled_from(SENSIBLE[kind]) | st.binary(max_size=40))
        operation = draw(st.sampled_from([1, 1, 1, 1, 1, 1, 0, 2, 2**32 - 1]))
        sequence = draw(st.sampled_from([number, number, number, number, 0, number + 1, 2**32 - 1]))
        stream = draw(st.sampled_from([1, 1, 1, 0, 15])) if kind is Kind.CHUNK else 0
        frames.append(Frame(kind, payload, operation, sequence, stream))
    return frames


class Nowhere:
    def close(self) -> None:
        pass


def victim(frames: list[Frame]) -> Channel:
    """A party whose peer sends ``frames``: all at once, but a FINISH and what follows only after our END."""
    box = Mailbox(64)
    early = next((at for at, frame in enumerate(frames) if frame.kind is Kind.FINISH), len(frames))
    late = list(frames[early:])

    def after_our_end() -> None:
        if any(frame.kind is Kind.END for frame in box.outgoing):
            for frame in late:
                box.deliver(frame)
            late.clear()

    for frame in frames[:early]:
        box.deliver(frame)
    if late:
        box.on_put = after_our_end
    else:
        box.fail(TransportError("b has left; see its side"))
    # nothing more comes than what stands here, so that a short wait is as good as a long one
    return Channel("a", "b", box, Nowhere(), fingerprints=("a", "b"), timeout=0.01)


@settings(max_examples=150, deadline=None)
@given(scripts())
def test_any_frames_end_in_a_typed_error(frames):
    channel = victim(frames)
    began = time.monotonic()
    for _ in range(2):
        with pytest.raises(FusionError) as caught:
            swap(channel, [rows(2)])
        one_line(caught.value)
    assert time.monotonic() - began < 30


def test_the_scripts_come_close():
    """What the generator starts from is right but for the hashes."""
    kinds = [Kind.OPEN, Kind.CHUNK, Kind.END, Kind.FINISH]
    frames = [Frame(kind, SENSIBLE[kind][0], 1, at, int(kind is Kind.CHUNK)) for at, kind in enumerate(kinds)]
    with pytest.raises(PeerError, match="saw different bytes"):
        swap(victim(frames), [rows(2)])
