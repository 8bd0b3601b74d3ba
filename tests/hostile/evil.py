"""A malicious peer: it holds the pinned key, completes the handshake, and then writes whatever it likes."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np
from channel.parties import PATIENCE, Keys, rows

import fusion
from fusion.channel.frames import HEADER, Frame, Kind, Parser
from fusion.channel.identity import tls_context
from fusion.channel.messages import WIRE_VERSION, Finish, Hello, Opening, decode, encode
from fusion.channel.tls import Tls, handshake
from fusion.channel.transcript import Transcript

CANARY = "canary-7f3a"  # stands in what the peer sends; must never stand in an error
VICTIM_ROWS = rows(3)
EVIL_ROWS = rows(2, seed=9)


def packed(message: msgspec.Struct, **changes: Any) -> bytes:
    """A message's bytes with fields changed, added or, when ``...``, left out; lawful or not."""
    tag = type(message).__name__.lower()
    fields = {"type": tag, **msgspec.structs.asdict(message), **changes}
    return msgspec.msgpack.encode({name: value for name, value in fields.items() if value is not ...})


def chunk(array: np.ndarray, *, count: int | None = None, width: int | None = None) -> bytes:
    n, w = array.shape
    sizes = (n if count is None else count, w if width is None else width)
    return b"".join(size.to_bytes(4, "little") for size in sizes) + array.tobytes()


class Evil:
    """Party b, which listens for party a. It follows the protocol as far as it is asked to."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys
        self._server = socket.create_server(("127.0.0.1", 0))
        self._server.settimeout(PATIENCE)
        self.port = int(self._server.getsockname()[1])
        self.operation = 1
        self.sequence = 0
        self.transcript = Transcript()
        self.sock: socket.socket
        self.theirs: Opening
        self._tls: Tls
        self._parser = Parser()

    def __enter__(self) -> Evil:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.close()
        if hasattr(self, "sock"):
            self.sock.close()

    # bytes

    def accept(self) -> None:
        self.sock, _ = self._server.accept()
        context = tls_context(self._keys["b"], [self._keys["a"].fingerprint], server=True)
        self._tls = handshake(self.sock, context, server=True, seconds=PATIENCE)
        self.sock.settimeout(PATIENCE)

    def encrypt(self, data: bytes) -> bytes:
        self._tls.plain.write(data)
        return self._tls.wire_out.read()

    def write(self, data: bytes) -> None:
        """Plaintext, inside TLS."""
        self.sock.sendall(self.encrypt(data))

    def say_goodbye(self) -> None:
        with contextlib.suppress(ssl.SSLError):
            self._tls.plain.unwrap()
        self.sock.sendall(self._tls.wire_out.read())

    def drain(self) -> None:
        """Read until the victim hangs up."""
        with contextlib.suppress(OSError):
            while self.sock.recv(1 << 16):
                pass

    def frames(self) -> Iterator[Frame]:
        """What the victim says, without its heartbeats, until it hangs up."""
        while True:
            try:
                frame = self._parser.fill(self._tls.plain.read)
            except ssl.SSLWantReadError:
                data = self.sock.recv(1 << 16)
                if not data:
                    return
                self._tls.wire_in.write(data)
                continue
            except ssl.SSLZeroReturnError:
                return
            if frame is None:
                return
            if frame.kind is not Kind.HEARTBEAT:
                yield frame

    def read(self) -> Frame:
        return next(self.frames())

    # frames

    def send(
        self,
        kind: int,
        payload: bytes = b"",
        *,
        operation: int | None = None,
        sequence: int | None = None,
        stream: int | None = None,
        reserved: int = 0,
        length: int | None = None,
    ) -> None:
        """A frame; every field of the header may be forged."""
        if stream is None:
            stream = 1 if kind == Kind.CHUNK else 0
        frame = Frame(
            Kind(kind) if kind in set(Kind) else kind,  # type: ignore[arg-type]
            payload,
            self.operation if operation is None else operation,
            self.sequence if sequence is None else sequence,
            stream,
        )
        size = len(payload) if length is None else length
        header = HEADER.pack(kind, stream, reserved, size, frame.operation, frame.sequence)
        self.sequence += 1
        self.transcript.sent.add(frame)
        self.write(header + payload)

    def aside(self, kind: int, payload: bytes, **fields: int) -> None:
        """A frame outside sequence and transcript."""
        sequence, transcript = self.sequence, self.transcript
        self.transcript = Transcript()
        self.send(kind, payload, **{"sequence": 0, **fields})
        self.sequence, self.transcript = sequence, transcript

    # steps, each as an honest peer takes it

    def meet(self) -> None:
        self.accept()
        self.hello()

    def hello(
        self, payload: bytes | None = None, *, kind: int = Kind.HELLO, operation: int = 0, **changes: Any
    ) -> None:
        assert self.read().kind is Kind.HELLO
        ours = Hello(WIRE_VERSION, "b", "a", fusion.__version__, False)
        self.aside(kind, packed(ours, **changes) if payload is None else payload, operation=operation)

    def open(self, payload: bytes | None = None, *, header: dict[str, int] | None = None, **changes: Any) -> None:
        frame = self.read()
        assert frame.kind is Kind.OPEN
        self.transcript.received.add(frame)
        self.theirs = decode(frame.payload, Opening)
        ours = msgspec.structs.replace(self.theirs, rows=len(EVIL_ROWS), nonce=bytes(range(32)))
        plain = encode(ours) if not changes else packed(ours, **changes)
        self.send(Kind.OPEN, plain if payload is None else payload, **(header or {}))

    def rows(self) -> None:
        self.send(Kind.CHUNK, chunk(EVIL_ROWS))

    def end(self) -> None:
        self.send(Kind.END)

    def finish(self, payload: bytes | None = None, **changes: Any) -> None:
        for frame in self.frames():
            if frame.kind is Kind.FINISH:
                break
            self.transcript.received.add(frame)
        sent, received = self.transcript.hashes()
        self.send(Kind.FINISH, packed(Finish(sent, received, b"same"), **changes) if payload is None else payload)

    def next_operation(self) -> None:
        self.operation += 1
        self.sequence = 0
        self.transcript = Transcript()

    def until_rows(self) -> None:
        self.meet()
        self.open()

    def until_finish(self) -> None:
        self.until_rows()
        self.rows()
        self.end()
