"""Totals over a secret book: exact against numpy, rounded by noise, counted by the allowance, hostile bytes refused."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fusion
from fusion import aggregation
from fusion.channel.simulate import run
from fusion.errors import FusionError, InputError, MismatchError, PeerAborted, PeerError, PolicyError
from fusion.scenarios.weather.allowance import Allowance
from fusion.scenarios.weather.offer import Offer, Sheet, publish, read
from fusion.scenarios.weather.totals import Query, answer, ask, bound, rounding_noise
from fusion.scenarios.weather.wire import receive, send

QUERY = Query("a test", "00" * 32, 4, ["2001", "2002", "2003"], "yuan", 0)
WEIGHTS = np.array([[0, 1, 2, 3], [1000, 1000, 1000, 1000], [0, 0, 0, 0]])
COLUMN = np.array([7, 0, 123_456, 1])


def play(
    query: Query = QUERY, column: Any = COLUMN, weights: Any = WEIGHTS, source: Callable[[int], bytes] | None = None
) -> np.ndarray:
    extra = {} if source is None else {"source": source}
    roles = {
        "bureau": lambda peer: answer(peer, query, weights, allowance=Allowance(9), **extra),
        "insurer": lambda peer: ask(peer, query, column),
    }
    return run(roles, window=1)["insurer"]  # a window of one frame: nobody sends before receiving


@settings(max_examples=12, deadline=None)
@given(st.integers(1, 9), st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_totals_are_numpys(rows: int, totals: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    weights = random.integers(0, 1001, (totals, rows))
    column = random.integers(0, bound(rows), rows, endpoint=True) // 10 ** random.integers(0, 6)
    query = replace(QUERY, rows=rows, subjects=[str(i) for i in range(totals)])
    assert (play(query, column, weights) == weights @ column).all()


def test_the_largest_of_everything_fits() -> None:
    query = replace(QUERY, rows=2, subjects=["2001"], step=1000)
    column, weights = np.full(2, bound(2)), np.full((1, 2), 1000)
    largest = play(query, column, weights, source=lambda count: (2 * 500_000).to_bytes(8, "little") * (count // 8))
    assert largest.tolist() == [2 * 1000 * bound(2) + 500_000]


def test_a_region_of_ten_thousand_rows_is_exact() -> None:
    random = np.random.default_rng(11)
    query = replace(QUERY, rows=10_000, subjects=[str(year) for year in range(30)])
    weights, column = random.integers(0, 1001, (30, 10_000)), random.integers(0, bound(10_000), 10_000)
    assert (play(query, column, weights) == weights @ column).all()


def test_noise_is_within_half_a_step_uniform_and_the_only_error() -> None:
    draws = rounding_noise(300_000, 10)
    assert (draws.min(), draws.max()) == (-5000, 5000)  # either is left out by e^-30
    assert abs(draws.mean()) < 7 * 5000 / np.sqrt(3) / np.sqrt(300_000)
    assert draws.std() == pytest.approx(5000 / np.sqrt(3), rel=0.02)
    assert rounding_noise(5, 0).tolist() == [0] * 5
    seeded = np.random.default_rng(3).bytes(24)
    got = play(replace(QUERY, step=10), source=lambda count: seeded[:count])
    assert (got - rounding_noise(3, 10, lambda count: seeded[:count]) == WEIGHTS @ COLUMN).all()
    assert not (got == WEIGHTS @ COLUMN).all()


def test_fresh_noise_for_every_query() -> None:
    query = replace(QUERY, step=1000)
    assert len({tuple(play(query)) for _ in range(3)}) == 3


def test_the_answer_announces_the_same_whatever_the_weights() -> None:
    def eavesdrop(weights: np.ndarray) -> Any:
        def insurer(peer: Any) -> Any:
            seen = []

            original = aggregation.EncryptedArray.from_bytes

            def keep(data: bytes, public: Any) -> Any:
                seen.append((len(data), original(data, public)))
                return seen[-1][1]

            with pytest.MonkeyPatch.context() as patch:
                patch.setattr("fusion.scenarios.weather.totals.EncryptedArray.from_bytes", staticmethod(keep))
                ask(peer, QUERY, COLUMN)
            reply = max(seen, key=lambda each: each[1].weight)
            return reply[0], reply[1].weight, reply[1].shape

        return fusion.simulate(
            bureau=lambda peer: answer(peer, QUERY, weights, allowance=Allowance(9)), insurer=insurer
        )["insurer"]

    assert eavesdrop(WEIGHTS) == eavesdrop(np.zeros_like(WEIGHTS)) == eavesdrop(np.full_like(WEIGHTS, 1000))


def test_receipts_say_who_learned_what() -> None:
    def insurer(peer: Any) -> Any:
        ask(peer, replace(QUERY, step=10), COLUMN)
        return peer.receipt()

    def bureau(peer: Any) -> Any:
        answer(peer, replace(QUERY, step=10), WEIGHTS, allowance=Allowance(1))
        return peer.receipt()

    out = fusion.simulate(bureau=bureau, insurer=insurer)
    assert out["insurer"].learned == out["bureau"].learned
    assert "within 5 yuan of the truth" in out["insurer"].learned["insurer"][0]
    assert out["bureau"].learned["bureau"][0].startswith("nothing")
    assert out["insurer"].parameters["purpose"] == "a test"
    # 64 bytes a row and the zero, 64 a total; keys and headers beside
    assert 64 * 5 < out["insurer"].bytes_sent < 64 * 5 + 2500
    assert 64 * 3 < out["bureau"].bytes_sent < 64 * 3 + 2500


def test_an_exhausted_allowance_stops_before_anything_is_read() -> None:
    allowance = Allowance(1)
    seen: list[FusionError] = []

    def insurer(peer: Any) -> None:
        ask(peer, QUERY, COLUMN)
        try:
            ask(peer, QUERY, COLUMN)
        except PeerAborted as error:
            seen.append(error)

    def bureau(peer: Any) -> int:
        answer(peer, QUERY, WEIGHTS, allowance=allowance)
        with pytest.raises(PolicyError, match="more than its 1 totals of 2001"):
            answer(peer, QUERY, WEIGHTS, allowance=allowance)
        return peer.receipt().bytes_received

    fusion.simulate(bureau=bureau, insurer=insurer)
    assert [error.error for error in seen] == ["PolicyError"]


def test_both_must_mean_the_same_query() -> None:
    for other in (
        replace(QUERY, terms="11" * 32),
        replace(QUERY, step=1),
        replace(QUERY, unit="euro"),
        replace(QUERY, purpose="another"),
        replace(QUERY, subjects=["2001"]),
    ):
        with pytest.raises(MismatchError):
            fusion.simulate(
                bureau=lambda peer: answer(peer, QUERY, WEIGHTS, allowance=Allowance(1)),
                insurer=lambda peer, other=other: ask(peer, other, COLUMN),
            )


@pytest.mark.parametrize(
    ("column", "match"),
    [
        (np.array([1, 2, 3]), "holds 4 whole numbers"),
        (np.array([1.0, 2, 3, 4]), "holds 4 whole numbers"),
        (np.array([-1, 2, 3, 4]), "numbers from 0"),
        (np.array([1, 2, 3, 2**40]), "take a larger unit"),
    ],
)
def test_columns_that_cannot_be_asked_about(column: np.ndarray, match: str) -> None:
    with pytest.raises(InputError, match=match):
        play(column=column)


def test_weights_that_cannot_be_answered_with() -> None:
    for weights in (WEIGHTS[:2], WEIGHTS / 1, WEIGHTS + 1, -WEIGHTS):
        with pytest.raises(InputError, match="weights are"):
            play(weights=weights)
    with pytest.raises(InputError, match="a step is at most"):
        play(replace(QUERY, step=10**9))
    with pytest.raises(InputError, match="rows"):
        bound(0)


# ---- bytes that do not belong


def hostile_asker(bytes_of: Callable[[], bytes]) -> Callable[[Any], None]:
    def insurer(peer: Any) -> None:
        with peer.operation("weather.totals"):
            agreed = {
                "purpose": QUERY.purpose,
                "terms": QUERY.terms,
                "totals": len(QUERY.subjects),
                "rounded to": "0 yuan",
                "suite": "elgamal-ristretto255/1",
            }
            peer.open(learn=peer.name, kinds=(), rows=QUERY.rows, parameters=agreed)
            send(peer, bytes_of())
            receive(peer, 1 << 20)

    return insurer


def column_bytes(
    rows: int = 5,
    most: int | None = None,
    terms: int = 4001,
    scheme: str = "elgamal",
    weight: int | None = None,
    squeezed: bool = False,
) -> bytes:
    public, private = aggregation.generate(scheme)
    array = private.encrypt(np.zeros(rows, int), bound=bound(4) if most is None else most, terms=terms)
    key = public.to_bytes()
    return (
        len(key).to_bytes(4, "little")
        + key
        + replace(array if weight is None else array * weight, _squeezed=squeezed).to_bytes()
    )


HOSTILE: dict[str, Callable[[], bytes]] = {
    "nothing": lambda: b"",
    "noise": lambda: bytes(range(256)) * 3,
    "a length beyond the bytes": lambda: b"\xff\xff\xff\xff" + column_bytes()[4:],
    "a row too few": lambda: column_bytes(rows=4),
    "a row too many": lambda: column_bytes(rows=6),
    "another bound": lambda: column_bytes(most=1),
    "other terms": lambda: column_bytes(terms=4000),
    "weights used up before": lambda: column_bytes(weight=2),
    "rows squeezed together": lambda: column_bytes(squeezed=True),
    "another scheme": lambda: column_bytes(scheme="paillier"),
    "a flipped bit": lambda: column_bytes()[:-40] + bytes([column_bytes()[-40] ^ 1]) + column_bytes()[-39:],
    "bytes left over": lambda: column_bytes() + b"\0",
    "more than a column takes": lambda: bytes(1 << 18),
}


@pytest.mark.parametrize("fault", list(HOSTILE))
def test_hostile_columns_are_a_peer_error(fault: str) -> None:
    with pytest.raises(PeerError):
        fusion.simulate(
            bureau=lambda peer: answer(peer, QUERY, WEIGHTS, allowance=Allowance(1)),
            insurer=hostile_asker(HOSTILE[fault]),
        )


def hostile_answerer(respond: Callable[[Any, Any], bytes]) -> Callable[[Any], None]:
    def bureau(peer: Any) -> None:
        with peer.operation("weather.totals"):
            agreed = {
                "purpose": QUERY.purpose,
                "terms": QUERY.terms,
                "totals": len(QUERY.subjects),
                "rounded to": "0 yuan",
                "suite": "elgamal-ristretto255/1",
            }
            peer.open(learn=peer.peer, kinds=(), rows=QUERY.rows, parameters=agreed)
            data = receive(peer, 1 << 20)
            end = 4 + int.from_bytes(data[:4], "little")
            public = aggregation.PublicKey.from_bytes(data[4:end])
            send(peer, respond(public, aggregation.EncryptedArray.from_bytes(data[end:], public)))
            peer.finish({})

    return bureau


REPLIES: dict[str, Callable[[Any, Any], bytes]] = {
    "nothing": lambda public, column: b"",
    "a total too few": lambda public, column: (np.ones((2, 5), int) @ column).to_bytes(),
    "the wrong sum of weights": lambda public, column: (np.ones((3, 5), int) @ column).to_bytes(),
    "another key": lambda public, column: (
        aggregation.generate("elgamal")[0].encrypt([1, 2, 3], bound=5, terms=5).to_bytes()
    ),
    "other limits": lambda public, column: public.encrypt([1, 2, 3], bound=5, terms=5).to_bytes(),
    "too many bytes": lambda public, column: bytes(1 << 18),
}


@pytest.mark.parametrize("fault", list(REPLIES))
def test_hostile_answers_are_a_peer_error(fault: str) -> None:
    with pytest.raises(PeerError):
        fusion.simulate(bureau=hostile_answerer(REPLIES[fault]), insurer=lambda peer: ask(peer, QUERY, COLUMN))


# ---- the offer


OFFER = Offer(
    grid="a grid",
    day_ends="20:00 UTC+8",
    products=["rain", "heat"],
    terms=["terms of rain", "terms of heat"],
    cells=[3, 5],
    places=["A", "B"],
    years=[2001, 2002],
    step=10,
    basis_place="A",
    basis_product="heat",
    basis_years=[2001, 2002],
    basis_step=1,
    basis_moments=[1, 2, 3],
    prices=Sheet(["rain, A"], {"burn rate": [0.1]}),
    correlations=Sheet(["A"], {"A": [1.0]}),
)


def test_an_offer_arrives_as_it_was_with_its_order() -> None:
    out = fusion.simulate(bureau=lambda peer: publish(peer, OFFER), insurer=read)
    assert out["insurer"] == OFFER
    assert out["insurer"].products == ["rain", "heat"]
    assert out["insurer"].digest == OFFER.digest != replace_offer(products=["heat", "rain"]).digest


def replace_offer(**changes: Any) -> Offer:
    import msgspec

    return msgspec.structs.replace(OFFER, **changes)


def offer_json(**changes: Any) -> bytes:
    import msgspec

    return msgspec.json.encode({**msgspec.to_builtins(OFFER), **changes})


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        offer_json(extra=1),
        offer_json(cells=[5, 3]),
        offer_json(cells=[3, 3]),
        offer_json(cells=[]),
        offer_json(cells=[-1, 5]),
        offer_json(cells=[3, 5, 7]),
        offer_json(years=[]),
        offer_json(years=[2002, 2001]),
        offer_json(terms=["one"]),
        offer_json(basis_place="C"),
        offer_json(basis_product="hail"),
        offer_json(basis_moments=[1, 2]),
        offer_json(prices={"index": ["a", "b"], "columns": {"x": [1.0]}}),
        offer_json(prices={"index": ["a"], "columns": {"x": ["one"]}}),
        offer_json(step=-1),
    ],
    ids=itertools.count(),
)
def test_bytes_that_are_no_offer_are_a_peer_error(data: bytes) -> None:
    def bureau(peer: Any) -> None:
        with peer.operation("weather.offer"):
            peer.open(learn="both", kinds=(), rows=2, parameters={"publisher": "bureau", "suite": "json/1"})
            send(peer, data)
            peer.finish({})

    with pytest.raises(PeerError):
        fusion.simulate(bureau=bureau, insurer=read)
