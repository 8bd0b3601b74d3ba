"""`HomomorphicFedAvg`: federated averaging of encrypted updates, under a key that all clients hold. See the class."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec
from flwr.app import Message, MessageType, RecordDict
from flwr.serverapp import Grid

from fusion.aggregation.joint import Parameters, Server
from fusion.aggregation.joint.agreed import to_sign
from fusion.aggregation.joint.messages import Commitment
from fusion.aggregation.masked.agreed import verify
from fusion.aggregation.masked.messages import decode
from fusion.errors import InputError, PeerError
from fusion.flower import updates, wire
from fusion.flower.secure import Run, SecureFedAvg
from fusion.flower.terms import LABEL, Terms

__all__ = ["HomomorphicFedAvg", "joint_parameters"]


class HomomorphicFedAvg(SecureFedAvg):
    """Federated averaging of updates that travel encrypted: the server adds, and the clients open nothing but the sum.

    Parameters, attributes and what `start` raises are those of `SecureFedAvg`; its clients run a `HomomorphicMod`.

    Notes
    -----
    Functionality: the model plus the weighted mean of the clients' updates, and the weighted means of their metrics.

    Parties: the server, and n clients with a `HomomorphicMod` around their app, who know each other by pinned
    fingerprints. All of them hold the key together: **when one is missing, the round fails**. Only its update may be
    missing.

    Inputs: each client's update, weight and metrics. The server's model.

    Outputs: the server has the sums. Clients have the next model.

    Leakage: to the server, who took part in each round, and the sums over at least ``threshold`` of the clients: the
    sum of the weights too. To clients, the models.

    Threat model: as `fusion.aggregation.joint`. The server may deviate, and work with ``colluding`` clients that do.
    `SecureFedAvg` holds against the same, is cheaper, and goes on when clients leave; what this one has over it is
    that updates stay secret, where clients follow the protocol, from whoever breaks X25519 later.

    Rounds and bytes: three flights before the first round, then four flights a round, four more where clients evaluate.
    For each value of the model, with ten clients, a client sends 9.4 bytes as its update and 3.6 to open the sum, and
    receives 9.4 of the sum.

    Reference: docs/decisions/0024. B. McMahan and others, "Communication-Efficient Learning of Deep Networks from
    Decentralized Data" (AISTATS 2017).
    """

    def _choose(self) -> Parameters:
        return joint_parameters(self.terms, list(self.clients), lane=MessageType.TRAIN, values=1, rounds=1, about=b"")

    def _begin(self, grid: Grid, rounds: int, timeout: float) -> Run:
        return _JointRun(self.terms, self.clients, grid, rounds, timeout)


def joint_parameters(
    terms: Terms, clients: Sequence[str], *, lane: str, values: int, rounds: int, about: bytes
) -> Parameters:
    """The encrypted sums of one lane; as `Terms.parameters` has the masked ones."""
    chosen = Parameters.choose(
        clients,
        size=terms.overhead(lane) + values,
        run=hashlib.sha256(LABEL + b"joint/" + lane.encode() + b"\0" + terms.encoded() + about).digest(),
        threshold=terms.threshold,
        colluding=terms.colluding,
        rounds=rounds,
        allow_two=terms.allow_two,
    )
    if terms.max_examples is not None and terms.max_examples > chosen.limit:
        raise InputError(f"max_examples is at most {chosen.limit} with {len(clients)} clients; count in larger units")
    return msgspec.structs.replace(chosen, run=terms.bound_to_steps(chosen.run, chosen))


class _JointRun(Run):
    """The server's side of one run, and which node is which client."""

    _sums: dict[str, Server]

    def meet(self, layout: updates.Layout, wait: float) -> None:
        """Make the key of every lane with all clients."""
        about = layout.digest + self._grid.run.run_id.to_bytes(8, "little")
        self._sums = {
            lane: Server(
                joint_parameters(
                    self._terms,
                    list(self._clients),
                    lane=lane,
                    values=layout.size if lane == MessageType.TRAIN else 0,
                    rounds=self._rounds,
                    about=about,
                )
            )
            for lane in self._terms.lanes
        }
        for lane in self._terms.lanes:
            self._terms.plan(self._parameters(lane))  # more noise than the sums hold is refused before anybody is asked
        self._announce("commit", layout, wait)
        asked = wire.config(
            step="contribute", **{lane: self._enough(server.commitments) for lane, server in self._sums.items()}
        )
        for message in self._ask(dict.fromkeys(self._nodes, asked)):
            with self._blaming(message):
                name = self._nodes[message.metadata.src_node_id]
                found = wire.config_of(message, self._lanes, name)
                for lane, server in self._sums.items():
                    server.add_contribution(name, found[lane])
        asked = wire.config(
            step="accept", **{lane: self._enough(server.contributions) for lane, server in self._sums.items()}
        )
        for message in self._ask(dict.fromkeys(self._nodes, asked)):
            with self._blaming(message):
                wire.config_of(message, {}, self._nodes[message.metadata.src_node_id])

    def invite(self, lane: str, number: int, content: RecordDict) -> list[Message]:
        """The messages that ask for the updates of a round."""
        asked = wire.config(step="update", round=number - 1)
        self._begun = max(self._begun, number)
        return [
            Message(
                RecordDict({**content, wire.RECORD: asked}),
                dst_node_id=node,
                message_type=lane,
                group_id=str(number),
            )
            for node in self._nodes
        ]

    def open(self, lane: str, number: int, replies: list[Message]) -> tuple[updates.Mean, tuple[str, ...]]:
        """The mean of a round, and whose updates are in it."""
        server = self._sums[lane]
        current = server.round(number - 1)

        def each(messages: Iterable[Message], act: Callable[[str, Message], None]) -> None:
            for message in messages:
                with self._blaming(message):
                    name = self._nodes[message.metadata.src_node_id]
                    act(name, message)

        def small(step: str, add: Callable[[str, bytes], None], to: Iterable[int], **fields: bytes) -> None:
            asked = wire.config(step=step, **fields)
            each(
                self._ask(dict.fromkeys(to, asked), lane, number),
                lambda name, message: add(name, wire.config_of(message, {step: bytes}, name)[step]),
            )

        each(
            self._good(replies), lambda name, message: current.add_update(name, wire.vector_of(message, "update", name))
        )
        small("coin", current.add_coin, self._nodes, claim=self._enough(current.claim))
        included = current.included
        inside = [node for node, name in self._nodes.items() if name in included]
        small("projection", current.add_projection, inside, challenge=self._enough(current.challenge))
        evidence = wire.vector(self._enough(current.evidence), "evidence")
        # the same record for all: Flower sends its pieces once
        opened = [
            Message(
                RecordDict({wire.RECORD: wire.config(step="open"), wire.LONG: evidence}),
                dst_node_id=node,
                message_type=lane,
                group_id=str(number),
            )
            for node in self._nodes
        ]
        each(
            self._good(list(self._grid.send_and_receive(opened, timeout=self._timeout))),
            lambda name, message: current.add_part(name, wire.vector_of(message, "part", name)),
        )
        total = self._enough(current.total)
        return self._mean(lane, included, total), included

    def _parameters(self, lane: str) -> Parameters:
        return self._sums[lane].parameters

    def _introduce(self, node: int, found: Mapping[str, bytes]) -> None:
        """Take a node for the client whose identity has signed its commitments."""
        names = set()
        for lane, server in self._sums.items():
            commitment = decode(found[lane], Commitment, "a client")
            if commitment.client >= len(server.parameters.clients):
                raise PeerError("a node committed to a key as a client that is not in this run")
            name = server.parameters.clients[commitment.client]
            if not verify(self._clients[name], commitment.signature, to_sign(commitment)):
                raise PeerError(f"a node committed to a key as {name}, whose identity has not signed that")
            names.add(name)
        if len(names) != 1 or names & set(self._nodes.values()):
            raise PeerError("a node committed to keys as two clients, or as one that another node has announced")
        (name,) = names
        for lane, server in self._sums.items():
            server.add_commitment(name, found[lane])
        self._nodes[node] = name
