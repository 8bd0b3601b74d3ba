"""Two parties introduced by a server: their processes, what passes through its hands, and what goes wrong."""

from __future__ import annotations

import contextlib
import functools
import importlib
import itertools
import os
import random
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from flwr.app import Context, Message, RecordDict

from fusion.channel import Identity, allow_all
from fusion.errors import InputError, PeerError, TransportError
from fusion.flower import InProcessGrid, attend, attendance, find_parties, introduce, wire, worker
from fusion.flower.descriptor import Descriptor, Job, Visit, folder_of_sessions

from . import roles

ALLOW = "fusion.channel.policy:allow_all"
ROLES = {name: getattr(roles, name) for name in ("match", "fail", "talk", "die")}


def app(message: Message, context: Context) -> Message:
    return attend(message, context, ROLES)


class Federation(InProcessGrid):
    """Nodes that are served at the same time, and a road that may lose messages or replies."""

    def __init__(self, nodes: list[dict[str, Any]], **more: Any) -> None:
        super().__init__(app, nodes, **more)
        self._identify()
        self.lose: Callable[[], bool] = lambda: False
        self.seen: list[bytes] = []
        self.turns = 0

    def deliver(self, message: Message) -> Message | None:
        if self.lose():
            return None
        reply = super().deliver(message)
        if reply is not None and reply.has_content():
            self.seen += [str(reply.content).encode(), *(wire_bytes(message)), *(wire_bytes(reply))]
        return None if self.lose() else reply

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        self.turns += 1
        with ThreadPoolExecutor(4) as pool:
            return [number for [number] in pool.map(lambda one: super(Federation, self).push_messages([one]), messages)]


def wire_bytes(message: Message) -> list[bytes]:
    return [array.data for record in message.content.array_records.values() for array in record.values()]


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Here a reply that has not come with its message never comes."""
    monkeypatch.setattr("fusion.flower.introduction._MESSAGE", 0.0)
    monkeypatch.setattr("fusion.flower.introduction._LOOK", 0.0)


@pytest.fixture(autouse=True)
def sessions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of sessions of this test's own; what still runs in the end is ended."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    folder = folder_of_sessions()
    yield folder
    for path in folder.glob("*.session"):
        with contextlib.suppress(ProcessLookupError, ValueError):
            os.kill(int(path.read_text()), signal.SIGKILL)


@pytest.fixture
def federation(tmp_path: Path) -> Federation:
    names = ("bank", "partner")
    keys = {name: Identity.create(name, tmp_path / f"{name}.key") for name in names}
    nodes = []
    port = free_port()
    for start, (name, other) in enumerate([names, names[::-1]]):
        party = tmp_path / f"{name}.toml"
        party.write_text(
            f'name = "{name}"\nidentity = "{name}.key"\ntimeout = 30\n'
            + (f'listen = "127.0.0.1:{port}"\n' if name == "bank" else "")
            + f'[peers.{other}]\nfingerprint = "{keys[other].fingerprint}"\n'
            + (f'address = "127.0.0.1:{port}"\n' if name == "partner" else "")
        )
        nodes.append({"fusion-party": str(party), "start": 300 * start, "runs": str(tmp_path / f"{name}.runs")})
    return Federation(nodes)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.mark.parametrize("via", ["relay", "tls"])
def test_two_parties_meet(federation: Federation, via: Any, sessions: Path) -> None:
    parties = find_parties(federation, ["bank", "partner"])
    assert parties == {"bank": 1, "partner": 2}
    federation.turns = 0
    found = introduce(federation, parties, "match", {"count": 1000}, via=via)
    assert [found[name]["rows"] for name in parties] == [700, 700]
    assert [found[name]["first"] for name in parties] == [300, 300]
    assert found["bank"]["pair"] == found["partner"]["pair"]
    assert len({found["bank"]["pid"], found["partner"]["pid"], os.getpid()}) == 3
    assert federation.turns == (8 if via == "relay" else 1)
    assert {path.stat().st_mode & 0o077 for path in sessions.glob("*.sock")} == {0}
    assert len(list(sessions.glob("*.sock"))) == 2
    carried = b"".join(federation.seen)
    assert len(carried) > (100_000 if via == "relay" else 0)
    assert b"psi.intersect" not in carried  # announced inside, in clear


@pytest.mark.parametrize("seed", range(2))
def test_messages_and_replies_get_lost(
    federation: Federation, seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fusion.flower.introduction._TRIES", 30)
    dice = random.Random(seed)
    federation.lose = lambda: dice.random() < 0.15
    found = introduce(federation, {"bank": 1, "partner": 2}, "match", {"count": 400})
    assert found["bank"]["rows"] == found["partner"]["rows"] == 100
    assert (tmp_path / "bank.runs").read_text() == "bank\n"  # once, whatever was repeated


def test_a_failure_is_told_by_class_and_not_by_text(federation: Federation) -> None:
    with pytest.raises(TransportError, match=r"bank with InputError, partner with PeerAborted") as raised:
        introduce(federation, {"bank": 1, "partner": 2}, "fail")
    assert "canary" not in str(raised.value)
    assert not any(b"canary" in each for each in federation.seen)


def test_a_role_returns_single_values(federation: Federation) -> None:
    with pytest.raises(TransportError, match="InputError"):
        introduce(federation, {"bank": 1, "partner": 2}, "talk")


def test_a_process_that_dies_ends_the_session(federation: Federation) -> None:
    with pytest.raises(TransportError, match="bank with TransportError"):
        introduce(federation, {"bank": 1, "partner": 2}, "die")


def test_an_operation_without_a_role(federation: Federation) -> None:
    with pytest.raises(TransportError, match="bank with InputError"):
        introduce(federation, {"bank": 1, "partner": 2}, "steal")


@pytest.mark.parametrize(
    "wrong",
    [{"operation": "two words"}, {"parameters": {"x": "y" * 300}}, {"parameters": {"x": [1]}}, {"via": "post"}],
    ids=["operation", "long text", "list", "via"],
)
def test_what_the_parties_would_not_take(federation: Federation, wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="operation and parameters"):
        introduce(federation, {"bank": 1, "partner": 2}, **{"operation": "match"} | wrong)
    assert not federation.seen


def test_a_node_without_a_party(federation: Federation) -> None:
    del federation.contexts[1].node_config["fusion-party"]
    with pytest.raises(TransportError, match="bank with InputError"):
        introduce(federation, {"bank": 1, "partner": 2}, "match", {"count": 10})


def test_a_strangers_exception_stays_at_the_node(federation: Federation, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ValueError("canary")

    monkeypatch.setattr("fusion.flower.attendance._visit", fail)
    with pytest.raises(TransportError, match="bank with Exception") as raised:
        introduce(federation, {"bank": 1, "partner": 2}, "match", {"count": 10})
    assert "canary" not in str(raised.value)
    assert not any(b"canary" in each for each in federation.seen)


def test_a_node_that_replies_nonsense(federation: Federation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fusion.flower.attendance._visit", lambda *_: Visit(state="dancing"))  # type: ignore[arg-type]
    with pytest.raises(PeerError, match="replied what it may not"):
        introduce(federation, {"bank": 1, "partner": 2}, "match", {"count": 10})


def test_a_party_that_nobody_is(federation: Federation) -> None:
    with pytest.raises(TransportError, match="no node says that it is 'bureau'"):
        find_parties(federation, ["bank", "bureau"], wait=0)


def test_the_wrong_node(federation: Federation) -> None:
    with pytest.raises(TransportError, match="PeerError"):
        introduce(federation, {"bank": 1, "bureau": 2}, "match", {"count": 10})


def test_a_server_that_tells_the_two_different_things(federation: Federation, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each party runs what it was told, and TLS finds that it was not the same."""
    honest = wire.config
    number = itertools.count()

    def config(**fields: Any) -> Any:
        if "descriptor" in fields and next(number) % 2:
            fields["descriptor"] = fields["descriptor"].replace(b"\xcd\x01\x90", b"\xcd\x01\x91")
        return honest(**fields)

    monkeypatch.setattr("fusion.flower.introduction.wire.config", config)
    for context in federation.contexts.values():
        party = Path(str(context.node_config["fusion-party"]))
        party.write_text(party.read_text().replace("timeout = 30", "timeout = 3"))
    with pytest.raises(TransportError, match="bank with TransportError, partner with TransportError"):
        introduce(federation, {"bank": 1, "partner": 2}, "match", {"count": 400}, via="tls")


def test_nothing_is_imported_from_the_folder_where_a_node_was_started(
    federation: Federation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "msgspec.py").write_text("raise SystemExit('not this one')")
    monkeypatch.chdir(tmp_path)
    introduce(federation, {"bank": 1, "partner": 2}, "match", {"count": 400})


def test_others_may_not_enter_the_folder(sessions: Path, federation: Federation) -> None:
    sessions.chmod(0o755)
    with pytest.raises(TransportError, match="InputError"):
        introduce(federation, {"bank": 1, "partner": 2}, "match", {"count": 10})


@pytest.mark.parametrize("via", ["relay", "tls"])
def test_a_party_with_a_policy(federation: Federation, via: Any, tmp_path: Path) -> None:
    """It is asked in the session's own process, and what it refuses is told by class."""
    federation._client_app = lambda message, context: attend(
        message, context, ROLES, policy=roles.few_rows if context.node_id == 1 else allow_all
    )
    parties = {"bank": 1, "partner": 2}
    assert introduce(federation, parties, "match", {"count": 400}, via=via)["bank"]["rows"] == 100
    with pytest.raises(TransportError, match="bank with PolicyError, partner with PeerAborted"):
        introduce(federation, parties, "match", {"count": 500}, via=via)
    assert not any(b"canary" in each for each in federation.seen)
    assert (tmp_path / "partner.runs").read_text() == "partner\n"


@functools.wraps(allow_all)
def renamed(*_: Any) -> None:
    raise AssertionError


@pytest.mark.parametrize(
    "policy",
    [
        lambda *_: None,
        renamed,
        functools.partial(roles.few_rows, "bank"),
        Path.cwd,
        roles.at_most(10)(roles.limited),
        roles.at_most(1000)(roles.limited),
    ],
)
def test_a_policy_that_another_process_does_not_find(federation: Federation, policy: Any) -> None:
    """Nor may it find another function, by a name that was borrowed."""
    federation._client_app = lambda message, context: attend(message, context, ROLES, policy=policy)
    with pytest.raises(TransportError, match="bank with InputError, partner with InputError"):
        introduce(federation, {"bank": 1, "partner": 2}, "match", {"count": 10})


def test_a_function_of_a_module_that_was_loaded_again() -> None:
    before = roles.match, roles.few_rows, roles.limited
    importlib.reload(roles)
    for function in before:
        assert getattr(roles, function.__name__) is not function
        assert attendance._name(function, "a role") == f"{roles.__name__}:{function.__name__}"


def first_visit(federation: Federation, number: int, node: int = 1) -> Visit:
    """The first message of a session, to one party only; the process then waits for the other."""
    descriptor = Descriptor(1, f"{number:032x}", "match", "relay", ("bank", "partner"), {"count": 10})
    content = {
        wire.RECORD: wire.config(step="visit", descriptor=descriptor.encoded()),
        "packet": wire.vector(b"", "packet"),
    }
    reply = federation.deliver(Message(RecordDict(content), node, "query"))
    assert reply is not None
    record = reply.content.config_records[wire.RECORD]
    return Visit(state=record["state"], error=record["error"])  # type: ignore[arg-type]


def test_a_party_has_so_many_sessions_under_way(
    federation: Federation, sessions: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many a server begins; a party's own, and a place is free again when its process is gone."""
    monkeypatch.setattr("fusion.flower.attendance.MOST_SESSIONS", 2)
    assert [first_visit(federation, number).error for number in (1, 2, 3, 1, 2)] == ["", "", "PolicyError", "", ""]
    assert len(list(sessions.glob("*.session"))) == 2
    assert first_visit(federation, 3, node=2).error == ""
    oldest = min(sessions.glob("*.session"), key=lambda path: path.stat().st_mtime_ns)
    os.kill(int(oldest.read_text()), signal.SIGKILL)
    while first_visit(federation, 4).error == "PolicyError":
        time.sleep(0.02)  # the kernel takes a moment
    assert first_visit(federation, 5).error == "PolicyError"


def test_sessions_that_are_over_take_no_place(federation: Federation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fusion.flower.attendance.MOST_SESSIONS", 1)
    for via in ("relay", "relay", "tls"):
        assert introduce(federation, {"bank": 1, "partner": 2}, "match", {"count": 400}, via=via)["bank"]["rows"] == 100


def test_computing_longer_than_a_visitor_waits(federation: Federation, monkeypatch: pytest.MonkeyPatch) -> None:
    """Visitors come and go with nothing; what was made meanwhile waits for the next."""
    monkeypatch.setattr(worker, "PATIENCE", 0.1)
    descriptor = Descriptor(1, "0" * 32, "slow", "relay", ("bank", "partner"), {"seconds": 1.0, "count": 400})
    binding = descriptor.binding(1)
    sessions = [
        worker.Session(Job(descriptor, binding, node["fusion-party"], "flower.roles:slow", ALLOW, node, []))
        for node in (federation.contexts[number].node_config for number in (1, 2))
    ]
    threads = [threading.Thread(target=session.run, daemon=True) for session in sessions]
    for thread in threads:
        thread.start()
    mail = [b"", b""]
    states: list[set[str]] = [set(), set()]
    while any(thread.is_alive() for thread in threads):
        for index, session in enumerate(sessions):
            found = session.visit(Visit(binding, mail[index]))
            assert not found.error, found
            states[index].add(found.state)
            mail[index], mail[1 - index] = b"", found.packet or mail[1 - index]
    assert all(found >= {"busy", "done"} for found in states)
    with pytest.raises(InputError, match="another session"):
        sessions[0].visit(Visit("0" * 64))
