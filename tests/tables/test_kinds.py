"""Each kind by example, by its standard, and against the plain twin on random dirt."""

from __future__ import annotations

import datetime as dt
import unicodedata

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fusion.tables import Table, key_columns, keys
from fusion.tables.kinds import KINDS

from . import twin


def read(kind: str, values: list[str | None]) -> list[tuple[str, str]]:
    """What `key_columns` makes of each value, told as the twin tells it."""
    made = key_columns(Table.of(pa.table({"x": pa.array(values, pa.string())})), {"x": kind})
    (report,) = made.report
    told = dict(zip(made.valid.tolist(), made.columns[0].to_pylist(), strict=True))
    lost = {i for i in range(len(values)) if i not in told}
    nulls = {i for i in lost if values[i] is None or not unicodedata.normalize("NFKC", values[i]).strip()}
    assert (report.rows, report.null, report.invalid) == (len(values), len(nulls), len(lost - nulls))
    return [
        ("valid", told[i]) if i in told else (twin.NULL if i in nulls else twin.INVALID, "") for i in range(len(values))
    ]


EXAMPLES = {
    "text": {
        "Li Lei": "li lei",
        "  Li Lei\t": "li lei",
        "\u3000李雷 ": "李雷",
        "ＡＢＣ１２": "abc12",
        "Straße": "strasse",
        "STRASSE": "strasse",
        "ΣΊΣΥΦΟΣ": "σίσυφοσ",
        "Σίσυφος": "σίσυφοσ",
        "ﬁre": "fire",
        "e\u0301": "é",
        "É": "é",
        "\x1c x \x85": "x",
        "0012": "0012",
    },
    "integer": {
        "7": "7",
        "007": "7",
        "+7": "7",
        "-007": "-7",
        "-0": "0",
        "000": "0",
        " １２３ ": "123",
        "123456789012345678901234567890": "123456789012345678901234567890",
        "0" * 40 + "5": "5",
        "--7": None,
        "+-7": None,
        "7.0": None,
        "7 7": None,
        "-": None,
        "1e3": None,
        "٣": None,
    },
    "date": {
        "2024-02-29": "2024-02-29",
        "2024/2/29": "2024-02-29",
        "2024.02.9": "2024-02-09",
        "20240229": "2024-02-29",
        "2024年2月9日": "2024-02-09",
        "２０２４－０２－２９": "2024-02-29",
        "2024-02-29 00:00:00": "2024-02-29",
        "2024-02-29T00:00:00.000": "2024-02-29",
        "2024/2/9 0:00": "2024-02-09",
        "0001-01-01": "0001-01-01",
        "9999-12-31": "9999-12-31",
        "2000-02-29": "2000-02-29",
        "1900-02-29": None,
        "2023-02-29": None,
        "2024-02-30": None,
        "2024-00-10": None,
        "2024-13-10": None,
        "2024-01-00": None,
        "0000-01-01": None,
        "20240229 00:00": "2024-02-29",
        "2024-02-29 13:00:00": None,
        "2024-02-2900:00:00": None,
        "2024:02:29": None,
        "2024-2-": None,
        "202402": None,
        "29/02/2024": None,
    },
    "cn_id": {
        # the examples printed in GB 11643-1999
        "11010519491231002X": "11010519491231002X",
        "440524188001010014": "440524188001010014",
        "11010519491231002x": "11010519491231002X",
        "１１０１０５１９４９１２３１００２Ｘ": "11010519491231002X",
        " 110105 19491231 002X ": "11010519491231002X",
        "110105-19491231-002X": "11010519491231002X",
        "110105\u200b19491231\u2013002X\ufeff": "11010519491231002X",
        "110105491231002": "11010519491231002X",
        "110105490231002": None,
        "110105194912310021": None,
        "110105194913310025": None,
        "11010519491231002": None,
        "11010519491231002:": None,
        "X10105194912310021": None,
        "1.10105E+17": None,
        "110105491231OO2": None,
        "-": None,
    },
    "phone": {
        "13812345678": "13812345678",
        "+86 138 1234 5678": "13812345678",
        "+86-138-1234-5678": "13812345678",
        "0086 13812345678": "13812345678",
        "8613812345678": "13812345678",
        "(+86)138.1234.5678": "13812345678",
        "（86）13812345678": "13812345678",
        "１３８１２３４５６７８": "13812345678",
        "\u202d13812345678\u202c": "13812345678",
        "19912345678": "19912345678",
        "12812345678": None,
        "23812345678": None,
        "1381234567": None,
        "138123456789": None,
        "013812345678": None,
        "+1 13812345678": None,
        "010-12345678": None,
        "138****5678": None,
    },
    "uscc": {
        # the example printed in GB 32100-2015
        "91350100M000100Y43": "91350100M000100Y43",
        "91350100m000100y43": "91350100M000100Y43",
        "９１３５０１００Ｍ０００１００Ｙ４３": "91350100M000100Y43",
        "9135 0100-M000 100Y43": "91350100M000100Y43",
        "91350100M000100Y44": None,
        "91350100M000100Y4": None,
        "91350100I000100Y43": None,
        "91350100M000100Y433": None,
    },
}


@pytest.mark.parametrize("kind", KINDS)
def test_examples(kind: str) -> None:
    expected = [("invalid", "") if clean is None else ("valid", clean) for clean in EXAMPLES[kind].values()]
    assert read(kind, list(EXAMPLES[kind])) == expected


@pytest.mark.parametrize("kind", KINDS)
def test_the_twin_knows_the_examples(kind: str) -> None:
    expected = [("invalid", "") if clean is None else ("valid", clean) for clean in EXAMPLES[kind].values()]
    assert [twin.read(kind, value) for value in EXAMPLES[kind]] == expected


@pytest.mark.parametrize("kind", KINDS)
def test_blanks_are_null(kind: str) -> None:
    assert read(kind, [None, "", " ", "\u3000\t", "\u00a0\n"]) == [("null", "")] * 5


def test_check_characters_of_the_standards() -> None:
    assert twin.cn_id_check("11010519491231002") == "X"
    assert twin.cn_id_check("44052418800101001") == "4"
    assert twin.uscc_check("91350100M000100Y4") == "3"


def test_every_other_check_character_is_refused() -> None:
    wrong = ["11010519491231002" + c for c in "0123456789Xx"] + ["91350100M000100Y4" + c for c in twin.USCC_SYMBOLS]
    assert [value for value, (state, _) in zip(wrong, read("cn_id", wrong), strict=True) if state == "valid"] == [
        "11010519491231002X",
        "11010519491231002x",
    ]
    assert [value for value, (state, _) in zip(wrong, read("uscc", wrong), strict=True) if state == "valid"] == [
        "91350100M000100Y43"
    ]


def test_every_day_of_eight_centuries() -> None:
    first = dt.date(1599, 12, 31).toordinal()
    days = [dt.date.fromordinal(first + i).isoformat() for i in range(300_000)]
    assert key_columns(Table.of(pa.table({"x": days})), {"x": "date"}).columns[0].to_pylist() == days
    never = [
        f"{year}-{month:02}-{day:02}" for year in (1900, 2000, 2023, 2024) for month in range(14) for day in range(33)
    ]
    real = [day for day in never if twin.date(day)]
    assert key_columns(Table.of(pa.table({"x": never})), {"x": "date"}).columns[0].to_pylist() == real


# --- random dirt: a good value, then damage

CHARACTERS = st.characters(exclude_categories=["Cs", "Cn"])
FILLING = st.sampled_from(" \t\u3000\u00a0\u200b\ufeff-–－−()（）.+ 0")


@st.composite
def good(draw: st.DrawFn, kind: str) -> str:
    digits = st.text("0123456789", min_size=1, max_size=25)
    day = draw(st.dates())
    if kind == "cn_id":
        body = draw(st.text("0123456789", min_size=6, max_size=6)) + day.strftime("%Y%m%d").zfill(8)
        body += draw(st.text("0123456789", min_size=3, max_size=3))
        return draw(st.sampled_from([body + twin.cn_id_check(body), body[:6] + body[8:]]))
    if kind == "uscc":
        body = draw(st.text(twin.USCC_SYMBOLS, min_size=17, max_size=17))
        return body + twin.uscc_check(body)
    if kind == "phone":
        number = "1" + draw(st.text("3456789", min_size=1, max_size=1))
        number += draw(st.text("0123456789", min_size=9, max_size=9))
        return draw(st.sampled_from(["", "+86", "0086", "86", "+86 "])) + number
    if kind == "integer":
        return draw(st.sampled_from(["", "-", "+", "0", "-00"])) + draw(digits)
    if kind == "date":
        form = draw(
            st.sampled_from(["{0:04}-{1:02}-{2:02}", "{0:04}/{1}/{2}", "{0:04}{1:02}{2:02}", "{0:04}年{1}月{2}日"])
        )
        return form.format(day.year, day.month, day.day) + draw(st.sampled_from(["", " 00:00:00", "T00:00", " 1:00"]))
    return draw(st.text(CHARACTERS))


@st.composite
def dirty(draw: st.DrawFn, kind: str) -> str | None:
    value = draw(good(kind))
    match draw(st.integers(0, 7)):
        case 0:
            return draw(st.none() | st.text(CHARACTERS, max_size=30))
        case 1:
            value = "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in value)
        case 2:
            value = draw(st.sampled_from([value.lower(), value.upper(), value.title()]))
        case 3:
            at = draw(st.integers(0, len(value)))
            value = value[:at] + draw(FILLING) + value[at:]
        case 4:
            at = draw(st.integers(0, len(value)))
            value = value[:at] + draw(CHARACTERS) + value[at + 1 :]
        case 5:
            at = draw(st.integers(0, len(value)))
            value = value[:at] + value[at + 1 :]
        case 6:
            value = draw(FILLING) + value + draw(FILLING)
    return value


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
@settings(max_examples=80, deadline=None)
def test_equals_the_twin(kind: str, data: st.DataObject) -> None:
    values = data.draw(st.lists(dirty(kind), max_size=12))
    assert read(kind, values) == [twin.read(kind, value) for value in values]


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
@settings(max_examples=50, deadline=None)
def test_where_the_column_is_cut_changes_nothing(kind: str, data: st.DataObject) -> None:
    values = data.draw(st.lists(dirty(kind), min_size=1, max_size=20))
    cuts = data.draw(st.lists(st.integers(0, len(values)), max_size=3).map(sorted))
    column = pa.array(values, pa.string())
    parts = [column.slice(a, b - a) for a, b in zip([0, *cuts], [*cuts, len(values)], strict=True)]
    whole = key_columns(Table.of(pa.table({"x": column})), {"x": kind})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keys, "_ROWS", data.draw(st.integers(1, 7)))
        cut = key_columns(Table.of(pa.table({"x": pa.chunked_array(parts)})), {"x": kind})
    assert cut.columns == whole.columns
    assert cut.valid.tolist() == whole.valid.tolist()
    assert cut.report == whole.report


@pytest.mark.parametrize("kind", ["integer", "date", "cn_id", "phone", "uscc"])
@given(data=st.data())
@settings(max_examples=50, deadline=None)
def test_canonical_text_reads_as_itself(kind: str, data: st.DataObject) -> None:
    values = data.draw(st.lists(dirty(kind), min_size=1, max_size=12))
    once = [clean for state, clean in read(kind, values) if state == "valid"]
    assert read(kind, list(once)) == [("valid", clean) for clean in once]


def test_every_white_space_and_case_of_unicode() -> None:
    everything = [chr(c) for c in range(0x110000) if unicodedata.category(chr(c)) not in ("Cs", "Cn")]
    framed = [f"{c}x{c}" for c in everything] + [f"a{c}b" for c in everything]
    assert read("text", list(framed)) == [twin.read("text", value) for value in framed]
