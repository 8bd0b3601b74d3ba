"""How a fault on the wire is written down, and what more than one of them sends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from fusion.errors import FusionError

from .evil import CANARY, Evil

PICKLE = b"\x80\x04\x8c\x05posix\x94\x8c\x06system\x94\x93\x94\x8c\x0b" + CANARY.encode() + b"\x94\x85\x94R\x94."
HTTP = b"GET /" + CANARY.encode() + b" HTTP/1.1\r\nHost: localhost\r\n\r\n"


@dataclass(frozen=True)
class Fault:
    """Everything before the fault is as an honest peer does it.

    ``words`` are looked for in the message. A ``patient`` fault makes no noise: it ends by the victim's deadline,
    which is then short.
    """

    script: Callable[[Evil], object]
    error: type[FusionError]
    words: str
    patient: bool = False


class Corpus(dict[str, Fault]):
    """Faults by name."""

    def add(self, name: str, fault: Fault) -> None:
        assert name not in self
        self[name] = fault

    def fault(self, error: type[FusionError], words: str, *, patient: bool = False):
        """Take in a script under the name of its function."""

        def register(script: Callable[[Evil], object]):
            self.add(script.__name__, Fault(script, error, words, patient))
            return script

        return register

    def faults(self, error: type[FusionError], words: str, prefix: str, scripts: dict[str, Callable[[Evil], object]]):
        """Take in several scripts that must produce the same error."""
        for name, script in scripts.items():
            self.add(f"{prefix}_{name}", Fault(script, error, words))
