"""The server of a masked sum, without input or output: bytes in, bytes out, clients by name.

    server = Server(parameters)
    add_keys ... -> roster()        add_shares ... -> inboxes()                        once a run
    round = server.round(0)
    round.add_masked ... -> round.survivors()      round.add_answer ... -> round.total()      two flights a round
    round.closing()                                                                    for the record

Whoever has not been added when the next step is asked for has dropped out. Vectors are added up as they come: the
server holds one, however many clients there are.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from fusion.aggregation.masked import agreed
from fusion.aggregation.masked.agreed import PAD_BYTES, point
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
from fusion.crypto.masks import public_key, subtract_mask
from fusion.crypto.sharing import SHARE_BYTES, combine
from fusion.errors import InputError, PeerError, TransportError

__all__ = ["Round", "Server"]

_TRIES = 32  # sets of answers that are tried when the first does not open, and groups in which those to name are sought


class Server:
    """One run: the keys of everybody, and as many rounds as they serve."""

    def __init__(self, parameters: Parameters) -> None:
        self.parameters = parameters
        self.run = b""
        self.keys: dict[int, Keys] = {}
        self._entries: dict[int, bytes] = {}
        self._boxes: dict[int, tuple[bytes, ...]] = {}
        self._began: set[int] = set()

    def __repr__(self) -> str:
        return f"<Server of {len(self.parameters.clients)}>"

    def add_keys(self, name: str, message: bytes) -> None:
        """`Keys` of a client."""
        keys = agreed.check_keys(message, self.parameters, name)
        if keys.client != self.index(name):
            raise PeerError(f"{name} sent the keys of another client")
        if self.run or keys.client in self._entries:
            raise PeerError(f"{name} sent its keys twice, or too late for this run")
        self._entries[keys.client] = message
        self.keys[keys.client] = keys

    def roster(self) -> bytes:
        """`Roster`, for everybody whose keys came."""
        self.enough(len(self._entries), "sent their keys")
        entries = tuple(self._entries[index] for index in sorted(self._entries))
        self.keys = {index: self.keys[index] for index in sorted(self._entries)}
        self.run = agreed.run_id(self.parameters, entries)
        return encode(Roster(entries))

    def add_shares(self, name: str, message: bytes) -> None:
        """`Shares` of a client, to be passed on."""
        index = self.index(name)
        shares = decode(message, Shares, name)
        self.check_run(name, shares.run)
        if index not in self.keys or index in self._boxes or len(shares.boxes) != len(self.keys) - 1:
            raise PeerError(f"{name} sent shares twice, too late, or of another number than the roster has clients")
        self._boxes[index] = shares.boxes

    def inboxes(self) -> dict[str, bytes]:
        """`Inbox` for everybody who dealt shares, by name. From now on these are the clients of the run."""
        self.enough(len(self._boxes), "shared their secrets")
        order = list(self.keys)
        out = {}
        for receiver in sorted(self._boxes):
            dealers = tuple(index for index in sorted(self._boxes) if index != receiver)
            # a dealer's boxes are for everybody but itself
            boxes = tuple(self._boxes[d][order.index(receiver) - (d < receiver)] for d in dealers)
            out[self.parameters.clients[receiver]] = encode(Inbox(self.run, dealers, boxes))
        return out

    def round(self, number: int) -> Round:
        """Begin a round: 0 to ``rounds - 1``, each once."""
        if not 0 <= number < self.parameters.rounds or number in self._began:
            raise InputError(f"round {number} has been, or has no keys; begin a new run")
        self._began.add(number)
        return Round(self, number, sorted(self._boxes))

    def index(self, name: str) -> int:
        """A client's number."""
        if name not in self.parameters.clients:
            raise InputError(f"{name} is no client of this sum")
        return self.parameters.clients.index(name)

    def check_run(self, name: str, run: bytes) -> None:
        if not self.run or run != self.run:
            raise PeerError(f"{name} sent a message of another run")

    def enough(self, count: int, what: str) -> None:
        """Whether the sum can go on."""
        if count < self.parameters.threshold:
            raise TransportError(
                f"{count} of {len(self.parameters.clients)} clients {what}; the threshold is "
                f"{self.parameters.threshold}: see those that left, and run again"
            )


class Round:
    """One sum. Made by `Server.round`."""

    def __init__(self, server: Server, number: int, clients: list[int]) -> None:
        self._server = server
        self._number = number
        self._clients = clients
        self._words = np.zeros(server.parameters.size, agreed.little_endian(server.parameters))
        self._included: set[int] = set()
        self._list: Survivors | None = None
        self._digest = b""
        self._answers: dict[int, Answer] = {}
        self.wrong: tuple[str, ...] = ()

    def add_masked(self, name: str, message: bytes) -> None:
        """`Masked` of a client."""
        parameters, index = self._server.parameters, self._server.index(name)
        masked = decode(message, Masked, name)
        self._check(name, masked.run, masked.round)
        if self._list is not None or index not in self._clients or index in self._included:
            raise PeerError(f"{name} sent its vector twice or too late")
        if len(masked.words) != parameters.size * parameters.word:
            raise PeerError(f"{name} sent a vector of another length than {parameters.size}")
        self._words += np.frombuffer(masked.words, self._words.dtype)
        self._included.add(index)

    def survivors(self) -> bytes:
        """`Survivors`, for everybody whose vector came."""
        if self._list is None:
            self._server.enough(len(self._included), "sent their vectors")
            dropped = tuple(index for index in self._clients if index not in self._included)
            self._list = Survivors(self._server.run, self._number, tuple(sorted(self._included)), dropped)
            self._digest = agreed.survivors_digest(self._list)
        return encode(self._list)

    @property
    def included(self) -> tuple[str, ...]:
        """The names in the sum, once `survivors` has settled them."""
        return tuple(self._server.parameters.clients[index] for index in self._settled().included)

    def add_answer(self, name: str, message: bytes) -> None:
        """`Answer` of a survivor."""
        index, survivors = self._server.index(name), self._settled()
        answer = decode(message, Answer, name)
        self._check(name, answer.run, answer.round)
        if index not in survivors.included or index in self._answers:
            raise PeerError(f"{name} answered twice, or is not in the sum")
        if answer.survivors != self._digest:
            raise PeerError(f"{name} answered for another list of survivors")
        if not len(answer.locks) == len(answer.pads) == PAD_BYTES * len(survivors.included):
            raise PeerError(f"{name} answered with locks of another number than there are survivors")
        self._answers[index] = answer

    def total(self) -> npt.NDArray[np.int64]:
        """The sum over everybody included, (size,) int64; `wrong` then says whose answers were of no use for it."""
        server, survivors = self._server, self._settled()
        parameters = server.parameters
        server.enough(len(self._answers), "answered for the survivors")
        secrets = self._agreeing()
        words = self._words.copy()
        window = slice(32 * self._number, 32 * self._number + 32)
        for client, secret in zip(self._clients, secrets, strict=True):
            if client in survivors.included:
                subtract_mask(words, agreed.own_seed(server.run, client, self._number, secret))
                continue
            for other in survivors.included:
                public = server.keys[other].masks[window]
                agreed.add_pair_mask(
                    words, server.run, self._number, other, client, secret=secret, public=public, undo=True
                )
        return agreed.read_total(parameters, words.tobytes(), "the server")

    def closing(self, total: npt.NDArray[np.int64] | None = None) -> bytes:
        """`Closing`: the signatures under the list, with the sum if the clients are to learn it."""
        words = None if total is None else total.astype(self._words.dtype).tobytes()
        signers = tuple(sorted(self._answers))
        signatures = tuple(self._answers[index].signature for index in signers)
        return encode(Closing(self._server.run, self._number, signers, signatures, words))

    def _agreeing(self) -> list[bytes]:
        """The secret of every client of the run, from answers that fit each other; `wrong` names those that do not.

        All answers are for one list, and none is asked for again: which of them are put together shows nothing new.
        """
        holders, needed = sorted(self._answers), self._server.parameters.threshold
        spare = len(holders) - needed
        try:
            return self._checked(holders[:needed])
        except PeerError:
            if spare * _TRIES < len(holders):
                raise
            for start in range(0, len(holders), spare):
                doubted = holders[start : start + spare]
                others = [holder for holder in holders if holder not in doubted][:needed]
                with contextlib.suppress(PeerError):
                    secrets = self._checked(others)
                    wrong = self._misfits(doubted, others, iter(range(_TRIES)))
                    self.wrong = tuple(self._server.parameters.clients[each] for each in wrong)
                    return secrets
            raise

    def _misfits(self, doubted: list[int], others: list[int], tries: Iterator[int]) -> list[int]:
        """Those of the doubted whose answers do not open with those of others, which open by themselves.

        One client's bad locks make many misfits; when the tries are over, those that are left are not named.
        """
        if next(tries, None) is None:
            return []
        size = len(doubted)
        with contextlib.suppress(PeerError):
            # two sets of others: one bad lock between two clients shows only where both are
            self._checked([*doubted, *others[size:]])
            self._checked([*doubted, *others[:-size]])
            return []
        if size == 1:
            return doubted
        first, second = doubted[: size // 2], doubted[size // 2 :]
        return self._misfits(first, others, tries) + self._misfits(second, others, tries)

    def _checked(self, holders: list[int]) -> list[bytes]:
        """The secret of every client of the run, as it committed to it, from the answers of these holders."""
        parameters, included = self._server.parameters, self._settled().included
        window = slice(32 * self._number, 32 * self._number + 32)
        secrets = self._open(holders)
        for client, secret in zip(self._clients, secrets, strict=True):
            name, keys = parameters.clients[client], self._server.keys[client]
            if client not in included:
                if public_key(secret) != keys.masks[window]:
                    raise PeerError(f"the shares of the mask key of {name} do not fit its public key")
            elif agreed.commitment(parameters.digest, client, self._number, secret) != keys.commitments[window]:
                raise PeerError(f"the shares of the mask of {name} do not fit what it committed to")
        return secrets

    def _open(self, holders: list[int]) -> list[bytes]:
        """The secret of every client of the run, from the answers of as many holders as the threshold says."""
        included = list(self._settled().included)
        places = [included.index(holder) for holder in holders]
        points = [point(holder) for holder in holders]
        locks = [agreed.cut(self._answers[holder].locks, PAD_BYTES) for holder in holders]
        pads = [agreed.cut(self._answers[holder].pads, PAD_BYTES) for holder in holders]
        # a dealer's lock for a holder, freed of the pad that this holder gave for this dealer
        shared = [
            [agreed.xor(lock[theirs], pad[ours]) for theirs, pad in zip(places, pads, strict=True)]
            for ours, lock in zip(places, locks, strict=True)
        ]
        payloads = []
        for dealer, key in zip(holders, combine(points, shared), strict=True):
            name = self._server.parameters.clients[dealer]
            try:
                payload = AESGCM(key).decrypt(bytes(12), self._answers[dealer].locked, self._digest)
            except (InvalidTag, ValueError):
                raise PeerError(f"the answer of {name} does not open with the pads of the others") from None
            if len(payload) != SHARE_BYTES * len(self._clients):
                raise PeerError(f"the answer of {name} has shares of another number than there are clients")
            payloads.append(agreed.cut(payload, SHARE_BYTES))
        return combine(points, zip(*payloads, strict=True))

    def _settled(self) -> Survivors:
        if self._list is None:
            raise InputError("survivors() comes first")
        return self._list

    def _check(self, name: str, run: bytes, number: int) -> None:
        self._server.check_run(name, run)
        if number != self._number:
            raise PeerError(f"{name} sent a message of round {number} in round {self._number}")
