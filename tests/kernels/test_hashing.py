"""Hashing kernels against the standards' vectors and the standard library."""

from __future__ import annotations

import hashlib

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import vectors
from reference.expand import expand_message_xmd

from fusion import kernels
from fusion.errors import InputError
from fusion.kernels import hashing

EXPAND = vectors.load("expand_message_xmd.json")
# Every length up to two blocks of SHA-512, so that every border of a block and of its padding is crossed.
LENGTHS = range(261)


@pytest.fixture(params=kernels.variants("sha256"))
def sha256(request: pytest.FixtureRequest) -> str:
    """Every variant of SHA-256 this CPU can run."""
    return str(request.param)


@pytest.fixture(params=kernels.variants("sha512"))
def sha512(request: pytest.FixtureRequest) -> str:
    """Every variant of SHA-512 this CPU can run."""
    return str(request.param)


def random_rows(seed: int, n: int, width: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, width), dtype=np.uint8)


def reference_columns(prefix: bytes, values: list[bytes]) -> bytes:
    message = b"".join(len(v).to_bytes(4, "little") + v for v in values)
    return hashlib.sha256(prefix + message).digest()


# --- expand_message_xmd ---


@pytest.mark.parametrize("case", EXPAND["tests"], ids=lambda c: f"{c['message'][:5]}-{c['length']}")
def test_expand_rfc_9380(case, sha512):
    message = case["message"].encode()
    rows = np.frombuffer(message * 3, dtype=np.uint8).reshape(3, len(message))
    out = hashing.expand_message_xmd(rows, EXPAND["dst"].encode(), length=case["length"], variant=sha512)
    assert [row.tobytes().hex() for row in out] == [case["uniform"]] * 3


@pytest.mark.parametrize("size", [1, 16, 60, 255])
def test_expand_equals_the_plain_twin_at_every_width(size, sha512):
    dst = bytes(range(size))
    for width in LENGTHS:
        rows = random_rows(width, 2, width)
        out = hashing.expand_message_xmd(rows, dst, variant=sha512)
        assert [row.tobytes() for row in out] == [expand_message_xmd(row.tobytes(), dst, 64) for row in rows], width


def test_expand_equals_the_plain_twin_for_every_tag_length(sha512):
    rows = random_rows(1, 2, 20)
    for size in range(1, 256):
        dst = bytes(range(size))
        out = hashing.expand_message_xmd(rows, dst, variant=sha512)
        assert [row.tobytes() for row in out] == [expand_message_xmd(row.tobytes(), dst, 64) for row in rows], size


@pytest.mark.parametrize("length", [1, 31, 32, 63, 64, 65, 128, 129, 255 * 64])
def test_expand_lengths(length, sha512):
    rows = random_rows(length, 2, 20)
    out = hashing.expand_message_xmd(rows, b"tag", length=length, variant=sha512)
    assert [row.tobytes() for row in out] == [expand_message_xmd(row.tobytes(), b"tag", length) for row in rows]


@pytest.mark.parametrize("n", range(18))
def test_expand_any_number_of_rows(n, sha512):
    """Vectors not full, full, and more than one."""
    rows = random_rows(n, n, 40)
    out = hashing.expand_message_xmd(rows, b"tag", length=80, variant=sha512)
    assert [row.tobytes() for row in out] == [expand_message_xmd(row.tobytes(), b"tag", 80) for row in rows]


def test_expand_refuses_what_it_cannot_do():
    rows = random_rows(0, 2, 8)
    for dst in (b"", bytes(256)):
        with pytest.raises(InputError, match="dst must have 1 to 255 bytes"):
            hashing.expand_message_xmd(rows, dst)
    for length in (0, 255 * 64 + 1):
        with pytest.raises(InputError, match="length must be"):
            hashing.expand_message_xmd(rows, b"tag", length=length)
    with pytest.raises(InputError, match="uint8"):
        hashing.expand_message_xmd(rows.astype(np.int64), b"tag")
    with pytest.raises(InputError, match="'sliderule' cannot run here"):
        hashing.expand_message_xmd(rows, b"tag", variant="sliderule")


# --- SHA-256 of rows ---


@pytest.mark.parametrize("case", vectors.load("sha2.json")["sha256"], ids=lambda c: c["message"][:3] + str(c["repeat"]))
def test_sha256_fips_180_4(case, sha256):
    message = case["message"].encode() * case["repeat"]
    rows = np.frombuffer(message, dtype=np.uint8).reshape(1, len(message))
    assert hashing.sha256_rows(b"", rows, 32, variant=sha256).tobytes().hex() == case["digest"]
    split = hashing.sha256_rows(message[:50], rows[:, 50:], 32, variant=sha256)
    assert split.tobytes().hex() == case["digest"]


@pytest.mark.parametrize("prefix", [b"", b"p", bytes(64)], ids=["none", "one", "block"])
def test_sha256_equals_hashlib_at_every_width(prefix, sha256):
    for width in LENGTHS:
        rows = random_rows(width, 2, width)
        out = hashing.sha256_rows(prefix, rows, 32, variant=sha256)
        assert [r.tobytes() for r in out] == [hashlib.sha256(prefix + r.tobytes()).digest() for r in rows], width


@pytest.mark.parametrize("n", range(18))
def test_sha256_of_any_number_of_rows(n, sha256):
    rows = random_rows(n, n, 40)
    out = hashing.sha256_rows(b"prefix", rows, 20, variant=sha256)
    assert [r.tobytes() for r in out] == [hashlib.sha256(b"prefix" + r.tobytes()).digest()[:20] for r in rows]


@pytest.mark.parametrize("n", [1, 2, 3, 11, 12, 16, 17, 31, 32, 33, 43, 44, 65])
@pytest.mark.parametrize("prefix", [b"", bytes(64), b"p" * 37], ids=["none", "block", "part"])
def test_sha256_of_rows_of_many_blocks(n, prefix, sha256):
    """Every number of lanes in use, and blocks read where they lie as well as put together."""
    for width in (64, 1000, 4032):
        rows = random_rows(n, n, width + 1)[:, 1:]
        out = hashing.sha256_rows(prefix, rows, 32, variant=sha256)
        assert [r.tobytes() for r in out] == [hashlib.sha256(prefix + r.tobytes()).digest() for r in rows], width


def test_columns_of_neighbours_of_very_different_lengths(sha256):
    sizes = np.random.default_rng(5).integers(0, 2000, 70)
    values = [bytes([i]) * int(size) for i, size in enumerate(sizes)]
    out = hashing.sha256_columns(b"k", [pa.array(values, pa.binary())], variant=sha256)
    assert [row.tobytes() for row in out] == [reference_columns(b"k", [v]) for v in values]


@settings(deadline=None)
@given(prefix=st.binary(max_size=140), row=st.binary(max_size=140), width=st.integers(1, 32))
def test_sha256_equals_hashlib(prefix, row, width):
    rows = np.frombuffer(row * 2, dtype=np.uint8).reshape(2, len(row))
    expected = hashlib.sha256(prefix + row).digest()[:width]
    for variant in kernels.variants("sha256"):
        out = hashing.sha256_rows(prefix, rows, width, variant=variant)
        assert [r.tobytes() for r in out] == [expected] * 2, variant


@pytest.mark.parametrize("width", [0, 33])
def test_sha256_refuses_other_widths(width):
    with pytest.raises(InputError, match="width must be 1 to 32"):
        hashing.sha256_rows(b"", random_rows(0, 1, 4), width)


# --- SHA-256 of string columns ---


@settings(deadline=None)
@given(
    prefix=st.binary(max_size=140),
    values=st.lists(st.tuples(st.binary(max_size=140), st.binary(max_size=140)), max_size=20),
)
def test_columns_equal_hashlib(prefix, values):
    columns = [pa.array([v[c] for v in values], pa.large_binary()) for c in range(2)]
    expected = [reference_columns(prefix, list(v)) for v in values]
    for variant in kernels.variants("sha256"):
        assert [row.tobytes() for row in hashing.sha256_columns(prefix, columns, variant=variant)] == expected, variant


def test_columns_at_every_message_and_prefix_length(sha256):
    values = [bytes([size % 256]) * size for size in LENGTHS]
    for size in [*range(132), 1_000]:
        prefix = bytes(range(256))[:size] if size <= 256 else bytes(size)
        out = hashing.sha256_columns(prefix, [pa.array(values, pa.binary())], variant=sha256)
        assert [row.tobytes() for row in out] == [reference_columns(prefix, [v]) for v in values], size


def test_columns_of_neighbours_of_every_pair_of_lengths(sha256):
    """Side by side, one may need a block more than the other, at either side."""
    sizes = [0, 1, 50, 51, 52, 59, 60, 61, 115, 116, 123, 124, 300]
    values = [bytes([a % 256]) * size for a in sizes for b in sizes for size in (a, b)]
    out = hashing.sha256_columns(b"k", [pa.array(values, pa.binary())], variant=sha256)
    assert [row.tobytes() for row in out] == [reference_columns(b"k", [v]) for v in values]


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.binary(), pa.large_binary()], ids=str)
def test_columns_take_every_kind_of_string_column_sliced_and_chunked(kind):
    texts = ["", "a", "张伟", "x" * 300, "b"] * 3
    whole = pa.array([t.encode() for t in texts], pa.binary()).cast(kind)
    expected = [reference_columns(b"k", [t.encode(), t.encode()]) for t in texts]
    chunked = pa.chunked_array([whole[:4], whole[4:4], whole[4:]])
    assert [r.tobytes() for r in hashing.sha256_columns(b"k", [whole, chunked])] == expected
    assert [r.tobytes() for r in hashing.sha256_columns(b"k", [whole[3:9], chunked[3:9]])] == expected[3:9]
    assert hashing.sha256_columns(b"k", [whole[2:2], chunked[2:2]]).shape == (0, 32)


def test_columns_of_no_rows_and_of_columns_without_data():
    assert hashing.sha256_columns(b"k", [pa.array([], pa.string())]).shape == (0, 32)
    assert hashing.sha256_columns(b"k", [pa.chunked_array([], pa.string())]).shape == (0, 32)
    out = hashing.sha256_columns(b"k", [pa.array(["", ""], pa.large_string())])
    assert [r.tobytes() for r in out] == [reference_columns(b"k", [b""])] * 2


def test_moving_a_border_between_columns_changes_the_digest():
    digests = [
        hashing.sha256_columns(b"k", [pa.array([a]), pa.array([b])]).tobytes()
        for a, b in [("ab", "c"), ("a", "bc"), ("abc", ""), ("", "abc")]
    ]
    assert len(set(digests)) == 4


def test_threads_do_not_change_hashes():
    rows = random_rows(1, 20_000, 24)
    texts = pa.array([str(i) for i in range(20_000)])
    for one, three in [
        (f(threads=1), f(threads=3))
        for f in (
            lambda **o: hashing.expand_message_xmd(rows, b"tag", **o),
            lambda **o: hashing.sha256_rows(b"p", rows, 16, **o),
            lambda **o: hashing.sha256_columns(b"k", [texts, texts], **o),
        )
    ]:
        assert (one == three).all()


def damaged(offsets: list[int], data: bytes) -> pa.Array:
    """An array whose offsets go bad after pyarrow has looked at them, as a mapped file's can."""
    memory = np.zeros(len(offsets), dtype=np.int64)
    buffers = [None, pa.py_buffer(memory), pa.py_buffer(data)]
    array = pa.Array.from_buffers(pa.large_binary(), len(offsets) - 1, buffers)
    memory[:] = offsets
    return array


@pytest.mark.parametrize(
    "offsets",
    [[0, 9], [0, 5, 3, 8], [-1, 3], [0, 2**62], [9, 9], [0, -(2**63), 8], [0, 2**63 - 1, -(2**63), -1, 8]],
    ids=str,
)
def test_damaged_offsets_never_reach_the_kernel(offsets):
    with pytest.raises(InputError, match="offsets are damaged"):
        hashing.sha256_columns(b"k", [damaged(offsets, b"12345678")])


def test_columns_refuse_what_they_cannot_hash():
    texts = pa.array(["a", "b"])
    with pytest.raises(InputError, match="at least one column"):
        hashing.sha256_columns(b"k", [])
    with pytest.raises(InputError, match="equal length"):
        hashing.sha256_columns(b"k", [texts, texts[:1]])
    with pytest.raises(InputError, match="no nulls"):
        hashing.sha256_columns(b"k", [pa.array(["a", None])])
    with pytest.raises(InputError, match="not int64"):
        hashing.sha256_columns(b"k", [pa.array([1, 2])])
    with pytest.raises(InputError, match="must be pyarrow arrays"):
        hashing.sha256_columns(b"k", [["a", "b"]])
    with pytest.raises(InputError, match="prefix must be bytes"):
        hashing.sha256_columns("k", [texts])  # type: ignore[arg-type]
