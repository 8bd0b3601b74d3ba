"""Identities: the file that holds a key, and what is shown of it."""

from __future__ import annotations

import contextlib
import os
import stat

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from reference import ristretto255 as twin

from fusion.channel import Identity
from fusion.channel.identity import check_fingerprint, check_name, fingerprint_of_certificate
from fusion.errors import InputError, PeerError

from .parties import one_line


def pem(key, password=None) -> bytes:
    how = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, how)


def write(path, data: bytes, mode: int = 0o600):
    path.write_bytes(data)
    path.chmod(mode)
    return path


def test_a_key_is_written_for_its_owner_only(tmp_path):
    old = os.umask(0)
    try:
        made = Identity.create("hospital", tmp_path / "hospital.key")
    finally:
        os.umask(old)
    assert stat.S_IMODE(made.path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [made.path]
    assert Identity.load(made.path) == made
    assert check_fingerprint(made.fingerprint) == made.fingerprint


def test_every_key_is_another_one(tmp_path):
    made = {Identity.create("hospital", tmp_path / f"{i}.key").fingerprint for i in range(5)}
    assert len(made) == 5


def test_an_identity_signs_under_its_fingerprint(tmp_path):
    identity = Identity.create("a", tmp_path / "a.key")
    key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(identity.fingerprint.removeprefix("ed25519:")))
    key.verify(identity.sign(b"test/what is said"), b"test/what is said")
    with pytest.raises(InvalidSignature):
        key.verify(identity.sign(b"test/what is said"), b"test/something else")
    (tmp_path / "a.key").unlink()
    Identity.create("a", tmp_path / "a.key")
    with pytest.raises(InputError, match="not hold this identity any more"):
        identity.sign(b"")
    write(tmp_path / "a.key", b"no key")
    with pytest.raises(InputError, match="not hold this identity any more"):
        identity.sign(b"")
    write(tmp_path / "a.key", pem(Ed25519PrivateKey.generate(), b"password"))
    with pytest.raises(InputError, match="not hold this identity any more"):
        identity.sign(b"")
    (tmp_path / "a.key").unlink()
    with pytest.raises(InputError, match="cannot read the identity"):
        identity.sign(b"")


def test_nothing_is_overwritten(tmp_path):
    path = write(tmp_path / "a.key", b"something dear")
    with pytest.raises(InputError, match="exists; move it away"):
        Identity.create("a", path)
    assert path.read_bytes() == b"something dear"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InputError, match="cannot write"):
        Identity.create("a", tmp_path / "nowhere" / "a.key")


@pytest.mark.parametrize("mode", [0o604, 0o640, 0o602, 0o660, 0o644, 0o777])
def test_a_key_that_others_may_read_is_refused(tmp_path, mode):
    made = Identity.create("a", tmp_path / "a.key")
    made.path.chmod(mode)
    with pytest.raises(InputError, match="chmod 600"):
        Identity.load(made.path)


def test_neither_words_nor_fields_show_the_key(tmp_path):
    made = Identity.create("a", tmp_path / "a.key")
    lines = made.path.read_text().splitlines()
    private = lines[1]
    raw = serialization.load_pem_private_key(made.path.read_bytes(), None).private_bytes_raw().hex()
    shown = repr(made) + str(made) + "".join(repr(getattr(made, name)) for name in ("name", "fingerprint", "path"))
    assert private not in shown
    assert raw not in shown
    assert made.fingerprint in repr(made)


@pytest.fixture
def unusable(tmp_path):
    good, other = (Identity.create(name, tmp_path / f"{name}.key").path.read_bytes() for name in ("good", "other"))
    certificate = good[good.index(b"-----BEGIN CERT") :]
    return {
        "missing": tmp_path / "nothing",
        "folder": tmp_path,
        "zero_byte_in_path": tmp_path / "a\0b",
        "empty": write(tmp_path / "1", b""),
        "no_pem": write(tmp_path / "2", b"\x00\xff" * 50),
        "key_only": write(tmp_path / "3", good[: good.index(b"-----BEGIN CERT")]),
        "certificate_only": write(tmp_path / "4", certificate),
        "truncated": write(tmp_path / "5", good[:-60]),
        "other_key": write(tmp_path / "6", other[: other.index(b"-----BEGIN CERT")] + certificate),
        "encrypted": write(tmp_path / "7", pem(Ed25519PrivateKey.generate(), b"secret") + certificate),
        "rsa": write(tmp_path / "8", pem(generate_private_key(65537, 2048)) + certificate),
    }


@pytest.mark.parametrize(
    "fault",
    [
        "missing",
        "folder",
        "zero_byte_in_path",
        "empty",
        "no_pem",
        "key_only",
        "certificate_only",
        "truncated",
        "other_key",
        "encrypted",
        "rsa",
    ],
)
def test_an_unusable_file_says_what_to_do(unusable, fault):
    with pytest.raises(InputError) as caught:
        Identity.load(unusable[fault])
    assert "keygen" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["a", "Z9", "bank-2.north_west", "x" * 64])
def test_names(name):
    assert check_name(name) == name


@pytest.mark.parametrize(
    "name", ["", "both", "all", "-a", ".a", "a b", "a\n", "名", "x" * 65, "a/b", "a\0", "é"], ids=ascii
)
def test_what_is_no_name(name):
    with pytest.raises(InputError) as caught:
        check_name(name)
    one_line(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ed25519:",
        "ed25519:" + "0" * 63,
        "ed25519:" + "0" * 65,
        "ED25519:" + "0" * 64,
        "ed25519:" + "A" * 64,
        "sha256:" + "0" * 64,
        " ed25519:" + "0" * 64,
        "ed25519:" + "0" * 64 + "\n",
    ],
)
def test_what_is_no_fingerprint(text):
    with pytest.raises(InputError) as caught:
        check_fingerprint(text)
    one_line(caught.value)


def _small_order() -> list[bytes]:
    """Encodings of the points of order 1, 2, 4 and 8: multiples of a torsion point, as they are and not reduced."""
    q = twin.Point(2, 0)  # until the square root exists and the order is 8
    y, found = 2, set()
    while len(found) < 8:
        y += 1
        square, x = twin.sqrt_ratio_m1((y * y - 1) % twin.P, (twin.D * y * y + 1) % twin.P)
        if square:
            q = twin.multiply(twin.Point(x, y), twin.ORDER)
            found = {twin.multiply(q, i) for i in range(8)}
    values = [point.y + more for point in found for more in (0, twin.P) if point.y + more < 2**255]
    return [(value | sign << 255).to_bytes(32, "little") for value in values for sign in (0, 1)]


def test_a_key_for_which_anybody_can_sign_is_no_fingerprint():
    forged = 0
    weak = _small_order()
    assert len(set(weak)) == 14
    for raw in weak:
        with pytest.raises(InputError, match="anybody can sign"):
            check_fingerprint("ed25519:" + raw.hex())
        key = Ed25519PublicKey.from_public_bytes(raw)
        for i in range(64):
            with contextlib.suppress(InvalidSignature):
                key.verify(b"\1" + bytes(63), b"message %d" % i)
                forged += 1
    assert forged > 64  # this is why: a constant signs


def test_a_changed_certificate_is_refused_or_says_the_same(keys):
    """What OpenSSL lets pass is read again by another parser; bytes outside the signed part may differ, no more."""
    der = x509.load_pem_x509_certificate(keys["a"].path.read_bytes()).public_bytes(serialization.Encoding.DER)
    genuine = fingerprint_of_certificate(der)
    assert genuine == ("a", keys["a"].fingerprint)
    refused = 0
    for at in range(len(der)):
        for change in (0x01, 0x80, 0xFF):
            changed = bytearray(der)
            changed[at] ^= change
            try:
                assert fingerprint_of_certificate(bytes(changed)) == genuine
            except PeerError as error:
                one_line(error)
                refused += 1
        with pytest.raises(PeerError):
            fingerprint_of_certificate(der[:at])
    assert refused > 0.98 * 3 * len(der)
    with pytest.raises(PeerError):
        fingerprint_of_certificate(None)
