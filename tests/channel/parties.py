"""Two parties in one process, over memory or over real TLS, and what became of each."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fusion.channel import Channel, Chunk, Identity, Party, Peer, Policy, allow_all
from fusion.channel.identity import tls_context
from fusion.channel.mailbox import Mailbox
from fusion.channel.memory import MemoryTransport, mailboxes
from fusion.channel.tls import Tls, TlsTransport, handshake

NAMES = ("a", "b", "c")
HANG = 80.0  # no test lets a party run for longer
PATIENCE = 20.0  # of a party, where a test is not about it: more than a busy machine stalls


@dataclass(frozen=True)
class Keys:
    """An identity for every name."""

    identities: dict[str, Identity]

    @classmethod
    def make(cls, folder: Path, names: Sequence[str] = NAMES) -> Keys:
        return cls({name: Identity.create(name, folder / f"{name}.key") for name in names})

    def __getitem__(self, name: str) -> Identity:
        return self.identities[name]

    def party(
        self,
        name: str,
        *,
        listen: int | None = None,
        timeout: float = PATIENCE,
        **peers: int | None,
    ) -> Party:
        """``peers`` maps a name to the port where it listens, or None."""
        known = {
            peer: Peer(peer, self[peer].fingerprint, None if port is None else f"127.0.0.1:{port}")
            for peer, port in peers.items()
        }
        address = None if listen is None else f"127.0.0.1:{listen}"
        return Party(name, self[name], address, known, timeout)


def free_port() -> int:
    return free_ports(1)[0]


def free_ports(count: int) -> list[int]:
    """Different ones: they are held until all are found."""
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [int(server.getsockname()[1]) for server in servers]


def tcp_pair(*, buffers: int | None = None) -> tuple[socket.socket, socket.socket]:
    """Two ends of a TCP connection; ``buffers`` bytes in each kernel buffer make it push back early."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        near = socket.socket()
        for sock in (server, near):
            if buffers is not None:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffers)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffers)
        near.connect(server.getsockname())
        far, _ = server.accept()
    return near, far


def duel(*roles: Callable[[], Any]) -> list[Any]:
    """Run the roles at the same time; for each, what it returned or the exception that it raised."""
    outcomes: list[Any] = [None] * len(roles)

    def play(index: int) -> None:
        try:
            outcomes[index] = roles[index]()
        except BaseException as error:
            outcomes[index] = error

    threads = [threading.Thread(target=play, args=(index,), daemon=True) for index in range(len(roles))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(HANG)
        assert not thread.is_alive(), "a party hangs"
    return outcomes


def shake_hands(keys: Keys, near: socket.socket, far: socket.socket) -> tuple[Tls, Tls]:
    """TLS between party a, who dialled, and party b."""
    contexts = [
        tls_context(keys["a"], [keys["b"].fingerprint], server=False),
        tls_context(keys["b"], [keys["a"].fingerprint], server=True),
    ]
    done = duel(
        lambda: handshake(near, contexts[0], server=False, seconds=PATIENCE),
        lambda: handshake(far, contexts[1], server=True, seconds=PATIENCE),
    )
    for tls in done:
        if isinstance(tls, BaseException):
            raise tls
    return done[0], done[1]


@contextlib.contextmanager
def channels(
    keys: Keys,
    transport: str,
    *,
    window: int = 16,
    timeout: float = PATIENCE,
    policies: Sequence[Policy] = (allow_all, allow_all),
    buffers: int | None = None,
) -> Iterator[tuple[Channel, Channel]]:
    """Party a's channel to b, and b's to a."""
    if transport == "memory":
        boxes = mailboxes(window)
        ends: list[Any] = [MemoryTransport("a", boxes[0], boxes[1]), MemoryTransport("b", boxes[1], boxes[0])]
    else:
        near, far = tcp_pair(buffers=buffers)
        tls = shake_hands(keys, near, far)
        boxes = (Mailbox(window), Mailbox(window))
        ends = [TlsTransport(near, tls[0], boxes[0], "b"), TlsTransport(far, tls[1], boxes[1], "a")]
    prints = keys["a"].fingerprint, keys["b"].fingerprint
    a = Channel("a", "b", boxes[0], ends[0], fingerprints=prints, timeout=timeout, policy=policies[0])
    b = Channel("b", "a", boxes[1], ends[1], fingerprints=prints[::-1], timeout=timeout, policy=policies[1])
    try:
        yield a, b
    finally:
        duel(a.close, b.close)


def rows(count: int, width: int = 8, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, width), np.uint8)


def swap(
    peer: Channel,
    outgoing: Sequence[np.ndarray] = (),
    *,
    operation: str = "test.swap",
    width: int = 8,
    learn: str = "both",
    kinds: Sequence[str] = ("integer",),
    parameters: dict[str, Any] | None = None,
    announced: int | None = None,
    result: bytes = b"",
    inside: Callable[[Channel], None] = lambda peer: None,
) -> list[bytes]:
    """The smallest whole operation: each side sends its arrays and gets the other's; ``inside`` runs before the end."""
    with peer.operation(operation):
        count = sum(len(array) for array in outgoing) if announced is None else announced
        peer.open(learn=learn, kinds=kinds, rows=count, parameters=parameters or {})
        peer.phase("swapping", count)
        received = [
            chunk.rows.tobytes() for chunk in peer.exchange((Chunk(1, array) for array in outgoing), {1: width})
        ]
        inside(peer)
        peer.finish({"a": ["rows"], "b": ["rows"]}, result=result)
    return received


def one_line(error: BaseException) -> str:
    """The message of an error, which is one line of bounded length."""
    text = str(error)
    assert text
    assert text.isprintable(), text
    assert len(text) < 1000
    return text
