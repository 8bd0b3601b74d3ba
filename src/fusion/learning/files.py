"""Files that are either whole or not there."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from fusion.errors import InputError

__all__ = ["read", "write"]

T = TypeVar("T")


def write(path: Path, content: msgspec.Struct | dict[str, Any], what: str) -> None:
    """Replace a JSON file as a whole, so that it is never half written; only its owner may read it.

    Raises
    ------
    InputError
        When it cannot be written; ``what`` names its content.
    """
    beside = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        try:
            # a new file: not what a link of that name leads to, nor one that others may read
            beside.unlink(missing_ok=True)
            with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:  # noqa: PTH123
                file.write(msgspec.json.format(msgspec.json.encode(content), indent=1))
                file.flush()
                os.fsync(file.fileno())
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(f"cannot write {what} {path}: {error.strerror}") from None


def read(path: Path, kind: type[T], what: str) -> T | None:
    """What `write` wrote, strictly; None if there is no file.

    Raises
    ------
    InputError
        When it cannot be read or holds anything else; ``what`` names the content.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InputError(f"cannot read {what} {path}: {error.strerror}") from None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise InputError(f"{path} holds no {what.removeprefix('the ')} that this version can read") from None
