"""The server of an encrypted sum, without input or output: bytes in, bytes out, clients by name.

    server = Server(parameters)
    add_commitment ... -> commitments()     add_contribution ... -> contributions()          once a run
    round = server.round(0)
    add_update ... -> claim()               add_coin ... -> challenge()
    add_projection ... -> evidence()        add_part ... -> total()                          four flights a round

The server holds no key. Updates are added up as they come: it holds one, however many clients there are. All clients
must commit, contribute, send coins and parts; updates may be as few as ``parameters.threshold``.
"""

from __future__ import annotations

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
from fusion.aggregation.masked.messages import decode, encode
from fusion.crypto.rlwe import combine
from fusion.crypto.rlwe.totals import open_total
from fusion.errors import InputError, PeerError, TransportError
from fusion.kernels.ntt import Words

__all__ = ["Round", "Server"]


class Server:
    """One run: the key of everybody, and as many rounds as it serves."""

    def __init__(self, parameters: Parameters) -> None:
        self.parameters = parameters
        self._commitments: dict[int, bytes] = {}
        self._contributions: dict[int, bytes] = {}
        self._digest = b""
        self._latest = -1
        self.run = b""

    def __repr__(self) -> str:
        return f"<Server of {len(self.parameters.clients)}>"

    def add_commitment(self, name: str, message: bytes) -> None:
        """`Commitment` of a client."""
        commitment = decode(message, Commitment, name)
        if commitment.parameters != self.parameters.digest:
            raise PeerError(f"{name} committed to a sum with other parameters")
        self.take(self._commitments, name, commitment.client, message, closed=bool(self._digest))

    def commitments(self) -> bytes:
        """`Commitments`, for everybody."""
        entries = self.all_of(self._commitments, "committed to the key")
        self._digest = agreed.commitments_digest(self.parameters, entries)
        return encode(Commitments(entries))

    def add_contribution(self, name: str, message: bytes) -> None:
        """`Contribution` of a client."""
        contribution = decode(message, Contribution, name)
        if not self._digest or contribution.commitments != self._digest:
            raise PeerError(f"{name} contributed to the key for another list of commitments")
        expected = decode(self._commitments[self.index(name)], Commitment, name).hash
        if agreed.contribution_hash(self.parameters, contribution.client, contribution.element) != expected:
            raise PeerError(f"the contribution of {name} is not what {name} committed to")
        agreed.unpack_residues(self.parameters, contribution.element, name, 1)
        self.take(self._contributions, name, contribution.client, message)

    def contributions(self) -> bytes:
        """`Contributions`, for everybody. From now on the run has its key."""
        parameters, entries = self.parameters, self.all_of(self._contributions, "contributed to the key")
        elements = [decode(each, Contribution, "a client").element for each in entries]
        key = combine(parameters.lattice, agreed.key_seed(parameters), elements)
        self.run = agreed.run_id(parameters, self._digest, key.to_bytes())
        return encode(Contributions(entries))

    def round(self, number: int) -> Round:
        """Begin a round: 0 to ``rounds - 1``, later than any before."""
        if not self.run:
            raise InputError("contributions() comes before the first round")
        if not self._latest < number < self.parameters.rounds:
            raise InputError(f"round {number} has been, or the key does not serve it; begin a new run")
        self._latest = number
        return Round(self, number)

    def index(self, name: str) -> int:
        """A client's number."""
        if name not in self.parameters.clients:
            raise InputError(f"{name} is no client of this sum")
        return self.parameters.clients.index(name)

    def take(self, box: dict[int, bytes], name: str, client: int, message: bytes, *, closed: bool = False) -> None:
        """Keep a client's message, the only one of its kind."""
        if client != self.index(name):
            raise PeerError(f"{name} sent a message of another client")
        if closed or client in box:
            raise PeerError(f"{name} sent a message twice or too late")
        box[client] = message

    def all_of(self, box: dict[int, bytes], what: str) -> tuple[bytes, ...]:
        """The messages of all clients in order."""
        missing = [name for index, name in enumerate(self.parameters.clients) if index not in box]
        if missing:
            raise TransportError(
                f"{len(box)} of {len(self.parameters.clients)} clients {what}; all hold the key together: "
                f"see after {', '.join(missing[:5])}, or begin a new run without"
            )
        return tuple(box[index] for index in sorted(box))


class Round:
    """One sum. Made by `Server.round`."""

    def __init__(self, server: Server, number: int) -> None:
        lattice, rows = server.parameters.lattice, server.parameters.rows
        self._server = server
        self._number = number
        self._words = np.zeros((rows, lattice.degree), np.uint64)
        self._second: Words = np.zeros((rows, len(lattice.primes), lattice.degree), np.uint64)
        self._included: set[int] = set()
        self._claim: Claim | None = None
        self._total = b""
        self._coins: dict[int, bytes] = {}
        self._projections: dict[int, bytes] = {}
        self._opened: set[int] = set()

    def add_update(self, name: str, message: bytes) -> None:
        """`Update` of a client."""
        parameters, index = self._server.parameters, self._server.index(name)
        update = decode(message, Update, name)
        self._check(name, update.run, update.round)
        if self._claim is not None or index in self._included:
            raise PeerError(f"{name} sent its update twice or too late")
        agreed.add_residues(parameters, self._second, update.second, name)
        self._included.add(index)

    def claim(self) -> bytes:
        """`Claim`, for everybody: the sum of the updates that came is fixed."""
        if self._claim is None:
            parameters = self._server.parameters
            if len(self._included) < parameters.threshold:
                raise TransportError(
                    f"{len(self._included)} of {len(parameters.clients)} clients sent updates; a sum has at least "
                    f"{parameters.threshold}: see those that did not, and begin another round"
                )
            self._total = agreed.pack_residues(self._second)
            included = tuple(sorted(self._included))
            self._claim = Claim(self._server.run, self._number, included, agreed.total_hash(self._total))
        return encode(self._claim)

    @property
    def included(self) -> tuple[str, ...]:
        """The names in the sum, once `claim` has settled them."""
        return tuple(self._server.parameters.clients[index] for index in self._settled().included)

    def add_coin(self, name: str, message: bytes) -> None:
        """`Coin` of a client."""
        coin = decode(message, Coin, name)
        if coin.claim != agreed.claim_digest(encode(self._settled())):
            raise PeerError(f"{name} sent a coin for another claim")
        self._server.take(self._coins, name, coin.client, message)

    def challenge(self) -> bytes:
        """`Challenge`, for those in the sum."""
        return encode(Challenge(self._server.run, self._number, self._all_coins()))

    def add_projection(self, name: str, message: bytes) -> None:
        """`Projection` of a client in the sum."""
        projection = decode(message, Projection, name)
        digest = agreed.challenge_digest(agreed.claim_digest(encode(self._settled())), self._all_coins())
        if projection.challenge != digest:
            raise PeerError(f"{name} sent a projection for another challenge")
        if projection.client not in self._settled().included:
            raise PeerError(f"{name} sent a projection, and is not in the sum")
        self._server.take(self._projections, name, projection.client, message)

    def evidence(self) -> bytes:
        """`Evidence`, for everybody."""
        missing = [name for name in self.included if self._server.index(name) not in self._projections]
        if missing:
            raise TransportError(
                f"{len(missing)} of {len(self.included)} clients sent an update and no projection of it: see after "
                f"{', '.join(missing[:5])}, and begin another round"
            )
        projections = tuple(self._projections[index] for index in sorted(self._projections))
        return encode(Evidence(self._server.run, self._number, self._all_coins(), projections, self._total))

    def add_part(self, name: str, message: bytes) -> None:
        """`Part` of a client."""
        index, part = self._server.index(name), decode(message, Part, name)
        self._check(name, part.run, part.round)
        if index in self._opened:
            raise PeerError(f"{name} opened twice")
        agreed.add_words(self._server.parameters, self._words, part.words, name)
        self._opened.add(index)

    def total(self) -> npt.NDArray[np.int64]:
        """The sum over everybody included, (size,) int64."""
        parameters = self._server.parameters
        self._settled()
        missing = [name for index, name in enumerate(parameters.clients) if index not in self._opened]
        if missing:
            raise TransportError(
                f"{len(self._opened)} of {len(parameters.clients)} clients opened the sum; all hold the key together: "
                f"see after {', '.join(missing[:5])}, and begin another round"
            )
        coefficients = open_total(parameters.lattice, self._words)
        return fields.separate(coefficients, parameters.size)

    def _all_coins(self) -> tuple[bytes, ...]:
        self._settled()
        return self._server.all_of(self._coins, "sent their coins")

    def _settled(self) -> Claim:
        if self._claim is None:
            raise InputError("claim() comes first")
        return self._claim

    def _check(self, name: str, run: bytes, number: int) -> None:
        if run != self._server.run:
            raise PeerError(f"{name} sent a message of another run")
        if number != self._number:
            raise PeerError(f"{name} sent a message of round {number} in round {self._number}")
