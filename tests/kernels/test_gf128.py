"""GF(2^128) against the plain twin, the field's axioms, and two standards that use the same polynomial."""

from __future__ import annotations

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import gf128

from fusion.errors import InputError
from fusion.kernels import _rows, block

VARIANTS = block.variants()
LENGTHS = [0, 1, 2, 3, 4, 5, 7, 8, 9, 64, 67]
elements = st.integers(0, 2**128 - 1)
# Operands of one, two, or all bits, where reductions and carries go wrong first.
SPECIAL = [0, 1, 2, 2**63, 2**64 - 1, 2**64, 2**127, 2**128 - 1, 0x87, 2**121 + 2**126]


def array(*values: int) -> np.ndarray:
    return np.frombuffer(b"".join(v.to_bytes(16, "little") for v in values), dtype=np.uint8).reshape(-1, 16).copy()


def integers(rows: np.ndarray) -> list[int]:
    return [int.from_bytes(row.tobytes(), "little") for row in rows]


def random_rows(seed: int, n: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, 16), dtype=np.uint8)


@pytest.mark.parametrize("variant", VARIANTS)
def test_powers_of_x(variant):
    """x^i x^j = x^(i + j), where x^128 = x^7 + x^2 + x + 1: every pair of bits, hence the product by bilinearity."""
    powers, value = [], 1
    for _ in range(255):
        powers.append(value)
        value = value << 1 ^ (gf128.MODULUS if value >> 127 else 0)
    left = array(*powers[:128])
    for j in range(128):
        assert integers(block.scale(left, powers[j].to_bytes(16, "little"), variant=variant)) == powers[j : j + 128]


@pytest.mark.parametrize("variant", VARIANTS)
def test_special_operands_equal_the_twin(variant):
    pairs = [(a, b) for a in SPECIAL for b in SPECIAL]
    products = block.multiply(array(*(a for a, _ in pairs)), array(*(b for _, b in pairs)), variant=variant)
    assert integers(products) == [gf128.multiply(a, b) for a, b in pairs]


@settings(max_examples=60, deadline=None)
@given(a=elements, b=elements, c=elements)
def test_the_twin_agrees_and_the_axioms_hold(a, b, c):
    expected = gf128.multiply(a, b)
    for variant in VARIANTS:
        assert integers(block.multiply(array(a, b), array(b, a), variant=variant)) == [expected, expected]
        ab_c = block.scale(array(expected), c.to_bytes(16, "little"), variant=variant)
        bc = block.scale(array(b), c.to_bytes(16, "little"), variant=variant)
        assert (ab_c == block.multiply(array(a), bc, variant=variant)).all()
        distributed = block.multiply(array(a, b), array(c, c), variant=variant)
        assert (distributed[0] ^ distributed[1] == block.multiply(array(a ^ b), array(c), variant=variant)[0]).all()


@settings(max_examples=10, deadline=None)
@given(a=st.integers(1, 2**128 - 1))
def test_every_element_has_an_inverse(a):
    assert integers(block.multiply(array(a), array(gf128.invert(a)))) == [1]


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("n", LENGTHS)
def test_lengths(n, variant):
    a, b, s = random_rows(n, n), random_rows(n + 1000, n), random_rows(7, 1).tobytes()
    products = [gf128.multiply(x, y) for x, y in zip(integers(a), integers(b), strict=True)]
    assert integers(block.multiply(a, b, variant=variant)) == products
    scaled = block.scale(a, s, variant=variant)
    assert integers(scaled) == [gf128.multiply(x, int.from_bytes(s, "little")) for x in integers(a)]
    out = b.copy()
    block.scale_add(out, a, s, variant=variant)
    assert (out == scaled ^ b).all()


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_tweaks_of_xts(variant):
    """IEEE 1619: block j of a unit is masked by AES_2(unit) x^j in this field, in this order of bits."""
    first, second, unit = random_rows(1, 1).tobytes(), random_rows(2, 1).tobytes(), random_rows(3, 1)
    plain = random_rows(4, 200)
    encryptor = Cipher(algorithms.AES(first + second), modes.XTS(unit.tobytes())).encryptor()
    expected = np.frombuffer(encryptor.update(plain.tobytes()) + encryptor.finalize(), dtype=np.uint8)
    tweaks = [block.encrypt(second, unit, variant=variant)]
    for _ in range(199):
        tweaks.append(block.scale(tweaks[-1], (2).to_bytes(16, "little"), variant=variant))
    mask = np.concatenate(tweaks)
    assert (block.encrypt(first, plain ^ mask, variant=variant) ^ mask == expected.reshape(-1, 16)).all()


@pytest.mark.parametrize("variant", VARIANTS)
def test_ghash_in_reflected_order(variant):
    """The GCM specification (McGrew and Viega), test case 2: X_1 = C H with every byte's bits reversed."""
    c, h, x = (
        np.packbits(np.unpackbits(np.frombuffer(bytes.fromhex(text), dtype=np.uint8)), bitorder="little").reshape(1, 16)
        for text in (
            "0388dace60b6a392f328c2b971b2fe78",
            "66e94bd4ef8a2c3b884cfa59ca342b2e",
            "5e2ec746917062882c85b0685353deb7",
        )
    )
    assert (block.multiply(c, h, variant=variant) == x).all()


def test_threads_do_not_matter():
    a, b = random_rows(1, 3 * _rows._LARGEST_PIECE // 2), random_rows(2, 3 * _rows._LARGEST_PIECE // 2)
    assert (block.multiply(a, b, threads=1) == block.multiply(a, b, threads=3)).all()
    one, three = b.copy(), b.copy()
    block.scale_add(one, a, b"sixteen byte key", threads=1)
    block.scale_add(three, a, b"sixteen byte key", threads=3)
    assert (one == three).all()


def test_refusals():
    rows, s = random_rows(1, 4), bytes(16)
    with pytest.raises(InputError, match="equal length, not 4 and 3"):
        block.multiply(rows, rows[:3])
    with pytest.raises(InputError, match="s must have 16 bytes, not 4"):
        block.scale(rows, b"four")
    with pytest.raises(InputError, match="equal length"):
        block.scale_add(rows, rows[:3], s)
    with pytest.raises(InputError, match="contiguous array that can be written"):
        block.scale_add(random_rows(1, 8)[::2], rows, s)
    frozen = random_rows(1, 4)
    frozen.flags.writeable = False
    with pytest.raises(InputError, match="contiguous array that can be written"):
        block.scale_add(frozen, rows, s)
    with pytest.raises(InputError, match=r"\(n, 16\)"):
        block.multiply(rows[:, :4], rows)
