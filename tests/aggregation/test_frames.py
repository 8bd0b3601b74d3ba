"""Encrypted frames against pandas, under every scheme."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fusion import InputError, PeerError
from fusion.aggregation import EncryptedFrame, EncryptedGroups

from .keypairs import SCHEMES, pair

ALL = ["count", "sum", "mean", "var"]
CLAIMS = pd.DataFrame(
    {"claims": [0, 3, 1, 2, 0, -9], "cost": [0.0, 120.5, 33.25, 80.0, 0.01, -99.99], "open": [True, False] * 3}
)
EXAMPLES = {"cleartext": 40, "paillier": 20, "elgamal": 20, "ckks": 4, "lattice": 20}
LIMITS = {
    "decimals": {"claims": 0, "cost": 2, "open": 0},
    "bound": {"claims": 9, "cost": 200, "open": 1},
    "terms": 100,
    "moments": 2,
}
REGION = pd.Series(["north", "south", "north", None, "south", "east"], name="region")


def assert_same(ours, pandas):
    pd.testing.assert_frame_equal(ours, pandas, rtol=1e-12, atol=1e-12, check_index_type=False)


def test_as_pandas_does(keys):
    public, private = keys
    for key in keys:
        frame = key.encrypt(CLAIMS, **LIMITS)
        result = frame.groupby(REGION).agg(ALL)
        assert_same(private.decrypt(result), CLAIMS.groupby(REGION).agg(ALL))
        received = EncryptedGroups.from_bytes(result.to_bytes(), public)
        assert_same(private.decrypt(received), CLAIMS.groupby(REGION).agg(ALL))


def test_holder_and_owner_apart(keys):
    public, private = keys
    at_the_holder = EncryptedFrame.from_bytes(public.encrypt(CLAIMS, **LIMITS).to_bytes(), public)
    result = (
        at_the_holder.groupby(REGION).agg(["mean", "count"]).to_bytes(full=public.scheme not in ("ckks", "lattice"))
    )
    opened = private.decrypt(EncryptedGroups.from_bytes(result, public))
    assert_same(opened, CLAIMS.groupby(REGION).agg(["mean", "count"]))


@pytest.mark.parametrize("scheme", SCHEMES)
def test_any_frame(scheme):
    public, private = pair(scheme)

    @settings(max_examples=EXAMPLES[scheme], deadline=None, suppress_health_check=list(HealthCheck))
    @given(data=st.data(), rows=st.integers(0, 12), decimals=st.integers(0, 3))
    def run(data, rows, decimals):
        def some(strategy):
            return data.draw(st.lists(strategy, min_size=rows, max_size=rows))

        scale = 10**decimals
        frame = pd.DataFrame(
            {
                "a": np.array(some(st.integers(-100, 100)), np.int64),
                "b": np.array(some(st.integers(-100 * scale, 100 * scale)), np.float64) / scale,
            }
        )
        keys = [
            pd.Series(some(st.sampled_from(["x", "y", "z"])), name="k", dtype="str"),
            pd.Series(some(st.integers(-1, 1)), name="j", dtype="int64"),
        ][: data.draw(st.integers(1, 2))]
        by = keys if data.draw(st.booleans()) or len(keys) > 1 else keys[0]
        encrypted = public.encrypt(frame, decimals={"a": 0, "b": decimals}, bound=100, terms=20, moments=2)
        result = EncryptedGroups.from_bytes(encrypted.groupby(by).agg(ALL).to_bytes(), public)
        expected = frame.groupby(by).agg(ALL)
        if decimals == 0:
            # declared whole: sums are integers
            expected["b", "sum"] = expected["b", "sum"].astype(np.int64)
        assert_same(private.decrypt(result), expected)
        assert_same(private.decrypt(encrypted), frame if decimals else frame.astype(np.int64))

    run()


def test_variances_are_exact_where_floats_cancel(keys):
    public, private = keys
    # the textbook formula in floats loses digits here
    values = pd.DataFrame({"x": [499_999, 499_998, 499_996] * 2})
    result = public.encrypt(values, bound=500_000, terms=100, moments=2).groupby([0] * 6).agg(["var"])
    assert private.decrypt(result).iloc[0, 0] == 28 / 15


@pytest.mark.parametrize("scheme", ["cleartext", "paillier"])
def test_the_largest_values(scheme):
    public, private = pair(scheme, 3)
    largest = 2**62
    frame = pd.DataFrame({"x": [largest, -largest, largest]})
    result = public.encrypt(frame, bound=largest, terms=2**20, moments=2).groupby([1, 1, 1]).agg(ALL)
    row = private.decrypt(result).iloc[0]
    assert row["x", "sum"] == largest
    assert row["x", "mean"] == largest / 3
    assert row["x", "var"] == (3 * 3 * largest**2 - largest**2) / 6


def test_kinds_of_keys_and_labels():
    public, private = pair("cleartext")
    frame = public.encrypt(CLAIMS, **LIMITS)
    ages = pd.cut(pd.Series([20, 30, 40, 50, 60, 70], name="age"), [0, 35, 65, 99])
    for key in (
        REGION,
        [REGION, pd.Series([1, 1, 2, 2, 3, 3], name="year")],
        np.array([2, 1, 2, 1, 2, 1]),
        np.array([0.5, 1.5] * 3),
        np.array([True, False] * 3),
        pd.Series(["b", "a", "b", "a", "b", "a"], dtype="category"),
        pd.to_datetime(pd.Series(["2020-01-01", "2021-06-30"] * 3)),
        pd.Series(["2020-01-01", "2021-06-30"] * 3, dtype="datetime64[s]", name="day"),
        ages,
        ages.astype(str),
        pd.Series([1, 2, None] * 2, dtype="Int64", name="n"),
    ):
        result = frame.groupby(key).agg(["count", "sum"])
        expected = CLAIMS.groupby(key, observed=True).agg(["count", "sum"])
        assert_same(private.decrypt(result), expected)
        if key is not ages:
            received = private.decrypt(EncryptedGroups.from_bytes(result.to_bytes(), public))
            assert received.index.names == expected.index.names
            if isinstance(expected.index.dtype, pd.CategoricalDtype):
                expected.index = expected.index.astype(str)  # texts travel, not categories
            assert_same(received, expected)
    with pytest.raises(InputError, match=r"key.astype\(str\) can be sent"):
        frame.groupby(ages).agg(["count"]).to_bytes()
    with pytest.raises(InputError, match="rename the series"):
        frame.groupby(pd.Series([1] * 6, name=3)).agg(["count"]).to_bytes()
    with pytest.raises(InputError, match="levels of a MultiIndex as a list"):
        frame.groupby(pd.MultiIndex.from_tuples([(1, 2)] * 6))


@pytest.mark.parametrize("key", [np.array([2**63] * 6, np.uint64), np.array([np.inf, 1.0] * 3)])
def test_labels_that_nobody_would_read_are_not_sent(key):
    public, _ = pair("cleartext")
    result = public.encrypt(CLAIMS, **LIMITS).groupby(key).agg(["count"])
    with pytest.raises(InputError, match=r"key.astype\(str\) can be sent"):
        result.to_bytes()


def test_rows_are_selected_by_the_holder():
    public, private = pair("cleartext")
    index = pd.RangeIndex(6, name="pair-1")
    frame = public.encrypt(CLAIMS.set_index(index), **LIMITS)
    mask = pd.Series([True, False, True, True, True, False], index=index)
    kept = frame[mask]
    assert kept.shape == (4, 3)
    expected = CLAIMS.set_index(index)[mask].groupby(REGION.set_axis(index)[mask]).agg(ALL)
    assert_same(private.decrypt(kept.groupby(REGION.set_axis(index)[mask]).agg(ALL)), expected)
    assert frame[::2].shape == (3, 3)
    with pytest.raises(InputError, match="selected by a slice"):
        frame["cost"]


def test_keys_must_be_aligned():
    public, _ = pair("cleartext")
    index = pd.RangeIndex(6, name="pair-1")
    frame = public.encrypt(CLAIMS.set_index(index), **LIMITS)
    for key, match in (
        (REGION, "index is not the frame's"),
        (REGION.set_axis(index[::-1]), "index is not the frame's"),
        (REGION[:5].set_axis(index[:5]), "one value for each of the 6 rows, not 5"),
        (np.arange(5), "one value for each of the 6 rows"),
        (np.ones((6, 2)), "one value for each of the 6 rows"),
        ([REGION.set_axis(index), REGION], "index is not the frame's"),
        ([], "at least one key"),
    ):
        with pytest.raises(InputError, match=match):
            frame.groupby(key)
    frame.groupby(REGION.set_axis(index))
    # the name of the rows travels, so that a session's keys still fit on the other side; labels of people do not
    there = EncryptedFrame.from_bytes(frame.to_bytes(), public)
    there.groupby(REGION.set_axis(index))
    named = public.encrypt(CLAIMS.set_index(pd.Index(["ana", "bo", "cy", "di", "ed", "florentina"])), **LIMITS)
    assert b"florentina" not in named.to_bytes()
    assert EncryptedFrame.from_bytes(named.to_bytes(), public).index.equals(pd.RangeIndex(6))


@pytest.mark.parametrize(
    ("statistics", "match"),
    [("count", "a list"), ([], "a list"), (["sum", "sum"], "different"), (["median"], "among"), (["var"], "moments=2")],
)
def test_statistics_that_are_none(statistics, match):
    frame = pair("cleartext")[0].encrypt(CLAIMS, **{**LIMITS, "moments": 1})
    with pytest.raises(InputError, match=match):
        frame.groupby(REGION).agg(statistics)


def test_more_rows_than_terms():
    frame = pair("cleartext")[0].encrypt(CLAIMS, **{**LIMITS, "terms": 3})
    frame.groupby([0, 0, 0, 1, 1, 1]).agg(ALL)
    with pytest.raises(InputError, match="more than the declared terms, 3"):
        frame.groupby([0, 0, 0, 0, 1, 1]).agg(ALL)


@pytest.mark.parametrize(
    ("frame", "changes", "match"),
    [
        (CLAIMS.assign(cost=[1, 2, None, 4, 5, 6]), {}, "row 2, column cost is missing"),
        (CLAIMS.assign(cost=pd.array([1, None, 3, 4, 5, 6], dtype="Int64")), {}, "row 1, column cost is missing"),
        (CLAIMS.assign(claims=[0, 3, 1, 10, 0, 9]), {}, "row 3, column claims is beyond the declared bound"),
        (CLAIMS.assign(claims=0.5), {}, "row 0, column claims is no whole number"),
        (CLAIMS.assign(cost="x"), {}, "cost holds no numbers|column cost is missing or no number"),
        (CLAIMS, {"bound": {"claims": 9}}, "bound as a mapping names every column"),
        (CLAIMS, {"decimals": dict.fromkeys([*CLAIMS, "x"], 0)}, "decimals as a mapping names every column"),
        (CLAIMS, {"decimals": 19}, "decimals of column claims"),
        (CLAIMS, {"bound": -1}, "bound of column claims"),
        (CLAIMS, {"moments": 3}, "moments must be"),
        (CLAIMS[[]], {}, "all of them different texts"),
        (CLAIMS.set_axis([1, 2, 3], axis=1), {}, "all of them different texts"),
        (CLAIMS.set_axis(["a", "a", "b"], axis=1), {}, "all of them different texts"),
    ],
)
def test_frames_that_are_refused(frame, changes, match):
    with pytest.raises(InputError, match=match):
        pair("cleartext")[0].encrypt(frame, **{**LIMITS, **changes})


def test_a_negative_count_is_noticed():
    public, private = pair("cleartext")
    result = public.encrypt(CLAIMS, **LIMITS).groupby(REGION).agg(ALL)
    forged = EncryptedGroups(result.index, result.statistics, result.moments, result._columns, -result._table)
    with pytest.raises(PeerError, match="group 0 counts fewer rows than none"):
        private.decrypt(forged)


def test_printing_shows_what_is_declared():
    public, _ = pair("cleartext")
    frame = public.encrypt(CLAIMS[["cost"]], decimals=2, bound=200, terms=100)
    described = "columns=('cost': decimals=2 bound=200), terms=100)"
    assert repr(frame) == f"EncryptedFrame(cleartext, rows=6, {described}"
    assert repr(frame.groupby(REGION)) == f"FrameGroups({frame!r}, groups=3)"
    result = frame.groupby(REGION).agg(["sum"])
    assert repr(result) == f"EncryptedGroups(cleartext, groups=3, statistics=['sum'], {described}"
    assert (len(frame), frame.columns, len(result)) == (6, ("cost",), 3)


def test_mistakes_with_names_are_named():
    public, _ = pair("cleartext")
    for limits, match in (
        ({"bound": {"cost": 5}}, "it lacks 'claims'"),
        ({"decimals": {**dict.fromkeys(CLAIMS.columns, 0), "claim": 2}}, "it has 'claim'"),
    ):
        with pytest.raises(InputError, match=match):
            public.encrypt(CLAIMS, **{**LIMITS, **limits})
    frame = public.encrypt(CLAIMS, **LIMITS)
    with pytest.raises(InputError, match="no name of a column"):
        frame.groupby("region")
    with pytest.raises(InputError, match="takes a list"):
        frame.groupby(REGION).agg(lambda column: column.sum())
