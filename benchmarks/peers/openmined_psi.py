"""OpenMined's intersection, client and server in one process as its library has it, in its own environment."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks import child

_FALSE_POSITIVES = 1e-9  # without meaning for the raw set, which has none


@contextlib.contextmanager
def prepare(job: dict[str, Any]) -> Iterator[Callable[[], dict[str, Any]]]:
    """Load the library and read both files; the job names ``client`` and ``server``."""
    import private_set_intersection.python as psi

    ids, served = (Path(job[name]).read_text("ascii").split()[1:] for name in ("client", "server"))

    def run() -> dict[str, Any]:
        client, server = psi.client.CreateWithNewKey(True), psi.server.CreateWithNewKey(True)
        setup = server.CreateSetupMessage(_FALSE_POSITIVES, len(ids), served, psi.DataStructure.RAW)
        request = client.CreateRequest(ids)
        response = server.ProcessRequest(request)
        found = client.GetIntersection(setup, response)
        sent = sum(message.ByteSize() for message in (setup, request, response))
        return {"rows": len(found), "bytes": sent}

    yield run


if __name__ == "__main__":
    child.play(prepare)
