"""A party's own file: who it is, where it listens, whom it knows.

name = "insurer"
identity = "insurer.key"                # made by `fusion keygen insurer`; relative to this file
listen = "0.0.0.0:7300"                 # or the peer's `address` below: one of a pair listens, the other dials;
                                        # neither where they only meet over a relay
timeout = 60                            # optional: seconds to wait without progress

[peers.hospital]
fingerprint = "ed25519:..."             # what `fusion keygen hospital` printed there
address = "hospital.example:7300"
"""

from __future__ import annotations

import os
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

import msgspec

from fusion.channel.identity import Identity, check_fingerprint, check_name
from fusion.errors import InputError

__all__ = ["Party", "Peer", "host_and_port"]

DEFAULT_TIMEOUT = 60.0
MIN_TIMEOUT = 3.0  # a peer that computes says so once a second


class _PeerEntry(msgspec.Struct, forbid_unknown_fields=True):
    fingerprint: str
    address: str | None = None


class _PartyFile(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    identity: str
    peers: dict[str, _PeerEntry]
    listen: str | None = None
    timeout: float = DEFAULT_TIMEOUT


@dataclass(frozen=True, slots=True)
class Peer:
    """A peer as this party knows it. Without an ``address``, this party listens for it, or meets it over a relay."""

    name: str
    fingerprint: str
    address: str | None


@dataclass(frozen=True, slots=True)
class Party:
    """A party, read and checked."""

    name: str
    identity: Identity
    listen: str | None
    peers: dict[str, Peer]
    timeout: float = DEFAULT_TIMEOUT

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Party:
        """Read a party's TOML file.

        Raises
        ------
        InputError
            When the file or the identity it names is missing, malformed or contradicts itself.
        """
        path = Path(path)
        try:
            entry = msgspec.convert(tomllib.loads(path.read_text("utf-8")), _PartyFile)
        except OSError as error:
            raise InputError(f"cannot read {path}: {error.strerror}") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
            raise InputError(
                f"{path} is no party file ({str(error).splitlines()[0]}); "
                "it has name, identity, listen, timeout and [peers.NAME] with fingerprint and address"
            ) from None
        check_name(entry.name)
        identity = Identity.load(path.parent / entry.identity)
        if identity.name != entry.name:
            raise InputError(
                f"{path}: name is {entry.name!r}, but {entry.identity} was made for {identity.name!r}; "
                "the peers know this party by the name in its identity"
            )
        if not MIN_TIMEOUT <= entry.timeout <= 86_400:
            raise InputError(f"{path}: timeout must be from {MIN_TIMEOUT:g} to 86400 seconds")
        if entry.listen is not None:
            _check_address(entry.listen, f"{path}: listen")
        peers = {}
        for name, peer in entry.peers.items():
            if check_name(name) == entry.name:
                raise InputError(f"{path}: {name!r} is this party itself; a peer needs another name")
            if peer.address is not None:
                _check_address(peer.address, f"{path}: the address of {name!r}")
            if check_fingerprint(peer.fingerprint) == identity.fingerprint:
                raise InputError(
                    f"{path}: the fingerprint of {name!r} is this party's own; copy the one that {name!r} printed"
                )
            peers[name] = Peer(name, peer.fingerprint, peer.address)
        if len({peer.fingerprint for peer in peers.values()}) < len(peers):
            raise InputError(f"{path}: two peers have the same fingerprint; each has a key of its own")
        return cls(entry.name, identity, entry.listen, peers, entry.timeout)

    def peer(self, name: str) -> Peer:
        """The peer of that name, or `InputError` naming those there are."""
        try:
            return self.peers[name]
        except KeyError:
            known = ", ".join(sorted(self.peers)) or "none"
            raise InputError(
                f"{self.name} knows no peer {name!r} (known: {known}); add [peers.{name}] to its file"
            ) from None


def _check_address(text: str, where: str) -> None:
    try:
        host_and_port(text)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None


def host_and_port(text: str) -> tuple[str, int]:
    """Split ``host:port`` (IPv6 in brackets)."""
    host, separator, port = text.rpartition(":")
    if not separator or host in ("", "[]") or not re.fullmatch("[0-9]{1,5}", port) or not 0 < int(port) < 65536:
        raise InputError(f"{text!r} is no address; write host:port with a port from 1 to 65535")
    if ":" in host and not (host.startswith("[") and host.endswith("]")):
        raise InputError(f"{text!r}: write an IPv6 address in brackets, [::1]:7300")
    return host.strip("[]"), int(port)
