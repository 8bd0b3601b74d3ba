"""Each cause of a low match rate gets its sentence, and a sound column gets none."""

from __future__ import annotations

import datetime as dt
import hashlib
import re

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from fusion.tables import Table, diagnosis, explain_matches, key_columns

from . import twin

COUNT = 200


def numbers(kind: str) -> list[str]:
    """Different valid numbers of a kind."""
    made = []
    for i in range(COUNT):
        if kind == "cn_id":
            body = f"110105{1930 + i % 80}{1 + i % 12:02}{1 + i % 28:02}{i:03}"
            made.append(body + twin.cn_id_check(body))
        elif kind == "uscc":
            body = f"9135010{i % 10}M{i:08}"
            made.append(body + twin.uscc_check(body))
        else:
            made.append(f"138{i:08}")
    return made


DAYS = [(dt.date(1990, 1, 1) + dt.timedelta(7 * i)).isoformat() for i in range(COUNT)]
NAMES = [f"person {i * 7919 % 1000}" for i in range(COUNT)]
CN_ID, USCC, PHONE = numbers("cn_id"), numbers("uscc"), numbers("phone")


def explain(values: object, kind: str) -> list[str]:
    keys = key_columns(
        Table.of(pd.DataFrame({"x": values}) if not isinstance(values, pa.Array) else pa.table({"x": values})),
        {"x": kind},
    )
    return explain_matches(keys.report, keys.valid.size, 0)


SOUND = {
    "cn_id": CN_ID,
    "uscc": USCC,
    "phone": PHONE,
    "date": DAYS,
    "text": NAMES,
    "integer": [str(i * 37) for i in range(COUNT)],
}


@pytest.mark.parametrize("kind", SOUND)
def test_a_sound_column_is_called_so(kind: str) -> None:
    (line,) = explain(SOUND[kind], kind)
    assert line.startswith("the key column looks well formed: the two sides may share nobody")


CAUSES = {
    "masked": (["110105********" + v[14:] for v in CN_ID], "cn_id", "holds masked values"),
    "masked phones": ([v[:3] + "****" + v[7:] for v in PHONE], "phone", "holds masked values"),
    "hashed": ([hashlib.sha256(v.encode()).hexdigest() for v in CN_ID], "cn_id", "holds hashes"),
    "hashed as text": ([hashlib.md5(v.encode()).hexdigest().upper() for v in PHONE], "text", "holds hashes"),  # noqa: S324
    "shortened": (["1.10105E+17"] * COUNT, "cn_id", "shortened to powers of ten"),
    "decimals": ([v + ".0" for v in PHONE], "phone", "whole numbers written with decimals"),
    "decimals of integers": ([f"{i}.0" for i in range(COUNT)], "integer", "whole numbers written with decimals"),
    "rounded": ([v[:15] + "000" for v in CN_ID], "cn_id", "end in 000 where a spreadsheet dropped digits"),
    "short": ([v[:17] for v in CN_ID], "cn_id", "one character short"),
    "short phone": ([v[1:] for v in PHONE], "phone", "one character short"),
    "times": ([v + " 08:30:00" for v in DAYS], "date", "holds times of day"),
    "year last": ([f"{v[8:]}/{v[5:7]}/{v[:4]}" for v in DAYS], "date", "year last"),
    "day numbers": ([str(44000 + i) for i in range(COUNT)], "date", "day numbers of a spreadsheet"),
    "constant": (["x"] * COUNT, "text", "holds one value in every row"),
    "missing dates": (["1970-01-01"] * COUNT, "date", "mostly 1970-01-01"),
    "mostly missing dates": (["1970-01-01"] * 150 + DAYS[:50], "date", "mostly 1970-01-01"),
    "numbers as text": (np.arange(COUNT), "text", "stored as numbers, which have no leading zeros"),
    "coarse": ([float(2**53 + 2 * i) for i in range(1, COUNT)], "integer", "floating-point numbers"),
    "fractions": ([i + 0.5 for i in range(COUNT)], "integer", "floating-point numbers"),
    "lost zeros": (
        [f"{i * 977 % 10**6}" for i in range(10**4 // 50, 10**4 // 50 + COUNT * 5)],
        "text",
        "leading zeros may be lost",
    ),
    "kept zeros": ([f"{i:06}" for i in range(COUNT)], "text", "holds digits with leading zeros"),
    "cn_id as text": ([v.lower() for v in CN_ID], "text", "looks like the kind 'cn_id'"),
    "cn_id as integer": ([int(v) for v in CN_ID if v.isdigit()], "integer", "looks like the kind 'cn_id'"),
    "uscc as text": (USCC, "text", "looks like the kind 'uscc'"),
    "phone as text": (["+86 " + v for v in PHONE], "text", "looks like the kind 'phone'"),
    "phone as integer": ([int(v) for v in PHONE], "integer", "looks like the kind 'phone'"),
    "date as text": ([v.replace("-", "/") for v in DAYS], "text", "looks like the kind 'date'"),
    "date as integer": ([int(v.replace("-", "")) for v in DAYS], "integer", "looks like the kind 'date'"),
    "nulls": ([None] * 150 + NAMES[:50], "text", "75 % of the rows have no value"),
    "a null": ([None, *NAMES], "text", "less than 1 % of the rows have no value"),
    "invalid": (
        CN_ID[:150] + ["no idea"] * 50,
        "cn_id",
        "25 % of the rows cannot be read as kind 'cn_id' (length, date of birth",
    ),
    "nothing valid": (["no idea"] * COUNT, "uscc", "100 % of the rows cannot be read as kind 'uscc'"),
    "hardly anything valid": (
        ["no idea"] * (COUNT - 1) + PHONE[:1],
        "phone",
        "more than 99 % of the rows cannot be read",
    ),
}


@pytest.mark.parametrize("cause", CAUSES)
def test_each_cause_has_its_sentence(cause: str) -> None:
    values, kind, sentence = CAUSES[cause]
    lines = explain(values, kind)
    assert any(sentence in line for line in lines), lines
    for line in lines:
        assert line.startswith("column 'x'")
        assert "\n" not in line


@pytest.mark.parametrize("cause", CAUSES)
def test_sentences_hold_no_value(cause: str) -> None:
    values, kind, _ = CAUSES[cause]
    lines = explain(values, kind)
    told = set(re.findall(r"[0-9A-Za-z.*/:+-]{6,}", " ".join(lines)))
    assert not told & {str(value) for value in values if value is not None} - {"1970-01-01"}


def test_every_symptom_is_tested() -> None:
    seen = set()
    for values, kind, _ in CAUSES.values():
        keys = key_columns(Table.of(pd.DataFrame({"x": values})), {"x": kind})
        seen.update(keys.report[0].notes)
    assert seen == set(diagnosis._MEANINGS)


def test_nothing_is_said_of_a_good_rate() -> None:
    report = key_columns(Table.of(pa.table({"x": ["x"] * 9})), ["x"]).report
    assert explain_matches(report, 100, 5) == []
    assert explain_matches(report, 100, 100) == []
    assert explain_matches(report, 100, 4) == [
        "column 'x' holds one value in every row and so tells nobody apart; choose another key"
    ]
    assert explain_matches(report, 0, 0) != []


def test_few_matches_of_sound_columns_need_no_words() -> None:
    report = key_columns(Table.of(pa.table({"a": NAMES, "b": DAYS})), {"a": "text", "b": "date"}).report
    assert explain_matches(report, 1000, 1) == []
    assert len(explain_matches(report, 1000, 0)) == 2


def test_several_columns_are_named_each_and_their_order_recalled() -> None:
    table = Table.of(pa.table({"a": NAMES, "b": [None, *DAYS[1:]]}))
    lines = explain_matches(key_columns(table, {"a": "text", "b": "date"}).report, COUNT - 1, 0)
    assert len(lines) == 2
    assert lines[0].startswith("column 'b'")
    assert "in the same order on both sides" in lines[1]
    sound = explain_matches(key_columns(table, ["a"]).report * 2, COUNT, 0)
    assert sound[0].startswith("all key columns look well formed")


def test_an_empty_table_is_explained() -> None:
    (line,) = explain(pa.array([], pa.string()), "text")
    assert line.startswith("the table has no rows")


def test_blank_rows_do_not_thin_out_a_symptom() -> None:
    assert any("masked" in line for line in explain(CN_ID + [" "] * 90 + ["11*"] * 10, "cn_id"))


def test_a_symptom_needs_more_than_an_accident() -> None:
    assert not any("masked" in line for line in explain(CN_ID + ["no idea"] * 90 + ["11*"] * 10, "cn_id"))
    # numbers that were never padded: most are shorter than the longest
    assert not any("zeros" in line for line in explain([str(i) for i in range(880, 1080)], "text"))
    assert not any("looks like" in line for line in explain(PHONE[:100] + NAMES[:100], "text"))
