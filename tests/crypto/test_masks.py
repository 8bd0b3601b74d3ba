"""Masks: the key stream of a published cipher, uniform, and taken off as they were put on."""

from __future__ import annotations

import hashlib
import hmac

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import given
from hypothesis import strategies as st

from fusion.crypto.masks import add_mask, derive, public_key, shared_secret, subtract_mask, usable
from fusion.errors import InputError, PeerError


def test_the_stream_is_aes_256_in_counter_mode() -> None:
    """Against single blocks of the cipher, and that against NIST SP 800-38A, F.1.5."""
    key = bytes.fromhex("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4")
    block = Cipher(algorithms.AES(key), modes.ECB()).encryptor()  # noqa: S305 - one block at a time
    assert block.update(bytes.fromhex("6bc1bee22e409f96e93d7e117393172a")).hex() == "f3eed1bdb5d2a03c064b5a7e3db181f8"
    expected = b"".join(block.update(i.to_bytes(16, "big")) for i in range(40_000))
    for dtype in (np.uint32, np.uint64):
        words = np.zeros(len(expected) // np.dtype(dtype).itemsize, dtype)
        add_mask(words, key)
        assert words.tobytes() == expected


@given(st.integers(0, 70_000), st.sampled_from([np.uint32, np.uint64]), st.binary(min_size=32, max_size=32))
def test_what_is_added_comes_off_again(n: int, dtype: type, seed: bytes) -> None:
    words = np.random.default_rng(n).integers(0, np.iinfo(dtype).max, n, dtype, endpoint=True)
    before = words.copy()
    add_mask(words, seed)
    assert n < 4 or not (words == before).all()
    subtract_mask(words, seed)
    np.testing.assert_array_equal(words, before)


def test_a_longer_mask_begins_like_a_shorter_one() -> None:
    short, long = np.zeros(1000, np.uint32), np.zeros(200_000, np.uint32)
    add_mask(short, bytes(32))
    add_mask(long, bytes(32))
    np.testing.assert_array_equal(short, long[:1000])


def test_masks_are_uniform() -> None:
    words = np.zeros(1 << 20, np.uint32)
    add_mask(words, bytes(range(32)))
    for shift in (0, 8, 16, 24):
        counts = np.bincount((words >> shift) & 255, minlength=256)
        assert ((counts - 4096) ** 2 / 4096).sum() < 360  # 255 degrees of freedom: passed by all but some 10^-5


def test_what_is_no_mask_is_refused() -> None:
    with pytest.raises(InputError, match="32 bytes"):
        add_mask(np.zeros(2, np.uint32), b"short")
    for words in (np.zeros(2, np.int64), np.zeros((2, 2), np.uint32), np.zeros(2, np.uint8)):
        with pytest.raises(InputError, match="uint32 or uint64"):
            add_mask(words, bytes(32))


def test_both_owners_agree_as_in_rfc_7748() -> None:
    """RFC 7748, section 6.1."""
    alice = bytes.fromhex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a")
    bob = bytes.fromhex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb")
    assert public_key(alice).hex() == "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a"
    assert public_key(bob).hex() == "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f"
    for mine, other in ((alice, bob), (bob, alice)):
        assert shared_secret(mine, public_key(other)).hex() == (
            "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742"
        )


@pytest.mark.parametrize("point", [bytes(32), b"\x01" + bytes(31), (2**255 - 19).to_bytes(32, "little"), b"short"])
def test_public_keys_that_everybody_shares_are_refused(point: bytes) -> None:
    with pytest.raises(PeerError, match="cannot use"):
        shared_secret(bytes(range(32)), point)


def test_a_usable_key_has_one_encoding_and_works() -> None:
    """Against the library, for every number next to the field's edges and for the points of small order."""
    field = 2**255 - 19
    order_8 = (
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    )
    numbers = [*range(40), *range(field - 40, 2**255), *(int.from_bytes(bytes.fromhex(u), "little") for u in order_8)]
    refused = 0
    for number in [*numbers, *(number + 2**255 for number in numbers)]:
        public = number.to_bytes(32, "little")
        try:
            shared_secret(bytes(range(32)), public)
            works = True
        except PeerError:
            works = False
        assert usable(public) == (works and number < field)
        refused += not works
    assert refused == 14  # 0, 1, -1, two of order 8, the field's order and one more; each also with the top bit set
    assert usable(public_key(bytes(range(32))))


def test_derived_keys_are_hkdf_and_differ_by_every_label() -> None:
    """RFC 5869 written out, with each label behind its length."""
    info = b"\x01\0\0\0a\x02\0\0\0bc"
    extracted = hmac.digest(b"salt", b"secret", hashlib.sha256)
    first = hmac.digest(extracted, info + b"\x01", hashlib.sha256)
    second = hmac.digest(extracted, first + info + b"\x02", hashlib.sha256)
    assert derive(b"secret", b"salt", b"a", b"bc", length=40) == (first + second)[:40]
    assert derive(b"secret", b"salt", b"ab", b"c") != derive(b"secret", b"salt", b"a", b"bc") != derive(b"s", b"", b"")
