"""A federation on this machine as it would be on many: a SuperLink and a SuperNode for each party, TLS and node keys.

    python deployment.py FOLDER [--port 18000]

FOLDER is what `prepare.py` made. Every command is printed before it is run; Ctrl-C ends them all. Meanwhile, elsewhere:

    FLWR_HOME=FOLDER/flwr flwr run horizontal loopback --stream --run-config 'folder="FOLDER"'
"""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import ipaddress
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

# Flower tells its makers what is run, asks them for newer versions, and installs what an app names. None of it here.
QUIET = {
    "FLWR_TELEMETRY_ENABLED": "0",
    "FLWR_DISABLE_UPDATE_CHECK": "1",
    "FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION": "1",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--port", type=int, default=18000, help="of the SuperLink; the nodes take those after it")
    options = parser.parse_args()
    folder = options.folder.resolve()
    homes = sorted(path.parent for path in folder.glob("*/node-config"))
    if not homes:
        raise SystemExit(f"{folder} holds no party; make it with prepare.py")
    certificates(folder / "superlink")
    for home in homes:
        node_key(home)
    address = f"127.0.0.1:{options.port}"
    authority = folder / "superlink" / "ca.crt"
    config = folder / "flwr" / "config.toml"
    config.parent.mkdir(exist_ok=True)
    config.write_text(
        f'[superlink]\ndefault = "loopback"\n\n[superlink.loopback]\naddress = "{address}"\n'
        f'root-certificates = "{authority}"\n'
    )
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # where Flower looks for its others
    environment = os.environ | QUIET | {"FLWR_HOME": str(config.parent), "PATH": programs}
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    with contextlib.ExitStack() as running:
        link = f"flower-superlink --ssl-ca-certfile {authority} --ssl-certfile {folder}/superlink/server.pem "
        link += f"--ssl-keyfile {folder}/superlink/server.key --enable-supernode-auth --host 127.0.0.1 "
        link += f"--port {options.port} --disable-runtime-dependency-installation"
        superlink = running.enter_context(started(link, environment))
        wait_for(options.port, superlink)
        for number, home in enumerate(homes, 1):
            run(f"flwr supernode register {home}/node.pub loopback", environment)
            node = f"flower-supernode --root-certificates {authority} --superlink {address} "
            node += f"--port {options.port + number} --auth-supernode-private-key {home}/node "
            node += f"--node-config {shlex.quote((home / 'node-config').read_text())}"
            running.enter_context(started(node, environment))
        print("ready", flush=True)
        superlink.wait()
        raise SystemExit("the SuperLink has ended; its words are above")


def run(command: str, environment: dict[str, str]) -> None:
    print("$", command, flush=True)
    subprocess.run(program(command), env=environment, check=True, stdout=subprocess.DEVNULL)


@contextlib.contextmanager
def started(command: str, environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """A program that runs in a group of its own, until the block ends; then the whole group ends."""
    print("$", command, flush=True)
    process = subprocess.Popen(program(command), env=environment, start_new_session=True)
    try:
        yield process
    finally:
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(20)


def program(command: str) -> list[str]:
    """The command's words, its program from this Python's environment."""
    name, *words = shlex.split(command)
    return [str(Path(sys.executable).with_name(name)), *words]


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    """Return when somebody listens."""
    until = time.monotonic() + 60
    while time.monotonic() < until and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.2)
    raise SystemExit("the SuperLink did not start; its words are above")


def certificates(folder: Path) -> None:
    """An authority and a certificate for 127.0.0.1, for a month."""
    folder.mkdir(exist_ok=True)
    now = dt.datetime.now(dt.UTC)
    keys = {name: ec.generate_private_key(ec.SECP384R1()) for name in ("ca", "server")}
    names = {name: x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"example {name}")]) for name in keys}
    for name in keys:
        key_id = x509.SubjectKeyIdentifier.from_public_key(keys[name].public_key())
        builder = (
            x509.CertificateBuilder()
            .subject_name(names[name])
            .issuer_name(names["ca"])
            .public_key(keys[name].public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(hours=1))
            .not_valid_after(now + dt.timedelta(days=30))
            .add_extension(x509.BasicConstraints(ca=name == "ca", path_length=None), critical=True)
            .add_extension(key_id, critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(keys["ca"].public_key()), critical=False)
        )
        if name == "server":
            here = [x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.DNSName("localhost")]
            builder = builder.add_extension(x509.SubjectAlternativeName(here), critical=False)
        certificate = builder.sign(keys["ca"], hashes.SHA384())
        (folder / ("ca.crt" if name == "ca" else "server.pem")).write_bytes(
            certificate.public_bytes(serialization.Encoding.PEM)
        )
    secret(folder / "server.key", keys["server"], serialization.PrivateFormat.PKCS8)


def node_key(home: Path) -> None:
    """What a SuperNode proves itself with; `ssh-keygen -t ecdsa -b 384` makes the same."""
    key = ec.generate_private_key(ec.SECP384R1())
    secret(home / "node", key, serialization.PrivateFormat.OpenSSH)
    (home / "node.pub").write_bytes(
        key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    )


def secret(path: Path, key: ec.EllipticCurvePrivateKey, form: serialization.PrivateFormat) -> None:
    """Write a key that only its owner may read."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()))


if __name__ == "__main__":
    main()
