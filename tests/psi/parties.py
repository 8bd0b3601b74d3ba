"""Two parties that run one protocol on bare items, without tables, as often as a test wants."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from fusion.channel import Channel
from fusion.correlations import vole as correlation
from fusion.psi.matches import Matches

# `fusion.channel.simulate` names the function, not the module
_simulate = importlib.import_module("fusion.channel.simulate")

Items = np.ndarray
LEFT, RIGHT = "left", "right"


def meet(
    protocol: Any, pairs: Sequence[tuple[Items, Items]], *, learn: str = "both", window: int = 16
) -> list[tuple[Matches | None, Matches | None]]:
    """What left and right got from each pair of item sets, (n, 32), each in an operation of one channel."""

    def role(side: int) -> Callable[[Channel], list[Matches | None]]:
        def play(peer: Channel) -> list[Matches | None]:
            got = []
            for pair in pairs:
                with peer.operation("psi.intersect"):
                    session = peer.open(learn=learn, kinds=("text",), rows=len(pair[side]), parameters={})
                    found = protocol.matches(peer, session, [pair[side]].pop)
                    assert found is None or (found.tags is None) == (learn != "both")
                    same = b"" if found is None or found.tags is None else found.tags.tobytes()[:64]
                    peer.finish({}, result=same)
                    got.append(found)
            return got

        return play

    out = _simulate.run({LEFT: role(0), RIGHT: role(1)}, window=window)
    return list(zip(out[LEFT], out[RIGHT], strict=True))


@contextlib.contextmanager
def one_opening(monkeypatch: Any) -> Iterator[None]:
    """Base transfers once a channel instead of once an operation, for tests of many runs."""
    kept: dict[tuple[type, int], Any] = {}

    def once(kind: type) -> Any:
        make = kind.open

        def open_(peer: Channel, session: Any, **options: Any) -> Any:
            key = kind, id(peer)
            if key not in kept:
                kept[key] = peer, make(peer, session, **options)  # with the channel, so that its id stays its own
            return kept[key][1]

        return open_

    with monkeypatch.context() as patch:
        for kind in (correlation.Sender, correlation.Receiver):
            patch.setattr(kind, "open", once(kind))
        yield


def sets(rng: np.random.Generator, nx: int, ny: int, shared: int) -> tuple[Items, Items]:
    """Two sets of random items of which so many are equal, each in a random order."""
    pool = rng.integers(0, 256, (nx + ny - shared, 32), dtype=np.uint8)
    left, right = pool[:nx], pool[nx - shared :]
    return rng.permutation(left), rng.permutation(right)


def twin(left: Items, right: Items) -> set[tuple[int, int]]:
    """The places of equal items, by somebody who sees both."""
    where = {row.tobytes(): i for i, row in enumerate(right)}
    return {(i, where[row.tobytes()]) for i, row in enumerate(left) if row.tobytes() in where}


def agrees(left: Items, right: Items, got: tuple[Matches | None, Matches | None]) -> bool:
    """Whether each learner got what the twin says, two learners in the same order."""
    expected = twin(left, right)
    mine, other = got
    if mine is not None and other is not None:
        return len(mine.ours) == len(expected) and set(zip(mine.ours.tolist(), other.ours.tolist())) == expected  # noqa: B905
    if mine is not None:
        return sorted(mine.ours.tolist()) == sorted(i for i, _ in expected)
    assert other is not None
    return sorted(other.ours.tolist()) == sorted(j for _, j in expected)
