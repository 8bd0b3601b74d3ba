"""The C kernels alone, under the address and undefined-behaviour sanitisers, in buffers of exact size."""

from __future__ import annotations

import hashlib
import itertools
import math
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from reference import aes, expand, gf128, join, libsodium, okvs, rlwe, vectors
from reference import code as twin
from reference.ristretto255 import ORDER

from fusion.kernels import code, ntt
from fusion.kernels import rlwe as kernel

HERE = Path(__file__).parent
CSRC = HERE.parents[1] / "src" / "fusion" / "kernels" / "csrc"
# Without optimisation: nothing undefined is optimised away, and the vector code compiles in seconds, not minutes.
FLAGS = ["-std=c11", "-g", "-O0", "-Wall", "-Wextra", "-Werror"]
SANITISERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer"]
LENGTHS = [0, 1, 2, 7, 8, 9, 16, 17, 63, 64, 65, 130]

pytestmark = pytest.mark.timeout(300)  # the build, on a busy machine


@pytest.fixture(scope="module")
def harness(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = os.environ.get("CC", "cc")
    assert shutil.which(compiler.split()[0]), f"no C compiler {compiler!r}: install gcc or clang, or set CC"
    program = tmp_path_factory.mktemp("native") / "harness"
    sources = [str(HERE / "harness.c"), *(str(path) for path in sorted(CSRC.glob("*.c")))]
    command = [*compiler.split(), *FLAGS, *SANITISERS, f"-I{CSRC}", *sources, "-o", str(program)]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, (
        "the harness does not build; if the sanitisers are missing install libasan and libubsan "
        f"(Debian: libgcc-12-dev, Fedora: libasan libubsan)\n{built.stderr}"
    )
    return program


def run(harness: Path, folder: Path, lines: list[str]) -> subprocess.CompletedProcess[str]:
    cases = folder / "cases.txt"
    cases.write_text("\n".join(lines) + "\n", encoding="ascii")
    return subprocess.run([str(harness), str(cases)], capture_output=True, text=True, check=False, timeout=100)


def line(name: str, *fields: bytes) -> str:
    return " ".join([name, *(field.hex() or "-" for field in fields)])


def curve_cases() -> Iterator[str]:
    known = vectors.load("ristretto255.json")
    for case in known["from_uniform"]:
        yield line("from_uniform", bytes.fromhex(case["uniform"]), bytes.fromhex(case["encoding"]))
    multiples = [bytes.fromhex(e) for e in known["multiples"]]
    invalid = [bytes.fromhex(case["encoding"]) for case in known["invalid"]]
    yield line("decode", b"".join(multiples + invalid), b"\1" * 16 + b"\0" * 29)
    yield line("multiply_base", b"".join(i.to_bytes(32, "little") for i in range(16)), b"".join(multiples))
    yield line("add", b"".join(multiples[:15]), multiples[1] * 15, b"".join(multiples[1:]))
    for i in range(16):
        yield line("multiply", multiples[1], i.to_bytes(32, "little"), multiples[i])
    source = np.random.default_rng(1)
    scalars = [0, 1, 8, ORDER - 1, ORDER // 2, 2**252]
    for n in LENGTHS:
        uniform = source.integers(0, 256, (n, 64), dtype=np.uint8)
        elements = libsodium.from_uniform(uniform)
        yield line("from_uniform", uniform.tobytes(), elements.tobytes())
        elements[n // 2 : n // 2 + 2] = 0
        yield line("decode", elements.tobytes(), b"\1" * n)
        for k in (scalars[n % 6], int.from_bytes(source.bytes(64), "little") % ORDER):
            scalar = k.to_bytes(32, "little")
            yield line("multiply", elements.tobytes(), scalar, libsodium.multiply(elements, scalar).tobytes())
        yield line("add", elements.tobytes(), elements.tobytes(), libsodium.add(elements, elements).tobytes())


def hash_cases() -> Iterator[str]:
    sha2 = vectors.load("sha2.json")
    for name in ("sha256", "sha512"):
        for case in sha2[name]:
            yield line(name, case["message"].encode() * case["repeat"], bytes.fromhex(case["digest"]))
        for size in (0, 1, 55, 56, 63, 64, 65, 111, 112, 127, 128, 129, 200, 260):
            yield line(name, bytes(range(256))[:size], hashlib.new(name, bytes(range(256))[:size]).digest())
    known = vectors.load("expand_message_xmd.json")
    for case in known["tests"]:
        yield expand_line([case["message"].encode()], known["dst"].encode(), [bytes.fromhex(case["uniform"])])
    for n, width in zip([1, 2, 3, 7, 8, 9, 16, 17], [31, 0, 1, 32, 64, 128, 130, 32], strict=True):
        rows = [bytes([i]) * width for i in range(n)]
        for dst, length in itertools.product((b"d", bytes(range(255))), (1, 64, 65)):
            yield expand_line(rows, dst, [expand.expand_message_xmd(row, dst, length) for row in rows])
        for out in (1, 12, 32):
            digests = [hashlib.sha256(b"prefix" + row).digest()[:out] for row in rows]
            yield line("rows", b"prefix", b"".join(rows), bytes([out]), b"".join(digests))


def expand_line(rows: list[bytes], dst: bytes, out: list[bytes]) -> str:
    width = len(rows[0]).to_bytes(2, "big")
    return line("expand", width, b"".join(rows), dst, b"".join(out), bytes([len(rows)]))


def column_cases() -> Iterator[str]:
    values = [b"", b"a", b"x" * 59, b"x" * 60, b"", b"y" * 64, b"z" * 200, b"", b"b", b"y" * 37, b"z" * 120]
    other = values[::-1]
    for prefix in (b"", b"p" * 32, b"p" * 64, b"p" * 131):
        for start in (0, 3, 4, len(values)):
            digests = b""
            for pair in list(zip(values, other, strict=True))[start:]:
                message = b"".join(len(v).to_bytes(4, "little") + v for v in pair)
                digests += hashlib.sha256(prefix + message).digest()
            yield line(
                "columns",
                prefix,
                bytes([start]),
                offsets(values),
                b"".join(values),
                offsets(other),
                b"".join(other),
                digests,
            )


def offsets(values: list[bytes]) -> bytes:
    ends = np.cumsum([0] + [len(v) for v in values])
    return ends.astype("<i8").tobytes()


def block_cases() -> Iterator[str]:
    source = np.random.default_rng(2)
    for case in vectors.load("aes128.json")["tests"]:
        yield line("aes", *(bytes.fromhex(case[field]) for field in ("key", "in", "out")))
    for n in [*range(10), *range(31, 38), 64, 67]:
        key, rows, factors = source.bytes(16), rows_of(source, n), rows_of(source, n + 1)
        yield line("aes", key, b"".join(rows), b"".join(aes.encrypt(key, row) for row in rows))
        a, b = ([int.from_bytes(row, "little") for row in part] for part in (rows, factors))
        products = [gf128.multiply(x, y).to_bytes(16, "little") for x, y in zip(a, b, strict=False)]
        scaled = [gf128.multiply(x, b[-1]).to_bytes(16, "little") for x in a]
        yield line("gf128", b"".join(rows), b"".join(factors), b"".join(products), b"".join(scaled))


def okvs_cases() -> Iterator[str]:
    """Stores that hold little and much, of one bin and of several; then some that cannot be."""
    source = np.random.default_rng(3)
    for n, bins, slots in [(0, 1, 1), (1, 1, 1), (2, 3, 2), (130, 1, 1), (300, 1, 12), (300, 5, 3), (260, 20, 1)]:
        keys, values, seed = rows_of(source, n), rows_of(source, n), source.bytes(16)
        store = okvs.encode(seed, keys, values, bins, slots)
        assert store is not None
        yield okvs_line(seed, bins, slots, keys, values, store)
    keys = rows_of(source, 500)
    yield okvs_line(bytes(16), 1, 1, keys, keys, [])
    yield okvs_line(bytes(16), 2, 9, [*keys[:20], keys[7]], keys[:21], [])


def okvs_line(seed: bytes, bins: int, slots: int, keys: list[bytes], values: list[bytes], store: list[bytes]) -> str:
    sizes = bytes([bins]), slots.to_bytes(2, "big")
    return line("okvs", seed, *sizes, b"".join(keys), b"".join(values), b"".join(store))


def code_cases() -> Iterator[str]:
    """One bucket, as the twin computes it; then several, as the library does."""
    source = np.random.default_rng(5)
    key = hashlib.sha256(b"fusion/kernels/code/1").digest()[:16]
    weights = b"".join(gf128.invert(16 + k).to_bytes(16, "little") for k in range(16))
    for stretches, leaves in [(1, 32), (2, 48), (32, 17), (8, 1200), (96, 43)]:
        points = source.integers(0, leaves, stretches).astype("<u8")
        values = source.integers(0, 256, (stretches, 16), np.uint8)
        vector = np.zeros((stretches, leaves, 16), np.uint8)
        vector[np.arange(stretches), points] = values
        rows = vector.reshape(-1, 16)
        if len(rows) < 1000:
            out = twin.compress([int.from_bytes(row.tobytes(), "little") for row in rows])
            compressed = b"".join(y.to_bytes(16, "little") for y in out)
        else:
            compressed = code.Code(len(rows)).compress(rows.copy()).tobytes()
        yield line("code", key, weights, points.tobytes(), values.tobytes(), rows.tobytes(), compressed)


PRIMES = (1125899906826241, 1125899906629633, 1125899905744897, 1125899905351681)


def lattice_cases() -> Iterator[str]:
    """Both degrees, one limb and all; the largest residues everywhere, and random ones."""
    source = np.random.default_rng(4)
    for n, primes in [(4096, PRIMES[:1]), (4096, (40961, 65537)), (8192, PRIMES)]:
        ring = n.to_bytes(2, "big"), words(primes)
        a, b = ([source.integers(0, p, n).tolist() for p in primes] for _ in range(2))
        for x, y in [(a, b), ([[p - 1] * n for p in primes], [[0, p - 1] * (n // 2) for p in primes])]:
            limbs = list(zip(x, y, primes, strict=True))
            product = [[c % p for c in rlwe.product(u, v)] for u, v, p in limbs]
            sums = [[(c + d) % p for c, d in zip(u, v, strict=True)] for u, v, p in limbs]
            differences = [[(c - d) % p for c, d in zip(u, v, strict=True)] for u, v, p in limbs]
            yield line("ntt", *ring, *(words(*each) for each in (x, y, product, sums, differences)))
        key = source.bytes(16)
        uniform = rlwe.uniform_values(key, 1, primes, n)
        small = [f(rlwe.words(key, 1, 0), n) for f in (rlwe.ternary, rlwe.error)]
        bits = 148 if len(primes) == 4 else 65
        flood = rlwe.flood(rlwe.words(key, 1, 0), bits, n)
        flooded = [[x % p for x in flood] for p in primes]
        yield line("samples", key, *ring, words(*uniform), *map(words, small), bytes([bits]), words(*flooded))


def scale_cases() -> Iterator[str]:
    source, n = np.random.default_rng(5), 4096
    for primes, t, bits in [(PRIMES[:2], 2**50, 64), (PRIMES[:1], 2**11, 37), (PRIMES, 1099511480321, 55)]:
        q = math.prod(primes)
        scale = kernel.scale(ntt.ring(n, primes), t, bits)
        m, e = source.integers(0, t, n).tolist(), source.integers(-99, 99, n).tolist()
        coefficients = rlwe.scaled(m, e, q, t)
        switched = [rlwe.rescale(x % q, 2**bits, q) % 2**bits for x in coefficients]
        lifted, encoded, reduced = ([[x % p for x in row] for p in primes] for row in (e, coefficients, switched))
        assert [rlwe.rescale(x, t, 2**bits) % t for x in switched] == m
        fields = words(m), words(e), words(*encoded), words(m), words(switched), words(*lifted), words(*reduced)
        yield line("scales", n.to_bytes(2, "big"), words(primes), bytes(kernel.ffi.buffer(scale.native)), *fields)
    wide = [(-1) ** i * int.from_bytes(source.bytes(9), "little") for i in range(n)]
    residues = [[x % p for x in wide] for p in PRIMES[:2]]
    inverse = pow(PRIMES[0], -1, PRIMES[1])
    garner = words([inverse, 2**64 * inverse // PRIMES[1]])
    joined = words([x % 2**64 for x in wide])
    yield line("garner", n.to_bytes(2, "big"), words(PRIMES[:2]), garner, words(*residues), joined)
    for bits, count in itertools.product((1, 7, 8, 50, 63, 64), (0, 1, 3, 8, 13)):
        values = [int.from_bytes(source.bytes(8), "little") >> (64 - bits) for _ in range(count)]
        whole = sum(v << bits * i for i, v in enumerate(values))
        yield line("pack", bytes([bits]), words(values), whole.to_bytes(-(-count * bits // 8), "little"))


def words(*rows: Sequence[int]) -> bytes:
    return b"".join(np.array([x % 2**64 for x in row], "<u8").tobytes() for row in rows)


def elgamal_cases() -> Iterator[str]:
    source = np.random.default_rng(4)
    keys = libsodium.from_uniform(source.integers(0, 256, (2, 64), dtype=np.uint8))
    for n in LENGTHS:
        wide = source.integers(0, 256, (n, 64), dtype=np.uint8)
        scalars = [int.from_bytes(row.tobytes(), "little") % ORDER for row in wide]
        yield line("reduce", wide.tobytes(), b"".join(little(k) for k in scalars))
        values = [int(v) for v in source.integers(-(2**63), 2**63 - 1, n)]
        values[:4] = [0, -1, 2**63 - 1, -(2**63)][:n]
        rows = [
            libsodium.add(
                libsodium.multiply(keys[:1], little(k)), libsodium.multiply(keys[1:], little(value % ORDER))
            ).tobytes()
            for k, value in zip(scalars, values, strict=True)
        ]
        signed = b"".join(value.to_bytes(8, "little", signed=True) for value in values)
        yield line("fixed", keys.tobytes(), b"".join(map(little, scalars)), signed, b"".join(rows))
        small = source.integers(-50, 50, n)
        yield line("negate", base_multiples(small), base_multiples(-small))
        for bins in (1, 5):
            codes = source.integers(0, bins, (n, 8))
            totals = np.zeros((8, bins), dtype=np.int64)
            for lane in range(8):
                np.add.at(totals[lane], codes[:, lane], small)
            codes_bytes = codes.astype(np.uint8).tobytes()
            yield line("sums", bytes([bins]), codes_bytes, base_multiples(small), base_multiples(totals.ravel()))
        yield logarithm_line(source.integers(-400, 400, n), [0, 1, 2, 3] if n % 2 else range(33))


def logarithm_line(numbers: np.ndarray, steps: Sequence[int]) -> str:
    """A table of 0 to 15; steps of 31."""
    places, multiples = [], []
    for number in numbers:
        tries = [abs(int(number) + sign * 31 * step) for step in steps for sign in (1, -1)]
        place = next((i for i, rest in enumerate(tries) if rest < 16), -1)
        places.append(place + 1)
        multiples.append(tries[place] + 1 if place >= 0 else 0)
    offsets = 31 * np.array(steps)
    results = (b"".join(number.to_bytes(2, "big") for number in part) for part in (places, multiples))
    return line(
        "logarithm", b"\5", base_multiples(numbers), base_multiples(offsets), base_multiples(np.arange(16)), *results
    )


def base_multiples(numbers: np.ndarray) -> bytes:
    rows = np.frombuffer(b"".join(little(int(k) % ORDER) for k in numbers), dtype=np.uint8)
    return libsodium.multiply_base(rows.reshape(-1, 32)).tobytes()


def little(number: int) -> bytes:
    return number.to_bytes(32, "little")


def join_cases() -> Iterator[str]:
    """Sets of a few rows and of many, hashes and made up, in few partitions and in more than there are rows."""
    source = np.random.default_rng(4)
    for width, bits in itertools.product((0, 1, 4, 8, 9, 10, 12, 13, 32), (0, 1, 5, 9)):
        for n, m, values in ((0, 0, 256), (1, 1, 1), (3, 0, 9), (40, 70, 2), (70, 90, 256), (200, 250, 5)):
            pool = source.integers(0, values, (200, width), dtype=np.uint8)
            pool[::3, : width // 2] = 0
            ours, theirs = ([row.tobytes() for row in pool[source.integers(0, 200, size)]] for size in (n, m))
            pairs = bytes(itertools.chain.from_iterable(join.join(ours, theirs)))
            flags = bytes(join.repeated(theirs))
            sizes = (bytes([number]) for number in (bits, n, m, width))
            yield line("join", *sizes, b"".join(ours), b"".join(theirs), pairs, flags)


def rows_of(source: np.random.Generator, n: int) -> list[bytes]:
    return [source.bytes(16) for _ in range(n)]


@pytest.mark.parametrize(
    "cases",
    [
        curve_cases,
        hash_cases,
        column_cases,
        block_cases,
        okvs_cases,
        code_cases,
        join_cases,
        elgamal_cases,
        lattice_cases,
        scale_cases,
    ],
)
def test_kernels_are_clean_under_sanitisers(harness, tmp_path, cases):
    lines = list(cases())
    result = run(harness, tmp_path, lines)
    assert result.returncode == 0, result.stdout + result.stderr
    assert int(result.stdout.split()[0]) >= len(lines)


def test_the_harness_notices_a_wrong_result(harness, tmp_path):
    result = run(harness, tmp_path, [line("sha256", b"abc", bytes(32))])
    assert result.returncode == 1
    assert "line 1: sha256" in result.stdout


def test_the_sanitiser_notices_one_byte_too_many(harness, tmp_path):
    """A row one byte short of what the operation reads."""
    multiples = vectors.load("ristretto255.json")["multiples"]
    scalar = (1).to_bytes(31, "little")
    result = run(
        harness,
        tmp_path,
        [line("multiply", bytes.fromhex(multiples[1]), scalar, bytes.fromhex(multiples[1]))],
    )
    assert result.returncode not in (0, 1) or "AddressSanitizer" in result.stderr
    assert "heap-buffer-overflow" in result.stderr
