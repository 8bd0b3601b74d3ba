"""Sums by masks only: everybody's vector is hidden under masks that cancel in the sum.

Functionality: n parties hold vectors of whole numbers of one length; the sum over those who stay is learned, and no
smaller sum.

Parties
    Clients with a vector each, and a server. Without a server of its own, a group makes its first party by name the
    server beside being a client; when it fails before the others have answered, the next one takes over.
Inputs
    A vector of each client, its values at most `bound`. Clients need each other's fingerprints: keys pass through the
    server and are signed. In a group of channels, fresh keys for signing go straight from each to each instead.
Outputs
    The server, and in a group everybody, has the sum and the names in it; clients of a server have the names.
Protocol
    1. Clients announce keys and share, encrypted to each other, the secrets from which their masks come.
    2. Each sends its vector, plus the mask of a seed of its own, plus or minus a mask with each other client.
    3. The server says who is in the sum. For those, survivors give their shares of the own seeds; for those who left,
       of the keys of the masks with others; never both for one client. What they give opens only if as many as the
       threshold answered for the same list, which each of them signs: `fusion.aggregation.masked.client` says how.
Leakage
    The server: the sum over the clients it has named, at least the threshold; who left, and when; sizes. Clients of a
    server: who took part. In a group: everybody the sum. Whoever knows the sum and some of its terms knows the sum of
    the others: with two parties that is the other's value, and is refused without ``allow_two``.
Threat model
    A server that deviates as it likes and works with up to c = `colluding` clients learns no more than the sum over
    one set of at least the threshold t of clients, for 2 t > n + c: it would need t answers each for two sets, and n
    clients of whom c answer twice give fewer. The c clients know their own values, so that what is learned of the
    others is the sum over at least t - c >= 2 of them. A client answers once and holds its keys in memory alone.
    Clients are semi-honest towards the result: one that lies about its value changes the sum by as much as its bound
    allows, or by any amount if it deviates; one that sends wrong shares is found out, and the sum fails unless enough
    others' fit with few left out. The party that adds up in a group is trusted to pass the sum on unchanged. A party
    that sums the same values twice with others missing shows the difference, as with any exact sum; within one call
    that is prevented.
Rounds and bytes
    Four messages from each client and four to it. One of them is the vector: 4 bytes a value while n times the largest
    whole number stays below 2^31, else 8. Beside it a client of n sends some 190 n + 300 bytes and receives 370 n. In a
    group the sum comes back with as many bytes as the vector, and every two parties exchange a key first.
Reference
    Bonawitz and others: Practical secure aggregation for privacy-preserving machine learning (CCS 2017), with its
    consistency check folded into the unmasking.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from fusion.aggregation.encoding import MAX_DECIMALS, decode, encode, scaled_limit, whole
from fusion.aggregation.masked.client import Client
from fusion.aggregation.masked.parameters import Parameters
from fusion.aggregation.masked.rounds import Rounds
from fusion.aggregation.masked.talk import OPERATION, Hosted, LocalSeat, attend, gone, host, swap
from fusion.aggregation.masked.threads import in_parallel
from fusion.channel import Channel, Group, Identity
from fusion.channel.identity import check_fingerprint, check_name
from fusion.disclosure.masked import refuse_masked
from fusion.errors import FusionError, InputError, MismatchError, PeerError, TransportError

__all__ = ["SecureSum", "secure_sum"]


@dataclass(frozen=True, slots=True, eq=False)
class SecureSum:
    """What `secure_sum` gives.

    Attributes
    ----------
    total : numpy.ndarray or None
        The sum: int64, or float64 with ``decimals``. None for the client of a server.
    included : tuple of str
        The parties whose values are in it.
    """

    total: npt.NDArray[Any] | None = field(repr=False)
    included: tuple[str, ...]


def secure_sum(
    peers: Group | Channel,
    vector: Any,
    *,
    bound: float = 2**31,
    decimals: int = 0,
    threshold: int | None = None,
    colluding: int | None = None,
    allow_two: bool = False,
    clients: Mapping[str, str] | None = None,
    identity: Identity | None = None,
) -> SecureSum:
    """Add up everybody's vector without showing anybody's. All parties call this.

    Parameters
    ----------
    peers : Group or Channel
        In a group without a server, and at a server: the channels to all the others. At the client of a server: the
        channel to it.
    vector : array-like or None
        This party's values, of the same number everywhere: integers, or floats. None at a server. Values add up by
        position: labels of a Series or frame are not compared, so bring them into one order first.
    bound : float
        The largest magnitude that a value may have; equal everywhere. Small ones halve the bytes: see Notes.
    decimals : int
        Values are rounded to so many decimals, half to even; the sum is then exact. Equal everywhere.
    threshold : int, optional
        How many parties must stay to the end; the smallest safe number unless given.
    colluding : int, optional
        How many of the clients may work with the server, the largest number below a third unless given, at least one.
        In a group the party that adds up counts as one of them.
    allow_two : bool
        Allow sums over two parties: **each of them learns the other's value**.
    clients : mapping of str to str, optional
        At the client of a server: the fingerprint of every client by name, its own included.
    identity : Identity, optional
        At the client of a server: its own.

    Returns
    -------
    SecureSum

    Raises
    ------
    InputError
        When a value is missing, infinite or beyond the bound (the row is named, and nothing has left), or arguments
        do not fit.
    MismatchError
        When the parties ask for different things.
    TransportError
        When fewer than the threshold are left.
    PeerAborted, PeerError, PolicyError
        See `fusion.errors`.

    Notes
    -----
    Parties may fail between any two messages; the sum goes on without them while the threshold is met, and
    ``included`` says whose values are in it. A word has 4 bytes when the number of parties times ``bound`` times
    10**decimals is below 2^31, else 8. The module `fusion.aggregation.masked.sum` states the protocol and what each
    party learns; ``peer.receipt()`` tells what was done on a channel.

    Examples
    --------
    >>> import fusion
    >>> out = fusion.simulate(
    ...     north=lambda peers: fusion.aggregation.secure_sum(peers, [1, 2], bound=100),
    ...     south=lambda peers: fusion.aggregation.secure_sum(peers, [10, 20], bound=100),
    ...     west=lambda peers: fusion.aggregation.secure_sum(peers, [100, -100], bound=100),
    ... )
    >>> out["north"].total.tolist(), out["west"].included
    ([111, -78], ('north', 'south', 'west'))
    """
    if not isinstance(peers, Group | Channel):
        raise InputError("the first argument is a group or a channel, from fusion.connect or fusion.simulate")
    group = peers if isinstance(peers, Group) else Group(peers.name, {peers.peer: peers})
    try:
        if clients is None and identity is not None:
            raise InputError("identity= goes with clients=, at the client of a server")
        decimals = whole(decimals, "decimals", 0, MAX_DECIMALS)
        limit = scaled_limit(bound, decimals)
        shape, values = (None, None) if vector is None else _encoded(vector, decimals, limit)
        call = _Call(group, shape, decimals, limit, threshold, colluding, allow_two)
        if values is None:
            if len(group) < 3 and not allow_two:
                raise InputError("without a vector this party is a server, for three clients or more; pass its vector")
            call.parameters(list(group), 0)
        elif clients is None:
            call.parameters([group.name, *group], values.size)
        else:
            call.check_clients(clients, identity)
    except InputError as error:
        _tell(group, error)
        raise
    if values is None:
        return call.server()
    if clients is None or identity is None:
        return call.among_all(values)
    return call.client_of_server(values, clients, identity)


@dataclass(frozen=True, slots=True, repr=False)
class _Call:
    """One party's arguments."""

    peers: Group
    shape: tuple[int, ...] | None
    decimals: int
    limit: int
    threshold: int | None
    colluding: int | None
    allow_two: bool

    def parameters(self, names: list[str], size: int) -> Parameters:
        return Parameters.choose(
            names,
            size=size,
            limit=self.limit,
            threshold=self.threshold,
            colluding=self.colluding,
            allow_two=self.allow_two,
        )

    def check_clients(self, clients: Mapping[str, str], identity: Identity | None) -> None:
        if len(self.peers) != 1:
            raise InputError("the client of a server passes its channel to that server, not a group")
        if not isinstance(identity, Identity):
            raise InputError("the client of a server needs identity=, the Identity that the others have pinned")
        for name, fingerprint in clients.items():
            check_name(name)
            check_fingerprint(fingerprint)
        (server,) = self.peers
        if server in clients:
            raise InputError(f"{server} is the server, and cannot be one of the clients")
        if clients.get(self.peers.name) != identity.fingerprint:
            raise InputError(f"clients= must hold {self.peers.name} with the fingerprint of its identity")
        if len(set(clients.values())) != len(clients):
            raise InputError("two clients have the same fingerprint; each has a key of its own")
        self.parameters(list(clients), 0)

    def client_of_server(
        self, values: npt.NDArray[np.int64], clients: Mapping[str, str], identity: Identity
    ) -> SecureSum:
        (peer,) = self.peers.values()
        parameters = self.parameters(list(clients), values.size)
        seat = LocalSeat(Client(peer.name, parameters, clients, identity.sign, Rounds()), values)
        with peer.operation(OPERATION):
            self._open(peer, parameters, values.size, learn=peer.peer, step="server")
            try:
                attend(peer, parameters, seat)
                _finish(peer, parameters, seat.included, (peer.peer,))
            except FusionError as error:
                if seat.answered:
                    error.add_note(
                        f"{peer.peer} may have this sum all the same: one over the same values with any client missing "
                        "would show it that client's value, so run again with the same clients or not at all"
                    )
                raise
        return SecureSum(None, seat.included)

    def server(self) -> SecureSum:
        hosted = self._host(list(self.peers), self.peers, step="server")
        return self._result(hosted.total, hosted.included)

    def among_all(self, values: npt.NDArray[np.int64]) -> SecureSum:
        me = self.peers.name
        parameters = self.parameters([me, *self.peers], values.size)
        key = Ed25519PrivateKey.generate()
        pins = {me: _fingerprint(key.public_key().public_bytes_raw())} | self._meet(parameters, key)
        for candidate in parameters.clients:
            if candidate not in pins:
                continue
            if len(pins) < parameters.threshold:
                break
            # fresh keys: what was masked for another party that added up has no bearing on these
            seat = LocalSeat(Client(me, parameters, pins, key.sign, Rounds()), values)
            if candidate == me:
                channels = {name: self.peers[name] for name in pins if name != me}
                hosted = self._host(list(parameters.clients), channels, step=f"sum by {me}", local=seat)
                return self._result(hosted.total, hosted.included)
            peer = self.peers[candidate]
            try:
                with peer.operation(OPERATION):
                    self._open(peer, parameters, values.size, learn="both", step=f"sum by {candidate}")
                    attend(peer, parameters, seat)
                    if seat.total is None:
                        raise PeerError(f"{candidate} ended the sum without telling it")
                    _finish(peer, parameters, seat.included, parameters.clients)
                return self._result(seat.total, seat.included)
            except FusionError as error:
                if not gone(error):
                    raise
                if seat.answered:
                    # The candidate may have told that sum to one party that keeps quiet about it. Set against it,
                    # another sum would show the value of whoever is missing there, the candidate's own too.
                    raise TransportError(
                        f"{candidate} left when this party had answered, and may have told the sum to others: one "
                        f"without it would show its value to them, so there is none; run again when {candidate} is back"
                    ) from error
                del pins[candidate]
        raise TransportError(
            f"{len(pins)} of {len(parameters.clients)} parties are left; the threshold is {parameters.threshold}: "
            "see those that left, and run again"
        )

    def _meet(self, parameters: Parameters, key: Ed25519PrivateKey) -> dict[str, str]:
        """Give everybody the key that this party signs with, and get theirs: channels say who is who."""
        met: dict[str, str] = {}

        def meet(peer: Channel) -> None:
            with peer.operation(OPERATION):
                theirs = self._open(peer, parameters, parameters.size, learn="both", step="meeting")
                if theirs != parameters.size:
                    raise MismatchError("number of values", parameters.size, theirs)
                received = swap(peer, key.public_key().public_bytes_raw(), 32)
                try:
                    fingerprint = check_fingerprint(_fingerprint(received))
                except InputError:
                    raise PeerError(f"{peer.peer} sent a key that nobody can sign with") from None
                peer.finish({name: ["how many values the other brings"] for name in (peer.name, peer.peer)})
                met[peer.peer] = fingerprint

        for error in in_parallel({name: partial(meet, peer) for name, peer in self.peers.items()}).values():
            if error is not None and not gone(error):
                raise error
        owners = {_fingerprint(key.public_key().public_bytes_raw()): self.peers.name}
        for name, fingerprint in met.items():
            other = owners.setdefault(fingerprint, name)
            if other != name:
                raise PeerError(f"{name} and {other} announced the same key; one of them sent a copy")
        return met

    def _host(
        self, names: list[str], channels: Mapping[str, Channel], *, step: str, local: LocalSeat | None = None
    ) -> Hosted:
        me = self.peers.name
        announced = self.parameters(names, 0)
        rows, learn = (0, me) if local is None else (local.size, "both")
        learners = (me,) if local is None else announced.clients

        def settle(sizes: Mapping[str, int]) -> Parameters:
            size = next(iter(sizes.values()))
            for other in sizes.values():
                if other != size:
                    raise MismatchError("number of values", size, other)
            return self.parameters(names, size)

        return host(
            channels,
            announce=lambda peer: self._open(peer, announced, rows, learn=learn, step=step),
            settle=settle,
            finish=lambda peer, hosted: _finish(peer, announced, hosted.included, learners, hosted.notes),
            tell=local is not None,
            local=None if local is None else (me, local),
        )

    def _open(self, peer: Channel, parameters: Parameters, rows: int, *, learn: str, step: str) -> int:
        names = ", ".join(parameters.clients)
        if len(names) > 200:
            names = f"{len(parameters.clients)}, sha256 {hashlib.sha256(names.encode()).hexdigest()}"
        announced: dict[str, str | int] = {
            "step": step,
            "parties": names,
            "threshold": parameters.threshold,
            "colluding": parameters.colluding,
            "decimals": self.decimals,
            "largest": parameters.limit,
        }
        if step == "meeting" and self.shape is not None:
            # with the number of values this is the whole shape: matrices of another one are not added crosswise
            announced["shape of a row"] = str(self.shape[1:])
        return peer.open(learn=learn, kinds=(), rows=rows, parameters=announced).theirs.rows

    def _result(self, total: npt.NDArray[np.int64], included: tuple[str, ...]) -> SecureSum:
        shape = total.shape if self.shape is None else self.shape
        return SecureSum(decode(total, self.decimals).reshape(shape), included)


def _encoded(vector: Any, decimals: int, limit: int) -> tuple[tuple[int, ...], npt.NDArray[np.int64]]:
    """The shape of the values, and the values as whole numbers in one row."""
    refuse_masked(vector)
    try:
        values = np.asarray(vector)
    except ValueError:
        raise InputError("the values form no array; pass rows of one length") from None
    rows = values.reshape(values.shape[0] if values.ndim else 1, -1) if values.size else values.reshape(0, 1)
    return values.shape, encode(rows, decimals, limit).ravel()


def _tell(group: Group, error: InputError) -> None:
    """Leave every channel by the error, so that nobody waits for this party."""
    for peer in group.values():
        with contextlib.suppress(FusionError), peer.operation(OPERATION):
            raise error


def _fingerprint(key: bytes) -> str:
    return "ed25519:" + key.hex()


def _finish(
    peer: Channel,
    parameters: Parameters,
    included: tuple[str, ...],
    learners: tuple[str, ...],
    notes: tuple[str, ...] = (),
) -> None:
    """End the operation on a channel, with what each party learned."""
    left = sorted(set(parameters.clients) - set(included))
    who = f"who took part: {len(included)} of {len(parameters.clients)}"
    if left:
        who += f"; left out: {', '.join(left[:10])}{' and others' if len(left) > 10 else ''}"
    total = f"the sum over {len(included)} parties"
    peer.finish(
        {party: [who, total] if party in learners else [who] for party in (peer.name, peer.peer)},
        notes=notes,
        settled={"included": len(included), "bytes in a word": parameters.word},
    )
