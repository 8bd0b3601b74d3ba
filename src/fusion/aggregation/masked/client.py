"""A client of a masked sum, without input or output: bytes in, bytes out.

    client.keys() -> client.shares(roster) -> client.accept(inbox)        once a run
    client.mask(round, values) -> client.answer(survivors)                two flights a round
    client.confirm(closing)                                               who signed, for the record

The list of survivors is agreed without a flight of its own. A client's shares leave locked under a fresh key, that key
is shared among the survivors with the same threshold, and the share of each is padded with a function, keyed by the
pair, of the round and the *list*. With its own answer every survivor gives its pads for the list that it was shown.
So an answer opens when the threshold of clients answered for the same list, and for no other list.
"""

from __future__ import annotations

import hashlib
from collections.abc import Set

import msgspec
import numpy as np
import numpy.typing as npt
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from fusion.aggregation.masked import agreed
from fusion.aggregation.masked.agreed import LABEL, PAD_BYTES, number_bytes, point
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
from fusion.aggregation.masked.parameters import Parameters
from fusion.aggregation.masked.participant import Participant, State
from fusion.aggregation.masked.rounds import Step
from fusion.crypto.masks import KEY_BYTES, add_mask, derive, public_key, shared_secret
from fusion.crypto.sharing import SHARE_BYTES, split
from fusion.errors import InputError, PeerError

__all__ = ["Client"]

_NONCE = bytes(12)  # every key below encrypts one message

DEALT = Step(1, "the server sent another roster, and this client has already shared its secrets")
ACCEPTED = Step(2, "the server sent another inbox, and this client has already taken one")
MASKED = Step(3, "round {} comes a second time, and this client has already sent its vector")
ANSWERED = Step(4, "the server asks for a second unmasking of round {}, and this client has already answered")


class _State(State[Parameters], forbid_unknown_fields=True):
    """What a client must keep between messages: the masks of every round of the run, past ones too, come from it."""

    roster: tuple[bytes, ...] = ()
    # by dealer: for each round a share of its mask key, then one of its own seed
    shares: dict[int, bytes] = msgspec.field(default_factory=dict)


class Client(Participant[Parameters, _State]):
    """One client in one run.

    Parameters are those of `fusion.aggregation.masked.Participant`: its name, the parameters, the pinned
    fingerprints, its signature, the rounds, and a source of bytes. ``pins`` may lack clients, and one without a
    fingerprint is refused should it come. Whoever has `state` can make the masks of every round of the run again: it
    is to be deleted after the last.
    """

    _kind = _State

    # Once a run

    def keys(self) -> bytes:
        """`Keys`: this client's public keys, for everybody."""
        count = self.parameters.rounds
        digest = self.parameters.digest
        unsigned = Keys(
            parameters=digest,
            client=self._index,
            box=public_key(self._draw(b"box")),
            masks=b"".join(public_key(self._mask_key(number)) for number in range(count)),
            commitments=b"".join(
                agreed.commitment(digest, self._index, number, self._own_seed(number)) for number in range(count)
            ),
            signature=bytes(64),
        )
        return encode(msgspec.structs.replace(unsigned, signature=self._sign(agreed.keys_to_sign(unsigned))))

    def shares(self, roster: bytes) -> bytes:
        """`Roster` in, `Shares` out: check everybody's keys, then share this client's secrets among them."""
        entries = decode(roster, Roster, "the server").keys
        own = self.keys()
        if own not in entries:
            raise PeerError("the server's roster does not hold this client's own keys as they were sent")
        keys = self._checked(entries)
        # after a restart too: dealt in two rosters, the same secrets would mask two sums
        self._rounds.claim(self._subject, 0, DEALT)
        self._state.roster = entries
        self._adopt(keys)
        others = [index for index in self._keys if index != self._index]
        points = [point(index) for index in self._keys]
        dealt: dict[int, list[bytes]] = {index: [] for index in self._keys}
        for number in range(self.parameters.rounds):
            for secret in (self._mask_key(number), self._own_seed(number)):
                shared = split(secret, self.parameters.threshold, points, self._source)
                for index, share in zip(self._keys, shared, strict=True):
                    dealt[index].append(share)
        self._state.shares = {self._index: b"".join(dealt[self._index])}
        boxes = [
            AESGCM(self._pair_key(index, b"box", number_bytes(self._index, index))).encrypt(
                _NONCE, b"".join(dealt[index]), self._run
            )
            for index in others
        ]
        return encode(Shares(self._run, tuple(boxes)))

    def accept(self, inbox: bytes) -> None:
        """`Inbox` in: the shares that this client holds of the others' secrets."""
        message = decode(inbox, Inbox, "the server")
        self._check_run(message.run)
        dealers = message.dealers
        if list(dealers) != sorted(set(dealers)) or len(message.boxes) != len(dealers):
            raise PeerError("the server sent an inbox whose dealers and boxes do not fit")
        if not set(dealers) < set(self._keys) or self._index in dealers:
            raise PeerError("the server sent shares of clients that are not in the roster")
        if len(dealers) + 1 < self.parameters.threshold:
            raise PeerError(f"the server sent shares of {len(dealers)} clients, with this one below the threshold")
        held = {self._index: self._state.shares[self._index]}
        for dealer, box in zip(dealers, message.boxes, strict=True):
            name = self.parameters.clients[dealer]
            key = self._pair_key(dealer, b"box", number_bytes(dealer, self._index))
            try:
                held[dealer] = AESGCM(key).decrypt(_NONCE, box, self._run)
            except (InvalidTag, ValueError):
                raise PeerError(f"the shares of {name} are not what {name} encrypted to this client") from None
            if len(held[dealer]) != 2 * SHARE_BYTES * self.parameters.rounds:
                raise PeerError(f"{name} sent shares for another number of rounds")
        self._rounds.claim(self._run, 0, ACCEPTED)
        self._state.shares = held

    # Each round

    def mask(self, number: int, values: npt.NDArray[np.int64]) -> bytes:
        """`Masked`: the values of a round, (size,) int64, each at most ``limit`` in magnitude, masked.

        Only once for each round, whatever the values.
        """
        parameters = self.parameters
        if values.shape != (parameters.size,) or values.dtype != np.int64:
            raise InputError(f"the values of a round are {parameters.size} of int64")
        if parameters.size and (values.min() < -parameters.limit or values.max() > parameters.limit):
            raise InputError("a value is beyond the bound of this sum")
        self._check_round(number)
        if self._index not in self._state.shares or len(self._state.shares) < 2:
            raise InputError("mask comes after accept")
        self._rounds.claim(self._run, number, MASKED)
        words = values.astype(agreed.little_endian(parameters))
        add_mask(words, agreed.own_seed(self._run, self._index, number, self._own_seed(number)))
        secret = self._mask_key(number)
        for other in self._state.shares:
            if other != self._index:
                agreed.add_pair_mask(
                    words,
                    self._run,
                    number,
                    self._index,
                    other,
                    secret=secret,
                    public=self._keys[other].masks[32 * number : 32 * number + 32],
                )
        return encode(Masked(self._run, number, words.tobytes()))

    def answer(self, survivors: bytes) -> bytes:
        """`Survivors` in, `Answer` out: for each of the included a share of its own mask's seed, for each of the
        dropped a share of its mask key, never both. Only once for each round, whatever the list.
        """
        message = decode(survivors, Survivors, "the server")
        self._check_run(message.run)
        self._check_round(message.round)
        self._check_survivors(message)
        if not self._rounds.holds(self._run, message.round, MASKED):
            raise PeerError(f"the server lists this client in round {message.round}, where it has sent no vector")
        self._rounds.claim(self._run, message.round, ANSWERED)
        digest = agreed.survivors_digest(message)
        payload = []
        for client in sorted(self._state.shares):
            start = SHARE_BYTES * (2 * message.round + (client in message.included))
            payload.append(self._state.shares[client][start : start + SHARE_BYTES])
        key = self._source(KEY_BYTES)
        locked = AESGCM(key).encrypt(_NONCE, b"".join(payload), digest)
        locks, pads = [], []
        shares = split(key, self.parameters.threshold, [point(client) for client in message.included], self._source)
        for holder, share in zip(message.included, shares, strict=True):
            if holder == self._index:
                locks.append(share)
                pads.append(bytes(PAD_BYTES))
            else:
                locks.append(agreed.xor(share, self._pad(digest, dealer=self._index, holder=holder)))
                pads.append(self._pad(digest, dealer=holder, holder=self._index))
        return encode(
            Answer(
                run=self._run,
                round=message.round,
                survivors=digest,
                signature=self._sign(agreed.to_sign(digest)),
                locked=locked,
                locks=b"".join(locks),
                pads=b"".join(pads),
            )
        )

    def confirm(self, survivors: bytes, closing: bytes) -> tuple[tuple[str, ...], npt.NDArray[np.int64] | None]:
        """The names in the sum, and the sum where it was sent, once enough of them have signed that list.

        Parameters
        ----------
        survivors : bytes
            What `answer` was given.
        closing : bytes
            `Closing`, from the server.
        """
        listed = decode(survivors, Survivors, "the server")
        message = decode(closing, Closing, "the server")
        self._check_run(message.run)
        if message.round != listed.round:
            raise PeerError(f"the server closed round {message.round} where round {listed.round} was answered")
        signers = message.signers
        if list(signers) != sorted(set(signers)) or len(signers) != len(message.signatures):
            raise PeerError("the server sent signatures that do not fit their signers")
        if not set(signers) <= set(listed.included):
            raise PeerError("the server sent the signature of a client that is not in the sum")
        if len(signers) < self.parameters.threshold:
            raise PeerError(
                f"{len(signers)} clients signed the list of survivors; the threshold is {self.parameters.threshold}"
            )
        signed = agreed.to_sign(agreed.survivors_digest(listed))
        # the server cannot tell a bad signature, and one client shall not keep the sum from the others by it
        forged = [
            self.parameters.clients[signer]
            for signer, signature in zip(signers, message.signatures, strict=True)
            if not agreed.verify(self._pins[self.parameters.clients[signer]], signature, signed)
        ]
        if len(signers) - len(forged) < self.parameters.threshold:
            raise PeerError(f"the signature of {forged[0]} under the list of survivors is forged or for another list")
        names = tuple(self.parameters.clients[client] for client in listed.included)
        if message.words is None:
            return names, None
        return names, agreed.read_total(self.parameters, message.words, "the server")

    # Inside

    def _check_names(self, pinned: Set[str]) -> None:
        if self.name not in pinned or not pinned <= set(self.parameters.clients):
            raise InputError("the pinned fingerprints must be those of clients of the sum, this one included")

    def _resume(self) -> list[tuple[bytes, int, Step]]:
        roster = self._state.roster
        self._adopt(self._checked(roster) if roster else {})
        if not roster:
            return []
        dealt = (self._subject, 0, DEALT)
        return [dealt, (self._run, 0, ACCEPTED)] if len(self._state.shares) > 1 else [dealt]

    def _checked(self, entries: tuple[bytes, ...]) -> dict[int, Keys]:
        """The keys of a roster by client, once all of them stand up to what is pinned here."""
        if len(entries) < self.parameters.threshold:
            raise PeerError(
                f"the server's roster has {len(entries)} clients; the threshold is {self.parameters.threshold}"
            )
        found: dict[int, Keys] = {}
        used: set[bytes] = set()
        for entry in entries:
            keys = agreed.check_keys(entry, self.parameters, "the server")
            name = self.parameters.clients[keys.client]
            if found and keys.client <= max(found):
                raise PeerError("the server's roster is out of order or names a client twice")
            if name not in self._pins:
                raise PeerError(f"the server's roster holds keys of {name}, for whom no fingerprint is pinned here")
            if not agreed.verify(self._pins[name], keys.signature, agreed.keys_to_sign(keys)):
                raise PeerError(f"the keys of {name} are not signed by its pinned identity")
            for key in (keys.box, *agreed.cut(keys.masks, 32)):
                if key in used:
                    raise PeerError(f"the keys of {name} repeat a key in the roster; each key has one place")
                used.add(key)
            found[keys.client] = keys
        return found

    def _adopt(self, keys: dict[int, Keys]) -> None:
        """Go by these keys from now on; none before there is a roster."""
        self._keys = keys
        self._run = agreed.run_id(self.parameters, self._state.roster) if keys else b""
        secret = self._draw(b"box")
        self._secrets = {index: shared_secret(secret, each.box) for index, each in keys.items() if index != self._index}

    def _check_run(self, run: bytes) -> None:
        if not self._keys:
            raise PeerError("the server's message comes before the roster")
        if run != self._run:
            raise PeerError("the server sent a message of another run")

    def _check_round(self, number: int) -> None:
        if number >= self.parameters.rounds:
            raise PeerError(
                f"round {number} has no keys; this run has rounds 0 to {self.parameters.rounds - 1}, begin a new run"
            )

    def _check_survivors(self, message: Survivors) -> None:
        included, dropped = list(message.included), list(message.dropped)
        both = sorted(set(included) & set(dropped))
        if both:
            names = ", ".join(self.parameters.clients[index] for index in both if index < len(self.parameters.clients))
            raise PeerError(f"the server lists {names or 'a client'} both as included and as dropped")
        if included != sorted(set(included)) or dropped != sorted(set(dropped)):
            raise PeerError("the server's list of survivors is out of order or names a client twice")
        if set(included) | set(dropped) != set(self._state.shares):
            raise PeerError("the server's list of survivors is not of the clients of this run")
        if self._index not in included:
            raise PeerError("the server lists this client as dropped, and asks it to answer")
        if len(included) < self.parameters.threshold:
            raise PeerError(
                f"the server's list has {len(included)} survivors; the threshold is {self.parameters.threshold}"
            )

    @property
    def _subject(self) -> bytes:
        return hashlib.sha256(LABEL + b"client" + public_key(self._draw(b"box"))).digest()

    def _draw(self, what: bytes, number: int = 0) -> bytes:
        return derive(self._state.secret, self.parameters.digest, LABEL + what, number_bytes(self._index, number))

    def _mask_key(self, number: int) -> bytes:
        return self._draw(b"mask key", number)

    def _own_seed(self, number: int) -> bytes:
        return self._draw(b"own seed", number)

    def _pair_key(self, other: int, what: bytes, about: bytes, length: int = KEY_BYTES) -> bytes:
        return derive(self._secrets[other], self._run, LABEL + what, about, length=length)

    def _pad(self, digest: bytes, *, dealer: int, holder: int) -> bytes:
        other = holder if dealer == self._index else dealer
        return self._pair_key(other, b"pad", number_bytes(dealer, holder) + digest, PAD_BYTES)
