"""`exchange`: both roles at once, under windows of every small size."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fusion.channel import Channel, Chunk
from fusion.channel.frames import Kind
from fusion.errors import PeerAborted, PeerError, TransportError

from .parties import Keys, channels, duel, rows, swap

SENT, REPLIES = 1, 2
WINDOWS = (1, 2, 3, 4)

# sizes in rows of 64 bytes, so that some chunks are larger than the kernel's buffers and some are one row
sizes = st.lists(st.sampled_from([1, 2, 7, 150, 1000, 4096]), max_size=9)
relaxed = settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


def answer(array: np.ndarray) -> np.ndarray:
    return array[:, ::-1] ^ 0x5A


def converse(peer: Channel, mine: list[np.ndarray], theirs: int, answers: bool, awaited: bool, batch: int) -> None:
    """Send, and answer each chunk received, as a Diffie-Hellman protocol does; check what comes back.

    ``batch`` arrivals are kept back before they are answered, so replies depend on arrivals in many ways.
    """
    arrived: deque[np.ndarray] = deque()
    replies: list[np.ndarray] = []
    received: list[np.ndarray] = []

    def outgoing() -> Iterator[Chunk | None]:
        left, answered = deque(mine), 0
        while left or (answers and answered < theirs):
            complete = len(received) == theirs
            if answers and (len(arrived) >= batch or (arrived and complete)):
                answered += 1
                yield Chunk(REPLIES, answer(arrived.popleft()))
            elif left:
                yield Chunk(SENT, left.popleft())
            else:
                yield None

    with peer.operation("test.converse"):
        peer.open(learn="both", kinds=(), rows=len(mine), parameters={})
        for chunk in peer.exchange(outgoing(), {SENT: 64, REPLIES: 64}):
            if chunk.stream == SENT:
                received.append(chunk.rows)
                arrived.append(chunk.rows)
            else:
                replies.append(chunk.rows)
        peer.finish({})
    assert len(received) == theirs
    expected = [answer(array) for array in mine] if awaited else []
    assert b"".join(r.tobytes() for r in replies) == b"".join(e.tobytes() for e in expected)


@contextlib.contextmanager
def every_window(keys: Keys, transport: str) -> Iterator[dict[int, tuple[Channel, Channel]]]:
    with contextlib.ExitStack() as stack:
        yield {
            window: stack.enter_context(channels(keys, transport, window=window, buffers=4096)) for window in WINDOWS
        }


@pytest.mark.parametrize(("transport", "examples"), [("memory", 100), ("tls", 40)])
def test_both_roles_end_under_every_window(keys, transport, examples):
    with every_window(keys, transport) as pairs:

        @settings(relaxed, max_examples=examples)
        @given(
            a=sizes,
            b=sizes,
            a_answers=st.booleans(),
            b_answers=st.booleans(),
            batches=st.tuples(st.integers(1, 3), st.integers(1, 3)),
            window=st.sampled_from(WINDOWS),
        )
        def run(a, b, a_answers, b_answers, batches, window):
            mine = [rows(n, 64, seed) for seed, n in enumerate(a)]
            theirs = [rows(n, 64, 100 + seed) for seed, n in enumerate(b)]
            left, right = pairs[window]
            ended = duel(
                lambda: converse(left, mine, len(theirs), a_answers, b_answers, batches[0]),
                lambda: converse(right, theirs, len(mine), b_answers, a_answers, batches[1]),
            )
            assert ended == [None, None]
            assert left.receipt().transcript == right.receipt().transcript

        run()


def test_rows_arrive_whole_and_in_order(keys, transport):
    ours = [rows(n, 8, n) for n in (3, 1, 100_000, 5)]
    with channels(keys, transport, window=1) as (a, b):
        got = duel(lambda: swap(a, ours), lambda: swap(b, []))
    assert got == [[], [array.tobytes() for array in ours]]


def test_the_largest_chunk_fits_and_one_row_more_does_not(keys, transport):
    largest = (2**20 - 8) // 16
    with channels(keys, transport) as (a, b):
        got = duel(lambda: swap(a, [rows(largest, 16)], width=16), lambda: swap(b, width=16))
        assert len(got[1][0]) == largest * 16
        got = duel(lambda: swap(a, [rows(largest + 1, 16)], width=16), lambda: swap(b, width=16))
    assert isinstance(got[0], ValueError)
    assert isinstance(got[1], PeerAborted)
    assert got[1].error == "Exception"  # which one it was is this side's own affair


@pytest.mark.parametrize(
    "bad",
    [np.zeros((0, 8), np.uint8), np.zeros((2, 0), np.uint8), np.zeros((2, 8), np.uint16), np.zeros(8, np.uint8)],
    ids=["no_rows", "no_width", "not_bytes", "one_dimension"],
)
def test_what_is_no_chunk_never_leaves(keys, bad):
    with channels(keys, "memory") as (a, b):
        got = duel(lambda: swap(a, [bad], announced=1), lambda: swap(b))
    assert isinstance(got[0], ValueError)
    assert isinstance(got[1], PeerAborted)


def test_two_exchanges_in_one_operation(keys, transport):
    def role(peer):
        with peer.operation("test.twice"):
            peer.open(learn="both", kinds=(), rows=0, parameters={})
            for width in (4, 9):
                got = list(peer.exchange(iter([Chunk(1, rows(5, width))] * 30), {1: width}))
                assert [chunk.rows.shape for chunk in got] == [(5, width)] * 30
            peer.finish({})

    with channels(keys, transport, window=1) as (a, b):
        assert duel(lambda: role(a), lambda: role(b)) == [None, None]


def test_a_peer_that_ends_early_is_not_waited_for(keys, transport):
    def waits(peer):
        with peer.operation("test.swap"):
            peer.open(learn="both", kinds=("integer",), rows=0, parameters={})
            for _ in peer.exchange(iter([None, None, None]), {1: 8}):
                pass

    with channels(keys, transport) as (a, b):
        got = duel(lambda: waits(a), lambda: swap(b))
    assert isinstance(got[0], PeerError)
    assert isinstance(got[1], PeerAborted)


def test_overrunning_the_window_is_found_at_once(keys):
    def sends_blindly(peer):
        with peer.operation("test.overrun"):
            peer.open(learn="both", kinds=(), rows=0, parameters={})
            for _ in range(10):
                peer._put(Kind.CHUNK, bytes(16), 1)
            peer.finish({})

    with channels(keys, "memory", window=2, timeout=1000) as (a, b):
        got = duel(lambda: sends_blindly(a), lambda: sends_blindly(b))
    assert {type(error) for error in got} == {TransportError, PeerAborted}
    assert any("overran its window" in str(error) for error in got)


@pytest.mark.parametrize("window", [1, 3])
def test_no_side_holds_more_than_a_window(keys, transport, window):
    """However fast one side sends, what waits on the other side is bounded."""
    with channels(keys, transport, window=window) as (a, b):
        deepest = 0

        def reads_slowly(peer: Channel) -> None:
            nonlocal deepest
            with peer.operation("test.swap"):
                peer.open(learn="both", kinds=("integer",), rows=0, parameters={})
                for _ in peer.exchange(iter(()), {1: 8}):
                    deepest = max(deepest, len(peer._mailbox.incoming))
                peer.finish({})

        got = duel(lambda: swap(a, [rows(1)] * 3000), lambda: reads_slowly(b))
    assert not any(isinstance(outcome, BaseException) for outcome in got)
    assert deepest <= window
