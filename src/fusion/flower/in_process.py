"""A Flower federation inside one process: no ray, no server, no sockets. For notebooks and tests.

Messages and contexts pass through Flower's own encoding, as they do between processes: what cannot be encoded fails
here too, and nothing is shared between nodes by accident. Nodes are served one after the other.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence

from flwr.app import Context, Error, Message, RecordDict
from flwr.app.message import make_message
from flwr.clientapp import ClientApp
from flwr.common.constant import ErrorCode
from flwr.common.serde import recorddict_from_proto, recorddict_to_proto
from flwr.serverapp import Grid, ServerApp
from flwr.supercore.run import Run
from flwr.supercore.task_identity import TaskIdentity

from fusion.errors import InputError

__all__ = ["InProcessGrid", "run_in_process"]

Values = Mapping[str, bool | float | int | str]


class InProcessGrid(Grid):
    """The grid of such a federation.

    Parameters
    ----------
    client_app : ClientApp or callable
        What every node runs; a callable takes a message and a context and returns the reply, as a ClientApp does.
    nodes : int or sequence of mappings
        How many nodes, or the configuration of each. ``partition-id`` and ``num-partitions`` are added, as in Flower's
        own simulation.
    run_config : mapping, optional
        The run's configuration, for all apps.
    run_id : int
        The number of the run.
    """

    def __init__(
        self,
        client_app: ClientApp | Callable[[Message, Context], Message],
        nodes: int | Sequence[Values],
        run_config: Values | None = None,
        *,
        run_id: int = 1,
    ) -> None:
        configs = [{} for _ in range(nodes)] if isinstance(nodes, int) else [dict(node) for node in nodes]
        if not configs:
            raise InputError("a federation has at least one node")
        self.contexts = {
            number: Context(
                run_id=run_id,
                node_id=number,
                node_config={"partition-id": number - 1, "num-partitions": len(configs)} | config,
                state=RecordDict(),
                run_config=dict(run_config or {}),
            )
            for number, config in enumerate(configs, 1)
        }
        self._client_app = client_app
        self._run = Run.create_empty(run_id)
        self._replies: dict[str, Message] = {}

    def serve(self, server_app: ServerApp) -> Context:
        """Run a ServerApp on this grid to its end, and give back its context."""
        context = Context(
            run_id=self._run.run_id,
            node_id=0,
            node_config={},
            state=RecordDict(),
            run_config=dict(self.contexts[1].run_config),
        )
        self._identify()
        server_app(self, context)
        return context

    def _identify(self) -> None:
        # A message takes the sender and the run from this global of the process, which is not public. Here alone.
        TaskIdentity.run_id = self._run.run_id
        TaskIdentity.node_id = 0
        TaskIdentity.task_id = 0

    def deliver(self, message: Message) -> Message | None:
        """What becomes of one message: the node's reply, or None when one of the two is lost."""
        context = self.contexts[message.metadata.dst_node_id]
        # a copy of the state: what the app changes is kept only when it returns, as at a node
        working = Context(
            run_id=context.run_id,
            node_id=context.node_id,
            node_config=dict(context.node_config),
            state=_copied(context.state),
            run_config=dict(context.run_config),
        )
        received = make_message(metadata=message.metadata, content=_copied(message.content))
        try:
            reply = self._client_app(received, working)
        except Exception as error:
            reason = f"{type(error)}:<'{error}'>"
            return Message(Error(code=ErrorCode.CLIENT_APP_RAISED_EXCEPTION, reason=reason), reply_to=message)
        context.state = _copied(working.state)
        if reply.has_content():
            reply.content = _copied(reply.content)
        return reply

    def set_run(self, run: Run) -> None:
        """The run is set from the beginning."""
        raise InputError("the run of this grid is set when it is made; give run_id there")

    @property
    def run(self) -> Run:
        """What Flower knows of the run."""
        return self._run

    def create_message(
        self, content: RecordDict, message_type: str, dst_node_id: int, group_id: str, ttl: float | None = None
    ) -> Message:
        """A message to a node."""
        return Message(content, dst_node_id, message_type, ttl=ttl, group_id=group_id)

    def get_node_ids(self) -> Iterable[int]:
        """The nodes, from 1."""
        return list(self.contexts)

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        """Deliver messages; the replies wait until they are pulled."""
        pushed = []
        for message in messages:
            message.metadata.__dict__["_message_id"] = number = uuid.uuid4().hex
            pushed.append(number)
            reply = self.deliver(message)
            if reply is not None:
                reply.metadata.__dict__["_message_id"] = uuid.uuid4().hex
                self._replies[number] = reply
        return pushed

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        """The replies to these messages that have come."""
        return [self._replies.pop(number) for number in message_ids if number in self._replies]

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> Iterable[Message]:
        """Deliver messages, and give back the replies that come; nothing is waited for."""
        return self.pull_messages(self.push_messages(messages))


def run_in_process(
    server_app: ServerApp,
    client_app: ClientApp,
    nodes: int | Sequence[Values],
    run_config: Values | None = None,
) -> Context:
    """Run a whole federation in this process: a ServerApp, and a ClientApp at each of the nodes.

    Parameters
    ----------
    server_app, client_app
        The two apps, as for ``flwr run``.
    nodes : int or sequence of mappings
        How many nodes, or the configuration of each.
    run_config : mapping, optional
        The run's configuration, for all apps.

    Returns
    -------
    Context
        The ServerApp's, with what it left in ``state``.
    """
    return InProcessGrid(client_app, nodes, run_config).serve(server_app)


def _copied(record: RecordDict) -> RecordDict:
    return recorddict_from_proto(recorddict_to_proto(record))
