"""libsodium, built from source with its own flags, and called in C loops over arrays."""

from __future__ import annotations

import ctypes
import os
import shlex
import sys
import tarfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks import BenchmarkError, peers
from benchmarks.measure import progress

__all__ = ["Libsodium", "load"]

Rows = NDArray[np.uint8]

_LOOPS = Path(__file__).with_name("libsodium_loops.c")
_FLAGS = ("-O3", "-std=c11", "-fPIC", "-shared", "-fvisibility=hidden", "-Wall", "-Wextra", "-Werror")


def load() -> Libsodium:
    """libsodium of the pinned release, built now if it has not been.

    Raises
    ------
    BenchmarkError
        If its source cannot be had, or there is no C compiler or make.
    """
    compiler = os.environ.get("CC", "cc")
    recipe = peers.requirements("libsodium") + _LOOPS.read_text("utf-8") + compiler
    with peers.folder_for("libsodium", recipe) as (folder, ready):
        library = folder / "loops.so"
        if not ready:
            progress(f"libsodium: building it in {folder}, about a minute")
            _build(folder, library, compiler)
    return Libsodium(library)


def _build(folder: Path, library: Path, compiler: str) -> None:
    download = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", ":all:", "--require-hashes"]
    pins = str(Path(__file__).with_name("libsodium.txt"))
    peers.run([*download, "-r", pins, "-d", str(folder)], "libsodium: its source cannot be had")
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as packed:
        packed.extractall(folder, filter="data")
    (source,) = folder.glob("*/src/libsodium")
    prefix = folder / "installed"
    failure = "libsodium cannot be built"
    peers.run(
        ["sh", "configure", "--quiet", "--disable-shared", "--with-pic", f"--prefix={prefix}"], failure, cwd=source
    )
    peers.run(["make", "-s", "install"], failure, cwd=source)
    link = [str(_LOOPS), str(prefix / "lib/libsodium.a"), "-lpthread", "-o", str(library)]
    peers.run(
        [*shlex.split(compiler), *_FLAGS, f"-I{prefix}/include", *link],
        "the loops around libsodium cannot be compiled",
    )


class Libsodium:
    """Every function takes rows of bytes, uint8 arrays of shape (n, width), and works on one core."""

    def __init__(self, library: Path) -> None:
        self._lib = ctypes.CDLL(str(library))
        self._lib.loops_version.restype = ctypes.c_char_p
        for name in ("multiply", "multiply_base", "from_uniform", "decode", "add"):
            getattr(self._lib, f"loops_{name}").restype = ctypes.c_size_t
        if self._lib.loops_start() < 0:
            raise BenchmarkError("libsodium does not start")
        self.version: str = self._lib.loops_version().decode()

    def multiply(self, encodings: Rows, scalar: bytes) -> Rows:
        """``crypto_scalarmult_ristretto255``: decode, multiply by the same scalar, encode."""
        out = np.empty_like(encodings)
        self._valid(self._lib.loops_multiply(_at(out), _at(encodings), scalar, _size(encodings)))
        return out

    def multiply_base(self, scalars: Rows) -> Rows:
        """``crypto_scalarmult_ristretto255_base``: multiply the generator, encode."""
        out = np.empty_like(scalars)
        self._valid(self._lib.loops_multiply_base(_at(out), _at(scalars), _size(scalars)))
        return out

    def from_uniform(self, uniform: Rows) -> Rows:
        """``crypto_core_ristretto255_from_hash``: 64 bytes to a point, encode."""
        out = np.empty((len(uniform), 32), np.uint8)
        self._valid(self._lib.loops_from_uniform(_at(out), _at(uniform), _size(uniform)))
        return out

    def decode(self, encodings: Rows) -> None:
        """``crypto_core_ristretto255_is_valid_point``: decode and forget."""
        self._valid(self._lib.loops_decode(_at(encodings), _size(encodings)))

    def add(self, p: Rows, q: Rows) -> Rows:
        """``crypto_core_ristretto255_add``: decode both, add, encode."""
        out = np.empty_like(p)
        self._valid(self._lib.loops_add(_at(out), _at(p), _at(q), _size(p)))
        return out

    def expand(self, rows: Rows, dst: bytes) -> Rows:
        """expand_message_xmd to 64 bytes, from ``crypto_hash_sha512``."""
        out = np.empty((len(rows), 64), np.uint8)
        self._lib.loops_expand(_at(out), _at(rows), _width(rows), dst, ctypes.c_size_t(len(dst)), _size(rows))
        return out

    def hash_to_group(self, rows: Rows, dst: bytes) -> Rows:
        """`expand`, then ``crypto_core_ristretto255_from_hash``."""
        out = np.empty((len(rows), 32), np.uint8)
        self._lib.loops_hash_to_group(_at(out), _at(rows), _width(rows), dst, ctypes.c_size_t(len(dst)), _size(rows))
        return out

    def sha256(self, prefix: bytes, rows: Rows) -> Rows:
        """``crypto_hash_sha256`` of prefix and row."""
        out = np.empty((len(rows), 32), np.uint8)
        self._lib.loops_sha256(_at(out), prefix, ctypes.c_size_t(len(prefix)), _at(rows), _width(rows), _size(rows))
        return out

    @staticmethod
    def _valid(invalid: int) -> None:
        if invalid:
            raise BenchmarkError(f"libsodium refused {invalid} rows")


def _at(rows: Rows) -> ctypes.c_void_p:
    if not rows.flags.c_contiguous:
        raise ValueError("rows must be contiguous")
    return ctypes.c_void_p(rows.ctypes.data)


def _size(rows: Rows) -> ctypes.c_size_t:
    return ctypes.c_size_t(len(rows))


def _width(rows: Rows) -> ctypes.c_size_t:
    return ctypes.c_size_t(rows.shape[1])
