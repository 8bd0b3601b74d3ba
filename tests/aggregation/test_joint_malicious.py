"""A server that deviates: each thing it may try is refused by an error that names it. And hostile bytes."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fusion.aggregation.joint import agreed
from fusion.aggregation.joint.messages import (
    Challenge,
    Claim,
    Coin,
    Commitment,
    Commitments,
    Contribution,
    Contributions,
    Evidence,
    Part,
    Projection,
    Update,
)
from fusion.aggregation.joint.projections import REPEATS, project, write_projection
from fusion.aggregation.masked.messages import decode, encode
from fusion.crypto.rlwe.totals import total_bits
from fusion.errors import FusionError, PeerError
from fusion.kernels import ntt

from .joint_parties import Cast, altered

KINDS = (
    Commitment,
    Commitments,
    Contribution,
    Contributions,
    Update,
    Claim,
    Coin,
    Challenge,
    Projection,
    Evidence,
    Part,
)


def updates(cast: Cast, number: int = 0) -> dict[str, bytes]:
    return {name: cast.clients[name].encrypt(number, cast.values[name]) for name in cast.names}


def second(cast: Cast, update: bytes) -> bytes:
    return decode(update, Update, "test").second


def claim_of(cast: Cast, total: bytes, included: tuple[int, ...], number: int = 0) -> bytes:
    return encode(Claim(cast.server.run, number, included, agreed.total_hash(total)))


def evidence_for(cast: Cast, claim: bytes, total: bytes) -> bytes:
    """What a server that deviates gets out of honest clients for its claim."""
    message = decode(claim, Claim, "test")
    coins = tuple(cast.clients[name].coin(claim) for name in cast.names)
    challenge = encode(Challenge(message.run, message.round, coins))
    projections = tuple(cast.clients[cast.names[index]].project(challenge) for index in message.included)
    return encode(Evidence(message.run, message.round, coins, projections, total))


# What is opened


@pytest.mark.parametrize("kind", ["one update", "two of three", "one twice", "a difference", "nothing", "one residue"])
def test_no_sum_is_opened_that_is_not_that_of_its_clients(kind: str) -> None:
    cast = Cast.make(3).set_up()
    ring = cast.parameters.lattice.ring
    parts = [agreed.unpack_residues(cast.parameters, second(cast, each), "test") for each in updates(cast).values()]
    whole = ntt.add(ring, ntt.add(ring, parts[0], parts[1]), parts[2])
    spoilt = whole.copy()
    spoilt[0, 1, 17] = (int(spoilt[0, 1, 17]) + 1) % ring.primes[1]
    total = agreed.pack_residues(
        {
            "one update": parts[0],
            "two of three": ntt.add(ring, parts[0], parts[1]),
            "one twice": ntt.add(ring, whole, parts[0]),
            "a difference": ntt.subtract(ring, whole, parts[2]),
            "nothing": np.zeros_like(parts[0]),
            "one residue": spoilt,
        }[kind]
    )
    evidence = evidence_for(cast, claim_of(cast, total, (0, 1, 2)), total)
    for name in cast.names:
        with pytest.raises(PeerError, match="not that of the 3 updates whose projections these are; nothing was op"):
            cast.clients[name].open(evidence)


def test_a_client_that_bends_the_sum_with_the_server_gets_no_share_of_the_key() -> None:
    """Its update is what makes the sum a constant: with the true projection, so that every check passes."""
    cast = Cast.make(4, threshold=3).set_up()
    parameters = cast.parameters
    lattice, bits = parameters.lattice, total_bits(parameters.lattice)
    wanted = np.zeros((parameters.rows, len(lattice.primes), lattice.degree), np.uint64)
    wanted[:, :, 0] = [lattice.q // 4 % prime for prime in lattice.primes]
    ntt.forward(lattice.ring, wanted)
    sent = updates(cast)
    bent = wanted
    for name in ("c001", "c002"):
        bent = ntt.subtract(lattice.ring, bent, agreed.unpack_residues(parameters, second(cast, sent[name]), name))
    total = agreed.pack_residues(wanted)
    evidence = decode(evidence_for(cast, claim_of(cast, total, (0, 1, 2)), total), Evidence, "test")
    digest = agreed.challenge_digest(agreed.claim_digest(claim_of(cast, total, (0, 1, 2))), evidence.coins)
    liar = cast.clients["c000"]
    false = liar._signed(Projection(digest, 0, write_projection(project(lattice, bent, digest)), bytes(64)))
    shown = encode(msgspec.structs.replace(evidence, projections=(false, *evidence.projections[1:])))
    words = {}
    for name in ("c001", "c002", "c003"):
        part = decode(cast.clients[name].open(shown), Part, name).words
        own = np.zeros((parameters.rows, lattice.degree), np.uint64)
        agreed.add_words(parameters, own, part, name)
        words[name] = own.reshape(-1)
    # a quarter of q times a share of -1, 0 and 1: without masks all words of c003 are within 2^(bits - 5) of these
    quarter = np.uint64(1 << bits - 2)
    for each in words.values():
        near = (each + quarter // np.uint64(8)) % quarter < quarter // np.uint64(4)
        assert abs(near.mean() - 0.25) < 0.05


def test_a_key_for_masks_that_everybody_knows_is_refused() -> None:
    cast = Cast.make(3)
    for name in cast.names:
        cast.server.add_commitment(name, cast.clients[name].commit())
    message = cast.server.commitments()
    entries = [cast.clients[name].contribute(message) for name in cast.names]
    weak = cast.clients["c002"]._signed(msgspec.structs.replace(decode(entries[2], Contribution, ""), box=bytes(32)))
    with pytest.raises(PeerError, match="contribution of c002 holds a key that X25519 cannot use"):
        cast.clients["c000"].accept(encode(Contributions((*entries[:2], weak))))


def test_the_sum_of_another_round_is_not_opened_again() -> None:
    cast = Cast.make(3, rounds=2).set_up()
    earlier = cast.evidence(0)
    total = decode(earlier, Evidence, "test").total
    for name in cast.names:
        cast.clients[name].open(earlier)
    updates(cast, 1)
    evidence = evidence_for(cast, claim_of(cast, total, (0, 1, 2), 1), total)
    with pytest.raises(PeerError, match="not that of the 3 updates"):
        cast.clients["c000"].open(evidence)


def test_the_sum_is_fixed_before_the_challenge() -> None:
    cast = Cast.make(3).set_up()
    sent = updates(cast)
    one = second(cast, sent["c000"])
    round_ = cast.server.round(0)
    for name, update in sent.items():
        round_.add_update(name, update)
    claim = round_.claim()
    for name in cast.names:
        round_.add_coin(name, cast.clients[name].coin(claim))
    for name in cast.names:
        round_.add_projection(name, cast.clients[name].project(round_.challenge()))
    with pytest.raises(PeerError, match="not the one that it claimed before it knew the challenge"):
        cast.clients["c000"].open(altered(round_.evidence(), Evidence, total=one))


@pytest.mark.parametrize(
    ("included", "message"),
    [
        ((0,), "has 1 updates; at least 3"),
        ((0, 1), "has 2 updates; at least 3"),
        ((), "has 0 updates"),
        ((0, 1, 1), "out of order"),
        ((2, 1, 0), "out of order"),
        ((0, 1, 9), "not of the clients of this run"),
    ],
)
def test_a_claim_is_of_enough_clients(included: tuple[int, ...], message: str) -> None:
    cast = Cast.make(4).set_up()
    claim = cast.claim()
    with pytest.raises(PeerError, match=message):
        cast.clients["c000"].coin(altered(claim, Claim, included=included))


def test_who_sent_nothing_is_in_no_sum() -> None:
    cast = Cast.make(4).set_up()
    claim = cast.claim(missing=["c003"])
    with pytest.raises(PeerError, match="lists this client in round 0, where it has sent no update"):
        cast.clients["c003"].coin(altered(claim, Claim, included=(0, 1, 2, 3)))


def test_different_sums_for_different_clients() -> None:
    cast = Cast.make(3).set_up()
    claim = cast.claim()
    other = altered(claim, Claim, total=bytes(32))
    coins = [cast.clients[name].coin(claim if name == "c000" else other) for name in cast.names]
    challenge = encode(Challenge(cast.server.run, 0, tuple(coins)))
    for name, who in (("c000", "c001"), ("c001", "c000")):
        with pytest.raises(PeerError, match=f"coin of {who} is for another claim; the server showed different sums"):
            cast.clients[name].project(challenge)


# What is done once


def test_nothing_is_done_twice() -> None:
    cast = Cast.make(3, rounds=3).set_up()
    client = cast.clients["c000"]
    with pytest.raises(PeerError, match="another list of commitments, and this client has already"):
        client.contribute(cast.sent["commitments"])
    evidence = cast.evidence()
    claim = cast.round.claim()
    for act, message in (
        (lambda: client.encrypt(0, cast.values["c000"]), "round 0 comes a second time"),
        (lambda: client.coin(claim), "second sum in round 0"),
        (lambda: client.coin(altered(claim, Claim, total=bytes(32))), "second sum in round 0"),
        (lambda: client.project(cast.round.challenge()), "second projection in round 0"),
    ):
        with pytest.raises(PeerError, match=message):
            act()
    client.open(evidence)
    with pytest.raises(PeerError, match="second opening of round 0"):
        client.open(evidence)
    client.encrypt(1, cast.values["c000"])
    for act in (lambda: client.coin(claim), lambda: client.encrypt(0, cast.values["c000"])):
        with pytest.raises(PeerError, match="goes back to round 0; round 1 has begun"):
            act()
    with pytest.raises(PeerError, match="goes on with round 0, in which this client has seen no claim"):
        client.open(evidence)


# Whose key it is


def test_a_key_that_somebody_chose_last_is_refused() -> None:
    cast = Cast.make(3)
    for name in cast.names:
        cast.server.add_commitment(name, cast.clients[name].commit())
    message = cast.server.commitments()
    entries = {name: cast.clients[name].contribute(message) for name in cast.names}
    first = decode(entries["c000"], Contribution, "test")
    # c002 works with the server and signs what suits it
    chosen = Contribution(first.commitments, 2, bytes(len(first.element)), first.box, bytes(64))
    entries["c002"] = altered(encode(chosen), Contribution, signature=cast.keys["c002"].sign(agreed.to_sign(chosen)))
    with pytest.raises(PeerError, match="contribution of c002 is not what c002 committed to"):
        cast.clients["c000"].accept(encode(Contributions(tuple(entries.values()))))
    with pytest.raises(PeerError, match="contribution of c002 is not what c002 committed to"):
        cast.server.add_contribution("c002", entries["c002"])


def test_different_commitments_for_different_clients() -> None:
    cast, other = Cast.make(3), Cast.make(3, draw=1)
    lists = []
    for last in (cast, other):
        entries = [each.clients[name].commit() for each, name in ((cast, "c000"), (cast, "c001"), (last, "c002"))]
        lists.append(encode(Commitments(tuple(entries))))
    contributions = [
        cast.clients["c000"].contribute(lists[0]),
        cast.clients["c001"].contribute(lists[1]),
        cast.clients["c002"].contribute(lists[0]),
    ]
    with pytest.raises(PeerError, match="c001 was shown another list of commitments"):
        cast.clients["c000"].accept(encode(Contributions(tuple(contributions))))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda e, o: (o[0], *e[1:]), "does not hold this client's own commitment"),
        (lambda e, o: (*e[:2], altered(e[2], Commitment, hash=bytes(32))), "Commitment of c002 is not signed by"),
        (lambda e, o: e[:2], "sent 2 of Commitment, of 3 clients"),
        (lambda e, o: (e[0], e[2], e[1]), "another client's Commitment as that of c001"),
        (lambda e, o: (e[0], e[0], e[2]), "another client's Commitment as that of c001"),
    ],
)
def test_a_list_of_commitments_is_everybodys(change: Callable[..., Any], message: str) -> None:
    cast, other = Cast.make(3), Cast.make(3, draw=1)
    ours, theirs = (tuple(each.clients[name].commit() for name in each.names) for each in (cast, other))
    with pytest.raises(PeerError, match=message):
        cast.clients["c000"].contribute(encode(Commitments(change(ours, theirs))))


def test_keys_of_strangers_and_of_other_runs_are_refused() -> None:
    cast = Cast.make(3)
    for other, message in (
        (Cast.make(3, seed=1), "Commitment of c001 is not signed by its pinned identity"),
        (Cast.make(3, run=bytes(32)), "commitment of c001 is for a sum with other parameters"),
        (Cast.make(3, size=6), "commitment of c001 is for a sum with other parameters"),
        (Cast.make(3, rounds=2), "commitment of c001 is for a sum with other parameters"),
    ):
        entries = cast.clients["c000"].commit(), other.clients["c001"].commit(), cast.clients["c002"].commit()
        with pytest.raises(PeerError, match=message):
            cast.clients["c000"].contribute(encode(Commitments(entries)))


def test_messages_of_other_runs_are_refused() -> None:
    cast = Cast.make(3).set_up()
    other = Cast.make(3, draw=1).set_up()
    assert cast.server.run != other.server.run
    claim, evidence = other.claim(), cast.evidence()
    update = cast.clients["c001"]
    with pytest.raises(PeerError, match="message of another run"):
        cast.clients["c000"].coin(claim)
    for step, message in ((update.project, cast.round.challenge()), (update.open, evidence)):
        with pytest.raises(PeerError, match="message of another run"):
            step(altered(message, type(decode_any(message)), run=other.server.run))
    with pytest.raises(PeerError, match="c000 sent a message of another run"):
        cast.round.add_part("c000", encode(Part(other.server.run, 0, b"")))


def test_projections_of_others_are_refused() -> None:
    cast = Cast.make(3, rounds=2).set_up()
    evidence = cast.evidence()
    message = decode(evidence, Evidence, "test")
    forged = altered(message.projections[1], Projection, values=bytes(8 * REPEATS * 3))
    for projections, reason in (
        ((message.projections[0], forged, message.projections[2]), "Projection of c001 is not signed by"),
        (message.projections[:2], "sent 2 of Projection, of 3 clients"),
        ((message.projections[0], *message.projections[:2]), "another client's Projection as that of c001"),
    ):
        with pytest.raises(PeerError, match=reason):
            cast.clients["c000"].open(altered(evidence, Evidence, projections=projections))
    for coins, reason in (
        (message.coins[:2], "sent 2 of Coin, of 3 clients"),
        ((message.coins[0], altered(message.coins[1], Coin, coin=bytes(32)), message.coins[2]), "Coin of c001 is not"),
    ):
        with pytest.raises(PeerError, match=reason):
            cast.clients["c000"].open(altered(evidence, Evidence, coins=coins))
    for name in cast.names:
        cast.clients[name].open(evidence)
    later = cast.evidence(1)
    with pytest.raises(PeerError, match="projection of c000 is for another challenge"):
        cast.clients["c000"].open(altered(later, Evidence, projections=message.projections))


def decode_any(message: bytes) -> Any:
    for kind in KINDS:
        with contextlib.suppress(PeerError):
            return decode(message, kind, "test")
    raise AssertionError


# The test of a sum itself


def test_projections_are_linear_and_depend_on_the_challenge() -> None:
    lattice = Cast.make(3, size=20 * 16384).parameters.lattice
    rng = np.random.default_rng(1)
    primes = np.array(lattice.primes, np.uint64)
    a, b = (rng.integers(0, primes[:, None], (20, 3, lattice.degree), dtype=np.uint64) for _ in range(2))
    there = [project(lattice, each, bytes(32)) for each in (a, b, ntt.add(lattice.ring, a, b))]
    np.testing.assert_array_equal((there[0] + there[1]) % primes, there[2])
    assert not np.array_equal(there[0], project(lattice, a, bytes([1] * 32)))
    np.testing.assert_array_equal(project(lattice, a, bytes(32), threads=1), there[0])
    for row, limb, place in ((0, 0, 0), (19, 2, lattice.degree - 1), (16, 1, 5)):
        changed = a.copy()
        changed[row, limb, place] ^= np.uint64(1)
        differs = project(lattice, changed, bytes(32)) != there[0]
        assert differs[:, limb].all()
        assert differs.sum() == REPEATS


# Clients that send what they should not, seen from the server


def test_nothing_of_a_refused_update_is_in_the_sum() -> None:
    cast = Cast.make(3, size=90_000, rounds=2).set_up()  # ciphertexts of more than one block
    sent = updates(cast)
    round_ = cast.server.round(0)
    residues = agreed.unpack_residues(cast.parameters, second(cast, sent["c000"]), "test")
    assert len(residues) > 4
    residues[-1, -1, -1] = cast.parameters.lattice.primes[-1]
    spoilt = altered(sent["c000"], Update, second=agreed.pack_residues(residues))
    with pytest.raises(PeerError, match="not below its prime"):
        round_.add_update("c000", spoilt)
    fresh = cast.server.round(1)
    for name in cast.names:
        round_.add_update(name, sent[name])
        fresh.add_update(name, altered(sent[name], Update, round=1))
    assert decode(round_.claim(), Claim, "test").total == decode(fresh.claim(), Claim, "test").total


def test_the_server_refuses_by_name() -> None:
    cast = Cast.make(4).set_up()
    sent = updates(cast)
    round_ = cast.server.round(0)
    round_.add_update("c000", sent["c000"])
    top = agreed.pack_residues(np.full((1, 3, 8192), 2**50 - 1, np.uint64))
    for name, message, reason in (
        ("c000", sent["c000"], "c000 sent its update twice or too late"),
        ("c001", altered(sent["c001"], Update, round=1), "c001 sent a message of round 1 in round 0"),
        ("c001", altered(sent["c001"], Update, second=b""), "c001 sent a vector of another length"),
        ("c001", altered(sent["c001"], Update, second=sent["c001"]), "c001 sent a vector of another length"),
        ("c001", altered(sent["c001"], Update, second=top), "c001 sent a residue that is not below its prime"),
        ("c001", b"", "c001 sent bytes that are no Update"),
    ):
        with pytest.raises(PeerError, match=reason):
            round_.add_update(name, message)
    for name in cast.names[1:]:
        round_.add_update(name, sent[name])
    claim = round_.claim()
    coins = {name: cast.clients[name].coin(claim) for name in cast.names}
    for name, message, reason in (
        ("c000", coins["c001"], "c000 sent a message of another client"),
        ("c000", altered(coins["c000"], Coin, claim=bytes(32)), "c000 sent a coin for another claim"),
    ):
        with pytest.raises(PeerError, match=reason):
            round_.add_coin(name, message)
    for name in cast.names:
        round_.add_coin(name, coins[name])
    projection = cast.clients["c000"].project(round_.challenge())
    with pytest.raises(PeerError, match="c000 sent a projection for another challenge"):
        round_.add_projection("c000", altered(projection, Projection, challenge=bytes(32)))
    round_.add_projection("c000", projection)
    with pytest.raises(PeerError, match="c000 sent a message twice"):
        round_.add_projection("c000", projection)


# Hostile bytes

_cast = Cast.make(3).set_up()
_evidence = _cast.evidence()
_messages = {
    "contribute": _cast.sent["commitments"],
    "accept": _cast.sent["contributions"],
    "coin": _cast.round.claim(),
    "project": _cast.round.challenge(),
    "open": _evidence,
}


@settings(max_examples=60, deadline=None)
@given(step=st.sampled_from(sorted(_messages)), data=st.data())
def test_changed_bytes_are_refused_or_change_nothing(step: str, data: st.DataObject) -> None:
    message = bytearray(_messages[step])
    kind = data.draw(st.sampled_from(["flip", "cut", "append", "other"]))
    if kind == "flip":
        message[data.draw(st.integers(0, len(message) - 1))] ^= data.draw(st.integers(1, 255))
    elif kind == "cut":
        del message[data.draw(st.integers(0, len(message) - 1)) :]
    elif kind == "append":
        message += data.draw(st.binary(min_size=1, max_size=9))
    else:
        message = bytearray(data.draw(st.binary(max_size=40)))
    with pytest.raises(FusionError):
        getattr(_cast.clients["c000"], step)(bytes(message))


@settings(max_examples=60, deadline=None)
@given(data=st.binary(max_size=60), step=st.sampled_from(["update", "coin", "projection", "part"]))
def test_any_bytes_are_refused_by_the_server(data: bytes, step: str) -> None:
    with pytest.raises(PeerError, match="c000 sent"):
        getattr(_cast.round, f"add_{step}")("c000", data)
