"""AES-128 against FIPS 197, NIST's known answers, the plain twin and OpenSSL."""

from __future__ import annotations

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import aes, vectors

from fusion.errors import InputError
from fusion.kernels import _rows, block

CASES = vectors.load("aes128.json")["tests"]
VARIANTS = block.variants()
# Around the numbers of blocks that the variants take at once: 1, 4, 8 and 32.
LENGTHS = [0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 31, 32, 33, 35, 36, 37, 63, 64, 65, 131]


def random_rows(seed: int, n: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, 16), dtype=np.uint8)


def openssl(key: bytes, rows: np.ndarray) -> np.ndarray:
    # One block at a time is what ECB does; nothing is kept secret here.
    encryptor = Cipher(algorithms.AES(key), modes.ECB()).encryptor()  # noqa: S305
    return np.frombuffer(encryptor.update(rows.tobytes()), dtype=np.uint8).reshape(-1, 16)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c['source']}-{c['out'][:8]}")
def test_known_answers(case, variant):
    key, out = bytes.fromhex(case["key"]), bytes.fromhex(case["out"])
    for copies in (1, 4, 41):
        rows = vectors.rows([case["in"]] * copies)
        assert block.encrypt(key, rows, variant=variant).tobytes() == out * copies
        assert (block.compress(key, rows, variant=variant) ^ rows).tobytes() == out * copies


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c['source']}-{c['out'][:8]}")
def test_known_answers_of_the_twin(case):
    assert aes.encrypt(bytes.fromhex(case["key"]), bytes.fromhex(case["in"])).hex() == case["out"]


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_bit_of_key_and_text(variant):
    """The single-bit cases of AESAVS, appendices D and E, for all 128 bits, with OpenSSL's answers."""
    bits = np.packbits(np.eye(128, dtype=np.uint8), axis=1)
    zero = np.zeros((1, 16), dtype=np.uint8)
    assert (block.encrypt(bytes(16), bits, variant=variant) == openssl(bytes(16), bits)).all()
    for key in bits:
        assert (block.encrypt(key.tobytes(), zero, variant=variant) == openssl(key.tobytes(), zero)).all()


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_byte_through_the_s_box(variant):
    """In each of the sixteen places of a block, the rest zero."""
    rows = np.zeros((16, 256, 16), dtype=np.uint8)
    for place in range(16):
        rows[place, :, place] = np.arange(256)
    rows = rows.reshape(-1, 16)
    assert (block.encrypt(b"sixteen byte key", rows, variant=variant) == openssl(b"sixteen byte key", rows)).all()


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("n", LENGTHS)
def test_lengths(n, variant):
    key, rows = random_rows(1, 1).tobytes(), random_rows(n, n)
    expected = openssl(key, rows)
    assert (block.encrypt(key, rows, variant=variant) == expected).all()
    assert (block.compress(key, rows, variant=variant) == expected ^ rows).all()


@settings(max_examples=30, deadline=None)
@given(key=st.binary(min_size=16, max_size=16), rows=st.binary(min_size=16, max_size=16 * 5))
def test_the_plain_twin_agrees(key, rows):
    array = np.frombuffer(rows[: len(rows) // 16 * 16], dtype=np.uint8).reshape(-1, 16)
    for variant in VARIANTS:
        out = block.compress(key, array, variant=variant)
        assert [r.tobytes() for r in out] == [aes.compress(key, r.tobytes()) for r in array]


def test_threads_do_not_matter():
    rows = random_rows(3, 3 * _rows._LARGEST_PIECE // 2)
    one = block.encrypt(bytes(16), rows, threads=1)
    assert (block.encrypt(bytes(16), rows, threads=3) == one).all()


def test_the_input_is_not_touched_and_may_be_a_view():
    rows = random_rows(4, 20)
    before = rows.copy()
    assert (block.encrypt(bytes(16), rows[::2]) == openssl(bytes(16), before[::2])).all()
    assert (rows == before).all()


def test_portable_is_always_there_and_last():
    assert VARIANTS[-1] == "portable"
    assert len(set(VARIANTS)) == len(VARIANTS)


def test_the_environment_forces_portable(monkeypatch):
    monkeypatch.delenv("FUSION_KERNEL", raising=False)
    assert block.operations(None) is block.operations(VARIANTS[0])
    monkeypatch.setenv("FUSION_KERNEL", "portable")
    assert block.operations(None) is block.operations("portable")


def test_refusals():
    rows = random_rows(5, 2)
    for key in (bytes(15), bytes(32), b""):
        with pytest.raises(InputError, match="the key must have 16 bytes"):
            block.encrypt(key, rows)
    with pytest.raises(InputError, match=r"rows must have shape \(n, 16\)"):
        block.encrypt(bytes(16), rows[:, :8])
    with pytest.raises(InputError, match="uint8"):
        block.compress(bytes(16), rows.astype(np.int64))
    with pytest.raises(InputError, match=r"'abacus' cannot run here; choose one of .*portable"):
        block.encrypt(bytes(16), rows, variant="abacus")
