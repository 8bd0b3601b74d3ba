"""Two sides stay in step: whatever fails in one operation, on whichever side, the next one is not touched by it."""

from __future__ import annotations

import contextlib
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fusion.channel import Channel, Chunk
from fusion.errors import FusionError, PeerAborted

from .parties import channels, duel, rows


class Trouble(Exception):
    """What a caller's own code may raise."""


MOMENTS = ("never", "before_opening", "after_opening", "while_sending", "while_receiving", "at_the_end")


def play(peer: Channel, moment: str, chunks: int, pause: float) -> object:
    """One operation that fails at the given moment; what it returned or raised."""

    def fail_at(reached: str) -> None:
        if moment == reached:
            time.sleep(pause)
            raise Trouble

    def source():
        for number in range(chunks):
            if number == chunks // 2:
                fail_at("while_sending")
            yield Chunk(1, rows(500, 64, number))

    try:
        with peer.operation("test.step"):
            fail_at("before_opening")
            peer.open(learn="both", kinds=(), rows=chunks, parameters={})
            fail_at("after_opening")
            received = []
            for chunk in peer.exchange(source(), {1: 64}):
                fail_at("while_receiving")
                received.append(chunk.rows.tobytes())
            fail_at("at_the_end")
            peer.finish({})
            return received
    except (Trouble, FusionError) as error:
        return error


def judge(mine: str, other: str, outcome: object, theirs: int) -> None:
    """What may become of one side's operation, given when each was to fail."""
    if mine == other == "never":
        assert outcome == [rows(500, 64, number).tobytes() for number in range(theirs)]
    elif isinstance(outcome, PeerAborted):
        assert other != "never", "told of a failure that was none"
        assert outcome.error == "Exception"
    elif isinstance(outcome, Trouble):
        assert mine != "never"
    else:
        # receiving nothing, a failure while receiving never happens
        assert isinstance(outcome, list), outcome
        assert {mine, other} <= {"never", "while_receiving", "while_sending"}


step = st.tuples(
    st.sampled_from(MOMENTS),
    st.sampled_from(MOMENTS),
    st.sampled_from([0, 1, 2, 9]),
    st.sampled_from([0, 1, 2, 9]),
    st.sampled_from([0.0, 0.0, 0.005]),
)


@pytest.mark.parametrize(("transport", "examples"), [("memory", 150), ("tls", 60)])
def test_a_failed_operation_does_not_touch_the_next(keys, transport, examples):
    with contextlib.ExitStack() as stack:
        pairs = {
            window: stack.enter_context(channels(keys, transport, window=window, buffers=4096))
            for window in (1, 2, 3, 16)
        }

        @settings(max_examples=examples, deadline=None)
        @given(window=st.sampled_from([1, 2, 3, 16]), steps=st.lists(step, min_size=1, max_size=5))
        def run(window, steps):
            a, b = pairs[window]
            # each side runs through its own steps without waiting for the other between them
            ours, theirs = duel(
                lambda: [play(a, fails, n, pause) for fails, _, n, _, pause in steps],
                lambda: [play(b, fails, m, pause) for _, fails, _, m, pause in steps],
            )
            for (mine, other, n, m, _), here, there in zip(steps, ours, theirs, strict=True):
                judge(mine, other, here, m)
                judge(other, mine, there, n)
            last = ("never", "never", 2, 1, 0.0)
            here, there = duel(lambda: play(a, "never", 2, 0.0), lambda: play(b, "never", 1, 0.0))
            judge(*last[:2], here, 1)
            judge(*last[:2], there, 2)

        run()
