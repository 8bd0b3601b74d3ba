"""`secure_sum` over channels: among all, with a server, with parties that leave, and with what cannot be summed."""

from __future__ import annotations

import importlib
import threading
import time
import traceback
from collections import Counter
from fractions import Fraction
from typing import Any

import msgspec
import numpy as np
import pytest
from channel.conftest import _no_thread_stays  # noqa: F401 - for every test here
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import fusion
from fusion.aggregation import SecureSum, secure_sum
from fusion.aggregation.masked import Round, talk
from fusion.aggregation.masked import sum as face
from fusion.aggregation.masked.messages import Answer, decode, encode
from fusion.aggregation.masked.talk import LocalSeat
from fusion.channel import Identity
from fusion.errors import InputError, MismatchError, PeerAborted, PeerError, TransportError

# `fusion.channel.simulate` names the function, not the module
_simulate = importlib.import_module("fusion.channel.simulate")

STEPS = ("keys", "shares", "masked", "answer", "close")
VALUES = {name: np.arange(6) * (place + 1) - 5 for place, name in enumerate("abcdefg")}


class Vanished(Exception):
    """What a party leaves by, in these tests."""


def outcomes(roles: dict[str, Any], **options: Any) -> dict[str, Any]:
    """What each role returned or raised."""

    def caught(role: Any) -> Any:
        def play(peers: Any) -> Any:
            try:
                return role(peers)
            except Exception as error:
                return error

        return play

    return _simulate.run({name: caught(role) for name, role in roles.items()}, **options)


def everybody(names: str, **options: Any) -> dict[str, Any]:
    return {name: lambda peers, name=name: secure_sum(peers, VALUES[name], bound=100, **options) for name in names}


class Plan(dict[str, str | tuple[str, int]]):
    """The step before which a party leaves: the first one of that name, or the given one."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: Counter[tuple[str, str]] = Counter()
        self.lock = threading.Lock()


@pytest.fixture
def leaving(monkeypatch):
    """What parties leave by, a `Plan`; empty at first."""
    plan = Plan()

    class Seat(LocalSeat):
        pass

    def before(step: str) -> Any:
        def method(self: LocalSeat, *args: bytes) -> Any:
            name = self._client.name
            with plan.lock:
                plan.seen[name, step] += 1
                leaves = plan.get(name) in (step, (step, plan.seen[name, step]))
                if leaves:
                    del plan[name]
            if leaves:
                raise Vanished
            return getattr(LocalSeat, step)(self, *args)

        return method

    for step in STEPS:
        setattr(Seat, step, before(step))
    monkeypatch.setattr(face, "LocalSeat", Seat)
    return plan


# Sums


@settings(max_examples=15, deadline=None)
@given(
    n=st.integers(3, 6),
    shape=st.sampled_from([(), (0,), (1,), (7,), (2, 3), (3, 0), (2, 2, 2)]),
    bound=st.sampled_from([1, 2**15, 2**31, 2**40]),
    kind=st.sampled_from(["int64", "int8", "uint16", "bool", "float64", "float32"]),
    decimals=st.integers(0, 4),
    seed=st.integers(0, 2**32 - 1),
)
def test_the_total_is_the_sum(n: int, shape: tuple, bound: int, kind: str, decimals: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = {}
    for name in "abcdef"[:n]:
        drawn = rng.uniform(-bound, bound, shape)
        if kind[0] in "iub":
            info = np.iinfo(kind) if kind[0] in "iu" else np.iinfo("int8")
            drawn = np.clip(np.trunc(drawn), max(info.min, -bound), min(info.max, bound))
        elif not decimals:
            drawn = np.trunc(drawn)
        values[name] = np.asarray(drawn).astype(kind)
    out = fusion.simulate(
        **{
            name: lambda peers, name=name: secure_sum(peers, values[name], bound=bound, decimals=decimals)
            for name in values
        }
    )
    exact = [
        sum(round(Fraction(float(values[name].ravel()[place])) * 10**decimals) for name in values)
        for place in range(int(np.prod(shape)))
    ]
    for name in values:
        total = out[name].total
        assert out[name].included == tuple(values)
        assert total.shape == shape
        assert total.dtype == (np.float64 if decimals else np.int64)
        # the nearest floats: of the largest sums they do not tell every last decimal
        assert total.ravel().tolist() == [x / 10**decimals if decimals else x for x in exact]


def test_a_list_in_and_the_readable_answer() -> None:
    out = fusion.simulate(**{n: lambda peers: secure_sum(peers, [0.125, -2], decimals=2, bound=5) for n in "abc"})
    assert out["a"].total.tolist() == [0.36, -6.0]  # each 0.125 became 0.12: half to even
    assert repr(out["a"]) == "SecureSum(included=('a', 'b', 'c'))"


def test_two_parties_only_when_it_is_said() -> None:
    found = outcomes({n: lambda peer: secure_sum(peer, [1]) for n in "ab"})
    assert all(isinstance(error, InputError | PeerAborted) for error in found.values())
    assert any("tells each the other's value" in str(error) for error in found.values())
    out = fusion.simulate(**{n: lambda peer: secure_sum(peer, [1, 2], allow_two=True) for n in "ab"})
    assert out["a"].total.tolist() == out["b"].total.tolist() == [2, 4]


def test_the_same_channels_again_and_for_something_else() -> None:
    def role(peers: Any) -> list[list[int]]:
        return [secure_sum(peers, np.full(3, k)).total.tolist() for k in range(3)]

    out = fusion.simulate(a=role, b=role, c=role)
    assert out["b"] == [[0, 0, 0], [3, 3, 3], [6, 6, 6]]


def test_one_frame_at_a_time() -> None:
    """Nobody sends more than one window before receiving, with vectors of several frames."""
    values = {name: np.arange(600_000) - 7 for name in "abc"}
    out = _simulate.run(
        {name: lambda peers, name=name: secure_sum(peers, values[name], bound=2**20) for name in values}, window=1
    )
    for name in values:
        np.testing.assert_array_equal(out[name].total, 3 * values["a"])


# With a server


@pytest.fixture(scope="module")
def identities(tmp_path_factory) -> dict[str, Identity]:
    folder = tmp_path_factory.mktemp("identities")
    return {name: Identity.create(name, folder / f"{name}.key") for name in [*"abcdefg", *(f"h{i}" for i in range(10))]}


def starred(identities: dict[str, Identity], values: dict[str, Any], **options: Any) -> dict[str, Any]:
    """Roles: the clients who hold the values, and a server."""
    pins = {name: identities[name].fingerprint for name in values}

    def client(name: str) -> Any:
        return lambda peers: secure_sum(
            peers["server"], values[name], clients=pins, identity=identities[name], **options
        )

    return {name: client(name) for name in values} | {"server": lambda peers: secure_sum(peers, None, **options)}


def test_a_server_learns_the_sum_and_its_clients_who_took_part(identities) -> None:
    values = {name: VALUES[name] for name in "abcd"}
    out = _simulate.run(starred(identities, values, bound=100))
    np.testing.assert_array_equal(out["server"].total, sum(values.values()))
    assert out["server"].included == tuple("abcd")
    for name in values:
        assert out[name].total is None
        assert out[name].included == tuple("abcd")


@pytest.mark.parametrize("step", STEPS)
def test_clients_of_a_server_leave(identities, leaving, step: str) -> None:
    leaving["b"] = step
    out = outcomes(starred(identities, {name: VALUES[name] for name in "abcde"}, bound=100))
    stay = tuple("abcde" if step in ("answer", "close") else "acde")
    assert isinstance(out["b"], Vanished)
    assert out["server"].included == out["a"].included == stay
    np.testing.assert_array_equal(out["server"].total, sum(VALUES[name] for name in stay))


def test_ten_clients_with_a_million_values_send_little_more(identities) -> None:
    rng = np.random.default_rng(5)
    values = {f"h{i}": rng.integers(-(2**20), 2**20, 1_000_000) for i in range(10)}
    roles = starred(identities, values, bound=2**20)
    receipts = {}

    def noting(name: str, role: Any) -> Any:
        def play(peers: Any) -> Any:
            out = role(peers)
            receipts[name] = peers["server"].receipt()
            return out

        return play

    out = _simulate.run({name: noting(name, role) if name in values else role for name, role in roles.items()})
    np.testing.assert_array_equal(out["server"].total, sum(values.values()))
    for receipt in receipts.values():
        assert 4_000_000 < receipt.bytes_sent < 1.002 * 4_000_000
        assert receipt.bytes_received < 10_000
        assert receipt.parameters["bytes in a word"] == 4


def test_what_a_client_of_a_server_must_say(identities) -> None:
    pins = {name: identities[name].fingerprint for name in "abc"}

    def with_(name: str, **options: Any) -> str:
        found = outcomes(
            {"a": lambda peers: secure_sum(peers[name], [1], **options), "server": lambda peers: None, "x": lambda p: 0}
        )
        assert isinstance(found["a"], InputError)
        return str(found["a"])

    mine = identities["a"]
    assert "needs identity=" in with_("server", clients=pins)
    assert "goes with clients=" in with_("server", identity=mine)
    assert "is the server" in with_("server", clients=pins | {"server": pins["b"]}, identity=mine)
    assert "must hold a" in with_("server", clients=pins, identity=identities["b"])
    assert "same fingerprint" in with_("server", clients=pins | {"d": pins["b"]}, identity=mine)
    assert "copy it from" in with_("server", clients=pins | {"d": "ed25519:00"}, identity=mine)
    assert "anybody can sign" in with_("server", clients=pins | {"d": "ed25519:" + "00" * 32}, identity=mine)
    found = outcomes({n: lambda p: secure_sum(p, [1], clients=pins, identity=mine) for n in ("a", "server", "x")})
    assert "not a group" in str(found["a"])


def test_a_client_whose_key_is_not_the_pinned_one(identities) -> None:
    values = {name: VALUES[name] for name in "abcde"}
    roles = starred(identities, values, bound=100)
    wrong = {name: identities[name].fingerprint for name in "abcd"} | {"e": identities["f"].fingerprint}
    for name in "abcd":
        roles[name] = lambda peers, name=name: secure_sum(
            peers["server"], VALUES[name], clients=wrong, identity=identities[name], bound=100
        )
    out = outcomes(roles)
    assert isinstance(out["server"], TransportError)
    assert "1 of 5 clients shared their secrets" in str(out["server"])
    assert all("keys of e are not signed by its pinned identity" in str(out[name]) for name in "abcd")


def test_a_party_that_copies_anothers_key(monkeypatch) -> None:
    """A peer's fault, not this side's arguments: signatures would not say whose they are."""
    key = Ed25519PrivateKey.generate()

    class Same:
        @staticmethod
        def generate() -> Ed25519PrivateKey:
            return key

    monkeypatch.setattr(face, "Ed25519PrivateKey", Same)
    for result in outcomes(everybody("abc")).values():
        assert isinstance(result, PeerError)
        assert "announced the same key" in str(result)


# Parties that leave


@pytest.mark.parametrize("who", "abc")
@pytest.mark.parametrize("step", ["before", *STEPS])
def test_anybody_in_a_group_may_leave_at_any_step(leaving, who: str, step: str) -> None:
    """Party a adds up first; when it leaves, b takes over."""
    leaving[who] = step
    roles = everybody("abcdef")
    if step == "before":
        roles[who] = lambda peers: Vanished()
    out = outcomes(roles)
    rest = [name for name in "abcdef" if name != who]
    assert isinstance(out[who], Vanished)
    results = [out[name] for name in rest]
    if who == "a" and step in ("answer", "close"):
        # it left when others had answered, or been told: some may have the sum, and nobody has another one; who has
        # answered takes part in no second one
        rest = [name for name in rest if not isinstance(out[name], TransportError)]
        results = [out[name] for name in rest]
    assert all(isinstance(result, SecureSum) for result in results), results
    assert {result.included for result in results} <= {tuple("abcdef"), tuple("bcdef"), tuple(rest)}
    for result in results:
        np.testing.assert_array_equal(result.total, sum(VALUES[name] for name in result.included))


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    plan=st.dictionaries(
        st.sampled_from("abcdef"), st.tuples(st.sampled_from(STEPS), st.integers(1, 2)), min_size=1, max_size=3
    )
)
def test_whoever_leaves_a_result_is_the_sum_of_its_parties(leaving, plan: dict[str, Any]) -> None:
    """And there are no two sums over different parties: the difference would show somebody's value."""
    leaving.clear()
    leaving.seen.clear()
    leaving.update(plan)
    out = outcomes(everybody("abcdef"))
    results = {name: result for name, result in out.items() if isinstance(result, SecureSum)}
    for result in results.values():
        assert len(result.included) >= 4
        np.testing.assert_array_equal(result.total, sum(VALUES[name] for name in result.included))
    assert len({result.included for result in results.values()}) <= 1
    for name, result in out.items():
        assert isinstance(result, SecureSum | TransportError | PeerAborted | Vanished), (name, result)
        assert not isinstance(result, Vanished) or name in plan


def test_several_leave_at_different_steps(leaving) -> None:
    leaving.update({"b": "keys", "d": "masked", "f": "answer"})
    out = outcomes(everybody("abcdefg", colluding=1, threshold=5))
    assert isinstance(out["a"], TransportError)  # four answer; the threshold is five
    leaving.update({"d": "shares", "f": "close"})
    out = outcomes(everybody("abcdefg", colluding=1, threshold=5))
    for name in "abceg":
        assert out[name].included == tuple("abcefg")
        np.testing.assert_array_equal(out[name].total, sum(VALUES[n] for n in "abcefg"))


def test_too_many_leave(leaving) -> None:
    leaving.update({"d": "masked", "e": "masked"})
    out = outcomes(everybody("abcde"))
    for name in "abc":
        assert isinstance(out[name], TransportError)
        assert "threshold is 4" in str(out[name])


@pytest.fixture
def crash_with_the_sum(monkeypatch):
    """The first party that adds up is gone when it has all answers, and with them the sum."""
    total = Round.total
    crashed = []

    def crash(self: Round) -> Any:
        if not crashed:
            crashed.append(total(self))
            raise Vanished
        return total(self)

    monkeypatch.setattr(Round, "total", crash)
    return crashed


def test_nobody_takes_over_from_who_has_all_answers(crash_with_the_sum) -> None:
    """The others cannot know whether party a has told its sum to anybody: another one would show a's value."""
    out = outcomes(everybody("abcde"))
    assert isinstance(out["a"], Vanished)
    np.testing.assert_array_equal(crash_with_the_sum[0], sum(VALUES[name] for name in "abcde"))
    for name in "bcde":
        assert isinstance(out[name], TransportError)
        assert "run again when a is back" in str(out[name])


def test_a_server_that_breaks_off_with_the_sum(identities, crash_with_the_sum) -> None:
    """A client says that the sum is known there: run again with one client fewer, it shows that one's value."""
    out = outcomes(starred(identities, {name: [1] for name in "abcde"}))
    for name in "abcde":
        assert isinstance(out[name], PeerAborted)
        assert any("with the same clients or not at all" in note for note in out[name].__notes__)


def test_a_party_that_falls_silent_is_waited_for_only_so_long(monkeypatch) -> None:
    over = threading.Event()
    masked = LocalSeat.masked

    def hang(self: LocalSeat, inbox: bytes) -> bytes:
        if self._client.name == "c":
            for channel in silent:
                channel._set_activity("", "", "idle")  # alive, and not at work
            over.wait(60)
        return masked(self, inbox)

    monkeypatch.setattr(LocalSeat, "masked", hang)
    silent: list[Any] = []

    def quiet(peers: Any) -> Any:
        silent.extend(peers.values())
        return secure_sum(peers, VALUES["c"], bound=100)

    def last(peers: Any) -> Any:
        try:
            return secure_sum(peers, VALUES["a"], bound=100)
        finally:
            over.set()

    began = time.monotonic()
    out = outcomes(everybody("abcde") | {"a": last, "c": quiet}, timeout=2.0)
    assert time.monotonic() - began < 50
    for name in "abde":
        assert out[name].included == tuple("abde")
        np.testing.assert_array_equal(out[name].total, sum(VALUES[n] for n in "abde"))


# What cannot be summed


@pytest.mark.parametrize(
    ("values", "options", "message"),
    [
        ([1.0, np.nan], {"decimals": 1}, "row 1, column 0 is missing or infinite"),
        ([np.inf], {"decimals": 1}, "row 0, column 0 is missing or infinite"),
        ([[0, 0], [0, 987654]], {"bound": 9}, "row 1, column 1 is beyond the declared bound"),
        ([-987654], {"bound": 9}, "row 0, column 0 is beyond the declared bound"),
        ([0.5], {}, "no whole number; declare decimals"),
        (["987654"], {}, "holds no numbers"),
        ([[1], [2, 3]], {}, "no array"),
        ([1], {"bound": 0}, "bound must be a number above zero"),
        ([1], {"decimals": 19}, "decimals must be a whole number from 0 to 18"),
        ([1], {"bound": 2**62}, "does not fit 64 bits"),
        ([1], {"threshold": 2}, "threshold=2 does not protect 3 clients"),
        ([1], {"colluding": 2}, "at least two must be honest"),
    ],
)
def test_what_cannot_be_summed_is_refused_before_anything_is_sent(values: Any, options: dict, message: str) -> None:
    sent = []

    def bad(peers: Any) -> Any:
        try:
            return secure_sum(peers, values, **options)
        finally:
            sent.extend(channel._transcript.sent.bytes for channel in peers.values())

    began = time.monotonic()
    out = outcomes({"a": bad, "b": lambda p: secure_sum(p, [1]), "c": lambda p: secure_sum(p, [1])})
    assert time.monotonic() - began < 25  # nobody waits for somebody who has left
    assert isinstance(out["a"], InputError)
    assert message in str(out["a"])
    assert "987654" not in "".join(traceback.format_exception(out["a"])).replace(repr(values), "")
    assert sent == [0, 0]
    for name in "bc":
        assert isinstance(out[name], TransportError)
        assert "2 of 3 parties are left" in str(out[name])


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"bound": 99}, "largest"),
        ({"decimals": 1}, "decimals"),
        ({"threshold": 4}, "threshold"),
        ({"colluding": 0, "threshold": 3}, "colluding"),
    ],
)
def test_parties_that_ask_for_different_sums(options: dict, field: str) -> None:
    def role(name: str) -> Any:
        mine = {"bound": 100} | (options if name == "c" else {})
        return lambda peers: secure_sum(peers, [1, 2], **mine)

    out = outcomes({name: role(name) for name in "abcd"})
    assert isinstance(out["c"], MismatchError)
    assert out["c"].field == field
    assert not any(isinstance(result, SecureSum) and "c" in result.included for result in out.values())


def test_vectors_of_different_lengths(identities) -> None:
    out = outcomes({n: lambda p, n=n: secure_sum(p, [1] * (2 + (n == "c"))) for n in "abc"})
    assert all(isinstance(error, MismatchError | PeerAborted) for error in out.values())
    assert any(isinstance(e, MismatchError) and e.field == "number of values" for e in out.values())
    out = outcomes(starred(identities, {"a": [1], "b": [1], "c": [1], "d": [1, 2]}))
    assert isinstance(out["server"], MismatchError)
    assert out["server"].field == "number of values"


def test_a_server_and_clients_that_differ(identities) -> None:
    roles = starred(identities, {name: [1] for name in "abc"})
    roles["d"] = lambda peers: secure_sum(peers["server"], [1], bound=5)  # believes in a group of two
    out = outcomes(roles)
    assert not isinstance(out["server"], SecureSum)
    roles = starred(identities, {name: [1] for name in "abc"})
    roles["server"] = lambda peers: secure_sum(peers, None, bound=77)
    out = outcomes(roles)
    assert isinstance(out["server"], MismatchError)
    assert out["server"].field == "largest"


def test_receipts_say_what_was_learned(identities) -> None:
    kept = {}

    def noting(name: str, role: Any, peer: str) -> Any:
        def play(peers: Any) -> Any:
            out = role(peers)
            kept[name] = peers[peer].receipt()
            return out

        return play

    roles = starred(identities, {name: VALUES[name] for name in "abc"}, bound=100)
    _simulate.run({n: noting(n, r, "server") if n != "server" else noting(n, r, "a") for n, r in roles.items()})
    mine, servers = kept["a"], kept["server"]
    assert (
        mine.learned
        == servers.learned
        == {
            "a": ["who took part: 3 of 3"],
            "server": ["who took part: 3 of 3", "the sum over 3 parties"],
        }
    )
    assert mine.learn == "server"
    assert mine.sizes == {"a": 6, "server": 0}
    assert mine.parameters == {
        "step": "server",
        "parties": "a, b, c",
        "threshold": 3,
        "colluding": 1,
        "decimals": 0,
        "largest": 100,
        "included": 3,
        "bytes in a word": 4,
    }
    assert mine.bytes_sent == servers.bytes_received
    roles = everybody("abc")
    _simulate.run({n: noting(n, r, "b" if n == "a" else "a") for n, r in roles.items()})
    assert kept["a"].learned["b"] == ["who took part: 3 of 3", "the sum over 3 parties"]
    assert kept["a"].learn == "both"


def test_the_servers_receipt_says_why_somebody_was_left_out(identities, leaving, monkeypatch) -> None:
    leaving["b"] = "masked"
    shares = LocalSeat.shares
    monkeypatch.setattr(
        LocalSeat, "shares", lambda seat, roster: b"?" if seat._client.name == "d" else shares(seat, roster)
    )
    roles = starred(identities, {name: [1] for name in "abcdefg"})
    kept = {}

    def server(peers: Any) -> Any:
        out = secure_sum(peers, None)
        kept["receipt"] = peers["a"].receipt()
        return out

    out = outcomes(roles | {"server": server})
    assert out["server"].included == out["a"].included == tuple("acefg")
    assert out["server"].total.tolist() == [5]
    assert isinstance(out["d"], PeerAborted)
    assert sorted(kept["receipt"].notes) == [
        "b dropped out: b left the operation with Exception; see the message on its side",
        "d dropped out: d sent bytes that are no Shares; check that all run the same version",
    ]
    assert kept["receipt"].learned["server"][0] == "who took part: 5 of 7; left out: b, d"


def test_a_client_whose_shares_do_not_fit(identities, monkeypatch) -> None:
    """The others' are enough, its value is in the sum, and the receipt names it."""
    answer = LocalSeat.answer

    def wrong(seat: LocalSeat, survivors: bytes) -> bytes:
        found = decode(answer(seat, survivors), Answer, "test")
        return encode(msgspec.structs.replace(found, locked=bytes(len(found.locked))))

    monkeypatch.setattr(
        LocalSeat, "answer", lambda seat, survivors: (wrong if seat._client.name == "b" else answer)(seat, survivors)
    )
    kept = []

    def server(peers: Any) -> Any:
        out = secure_sum(peers, None)
        kept.extend(peers["a"].receipt().notes)
        return out

    out = outcomes(starred(identities, {name: [1] for name in "abcde"}) | {"server": server})
    assert out["server"].total.tolist() == [5]
    assert out["server"].included == out["b"].included == tuple("abcde")
    assert len(kept) == 1
    assert kept[0].startswith("b: its answer does not fit the others', which were enough; ")


@pytest.mark.parametrize("step", ["keys", "shares", "masked", "answer"])
def test_a_client_that_sends_without_end(identities, monkeypatch, step: str) -> None:
    """The server takes no more than a message can have, and goes on without that client."""
    act = getattr(LocalSeat, step)
    monkeypatch.setattr(
        LocalSeat,
        step,
        lambda seat, *args: bytes(3 << 20) if seat._client.name == "b" else act(seat, *args),
    )
    kept = []

    def server(peers: Any) -> Any:
        out = secure_sum(peers, None)
        kept.extend(peers["a"].receipt().notes)
        return out

    out = outcomes(starred(identities, {name: [1] for name in "abcde"}) | {"server": server})
    (note,) = kept
    assert note.startswith("b dropped out: b sent more than the ")
    assert isinstance(out["b"], PeerAborted)
    assert out["b"].error == "PeerError"
    included = tuple("abcde" if step == "answer" else "acde")
    assert out["server"].included == out["e"].included == included
    assert out["server"].total.tolist() == [len(included)]


def test_a_policy_that_objects(identities) -> None:
    def refuse(peer: str, ours: Any, theirs: Any) -> None:
        raise fusion.PolicyError("not with me")

    def role(peers: Any) -> Any:
        for channel in peers.values():
            channel._policy = refuse
        return secure_sum(peers, VALUES["c"], bound=100)

    out = outcomes(everybody("abde") | {"c": role})
    assert isinstance(out["c"], fusion.PolicyError)
    for name in "abde":
        assert out[name].included == tuple("abde")


def test_whoever_was_told_the_sum_gets_no_second_one_to_set_against_it(monkeypatch) -> None:
    """Party a fails while it tells the sum: b has it, says that it has not, and goes on with the others.

    A sum over all but a would then show a's value to b.
    """
    told, close, remote = threading.Event(), LocalSeat.close, talk._RemoteSeat.close
    kept: list[Any] = []

    class Liar(LocalSeat):
        def close(self, closing: bytes) -> None:
            close(self, closing)
            if self._client.name == "b" and not kept:
                kept.append(self.total)
                told.set()
                raise TransportError("nothing has come")

    def tell(self: Any, closing: bytes) -> None:
        if self._peer.name != "a" or self._peer.peer == "b":
            remote(self, closing)
        else:
            told.wait(60)
            raise Vanished

    monkeypatch.setattr(face, "LocalSeat", Liar)
    monkeypatch.setattr(talk._RemoteSeat, "close", tell)
    out = outcomes(everybody("abcde"))
    np.testing.assert_array_equal(kept[0], sum(VALUES[name] for name in "abcde"))
    for name in "bcde":
        assert isinstance(out[name], TransportError), out[name]


def test_matrices_of_different_shapes_are_not_added_crosswise() -> None:
    values = np.arange(6)
    out = outcomes({n: lambda p, n=n: secure_sum(p, values.reshape((3, 2) if n == "c" else (2, 3))) for n in "abc"})
    assert isinstance(out["c"], MismatchError)
    assert out["c"].field == "shape of a row"
    assert not any(isinstance(result, SecureSum) for result in out.values())


def test_masked_values_are_missing_ones() -> None:
    hidden = np.ma.array([1, 99], mask=[False, True])
    out = outcomes({n: lambda p, n=n: secure_sum(p, hidden if n == "a" else [1, 2]) for n in "abc"})
    assert isinstance(out["a"], InputError)
    assert "masked values" in str(out["a"])


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"threshold": "3"}, "threshold is a number of parties"),
        ({"threshold": 3.0}, "threshold is a number of parties"),
        ({"colluding": True}, "colluding is a number of parties"),
        ({"threshold": 2}, "take 3, or"),
    ],
)
def test_thresholds_that_are_none(options: dict, says: str) -> None:
    out = outcomes({n: lambda p: secure_sum(p, [1], **options) for n in "abc"})
    assert any(isinstance(error, InputError) and says in str(error) for error in out.values())


def test_a_forgotten_vector_and_a_forgotten_group(identities) -> None:
    out = outcomes({n: lambda p, n=n: secure_sum(p, None if n == "a" else [1]) for n in "abc"})
    assert isinstance(out["a"], InputError)
    assert "pass its vector" in str(out["a"])
    pins = {name: identities[name].fingerprint for name in "abc"}
    roles = {"a": lambda p: secure_sum(p, [1], clients=pins, identity="a.key"), "server": lambda p: None}  # type: ignore[arg-type]
    out = outcomes(roles)
    assert isinstance(out["a"], InputError)
    assert "needs identity=" in str(out["a"])
    with pytest.raises(InputError, match="the first argument"):
        secure_sum([1, 2], [1])  # type: ignore[arg-type]
