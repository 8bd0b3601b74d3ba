"""``fusion keygen``: the key by which the others know this party."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fusion.cli.output import Json, print_json

__all__ = ["keygen", "peer_entry"]


def peer_entry(name: str, fingerprint: str) -> str:
    """Return the TOML lines by which another party's file knows this one."""
    key = f'"{name}"' if "." in name else name  # a dot would nest
    return f'[peers.{key}]\nfingerprint = "{fingerprint}"\n'


def keygen(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="The party's name, the same in every file that speaks of it.")
    ],
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The file to write.", show_default="NAME.key")
    ] = None,
    as_json: Json = False,
) -> None:
    """Make a party's key, and the fingerprint to give to its peers.

    NAME is the party's name, the same in every file that speaks of it. The key stays with the party; the fingerprint
    travels to the peers by telephone or on paper, where the network cannot alter it.
    """
    from fusion.channel.identity import Identity

    identity = Identity.create(name, out or Path(f"{name}.key"))
    entry = peer_entry(identity.name, identity.fingerprint)
    if as_json:
        print_json(
            {
                "name": identity.name,
                "fingerprint": identity.fingerprint,
                "path": str(identity.path),
                "peer_entry": entry,
            }
        )
        return
    typer.echo(
        f"{identity.path} holds the private key of {identity.name}. It stays on this machine.\n\n"
        f"Give your peers these lines for their own files:\n\n{entry}"
        f'# address = "host:port"   # where {identity.name} listens, if it is the side that listens'
    )
