"""Columns of text as columns of bytes: the few whole-column string operations that keys need.

An Arrow string column is one run of UTF-8 bytes and one run of offsets. Numpy looks at both in place, so a
column that is already clean costs a few passes over its bytes and no copy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Bytes = NDArray[np.uint8]
    Flags = NDArray[np.bool_]

# A byte that no UTF-8 text contains, so it separates rows whatever they hold.
_SEPARATOR = b"\xff"


def raw(text: pa.LargeStringArray) -> tuple[Bytes, NDArray[np.int64]]:
    """The bytes of a column and its ``len(text) + 1`` offsets into them, both without a copy."""
    if not len(text):
        return np.empty(0, np.uint8), np.zeros(1, np.int64)
    _, offsets, data = text.buffers()
    ends = np.frombuffer(offsets, np.int64, count=len(text) + 1, offset=8 * text.offset)
    return np.frombuffer(data, np.uint8) if data is not None else np.empty(0, np.uint8), ends


def present(column: pa.Array | pa.ChunkedArray) -> Flags:
    """True where a row is not null."""
    if column.null_count == 0:
        return np.ones(len(column), np.bool_)
    return np.asarray(column.is_valid())


def mask(flags: Flags) -> pa.BooleanArray:
    """The same flags for Arrow's kernels."""
    return pa.array(flags, pa.bool_())


def only(text: pa.LargeStringArray, flags: Flags) -> pa.LargeStringArray:
    """The flagged rows; the others null."""
    if flags.all():
        return text
    return pc.if_else(mask(flags), text, pa.scalar(None, pa.large_string()))


def widths(text: pa.LargeStringArray) -> NDArray[np.int64]:
    """Bytes of each row; means nothing for a null row."""
    sizes: NDArray[np.int64] = np.diff(raw(text)[1])
    return sizes


def is_ascii(text: pa.LargeStringArray) -> bool:
    """Whether every byte of the column is ASCII."""
    data, ends = raw(text)
    used = data[ends[0] : ends[-1]]
    return not used.size or int(used.max()) < 0x80


def count_bytes(text: pa.LargeStringArray, *ranges: tuple[int, int]) -> NDArray[np.int64]:
    """How many bytes of each row lie in one of the ranges, each from its first to its last byte."""
    data, ends = raw(text)
    used = data[ends[0] : ends[-1]]
    hits = np.zeros(used.size, np.bool_)
    for first, last in ranges:
        # what is below the range wraps to above it
        hits |= used - np.uint8(first) <= last - first
    if not hits.any():
        return np.zeros(len(text), np.int64)
    running = np.zeros(hits.size + 1, np.int64)
    np.cumsum(hits, out=running[1:])
    counts: NDArray[np.int64] = np.diff(running[ends - ends[0]])
    return counts


def of_width(text: pa.LargeStringArray, width: int) -> tuple[NDArray[np.int64], Bytes]:
    """The rows of exactly `width` bytes: their numbers, and their bytes as a (rows, width) array.

    When every row has that width the bytes are a view of the column, else a copy.
    """
    data, ends = raw(text)
    fits = np.diff(ends) == width
    if fits.all():
        return np.arange(len(text)), data[ends[0] : ends[-1]].reshape(len(text), width)
    rows = np.flatnonzero(fits)
    if not rows.size:
        return rows, np.empty((0, width), np.uint8)
    return rows, np.lib.stride_tricks.sliding_window_view(data, width)[ends[rows]]


def from_width(rows: Bytes) -> pa.LargeStringArray:
    """A text column of ASCII rows of one width, from a (rows, width) array."""
    count, width = rows.shape
    offsets = np.arange(count + 1, dtype=np.int64) * width
    return pa.LargeStringArray.from_buffers(count, pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(rows)))


def replace_rows(text: pa.LargeStringArray, where: Flags, values: pa.LargeStringArray) -> pa.LargeStringArray:
    """The column with the rows flagged in `where` replaced, in order, by `values`."""
    return pc.replace_with_mask(text, mask(where), values)


def join(*columns: pa.LargeStringArray, separator: str = "") -> pa.LargeStringArray:
    """The columns put together row by row; null where one of them is."""
    return pc.binary_join_element_wise(*columns, pa.scalar(separator, pa.large_string()))


def normalise(text: pa.LargeStringArray) -> pa.LargeStringArray:
    """Compatibility composition (NFKC), then Unicode white space trimmed."""
    if not is_ascii(text):
        text = pc.utf8_normalize(text, form="NFKC")
    return pc.utf8_trim_whitespace(text)


def fold_case(text: pa.LargeStringArray) -> pa.LargeStringArray:
    """Full Unicode case folding followed by NFKC; the column has no nulls.

    Arrow has lower-casing only, which leaves the sharp s and the final sigma apart from their equals. The
    column goes through Python's folding as one string.
    """
    if is_ascii(text):
        return pc.ascii_lower(text)
    row_bytes = text.cast(pa.large_binary())
    whole: Any = pc.binary_join(
        pa.ListArray.from_arrays(pa.array([0, len(text)], pa.int32()), row_bytes),
        pa.scalar(_SEPARATOR, pa.large_binary()),
    )
    # surrogateescape carries the separator through as a lone surrogate, which folding leaves alone
    folded = whole[0].as_py().decode("utf-8", "surrogateescape").casefold()
    again = pa.array([folded.encode("utf-8", "surrogateescape")], pa.large_binary())
    rows = pc.split_pattern(again, pattern=_SEPARATOR).values.cast(pa.large_string())
    return pc.utf8_normalize(rows, form="NFKC")
