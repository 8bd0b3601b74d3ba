"""The client and the server of a masked sum, message by message."""

from __future__ import annotations

import hashlib
import itertools
import pickle
import traceback

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fusion.aggregation.masked import Client, Parameters, Rounds
from fusion.aggregation.masked.messages import Masked, decode
from fusion.errors import InputError, PeerError, TransportError

from .sum_parties import Cast


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(3, 9),
    size=st.integers(0, 20),
    limit=st.sampled_from([0, 1, 1000, (1 << 31) // 9, 1 << 31, ((1 << 63) - 1) // 9]),
    seed=st.integers(0, 1000),
    data=st.data(),
)
def test_the_sum_is_that_of_the_included(n: int, size: int, limit: int, seed: int, data: st.DataObject) -> None:
    cast = Cast.make(n, size=size, limit=limit, seed=seed)
    spare = n - cast.parameters.threshold
    missing = data.draw(st.lists(st.sampled_from(cast.names), max_size=spare, unique=True))
    for name in data.draw(st.lists(st.sampled_from(cast.names), unique=True)):
        cast.values[name][:] = data.draw(st.sampled_from([limit, -limit]))  # extremes, all at once too
    cast.set_up().mask(missing=missing).answer()
    stay = [name for name in cast.names if name not in missing]
    total = cast.round.total()
    assert total.dtype == np.int64
    np.testing.assert_array_equal(total, cast.sum(stay))
    for name in stay:
        names, told = cast.clients[name].confirm(cast.survivors, cast.round.closing(total))
        assert list(names) == stay
        np.testing.assert_array_equal(told, total)
        assert cast.clients[name].confirm(cast.survivors, cast.round.closing())[1] is None


@pytest.mark.parametrize("who", range(5))
@pytest.mark.parametrize("step", ["no_keys", "no_shares", "no_vector", "no_answer"])
def test_anybody_may_leave_at_any_step(step: str, who: int) -> None:
    cast = Cast.make(5)
    left = cast.names[who]
    others = [name for name in cast.names if name != left]
    cast.clients.pop(left) if step == "no_keys" else None
    cast.set_up(no_shares=[left] if step == "no_shares" else [])
    cast.mask(missing=[] if step == "no_answer" else [left])
    cast.answer(others)
    included = cast.names if step == "no_answer" else others
    assert list(cast.round.included) == included
    np.testing.assert_array_equal(cast.round.total(), cast.sum(included))


@pytest.mark.parametrize("one", range(4))
def test_different_clients_leave_at_every_step(one: int) -> None:
    cast = Cast.make(10, colluding=1, threshold=6)  # four may leave
    gone = [cast.names[(one * 3 + step) % 10] for step in range(4)]
    cast.set_up(no_keys=gone[:1], no_shares=gone[1:2])
    cast.mask(missing=gone[:3])
    cast.answer([name for name in cast.names if name not in gone])
    np.testing.assert_array_equal(cast.round.total(), cast.sum(set(cast.names) - set(gone[:3])))


@pytest.mark.parametrize("step", ["sent their keys", "shared their secrets", "sent their vectors", "answered"])
def test_one_fewer_than_the_threshold_is_a_failure(step: str) -> None:
    cast = Cast.make(5)
    assert cast.parameters.threshold == 4
    few = cast.names[:2]

    def run() -> None:
        cast.set_up(no_keys=few * (step == "sent their keys"), no_shares=few * (step == "shared their secrets"))
        cast.mask(missing=few * (step == "sent their vectors"))
        cast.answer(cast.names[2:])
        cast.round.total()

    with pytest.raises(TransportError, match=f"3 of 5 clients {step}.*threshold is 4"):
        run()


def test_forty_clients_of_whom_thirteen_leave() -> None:
    cast = Cast.make(40, size=100, limit=1 << 40)
    cast.set_up(no_keys=cast.names[:4], no_shares=cast.names[4:8]).mask(missing=cast.names[:11])
    cast.answer(cast.names[13:])
    np.testing.assert_array_equal(cast.round.total(), cast.sum(cast.names[11:]))


def test_one_run_serves_many_rounds_and_who_left_comes_back() -> None:
    cast = Cast.make(5, rounds=6).set_up()
    for number, missing in enumerate([[], cast.names[:1], cast.names[:1], cast.names[4:], [], cast.names[2:3]]):
        cast.mask(number, missing=missing).answer()
        stay = [name for name in cast.names if name not in missing]
        np.testing.assert_array_equal(cast.round.total(), cast.sum(stay))
    with pytest.raises(InputError, match="no keys; begin a new run"):
        cast.server.round(6)
    with pytest.raises(PeerError, match="round 6 has no keys"):
        cast.clients["c000"].mask(6, cast.values["c000"])
    with pytest.raises(InputError, match="round 3 has been"):
        cast.server.round(3)


def test_clients_that_are_restarted_before_every_message(tmp_path) -> None:
    """A fresh process for each: what they keep is their state and their memory of rounds."""
    cast = Cast.make(4, rounds=2, memory=tmp_path)

    def restart() -> None:
        for name, client in cast.clients.items():
            cast.clients[name] = Client.restore(
                client.state(), cast.pins, cast.keys[name].sign, Rounds(tmp_path / name)
            )

    for name in cast.names:
        restart()
        cast.server.add_keys(name, cast.clients[name].keys())
    restart()
    roster = cast.server.roster()
    for name in cast.names:
        restart()
        cast.server.add_shares(name, cast.clients[name].shares(roster))
    for name, inbox in cast.server.inboxes().items():
        restart()
        cast.clients[name].accept(inbox)
    for number in range(2):
        restart()
        cast.mask(number, missing=cast.names[number : number + 1])
        restart()
        cast.answer()
        np.testing.assert_array_equal(cast.round.total(), cast.sum(cast.round.included))
    with pytest.raises(InputError, match="no state"):
        Client.restore(b"\x00", cast.pins, cast.keys["c000"].sign, Rounds())


def test_a_word_is_as_short_as_every_sum_allows() -> None:
    three = ["a", "b", "c"]
    assert Parameters.choose(three, size=1, limit=((1 << 31) - 1) // 3).word == 4
    assert Parameters.choose(three, size=1, limit=(1 << 31) // 3 + 1).word == 8
    with pytest.raises(InputError, match="does not fit 64 bits"):
        Parameters.choose(three, size=1, limit=(1 << 63) // 3 + 1)
    # n times the limit is exactly 2^31, and 2^63: one more than fits with a sign
    assert Parameters.choose([*three, "d"], size=1, limit=1 << 29).word == 8
    with pytest.raises(InputError, match="does not fit 64 bits"):
        Parameters.choose([*three, "d"], size=1, limit=1 << 61)
    for limit in (((1 << 31) - 1) // 3, ((1 << 63) - 1) // 3):
        for sign in (1, -1):
            cast = Cast.make(3, size=2, limit=limit)
            for values in cast.values.values():
                values[:] = sign * limit
            cast.set_up().mask().answer()
            assert cast.round.total().tolist() == [3 * sign * limit] * 2


@pytest.mark.parametrize(
    ("n", "colluding", "threshold"),
    [(3, 1, 3), (4, 1, 3), (5, 1, 4), (6, 1, 4), (7, 2, 5), (10, 3, 7), (100, 33, 67), (1024, 341, 683)],
)
def test_the_threshold_that_is_chosen(n: int, colluding: int, threshold: int) -> None:
    chosen = Parameters.choose([f"{i}" for i in range(n)], size=1, limit=1)
    assert (chosen.colluding, chosen.threshold) == (colluding, threshold)


def test_thresholds_below_what_protects_are_refused() -> None:
    """For every n and c: allowed exactly if 2 t > n + c, t >= c + 2, and t >= 3."""
    for n, c, t in itertools.product(range(3, 9), range(9), range(11)):
        names = [f"{i}" for i in range(n)]
        fits = 2 * t > n + c and t >= c + 2 and 3 <= t <= n
        try:
            assert Parameters.choose(names, size=1, limit=1, threshold=t, colluding=c).threshold == t
            assert fits
        except InputError:
            assert not fits


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"clients": ["a", "b"]}, "tells each the other's value"),
        ({"clients": ["a"]}, "2 to 1024 clients, not 1"),
        ({"clients": ["a", "b", "a"]}, "named twice"),
        ({"colluding": -1}, "does not fit"),
        ({"colluding": 3}, "at least two must be honest"),
        ({"threshold": 2, "colluding": 0}, "threshold=2 does not protect"),
        ({"clients": ["a", "b", "c"], "threshold": 2, "colluding": 0}, "may cover two parties"),
        ({"rounds": 0}, "1 to 1024 rounds"),
        ({"size": -1}, "0 values or more"),
        ({"limit": -1}, "smaller bound"),
    ],
)
def test_parameters_that_protect_nobody(arguments: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Parameters.choose(**{"clients": ["a", "b", "c", "d"], "size": 1, "limit": 1} | arguments)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"threshold": 1}, "threshold=1 does not protect"),
        ({"threshold": 3}, "threshold=3 does not protect"),
        ({"colluding": 4}, "at least two must be honest"),
        ({"clients": ("a", "a", "b", "c", "d")}, "named twice"),
        ({"clients": ("b", "a", "c", "d", "e")}, "order of their names"),
        ({"limit": 1 << 62}, "smaller bound"),
    ],
)
def test_parameters_that_do_not_come_from_choose(fields: dict, message: str) -> None:
    """A server that sends them around, or a caller that writes them down, gets no weaker ones."""
    good = Parameters.choose("abcde", size=1, limit=1)
    whole = {name: getattr(good, name) for name in good.__struct_fields__}
    assert Parameters(**whole) == msgspec.json.decode(msgspec.json.encode(whole), type=Parameters) == good
    with pytest.raises(InputError, match=message):
        Parameters(**whole | fields)
    with pytest.raises(InputError, match=message):
        msgspec.json.decode(msgspec.json.encode(whole | fields), type=Parameters)


def test_two_when_it_is_said() -> None:
    cast = Cast.make(2, allow_two=True).set_up().mask().answer()
    np.testing.assert_array_equal(cast.round.total(), cast.sum(cast.names))
    three = Cast.make(3, allow_two=True, threshold=2, colluding=0).set_up().mask(missing=["c001"]).answer()
    np.testing.assert_array_equal(three.round.total(), three.sum(["c000", "c002"]))


def test_a_masked_vector_is_uniform_whatever_is_in_it() -> None:
    """Chi-square over the bytes of what each client sends, for vectors of zeros."""
    for limit, width in ((1, 4), (1 << 60, 8)):
        cast = Cast.make(3, size=1 << 16, limit=limit)
        for values in cast.values.values():
            values[:] = 0
        cast.set_up()
        seen = []
        for name, client in cast.clients.items():
            words = decode(client.mask(0, cast.values[name]), Masked, name).words
            seen.append(words)
            for place in range(width):
                counts = np.bincount(np.frombuffer(words, np.uint8)[place::width], minlength=256)
                assert ((counts - 256) ** 2 / 256).sum() < 360  # 255 degrees of freedom: passed by all but some 10^-5
        assert len(set(seen)) == 3


def test_no_round_repeats_a_mask() -> None:
    cast = Cast.make(3, size=1000, rounds=3).set_up()
    values = cast.values["c000"]
    words = [np.frombuffer(decode(cast.clients["c000"].mask(i, values), Masked, "").words, np.uint32) for i in range(3)]
    for one, other in itertools.combinations(words, 2):
        assert len(np.unique(one - other)) > 990


def test_bytes_beside_the_vector_are_few() -> None:
    cast = Cast.make(10, size=1_000_000, limit=1 << 20)
    sent = dict.fromkeys(cast.names, 0)
    for name, client in cast.clients.items():
        message = client.keys()
        sent[name] += len(message)
        cast.server.add_keys(name, message)
    roster = cast.server.roster()
    for name, client in cast.clients.items():
        message = client.shares(roster)
        sent[name] += len(message)
        cast.server.add_shares(name, message)
    for name, inbox in cast.server.inboxes().items():
        cast.clients[name].accept(inbox)
    cast.mask().answer()
    for name in cast.names:
        sent[name] += 4_000_000 + len(cast.answers[name])
    assert max(sent.values()) < 1.002 * 4_000_000


def test_values_that_do_not_fit_the_parameters() -> None:
    client = Cast.make(3, size=2, limit=10).set_up().clients["c000"]
    for values in (np.zeros(3, np.int64), np.zeros(2), np.zeros((2, 1), np.int64)):
        with pytest.raises(InputError, match="2 of int64"):
            client.mask(0, values)
    for value in (11, -11, np.iinfo(np.int64).min):
        with pytest.raises(InputError, match="beyond the bound"):
            client.mask(0, np.array([0, value]))
    client.mask(0, np.array([10, -10]))  # nothing was used up by what was refused


def test_the_bytes_on_the_wire_are_what_they_were() -> None:
    """Everything drawn here is seeded, so that a run has one transcript; a new one needs a new label in `agreed`."""
    cast = Cast.make(4, size=3, rounds=2)
    for values in cast.values.values():
        values[:] = 1, -2, 1000
    digest = hashlib.sha256()

    def heard(message: bytes) -> bytes:
        digest.update(message)
        return message

    for name, client in cast.clients.items():
        cast.server.add_keys(name, heard(client.keys()))
    roster = heard(cast.server.roster())
    for name, client in cast.clients.items():
        cast.server.add_shares(name, heard(client.shares(roster)))
    for name, inbox in cast.server.inboxes().items():
        cast.clients[name].accept(heard(inbox))
    current = cast.server.round(1)
    for name in cast.names[:3]:
        current.add_masked(name, heard(cast.clients[name].mask(1, cast.values[name])))
    survivors = heard(current.survivors())
    for name in cast.names[:3]:
        current.add_answer(name, heard(cast.clients[name].answer(survivors)))
    heard(current.closing(current.total()))
    assert digest.hexdigest() == "87fd1d54df5c86bd0a4fdb3300b7cfbf34455e5dbc852cd48e364275eb253976"


def test_secrets_show_nowhere(tmp_path) -> None:
    cast = Cast.make(3, memory=tmp_path).set_up()
    client = cast.clients["c000"]
    secret = client._state.secret
    shown = [repr(client), str(client), repr(client._state), repr(cast.server), repr(cast.parameters), repr(Rounds())]
    cast.mask()
    for act in (
        lambda: pickle.dumps(client),
        lambda: client.mask(0, cast.values["c000"]),
        lambda: client.answer(cast.survivors[:-1]),
        lambda: client.accept(b""),
        lambda: Client.restore(client.state()[:-1], cast.pins, cast.keys["c000"].sign, Rounds()),
    ):
        with pytest.raises((InputError, PeerError)) as caught:
            act()
        shown.append("".join(traceback.format_exception(caught.value)))
    kept = [(tmp_path / "c000").read_bytes()]
    for canary in (secret, client._mask_key(0), client._own_seed(0), *client._secrets.values()):
        for text in shown:
            assert repr(canary)[2:-1] not in text
            assert canary.hex() not in text
        assert all(canary not in data for data in kept)
        assert canary not in cast.survivors
