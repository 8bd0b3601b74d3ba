"""A slower network between processes of this machine: a process that passes bytes on as late as a real link would.

Each way takes so many bytes a second, and delivers them so many seconds later. All connections of a benchmark share the
two ways, as they would share a cable. Standard library only.

It needs neither privileges nor kernel modules, as network namespaces with netem do, and any program goes through it
that can be told a port. What it leaves out: TCP on the loopback interface starts at full speed and loses nothing, so a
real link of this bandwidth is slower for short exchanges; and its own work, 7 per cent of a core for each way that is
full at 100 Mbit/s, is done on the cores of the parties.
"""

from __future__ import annotations

import contextlib
import queue
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, Final

from benchmarks import child

__all__ = ["Way", "relaying"]

_PIECE: Final = 1 << 14  # bytes that travel together: 1.3 ms at 100 Mbit/s
_QUEUE: Final = 0.05  # seconds of traffic that may wait before the link; then senders have to
_MEETING: Final = 60.0
_RETRY: Final = 0.05

_Pieces = queue.SimpleQueue[tuple[float, bytes]]


class Way:
    """One direction of the link.

    Parameters
    ----------
    rate : float
        Bytes a second.
    delay : float
        Seconds from the last byte in to the last byte out.
    """

    def __init__(self, rate: float, delay: float) -> None:
        self._rate = rate
        self._delay = delay
        self._free = 0.0  # when everything booked so far has gone in
        self._lock = threading.Lock()

    def book(self, size: int) -> tuple[float, float]:
        """Take ``size`` bytes; when they arrive, and how long to wait before bringing more."""
        with self._lock:
            now = time.monotonic()
            self._free = max(now, self._free) + size / self._rate
            return self._free + self._delay, self._free - now - _QUEUE


@contextlib.contextmanager
def relaying(routes: list[dict[str, int]], rate: float, delay: float) -> Iterator[None]:
    """Listen on the loopback interface while the block runs.

    Parameters
    ----------
    routes : list of dict
        ``listen`` and ``target`` are ports; ``way`` is 0 or 1, the direction of what the dialling side sends.
    rate, delay : float
        As in `Way`, for each direction.
    """
    ways = Way(rate, delay), Way(rate, delay)
    with contextlib.ExitStack() as stack:
        for route in routes:
            server = stack.enter_context(socket.create_server(("127.0.0.1", route["listen"]), backlog=16))
            # a thread in accept() only hears of the end when the socket is shut down
            stack.callback(server.shutdown, socket.SHUT_RDWR)
            out = ways[route["way"]], ways[1 - route["way"]]
            _start(_accept, server, route["target"], out)
        yield


def _start(function: Callable[..., None], *arguments: Any) -> None:
    threading.Thread(target=function, args=arguments, daemon=True).start()


def _accept(server: socket.socket, target: int, ways: tuple[Way, Way]) -> None:
    with contextlib.suppress(OSError):  # closed: the end
        while True:
            dialler, _ = server.accept()
            _start(_join, dialler, target, ways)


def _join(dialler: socket.socket, target: int, ways: tuple[Way, Way]) -> None:
    """Dial on behalf of one who dialled, and carry both ways until both are done."""
    with dialler:
        answerer = _dial(target)
        if answerer is None:
            return
        with answerer:
            for end in (dialler, answerer):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            back = threading.Thread(target=_carry, args=(answerer, dialler, ways[1]), daemon=True)
            back.start()
            _carry(dialler, answerer, ways[0])
            back.join()


def _dial(target: int) -> socket.socket | None:
    """The one behind the link may start later than the one who dials."""
    expires = time.monotonic() + _MEETING
    while time.monotonic() < expires:
        with contextlib.suppress(ConnectionRefusedError):
            return socket.create_connection(("127.0.0.1", target))
        time.sleep(_RETRY)
    return None


def _carry(source: socket.socket, sink: socket.socket, way: Way) -> None:
    """Carry one direction of one connection to its end."""
    pieces: _Pieces = queue.SimpleQueue()
    delivery = threading.Thread(target=_deliver, args=(pieces, sink), daemon=True)
    delivery.start()
    data = b"more"
    while data:
        try:
            data = source.recv(_PIECE)
        except OSError:  # reset: to the other side it is the end
            data = b""
        arrives, pause = way.book(len(data))
        pieces.put((arrives, data))
        if pause > 0:
            time.sleep(pause)
    delivery.join()


def _deliver(pieces: _Pieces, sink: socket.socket) -> None:
    data = b"more"
    while data:
        arrives, data = pieces.get()
        time.sleep(max(arrives - time.monotonic(), 0.0))
        with contextlib.suppress(OSError):  # gone: what still comes for it is dropped
            if data:
                sink.sendall(data)
            else:
                sink.shutdown(socket.SHUT_WR)


@contextlib.contextmanager
def prepare(job: dict[str, Any]) -> Iterator[Callable[[], dict[str, Any]]]:
    """Relay until the parent ends this process; the job names the parameters of `relaying`."""
    with relaying(job["routes"], job["rate"], job["delay"]):
        yield dict


if __name__ == "__main__":
    child.play(prepare)
