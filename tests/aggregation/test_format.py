"""Bytes of keys, arrays and frames: back whole, or refused by name."""

from __future__ import annotations

import contextlib
import hashlib
import struct

import msgspec
import numpy as np
import pandas as pd
import pytest

from fusion import InputError, PeerError, aggregation
from fusion.aggregation import EncryptedArray, EncryptedFrame, EncryptedGroups, PrivateKey, PublicKey, format, ideal

from .keypairs import pair

LIMITS = {"bound": 1000, "terms": 500}


def resealed(data, change=lambda header: header, body=lambda body: body):
    """An envelope with another header or body and a digest that fits: what somebody would send on purpose."""
    _, version, kind, header_bytes, _ = format._START.unpack_from(data)
    end = format._START.size + header_bytes
    header = msgspec.msgpack.decode(data[format._START.size : end])
    changed = change(header)
    encoded = changed if isinstance(changed, bytes) else msgspec.msgpack.encode(changed)
    rest = body(bytearray(data[end:-32]))
    start = format._START.pack(format.MAGIC, version, kind, len(encoded), len(rest))
    whole = start + encoded + bytes(rest)
    return whole + hashlib.sha256(whole).digest()


def make_all(scheme):
    public, _ = pair(scheme)
    frame = public.encrypt(pd.DataFrame({"x": [1, 2]}), moments=2, **LIMITS)
    return {
        "array": (public.encrypt([[1, -2], [3, 4]], **LIMITS).to_bytes(), EncryptedArray),
        "frame": (frame.to_bytes(), EncryptedFrame),
        "groups": (frame.groupby(np.array([5, 7])).agg(["count", "var"]).to_bytes(), EncryptedGroups),
    }


def spread(count):
    """All numbers below a count, or of a large one the first and the last and some between."""
    if count < 20_000:
        return range(count)
    return [*range(500), *range(500, count - 500, count // 200), *range(count - 500, count)]


def test_every_truncation_and_addition_is_refused(keys):
    public, _ = keys
    for data, kind in make_all(public.scheme).values():
        kind.from_bytes(data, public)
        kind.from_bytes(bytearray(data), public)
        kind.from_bytes(memoryview(data), public)
        for length in spread(len(data)):
            with pytest.raises(PeerError, match=r"do not begin as one|not as many as it announces"):
                kind.from_bytes(memoryview(data)[:length], public)
        with pytest.raises(PeerError, match="not as many as it announces"):
            kind.from_bytes(data + b"\0", public)


def test_every_flipped_bit_is_refused(keys):
    public, _ = keys
    for data, kind in make_all(public.scheme).values():
        flipped = bytearray(data)
        for place in spread(8 * len(data)):
            flipped[place // 8] ^= 1 << place % 8
            with pytest.raises(PeerError):
                kind.from_bytes(flipped, public)
            flipped[place // 8] ^= 1 << place % 8
        kind.from_bytes(flipped, public)


def test_kinds_are_not_mistaken(keys):
    public, private = keys
    made = {name: data for name, (data, _) in make_all(public.scheme).items()}
    made["key"] = public.to_bytes()
    readers = {
        "array": lambda data: EncryptedArray.from_bytes(data, public),
        "frame": lambda data: EncryptedFrame.from_bytes(data, public),
        "groups": lambda data: EncryptedGroups.from_bytes(data, public),
        "key": PublicKey.from_bytes,
    }
    for reader, read in readers.items():
        for name, data in made.items():
            if name != reader:
                with pytest.raises(PeerError, match="these bytes are no"):
                    read(data)
    with pytest.raises(PeerError, match="a private key, which nobody should send"):
        PublicKey.from_bytes(private.to_bytes())
    with pytest.raises(InputError, match="a public key; only the private one decrypts"):
        PrivateKey.from_bytes(public.to_bytes())
    for nothing in (None, "text", 5, [1]):
        with pytest.raises(InputError, match="expected bytes"):
            EncryptedArray.from_bytes(nothing, public)


def test_another_version_is_named():
    public, _ = pair("cleartext")
    data = bytearray(public.encrypt([1]).to_bytes())
    data[8] = 9
    with pytest.raises(PeerError, match="format version 9, here is 1; update the older side"):
        EncryptedArray.from_bytes(bytes(data), public)


def test_another_key_and_another_scheme(keys):
    public, _ = keys
    data = public.encrypt([1], **LIMITS).to_bytes()
    with pytest.raises(PeerError, match="under another key"):
        EncryptedArray.from_bytes(data, pair(public.scheme, 1)[0])
    other = "elgamal" if public.scheme != "elgamal" else "paillier"
    with pytest.raises(PeerError, match=f"scheme {public.scheme}, the key given is {other}"):
        EncryptedArray.from_bytes(data, pair(other)[0])


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"rows": 3}, "announces 3 rows|Zeros"),
        ({"rows": 1 << 40}, "announces 1099511627776 rows"),
        ({"rows": (1 << 40) + 1}, "malformed"),
        ({"rows": -1}, "malformed"),
        ({"rows": 2.0}, "malformed"),
        ({"rows": True}, "malformed"),
        ({"width": 3}, "announces 2 rows|cannot hold|None"),
        ({"width": 1 << 24}, "announces 2 rows|cannot hold"),
        ({"width": 0}, "malformed"),
        ({"width": 1, "packed": False}, "announces 2 rows|None"),
        ({"packed": False}, "contradicts itself"),
        ({"single": True}, "contradicts itself"),
        ({"single": True, "rows": 1}, "announces 1 rows|Zeros"),
        ({"single": True, "rows": 1, "squeezed": True}, "contradicts itself"),
        ({"limits": []}, "malformed"),
        ({"limits": [1, 1, 1]}, "contradicts itself"),
        ({"limits": [0]}, "malformed"),
        ({"limits": [1 << 63]}, "malformed"),
        ({"limits": [(1 << 63) - 1], "terms": 1 << 40}, "cannot hold|None"),
        ({"decimals": 19}, "malformed"),
        ({"terms": 0}, "malformed"),
        ({"terms": 1 << 41}, "malformed"),
        ({"weight": 501}, "contradicts itself"),
        ({"key_id": b"x" * 16}, "under another key"),
        ({"key_id": b"x" * 15}, "malformed"),
        ({"scheme": "rot13"}, "scheme rot13"),
        ({"scheme": "\x1b[2J"}, "malformed"),
        ({"extra": 1}, "malformed"),
        ({"type": "frame"}, "malformed"),
    ],
)
def test_headers_are_read_strictly(keys, changes, match):
    public, private = keys
    data = public.encrypt([[1, -2], [3, 4]], **LIMITS).to_bytes()
    assert private.decrypt(EncryptedArray.from_bytes(resealed(data), public)).tolist() == [[1, -2], [3, 4]]
    changed = resealed(data, lambda header: header | changes)
    if ("None" in match and public.scheme != "elgamal") or ("Zeros" in match and public.scheme == "lattice"):
        # the same bytes may well be other rows: who declares them otherwise changes what he sends, and no more
        with contextlib.suppress(PeerError):
            private.decrypt(EncryptedArray.from_bytes(changed, public))
        return
    with pytest.raises(PeerError, match=match):
        EncryptedArray.from_bytes(changed, public)


def test_values_beyond_the_declared_width_are_noticed():
    # what CKKS pads with zeros holds something else
    public, private = pair("ckks")
    data = public.encrypt([[1, -2], [0, 4]], **LIMITS).to_bytes()
    with pytest.raises(PeerError, match="row 0 is no sum of whole numbers"):
        private.decrypt(EncryptedArray.from_bytes(resealed(data, lambda header: header | {"width": 1}), public))


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"\xc1",
        b"\x80",
        b"\x90",
        b"\xdb\xff\xff\xff\xff",
        b"\x91" * 5000,
        b"\xdf\xff\xff\xff\xff",
        b"\x81\xa1\xff\1",
    ],
)
def test_headers_that_are_none(header):
    public, _ = pair("cleartext")
    data = public.encrypt([1]).to_bytes()
    with pytest.raises(PeerError, match="header of this encrypted array is malformed"):
        EncryptedArray.from_bytes(resealed(data, lambda _: header), public)


def test_lengths_are_checked_before_anything_is_read():
    public, _ = pair("cleartext")
    start = struct.pack("<8sBBIQ", format.MAGIC, 1, 2, 2**32 - 1, 2**64 - 1)
    with pytest.raises(PeerError, match="not as many as it announces"):
        EncryptedArray.from_bytes(start + bytes(64), public)


def test_a_header_has_one_encoding():
    public, _ = pair("cleartext")
    data = public.encrypt([1]).to_bytes()

    def reorder(header):
        return msgspec.msgpack.encode(dict(reversed(header.items())))

    with pytest.raises(PeerError, match="malformed"):
        EncryptedArray.from_bytes(resealed(data, reorder), public)


@pytest.mark.parametrize(
    ("scheme", "patch", "match"),
    [
        ("paillier", lambda n: bytes(2 * 64), "ciphertext 1 is not a unit"),
        ("paillier", lambda n: n.to_bytes(128, "big"), "ciphertext 1 is not a unit"),
        ("paillier", lambda n: (n * n).to_bytes(128, "big"), "ciphertext 1 is not a unit"),
        ("paillier", lambda n: b"\xff" * 128, "ciphertext 1 is not a unit"),
        ("elgamal", lambda _: bytes(64), "row 1 .* first element is the identity"),
        ("elgamal", lambda _: b"\xff" * 64, "row 1 .* not a canonical"),
        ("elgamal", lambda _: b"\xed" + b"\xff" * 30 + b"\x7f" + bytes(32), "row 1 .* not a canonical"),
        ("elgamal", lambda _: b"\1" + bytes(63), "row 1 .* not a canonical"),
        ("cleartext", lambda _: bytes(8) + b"\xff" * 15 + b"\x7f", "row 1 holds more than its declared bound"),
    ],
)
def test_what_is_no_ciphertext_is_named_by_its_place(scheme, patch, match):
    public, _ = pair(scheme)
    data = public.encrypt([1, 2, 3], **LIMITS).to_bytes()
    modulus = int.from_bytes(public._scheme.to_bytes(), "big")

    def body(old):
        size = len(old) // 3
        old[size : 2 * size] = patch(modulus)
        return old

    with pytest.raises(PeerError, match=match):
        EncryptedArray.from_bytes(resealed(data, body=body), public)


def test_sums_beyond_what_was_declared_are_refused_at_decryption(keys):
    public, private = keys
    data = public.encrypt([900, 5], bound=1000, terms=4).to_bytes()
    honest = EncryptedArray.from_bytes(data, public)
    forged = EncryptedArray.from_bytes(
        resealed(data, lambda header: header | {"limits": [1 << 4], "terms": 400}), public
    )
    assert private.decrypt(honest).tolist() == [900, 5]
    with pytest.raises(PeerError):
        private.decrypt(forged)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda h: h | {"moments": 1}, "contradicts itself"),
        (lambda h: h | {"moments": 3}, "malformed"),
        (lambda h: h | {"columns": []}, "malformed"),
        (lambda h: h | {"columns": [["x", 0, 999]]}, "contradicts itself"),
        (lambda h: h | {"columns": [["x", 0, 1000], ["x", 0, 1000]]}, "contradicts itself"),
        (lambda h: h | {"columns": [["x" * 300, 0, 1000]]}, "malformed"),
        (lambda h: h | {"array": h["array"] | {"decimals": 1}}, "contradicts itself"),
        (lambda h: h | {"array": h["array"] | {"rows": 9}}, "announces 9 rows"),
    ],
)
def test_headers_of_frames(change, match):
    public, _ = pair("cleartext")
    for name, kind in (("frame", EncryptedFrame), ("groups", EncryptedGroups)):
        with pytest.raises(PeerError, match=match):
            kind.from_bytes(resealed(make_all("cleartext")[name][0], change), public)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"statistics": ["count", "count"]}, "does not hold"),
        ({"statistics": ["median"]}, "malformed"),
        ({"statistics": []}, "malformed"),
        ({"levels": []}, "malformed"),
        ({"levels": [{"name": None, "kind": "integer", "values": [1]}]}, "2 groups and 1 labels"),
        ({"levels": [{"name": None, "kind": "integer", "values": [1, 1]}]}, "two groups of one label"),
        ({"levels": [{"name": None, "kind": "integer", "values": [1, "x"]}]}, "not all of their kind, integer"),
        ({"levels": [{"name": None, "kind": "integer", "values": [1, True]}]}, "not all of their kind, integer"),
        ({"levels": [{"name": None, "kind": "integer", "values": [1, 2**63]}]}, "beyond 64 bits"),
        ({"levels": [{"name": None, "kind": "time-ns", "values": [1, -(2**63)]}]}, "beyond 64 bits"),
        ({"levels": [{"name": None, "kind": "real", "values": [1.0, float("nan")]}]}, "not all finite"),
        ({"levels": [{"name": None, "kind": "pickle", "values": ["a", "b"]}]}, "malformed"),
        ({"levels": [{"name": "n" * 300, "kind": "text", "values": ["a", "b"]}]}, "malformed"),
        ({"levels": [{"name": None, "kind": "text", "values": [["a"], "b"]}]}, "malformed"),
    ],
)
def test_labels_are_read_strictly(change, match):
    public, _ = pair("cleartext")
    with pytest.raises(PeerError, match=match):
        EncryptedGroups.from_bytes(resealed(make_all("cleartext")["groups"][0], lambda h: h | change), public)


@pytest.mark.parametrize("share", ["header", "body", "anywhere"])
def test_forged_bytes_give_a_result_or_a_peer_error(keys, share):
    public, private = keys
    random = np.random.default_rng(5)
    count = 8 if public.scheme == "ckks" else 250
    for name, (data, kind) in make_all(public.scheme).items():
        header_end = format._START.size + format._START.unpack_from(data)[3]
        low, high = {
            "header": (format._START.size, header_end),
            "body": (header_end, len(data) - 32),
            "anywhere": (0, len(data) - 32),
        }[share]
        refused = []
        for _ in range(count):
            forged = bytearray(data[:-32])
            for place in random.integers(low, high, random.integers(1, 4)):
                forged[place] = random.integers(256)
            forged += hashlib.sha256(forged).digest()
            try:
                private.decrypt(kind.from_bytes(forged, public))
            except PeerError as error:
                refused.append(str(error))
        assert "\n" not in "".join(refused)
        assert len(refused) > count // 3 or (share, name) != ("header", "array")


def test_variance_without_squares_is_refused():
    public, _ = pair("cleartext")
    frame = public.encrypt(pd.DataFrame({"x": [1, 2]}), **LIMITS)
    data = frame.groupby(np.array([0, 1])).agg(["sum"]).to_bytes()
    with pytest.raises(PeerError, match="does not hold"):
        EncryptedGroups.from_bytes(resealed(data, lambda h: h | {"statistics": ["var"]}), public)


def test_keys_travel():
    public, private = aggregation.generate("elgamal", slots=2)
    there, back = PublicKey.from_bytes(public.to_bytes()), PrivateKey.from_bytes(private.to_bytes())
    assert there.key_id == back.public.key_id == public.key_id
    data = there.encrypt([[1, 2]], **LIMITS).to_bytes()
    for key in (private, back):
        assert key.decrypt(EncryptedArray.from_bytes(data, public)).tolist() == [[1, 2]]


def test_keys_of_the_cleartext_twin_are_not_taken():
    public, private = ideal.generate()
    with pytest.raises(PeerError, match="no such scheme"):
        PublicKey.from_bytes(public.to_bytes())
    with pytest.raises(InputError, match="no such scheme"):
        PrivateKey.from_bytes(private.to_bytes())


@pytest.mark.parametrize("scheme", ["paillier", "elgamal"])
def test_keys_are_checked_when_they_arrive(scheme):
    public, private = pair(scheme)
    if scheme == "paillier":
        # sound in itself, but short
        with pytest.raises(PeerError, match="512 bits"):
            PublicKey.from_bytes(public.to_bytes())
        with pytest.raises(InputError, match="512 bits"):
            PrivateKey.from_bytes(private.to_bytes())
    for data, read, error in (
        (public.to_bytes(), PublicKey.from_bytes, PeerError),
        (private.to_bytes(), PrivateKey.from_bytes, InputError),
    ):
        for length in range(len(data)):
            with pytest.raises(error):
                read(data[:length])
        for body in (b"", b"\0", bytes(32), b"\xff" * 32, b"\xff" * 1000, bytes(10**6)):
            with pytest.raises(error):
                read(resealed(data, body=lambda _, body=body: body))
        with pytest.raises(error, match="no such scheme"):
            read(resealed(data, lambda header: header | {"scheme": "rot13"}))
    elgamal, secret = pair("elgamal")
    for data, read, error in (
        (elgamal.to_bytes(), PublicKey.from_bytes, PeerError),
        (secret.to_bytes(), PrivateKey.from_bytes, InputError),
    ):
        with pytest.raises(error, match="does not have the id that it carries"):
            read(resealed(data, lambda header: header | {"key_id": bytes(16)}))


def test_bytes_in_another_order_of_memory():
    public, private = pair("cleartext")
    data = public.encrypt([1, 2, 3], **LIMITS).to_bytes()
    flat = np.frombuffer(data, np.uint8)
    spaced = memoryview(np.repeat(flat, 2))[::2]
    columns = memoryview(np.asfortranarray(np.stack([flat, flat])))
    assert private.decrypt(EncryptedArray.from_bytes(spaced, public)).tolist() == [1, 2, 3]
    with pytest.raises(PeerError, match="not as many as it announces"):
        EncryptedArray.from_bytes(columns, public)
