"""The grid in one process behaves as Flower's own do."""

from __future__ import annotations

import pytest
from flwr.app import ConfigRecord, Context, Message, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp

from fusion.errors import InputError
from fusion.flower import InProcessGrid, run_in_process


def counting() -> ClientApp:
    app = ClientApp()

    @app.query("count")
    def count(message: Message, context: Context) -> Message:
        before = context.state.config_records.get("count", ConfigRecord({"n": 0}))["n"]
        context.state["count"] = ConfigRecord({"n": before + 1})
        message.content["asked"]["by"] = "somebody else"  # of the node's own copy
        if context.run_config.get("fail"):
            raise ValueError("no luck")
        own = {
            "n": before + 1,
            "part": context.node_config["partition-id"],
            "site": context.node_config.get("site", ""),
        }
        return Message(RecordDict({"told": ConfigRecord(own)}), reply_to=message)

    return app


def ask(grid: Grid, nodes: list[int]) -> list[Message]:
    record = RecordDict({"asked": ConfigRecord({"by": "me"})})
    messages = [Message(record, dst_node_id=node, message_type="query.count") for node in nodes]
    replies = list(grid.send_and_receive(messages))
    assert record["asked"]["by"] == "me"
    assert [reply.metadata.reply_to_message_id for reply in replies] == [each.metadata.message_id for each in messages]
    return replies


def test_state_is_of_one_node_and_outlives_its_messages() -> None:
    found = []
    server = ServerApp()

    @server.main()
    def main(grid: Grid, context: Context) -> None:
        assert list(grid.get_node_ids()) == [1, 2]
        assert grid.run.run_id == 1
        for nodes in ([1, 2], [2], [2, 1]):
            found.append([tuple(reply.content["told"].values()) for reply in ask(grid, nodes)])
        context.state["done"] = ConfigRecord({"yes": True})

    left = run_in_process(server, counting(), [{"site": "a"}, {"site": "b"}])
    assert found == [[(1, 0, "a"), (1, 1, "b")], [(2, 1, "b")], [(3, 1, "b"), (2, 0, "a")]]
    assert left.state["done"]["yes"]


def test_an_exception_is_an_error_reply_and_leaves_no_state() -> None:
    grid = InProcessGrid(counting(), 1, {"fail": True})
    server = ServerApp()

    @server.main()
    def main(grid: Grid, context: Context) -> None:
        (reply,) = ask(grid, [1])
        assert reply.has_error()
        assert "no luck" in reply.error.reason

    grid.serve(server)
    assert not grid.contexts[1].state


def test_a_message_that_flower_has_created_and_arguments() -> None:
    grid = InProcessGrid(counting(), 2, run_id=7)
    server = ServerApp()

    @server.main()
    def main(grid: Grid, context: Context) -> None:
        made = grid.create_message(RecordDict({"asked": ConfigRecord({"by": "x"})}), "query.count", 2, "")
        pushed = list(grid.push_messages([made]))
        assert [message.metadata.run_id for message in grid.pull_messages(pushed)] == [7]
        assert list(grid.pull_messages(pushed)) == []  # once

    grid.serve(server)
    with pytest.raises(InputError, match="run_id"):
        grid.set_run(grid.run)
    for nodes in (0, []):
        with pytest.raises(InputError, match="at least one node"):
            InProcessGrid(counting(), nodes)
