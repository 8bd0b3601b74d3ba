"""The six kinds again, one value at a time in plain Python, from their definitions.

Weights are the tables printed in the standards; the package derives its own from the powers behind them.
"""

from __future__ import annotations

import datetime as dt
import re
import unicodedata

CN_ID_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
CN_ID_CHECKS = "10X98765432"
USCC_SYMBOLS = "0123456789ABCDEFGHJKLMNPQRTUWXY"
USCC_WEIGHTS = (1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28)

NULL = "null"
INVALID = "invalid"


def read(kind: str, value: str | None) -> tuple[str, str]:
    """What becomes of a value: ("valid", canonical text), or "null" or "invalid" and an empty text."""
    if value is None:
        return NULL, ""
    value = unicodedata.normalize("NFKC", value).strip()
    if not value:
        return NULL, ""
    clean = READERS[kind](value)
    return (INVALID, "") if clean is None else ("valid", clean)


def text(value: str) -> str:
    return unicodedata.normalize("NFKC", value.casefold())


def integer(value: str) -> str | None:
    match = re.fullmatch(r"([+-]?)([0-9]+)", value)
    if not match:
        return None
    digits = match[2].lstrip("0") or "0"
    return "-" + digits if match[1] == "-" and digits != "0" else digits


def is_day(year: str, month: str, day: str) -> bool:
    try:
        dt.date(int(year), int(month), int(day))
    except ValueError:
        return False
    return True


def date(value: str) -> str | None:
    value = re.sub(r"[ T]+0?0:00(:00(\.0+)?)?\Z", "", value)
    match = re.fullmatch(r"([0-9]{4})[-/.年]([0-9]{1,2})[-/.月]([0-9]{1,2})日?", value) or re.fullmatch(
        r"([0-9]{4})([0-9]{2})([0-9]{2})", value
    )
    if not match or not is_day(*match.groups()):
        return None
    return "-".join((match[1], match[2].zfill(2), match[3].zfill(2)))


def without_filling(value: str, extra: tuple[str, ...] = ()) -> str:
    categories = ("Zs", "Zl", "Zp", "Cc", "Cf", "Pd", *extra)
    return "".join(c for c in value if unicodedata.category(c) not in categories and c != "\u2212")


def ascii_upper(value: str) -> str:
    return "".join(c.upper() if c.isascii() else c for c in value)


def cn_id_check(first_17: str) -> str:
    return CN_ID_CHECKS[sum(int(c) * w for c, w in zip(first_17, CN_ID_WEIGHTS, strict=True)) % 11]


def cn_id(value: str) -> str | None:
    value = ascii_upper(without_filling(value))
    if re.fullmatch("[0-9]{15}", value):
        value = value[:6] + "19" + value[6:]
        value += cn_id_check(value)
    if not re.fullmatch("[0-9]{17}[0-9X]", value) or not is_day(value[6:10], value[10:12], value[12:14]):
        return None
    return value if cn_id_check(value[:17]) == value[17] else None


def phone(value: str) -> str | None:
    value = without_filling(value, ("Ps", "Pe")).replace(".", "")
    match = re.fullmatch(r"(?:(?:\+|00)?86)?(1[3-9][0-9]{9})", value)
    return match[1] if match else None


def uscc_check(first_17: str) -> str:
    total = sum(USCC_SYMBOLS.index(c) * w for c, w in zip(first_17, USCC_WEIGHTS, strict=True))
    return USCC_SYMBOLS[(31 - total % 31) % 31]


def uscc(value: str) -> str | None:
    value = ascii_upper(without_filling(value))
    if len(value) != 18 or any(c not in USCC_SYMBOLS for c in value):
        return None
    return value if uscc_check(value[:17]) == value[17] else None


READERS = {"text": text, "integer": integer, "date": date, "cn_id": cn_id, "phone": phone, "uscc": uscc}
