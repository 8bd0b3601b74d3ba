"""Faults in rows, endings, heartbeats, aborts and the connection itself: one in each script, named by the fault."""

from __future__ import annotations

import socket
import struct
import time

import numpy as np
from channel.parties import rows

from fusion.channel.frames import HEADER, MAX_PAYLOAD, Kind
from fusion.channel.messages import Abort, Finish, Heartbeat, encode
from fusion.errors import PeerAborted, PeerError, TransportError

from .evil import CANARY, EVIL_ROWS, chunk, packed
from .faults import HTTP, PICKLE, Corpus

CORPUS = Corpus()
fault, faults = CORPUS.fault, CORPUS.faults

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
