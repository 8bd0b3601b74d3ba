"""What runs inside a process that takes part in a benchmark. Standard library only: peers' environments use it too.

    @contextlib.contextmanager
    def prepare(job):           # imports, connections: before the clock starts
        with connect(job) as peer:
            yield lambda: {"rows": work(peer)}

    if __name__ == "__main__":
        child.play(prepare)

The parent gives the job as JSON in the first argument, hears ``ready``, answers ``go``, and gets the result with the
moments of beginning and end on the clock that all processes of a machine share. Nobody leaves before the parent says
``leave``: whoever is done hangs up on one who is still counting.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import struct
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["Prepare", "play"]

# struct tcp_info of linux/tcp.h as far as tcpi_bytes_received
_TCP_INFO = struct.Struct("=128xQ")

Prepare = Callable[[dict[str, Any]], contextlib.AbstractContextManager[Callable[[], dict[str, Any]]]]


def play(prepare: Prepare) -> None:
    """Take part once, and exit."""
    # what libraries print is not ours to send
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def tell(kind: str, content: dict[str, Any]) -> None:
        answers.write(json.dumps({kind: content}) + "\n")
        answers.flush()

    words = threading.Semaphore(0)
    threading.Thread(target=_listen, args=(words,), daemon=True).start()
    try:
        with prepare(json.loads(sys.argv[1])) as run:
            received = _received()  # before anybody goes: what is sent at once may be here before our word is
            tell("ready", {})
            words.acquire()  # go
            cpu = time.process_time()
            began = time.monotonic()
            result = run()
            ended = time.monotonic()
            tell(
                "result",
                {
                    **result,
                    "began": began,
                    "ended": ended,
                    "cpu_seconds": time.process_time() - cpu,
                    "bytes_received": _received() - received,
                    "peak_mb": _peak_mb(),
                },
            )
            words.acquire()  # leave
    except BaseException as error:
        traceback.print_exc()
        tell("failure", {"error": type(error).__name__, "message": " ".join(str(error).split())})
        sys.exit(1)


def _peak_mb() -> float:
    """Most memory held so far. Not from getrusage: its figure begins with that of the parent before exec."""
    status = Path("/proc/self/status").read_text("utf-8")
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024


def _received() -> int:
    """Bytes that TCP has brought to this process, over all connections that are open now.

    The same yardstick for every library, whatever it says of itself. What was sent may not have left yet; what a result
    needs has arrived.
    """
    total = 0
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):  # closed meanwhile, or not of TCP
            if str(entry.readlink()).startswith("socket:"):
                with socket.socket(fileno=os.dup(int(entry.name))) as one:
                    information = one.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO.size)
                total += _TCP_INFO.unpack(information)[0]
    return total


def _listen(words: threading.Semaphore) -> None:
    """Hear the parent's words; the end of stdin says that the parent is gone."""
    for _ in sys.stdin:
        words.release()
    os._exit(1)
