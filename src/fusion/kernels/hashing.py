"""Hashes of whole columns: one call, many rows.

Every function takes ``threads``, the number of threads that share the rows (None: all CPUs this process may use), and
``variant``, the name of a variant of its hash (None: see `fusion.kernels.active`). Hashes do not depend on either.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from fusion.errors import InputError
from fusion.kernels._dispatch import operations
from fusion.kernels._native import ffi, lib
from fusion.kernels._rows import Bytes, byte_rows, byte_string, pointer, split

# Rows that take about a millisecond.
_GRAIN = 2048
# Rows of columns that a thread hashes in one go.
_PIECE = 1 << 15
_DAMAGED = "a column's offsets are damaged; rebuild it"


def expand_message_xmd(
    rows: Bytes, dst: bytes, *, length: int = 64, threads: int | None = None, variant: str | None = None
) -> Bytes:
    """Expand rows to uniform bytes: expand_message_xmd with SHA-512 (RFC 9380, 5.3.1).

    Parameters
    ----------
    rows : (n, width) uint8
        One message a row.
    dst : bytes
        Domain separation tag, 1 to 255 bytes.
    length : int
        Bytes a row of the result, 1 to 16320.

    Returns
    -------
    (n, length) uint8

    Raises
    ------
    InputError
        On another shape or type, or a tag or length out of range.
    """
    messages, tag, sha = byte_rows(rows, None, "rows"), byte_string(dst, "dst"), operations(variant, "sha512")
    if not 1 <= len(tag) <= 255:
        raise InputError(f"dst must have 1 to 255 bytes, not {len(tag)}")
    if not 1 <= length <= 255 * 64:
        raise InputError(f"length must be 1 to {255 * 64}, not {length}")
    width = messages.shape[1]
    out = np.empty((len(messages), length), dtype=np.uint8)
    split(
        lambda a, b: lib.fusion_expand_message_xmd(
            sha, pointer(out[a:b], writable=True), length, pointer(messages[a:b]), width, tag, len(tag), b - a
        ),
        len(messages),
        threads=threads,
        grain=_GRAIN,
    )
    return out


def sha256_rows(
    prefix: bytes, rows: Bytes, width: int, *, threads: int | None = None, variant: str | None = None
) -> Bytes:
    """SHA-256 of ``prefix + row`` (FIPS 180-4), truncated to its first `width` bytes.

    Parameters
    ----------
    prefix : bytes
    rows : (n, any) uint8
    width : int
        1 to 32.

    Returns
    -------
    (n, width) uint8

    Raises
    ------
    InputError
        On another shape or type, or a width out of range.
    """
    messages, head, sha = byte_rows(rows, None, "rows"), byte_string(prefix, "prefix"), operations(variant, "sha256")
    if not 1 <= width <= 32:
        raise InputError(f"width must be 1 to 32, not {width}")
    row_width = messages.shape[1]
    out = np.empty((len(messages), width), dtype=np.uint8)
    split(
        lambda a, b: lib.fusion_sha256_rows(
            sha, pointer(out[a:b], writable=True), width, head, len(head), pointer(messages[a:b]), row_width, b - a
        ),
        len(messages),
        threads=threads,
        grain=_GRAIN,
    )
    return out


def sha256_columns(
    prefix: bytes,
    columns: Sequence[pa.Array | pa.ChunkedArray],
    *,
    threads: int | None = None,
    variant: str | None = None,
) -> Bytes:
    """SHA-256 (FIPS 180-4) of ``prefix`` and the rows of string columns.

    After the prefix stands, column by column, the value's length as 4 bytes little-endian, then the value: of as many
    columns no row's message begins with another's.

    Parameters
    ----------
    prefix : bytes
        Of a multiple of 64 bytes, a row of up to 55 bytes takes one compression.
    columns : sequence of pyarrow arrays
        At least one, of equal length n, without nulls; string, large_string, binary or large_binary.

    Returns
    -------
    (n, 32) uint8

    Raises
    ------
    InputError
        If a column has another type, a null, a value of 4 GiB or more, or broken offsets, or lengths differ.
    """
    head, sha = byte_string(prefix, "prefix"), operations(variant, "sha256")
    if not columns:
        raise InputError("at least one column is needed")
    if not all(isinstance(column, pa.Array | pa.ChunkedArray) for column in columns):
        raise InputError("columns must be pyarrow arrays")
    n = len(columns[0])
    if any(len(column) != n for column in columns):
        raise InputError("the columns must have equal length")
    pieces = None
    with contextlib.suppress(pa.ArrowException):  # its words might quote a value
        # pieces that all columns have whole, wherever each of them is cut; nothing is copied
        table = pa.table(list(columns), [str(i) for i in range(len(columns))])
        pieces = table.to_batches(max_chunksize=_PIECE)
    if pieces is None:
        raise InputError(_DAMAGED)
    buffers = [[_offsets_and_data(column) for column in piece.columns] for piece in pieces]
    out = np.empty((n, 32), dtype=np.uint8)
    starts = np.cumsum([0, *map(len, pieces)])

    def hash_pieces(first: int, last: int) -> None:
        for i in range(first, last):
            offsets = ffi.new("int64_t *[]", [ffi.from_buffer("int64_t[]", o) for o, _ in buffers[i]])
            data = ffi.new("uint8_t *[]", [pointer(d) for _, d in buffers[i]])
            rows = out[starts[i] : starts[i + 1]]
            lib.fusion_sha256_columns(
                sha, pointer(rows, writable=True), head, len(head), offsets, data, len(columns), 0, len(rows)
            )

    split(hash_pieces, len(pieces), threads=threads, grain=1)
    return out


def _offsets_and_data(column: pa.Array) -> tuple[NDArray[np.int64], Bytes]:
    """The n + 1 offsets and the bytes they point into, checked: a crafted file could hold any offsets."""
    kind = column.type
    if pa.types.is_string(kind) or pa.types.is_binary(kind):
        offset_type: np.dtype[Any] = np.dtype(np.int32)
    elif pa.types.is_large_string(kind) or pa.types.is_large_binary(kind):
        offset_type = np.dtype(np.int64)
    else:
        raise InputError(f"columns must be of strings or bytes, not {kind}")
    if column.null_count:
        raise InputError("columns must have no nulls; drop those rows first")
    _, offset_buffer, data_buffer = column.buffers()
    data = np.frombuffer(b"" if data_buffer is None else data_buffer, dtype=np.uint8)
    if len(column) == 0:
        return np.zeros(1, dtype=np.int64), data
    first, last = column.offset, column.offset + len(column) + 1
    if offset_buffer is None or offset_buffer.size < last * offset_type.itemsize:
        raise InputError(_DAMAGED)
    offsets = np.frombuffer(offset_buffer, dtype=offset_type, count=last)[first:].astype(np.int64, copy=False)
    # compared before they are subtracted: a difference of two offsets may wrap
    if offsets[0] < 0 or offsets[-1] > len(data) or (offsets[1:] < offsets[:-1]).any():
        raise InputError(_DAMAGED)
    if np.diff(offsets).max() >= 2**32:
        raise InputError("a value must be shorter than 4 GiB")
    return offsets, data
