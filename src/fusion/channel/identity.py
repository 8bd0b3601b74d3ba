"""Who a party is: a name and an Ed25519 key, pinned by the other side. No certificate authority.

A fingerprint *is* the public key, so a pin says all that TLS needs. Each side turns the pins of its peers into trust
anchors made on the spot (a certificate with the pinned key, whose own signature nobody checks) and lets TLS 1.3 verify
the presented certificate against them, on both sides. What an unpinned key presents never gets past the handshake.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import os
import re
import ssl
import stat
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.x509.oid import NameOID

from fusion.channel.messages import WIRE_VERSION
from fusion.errors import InputError, PeerError

__all__ = [
    "ALPN",
    "Identity",
    "check_fingerprint",
    "check_name",
    "fingerprint_of_certificate",
    "protocol_of",
    "tls_context",
]

ALPN = "fusion/1"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_FINGERPRINT = re.compile(r"ed25519:[0-9a-f]{64}")
_RESERVED = frozenset({"both", "all"})
# The y of the eight points of small order on edwards25519: 0, 1, -1 and the two of order 8. A signature under such a
# key is found by trial, and OpenSSL takes it: a pin of zeros, left over from a template, would let everybody in.
_FIELD = 2**255 - 19
_ORDER_8 = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7
_SMALL_ORDER = frozenset({0, 1, _FIELD - 1, _ORDER_8, _FIELD - _ORDER_8})
# Pins are changed by hand; certificates do not expire on their own.
_FROM = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
_UNTIL = dt.datetime(2120, 1, 1, tzinfo=dt.UTC)


def check_name(name: str) -> str:
    """Return a party's name unchanged, or raise `InputError` when it cannot be one."""
    if not _NAME.fullmatch(name):
        raise InputError(
            "a party's name has 1 to 64 letters, digits, '.', '_' or '-' and begins with a letter or digit"
        )
    if name in _RESERVED:
        raise InputError(f"{name!r} is a reserved word and cannot name a party; choose another name")
    return name


def check_fingerprint(text: str) -> str:
    """Return a fingerprint unchanged, or raise `InputError` when it cannot be one."""
    if not _FINGERPRINT.fullmatch(text):
        raise InputError(
            "a fingerprint is 'ed25519:' and 64 lower-case hex digits; copy it from the peer's `fusion keygen`"
        )
    raw = bytes.fromhex(text.removeprefix("ed25519:"))
    try:
        Ed25519PublicKey.from_public_bytes(raw)
    except (ValueError, UnsupportedAlgorithm):
        raise InputError("this fingerprint is no public key; copy it again from the peer's `fusion keygen`") from None
    # the top bit is the sign of x; what is left may be written without having been reduced
    if int.from_bytes(raw, "little") % 2**255 % _FIELD in _SMALL_ORDER:
        raise InputError("anybody can sign for this fingerprint; copy the real one from the peer's `fusion keygen`")
    return text


def _fingerprint(key: Ed25519PublicKey) -> str:
    return "ed25519:" + key.public_bytes_raw().hex()


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _issuer(key: Ed25519PublicKey) -> x509.Name:
    # names the key, so that the verifier finds the one anchor that fits
    return _name("fusion " + key.public_bytes_raw().hex()[:48])


def _certificate(
    key: Ed25519PublicKey, subject: x509.Name, signer: Ed25519PrivateKey, *, anchor: bool
) -> x509.Certificate:
    key_id = x509.SubjectKeyIdentifier.from_public_key(key)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(_issuer(key))
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(_FROM)
        .not_valid_after(_UNTIL)
        .add_extension(x509.BasicConstraints(ca=anchor, path_length=0 if anchor else None), critical=True)
        .add_extension(key_id, critical=False)
        .add_extension(x509.AuthorityKeyIdentifier(key_id.digest, None, None), critical=False)
        .sign(signer, None)
    )


@dataclass(frozen=True, slots=True)
class Identity:
    """A party's own name and key.

    Attributes
    ----------
    name : str
        Stands in the certificate; peers compare it with their own file.
    fingerprint : str
        ``"ed25519:"`` and the public key in hex: what peers pin. Not secret.
    path : pathlib.Path
        The file with the private key and the certificate, readable by its owner only.
    """

    name: str
    fingerprint: str
    path: Path = field(repr=False)

    @classmethod
    def create(cls, name: str, path: str | os.PathLike[str]) -> Identity:
        """Make a fresh key and write it to ``path`` (PEM, mode 0600). Never overwrites."""
        check_name(name)
        path = Path(path)
        key = Ed25519PrivateKey.generate()
        certificate = _certificate(key.public_key(), _name(name), key, anchor=False)
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ) + certificate.public_bytes(serialization.Encoding.PEM)
        try:
            # written aside and linked into place: never half a key, never over another
            descriptor, aside = tempfile.mkstemp(dir=path.parent, prefix=".fusion-")
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(pem)
                    file.flush()
                    os.fsync(file.fileno())
                os.link(aside, path)
            finally:
                Path(aside).unlink()
        except FileExistsError:
            raise InputError(f"{path} exists; move it away first, or choose another file") from None
        except OSError as error:
            raise InputError(
                f"cannot write {path}: {error.strerror}; choose a folder that exists and is writable"
            ) from None
        return cls(name, _fingerprint(key.public_key()), path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Identity:
        """Read an identity that `create` wrote."""
        path = Path(path)
        try:
            with path.open("rb") as file:
                mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
                pem = file.read()
        except OSError as error:
            raise InputError(
                f"cannot read the identity {path}: {error.strerror}; make one with `fusion keygen`"
            ) from None
        except ValueError:
            raise InputError("the path of the identity holds a zero byte; make one with `fusion keygen`") from None
        if mode & 0o077:
            raise InputError(f"{path} holds a private key that others may read; run `chmod 600 {path}`")
        try:
            key = serialization.load_pem_private_key(pem, None)
            certificate = x509.load_pem_x509_certificate(pem)
            (common_name,) = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
            belongs = certificate.public_key() == key.public_key()
        except (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion):
            raise InputError(f"{path} holds no identity; make one with `fusion keygen`") from None
        if not isinstance(key, Ed25519PrivateKey) or not belongs:
            raise InputError(
                f"{path} holds a key and a certificate that do not belong together; make a new one with `fusion keygen`"
            )
        return cls(check_name(str(common_name.value)), _fingerprint(key.public_key()), path)

    def sign(self, message: bytes) -> bytes:
        """The 64-byte Ed25519 signature of this identity. Messages begin with a label that nothing else signs."""
        return self._key().sign(message)

    def secret(self, label: bytes) -> bytes:
        """32 bytes that only who holds this identity can make, others for each label; for what it keeps elsewhere."""
        return HKDF(SHA256(), 32, None, b"fusion/identity/1/" + label).derive(self._key().private_bytes_raw())

    def _key(self) -> Ed25519PrivateKey:
        try:
            key = serialization.load_pem_private_key(self.path.read_bytes(), None)
        except OSError as error:
            raise InputError(f"cannot read the identity {self.path}: {error.strerror}; put it back") from None
        except (ValueError, TypeError, UnsupportedAlgorithm):
            key = None
        if not isinstance(key, Ed25519PrivateKey) or _fingerprint(key.public_key()) != self.fingerprint:
            raise InputError(f"{self.path} does not hold this identity any more; load it again")
        return key


def fingerprint_of_certificate(der: bytes | None) -> tuple[str, str]:
    """The name and the fingerprint in a certificate that TLS has verified."""
    if der is None:
        raise PeerError("the peer presented no certificate")
    try:
        certificate = x509.load_der_x509_certificate(der)
        key = certificate.public_key()
        (common_name,) = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        if not isinstance(key, Ed25519PublicKey):
            raise PeerError("the peer's certificate holds no Ed25519 key")
        key.verify(certificate.signature, certificate.tbs_certificate_bytes)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm, x509.InvalidVersion, Warning):
        raise PeerError("the peer's certificate cannot be read; have it make a new key with `fusion keygen`") from None
    return str(common_name.value)[:65], _fingerprint(key)  # a name has 64; what is longer only ends up in an error


def protocol_of(session: str | None) -> str:
    """The protocol that TLS is to agree on (ALPN, RFC 7301): that of this package, or of one session by name."""
    if session is None:
        return ALPN
    digest = hashlib.sha256(b"fusion/session-name/1/%d/" % WIRE_VERSION + session.encode())
    return f"{ALPN}/{digest.hexdigest()}"


def tls_context(
    identity: Identity, pins: Iterable[str], *, server: bool, protocols: Sequence[str] = (ALPN,)
) -> ssl.SSLContext:
    """TLS 1.3 that presents ``identity`` and accepts exactly the pinned keys.

    A side that speaks none of ``protocols`` is met too: the protocol selected is then None.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False  # the pin is stronger than any host name
    context.verify_mode = ssl.CERT_REQUIRED
    context.set_alpn_protocols(list(protocols))
    if server:
        context.num_tickets = 0  # no resumption: every connection proves its key
    try:
        context.load_cert_chain(identity.path)
    except (ssl.SSLError, OSError):
        raise InputError(f"{identity.path} cannot be used for TLS; make a new one with `fusion keygen`") from None
    for pin in pins:
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(check_fingerprint(pin).removeprefix("ed25519:")))
        anchor = _certificate(key, _issuer(key), Ed25519PrivateKey.generate(), anchor=True)
        context.load_verify_locations(cadata=anchor.public_bytes(serialization.Encoding.PEM).decode())
    return context
