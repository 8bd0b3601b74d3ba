"""What happened in one operation: a hash of every byte each way, a meter, and the receipt that holds both."""

from __future__ import annotations

import hashlib
import time
from datetime import UTC, datetime

import msgspec

from fusion.channel.frames import Frame
from fusion.channel.messages import WIRE_VERSION, Opening

__all__ = ["Receipt", "Transcript"]


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """What an operation was. Holds sizes and hashes, never a value from a table.

    Attributes
    ----------
    operation, kinds, learn
        As both sides announced them.
    parameters : dict
        As both sides announced them, but with what was settled afterwards: the protocol that "auto" became.
    session : str
        32 bytes in hex that name this run; both sides have the same.
    wire : int
        Version of the wire format.
    parties : tuple of str
        This side, then the peer.
    sizes : dict
        Rows that each party brought in.
    bytes_sent, bytes_received : int
        Frames with their headers, before encryption.
    seconds, cpu_seconds : float
        Elapsed time, and processor time of this process, from the start of the operation to its end.
    learned : dict
        For each party, what it learned, in sentences.
    transcript : str
        SHA-256 over everything sent both ways, in hex; both sides have the same.
    started : str
        UTC time at which this side began.
    notes : tuple of str
        What this side should know about its own data, such as why few rows matched.
    """

    operation: str
    session: str
    wire: int
    parties: tuple[str, str]
    parameters: dict[str, str | int]
    kinds: tuple[str, ...]
    learn: str
    sizes: dict[str, int]
    bytes_sent: int
    bytes_received: int
    seconds: float
    cpu_seconds: float
    learned: dict[str, list[str]]
    transcript: str
    started: str
    notes: tuple[str, ...] = ()


class _Direction:
    """Hash and meter of the frames that go one way: SHA-256 of their digests (see `fusion.channel.frames`)."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256(b"fusion/transcript/2")
        self.bytes = 0

    def add(self, frame: Frame) -> None:
        self._hash.update(frame.digest)
        self.bytes += frame.size

    def digest(self) -> bytes:
        return self._hash.digest()


class Transcript:
    """Hashes and counts the frames of one operation, in each direction."""

    def __init__(self) -> None:
        self.sent = _Direction()
        self.received = _Direction()
        self._clock = time.perf_counter()
        self._cpu = time.process_time()
        self._started = datetime.now(UTC).isoformat(timespec="seconds")

    def hashes(self) -> tuple[bytes, bytes]:
        """What `Finish` compares: the hash of what was sent, and of what was received, so far."""
        return self.sent.digest(), self.received.digest()

    def receipt(
        self,
        *,
        parties: tuple[str, str],
        session: bytes,
        ours: Opening,
        theirs: Opening,
        hashes: tuple[bytes, bytes],
        learned: dict[str, list[str]],
        notes: tuple[str, ...],
        settled: dict[str, str | int],
    ) -> Receipt:
        """The receipt, with ``hashes`` as they stood when both sides compared them."""
        in_order = hashes if parties[0] < parties[1] else hashes[::-1]
        return Receipt(
            operation=ours.operation,
            session=session.hex(),
            wire=WIRE_VERSION,
            parties=parties,
            parameters=ours.parameters | settled,
            kinds=ours.kinds,
            learn=ours.learn,
            sizes={parties[0]: ours.rows, parties[1]: theirs.rows},
            bytes_sent=self.sent.bytes,
            bytes_received=self.received.bytes,
            seconds=round(time.perf_counter() - self._clock, 6),
            cpu_seconds=round(time.process_time() - self._cpu, 6),
            learned=learned,
            transcript=hashlib.sha256(b"fusion/receipt/1" + session + b"".join(in_order)).hexdigest(),
            started=self._started,
            notes=notes,
        )
