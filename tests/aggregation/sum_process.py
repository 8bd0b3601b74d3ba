"""One party of a secure sum, in a process of its own: its file, and as JSON what it is to do.

Says what it got, and the processor time that it took, as JSON.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time

import numpy as np

import fusion
from fusion.aggregation import secure_sum
from fusion.aggregation.masked.talk import LocalSeat
from fusion.channel import Identity


def values(name: str, size: int) -> np.ndarray:
    """What a party brings, for its process and for the test alike."""
    return np.random.default_rng(list(name.encode())).integers(-1000, 1000, size)


def main(file: str, task: dict) -> None:
    if task.get("die"):
        # as by a power cut, when the others have masked for this party
        LocalSeat.masked = lambda seat, inbox: os.kill(os.getpid(), signal.SIGKILL)
    brought = values(task["name"], task["size"]) if task["size"] else None
    extra = {}
    if "pins" in task:
        extra = {"clients": task["pins"], "identity": Identity.load(task["identity"])}
    with fusion.connect(file, peers=task["peers"]) as group:
        peers = group[task["peers"][0]] if extra else group
        began = time.process_time()
        result = secure_sum(peers, brought, bound=1000, **extra)
        seconds = time.process_time() - began
    total = None if result.total is None else result.total.tolist()
    print(json.dumps({"total": total, "included": result.included, "cpu": seconds}))


if __name__ == "__main__":
    main(sys.argv[1], json.loads(sys.argv[2]))
