"""`SecureFedAvg`: federated averaging where the server sees sums of updates only. See the class."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from logging import INFO, WARNING
from typing import TypeVar

import msgspec
import numpy as np
import numpy.typing as npt
from flwr.app import ArrayRecord, ConfigRecord, Message, MessageType, MetricRecord, RecordDict
from flwr.serverapp import Grid
from flwr.serverapp.strategy import Result, Strategy
from flwr.supercore import log

from fusion.aggregation import joint
from fusion.aggregation.masked import Parameters, Server
from fusion.aggregation.masked.agreed import check_keys, keys_to_sign, verify
from fusion.errors import FusionError, InputError, PeerError, TransportError
from fusion.flower import updates, wire
from fusion.flower.member import check_clients
from fusion.flower.terms import Terms

__all__ = ["SecureFedAvg"]

T = TypeVar("T")
_COARSE = 1e-5


class SecureFedAvg(Strategy):
    """Federated averaging of updates that the server cannot see: it gets their sum, weighted, over all who answered.

    Parameters
    ----------
    terms : Terms
        As every client has them.
    clients : mapping of str to str
        The fingerprint of every client by name; see `load_clients`.
    wait : float
        Seconds to wait for all clients to connect, before the run begins with those there are.
    arrayrecord_key, configrecord_key : str
        What Flower's own averaging calls the records that it sends.

    Attributes
    ----------
    included : dict of int to tuple of str
        Whose updates are in the model, by round.

    Notes
    -----
    Functionality: the model plus the weighted mean of the clients' updates, and the weighted means of their metrics.

    Parties: the server, and n clients with a `SecureMod` around their app, who know each other by pinned fingerprints.

    Inputs: each client's update, weight and metrics. The server's model.

    Outputs: the server has the sums. Clients have the next model.

    Leakage: to the server, who took part in each round, who refused and why, and the sums over at least ``threshold``
    of the clients: the sum of the weights too. To clients, the models.

    Threat model: as `fusion.aggregation.secure_sum` with a server, which may deviate and work with ``colluding``
    clients. It still chooses the models: it may train on the same one again without one client, and subtract, unless
    ``threshold`` is their number. Whoever sends the clients their code sees everything, if that code says so.

    Rounds and bytes: two flights before the first round, then two flights a round, two more where clients evaluate. A
    client sends 4 bytes for each value of the model and some 130 n in a round; before, 64 + 66 n bytes for each round
    of the run, and receives 64 n + 66 n of them.

    Reference: K. Bonawitz and others, "Practical Secure Aggregation for Privacy-Preserving Machine Learning" (CCS
    2017), with the changes that `fusion.aggregation.masked` states. B. McMahan and others, "Communication-Efficient
    Learning of Deep Networks from Decentralized Data" (AISTATS 2017).
    """

    def __init__(
        self,
        terms: Terms,
        clients: Mapping[str, str],
        *,
        wait: float = 60.0,
        arrayrecord_key: str = "arrays",
        configrecord_key: str = "config",
    ) -> None:
        self.terms = terms
        self.clients = check_clients(clients)
        self.included: dict[int, tuple[str, ...]] = {}
        self._wait = wait
        self._keys = (arrayrecord_key, configrecord_key)
        self._run: Run | None = None
        self._plan: tuple[int, float] | None = None
        self._arrays = ArrayRecord()
        # what does not protect is refused before anything runs
        self._chosen = self._choose()

    @property
    def epsilon_spent(self) -> float:
        """The epsilon of the rounds so far, those that failed included; infinite without noise. See `Noise`."""
        if self.terms.noise is None:
            return math.inf
        return 0.0 if self._run is None else self._run.spent

    def summary(self) -> None:
        """Log what was agreed."""
        chosen, most = self._chosen, self.terms.max_examples
        weights = f"weights up to {most}" if most else "all count the same"
        log(INFO, "\t├──> Clients: %d, of whom each sum needs %d", len(chosen.clients), chosen.threshold)
        log(INFO, "\t├──> May work with the server: %d", chosen.colluding)
        log(INFO, "\t├──> Updates: up to %g, %s", self.terms.largest, weights)
        log(INFO, "\t└──> Noise: %s", self.terms.noise or "none")

    def start(
        self,
        grid: Grid,
        initial_arrays: ArrayRecord,
        num_rounds: int = 3,
        timeout: float = 3600,
        train_config: ConfigRecord | None = None,
        evaluate_config: ConfigRecord | None = None,
        evaluate_fn: Callable[[int, ArrayRecord], MetricRecord | None] | None = None,
    ) -> Result:
        """Run the federation; arguments and result as for any strategy of Flower.

        Raises
        ------
        TransportError
            When fewer clients than the threshold are left in a round. The model of the round before has been passed
            to ``evaluate_fn``: keep it there.
        InputError
            When the arrays are not of floats, or the terms do not fit.
        PeerError
            When a client's messages do not fit what it has said before.
        """
        self._plan = (num_rounds, timeout)
        self._run = None
        self.included = {}
        return super().start(grid, initial_arrays, num_rounds, timeout, train_config, evaluate_config, evaluate_fn)

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """The model for every client; before the first round, their keys."""
        if self._run is None:
            if self._plan is None:
                raise InputError("this strategy is run by start(), which says how many rounds its keys must serve")
            self._run = self._begin(grid, *self._plan)
            self._run.meet(updates.Layout.of(arrays, "the server"), self._wait)
        self._arrays = arrays
        return self._run.invite(MessageType.TRAIN, server_round, self._records(server_round, arrays, config))

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """Open the sum, with a second flight, and move the model by its mean."""
        mean, names = self._opened(MessageType.TRAIN, server_round, replies)
        self.included[server_round] = names
        return updates.moved(self._arrays, mean.update), updates.metric_record(mean)

    def configure_evaluate(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """The model for every client, if the terms have metrics of evaluation."""
        if MessageType.EVALUATE not in self.terms.lanes or self._run is None:
            return []
        return self._run.invite(MessageType.EVALUATE, server_round, self._records(server_round, arrays, config))

    def aggregate_evaluate(self, server_round: int, replies: Iterable[Message]) -> MetricRecord | None:
        """Open the sum of the metrics, with a second flight."""
        if MessageType.EVALUATE not in self.terms.lanes:
            return None
        return updates.metric_record(self._opened(MessageType.EVALUATE, server_round, replies)[0])

    def _choose(self) -> Parameters | joint.Parameters:
        """The sums of a model without values."""
        return self.terms.parameters(list(self.clients), lane=MessageType.TRAIN, values=0, rounds=1, about=b"")

    def _begin(self, grid: Grid, rounds: int, timeout: float) -> Run:
        return Run(self.terms, self.clients, grid, rounds, timeout)

    def _records(self, server_round: int, arrays: ArrayRecord, config: ConfigRecord) -> RecordDict:
        config["server-round"] = server_round
        return RecordDict(dict(zip(self._keys, (arrays, config), strict=True)))

    def _opened(self, lane: str, number: int, replies: Iterable[Message]) -> tuple[updates.Mean, tuple[str, ...]]:
        if self._run is None:
            raise InputError("this strategy is run by start()")
        return self._run.open(lane, number, list(replies))


class Run:
    """The server's side of one run, and which node is which client."""

    def __init__(self, terms: Terms, clients: Mapping[str, str], grid: Grid, rounds: int, timeout: float) -> None:
        self._terms = terms
        self._clients = clients
        self._grid = grid
        self._rounds = rounds
        self._timeout = timeout
        self._nodes: dict[int, str] = {}
        self._servers: dict[str, Server] = {}
        self._inboxes: dict[str, dict[str, bytes]] = {}
        self._complaints: dict[str, str] = {}
        self._begun = 0

    @property
    def spent(self) -> float:
        """The epsilon of the rounds that have begun."""
        if not self._begun:
            return 0.0
        amount = self._terms.plan(self._parameters(MessageType.TRAIN)).amount
        return math.inf if amount is None else amount.spent(self._begun)

    def meet(self, layout: updates.Layout, wait: float) -> None:
        """Collect everybody's keys and shares."""
        terms = self._terms
        about = layout.digest + self._grid.run.run_id.to_bytes(8, "little")
        for lane in terms.lanes:
            values = layout.size if lane == MessageType.TRAIN else 0
            parameters = terms.parameters(
                list(self._clients), lane=lane, values=values, rounds=self._rounds, about=about
            )
            self._servers[lane] = Server(parameters)
        self._announce("keys", layout, wait)
        rosters = {lane: self._enough(server.roster) for lane, server in self._servers.items()}
        asked = wire.config(step="shares", **rosters)
        for message in self._ask(dict.fromkeys(self._nodes, asked)):
            with self._blaming(message):
                name = self._nodes[message.metadata.src_node_id]
                found = wire.config_of(message, self._lanes, name)
                for lane, server in self._servers.items():
                    server.add_shares(name, found[lane])
        self._inboxes = {lane: self._enough(server.inboxes) for lane, server in self._servers.items()}

    def invite(self, lane: str, number: int, content: RecordDict) -> list[Message]:
        """The messages that ask for the vectors of a round."""
        inboxes = self._inboxes[lane]
        self._begun = max(self._begun, number)
        return [
            Message(
                RecordDict(
                    {
                        **content,
                        wire.RECORD: wire.config(step="vector", round=number - 1, inbox=inboxes[name]),
                    }
                ),
                dst_node_id=node,
                message_type=lane,
                group_id=str(number),
            )
            for node, name in self._nodes.items()
            if name in inboxes
        ]

    def open(self, lane: str, number: int, replies: list[Message]) -> tuple[updates.Mean, tuple[str, ...]]:
        """The mean of a round, and whose vectors are in it."""
        server = self._servers[lane]
        current = server.round(number - 1)
        for message in self._good(replies):
            with self._blaming(message):
                name = self._nodes[message.metadata.src_node_id]
                current.add_masked(name, wire.vector_of(message, "masked", name))
        asked = wire.config(step="answer", round=number - 1, survivors=self._enough(current.survivors))
        included = current.included
        nodes = [node for node, name in self._nodes.items() if name in included]
        for message in self._ask(dict.fromkeys(nodes, asked), lane, number):
            with self._blaming(message):
                name = self._nodes[message.metadata.src_node_id]
                current.add_answer(name, wire.config_of(message, {"answer": bytes}, name)["answer"])
        total = self._enough(current.total)
        for name in current.wrong:
            log(
                WARNING,
                "%s: its answer does not fit the others', which were enough; it or one that dealt to it is at fault",
                name,
            )
        return self._mean(lane, included, total), included

    def _parameters(self, lane: str) -> Parameters | joint.Parameters:
        return self._servers[lane].parameters

    def _mean(self, lane: str, included: Sequence[str], total: npt.NDArray[np.int64]) -> updates.Mean:
        """What a sum says, with the server's noise."""
        plan = self._terms.plan(self._parameters(lane))
        if plan.amount is not None and plan.amount.noise.by == "server":
            total += plan.amount.share(total.size)
        mean = updates.decoded(self._terms, plan, lane, len(included), total)
        # half a step for each client, in parts of a bound
        off = 0.5 * len(included) * (self._terms.max_examples or 1) / mean.weight / plan.steps
        if off > _COARSE:
            log(WARNING, "averages are good to %.1g of their bounds only; state a smaller max_examples", off)
        return mean

    @property
    def _lanes(self) -> dict[str, type]:
        """The fields of a message that has something for every lane."""
        return dict.fromkeys(self._terms.lanes, bytes)

    def _announce(self, step: str, layout: updates.Layout, wait: float) -> None:
        """Ask every node for the first words of its clients, and take it for who they are."""
        asked = wire.config(
            step=step,
            terms=self._terms.encoded(),
            clients=msgspec.msgpack.encode(dict(self._clients)),
            rounds=self._rounds,
            values=layout.size,
            layout=layout.digest,
        )
        for message in self._ask(dict.fromkeys(self._connected(wait), asked)):
            with self._blaming(message):
                self._introduce(message.metadata.src_node_id, wire.config_of(message, self._lanes, "a client"))

    def _introduce(self, node: int, found: Mapping[str, bytes]) -> None:
        """Take a node for the client whose identity has signed its keys."""
        names = set()
        for lane, server in self._servers.items():
            keys = check_keys(found[lane], server.parameters, "a client")
            name = server.parameters.clients[keys.client]
            if not verify(self._clients[name], keys.signature, keys_to_sign(keys)):
                raise PeerError(f"a node announced keys of {name} that its identity has not signed")
            names.add(name)
        if len(names) != 1 or names & set(self._nodes.values()):
            raise PeerError("a node announced keys of two clients, or those of one that another node has announced")
        (name,) = names
        for lane, server in self._servers.items():
            server.add_keys(name, found[lane])
        self._nodes[node] = name

    def _connected(self, wait: float) -> list[int]:
        deadline = time.monotonic() + wait
        while len(nodes := list(self._grid.get_node_ids())) < len(self._clients) and time.monotonic() < deadline:
            log(INFO, "Waiting for clients: %d of %d connected", len(nodes), len(self._clients))
            time.sleep(1)
        return nodes

    def _ask(
        self, asked: Mapping[int, ConfigRecord], lane: str = MessageType.TRAIN, number: int = 0
    ) -> Iterator[Message]:
        """Send a small message to each node, and give the replies that are no errors."""
        messages = [
            Message(RecordDict({wire.RECORD: record}), dst_node_id=node, message_type=lane, group_id=str(number))
            for node, record in asked.items()
        ]
        return self._good(list(self._grid.send_and_receive(messages, timeout=self._timeout)))

    def _good(self, replies: list[Message]) -> Iterator[Message]:
        self._complaints = {}
        for message in replies:
            if message.has_error():
                self._blame(message, message.error.reason or "an error without a reason")
            else:
                yield message

    @contextlib.contextmanager
    def _blaming(self, message: Message) -> Iterator[None]:
        """Leave a client out whose message cannot be used; the sum goes on while there are enough."""
        try:
            yield
        except FusionError as error:
            self._blame(message, str(error))

    def _blame(self, message: Message, reason: str) -> None:
        node = message.metadata.src_node_id
        # what a client says of itself may be anything
        said = "".join(each if each.isprintable() else " " for each in reason)[:300]
        who = self._nodes.get(node, f"node {node}")
        self._complaints[who] = said
        log(WARNING, "%s is left out: %s", who, said)

    def _enough(self, act: Callable[[], T]) -> T:
        """Do what needs the threshold of clients; with fewer, say why the others were left out."""
        try:
            return act()
        except TransportError as error:
            why = "".join(f"; {who}: {reason}" for who, reason in list(self._complaints.items())[:3])
            raise TransportError(f"{error}{why}") from None
