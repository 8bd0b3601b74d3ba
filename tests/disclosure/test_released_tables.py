from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from fusion.disclosure import Noise, Release, release
from fusion.errors import InputError

random = np.random.default_rng(11)
ROWS = pd.DataFrame(
    {
        "plan": random.choice(["basic", "plus", "full"], 400, p=[0.6, 0.35, 0.05]),
        "age": pd.Series(random.choice([20, 30, 40, 50], 400)),
        "cost": random.integers(0, 900, 400),
        "share": random.random(400),
    }
)


def grouped(*by):
    return ROWS.groupby(list(by)).agg(count=("cost", "size"), cost=("cost", "sum"), share=("share", "sum"))


def test_one_way():
    table = grouped("age")
    released = release(table, min_group=10)
    assert released.table.index.tolist() == [20, 30, 40, 50, "total"]
    assert released.table.index.name == "age"
    assert released.table["count"].tolist() == [*table["count"], 400]
    assert released.table["cost"].tolist() == [*table["cost"], ROWS["cost"].sum()]
    assert released.table["share"].to_numpy(float) == pytest.approx([*table["share"], ROWS["share"].sum()])
    assert (released.small, released.protecting, released.guarantee) == (0, 0, None)
    assert released.table.dtypes.astype(str).to_dict() == {"count": "Int64", "cost": "Int64", "share": "Float64"}


def test_two_ways_hide_whole_cells_and_say_how_many():
    table = grouped("plan", "age")
    released = release(table, min_group=10)
    out = released.table
    assert len(out) == 4 * 5
    assert out.index.names == ["plan", "age"]
    hidden = out["count"].isna()
    assert (out.isna().all(axis=1) == hidden).all()
    whole = pd.crosstab(ROWS["plan"], ROWS["age"], margins=True, margins_name="total")
    for label, count in out["count"].items():
        if not hidden[label]:
            assert count == whole.loc[label]
            assert count >= 10
    assert released.small == (whole < 10).sum().sum() > 0
    assert released.small + released.protecting == hidden.sum()
    assert hidden.sum() >= 4
    assert "below 10" in str(released)


def test_groups_that_nobody_is_in_are_hidden_like_small_ones():
    table = pd.DataFrame(
        {"n": [40, 50, 60]}, index=pd.MultiIndex.from_tuples([("a", 1), ("a", 2), ("b", 1)], names=["x", "y"])
    )
    released = release(table, count="n", min_group=10)
    assert pd.isna(released.table.loc[("b", 2), "n"])
    assert released.small == 1
    assert released.protecting == 3


def test_the_order_of_a_two_way_table_does_not_travel():
    table = grouped("plan", "age")
    shuffled = table.sample(frac=1, random_state=4)
    pd.testing.assert_frame_equal(release(shuffled).table, release(table).table)


def test_labels_without_people_may_be_given():
    plans = pd.CategoricalIndex(["basic", "plus"], categories=["basic", "plus", "none"], name="plan")
    table = pd.DataFrame({"count": [30, 0]}, index=plans)
    assert release(table).table.index.tolist() == ["basic", "plus", "total"]


def test_noise_is_counted_out_and_judged_noisy(monkeypatch):
    """Every column gets its part of epsilon and its sensitivity; small is what is small after the noise."""
    calls = []

    def traced(values, *, sensitivity, epsilon):
        calls.append((values.copy(), sensitivity, epsilon))
        return values - 25

    monkeypatch.setattr("fusion.disclosure.released.laplace", traced)
    table = pd.DataFrame({"count": [30, 60, 70], "cost": [100, 200, 300], "share": [1.25, 2.5, 3.75]}, index=[1, 2, 3])
    noise = Noise(epsilon=3.0, per_person=2, bounds={"cost": (0, 5), "share": (0, 0.5)}, decimals=1)
    released = release(table, noise=noise)
    assert [(sensitivity, epsilon) for _, sensitivity, epsilon in calls] == [(100, 1.0), (12, 1.0), (2, 1.0)]
    assert calls[0][0].tolist() == [1000, 2000, 3000]
    assert calls[1][0].tolist() == [12, 25, 38]
    assert released.table["count"].tolist() == [pd.NA, pd.NA, 45, 85]
    assert released.table.loc["total", "cost"] == pytest.approx(600 - 7.5)
    assert released.table.loc[3, "share"] == pytest.approx(1.3)
    assert released.guarantee is not None
    assert released.guarantee.epsilon == 3.0
    assert released.guarantee.columns == ("count", "cost", "share")
    assert len(str(released).splitlines()) == 3


def test_noise_really_comes_on():
    # two draws agree in one of the ten counts once in 40, in all of them never
    table = pd.DataFrame({"count": range(1000, 11_000, 1000)}, index=list("abcdefghij"))
    for noise in (Noise(epsilon=0.05, per_person=1), Noise(epsilon=0.5, delta=1e-9, per_person=1)):
        draws = [tuple(release(table, noise=noise).table["count"]) for _ in range(3)]
        assert len(set(draws)) == 3
        assert all(draw[-1] == sum(draw[:-1]) for draw in draws)
        assert all(abs(draw[0] - 1000) < 600 for draw in draws)


def test_noise_may_hide_all_of_a_table():
    table = pd.DataFrame({"count": [0, 0, 0]}, index=list("abc"))
    released = release(table, noise=Noise(epsilon=50.0, per_person=1))
    assert isinstance(released, Release)
    assert released.table["count"].isna().all()


def frame(index, **columns):
    return pd.DataFrame(columns or {"count": range(20, 20 + len(index))}, index=index)


@pytest.mark.parametrize(
    ("table", "says"),
    [
        (frame(pd.MultiIndex.from_tuples([(1, 2, 3)])), "slices"),
        (frame(["a"], n=[30]), "no column 'count'"),
        (frame(["a", "a"]), "twice"),
        (frame(["a", "total"]), "'total'"),
        (frame(["a", None]), "missing"),
        (frame(["a"], count=[30])["count"], "to_frame"),
        (frame(["a"], count=[30], mean=[2.5]), "'mean' does not add up"),
        (pd.concat({"cost": frame(["a"], count=[30])}, axis=1), "one column"),
        (frame(["a"], count=[1.5]), "whole numbers"),
        (frame(["a"], count=[-3]), "none negative"),
        (frame(["a"], count=[30], plan=["x"]), "'plan'"),
        (frame(["a"], count=[30], cost=[np.nan]), "'cost'"),
        (frame(["a"], count=[30], cost=[np.inf]), "'cost'"),
        (frame(["a"], count=[30], cost=[1j]), "'cost'"),
        (frame(["a"], count=[30], ok=[True]), "'ok'"),
        (frame(["a", "b"], count=[30, 30], big=[2**62, 2**62]), "'big' .* 2\\*\\*62"),
    ],
)
def test_tables_that_cannot_be_released(table, says):
    with pytest.raises(InputError, match=says):
        release(table)


def test_noise_on_sums_needs_their_bounds():
    with pytest.raises(InputError, match="'cost' needs the bounds"):
        release(grouped("age"), noise=Noise(epsilon=1.0, bounds={"share": (0, 1)}, per_person=1))
    table = pd.DataFrame({"count": [30], "x": [1e15]}, index=[1])
    with pytest.raises(InputError, match="fewer decimals"):
        release(table, noise=Noise(epsilon=1.0, bounds={"x": (0, 1)}, decimals=4, per_person=1))
