"""Faults on the wire: one in each script, named by the fault, with the error that it must produce.

Everything before the fault is as an honest peer does it. ``words`` are looked for in the message. A ``patient`` fault
makes no noise: it ends by the victim's deadline, which is then short.
"""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from channel.parties import rows

from fusion.channel.frames import HEADER, MAX_PAYLOAD, Kind
from fusion.channel.messages import Abort, Finish, Heartbeat, encode
from fusion.errors import FusionError, MismatchError, PeerAborted, PeerError, TransportError

from .evil import CANARY, EVIL_ROWS, Evil, chunk, packed

PICKLE = b"\x80\x04\x8c\x05posix\x94\x8c\x06system\x94\x93\x94\x8c\x0b" + CANARY.encode() + b"\x94\x85\x94R\x94."
HTTP = b"GET /" + CANARY.encode() + b" HTTP/1.1\r\nHost: localhost\r\n\r\n"


@dataclass(frozen=True)
class Fault:
    script: Callable[[Evil], object]
    error: type[FusionError]
    words: str
    patient: bool = False


FAULTS: dict[str, Fault] = {}


def fault(error: type[FusionError], words: str, *, patient: bool = False):
    def register(script: Callable[[Evil], object]):
        name = script.__name__
        assert name not in FAULTS
        FAULTS[name] = Fault(script, error, words, patient)
        return script

    return register


def faults(error: type[FusionError], words: str, prefix: str, table: dict[str, Callable[[Evil], object]]) -> None:
    for name, script in table.items():
        FAULTS[f"{prefix}_{name}"] = Fault(script, error, words)


# Introductions

faults(
    PeerError,
    "no Hello; check that both run the same version",
    "hello",
    {
        "truncated": lambda evil: (evil.accept(), evil.hello(b"\x86\xa4type")),
        "empty": lambda evil: (evil.accept(), evil.hello(b"")),
        "pickled": lambda evil: (evil.accept(), evil.hello(PICKLE)),
        "with_unknown_field": lambda evil: (evil.accept(), evil.hello(surprise=CANARY)),
        "without_version": lambda evil: (evil.accept(), evil.hello(version=...)),
        "with_escape_in_name": lambda evil: (evil.accept(), evil.hello(name="b\x1b[2J")),
        "with_endless_version": lambda evil: (evil.accept(), evil.hello(version=CANARY * 1000)),
        "of_another_type": lambda evil: (evil.accept(), evil.hello(encode(Abort("x", "y")))),
    },
)
faults(
    MismatchError,
    "make them equal",
    "hello",
    {
        "of_another_wire_version": lambda evil: (evil.accept(), evil.hello(wire=2)),
        "of_wire_version_zero": lambda evil: (evil.accept(), evil.hello(wire=0)),
        "under_another_name": lambda evil: (evil.accept(), evil.hello(name="z")),
        "to_another_name": lambda evil: (evil.accept(), evil.hello(peer="z")),
    },
)


@fault(PeerError, "did not introduce itself")
def hello_replaced_by_an_opening(evil):
    evil.accept()
    evil.hello(b"", kind=Kind.OPEN)


@fault(PeerError, "malformed header")
def hello_inside_an_operation(evil):
    evil.accept()
    evil.hello(operation=1)


@fault(PeerError, "another operation")
def hello_twice(evil):
    evil.meet()
    evil.aside(Kind.HELLO, b"", operation=0)


@fault(TransportError, "cannot reach b", patient=True)
def hello_never(evil):
    evil.accept()


@fault(TransportError, "cannot reach b", patient=True)
def hangs_up_instead_of_hello(evil):
    evil.accept()
    evil.say_goodbye()
    evil.sock.close()


@fault(PeerError, "no known kind")
def web_browser_inside_tls(evil):
    evil.accept()
    evil.write(HTTP)


# Announcements

faults(
    PeerError,
    "no Opening; check that both run the same version",
    "open",
    {
        "truncated": lambda evil: (evil.meet(), evil.open(b"\x87\xa4type")),
        "empty": lambda evil: (evil.meet(), evil.open(b"")),
        "pickled": lambda evil: (evil.meet(), evil.open(PICKLE)),
        "with_unknown_field": lambda evil: (evil.meet(), evil.open(surprise=CANARY)),
        "without_nonce": lambda evil: (evil.meet(), evil.open(nonce=...)),
        "with_short_nonce": lambda evil: (evil.meet(), evil.open(nonce=bytes(31))),
        "with_rows_as_text": lambda evil: (evil.meet(), evil.open(rows=CANARY)),
        "with_fractional_rows": lambda evil: (evil.meet(), evil.open(rows=2.0)),
        "with_nested_parameter": lambda evil: (evil.meet(), evil.open(parameters={"suite": {CANARY: 1}})),
        "with_endless_parameter": lambda evil: (evil.meet(), evil.open(parameters={"suite": CANARY * 1000})),
        "with_parameters_out_of_order": lambda evil: (evil.meet(), evil.open(parameters={"suite": "x", "extra": 1})),
        "with_line_break_in_field": lambda evil: (evil.meet(), evil.open(parameters={f"a\n{CANARY}": 1})),
        "deeply_nested": lambda evil: (evil.meet(), evil.open(b"\x91" * 65_000)),
        "of_huge_announced_array": lambda evil: (evil.meet(), evil.open(b"\xdd\xff\xff\xff\xff")),
    },
)
faults(
    MismatchError,
    "make them equal",
    "open",
    {
        "of_another_operation": lambda evil: (evil.meet(), evil.open(operation="psi.intersect")),
        "with_another_parameter": lambda evil: (evil.meet(), evil.open(parameters={"suite": "weaker"})),
        "with_another_type_of_parameter": lambda evil: (evil.meet(), evil.open(parameters={"suite": 1})),
        "without_a_parameter": lambda evil: (evil.meet(), evil.open(parameters={})),
        "with_one_parameter_more": lambda evil: (evil.meet(), evil.open(parameters={"extra": 1, "suite": "x"})),
        "with_another_kind_of_key": lambda evil: (evil.meet(), evil.open(kinds=["phone"])),
        "with_one_kind_more": lambda evil: (evil.meet(), evil.open(kinds=["integer", "date"])),
        "with_another_learner": lambda evil: (evil.meet(), evil.open(learn="b")),
        "with_a_learner_from_elsewhere": lambda evil: (evil.meet(), evil.open(learn="z")),
    },
)
faults(
    PeerError,
    "out of range",
    "open",
    {
        "with_negative_rows": lambda evil: (evil.meet(), evil.open(rows=-1)),
        "with_too_many_rows": lambda evil: (evil.meet(), evil.open(rows=2**31 + 1)),
        "with_astronomic_rows": lambda evil: (evil.meet(), evil.open(rows=2**63)),
    },
)
faults(
    PeerError,
    "another operation",
    "open",
    {
        "of_no_operation": lambda evil: (evil.meet(), evil.open(header={"operation": 0})),
        "of_a_later_operation": lambda evil: (evil.meet(), evil.open(header={"operation": 2})),
        "of_the_last_operation_there_is": lambda evil: (evil.meet(), evil.open(header={"operation": 2**32 - 1})),
    },
)


@fault(PeerError, "out of range")
def open_reflected(evil):
    """Our own announcement, nonce and all."""
    evil.meet()
    frame = evil.read()
    evil.send(Kind.OPEN, bytes(frame.payload))


@fault(PeerError, "repeated, missing or out of order")
def open_numbered_one(evil):
    evil.meet()
    evil.open(header={"sequence": 1})


@fault(PeerError, "malformed header")
def open_on_a_stream(evil):
    evil.meet()
    evil.open(header={"stream": 1})


@fault(PeerError, "at most 65536")
def open_announced_too_long(evil):
    evil.meet()
    evil.open(header={"length": 65_537})


@fault(PeerError, "sent OPEN where CHUNK or END belongs")
def open_twice(evil):
    evil.until_rows()
    evil.send(Kind.OPEN, encode(evil.theirs))


@fault(PeerError, "sent CHUNK where OPEN belongs")
def open_left_out(evil):
    evil.meet()
    evil.rows()


@fault(TransportError, "has not started this operation", patient=True)
def open_never(evil):
    evil.meet()


# Rows

faults(
    PeerError,
    "does not fit rows of 8 bytes",
    "rows",
    {
        "wider": lambda evil: (evil.until_rows(), evil.send(Kind.CHUNK, chunk(rows(2, 9)))),
        "narrower": lambda evil: (evil.until_rows(), evil.send(Kind.CHUNK, chunk(rows(2, 7)))),
        "none": lambda evil: (evil.until_rows(), evil.send(Kind.CHUNK, chunk(np.zeros((0, 8), np.uint8)))),
        "fewer_than_counted": lambda evil: (evil.until_rows(), evil.send(Kind.CHUNK, chunk(EVIL_ROWS, count=3))),
        "more_than_counted": lambda evil: (evil.until_rows(), evil.send(Kind.CHUNK, chunk(EVIL_ROWS, count=1))),
        "countless": lambda evil: (evil.until_rows(), evil.send(Kind.CHUNK, chunk(EVIL_ROWS, count=2**32 - 1))),
        "multiplied_past_32_bits": lambda evil: (
            evil.until_rows(),
            evil.send(Kind.CHUNK, chunk(EVIL_ROWS, count=2**29 + 2)),
        ),
    },
)
faults(
    PeerError,
    "repeated, missing or out of order",
    "rows",
    {
        "repeated": lambda evil: (evil.until_rows(), evil.rows(), evil.send(Kind.CHUNK, chunk(EVIL_ROWS), sequence=1)),
        "missing": lambda evil: (evil.until_rows(), evil.send(Kind.CHUNK, chunk(EVIL_ROWS), sequence=2)),
        "reordered": lambda evil: (
            evil.until_rows(),
            evil.send(Kind.CHUNK, chunk(EVIL_ROWS), sequence=2),
            evil.send(Kind.CHUNK, chunk(EVIL_ROWS), sequence=1),
        ),
        "numbered_at_the_end_of_numbers": lambda evil: (
            evil.until_rows(),
            evil.send(Kind.CHUNK, chunk(EVIL_ROWS), sequence=2**32 - 1),
        ),
    },
)


@fault(PeerError, "truncated chunk")
def rows_shorter_than_their_header(evil):
    evil.until_rows()
    evil.send(Kind.CHUNK, b"\1\0\0\0\x08\0\0")


@fault(PeerError, "stream 2, which has no place")
def rows_on_another_stream(evil):
    evil.until_rows()
    evil.send(Kind.CHUNK, chunk(EVIL_ROWS), stream=2)


@fault(PeerError, "malformed header")
def rows_on_no_stream_there_is(evil):
    evil.until_rows()
    evil.send(Kind.CHUNK, chunk(EVIL_ROWS), stream=16)


@fault(PeerError, "malformed header")
def rows_with_a_reserved_bit(evil):
    evil.until_rows()
    evil.send(Kind.CHUNK, chunk(EVIL_ROWS), reserved=1)


@fault(PeerError, f"at most {MAX_PAYLOAD} are allowed")
def rows_one_byte_too_long(evil):
    evil.until_rows()
    evil.send(Kind.CHUNK, b"", length=MAX_PAYLOAD + 1)


@fault(PeerError, f"at most {MAX_PAYLOAD} are allowed")
def rows_of_four_gigabytes(evil):
    evil.until_rows()
    evil.send(Kind.CHUNK, b"", length=2**32 - 1)


@fault(PeerError, "another operation")
def rows_of_an_earlier_operation(evil):
    evil.until_rows()
    evil.send(Kind.CHUNK, chunk(EVIL_ROWS), operation=0)


@fault(PeerError, "no known kind")
def frame_of_unknown_kind(evil):
    evil.until_rows()
    evil.send(200, CANARY.encode())


@fault(PeerError, "no known kind")
def random_bytes_inside_tls(evil):
    evil.until_rows()
    evil.write(b"\xee" + np.random.default_rng(0).bytes(4000))


@fault(PeerError, "sent FINISH where CHUNK or END belongs")
def end_left_out(evil):
    evil.until_rows()
    evil.send(Kind.FINISH, encode(Finish(bytes(32), bytes(32), b"")))


@fault(PeerError, "at most 0 are allowed")
def end_with_rows(evil):
    evil.until_rows()
    evil.send(Kind.END, chunk(EVIL_ROWS))


@fault(PeerError, "CHUNK where FINISH belongs|after the end of its rows")
def rows_after_the_end(evil):
    evil.until_finish()
    evil.rows()


@fault(PeerError, "END where FINISH belongs|after the end of its rows")
def end_twice(evil):
    evil.until_finish()
    evil.end()


@fault(TransportError, "no progress in swapping", patient=True)
def rows_never(evil):
    evil.until_rows()
    evil.aside(Kind.HEARTBEAT, encode(Heartbeat("test.swap", "swapping", "waiting")), operation=0)


@fault(TransportError, "no progress", patient=True)
def rows_announced_and_kept_back(evil):
    evil.until_rows()
    evil.aside(Kind.HEARTBEAT, encode(Heartbeat("test.swap", "swapping", "waiting")), operation=0)
    evil.write(HEADER.pack(Kind.CHUNK, 1, 0, MAX_PAYLOAD, 1, 1) + bytes(1000))


# The end

faults(
    PeerError,
    "saw different bytes",
    "finish",
    {
        "of_other_bytes_sent": lambda evil: (evil.until_finish(), evil.finish(sent=bytes(32))),
        "of_other_bytes_received": lambda evil: (evil.until_finish(), evil.finish(received=bytes(32))),
    },
)
faults(
    PeerError,
    "no Finish",
    "finish",
    {
        "truncated": lambda evil: (evil.until_finish(), evil.finish(b"\x84\xa4type")),
        "with_short_hash": lambda evil: (evil.until_finish(), evil.finish(sent=bytes(31))),
        "with_long_result": lambda evil: (evil.until_finish(), evil.finish(result=CANARY.encode() * 10)),
        "with_unknown_field": lambda evil: (evil.until_finish(), evil.finish(surprise=CANARY)),
    },
)


@fault(PeerError, "different results")
def finish_with_another_result(evil):
    evil.until_finish()
    evil.finish(result=b"other")


@fault(PeerError, "saw different bytes")
def finish_reflected(evil):
    """Our own hashes, in our own order."""
    evil.until_finish()
    for frame in evil.frames():
        if frame.kind is Kind.FINISH:
            return evil.send(Kind.FINISH, bytes(frame.payload))
    return None


# Aborts and heartbeats

faults(
    PeerError,
    "no Heartbeat",
    "heartbeat",
    {
        "truncated": lambda evil: (evil.meet(), evil.aside(Kind.HEARTBEAT, b"\x84", operation=0)),
        "of_unknown_state": lambda evil: (
            evil.meet(),
            evil.aside(Kind.HEARTBEAT, packed(Heartbeat("x", "y", "idle"), state=CANARY), operation=0),
        ),
        "with_endless_phase": lambda evil: (
            evil.meet(),
            evil.aside(Kind.HEARTBEAT, packed(Heartbeat("x", "y", "idle"), phase=CANARY * 100), operation=0),
        ),
    },
)


@fault(PeerError, "malformed header")
def heartbeat_inside_an_operation(evil):
    evil.until_rows()
    evil.aside(Kind.HEARTBEAT, encode(Heartbeat("x", "y", "idle")), operation=1)


@fault(PeerError, "no Abort")
def abort_pickled(evil):
    evil.until_rows()
    evil.aside(Kind.ABORT, PICKLE)


@fault(PeerError, "malformed header")
def abort_in_sequence(evil):
    evil.until_rows()
    evil.aside(Kind.ABORT, encode(Abort("x", "")), sequence=2)


@fault(PeerError, "another operation")
def abort_of_a_later_operation(evil):
    evil.until_rows()
    evil.aside(Kind.ABORT, encode(Abort("x", "")), operation=2)


@fault(PeerAborted, "b left the operation with .*Error about learn; see the message on its side")
def abort_with_escapes(evil):
    evil.until_rows()
    evil.aside(Kind.ABORT, encode(Abort("\x1b[2J\r\nError", "learn")))


# The connection


@fault(PeerError, "in the middle of a frame")
def says_goodbye_in_the_middle_of_a_header(evil):
    evil.until_rows()
    evil.write(HEADER.pack(Kind.CHUNK, 1, 0, 24, 1, 1)[:9])
    evil.say_goodbye()


@fault(PeerError, "in the middle of a frame")
def says_goodbye_in_the_middle_of_rows(evil):
    evil.until_rows()
    evil.write(HEADER.pack(Kind.CHUNK, 1, 0, 24, 1, 1) + bytes(9))
    evil.say_goodbye()


@fault(TransportError, "b has left")
def says_goodbye_between_frames(evil):
    evil.until_rows()
    evil.rows()
    evil.say_goodbye()


@fault(TransportError, "was cut")
def cut_without_goodbye(evil):
    evil.until_rows()
    evil.sock.shutdown(socket.SHUT_WR)


@fault(TransportError, "was cut")
def cut_in_the_middle_of_a_tls_record(evil):
    evil.until_rows()
    record = evil.encrypt(bytes(1000))
    evil.sock.sendall(record[:500])
    evil.sock.shutdown(socket.SHUT_WR)


@fault(TransportError, "broke|was cut")
def reset(evil):
    evil.until_rows()
    evil.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    evil.sock.close()


@fault(TransportError, "not TLS 1.3")
def bit_flipped_below_tls(evil):
    evil.until_rows()
    record = bytearray(evil.encrypt(HEADER.pack(Kind.CHUNK, 1, 0, 24, 1, 1) + chunk(EVIL_ROWS)))
    record[40] ^= 1
    evil.sock.sendall(record)


@fault(TransportError, "not TLS 1.3")
def tls_record_repeated(evil):
    evil.until_rows()
    record = evil.encrypt(HEADER.pack(Kind.CHUNK, 1, 0, 24, 1, 1) + chunk(EVIL_ROWS))
    evil.sock.sendall(record * 2)


@fault(TransportError, "not TLS 1.3")
def plain_bytes_below_tls(evil):
    evil.until_rows()
    evil.sock.sendall(HTTP)


@fault(TransportError, "no progress", patient=True)
def one_byte_at_a_time_and_never_done(evil):
    evil.until_rows()
    evil.aside(Kind.HEARTBEAT, encode(Heartbeat("test.swap", "swapping", "waiting")), operation=0)
    evil.write(HEADER.pack(Kind.CHUNK, 1, 0, MAX_PAYLOAD, 1, 1))
    for _ in range(100):
        evil.write(b"\0")
        time.sleep(0.01)
