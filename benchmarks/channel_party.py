"""One end of a channel benchmark, in a process of its own: the channel, or bare blocking sockets."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import fusion
from benchmarks import child
from benchmarks.pair import RECEIVER, party
from fusion.channel import Chunk
from fusion.channel.identity import tls_context
from fusion.psi.vole import FRAME

__all__ = ["CHUNK_BYTES"]

_WIDTH = 16
CHUNK_BYTES = FRAME  # what an intersection sends at a time
_STREAM = 1
_MEETING = 60.0

Run = Callable[[], dict[str, Any]]


@contextlib.contextmanager
def prepare(job: dict[str, Any]) -> Iterator[Run]:
    """Meet the other end; the job says how many bytes to send and to receive, and over what."""
    with (_channel if job["over"] == "fusion" else _sockets)(job) as run:
        yield run


@contextlib.contextmanager
def _channel(job: dict[str, Any]) -> Iterator[Run]:
    block = _block().reshape(-1, _WIDTH)
    chunks = job["send"] // CHUNK_BYTES

    with fusion.connect(party(job["who"]), peer=job["who"]["peer"]) as peer:

        def run() -> dict[str, Any]:
            received = 0
            with peer.operation("benchmark"):
                peer.open(learn="both", kinds=(), rows=chunks * (CHUNK_BYTES // _WIDTH), parameters={})
                for chunk in peer.exchange((Chunk(_STREAM, block) for _ in range(chunks)), {_STREAM: _WIDTH}):
                    received += chunk.rows.nbytes
                peer.finish({})
            return {"received": received}

        yield run


@contextlib.contextmanager
def _sockets(job: dict[str, Any]) -> Iterator[Run]:
    """One connection for each direction, and a thread for each: a blocking socket does one thing at a time."""
    who = job["who"]
    listens = who["name"] == RECEIVER
    block = _block().data
    with contextlib.ExitStack() as stack:
        # both ends number the directions alike: the first towards the receiver
        to_receiver, to_sender = (stack.enter_context(_connection(who, port, listens=listens)) for port in who["ports"])
        outgoing, incoming = (to_sender, to_receiver) if listens else (to_receiver, to_sender)
        buffer = memoryview(bytearray(CHUNK_BYTES))
        failed: list[OSError] = []

        def send() -> None:
            try:
                for _ in range(job["send"] // CHUNK_BYTES):
                    outgoing.sendall(block)
            except OSError as error:
                failed.append(error)

        def run() -> dict[str, Any]:
            sender = threading.Thread(target=send)
            sender.start()
            received = 0
            while received < job["receive"]:
                got = incoming.recv_into(buffer)
                if not got:
                    break
                received += got
            sender.join()
            if failed:
                raise failed[0]
            return {"received": received}

        yield run


@contextlib.contextmanager
def _connection(who: dict[str, Any], port: int, *, listens: bool) -> Iterator[ssl.SSLSocket]:
    """A blocking TLS socket with the same keys, version and cipher as a channel has."""
    context = tls_context(party(who).identity, [who["fingerprint"]], server=listens)
    with contextlib.ExitStack() as stack:
        if listens:
            server = stack.enter_context(socket.create_server(("127.0.0.1", port)))
            server.settimeout(_MEETING)
            plain, _ = server.accept()
        else:
            plain = _dial(port)
        plain.settimeout(_MEETING)
        secure = stack.enter_context(context.wrap_socket(plain, server_side=listens))
        secure.settimeout(None)
        yield secure


def _dial(port: int) -> socket.socket:
    pause = threading.Event()
    for _ in range(int(_MEETING / 0.05)):
        with contextlib.suppress(ConnectionRefusedError):
            return socket.create_connection(("127.0.0.1", port), _MEETING)
        pause.wait(0.05)
    raise TimeoutError("the other end does not listen")


def _block() -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.random.default_rng(0).integers(0, 256, CHUNK_BYTES, dtype=np.uint8)


if __name__ == "__main__":
    child.play(prepare)
