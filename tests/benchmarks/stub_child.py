"""A child that does as its job says, for the tests of the parent."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from benchmarks import child


@contextlib.contextmanager
def prepare(job: dict[str, Any]) -> Iterator[Callable[[], dict[str, Any]]]:
    if job["does"] == "refuse":
        raise ValueError("not\ntoday")
    if job["does"] == "be late":
        time.sleep(60)
    print("chatter of a library")

    def run() -> dict[str, Any]:
        if job["does"] == "die":
            sys.stderr.write("the last words\n")
            sys.stderr.flush()
            os._exit(7)
        if job["does"] == "follow":
            raise BrokenPipeError("the other one left")
        if job["does"] == "hang":
            time.sleep(60)
        return {"answer": job.get("answer")}

    yield run


if __name__ == "__main__":
    child.play(prepare)
