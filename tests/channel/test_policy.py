"""A policy is asked before anything leaves, and again when both announcements are known."""

from __future__ import annotations

import pytest

from fusion.channel.frames import Kind
from fusion.channel.mailbox import Mailbox
from fusion.errors import PeerAborted, PolicyError

from .parties import channels, duel, one_line, rows, swap


class Asked:
    """A policy that remembers what it was asked, and objects once ``refuses`` is true."""

    def __init__(self, refuses=lambda ours, theirs: False):
        self.refuses = refuses
        self.questions = []

    def __call__(self, peer, ours, theirs):
        self.questions.append((peer, ours, theirs))
        if self.refuses(ours, theirs):
            raise PolicyError("at most 100 rows may be compared with this peer; ask the data owner")


@pytest.fixture
def wire(monkeypatch):
    """Kinds of the frames that each channel put on its wire, by mailbox."""
    seen: dict[int, list[Kind]] = {}
    put, leave = Mailbox.put, Mailbox.leave

    def record_put(self, frame, *arguments):
        seen.setdefault(id(self), []).append(frame.kind)
        put(self, frame, *arguments)

    def record_leave(self, operation, last_words):
        if last_words is not None:
            seen.setdefault(id(self), []).append(last_words.kind)
        leave(self, operation, last_words)

    monkeypatch.setattr(Mailbox, "put", record_put)
    monkeypatch.setattr(Mailbox, "leave", record_leave)
    return seen


def test_both_policies_are_asked_twice(keys, transport):
    policies = Asked(), Asked()
    with channels(keys, transport, policies=policies) as (a, b):
        duel(lambda: swap(a, [rows(3)]), lambda: swap(b, [rows(5)]))
    for policy, peer, sizes in ((policies[0], "b", (3, 5)), (policies[1], "a", (5, 3))):
        (first, ours, nothing), (second, again, theirs) = policy.questions
        assert first == second == peer
        assert nothing is None
        assert ours == again
        assert (ours.rows, theirs.rows) == sizes
        assert ours.operation == theirs.operation == "test.swap"


def test_a_refusal_comes_before_anything_leaves(keys, transport, wire):
    policies = Asked(lambda ours, theirs: ours.rows > 100), Asked()
    with channels(keys, transport, policies=policies) as (a, b):
        got = duel(lambda: swap(a, [rows(101)]), lambda: swap(b))
        assert wire[id(a._mailbox)] == [Kind.ABORT]
        assert isinstance(got[0], PolicyError)
        assert isinstance(got[1], PeerAborted)
        assert got[1].error == "PolicyError"
        assert "100" not in one_line(got[1])
        assert len(policies[0].questions) == 1
        assert duel(lambda: swap(a, [rows(100)]), lambda: swap(b)) == [[], [rows(100).tobytes()]]


def test_a_refusal_after_both_announcements_comes_before_any_row(keys, transport, wire):
    policies = Asked(lambda ours, theirs: theirs is not None and theirs.rows > 100), Asked()
    with channels(keys, transport, policies=policies) as (a, b):
        got = duel(lambda: swap(a, [rows(4)]), lambda: swap(b, [rows(101)]))
        assert wire[id(a._mailbox)] == [Kind.OPEN, Kind.ABORT]
        assert isinstance(got[0], PolicyError)
        assert isinstance(got[1], PeerAborted)


def test_both_may_refuse(keys, transport):
    refuse = Asked(lambda ours, theirs: True)
    with channels(keys, transport, policies=(refuse, refuse)) as (a, b):
        got = duel(lambda: swap(a), lambda: swap(b))
        assert [type(error) for error in got] == [PolicyError, PolicyError]
        refuse.refuses = lambda ours, theirs: False
        assert duel(lambda: swap(a), lambda: swap(b)) == [[], []]
