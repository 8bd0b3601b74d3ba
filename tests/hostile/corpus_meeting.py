"""Faults in introductions and announcements: one in each script, named by the fault, with the error it must produce."""

from __future__ import annotations

from fusion.channel.frames import Kind
from fusion.channel.messages import WIRE_VERSION, Abort, encode
from fusion.errors import MismatchError, PeerError, TransportError

from .evil import CANARY
from .faults import HTTP, PICKLE, Corpus

CORPUS = Corpus()
fault, faults = CORPUS.fault, CORPUS.faults

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
        "of_another_wire_version": lambda evil: (evil.accept(), evil.hello(wire=WIRE_VERSION + 1)),
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
