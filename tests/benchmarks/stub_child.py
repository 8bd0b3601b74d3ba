"""A child that does as its job says, for the tests of the parent."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from benchmarks import child


@contextlib.contextmanager
def prepare(job: dict[str, Any]) -> Iterator[Callable[[], dict[str, Any]]]:
    if job["does"] == "refuse":
        raise ValueError("not\ntoday")
    if job["does"] == "be late":
        time.sleep(100)
    print("chatter of a library")

    connection = _meet(job["port"], dials=job["dials"]) if job["does"] == "talk" else None

    def run() -> dict[str, Any]:
        if job["does"] == "die":
            sys.stderr.write("the last words\n")
            sys.stderr.flush()
            os._exit(7)
        if job["does"] == "follow":
            raise BrokenPipeError("the other one left")
        if job["does"] == "hang":
            time.sleep(100)
        if connection is not None:
            return _talk(connection, job["bytes"], job.get("then", 0.0))
        return {"answer": job.get("answer")}

    yield run
    if connection is not None:
        connection.close()


def _meet(port: int, *, dials: bool) -> socket.socket:
    if not dials:
        with socket.create_server(("127.0.0.1", port)) as server:
            return server.accept()[0]
    while True:
        with contextlib.suppress(ConnectionRefusedError):
            return socket.create_connection(("127.0.0.1", port))
        time.sleep(0.02)


def _talk(connection: socket.socket, size: int, then: float) -> dict[str, Any]:
    """Send ``size`` bytes, the last of which marks the end, and read the other's; later see whether it has hung up."""
    connection.settimeout(60)
    sender = threading.Thread(target=connection.sendall, args=(bytes(size - 1) + b"!",))
    sender.start()
    while not connection.recv(1 << 16).endswith(b"!"):
        pass
    sender.join()
    time.sleep(then)
    connection.setblocking(False)
    try:
        return {"hung up": connection.recv(1) == b""}
    except BlockingIOError:
        return {"hung up": False}


if __name__ == "__main__":
    child.play(prepare)
