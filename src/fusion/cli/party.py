"""One party of a demonstration in a process of its own: ``python -m fusion.cli.party SCENARIO PARTY FOLDER``.

The folder holds this party's tables, identity and TOML, and takes its outcome. What happens is told to the parent as
JSON lines on stdout; the end of stdin says that the parent is gone.
"""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import resource
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import Any

from fusion import progress, scenarios
from fusion.errors import FusionError
from fusion.progress import Event

CONFIG, OUTCOME, TABLES = "party.toml", "outcome", "tables"
ONLY = "table"  # the name of a party's table when it has but one

__all__ = ["CONFIG", "ONLY", "OUTCOME", "TABLES", "main"]


def main(name: str, party: str, folder: Path) -> int:
    """Play one party and return the exit code."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        with progress.listen(lambda event: _tell("event", dataclasses.asdict(event))):
            _tell("result", _play(name, party, folder))
    except Exception as error:
        if os.environ.get("FUSION_DEBUG"):
            traceback.print_exc()
        expected = isinstance(error, FusionError)
        _tell(
            "failure",
            {
                "error": type(error).__name__,
                "message": str(error) if expected else f"unexpected {type(error).__name__}",
                "port_taken": _is_port_taken(error),
            },
        )
        return 1
    return 0


def _play(name: str, party: str, folder: Path) -> dict[str, Any]:
    progress.emit(Event(party, name, "starting"))
    import fusion
    from fusion import kernels

    scenario = scenarios.load(name)
    others = [known for known in scenario.PARTIES if known != party]
    tables = _tables(folder / TABLES)
    config = folder / CONFIG
    meeting = fusion.connect(config, peer=others[0]) if len(others) == 1 else fusion.connect(config, peers=others)
    with meeting as peers:
        began, worked = time.monotonic(), time.process_time()
        outcome = scenario.run(peers, tables, party)
        seconds, cpu_seconds = time.monotonic() - began, time.process_time() - worked
    outcome.write(folder / OUTCOME)
    progress.emit(Event(party, name, "done", 1, 1))
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"kernel": kernels.active(), "seconds": seconds, "cpu_seconds": cpu_seconds, "peak_memory": memory}


def _tables(folder: Path) -> Any:
    import pandas as pd

    tables = {path.stem: pd.read_parquet(path) for path in sorted(folder.iterdir())}
    return tables[ONLY] if tables.keys() == {ONLY} else tables


def _tell(kind: str, content: dict[str, Any]) -> None:
    # one write a line: events come from several threads
    os.write(1, json.dumps({kind: content}).encode() + b"\n")


def _end_with_parent() -> None:
    while os.read(0, 1):
        pass
    os._exit(1)


def _is_port_taken(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
            return True
        error = error.__cause__ or error.__context__
    return False


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], Path(sys.argv[3])))
