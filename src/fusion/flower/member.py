"""Who a client is: its identity, whom it knows, and where it remembers what it must not do twice.

All of it comes from the node, never from the server: pins that a server hands out are pins of its own making.

    flower-supernode --node-config 'fusion-identity="/srv/fusion/clinic.key" fusion-clients="/srv/fusion/clients.toml"'
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from flwr.app import Context

from fusion.channel import Identity
from fusion.channel.identity import check_fingerprint, check_name
from fusion.errors import InputError

__all__ = ["Member", "load_clients"]

_NONCE = 12


def load_clients(path: str | os.PathLike[str]) -> dict[str, str]:
    """Read the clients of a federation: a TOML file with a line ``name = "ed25519:..."`` for each.

    The same file serves the server and every client. Each takes it from where it trusts it, and not from the server.

    Raises
    ------
    InputError
        When the file is missing or holds something else.
    """
    path = Path(path)
    try:
        found = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}; write each client's name and fingerprint") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        found = {}
    if not found or not all(isinstance(value, str) for value in found.values()):
        raise InputError(
            f'{path} is no list of clients; it has a line NAME = "ed25519:..." for each, as keygen printed it'
        )
    return check_clients(found)


def check_clients(clients: Mapping[str, str]) -> dict[str, str]:
    """Names and fingerprints that can be used, or `InputError`."""
    for name, fingerprint in clients.items():
        check_name(name)
        check_fingerprint(fingerprint)
    if len(set(clients.values())) != len(clients):
        raise InputError("two clients have the same fingerprint; each has a key of its own")
    return dict(sorted(clients.items()))


@dataclass(frozen=True, slots=True)
class Member:
    """A client of a federation.

    Attributes
    ----------
    identity : Identity
        Its own, from ``fusion keygen``.
    clients : mapping of str to str
        The fingerprint of every client by name, its own included.
    memory : path
        The file of what it has done; beside the identity, and like it not to be restored from a backup.
    """

    identity: Identity
    clients: Mapping[str, str]
    memory: Path

    @classmethod
    def load(cls, identity: str | os.PathLike[str], clients: str | os.PathLike[str]) -> Member:
        """Read both files; what it does is remembered beside the first, in one that ends with ``.rounds``."""
        own = Identity.load(identity)
        known = load_clients(clients)
        if known.get(own.name) != own.fingerprint:
            raise InputError(f"{clients} does not hold {own.name} with the fingerprint of its identity; add or mend it")
        return cls(own, known, Path(identity).with_suffix(".rounds"))

    @classmethod
    def of_node(cls, context: Context) -> Member:
        """The member that a node's configuration names, in ``fusion-identity`` and ``fusion-clients``."""
        try:
            identity, clients = (str(context.node_config[key]) for key in ("fusion-identity", "fusion-clients"))
        except KeyError:
            raise InputError(
                "this node has no identity; start its SuperNode with --node-config "
                '\'fusion-identity="FILE.key" fusion-clients="FILE.toml"\''
            ) from None
        return cls.load(identity, clients)

    def seal(self, state: bytes, about: str) -> bytes:
        """What this client must keep, for `unseal` under the same name: nobody else can read or change it.

        Flower keeps a client's context in the SuperNode, and hands it to whoever shows the token that stands among the
        arguments of the app's process.
        """
        nonce = os.urandom(_NONCE)
        return nonce + self._cipher(about).encrypt(nonce, state, None)

    def unseal(self, sealed: bytes, about: str) -> bytes:
        """What `seal` was given."""
        try:
            return self._cipher(about).decrypt(sealed[:_NONCE], sealed[_NONCE:], None)
        except (InvalidTag, ValueError):
            raise InputError("what this client has kept was sealed by another, or changed; begin a new run") from None

    def _cipher(self, about: str) -> AESGCM:
        return AESGCM(self.identity.secret(b"flower state/" + about.encode()))
