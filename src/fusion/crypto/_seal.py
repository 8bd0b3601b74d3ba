"""CKKS by TenSEAL (extra ``tenseal``), as arrays of residues: the only file that knows TenSEAL and its bytes.

TenSEAL makes keys, encodes and encrypts, decrypts and decodes. It gets and gives everything as serialised objects of
Microsoft SEAL inside protocol buffers. Here these are built around arrays that were checked to hold residues below
their primes; bytes of a peer never reach a parser or a decompressor of either library.

Residues are in SEAL's order: the negacyclic number-theoretic transform with the smallest primitive root, its output
bit-reversed (:func:`transform`).
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from fusion.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

# SEAL's header: magic, its own size, version, compression, reserved, bytes of the whole
_HEADER = struct.Struct("<HBBBBHQ")
_MAGIC = 0xA15E
_PLAIN, _ZSTD = 0, 2
# what stands before the residues of a ciphertext or public key, and of a secret key
_BEFORE_CIPHERTEXT = 97
_BEFORE_SECRET = 72


class Engine:
    """One set of parameters as TenSEAL sees it.

    Attributes
    ----------
    degree : int
        Degree N of the ring.
    primes : tuple of int
        The primes of a ciphertext, then the one that only keys have.
    """

    def __init__(self, degree: int, bits: tuple[int, ...], scale_bits: int) -> None:
        ts = _tenseal()
        self.degree = degree
        self._scale = 2.0**scale_bits
        # A throwaway key pair shows how this version of SEAL frames its objects. TenSEAL makes keys for switching and
        # relinearisation as well, whether asked or not; they are dropped with the rest.
        context = ts.context(ts.SCHEME_TYPE.CKKS, degree, coeff_mod_bit_sizes=list(bits), n_threads=1)
        context.global_scale = self._scale
        level = context.seal_context().data.key_context_data()
        self.primes = tuple(int(prime.value()) for prime in level.parms().coeff_modulus())
        parts = _context_parts(context)
        self._parameters, self._settings = parts["parameters"], parts["settings"]
        some = ts.ckks_vector(context, [0.0]).serialize()
        words = len(self.primes) * degree
        self._before_public, self._version = _before(parts["public"], _BEFORE_CIPHERTEXT, 2 * words)
        self._before_secret, _ = _before(parts["secret"], _BEFORE_SECRET, words)
        blob = bytes(dict(_fields(some))[2])
        self._before_ciphertext, _ = _before(blob, _BEFORE_CIPHERTEXT, 2 * (words - degree))

    def generate(self) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
        """A new key pair: residues of shape (2, primes, N) and (primes, N)."""
        ts = _tenseal()
        bits = [prime.bit_length() for prime in self.primes]
        context = ts.context(ts.SCHEME_TYPE.CKKS, self.degree, coeff_mod_bit_sizes=bits, n_threads=1)
        parts = _context_parts(context)
        public = _residues(parts["public"], _BEFORE_CIPHERTEXT, (2, len(self.primes), self.degree))
        return public, _residues(parts["secret"], _BEFORE_SECRET, (len(self.primes), self.degree))

    def context(self, public: NDArray[np.uint64], secret: NDArray[np.uint64] | None = None) -> Any:
        """TenSEAL's context around a public key and, to decrypt, the secret one."""
        keys = _field(1, self._object(self._before_public, public)) + self._settings
        data = _field(1, self._parameters) + _field(2, keys)
        if secret is not None:
            data += _field(3, _field(1, self._object(self._before_secret, secret)))
        return _tenseal().context_from(data, n_threads=1)

    def encrypt(self, context: Any, values: NDArray[np.float64]) -> NDArray[np.uint64]:
        """Up to N / 2 numbers as residues (2, primes - 1, N), under TenSEAL's own randomness (BLAKE2Xb seeded by the
        operating system)."""
        vector = _tenseal().ckks_vector(context, values.tolist()).serialize()
        blob = bytes(dict(_fields(vector))[2])
        return _residues(blob, _BEFORE_CIPHERTEXT, (2, len(self.primes) - 1, self.degree))

    def decrypt(self, context: Any, ciphertext: NDArray[np.uint64], count: int) -> NDArray[np.float64]:
        """The first numbers in a ciphertext: approximate, and for the key owner alone."""
        blob = self._object(self._before_ciphertext, ciphertext)
        vector = _field(1, _varint(count)) + _field(2, blob) + b"\x19" + struct.pack("<d", self._scale)
        return np.array(_tenseal().ckks_vector_from(context, vector).decrypt(), np.float64)

    def _object(self, before: bytes, residues: NDArray[np.uint64]) -> bytes:
        """An uncompressed object of SEAL."""
        body = before + residues.astype("<u8").tobytes()
        return _HEADER.pack(_MAGIC, _HEADER.size, *self._version, _PLAIN, 0, _HEADER.size + len(body)) + body


@functools.lru_cache(8)
def engine(degree: int, bits: tuple[int, ...], scale_bits: int) -> Engine:
    """The engine for some parameters; setting one up takes as long as making a key."""
    return Engine(degree, bits, scale_bits)


def transform(coefficients: list[int], primes: tuple[int, ...]) -> NDArray[np.uint64]:
    """Residues of a polynomial in the order of SEAL, for exact integers of any size.

    Parameters
    ----------
    coefficients : list of int
        N coefficients, N a power of two.
    primes : tuple of int
        Primes 1 modulo 2 N.

    Returns
    -------
    ndarray of uint64, shape (primes, N)
    """
    degree = len(coefficients)
    values = np.array([coefficients] * len(primes), dtype=object)
    modulus = np.array(primes, dtype=object)[:, np.newaxis]
    values %= modulus
    roots = np.array([_roots(prime, degree) for prime in primes], dtype=object)
    blocks, half = 1, degree // 2
    while half:
        pairs = values.reshape(len(primes), blocks, 2, half)
        turned = pairs[:, :, 1] * roots[:, blocks : 2 * blocks, np.newaxis]
        turned %= modulus[:, np.newaxis]
        values = np.stack([pairs[:, :, 0] + turned, pairs[:, :, 0] - turned], axis=2).reshape(len(primes), degree)
        blocks, half = blocks * 2, half // 2
    residues: NDArray[np.uint64] = (values % modulus).astype(np.uint64)
    return residues


@functools.lru_cache(32)
def _roots(prime: int, degree: int) -> tuple[int, ...]:
    """Powers of the smallest primitive 2N-th root of unity, in bit-reversed order."""
    order = 2 * degree
    root = next(
        candidate
        for base in range(2, prime)
        if pow(candidate := pow(base, (prime - 1) // order, prime), degree, prime) == prime - 1
    )
    square, power, smallest = root * root % prime, root, root
    for _ in range(degree):
        smallest = min(smallest, power)
        power = power * square % prime
    powers = [1]
    for _ in range(degree - 1):
        powers.append(powers[-1] * smallest % prime)
    width = degree.bit_length() - 1
    return tuple(powers[int(f"{i:0{width}b}"[::-1], 2)] for i in range(degree))


def _context_parts(context: Any) -> dict[str, bytes]:
    """What a serialised context of our own consists of."""
    whole = context.serialize(save_public_key=True, save_secret_key=True, save_galois_keys=False, save_relin_keys=False)
    top = dict(_fields(whole))
    public = dict(_fields(top[2]))
    settings = b"".join(_field(number, value) for number, value in public.items() if number != 1)
    return {"parameters": top[1], "public": public[1], "settings": settings, "secret": dict(_fields(top[3]))[1]}


def _before(blob: bytes, before: int, words: int) -> tuple[bytes, tuple[int, int]]:
    """What stands before the residues in an object of SEAL, and the version that wrote it."""
    body = _body(blob, before + 8 * words)
    # the last word before the residues counts them
    if int.from_bytes(body[before - 8 : before], "little") != words:
        raise InputError("this version of TenSEAL frames its objects in an unknown way; install tenseal 0.3.18")
    return body[:before], (blob[3], blob[4])


def _residues(blob: bytes, before: int, shape: tuple[int, ...]) -> NDArray[np.uint64]:
    words = int(np.prod(shape))
    return np.frombuffer(_body(blob, before + 8 * words), "<u8", offset=before).reshape(shape).astype(np.uint64)


def _body(blob: bytes, size: int) -> bytes:
    """The contents of an object of SEAL that TenSEAL gave us."""
    magic, header, _, _, compression, _, whole = _HEADER.unpack_from(blob)
    if magic != _MAGIC or header != _HEADER.size or whole != len(blob) or compression not in (_PLAIN, _ZSTD):
        raise InputError("this version of TenSEAL frames its objects in an unknown way; install tenseal 0.3.18")
    body = blob[header:]
    if compression == _ZSTD:
        body = pa.Codec("zstd").decompress(body, decompressed_size=size, asbytes=True)
    if len(body) != size:
        raise InputError("this version of TenSEAL frames its objects in an unknown way; install tenseal 0.3.18")
    return bytes(body)


def _fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """The fields of a protocol buffer of our own making."""
    at = 0
    while at < len(data):
        tag, at = _number(data, at)
        if tag & 7 == 0:
            value, at = _number(data, at)
            yield tag >> 3, value
            continue
        if tag & 7 == 1:
            size = 8
        else:
            size, at = _number(data, at)
        part = data[at : at + size]
        at += size
        yield tag >> 3, struct.unpack("<d", part)[0] if tag & 7 == 1 else part


def _field(number: int, value: bytes | int | float) -> bytes:
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    if isinstance(value, float):
        return _varint(number << 3 | 1) + struct.pack("<d", value)
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


def _number(data: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while data[at] > 127:
        number |= (data[at] & 127) << shift
        at, shift = at + 1, shift + 7
    return number | data[at] << shift, at + 1


def _tenseal() -> Any:
    try:
        import tenseal
        import tenseal.sealapi  # registers the types that show the primes
    except ImportError:
        raise InputError("CKKS needs TenSEAL; pip install 'privacy-fusion[tenseal]'") from None
    return tenseal
