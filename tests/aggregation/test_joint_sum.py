"""Encrypted sums: that they are exact, what they survive, and what they need."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fusion.aggregation.joint import Client, Parameters, agreed, fields
from fusion.aggregation.joint.messages import Part
from fusion.aggregation.masked import Rounds
from fusion.aggregation.masked.messages import decode
from fusion.crypto.rlwe.totals import total_bits
from fusion.errors import InputError, PeerError, TransportError

from .joint_parties import RUN, Cast


def test_a_sum_is_exact() -> None:
    cast = Cast.make(4, size=20_001, rounds=2).set_up()
    for number in range(2):
        np.testing.assert_array_equal(cast.total(number), cast.sum(cast.names))


@pytest.mark.parametrize("sign", [1, -1])
def test_the_largest_values_stay_in_their_fields(sign: int) -> None:
    cast = Cast.make(3, size=7).set_up()
    cast.values = {name: np.full(7, sign * cast.parameters.limit) for name in cast.names}
    np.testing.assert_array_equal(cast.total(), cast.sum(cast.names))


@settings(max_examples=10, deadline=None)
@given(n=st.integers(2, 6), size=st.sampled_from([1, 2, 16_383, 16_384, 16_385]), seed=st.integers(0, 2**32))
def test_a_sum_is_that_of_the_updates_that_came(n: int, size: int, seed: int) -> None:
    cast = Cast.make(n, size=size, seed=seed, threshold=2, colluding=0, allow_two=True).set_up()
    missing = [name for name in cast.names[2:] if (seed >> int(name[1:])) & 1]
    included = [name for name in cast.names if name not in missing]
    np.testing.assert_array_equal(cast.total(missing=missing), cast.sum(included))
    assert cast.round is not None
    assert cast.round.included == tuple(included)


@given(st.lists(st.integers(-(2**24) + 1, 2**24 - 1), min_size=1, max_size=40))
def test_fields_come_apart_as_they_were_joined(values: list[int]) -> None:
    row = np.array(values, np.int64)
    joined = fields.join(row, 4096)
    assert joined.max() < 2**50
    np.testing.assert_array_equal(fields.separate(joined, len(row)), row)


def test_a_round_that_failed_is_followed_by_the_next() -> None:
    cast = Cast.make(3, rounds=3).set_up()
    cast.challenge(0)
    np.testing.assert_array_equal(cast.total(1), cast.sum(cast.names))
    with pytest.raises(InputError, match="round 0 has been"):
        cast.server.round(0)


@pytest.mark.parametrize("step", ["commitments", "contributions", "claim", "challenge", "evidence", "total"])
def test_who_is_missing_is_named(step: str) -> None:
    cast = Cast.make(3)
    last = cast.names[-1]
    if step == "commitments":
        for name in cast.names[:-1]:
            cast.server.add_commitment(name, cast.clients[name].commit())
        with pytest.raises(TransportError, match=f"2 of 3 clients committed to the key.*{last}"):
            cast.server.commitments()
        return
    if step == "contributions":
        for name in cast.names:
            cast.server.add_commitment(name, cast.clients[name].commit())
        message = cast.server.commitments()
        for name in cast.names[:-1]:
            cast.server.add_contribution(name, cast.clients[name].contribute(message))
        with pytest.raises(TransportError, match=f"2 of 3 clients contributed to the key.*{last}"):
            cast.server.contributions()
        return
    cast.set_up()
    if step == "claim":
        with pytest.raises(TransportError, match="2 of 3 clients sent updates; a sum has at least 3"):
            cast.claim(missing=[last])
        return
    claim = cast.claim()
    current = cast.round
    assert current is not None
    for name in cast.names if step != "challenge" else cast.names[:-1]:
        current.add_coin(name, cast.clients[name].coin(claim))
    if step == "challenge":
        with pytest.raises(TransportError, match=f"2 of 3 clients sent their coins.*{last}"):
            current.challenge()
        return
    challenge = current.challenge()
    for name in cast.names if step != "evidence" else cast.names[:-1]:
        current.add_projection(name, cast.clients[name].project(challenge))
    if step == "evidence":
        with pytest.raises(TransportError, match=f"1 of 3 clients sent an update and no projection.*{last}"):
            current.evidence()
        return
    evidence = current.evidence()
    for name in cast.names[:-1]:
        current.add_part(name, cast.clients[name].open(evidence))
    with pytest.raises(TransportError, match=f"2 of 3 clients opened the sum.*{last}"):
        current.total()


def test_every_client_may_restart_between_any_two_messages(tmp_path: Path) -> None:
    cast = Cast.make(3, memory=tmp_path, rounds=2)

    def restart(name: str, message: bytes) -> bytes:
        cast.restart(name)
        return message

    cast.restart(cast.names[0])
    cast.set_up(restart)
    for number in range(2):
        for name in cast.names:
            cast.restart(name)
        np.testing.assert_array_equal(cast.total(number, change=restart), cast.sum(cast.names))


def test_a_restart_forgets_nothing_that_was_done(tmp_path: Path) -> None:
    cast = Cast.make(3, memory=tmp_path, rounds=2).set_up()
    name = cast.names[0]
    client, before = cast.clients[name], cast.clients[name].state()

    def old() -> Client:
        return Client.restore(before, cast.pins, cast.keys[name].sign, Rounds(tmp_path / name))

    evidence = cast.evidence()
    with pytest.raises(PeerError, match="round 0 comes a second time"):
        old().encrypt(0, cast.values[name])
    with pytest.raises(PeerError, match="has sent no update"):
        old().coin(cast.round.claim())
    middle = client.state()
    client.open(evidence)
    again = Client.restore(middle, cast.pins, cast.keys[name].sign, Rounds(tmp_path / name))
    with pytest.raises(PeerError, match="second opening of round 0"):
        again.open(evidence)


def test_a_state_needs_its_file(tmp_path: Path) -> None:
    cast = Cast.make(3, memory=tmp_path).set_up()
    name = cast.names[0]
    cast.challenge()
    state, sign = cast.clients[name].state(), cast.keys[name].sign
    for file in (Rounds(tmp_path / "another"), Rounds(), Rounds(tmp_path / cast.names[1])):
        with pytest.raises(InputError, match="file of rounds is lost"):
            Client.restore(state, cast.pins, sign, file)
    with pytest.raises(InputError, match="no state of a client"):
        Client.restore(state[:-1], cast.pins, sign, Rounds(tmp_path / name))
    with pytest.raises(InputError, match="needs Rounds with a file"):
        Cast.make(3).clients[name].state()


def test_what_the_server_sees_holds_no_update() -> None:
    """Two runs that differ in one client's values alone: nothing but that client's words in the opening differs."""
    seen = []
    for fill in (0, 0x123456):
        cast = Cast.make(3, size=8192 * 2).set_up()
        cast.values["c000"] = np.full(cast.parameters.size, fill)
        evidence = cast.evidence()
        seen.append([evidence, *(cast.clients[name].open(evidence) for name in cast.names)])
    same = [here == there for here, there in zip(*seen, strict=True)]
    assert same == [True, False, True, True]
    # where they differ, it is by the values alone, and each by itself looks uniform
    words = [np.zeros((cast.parameters.rows, cast.parameters.lattice.degree), np.uint64) for _ in seen]
    for total, each in zip(words, seen, strict=True):
        agreed.add_words(cast.parameters, total, decode(each[1], Part, "test").words, "test")
    top = words[0] >> np.uint64(total_bits(cast.parameters.lattice) - 4)
    assert np.bincount(top.ravel().astype(int), minlength=16).min() > 8192 / 16 * 0.8
    difference = (words[1] - words[0]) & np.uint64(2 ** total_bits(cast.parameters.lattice) - 1)
    assert len(np.unique(difference)) < 10


def test_secrets_do_not_show() -> None:
    client = Cast.make(3).set_up().clients["c000"]
    client.encrypt(0, np.zeros(5, np.int64))
    shown = repr(client) + repr(client._state)
    assert client._state.secret.hex() not in shown
    assert shown == "<Client c000 of 3>_State()"
    with pytest.raises(InputError, match="not pickled"):
        client.__reduce__()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"clients": ["a"]}, "2 to 1024 clients"),
        ({"clients": ["a", "a", "b"]}, "different names"),
        ({"clients": ["a", "b"]}, "threshold=3 does not protect"),
        ({"clients": ["a", "b", "c"], "threshold": 2}, "each the other's value"),
        (
            {"clients": ["a", "b", "c"], "threshold": 2, "allow_two": True},
            "threshold=2 does not protect 3 clients of wh",
        ),
        ({"clients": ["a", "b", "c"], "colluding": 2}, "at least two must be honest"),
        ({"clients": ["a", "b", "c"], "threshold": 4}, "threshold=4 does not protect"),
        ({"clients": ["a", "b", "c"], "size": 0}, "a value or more"),
        ({"clients": ["a", "b", "c"], "rounds": 1025}, "1 to 1024 rounds"),
        ({"clients": ["a", "b", "c"], "run": b"short"}, "name of 32 bytes"),
    ],
)
def test_parameters_that_do_not_protect_are_not_made(options: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Parameters.choose(**({"size": 5, "run": RUN} | options))


def test_parameters_leave_room_for_every_opening() -> None:
    for n, size, rounds in ((2, 1, 1), (10, 1_000_000, 1024), (100, 1_000_000, 100), (1024, 1000, 10)):
        chosen = Parameters.choose([f"{i:04}" for i in range(n)], size=size, rounds=rounds, run=RUN, allow_two=True)
        assert chosen.lattice.distance * chosen.rows * rounds <= 2**-40
        assert n * chosen.limit < 2**24


@pytest.mark.parametrize(
    "values", [np.zeros(4, np.int64), np.zeros(5), np.zeros(5, np.int32), np.full(5, 2**23), np.full(5, -(2**62))]
)
def test_values_that_do_not_fit_are_refused_and_nothing_is_noted(values: np.ndarray) -> None:
    cast = Cast.make(3).set_up()
    with pytest.raises(InputError, match=r"values of a round|beyond the bound"):
        cast.clients["c000"].encrypt(0, values)
    np.testing.assert_array_equal(cast.total(), cast.sum(cast.names))


def test_steps_out_of_order_are_refused() -> None:
    cast = Cast.make(3)
    client = cast.clients["c000"]
    with pytest.raises(InputError, match="no key before accept"):
        client.encrypt(0, cast.values["c000"])
    with pytest.raises(InputError, match="accept comes after contribute"):
        client.accept(b"")
    with pytest.raises(InputError, match=r"contributions\(\) comes before"):
        cast.server.round(0)
    cast.set_up()
    with pytest.raises(InputError, match=r"claim\(\) comes first"):
        cast.server.round(0).challenge()
    with pytest.raises(PeerError, match="rounds 0 to 0, not 1"):
        client.encrypt(1, cast.values["c000"])


def test_pins_are_those_of_everybody() -> None:
    cast = Cast.make(3)
    sign, pins = cast.keys["c000"].sign, cast.pins
    for wrong in ({"c000": pins["c000"]}, pins | {"d": pins["c000"]}, {}):
        with pytest.raises(InputError, match="those of all clients"):
            Client("c000", cast.parameters, wrong, sign, Rounds())
    with pytest.raises(InputError, match="same fingerprint"):
        Client("c000", cast.parameters, pins | {"c001": pins["c000"]}, sign, Rounds())
