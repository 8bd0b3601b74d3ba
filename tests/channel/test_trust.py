"""Who gets past the handshake: holders of a pinned key, and nobody else.

A pin becomes a trust anchor made on the spot, whose own signature nobody checks. Each case below is a way in which
that could let somebody else in.
"""

from __future__ import annotations

import datetime as dt
import socket
import ssl
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import NameOID

from fusion.channel import connect
from fusion.channel.identity import ALPN, fingerprint_of_certificate, tls_context
from fusion.channel.tls import WrongKey, handshake
from fusion.errors import MismatchError, PeerError, TransportError

from .parties import PATIENCE, duel, free_port, one_line, tcp_pair

START, END = dt.datetime(2020, 1, 1, tzinfo=dt.UTC), dt.datetime(2120, 1, 1, tzinfo=dt.UTC)


def named(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def certificate(key, subject, issuer, signer, *, authority=False, start=START, end=END, claimed=None):
    """``key`` is certified, ``signer`` signs, ``claimed`` is the key that the issuer's identifier names."""
    identifier = x509.SubjectKeyIdentifier.from_public_key((claimed or signer).public_key())
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier(identifier.digest, None, None), critical=False)
    )
    return builder.sign(signer, None if isinstance(signer, Ed25519PrivateKey) else hashes.SHA256())


class Forger:
    """Everything an attacker may hold, and the chains that can be made of it."""

    def __init__(self, keys):
        pem = keys["a"].path.read_bytes()
        self.pinned = serialization.load_pem_private_key(pem, None)
        self.genuine = x509.load_pem_x509_certificate(pem)
        self.own = Ed25519PrivateKey.generate()

    def chain(self, case):
        """The private key presented, and certificates from leaf to root."""
        own, pinned, name, issuer = self.own, self.pinned, named("a"), self.genuine.issuer
        own_issuer = named("fusion " + own.public_key().public_bytes_raw().hex()[:48])
        match case:
            case "the pinned key":
                return pinned, [self.genuine]
            case "the pinned key, as its own authority":
                return pinned, [certificate(pinned, issuer, issuer, pinned, authority=True)]
            case "another key with the same name":
                return own, [certificate(own, name, own_issuer, own)]
            case "another key, self-signed":
                return own, [certificate(own, name, name, own)]
            case "another key that claims the pinned issuer":
                return own, [certificate(own, name, issuer, own, claimed=pinned)]
            case "another key that is its own authority under the pinned issuer's name":
                return own, [
                    certificate(own, name, issuer, own),
                    certificate(own, issuer, issuer, own, authority=True, claimed=pinned),
                ]
            case "another key, with the genuine certificate behind it":
                return own, [certificate(own, name, own_issuer, own), self.genuine]
            case "another key that claims the genuine certificate as its authority":
                return own, [certificate(own, name, self.genuine.subject, own, claimed=pinned), self.genuine]
            case "another key signed by the pinned key":
                return own, [certificate(own, name, issuer, pinned)]
            case "another key below an authority signed by the pinned key":
                return own, [
                    certificate(own, name, named("between"), own),
                    certificate(own, named("between"), issuer, pinned, authority=True),
                ]
            case "the pinned key, expired":
                return pinned, [certificate(pinned, name, issuer, pinned, end=dt.datetime(2021, 1, 1, tzinfo=dt.UTC))]
            case "the pinned key, not yet valid":
                return pinned, [certificate(pinned, name, issuer, pinned, start=dt.datetime(2110, 1, 1, tzinfo=dt.UTC))]
            case "the pinned key, certified by another key":
                return pinned, [certificate(pinned, name, issuer, own, claimed=pinned)]
            case "an RSA key signed by the pinned key":
                key = rsa.generate_private_key(65537, 2048)
                return key, [certificate(key, name, issuer, pinned)]
            case "a P-256 key signed by the pinned key":
                key = ec.generate_private_key(ec.SECP256R1())
                return key, [certificate(key, name, issuer, pinned)]
            case "a P-256 key under the pinned issuer's name":
                key = ec.generate_private_key(ec.SECP256R1())
                return key, [certificate(key, name, issuer, key, claimed=pinned)]
        raise AssertionError(case)


STOPPED_BY_TLS = (
    "the pinned key, as its own authority",
    "another key with the same name",
    "another key, self-signed",
    "another key that claims the pinned issuer",
    "another key that is its own authority under the pinned issuer's name",
    "another key, with the genuine certificate behind it",
    "another key that claims the genuine certificate as its authority",
    "another key below an authority signed by the pinned key",
    "the pinned key, expired",
    "the pinned key, not yet valid",
    "the pinned key, certified by another key",
    "a P-256 key under the pinned issuer's name",
)
# only the holder of the pinned key can make these, and TLS alone would take them
STOPPED_BY_FINGERPRINT = (
    "another key signed by the pinned key",
    "an RSA key signed by the pinned key",
    "a P-256 key signed by the pinned key",
)


def meet(keys, forger, case, *, server, tmp_path):
    """The victim's handshake with an attacker who plays party a; the victim is party b, a server or a client."""
    key, chain = forger.chain(case)
    path = tmp_path / "forged.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + b"".join(link.public_bytes(serialization.Encoding.PEM) for link in chain)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT if server else ssl.PROTOCOL_TLS_SERVER)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.set_alpn_protocols([ALPN])
    context.load_cert_chain(path)
    ours = tls_context(keys["b"], [keys["a"].fingerprint], server=server)
    near, far = tcp_pair()

    def victim():
        tls = handshake(near, ours, server=server, seconds=PATIENCE)
        name, fingerprint = fingerprint_of_certificate(tls.plain.getpeercert(binary_form=True))
        return name, fingerprint == keys["a"].fingerprint

    def attacker():
        try:
            return handshake(far, context, server=not server, seconds=PATIENCE)
        finally:
            far.close()

    with near:
        return duel(victim, attacker)


@pytest.fixture(scope="module")
def forger(keys):
    return Forger(keys)


@pytest.mark.parametrize("server", [True, False], ids=["listening", "dialling"])
def test_the_pinned_key_is_accepted(keys, forger, server, tmp_path):
    outcome, _ = meet(keys, forger, "the pinned key", server=server, tmp_path=tmp_path)
    assert outcome == ("a", True)


@pytest.mark.parametrize("server", [True, False], ids=["listening", "dialling"])
@pytest.mark.parametrize("case", STOPPED_BY_TLS)
def test_nobody_else_completes_the_handshake(keys, forger, case, server, tmp_path):
    outcome, _ = meet(keys, forger, case, server=server, tmp_path=tmp_path)
    assert isinstance(outcome, WrongKey)
    assert "not pinned" in one_line(outcome)


@pytest.mark.parametrize("server", [True, False], ids=["listening", "dialling"])
@pytest.mark.parametrize("case", STOPPED_BY_FINGERPRINT)
def test_a_key_that_the_pinned_one_vouches_for_is_still_another_key(keys, forger, case, server, tmp_path):
    outcome, _ = meet(keys, forger, case, server=server, tmp_path=tmp_path)
    # fingerprint_of_certificate wants a certificate signed by the key that it certifies
    assert isinstance(outcome, (PeerError, WrongKey))
    one_line(outcome)


def plain_context(*, server=False):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def answer(keys, context):
    """What a listening party makes of a client with this context."""
    ours = tls_context(keys["b"], [keys["a"].fingerprint], server=True)
    near, far = tcp_pair()

    def client():
        with far:
            return handshake(far, context, server=False, seconds=PATIENCE)

    with near:
        return duel(lambda: handshake(near, ours, server=True, seconds=PATIENCE), client)[0]


def test_a_client_without_a_key(keys):
    context = plain_context()
    context.set_alpn_protocols([ALPN])
    outcome = answer(keys, context)
    assert isinstance(outcome, TransportError)
    assert "presented no key" in one_line(outcome)


def test_an_older_tls(keys):
    context = plain_context()
    context.load_cert_chain(keys["a"].path)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    outcome = answer(keys, context)
    assert isinstance(outcome, TransportError)
    assert "not TLS 1.3" in one_line(outcome)


@pytest.mark.parametrize("protocols", [[], ["h2"], ["fusion/2"]], ids=["none", "h2", "fusion/2"])
def test_a_pinned_key_that_speaks_something_else(keys, protocols):
    """The listening party stops waiting: its peer is there, but of another version."""
    context = plain_context()
    context.load_cert_chain(keys["b"].path)
    context.set_alpn_protocols(protocols)
    port = free_port()

    def other_version():
        while True:
            try:
                sock = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
            except ConnectionRefusedError:
                time.sleep(0.01)
                continue
            with sock:
                handshake(sock, context, server=False, seconds=PATIENCE)
                return sock.recv(1000) and None

    outcome, _ = duel(lambda: connect(keys.party("a", listen=port, b=None), "b"), other_version)
    assert isinstance(outcome, MismatchError)
    assert outcome.field == "protocol"
    one_line(outcome)


def test_the_context_allows_nothing_older_and_no_resumption(keys):
    for server in (True, False):
        context = tls_context(keys["a"], [keys["b"].fingerprint], server=server)
        assert context.minimum_version == ssl.TLSVersion.TLSv1_3
        assert context.verify_mode == ssl.CERT_REQUIRED
        assert len(context.get_ca_certs()) == 1
    assert tls_context(keys["a"], [], server=True).num_tickets == 0
