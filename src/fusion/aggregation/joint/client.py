"""A client of an encrypted sum, without input or output: bytes in, bytes out.

    client.commit() -> client.contribute(commitments) -> client.accept(contributions)        once a run
    client.encrypt(round, values) -> client.coin(claim)
        -> client.project(challenge) -> client.open(evidence)                                four flights a round

The key is everybody's: nothing opens unless all take part. So each part leaves under masks, one for each pair of
clients and each claim, that cancel among all of them: whoever sees parts learns their sum. Whoever missed the first
flight of a round still sends a coin and opens, and skips `project`. A client does each step of a round once; a round
that failed is never tried again, the next one is.
"""

from __future__ import annotations

from collections.abc import Set

import msgspec
import numpy as np
import numpy.typing as npt

from fusion.aggregation.joint import agreed, fields
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
from fusion.aggregation.joint.parameters import Parameters
from fusion.aggregation.joint.projections import add, project, read_projection, write_projection
from fusion.aggregation.masked.messages import Hash, decode, encode
from fusion.aggregation.masked.participant import Participant, State
from fusion.aggregation.masked.rounds import Step
from fusion.crypto.masks import KEY_BYTES, add_mask, derive, public_key, shared_secret, subtract_mask, usable
from fusion.crypto.random import Source
from fusion.crypto.rlwe import PublicKey, Share, combine
from fusion.crypto.rlwe.totals import encrypt_summand, part_of_total, second_halves, total_bits
from fusion.errors import InputError, PeerError
from fusion.kernels.ntt import Words

__all__ = ["Client"]

# Numbers are as in `masked.client`, for the same files; the subjects never meet.
CONTRIBUTED = Step(1, "the server sent another list of commitments, and this client has already shown its contribution")
ENCRYPTED = Step(2, "round {} comes a second time, and this client has already sent its update")
TOSSED = Step(3, "the server claims a second sum in round {}, and this client has already sent its coin")
PROJECTED = Step(4, "the server asks for a second projection in round {}, and this client has already sent one")
OPENED = Step(5, "the server asks for a second opening of round {}, and this client has already opened")


class _Round(msgspec.Struct, forbid_unknown_fields=True):
    """What a client must keep within a round."""

    number: int
    seed: bytes = b""  # what the update was encrypted with; secret, for it opens the update
    first: bytes = b""  # words of the update that are sent with the part
    claim: bytes = b""
    coin: bytes = b""  # the message


class _State(State[Parameters], forbid_unknown_fields=True):
    """What a client must keep between messages: a public key, some 150 kB, and in a round four bytes for each value.

    The share of the key comes from the secret.
    """

    commitments: tuple[bytes, ...] = ()
    boxes: tuple[Hash, ...] = ()
    key: bytes = b""
    run: bytes = b""
    round: _Round | None = None


class Client(Participant[Parameters, _State]):
    """One client in one run.

    Parameters are those of `fusion.aggregation.masked.Participant`: its name, the parameters, the pinned
    fingerprints of all clients, its signature, the rounds, and a source of bytes.
    """

    _kind = _State
    _public: PublicKey | None = None

    @property
    def finished(self) -> bool:
        """Whether the last round has been opened: there is nothing left to keep."""
        last = self.parameters.rounds - 1
        return bool(self._state.run) and self._rounds.holds(self._run, last, OPENED)

    # Once a run

    def commit(self) -> bytes:
        """`Commitment`: to this client's contribution to the key."""
        digest = agreed.contribution_hash(self.parameters, self._index, self._share().contribution)
        return self._signed(Commitment(self.parameters.digest, self._index, digest, bytes(64)))

    def contribute(self, commitments: bytes) -> bytes:
        """`Commitments` in, `Contribution` out. Only once, whatever the list."""
        entries = decode(commitments, Commitments, "the server").entries
        found = agreed.read(entries, Commitment, self._everybody, self.parameters.clients, self._pins)
        for each in found:
            if each.parameters != self.parameters.digest:
                name = self.parameters.clients[each.client]
                raise PeerError(f"the commitment of {name} is for a sum with other parameters")
        share = self._share()
        if found[self._index].hash != agreed.contribution_hash(self.parameters, self._index, share.contribution):
            raise PeerError("the server's list does not hold this client's own commitment as it was sent")
        self._rounds.claim(self._subject, 0, CONTRIBUTED)
        self._state.commitments = entries
        digest = agreed.commitments_digest(self.parameters, entries)
        return self._signed(Contribution(digest, self._index, share.contribution, public_key(self._box()), bytes(64)))

    def accept(self, contributions: bytes) -> None:
        """`Contributions` in: the public key, of what everybody committed to."""
        if not self._state.commitments:
            raise InputError("accept comes after contribute")
        parameters, committed = self.parameters, self._state.commitments
        entries = decode(contributions, Contributions, "the server").entries
        found = agreed.read(entries, Contribution, self._everybody, parameters.clients, self._pins)
        digest = agreed.commitments_digest(parameters, committed)
        for each, entry in zip(found, committed, strict=True):
            name = parameters.clients[each.client]
            if each.commitments != digest:
                raise PeerError(f"{name} was shown another list of commitments than this client")
            expected = decode(entry, Commitment, "the server").hash
            if agreed.contribution_hash(parameters, each.client, each.element) != expected:
                raise PeerError(f"the contribution of {name} is not what {name} committed to")
            if not usable(each.box):
                raise PeerError(f"the contribution of {name} holds a key that X25519 cannot use")
        key = combine(parameters.lattice, agreed.key_seed(parameters), [each.element for each in found])
        self._public = key
        self._state.boxes = tuple(each.box for each in found)
        self._state.key = key.to_bytes()
        self._state.run = agreed.run_id(parameters, digest, self._state.key)

    # Each round

    def encrypt(self, number: int, values: npt.NDArray[np.int64]) -> bytes:
        """`Update`: the values of a round, (size,) int64, each at most ``limit`` in magnitude, encrypted.

        Only once for each round, whatever the values.
        """
        parameters, run = self.parameters, self._run
        if values.shape != (parameters.size,) or values.dtype != np.int64:
            raise InputError(f"the values of a round are {parameters.size} of int64")
        if values.min() < -parameters.limit or values.max() > parameters.limit:
            raise InputError("a value is beyond the bound of this sum")
        self._enter(number)
        self._rounds.claim(run, number, ENCRYPTED)
        seed = self._source(KEY_BYTES)
        coefficients = fields.join(values, parameters.lattice.degree)
        first, second = encrypt_summand(self._key(), coefficients, source=_once(seed))
        coefficients.fill(0)
        self._state.round = _Round(number, seed, first.tobytes())
        return encode(Update(run, number, agreed.pack_residues(second)))

    def coin(self, claim: bytes) -> bytes:
        """`Claim` in, `Coin` out: what the server cannot have known when it fixed the sum. Only once a round."""
        message = decode(claim, Claim, "the server")
        self._check_run(message.run)
        included = list(message.included)
        if included != sorted(set(included)) or not set(included) <= set(self._everybody):
            raise PeerError("the server's list of updates is out of order, or is not of the clients of this run")
        if len(included) < self.parameters.threshold:
            raise PeerError(
                f"the server's sum has {len(included)} updates; at least {self.parameters.threshold} must be"
            )
        current = self._enter(message.round)
        if self._index in included and not current.seed:
            raise PeerError(f"the server lists this client in round {message.round}, where it has sent no update")
        self._rounds.claim(self._run, message.round, TOSSED)
        digest = agreed.claim_digest(claim)
        coin = self._signed(Coin(digest, self._index, self._source(32), bytes(64)))
        current.claim, current.coin = claim, coin
        self._state.round = current
        return coin

    def project(self, challenge: bytes) -> bytes:
        """`Challenge` in, `Projection` of this client's own update out. Only once a round."""
        message = decode(challenge, Challenge, "the server")
        current, claim = self._claimed(message.run, message.round)
        if self._index not in claim.included:
            raise PeerError(f"the server asks for a projection in round {message.round}, where it has no update")
        digest = self._challenge(current, message.coins)
        self._rounds.claim(self._run, message.round, PROJECTED)
        key, lattice = self._key(), self.parameters.lattice
        second = second_halves(key, self.parameters.rows, source=_once(current.seed))
        values = write_projection(project(lattice, second, digest))
        return self._signed(Projection(digest, self._index, values, bytes(64)))

    def open(self, evidence: bytes) -> bytes:
        """`Evidence` in, `Part` out: once the projections show that the sum is of the updates in the claim.

        Only once a round. It ends the round here, and the seed of the update is forgotten.
        """
        message = decode(evidence, Evidence, "the server")
        current, claim = self._claimed(message.run, message.round)
        parameters, lattice = self.parameters, self.parameters.lattice
        digest = self._challenge(current, message.coins)
        if agreed.total_hash(message.total) != claim.total:
            raise PeerError("the server's sum is not the one that it claimed before it knew the challenge")
        names = [parameters.clients[index] for index in claim.included]
        projections = agreed.read(message.projections, Projection, claim.included, parameters.clients, self._pins)
        for name, each in zip(names, projections, strict=True):
            if each.challenge != digest:
                raise PeerError(f"the projection of {name} is for another challenge")
        second = agreed.unpack_residues(parameters, message.total, "the server")
        terms = [read_projection(lattice, each.values, name) for name, each in zip(names, projections, strict=True)]
        if not np.array_equal(add(lattice, terms), project(lattice, second, digest)):
            raise PeerError(
                f"the server's sum is not that of the {len(names)} updates whose projections these are; "
                "nothing was opened"
            )
        self._rounds.claim(self._run, message.round, OPENED)
        share = self._share()
        words = part_of_total(share, second, terms=len(names), source=self._source)
        share.wipe()
        if self._index in claim.included:
            words += np.frombuffer(current.first, np.uint64).reshape(words.shape)
        self._hide(words, agreed.claim_digest(current.claim))
        words &= np.uint64((1 << total_bits(lattice)) - 1)
        current.seed = current.first = b""
        return encode(Part(self._run, message.round, agreed.pack_words(parameters, words)))

    # Inside

    def _check_names(self, pinned: Set[str]) -> None:
        if self.name not in pinned or pinned != set(self.parameters.clients):
            raise InputError("the pinned fingerprints must be those of all clients of the sum, and of no others")

    def _resume(self) -> list[tuple[bytes, int, Step]]:
        kept = self._state
        steps = [(self._subject, 0, CONTRIBUTED)] if kept.commitments else []
        if kept.round is not None:
            done = ((ENCRYPTED, kept.round.seed), (TOSSED, kept.round.coin))
            steps += [(self._run, kept.round.number, step) for step, sent in done if sent]
        return steps

    @property
    def _everybody(self) -> range:
        return range(len(self.parameters.clients))

    @property
    def _subject(self) -> bytes:
        return derive(self._state.secret, self.parameters.digest, agreed.LABEL + b"client")

    def _share(self) -> Share:
        seed = derive(self._state.secret, self.parameters.digest, agreed.LABEL + b"share")
        return Share.generate(self.parameters.lattice, agreed.key_seed(self.parameters), source=_once(seed))

    def _box(self) -> bytes:
        return derive(self._state.secret, self.parameters.digest, agreed.LABEL + b"box")

    def _hide(self, words: Words, claim: bytes) -> None:
        """Put the masks of this client's part on it, in place: one of each pair adds what the other subtracts.

        A sum that a client has bent can make a part a multiple of the share that it comes from. Under masks the parts
        say nothing but their sum, and that holds the updates of all others in the claim at once.
        """
        secret, row = self._box(), words.reshape(-1)
        for other, public in enumerate(self._state.boxes):
            if other != self._index:
                pair = b"".join(index.to_bytes(4, "little") for index in sorted((self._index, other)))
                seed = derive(shared_secret(secret, public), self._run, agreed.LABEL + b"part", pair, claim)
                (add_mask if self._index < other else subtract_mask)(row, seed)

    @property
    def _run(self) -> bytes:
        if not self._state.run:
            raise InputError("there is no key before accept")
        return self._state.run

    def _key(self) -> PublicKey:
        # two of the steps of a round do without it
        if self._public is None:
            self._public = PublicKey.from_bytes(self.parameters.lattice, self._state.key)
        return self._public

    def _enter(self, number: int) -> _Round:
        """The state of a round, which may have begun; earlier ones are over."""
        if not 0 <= number < self.parameters.rounds:
            raise PeerError(f"this run has rounds 0 to {self.parameters.rounds - 1}, not {number}; begin a new run")
        current = self._state.round
        if current is None or current.number < number:
            return _Round(number)
        if current.number > number:
            raise PeerError(f"the server goes back to round {number}; round {current.number} has begun")
        return current

    def _claimed(self, run: bytes, number: int) -> tuple[_Round, Claim]:
        """The state of a round whose claim this client has answered, and the claim."""
        self._check_run(run)
        current = self._state.round
        if current is None or current.number != number or not current.coin:
            raise PeerError(f"the server goes on with round {number}, in which this client has seen no claim")
        return current, decode(current.claim, Claim, "the server")

    def _challenge(self, current: _Round, coins: tuple[bytes, ...]) -> bytes:
        """The digest of a challenge, which must hold a coin of everybody for the claim that this client saw."""
        digest = agreed.claim_digest(current.claim)
        found = agreed.read(coins, Coin, self._everybody, self.parameters.clients, self._pins)
        for each in found:
            if each.claim != digest:
                name = self.parameters.clients[each.client]
                raise PeerError(f"the coin of {name} is for another claim; the server showed different sums")
        if coins[self._index] != current.coin:
            raise PeerError("the server's challenge does not hold this client's own coin as it was sent")
        return agreed.challenge_digest(digest, coins)

    def _check_run(self, run: bytes) -> None:
        if run != self._run:
            raise PeerError("the server sent a message of another run")

    def _signed(self, message: agreed.Signed) -> bytes:
        return encode(msgspec.structs.replace(message, signature=self._sign(agreed.to_sign(message))))


def _once(seed: bytes) -> Source:
    """A source that gives one seed, once: whoever draws more would draw the same."""
    left = [seed]

    def draw(size: int) -> bytes:
        if not left or size != len(seed):
            raise InputError("a seed was asked for twice")
        return left.pop()

    return draw
