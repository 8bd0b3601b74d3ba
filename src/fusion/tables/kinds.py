"""The six kinds of key: what each accepts and the one text that equal keys share.

Every kind answers two questions about a whole column. `canonical` flags the rows that already are the text to
be compared; on clean data that is the whole column and nothing is copied. `clean` turns the other rows,
already NFKC-normalised and trimmed, into that text, or into null where they cannot be read.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fusion.tables import strings

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from fusion.tables.strings import Bytes, Flags

# What people put between or around the characters of a number: white space, control and invisible format
# characters, and any dash. Telephone numbers also carry brackets and dots.
_FILLING = r"\p{Z}\p{Cc}\p{Cf}\p{Pd}\x{2212}"


# Bytes that clean text does not hold, as ranges: anything but digits; capitals and what is not ASCII.
_NOT_DIGIT = (0, ord("0") - 1), (ord("9") + 1, 255)
_NOT_PLAIN = (ord("A"), ord("Z")), (0x80, 255)
_LAST_SPACE = ord(" ")
_SPACE = np.isin(np.arange(256), list(b"\t\n\v\f\r\x1c\x1d\x1e\x1f "))


class Kind(NamedTuple):
    """How one kind of key is read.

    Attributes
    ----------
    canonical : callable
        Column of text to flags: rows that need no change. What it says of null rows means nothing.
    clean : callable
        Column of normalised text without nulls or empty rows to canonical text, null where it cannot be read.
    floats : bool
        Whether it takes floating-point columns, which hold 15 digits; integers are taken by every kind.
    dates : bool
        Whether it takes dates and timestamps.
    """

    canonical: Callable[[pa.LargeStringArray], Flags]
    clean: Callable[[pa.LargeStringArray], pa.LargeStringArray]
    floats: bool = False
    dates: bool = False


def _flag_width(text: pa.LargeStringArray, width: int, test: Callable[[Bytes], Flags]) -> Flags:
    """Rows of `width` bytes that pass `test`, which sees one contiguous line a position: (width, rows)."""
    rows, view = strings.of_width(text, width)
    flags = np.zeros(len(text), np.bool_)
    flags[rows] = test(np.ascontiguousarray(view.T))
    return flags


def _weigh(symbols: Bytes, weights: tuple[int, ...]) -> NDArray[np.uint16]:
    """Weighted sum down each column of (positions, rows); the largest sum of any kind fits 16 bits."""
    total = np.zeros(symbols.shape[1], np.uint16)
    for line, weight in zip(symbols, weights, strict=True):
        total += line * np.uint16(weight)
    return total


# --- text


def _text_canonical(text: pa.LargeStringArray) -> Flags:
    data, ends = strings.raw(text)
    flags: Flags = (ends[1:] > ends[:-1]) & (strings.count_bytes(text, *_NOT_PLAIN) == 0)
    used = data[ends[0] : ends[-1]]
    if used.size and int(used.min()) <= _LAST_SPACE:
        filled = ends[1:] > ends[:-1]
        flags[filled] &= ~(_SPACE[data[ends[:-1][filled]]] | _SPACE[data[ends[1:][filled] - 1]])
    return flags


# --- integer


def _integer_canonical(text: pa.LargeStringArray) -> Flags:
    data, ends = strings.raw(text)
    widths = strings.widths(text)
    flags: Flags = (widths > 0) & (strings.count_bytes(text, *_NOT_DIGIT) == 0)
    flags[flags] &= (data[ends[:-1][flags]] != ord("0")) | (widths[flags] == 1)
    return flags


def _integer_clean(text: pa.LargeStringArray) -> pa.LargeStringArray:
    text = pc.replace_substring_regex(text, r"^[+-]?0+$", "0")
    text = pc.replace_substring_regex(text, r"^(?:\+|(-))?0*([0-9]+)$", r"\1\2")
    magnitude = pc.replace_substring_regex(text, "^-", "")
    return strings.only(text, _integer_canonical(magnitude))


# --- date

_DAYS = np.zeros(100, np.uint8)
_DAYS[1:13] = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)

_DATE = (
    r"^(?P<y>[0-9]{4})"
    r"(?:(?P<m>[0-9]{2})(?P<d>[0-9]{2})|[-/.年](?P<mm>[0-9]{1,2})[-/.月](?P<dd>[0-9]{1,2})日?)"
    # midnight is how spreadsheets and databases print a day; another time of day is not a day
    r"(?:[ T]+0?0:00(?::00(?:\.0+)?)?)?$"
)


def _is_day(digits: Bytes) -> Flags:
    """Whether eight lines YYYYMMDD of digits (values, not characters) are days of the Gregorian calendar.

    Values above nine give a meaningless answer, not an error.
    """
    year = digits[0] * np.uint16(1000) + digits[1] * np.uint16(100) + digits[2] * np.uint16(10) + digits[3]
    month = np.minimum(digits[4] * np.uint16(10) + digits[5], 99)
    day = digits[6] * np.uint16(10) + digits[7]
    leap = (year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0))
    flags: Flags = (year > 0) & (day > 0) & (day <= _DAYS[month] + (leap & (month == 2)))
    return flags


def _is_iso_date(lines: Bytes) -> Flags:
    digits = lines[[0, 1, 2, 3, 5, 6, 8, 9]] - np.uint8(ord("0"))
    dashes = (lines[4] == ord("-")) & (lines[7] == ord("-"))
    flags: Flags = dashes & (digits.max(axis=0) <= 9) & _is_day(digits)
    return flags


def _date_canonical(text: pa.LargeStringArray) -> Flags:
    return _flag_width(text, 10, _is_iso_date)


def _date_clean(text: pa.LargeStringArray) -> pa.LargeStringArray:
    parts = pc.extract_regex(text, _DATE)
    year, *month_day = (pc.struct_field(parts, name) for name in ("y", "m", "mm", "d", "dd"))
    # of two groups that stand for the same part one is empty
    month, day = (pc.utf8_lpad(strings.join(one, other), 2, "0") for one, other in (month_day[:2], month_day[2:]))
    text = strings.join(year, month, day, separator="-")
    return strings.only(text, strings.present(text) & _date_canonical(text))


# --- cn_id

# GB 11643-1999: position i of 18 weighs 2**(18 - i) mod 11 and the weighted sum is 1
# mod 11 (ISO 7064, MOD 11-2).
_CN_ID_WEIGHTS = tuple(pow(2, 17 - i, 11) for i in range(17))
_CN_ID_CHECKS = np.frombuffer(b"10X98765432", np.uint8)


def _is_cn_id(lines: Bytes) -> Flags:
    digits = lines[:17] - np.uint8(ord("0"))
    flags: Flags = (digits.max(axis=0) <= 9) & _is_day(digits[6:14])
    flags &= _CN_ID_CHECKS[_weigh(digits, _CN_ID_WEIGHTS) % 11] == lines[17]
    return flags


def _cn_id_canonical(text: pa.LargeStringArray) -> Flags:
    return _flag_width(text, 18, _is_cn_id)


def _cn_id_clean(text: pa.LargeStringArray) -> pa.LargeStringArray:
    text = pc.ascii_upper(pc.replace_substring_regex(text, f"[{_FILLING}]+", ""))
    # before 1999 numbers had a two-digit year, always of the 1900s, and no check character
    rows, old = strings.of_width(text, 15)
    digits = old - np.uint8(ord("0"))
    whole = (digits <= 9).all(axis=1)
    rows, old, digits = rows[whole], old[whole], digits[whole]
    if rows.size:
        new = np.empty((rows.size, 18), np.uint8)
        new[:, :6], new[:, 8:17] = old[:, :6], old[:, 6:]
        new[:, 6:8] = (ord("1"), ord("9"))
        values = np.ascontiguousarray(new[:, :17].T) - np.uint8(ord("0"))
        new[:, 17] = _CN_ID_CHECKS[_weigh(values, _CN_ID_WEIGHTS) % 11]
        where = np.zeros(len(text), np.bool_)
        where[rows] = True
        text = strings.replace_rows(text, where, strings.from_width(new))
    return strings.only(text, _cn_id_canonical(text))


# --- phone


def _is_phone(lines: Bytes) -> Flags:
    digits = lines - np.uint8(ord("0"))
    flags: Flags = (digits.max(axis=0) <= 9) & (digits[0] == 1) & (digits[1] >= 3)
    return flags


def _phone_canonical(text: pa.LargeStringArray) -> Flags:
    return _flag_width(text, 11, _is_phone)


def _phone_clean(text: pa.LargeStringArray) -> pa.LargeStringArray:
    text = pc.replace_substring_regex(text, rf"[{_FILLING}\p{{Ps}}\p{{Pe}}.]+", "")
    text = pc.replace_substring_regex(text, r"^(?:\+|00)?86([0-9]{11})$", r"\1")
    return strings.only(text, _phone_canonical(text))


# --- uscc

# GB 32100-2015: 31 symbols, position i of 17 weighs 3**(i - 1) mod 31, the check brings the sum to 0 mod 31.
_USCC_SYMBOLS = b"0123456789ABCDEFGHJKLMNPQRTUWXY"
_USCC_WEIGHTS = (*(pow(3, i, 31) for i in range(17)), 1)
_USCC_VALUES = np.full(256, 255, np.uint8)
_USCC_VALUES[np.frombuffer(_USCC_SYMBOLS, np.uint8)] = np.arange(31)


def _is_uscc(lines: Bytes) -> Flags:
    symbols = _USCC_VALUES[lines]
    flags: Flags = (symbols.max(axis=0) < 31) & (_weigh(symbols, _USCC_WEIGHTS) % 31 == 0)
    return flags


def _uscc_canonical(text: pa.LargeStringArray) -> Flags:
    return _flag_width(text, 18, _is_uscc)


def _uscc_clean(text: pa.LargeStringArray) -> pa.LargeStringArray:
    text = pc.ascii_upper(pc.replace_substring_regex(text, f"[{_FILLING}]+", ""))
    return strings.only(text, _uscc_canonical(text))


KINDS = {
    "text": Kind(_text_canonical, strings.fold_case),
    "integer": Kind(_integer_canonical, _integer_clean, floats=True),
    "date": Kind(_date_canonical, _date_clean, floats=True, dates=True),
    "cn_id": Kind(_cn_id_canonical, _cn_id_clean),
    "phone": Kind(_phone_canonical, _phone_clean, floats=True),
    "uscc": Kind(_uscc_canonical, _uscc_clean),
}
