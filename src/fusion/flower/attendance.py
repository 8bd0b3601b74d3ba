"""A party's side of a session: what its ClientApp does with a message of `introduce`."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import logging
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import FunctionType
from typing import Any

import msgspec
from flwr.app import ConfigRecord, Context, Message, RecordDict

from fusion.channel import Channel, Party, Policy, allow_all
from fusion.errors import FusionError, InputError, PeerError, PolicyError, TransportError
from fusion.flower import wire
from fusion.flower.descriptor import Descriptor, Job, Scalar, Visit, decode, folder_of_sessions
from fusion.flower.worker import PATIENCE, receive, send

__all__ = ["Role", "attend"]

Role = Callable[[Channel, Mapping[str, Scalar], Mapping[str, Any]], Mapping[str, Scalar] | None]

# of one party, under way at a time: the server begins them, and each is a process, which stays up to a minute longer
# once its outcome was fetched
MOST_SESSIONS = 8
_START = 60.0  # seconds for a Python to start
_PLACE = ".place"
_KEPT = 7 * 86400.0  # seconds that the trace of a session stays
_log = logging.getLogger(__name__)


def attend(
    message: Message,
    context: Context,
    roles: Mapping[str, Role],
    *,
    node: Mapping[str, Any] | None = None,
    policy: Policy = allow_all,
) -> Message:
    """Answer a message of `find_parties` or `introduce`: take part in a session with another party.

    Parameters
    ----------
    message, context
        As the ClientApp's query function got them.
    roles : mapping of str to function
        What this party takes part in, by the operation's name: functions at the top of a module, called as
        ``role(peer, parameters, node)`` with a `fusion.channel.Channel`, what the server said, and ``node``. What a
        role returns goes **to the server, in clear**: a few names with single numbers, texts or truth values.
    node : mapping, optional
        This party's own settings, ``context.node_config`` unless given. ``fusion-party`` names its file: who it is
        and whose keys it accepts. Nothing that the server says changes these.
    policy : function
        Asked before anything of an operation leaves, as in `fusion.connect`; at the top of a module, like a role.

    Returns
    -------
    Message
        The reply. It tells the server the class of an error, never its text.

    Notes
    -----
    A ClientApp ends after each message, so the role runs in a process of its own, which the first message of a session
    starts and the later ones visit; a message may be lost or come twice. The process ends after its outcome has been
    fetched, or ten minutes after the last message. It writes to a log beside its socket, in ``$XDG_RUNTIME_DIR``
    or the folder of temporary files, where only this user may look.

    **The server chooses when a role runs, how often, and with which parameters**: a role treats these as a stranger's
    wish, and what must not be asked is refused there. A session that would be one too many of those under way, eight,
    is refused with `PolicyError`. Whoever provides the app provides this code.
    """
    settings = dict(context.node_config if node is None else node)
    try:
        if "fusion-party" not in settings:
            raise InputError('this node names no party; start its SuperNode with fusion-party="FILE.toml"')
        party = Party.load(str(settings["fusion-party"]))
        record = message.content.config_records.get(wire.RECORD, ConfigRecord())
        if record.get("step") == "who":
            wire.config_of(message, {"step": str}, "the server")
            return Message(RecordDict({wire.RECORD: wire.config(party=party.name)}), reply_to=message)
        found = wire.config_of(message, {"step": str, "descriptor": bytes}, "the server")
        if found["step"] != "visit":
            raise PeerError("the server asks for a step that this version does not know; use the same release at both")
        descriptor: Descriptor = decode(found["descriptor"], Descriptor)
        descriptor.peer_of(party.name)
        role = roles.get(descriptor.operation)
        if role is None:
            raise InputError(
                f"no role here for the operation {descriptor.operation!r}; add it to the ClientApp's roles"
            )
        binding = descriptor.binding(context.run_id)
        named = _name(role, "a role"), _name(policy, "a policy")
        job = Job(descriptor, binding, str(settings["fusion-party"]), *named, settings, list(sys.path))
        answer = _visit(job, party.name, wire.vector_of(message, "packet", "the server", name="packet"))
    except FusionError as error:
        answer = _refusal(error)
    except Exception:
        # a stranger's exception may quote data, and Flower would send its text to the server
        _log.exception("the session could not be reached")
        answer = Visit(state="failed", error="Exception")
    if answer.text:
        _log.warning("%s", answer.text)
    return Message(
        RecordDict(
            {
                wire.RECORD: wire.config(state=answer.state, error=answer.error, field=answer.field),
                "result": ConfigRecord(dict(answer.result)),
                "packet": wire.vector(answer.packet, "packet"),
            }
        ),
        reply_to=message,
    )


def _refusal(error: FusionError) -> Visit:
    return Visit(state="failed", error=type(error).__name__, field=getattr(error, "field", ""), text=str(error))


def _name(function: Role | Policy, what: str) -> str:
    module, name = getattr(function, "__module__", ""), getattr(function, "__qualname__", "")
    found = getattr(sys.modules.get(module), name, None)
    if module == "__main__" or not (isinstance(found, FunctionType) and _same(found, function)):
        raise InputError(f"{what} is a function at the top of a module, as another process must find it by name")
    return f"{module}:{name}"


def _same(one: object, other: object) -> bool:
    """Whether two functions do the same: Flower may have loaded their module again since one of them was made.

    A wrapper has the name of what it wraps and other code; two that one decorator made differ in what they hold.
    """
    if one is other or not (isinstance(one, FunctionType) and isinstance(other, FunctionType)):
        return one is other or (isinstance(one, Scalar) and type(one) is type(other) and one == other)
    held, others = _held(one), _held(other)
    return one.__code__ == other.__code__ and len(held) == len(others) and all(map(_same, held, others))


def _held(function: FunctionType) -> list[object]:
    cells = [cell.cell_contents for cell in function.__closure__ or ()]
    return [*cells, *(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()]


def _visit(job: Job, party: str, packet: bytes) -> Visit:
    folder = folder_of_sessions()
    # two parties of a simulation share a folder
    stem = folder / hashlib.sha256(f"{job.binding}/{party}".encode()).hexdigest()[:16]
    with _connected(msgspec.structs.replace(job, socket=str(stem.with_suffix(".sock"))), party, stem) as sock:
        sock.settimeout(PATIENCE + 15.0)
        try:
            send(sock, Visit(job.binding, packet))
            return receive(sock)
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise TransportError(
                f"the session's process does not answer ({reason}); its log is {stem.with_suffix('.log')}"
            ) from None


@contextlib.contextmanager
def _connected(job: Job, party: str, stem: Path) -> Iterator[socket.socket]:
    """A connection to the session's process; started once, by whichever message comes first."""
    trace = stem.with_suffix(".session")
    with socket.socket(socket.AF_UNIX) as sock:
        with stem.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not trace.exists():
                _forget(stem.parent)
                place = _place(stem.parent, party)
                try:
                    trace.touch()
                    _start(msgspec.structs.replace(job, place=place), stem.with_suffix(".log"))
                finally:
                    os.close(place)
            try:
                sock.connect(job.socket)
            except OSError:
                raise TransportError(
                    "the process of this session has ended; introduce the parties again, in a new session"
                    f" (its log: {stem.with_suffix('.log')})"
                ) from None
        yield sock


def _place(folder: Path, party: str) -> int:
    """One of the party's places: a locked file, which the session's process inherits, and frees however it ends."""
    name = hashlib.sha256(party.encode()).hexdigest()[:16]
    for number in range(MOST_SESSIONS):
        place = os.open(folder / f"{name}-{number}{_PLACE}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(place, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return place
        except BlockingIOError:
            os.close(place)
    raise PolicyError(
        f"{party} has {MOST_SESSIONS} sessions under way, and begins no more; one ends when the server has fetched its "
        "outcome, or ten minutes after the last message"
    )


def _start(job: Job, log: Path) -> None:
    if len(os.fsencode(job.socket)) > 100:
        raise InputError("the folder of sessions has too long a name for sockets; set XDG_RUNTIME_DIR to a shorter one")
    try:
        job_bytes = msgspec.msgpack.encode(job)
    except TypeError:
        raise InputError("the node's settings can only be numbers, texts and truth values") from None
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        # nothing of the job stands in the arguments, which everybody on the machine can read
        done = subprocess.run(
            # -P: modules come from where this process has them, and not from the folder it happens to be in
            [sys.executable, "-P", "-m", "fusion.flower.worker"],
            input=job_bytes,
            stdout=descriptor,
            stderr=descriptor,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            pass_fds=[job.place],
            start_new_session=True,
            timeout=_START,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise TransportError(f"the process of this session did not start within {_START:g} s") from None
    finally:
        os.close(descriptor)
    if done.returncode:
        raise TransportError(f"the process of this session did not start; its log is {log}")


def _forget(folder: Path) -> None:
    """Remove what is left of sessions long past."""
    for path in folder.iterdir():
        with contextlib.suppress(OSError):
            if path.suffix != _PLACE and time.time() - path.stat().st_mtime > _KEPT:
                path.unlink()
