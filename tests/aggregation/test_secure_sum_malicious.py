"""A server, or a client, that deviates: each thing it may try is refused by an error that names it."""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given, settings
from hypothesis import strategies as st

from fusion.aggregation.masked import Client, Round, Rounds, Server, agreed
from fusion.aggregation.masked.client import ANSWERED, MASKED
from fusion.aggregation.masked.messages import (
    Answer,
    Closing,
    Inbox,
    Keys,
    Masked,
    Roster,
    Shares,
    Survivors,
    decode,
    encode,
)
from fusion.crypto.sharing import combine
from fusion.errors import FusionError, InputError, PeerError

from .sum_parties import Cast

EVERY = (Keys, Roster, Shares, Inbox, Masked, Survivors, Answer, Closing)


def altered(data: bytes, kind: type, **fields: Any) -> bytes:
    return encode(msgspec.structs.replace(decode(data, kind, "test"), **fields))


def forget(client: Client) -> None:
    """A colluder answers as often as it likes."""
    client._rounds = Rounds()
    client._rounds.claim(client._run, 0, MASKED)


# Which list of survivors a client answers for


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"included": (0, 1, 2, 3, 4), "dropped": (4,)}, "lists c004 both as included and as dropped"),
        ({"included": (0, 1, 2), "dropped": (3, 4)}, "3 survivors; the threshold is 4"),
        ({"included": (1, 2, 3, 4), "dropped": (0,)}, "lists this client as dropped"),
        ({"included": (0, 1, 2, 3), "dropped": ()}, "not of the clients of this run"),
        ({"included": (0, 1, 2, 3, 4, 5), "dropped": ()}, "not of the clients of this run"),
        ({"included": (0, 1, 1, 2, 3), "dropped": (4,)}, "out of order or names a client twice"),
        ({"included": (1, 0, 2, 3), "dropped": (4,)}, "out of order or names a client twice"),
        ({"round": 7}, "round 7 has no keys"),
        ({"run": bytes(32)}, "another run"),
    ],
)
def test_a_list_of_survivors_that_is_refused(fields: dict, message: str) -> None:
    cast = Cast.make(5).set_up().mask()
    client = cast.clients["c000"]
    with pytest.raises(PeerError, match=message):
        client.answer(altered(cast.survivors, Survivors, **fields))
    client.answer(cast.survivors)  # nothing was used up by what was refused


def test_a_client_is_in_no_sum_without_its_vector() -> None:
    """A server lists as included whom it never heard in this round."""
    cast = Cast.make(5, rounds=2).set_up().mask(missing=["c004"])
    everybody = altered(cast.survivors, Survivors, included=(0, 1, 2, 3, 4), dropped=())
    with pytest.raises(PeerError, match="lists this client in round 0, where it has sent no vector"):
        cast.clients["c004"].answer(everybody)
    with pytest.raises(PeerError, match="lists this client in round 1, where it has sent no vector"):
        cast.clients["c000"].answer(altered(everybody, Survivors, round=1))


def test_a_second_unmasking_of_a_round() -> None:
    cast = Cast.make(5, rounds=2).set_up().mask()
    client = cast.clients["c000"]
    client.answer(cast.survivors)
    for survivors in (cast.survivors, altered(cast.survivors, Survivors, included=(0, 1, 2, 3), dropped=(4,))):
        with pytest.raises(PeerError, match="second unmasking of round 0"):
            client.answer(survivors)
    with pytest.raises(PeerError, match="round 0 comes a second time"):
        client.mask(0, cast.values["c000"])
    client.mask(1, cast.values["c000"])


def test_a_second_unmasking_after_a_restart(tmp_path) -> None:
    """The state is as old as it may be, and the process is another one: the file remembers."""
    cast = Cast.make(5, memory=tmp_path).set_up()
    old = cast.clients["c000"].state()
    cast.mask()
    cast.clients["c000"].answer(cast.survivors)
    again = Client.restore(old, cast.pins, cast.keys["c000"].sign, Rounds(tmp_path / "c000"))
    with pytest.raises(PeerError, match="second unmasking of round 0"):
        again.answer(altered(cast.survivors, Survivors, included=(0, 1, 2, 3), dropped=(4,)))
    with pytest.raises(PeerError, match="round 0 comes a second time"):
        again.mask(0, cast.values["c000"] + 1)


def test_a_second_roster_or_inbox_after_a_restart(tmp_path) -> None:
    cast = Cast.make(5, memory=tmp_path)
    client = cast.clients["c000"]
    old = client.state()
    seen: list[bytes] = []
    cast.set_up(change=lambda name, message: (seen.append(message) if name == "c000" else None) or message)
    roster, inbox = seen
    for state in (old, client.state()):
        again = Client.restore(state, cast.pins, cast.keys["c000"].sign, Rounds(tmp_path / "c000"))
        fewer = altered(roster, Roster, keys=decode(roster, Roster, "").keys[:4])
        for message in (roster, fewer):
            with pytest.raises(PeerError, match="another roster"):
                again.shares(message)
    with pytest.raises(PeerError, match="another inbox"):
        client.accept(inbox)
    cast.mask().answer()  # what was refused has changed nothing
    np.testing.assert_array_equal(cast.round.total(), cast.sum(cast.names))


@pytest.mark.parametrize(
    ("when", "how"),
    [
        *itertools.product(["at first", "dealt", "accepted"], ["deleted", "emptied", "of another client", "in memory"]),
        *itertools.product(["dealt", "accepted"], ["as it began"]),
    ],
)
def test_a_state_without_the_file_that_went_with_it(tmp_path, when: str, how: str) -> None:
    """Without what it has done, a client could deal, mask and answer a second time: it begins a new run instead."""
    cast = Cast.make(5, memory=tmp_path)
    client, file = cast.clients["c000"], tmp_path / "c000"
    states = {"at first": client.state()}
    began = file.read_bytes()

    def keep(name: str, message: bytes) -> bytes:
        if name == "c001":  # the next after c000 to be served, at either step
            states["accepted" if "dealt" in states else "dealt"] = client.state()
        return message

    cast.set_up(change=keep).mask()
    client.answer(cast.survivors)

    def restore(rounds: Rounds) -> Client:
        return Client.restore(states[when], cast.pins, cast.keys["c000"].sign, rounds)

    restore(Rounds(file))
    if how == "deleted":
        file.unlink()
    elif how == "emptied":
        file.write_bytes(b"")
    elif how == "of another client":
        cast.clients["c001"].state()
        file.write_bytes((tmp_path / "c001").read_bytes())
    elif how == "as it began":
        file.write_bytes(began)
    with pytest.raises(InputError, match=r"file of rounds is lost.*begin a new run"):
        restore(Rounds() if how == "in memory" else Rounds(file))


def test_a_state_is_kept_beside_a_file_only() -> None:
    with pytest.raises(InputError, match="needs Rounds with a file"):
        Cast.make(3).clients["c000"].state()


def test_the_memory_of_rounds_on_disk(tmp_path, monkeypatch) -> None:
    file = tmp_path / "rounds"
    Rounds(file).claim(bytes(32), 3, ANSWERED)
    assert file.stat().st_mode & 0o777 == 0o600
    whole = file.read_bytes()
    for torn in range(len(whole)):
        file.write_bytes(whole + whole[:torn])  # as a crash in the middle of a write would leave it
        memory = Rounds(file)
        memory.claim(bytes(32), 4, ANSWERED)
        for number in (3, 4):
            with pytest.raises(PeerError, match=f"second unmasking of round {number}"):
                memory.claim(bytes(32), number, ANSWERED)
        file.write_bytes(whole)
    synced = []
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: synced.append(Path(f"/proc/self/fd/{descriptor}").readlink()))
        Rounds(file).claim(bytes(32), 5, ANSWERED)
    assert synced == [file, tmp_path]
    with pytest.raises(FusionError, match="cannot remember this round"):
        Rounds(tmp_path / "no folder" / "rounds").claim(bytes(32), 0, ANSWERED)


def test_another_rounds_number_opens_nothing() -> None:
    """Vectors of round 0, a list that says round 1: those answers do not unmask them."""
    cast = Cast.make(5, rounds=2).set_up().mask()
    first, survivors = cast.round, cast.survivors
    for name in cast.names:
        cast.clients[name].mask(1, cast.values[name])
        answer = cast.clients[name].answer(altered(survivors, Survivors, round=1))
        with pytest.raises(PeerError, match="message of round 1 in round 0"):
            first.add_answer(name, answer)
        with pytest.raises(PeerError, match="another list"):
            first.add_answer(name, altered(answer, Answer, round=0))


# What a server that lies can put together


def test_clients_that_were_shown_different_lists_open_none() -> None:
    """A server gives two lists and holds answers to both: neither has the threshold, and nothing opens."""
    cast = Cast.make(7, colluding=1, threshold=5).set_up().mask()
    other = altered(cast.survivors, Survivors, included=(0, 1, 2, 3, 4, 5), dropped=(6,))
    for name in cast.names[:4]:
        cast.round.add_answer(name, cast.clients[name].answer(cast.survivors))
    strays = {name: cast.clients[name].answer(other) for name in cast.names[4:6]}
    digest = agreed.survivors_digest(decode(cast.survivors, Survivors, ""))
    for name, answer in strays.items():
        with pytest.raises(PeerError, match="answered for another list"):
            cast.round.add_answer(name, answer)
        # passed off as an answer to the first list, it does not open with the others' pads
        cast.round.add_answer(name, altered(answer, Answer, survivors=digest, locks=bytes(7 * 33), pads=bytes(7 * 33)))
    with pytest.raises(PeerError, match=r"does not open|below the prime|do not belong"):
        cast.round.total()


def test_no_two_lists_ever_reach_the_threshold() -> None:
    """For every allowed n, c and t: however a server splits the honest clients, with c that answer both."""
    for n, c, t in itertools.product(range(3, 12), range(5), range(3, 12)):
        if not (2 * t > n + c and c + 2 <= t <= n):
            continue
        for first in range(n - c + 1):
            second = n - c - first
            assert not (first + c >= t and second + c >= t)


@pytest.mark.parametrize("told_first", range(7))
def test_a_client_listed_alive_here_and_dropped_there_keeps_its_value(told_first: int) -> None:
    """So many of six are told that c006 is in, the others that it is out, and c000 answers both ways.

    The server opens all that its answers allow: one list at most.
    """
    cast = Cast.make(7, colluding=1, threshold=5).set_up().mask()
    lists = [cast.survivors, altered(cast.survivors, Survivors, included=(0, 1, 2, 3, 4, 5), dropped=(6,))]
    told = [cast.names[:1] + cast.names[1:7][:told_first], cast.names[:1] + cast.names[1:7][told_first:]]
    opened, reached = [], []
    for survivors, names in zip(lists, told, strict=True):
        forget(cast.clients["c000"])
        cast.round._list = decode(survivors, Survivors, "")
        cast.round._digest = agreed.survivors_digest(cast.round._list)
        cast.round._answers.clear()
        for name in names:
            if cast.names.index(name) in cast.round._list.included:
                cast.round.add_answer(name, cast.clients[name].answer(survivors))
        try:
            cast.round._open(sorted(cast.round._answers))
            opened.append(True)
        except PeerError:
            opened.append(False)
        reached.append(len(cast.round._answers) >= cast.parameters.threshold)
    assert opened == reached
    assert sum(opened) <= 1


def test_fewer_pads_than_the_threshold_open_nothing() -> None:
    """The lock of an answer, taken apart: with one pad too few its key is any key."""
    cast = Cast.make(5).set_up().mask().answer()
    answers = {name: decode(answer, Answer, "") for name, answer in cast.answers.items()}
    forged = dict(cast.answers)
    for name in cast.names[3:]:  # two of five kept their pads to themselves; the threshold is four
        forged[name] = encode(msgspec.structs.replace(answers[name], pads=bytes(len(answers[name].pads))))
    cast.round._answers.clear()
    for name, answer in forged.items():
        cast.round.add_answer(name, answer)
    with pytest.raises(PeerError, match=r"does not open|below the prime|do not belong"):
        cast.round.total()


def opens(cast: Cast, dealer: str, pads: dict[str, bytes]) -> bool:
    """Whether a dealer's answer opens with these pads, each by its holder, beside the dealer's own share."""
    survivors = decode(cast.survivors, Survivors, "")
    answer = decode(cast.answers[dealer], Answer, "")
    locks = agreed.cut(answer.locks, 33)
    mine = cast.names.index(dealer)
    shares = {mine + 1: locks[survivors.included.index(mine)]}
    for name, pad in pads.items():
        holder = cast.names.index(name)
        shares[holder + 1] = agreed.xor(locks[survivors.included.index(holder)], pad)
    try:
        (key,) = combine(list(shares), [list(shares.values())])
        AESGCM(key).decrypt(bytes(12), answer.locked, agreed.survivors_digest(survivors))
    except (PeerError, InvalidTag):
        return False
    return True


def pad_of(cast: Cast, answer: bytes, dealer: str) -> bytes:
    """The pad that an answer gives for a dealer, by its place in the list of the cast."""
    included = decode(cast.survivors, Survivors, "").included
    return agreed.cut(decode(answer, Answer, "").pads, 33)[included.index(cast.names.index(dealer))]


def test_pads_for_another_list_do_not_open_an_answer() -> None:
    cast = Cast.make(7, colluding=1, threshold=5).set_up()
    cast.mask(missing=["c006"])
    other = altered(cast.survivors, Survivors, included=(0, 1, 2, 3, 4, 6), dropped=(5,))
    cast.answer(cast.names[:4])
    pads = {name: pad_of(cast, cast.answers[name], "c000") for name in cast.names[1:4]}
    assert not opens(cast, "c000", pads)  # four of five
    stray = cast.clients["c004"].answer(other)
    assert not opens(cast, "c000", pads | {"c004": pad_of(cast, stray, "c000")})
    forget(cast.clients["c004"])
    for_it = cast.clients["c004"].answer(cast.survivors)
    assert opens(cast, "c000", pads | {"c004": pad_of(cast, for_it, "c000")})


def test_an_answer_does_not_open_with_its_own_pads() -> None:
    cast = Cast.make(5).set_up().mask().answer()
    for dealer in cast.names:
        others = [name for name in cast.names if name != dealer][:3]
        assert opens(cast, dealer, {name: pad_of(cast, cast.answers[name], dealer) for name in others})
        assert not opens(cast, dealer, {name: pad_of(cast, cast.answers[dealer], name) for name in others})


def test_fewer_shares_than_the_threshold_are_no_secret() -> None:
    cast = Cast.make(5).set_up()
    victim = cast.clients["c004"]
    for place, secret in enumerate((victim._mask_key(0), victim._own_seed(0))):
        shares = [agreed.cut(cast.clients[name]._state.shares[4], 33)[place] for name in cast.names[:4]]
        assert combine([1, 2, 3, 4], [shares]) == [secret]
        with contextlib.suppress(PeerError):
            assert combine([1, 2, 3], [shares[:3]]) != [secret]


# Keys


def roster_with(change: Callable[[list[bytes], Cast], list[bytes]], n: int = 5, **options: Any) -> None:
    """Show client c000 a roster that a server has changed."""
    cast = Cast.make(n, **options)
    entries = [client.keys() for client in cast.clients.values()]
    cast.clients["c000"].shares(encode(Roster(tuple(change(list(entries), cast)))))


def resigned(data: bytes, cast: Cast, signer: str, **fields: Any) -> bytes:
    keys = msgspec.structs.replace(decode(data, Keys, ""), **fields)
    return encode(msgspec.structs.replace(keys, signature=cast.keys[signer].sign(agreed.keys_to_sign(keys))))


def put(entries: list[bytes], place: int, entry: bytes) -> list[bytes]:
    return [*entries[:place], entry, *entries[place + 1 :]]


def top_bit(key: bytes) -> bytes:
    return key[:31] + bytes([key[31] | 128])


@pytest.mark.parametrize("field", ["box", "masks"])
def test_one_clients_bad_key_is_no_trouble_of_the_others(field: str) -> None:
    """The server leaves out whoever sends a key that nobody can use, so that the run of the others is not used up."""
    cast = Cast.make(5)
    bad = resigned(cast.clients["c004"].keys(), cast, "c004", **{field: bytes(32)})
    with pytest.raises(PeerError, match="keys of c004 hold one that X25519 cannot use"):
        cast.server.add_keys("c004", bad)
    cast.set_up(no_keys=["c004"]).mask(missing=["c004"]).answer()
    np.testing.assert_array_equal(cast.round.total(), cast.sum(cast.names[:4]))


def test_a_pin_that_anybody_can_sign_for() -> None:
    cast = Cast.make(3)
    for pin, message in (("ed25519:" + bytes(32).hex(), "anybody can sign"), ("c001", "lower-case hex digits")):
        with pytest.raises(InputError, match=message):
            Client("c000", cast.parameters, cast.pins | {"c001": pin}, cast.keys["c000"].sign, Rounds())


def test_a_roster_as_it_should_be() -> None:
    roster_with(lambda entries, _: entries)
    roster_with(lambda entries, _: entries[:4])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda e, c: e[:3], "roster has 3 clients; the threshold is 4"),
        (lambda e, c: e[1:], "does not hold this client's own keys"),
        (lambda e, c: put(e, 1, altered(e[1], Keys, box=b"b" * 32)), "keys of c001 are not signed"),
        (lambda e, c: put(e, 1, altered(e[1], Keys, masks=b"m" * 32)), "keys of c001 are not signed"),
        (lambda e, c: put(e, 1, altered(e[1], Keys, commitments=b"c" * 32)), "keys of c001 are not signed"),
        (lambda e, c: put(e, 1, altered(e[1], Keys, signature=bytes(64))), "keys of c001 are not signed"),
        # the keys of two clients swapped
        (lambda e, c: [e[0], altered(e[2], Keys, client=1), altered(e[1], Keys, client=2), *e[3:]], "c001 are not sig"),
        (lambda e, c: put(e, 1, resigned(e[1], c, "c002")), "keys of c001 are not signed"),
        (lambda e, c: [e[0], e[2], e[1], *e[3:]], "out of order"),
        (lambda e, c: [e[0], e[1], e[1], *e[2:]], "out of order or names a client twice"),
        (lambda e, c: put(e, 1, resigned(e[1], c, "c001", box=decode(e[2], Keys, "").box)), "repeat a key"),
        (lambda e, c: put(e, 1, resigned(e[1], c, "c001", masks=decode(e[1], Keys, "").box)), "repeat a key"),
        (lambda e, c: put(e, 1, resigned(e[1], c, "c001", box=bytes(32))), "X25519 cannot use"),
        # the same key again: curve25519 takes no notice of the top bit
        (
            lambda e, c: put(e, 1, resigned(e[1], c, "c001", box=top_bit(decode(e[2], Keys, "").box))),
            "X25519 cannot use",
        ),
        (lambda e, c: put(e, 1, resigned(e[1], c, "c001", masks=bytes(64))), "another number of rounds"),
        (lambda e, c: put(e, 1, resigned(e[1], c, "c001", parameters=bytes(32))), "other parameters"),
        (lambda e, c: put(e, 1, resigned(e[1], c, "c001", client=5)), "not in this sum"),
        # keys for something else
        (lambda e, c: put(e, 1, Cast.make(5, about=b"else").clients["c001"].keys()), "other parameters"),
        # keys of an earlier run with another threshold
        (lambda e, c: put(e, 1, Cast.make(5, threshold=5).clients["c001"].keys()), "other parameters"),
        (lambda e, c: put(e, 1, b"\x93"), "no Keys"),
    ],
)
def test_a_roster_that_is_refused(change: Callable, message: str) -> None:
    with pytest.raises(PeerError, match=message):
        roster_with(change)


def test_somebody_who_is_not_pinned() -> None:
    cast = Cast.make(5)
    pins = {name: pin for name, pin in cast.pins.items() if name != "c003"}
    client = Client("c000", cast.parameters, pins, cast.keys["c000"].sign, Rounds())
    entries = [client.keys(), *(cast.clients[name].keys() for name in cast.names[1:])]
    with pytest.raises(PeerError, match="keys of c003, for whom no fingerprint is pinned"):
        client.shares(encode(Roster(tuple(entries))))
    with pytest.raises(FusionError, match="same fingerprint"):
        Client("c000", cast.parameters, dict.fromkeys(cast.names, pins["c000"]), cast.keys["c000"].sign, Rounds())
    with pytest.raises(FusionError, match="this one included"):
        Client("c003", cast.parameters, pins, cast.keys["c003"].sign, Rounds())


# Shares


def inbox_with(change: Callable[[Inbox, Cast], dict]) -> None:
    cast = Cast.make(5)

    def bend(name: str, message: bytes) -> bytes:
        with contextlib.suppress(PeerError):
            return altered(message, Inbox, **change(decode(message, Inbox, ""), cast)) if name == "c000" else message
        return message

    cast.set_up(change=bend)


def earlier_box(_: Inbox, cast: Cast) -> dict:
    """The boxes that the same people exchanged in an earlier run."""
    seen: list[bytes] = []
    Cast.make(5, draw="earlier").set_up(change=lambda name, m: (seen.append(m) if name == "c000" else None) or m)
    return {"boxes": decode(seen[1], Inbox, "").boxes}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda i, c: {"boxes": (i.boxes[1], i.boxes[0], *i.boxes[2:])}, "shares of c001 are not what c001 encrypted"),
        (lambda i, c: {"boxes": (i.boxes[0], i.boxes[0], *i.boxes[2:])}, "shares of c002 are not what c002 encrypted"),
        (lambda i, c: {"boxes": (bytes(82), *i.boxes[1:])}, "shares of c001 are not"),
        (lambda i, c: {"boxes": (b"", *i.boxes[1:])}, "shares of c001 are not"),
        (earlier_box, "shares of c001 are not"),
        (lambda i, c: {"boxes": i.boxes[1:]}, "dealers and boxes do not fit"),
        (lambda i, c: {"dealers": i.dealers[::-1]}, "dealers and boxes do not fit"),
        (lambda i, c: {"dealers": (0, *i.dealers[1:])}, "not in the roster"),
        (lambda i, c: {"dealers": (*i.dealers[:3], 5)}, "not in the roster"),
        (lambda i, c: {"dealers": i.dealers[:2], "boxes": i.boxes[:2]}, "2 clients, with this one below the threshold"),
        (lambda i, c: {"run": bytes(32)}, "another run"),
    ],
)
def test_an_inbox_that_is_refused(change: Callable, message: str) -> None:
    with pytest.raises(PeerError, match=message):
        inbox_with(change)


def test_shares_for_another_number_of_rounds() -> None:
    cast = Cast.make(5)

    def bend(name: str, message: bytes) -> bytes:
        if name != "c000" or b"Inbox" not in message[:8]:
            return message
        dealer = cast.clients["c001"]
        key = dealer._pair_key(0, b"box", agreed.number_bytes(1, 0))
        box = AESGCM(key).encrypt(bytes(12), bytes(2 * 33 - 1), dealer._run)
        return altered(message, Inbox, boxes=(box, *decode(message, Inbox, "").boxes[1:]))

    with pytest.raises(PeerError, match="c001 sent shares for another number of rounds"):
        cast.set_up(change=bend)


# The record at the end


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: {"signatures": (bytes(64), bytes(64), *c.signatures[2:])}, "signature of c000 .* is forged"),
        (
            lambda c: {"signatures": (c.signatures[1], c.signatures[0], *c.signatures[2:])},
            "signature of c000 .* forged",
        ),
        (lambda c: {"signers": c.signers[:3], "signatures": c.signatures[:3]}, "3 clients signed .* threshold is 4"),
        (lambda c: {"signers": (0, 0, *c.signers[2:])}, "do not fit their signers"),
        (lambda c: {"signers": c.signers[:4]}, "do not fit their signers"),
        (lambda c: {"signers": (*c.signers[:4], 9)}, "not in the sum"),
        (lambda c: {"round": 1}, "closed round 1 where round 0"),
        (lambda c: {"run": bytes(32)}, "another run"),
        (lambda c: {"words": bytes(19)}, "another length than 5"),
    ],
)
def test_a_closing_that_is_refused(change: Callable, message: str) -> None:
    cast = Cast.make(5).set_up().mask().answer()
    closing = cast.round.closing(cast.round.total())
    with pytest.raises(PeerError, match=message):
        cast.clients["c000"].confirm(cast.survivors, altered(closing, Closing, **change(decode(closing, Closing, ""))))


def test_one_bad_signature_does_not_keep_the_sum_from_the_others() -> None:
    """The server passes signatures on unseen; as many as the threshold must hold."""
    cast = Cast.make(5).set_up().mask().answer(["c001", "c002", "c003", "c004"])
    cast.round.add_answer("c000", altered(cast.clients["c000"].answer(cast.survivors), Answer, signature=bytes(64)))
    total = cast.round.total()
    names, told = cast.clients["c001"].confirm(cast.survivors, cast.round.closing(total))
    assert list(names) == cast.names
    np.testing.assert_array_equal(told, total)


def test_signatures_under_another_list() -> None:
    cast = Cast.make(5).set_up().mask().answer()
    other = altered(cast.survivors, Survivors, included=(0, 1, 2, 3), dropped=(4,))
    closing = altered(cast.round.closing(), Closing, signers=(0, 1, 2, 3), signatures=(bytes(64),) * 4)
    with pytest.raises(PeerError, match="signature of c000 under the list of survivors is forged or for another list"):
        cast.clients["c000"].confirm(other, closing)


# Clients that deviate


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"locked": bytes(7)}, "answer of c000 does not open"),
        ({"locks": bytes(33 * 5)}, r"answer of c000 does not open|do not belong|below the prime"),
        ({"locks": bytes(33 * 4)}, "locks of another number"),
        ({"pads": b""}, "locks of another number"),
        ({"survivors": bytes(32)}, "another list"),
        ({"round": 1}, "message of round 1"),
        ({"run": bytes(32)}, "another run"),
    ],
)
def test_an_answer_that_is_refused(fields: dict, message: str) -> None:
    cast = Cast.make(5).set_up().mask()
    bent = altered(cast.clients["c000"].answer(cast.survivors), Answer, **fields)
    cast.answer(cast.names[1:4])  # with a fifth it would not be needed

    def take() -> None:
        cast.round.add_answer("c000", bent)
        cast.round.total()

    with pytest.raises(PeerError, match=message):
        take()


@pytest.mark.parametrize(
    ("missing", "message"),
    [([], "shares of the mask of c004 do not fit what it committed to"), (["c004"], "c004 do not fit its public key")],
)
def test_shares_of_something_else_are_found_out(missing: list[str], message: str) -> None:
    """One client gives shares of c004 that it was never dealt: the sum fails, and is never merely wrong."""
    cast = Cast.make(5).set_up().mask(missing=missing)
    cast.clients["c001"]._state.shares[4] = bytes(32) + b"\1" + bytes(32) + b"\1"
    cast.answer(cast.names[:4])
    with pytest.raises(PeerError, match=message):
        cast.round.total()


def bend(answer: bytes, fields: Collection[str]) -> bytes:
    """An answer of the right form whose fields hold something else: valid shares, and a text that nothing opens."""
    found = decode(answer, Answer, "test")
    return altered(answer, Answer, **{field: bytes(len(getattr(found, field))) for field in fields})


@pytest.mark.parametrize("fields", [["locked"], ["locks"], ["pads"], ["locked", "locks", "pads"]], ids="+".join)
@pytest.mark.parametrize("missing", [[], ["c003"]], ids=["all", "one left"])
@pytest.mark.parametrize("liar", ["c000", "c002", "c006"])
def test_a_wrong_answer_is_named_and_the_others_are_enough(liar: str, missing: list[str], fields: list[str]) -> None:
    """Nobody is asked again: of the answers for the one list, those are put together that fit."""
    cast = Cast.make(7).set_up().mask(missing=missing)
    included = cast.round.included
    cast.answer([name for name in included if name != liar])
    cast.round.add_answer(liar, bend(cast.clients[liar].answer(cast.survivors), fields))
    np.testing.assert_array_equal(cast.round.total(), cast.sum(included))
    # five are enough, and come before c006
    assert cast.round.wrong == (() if liar == "c006" else (liar,))
    cast.clients["c001"].confirm(cast.survivors, cast.round.closing())


def test_wrong_shares_of_another_client_are_left_out() -> None:
    cast = Cast.make(7).set_up().mask(missing=["c005"])
    cast.clients["c001"]._state.shares[5] = bytes(32) + b"\1" + bytes(32) + b"\1"
    cast.answer()
    np.testing.assert_array_equal(cast.round.total(), cast.sum(cast.round.included))
    assert cast.round.wrong == ("c001",)


def test_a_bad_lock_between_two_clients_is_not_laid_on_a_third() -> None:
    cast = Cast.make(7).set_up().mask().answer(["c001", "c002", "c003", "c004", "c005", "c006"])
    answer = cast.clients["c000"].answer(cast.survivors)
    locks = decode(answer, Answer, "test").locks
    cast.round.add_answer("c000", altered(answer, Answer, locks=locks[: 33 * 2] + bytes(33) + locks[33 * 3 :]))
    np.testing.assert_array_equal(cast.round.total(), cast.sum(cast.names))
    assert cast.round.wrong in (("c000",), ("c002",))


def test_one_client_with_bad_locks_for_many_does_not_keep_the_server_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of the four who come before c004 is a misfit beside it: all are sought, and after four tries no more."""
    monkeypatch.setattr("fusion.aggregation.masked.server._TRIES", 4)
    checked, checks = Round._checked, []
    monkeypatch.setattr(Round, "_checked", lambda self, holders: checks.append(holders) or checked(self, holders))
    cast = Cast.make(12).set_up().mask().answer([f"c{index:03d}" for index in range(12) if index != 4])
    answer = cast.clients["c004"].answer(cast.survivors)
    locks = decode(answer, Answer, "test").locks
    cast.round.add_answer("c004", altered(answer, Answer, locks=bytes(33 * 4) + locks[33 * 4 :]))
    np.testing.assert_array_equal(cast.round.total(), cast.sum(cast.names))
    assert set(cast.round.wrong) < set(cast.names[:4])
    assert len(checks) <= 1 + 4 + 2 * 4


def test_more_wrong_answers_than_others_make_up_for() -> None:
    cast = Cast.make(7).set_up().mask()
    cast.answer(cast.names[3:])
    for name in cast.names[:3]:
        cast.round.add_answer(name, bend(cast.clients[name].answer(cast.survivors), ["pads"]))
    with pytest.raises(PeerError, match=r"does not open|below the prime|do not belong"):
        cast.round.total()
    assert cast.round.wrong == ()


def test_several_wrong_answers_that_others_make_up_for() -> None:
    cast = Cast.make(10).set_up().mask()
    cast.answer([name for name in cast.names if name not in ("c003", "c005")])
    for name, fields in {"c003": ["locked"], "c005": ["pads"]}.items():
        cast.round.add_answer(name, bend(cast.clients[name].answer(cast.survivors), fields))
    np.testing.assert_array_equal(cast.round.total(), cast.sum(cast.names))
    assert cast.round.wrong == ("c003", "c005")


def test_messages_twice_too_late_or_from_another_client() -> None:
    cast = Cast.make(5)
    one, other = (cast.clients[name] for name in cast.names[:2])
    with pytest.raises(PeerError, match="c000 sent the keys of another client"):
        cast.server.add_keys("c000", other.keys())
    cast.server.add_keys("c000", one.keys())
    with pytest.raises(PeerError, match="c000 sent its keys twice"):
        cast.server.add_keys("c000", one.keys())
    with pytest.raises(PeerError, match="c000 sent a message of another run"):
        cast.server.add_shares("c000", encode(Shares(bytes(32), ())))

    cast = Cast.make(5).set_up().mask(missing=["c004"])
    vector = cast.clients["c004"].mask(0, cast.values["c004"])
    with pytest.raises(PeerError, match="c004 sent its vector twice or too late"):
        cast.round.add_masked("c004", vector)
    cast.answer()
    for name in ("c000", "c004"):
        with pytest.raises(PeerError, match=f"{name} answered twice, or is not in the sum"):
            cast.round.add_answer(name, cast.answers["c000"])
    with pytest.raises(FusionError, match="stranger is no client"):
        cast.round.add_answer("stranger", b"")
    np.testing.assert_array_equal(cast.round.total(), cast.sum(cast.names[:4]))


@pytest.mark.parametrize("length", [0, 4, 16, 24])
def test_vectors_of_another_length(length: int) -> None:
    cast = Cast.make(3).set_up()
    current = cast.server.round(0)
    with pytest.raises(PeerError, match="c000 sent a vector of another length than 5"):
        current.add_masked(
            "c000", altered(cast.clients["c000"].mask(0, cast.values["c000"]), Masked, words=bytes(length))
        )


# Any bytes at all


def messages() -> dict[type, bytes]:
    cast = Cast.make(3)
    seen: list[bytes] = []
    keys = cast.clients["c000"].keys()
    cast.set_up(change=lambda name, m: seen.append(m) or m)
    shares = next(iter(Cast.make(3).clients.values()))
    entries = [client.keys() for client in Cast.make(3).clients.values()]
    cast.mask().answer()
    return {
        Keys: keys,
        Roster: seen[0],
        Shares: shares.shares(encode(Roster(tuple(entries)))),
        Inbox: seen[-1],
        Masked: encode(Masked(bytes(32), 0, b"words")),
        Survivors: cast.survivors,
        Answer: cast.answers["c000"],
        Closing: cast.round.closing(),
    }


@pytest.mark.parametrize("kind", EVERY)
def test_every_message_has_one_encoding(kind: type) -> None:
    data = messages()[kind]
    assert encode(decode(data, kind, "x")) == data
    for end in range(len(data)):
        with pytest.raises(PeerError, match=f"x sent bytes that are no {kind.__name__}"):
            decode(data[:end], kind, "x")
    # the same message with a longer head of its list, and of its name; both are what any parser takes
    longer = b"\xdc\0" + bytes([data[0] & 15]) + data[1:]
    renamed = data[:1] + b"\xd9" + bytes([data[1] & 31]) + data[2:]
    for more in (data + b"\x00", longer, renamed):
        assert more == data + b"\x00" or msgspec.msgpack.decode(more, type=kind) == decode(data, kind, "x")
        with pytest.raises(PeerError, match="x sent bytes that are no"):
            decode(more, kind, "x")
    for other in EVERY:
        if other is not kind:
            with pytest.raises(PeerError):
                decode(data, other, "x")


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_flipped_bytes_give_the_sum_or_a_typed_error(data: st.DataObject) -> None:
    """One byte of one message is changed: whoever is hurt says so, and no wrong sum comes out.

    A masked vector is the exception, as it is for anybody who sends other values than it has.
    """
    cast = Cast.make(4, seed=1)
    flip = data.draw(st.integers(1, 255))
    spot = data.draw(st.integers(0, 10_000))
    when = data.draw(st.integers(0, 5))

    def bend(step: int, message: bytes) -> bytes:
        if step != when:
            return message
        place = spot % len(message)
        return message[:place] + bytes([message[place] ^ flip]) + message[place + 1 :]

    def run() -> np.ndarray:
        server, victim = cast.server, cast.names[1]
        for name, client in cast.clients.items():
            server.add_keys(name, bend(0, client.keys()) if name == victim else client.keys())
        roster = server.roster()
        for name, client in cast.clients.items():
            shares = client.shares(bend(1, roster) if name == victim else roster)
            server.add_shares(name, bend(2, shares) if name == victim else shares)
        for name, inbox in server.inboxes().items():
            cast.clients[name].accept(bend(3, inbox) if name == victim else inbox)
        cast.mask()
        for name, client in cast.clients.items():
            answer = client.answer(bend(4, cast.survivors) if name == victim else cast.survivors)
            cast.round.add_answer(name, bend(5, answer) if name == victim else answer)
        return cast.round.total()

    with contextlib.suppress(FusionError):
        np.testing.assert_array_equal(run(), cast.sum(cast.names))


@settings(max_examples=200, deadline=None)
@given(data=st.binary(max_size=300))
def test_any_bytes_are_a_message_or_a_typed_error(data: bytes) -> None:
    cast = Cast.make(3)
    for act in (
        lambda: cast.server.add_keys("c000", data),
        lambda: cast.server.add_shares("c000", data),
        lambda: cast.clients["c000"].shares(data),
        lambda: cast.clients["c000"].accept(data),
        lambda: cast.clients["c000"].answer(data),
        lambda: cast.clients["c000"].confirm(data, data),
    ):
        with pytest.raises(PeerError):
            act()


def test_servers_are_made_for_their_parameters() -> None:
    cast, other = Cast.make(3), Cast.make(3, size=6)
    with pytest.raises(PeerError, match="c000 are for a sum with other parameters"):
        Server(other.parameters).add_keys("c000", cast.clients["c000"].keys())
