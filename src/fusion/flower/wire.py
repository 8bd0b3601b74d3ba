"""How the messages of a sum travel in Flower's: one record beside the model's, named ``fusion``.

Small ones are bytes in a ConfigRecord. Vectors are the data of an Array, which Flower cuts into pieces; its type is one
that numpy does not know, so that nobody averages masked words by accident.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flwr.app import Array, ArrayRecord, ConfigRecord, Error, Message, RecordDict
from flwr.common.constant import ErrorCode

from fusion.errors import FusionError, InputError, PeerError

__all__ = ["LONG", "RECORD", "VERSION", "config", "config_of", "only_arrays", "refusal", "vector", "vector_of"]

RECORD = "fusion"
LONG = "fusion vector"
"""The record of a long message that comes beside a small one."""
VERSION = 1
# One object of a message: beyond it Flower's encoding fails, far from whoever could do something about it.
_LARGEST = (1 << 31) - (1 << 20)


def config_of(message: Message, fields: Mapping[str, type], sender: str) -> dict[str, Any]:
    """The record's fields, each of the given type; others than these are refused."""
    record = message.content.config_records.get(RECORD)
    if record is None:
        raise PeerError(
            f"{sender} sent a message without a record named {RECORD!r}; see that both use the same version"
        )
    if dict(record).get("version") != VERSION:
        raise PeerError(f"{sender} runs another version of the protocol; use the same release at both")
    found = {name: value for name, value in record.items() if name != "version"}
    if found.keys() != fields.keys() or not all(type(found[name]) is kind for name, kind in fields.items()):
        raise PeerError(f"{sender} sent a record with other fields; use the same release at both")
    return found


def config(**fields: str | int | bytes) -> ConfigRecord:
    """A record of small messages."""
    return ConfigRecord({"version": VERSION, **fields})


def vector(data: bytes, kind: str) -> ArrayRecord:
    """A record of one long message."""
    if len(data) > _LARGEST:
        raise InputError("the vector is beyond what one message of Flower holds, 2 GiB; train a smaller model")
    return ArrayRecord({"data": Array("bytes", (len(data),), f"fusion.{kind}.{VERSION}", data)})


def vector_of(message: Message, kind: str, sender: str, name: str = RECORD) -> bytes:
    """The long message in a record, of that name."""
    record = message.content.array_records.get(name)
    if record is None or list(record) != ["data"] or record["data"].stype != f"fusion.{kind}.{VERSION}":
        raise PeerError(f"{sender} sent no {kind} vector; see that its app uses the same release")
    return record["data"].data


def only_arrays(content: RecordDict, sender: str) -> ArrayRecord:
    """The one record of arrays in a message."""
    records = list(content.array_records.values())
    if len(records) != 1:
        raise InputError(f"{sender} sent {len(records)} records of arrays; a model is one")
    return records[0]


def refusal(message: Message, error: Exception) -> Message:
    """The reply that says why there is none.

    Errors of this package hold nothing of the data; of others only the class leaves.
    """
    reason = f"{type(error).__name__}: {error}" if isinstance(error, FusionError) else type(error).__name__
    return Message(Error(code=ErrorCode.MOD_FAILED_PRECONDITION, reason=reason), reply_to=message)
