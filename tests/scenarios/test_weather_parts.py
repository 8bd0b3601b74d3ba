"""Grid cells, daily records, indices, products, burn analysis and basis risk: plain twins, properties, bad input."""

from __future__ import annotations

import datetime as dt
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fusion.errors import InputError, PolicyError
from fusion.scenarios.weather.allowance import Allowance
from fusion.scenarios.weather.basis import Sums, basis
from fusion.scenarios.weather.burn import burn
from fusion.scenarios.weather.grid import Grid
from fusion.scenarios.weather.indices import Index
from fusion.scenarios.weather.products import (
    ANHUI_RICE_DROUGHT,
    ANHUI_RICE_HEAT,
    GUANGZHOU_RAIN,
    YICHANG_FROST,
    Layer,
    Steps,
    fit_layer,
    thousandths,
)
from fusion.scenarios.weather.record import Record

CHINA = Grid(3.0, 73.0, 54.0, 136.0, 0.1)


# ---- cells


def test_a_cell_has_its_south_and_west_edge_and_not_the_others() -> None:
    assert CHINA.shape == (510, 630)
    assert CHINA.cells([3.0, 3.0999, 3.1], [73.0, 73.0999, 73.0], crs="WGS-84").tolist() == [0, 0, 630]
    assert CHINA.cells([53.99], [135.99], crs="EPSG:4326").tolist() == [510 * 630 - 1]
    for latitude, longitude in ((54.0, 100.0), (30.0, 136.0)):
        with pytest.raises(InputError, match="row 0 lies outside"):
            CHINA.cells([latitude], [longitude], crs="WGS-84")


@pytest.mark.parametrize("step", [0.05, 0.0625, 0.1, 0.25])
def test_every_edge_falls_into_the_cell_it_opens_where_floats_would_not(step: float) -> None:
    grid = Grid(0.0, 0.0, 50.0, 50.0, step)
    edges = np.arange(grid.shape[0])
    typed = np.array([float(f"{edge * step:.4f}") for edge in edges])
    assert (grid.cells(typed, np.zeros(len(typed)), crs="WGS-84") == edges * grid.shape[1]).all()
    if step == 0.1:
        assert (np.floor(typed / step) != edges).any(), "the trap is real"


@given(st.integers(0, 10**7 * 51 - 1), st.integers(0, 10**7 * 63 - 1), st.sampled_from([0.05, 0.0625, 0.1, 0.25]))
def test_cells_agree_with_exact_fractions(north: int, east: int, step: float) -> None:
    grid = Grid(3.0, 73.0, 54.0, 136.0, step)
    latitude, longitude = 3 + north / 10**7, 73 + east / 10**7
    exact = Fraction(str(step))
    row = (Fraction(round(latitude * 10**7), 10**7) - 3) // exact
    column = (Fraction(round(longitude * 10**7), 10**7) - 73) // exact
    (cell,) = grid.cells([latitude], [longitude], crs="WGS-84").tolist()
    assert cell == row * grid.shape[1] + column
    assert grid.cells(*grid.centres([cell]), crs="WGS-84").tolist() == [cell]


def test_shifted_coordinates_are_never_taken_for_others() -> None:
    for crs in ("GCJ-02", "BD-09"):
        with pytest.raises(InputError, match="hundreds of metres"):
            CHINA.cells([30.0], [110.0], crs=crs)
    with pytest.raises(InputError, match="coordinate system is one of"):
        CHINA.cells([30.0], [110.0], crs="EPSG:3857")
    assert CHINA.cells([30.0], [110.0], crs="CGCS2000") == CHINA.cells([30.0], [110.0], crs="WGS-84")


def test_places_that_cannot_be_gridded_are_named_by_row_and_never_by_value() -> None:
    with pytest.raises(InputError, match="row 1 has no coordinates"):
        CHINA.cells([30.0, np.nan], [110.0, 110.0], crs="WGS-84")
    with pytest.raises(InputError, match="look swapped") as caught:
        CHINA.cells([110.0], [30.5678], crs="WGS-84")
    assert "30.5" not in str(caught.value)
    with pytest.raises(InputError, match="one length"):
        CHINA.cells([30.0, 31.0], [110.0], crs="WGS-84")
    with pytest.raises(InputError, match="numbered"):
        CHINA.centres([510 * 630])


@pytest.mark.parametrize(
    "edges",
    [(0, 0, 1, 1, 0.3), (1, 0, 0, 1, 0.1), (0, 0, 91, 1, 1), (0, 0, 1, 1, 0), (0, 0, 1, 1, 1e-9), (0, 0, np.nan, 1, 1)],
)
def test_a_grid_that_does_not_close_is_refused(edges: tuple[float, ...]) -> None:
    with pytest.raises(InputError):
        Grid(*edges)


def test_distances_are_those_of_the_sphere() -> None:
    world = Grid(-90.0, -180.0, 90.0, 180.0, 1.0)
    a, b, c = world.cells([0.5, 0.5, 60.5], [0.5, 90.5, 0.5], crs="WGS-84")
    quarter = np.pi / 2 * 6371.0088
    assert world.distances(int(a), [a, b, c]) == pytest.approx([0, quarter, 60 / 90 * quarter], rel=1e-3)


# ---- records


def record(values: dict[str, list[float]], first: str = "2001-01-01", day_ends: str = "20:00 UTC+8") -> Record:
    days = len(next(iter(values.values())))
    dates = np.datetime64(first) + np.arange(days)
    return Record.build(dates, np.zeros(days, int), values, cells=1, day_ends=day_ends)


def test_rows_in_any_order_become_consecutive_days() -> None:
    dates = np.array(["2001-03-03", "2001-03-01", "2001-03-02"], "datetime64[ns]")
    built = Record.build(dates, np.array([1, 0, 1]), {"rain": [3.0, 1.25, 2.0]}, cells=2, day_ends="x")
    missing = np.iinfo(np.int32).min
    assert built.element("rain").tolist() == [[125, missing], [missing, 200], [missing, 300]]
    with pytest.raises(InputError, match="no tmax, only rain"):
        built.element("tmax")


@pytest.mark.parametrize(
    ("columns", "match"),
    [
        ({"tmax": [295.15]}, "tmax in row 0 is impossible in degrees Celsius"),  # kelvin
        ({"tmax": [95.0]}, "convert the unit"),  # Fahrenheit
        ({"rain": [-999.0]}, "empty instead of a code"),
        ({"rain": [32766.0]}, "empty instead of a code"),
        ({"rain": [np.inf]}, "impossible"),
        ({"rain": ["wet"]}, "no column of numbers"),
        ({"tmin": [20.0], "tmax": [10.0]}, "above its tmax"),
        ({"wind": [3.0]}, "elements are"),
        ({"rain": [1.0, 2.0]}, "one value for each"),
    ],
)
def test_values_that_no_place_has_are_refused(columns: dict[str, list[object]], match: str) -> None:
    with pytest.raises(InputError, match=match) as caught:
        Record.build(np.array(["2001-01-01"], "datetime64[D]"), [0], columns, cells=1, day_ends="x")
    assert not any(str(value) in str(caught.value) for column in columns.values() for value in column if value != 2.0)


def test_days_are_dates_that_stand_once() -> None:
    day = np.array(["2001-01-01", "2001-01-01"], "datetime64[D]")
    with pytest.raises(InputError, match="twice"):
        Record.build(day, [0, 0], {"rain": [0, 0]}, cells=1, day_ends="x")
    with pytest.raises(InputError, match="has a day"):
        Record.build(np.array(["NaT"], "datetime64[D]"), [0], {"rain": [0]}, cells=1, day_ends="x")
    with pytest.raises(InputError, match="are dates"):
        Record.build(["yesterday"], [0], {"rain": [0]}, cells=1, day_ends="x")
    with pytest.raises(InputError, match="number of its cell"):
        Record.build(day[:1], [1], {"rain": [0]}, cells=1, day_ends="x")


def test_a_neighbour_fills_gaps_but_not_its_own() -> None:
    dates = np.repeat(np.datetime64("2001-01-01") + np.arange(3), 2)
    rain = [1.0, np.nan, np.nan, 7.0, np.nan, np.nan]
    built = Record.build(dates, [0, 1] * 3, {"rain": rain}, cells=2, day_ends="x")
    missing = np.iinfo(np.int32).min
    assert built.filled([1, -1]).element("rain").tolist() == [[100, missing], [700, 700], [missing, missing]]
    with pytest.raises(InputError, match="substitutes"):
        built.filled([2, 0])


# ---- indices


def plain(values: list[float], index: Index) -> float:
    """The index of one window by loops, as the definition reads."""
    hundredths = [round(value * 100) for value in values]
    if index.operator == "sum":
        return sum(hundredths) / 100
    if index.operator == "mean":
        return sum(hundredths) / len(hundredths) / 100
    if index.operator in ("max", "min"):
        return {"max": max, "min": min}[index.operator](hundredths) / 100
    runs: list[list[int]] = [[]]
    for value in hundredths:
        if value >= round(index.threshold * 100):
            runs[-1].append(value - round(index.threshold * 100))
        elif runs[-1]:
            runs.append([])
    counted = [day for run in runs if len(run) >= index.run for day in run]
    return float(len(counted)) if index.operator == "days" else sum(counted) / 100


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(3300, 3700), min_size=500, max_size=900),
    st.sampled_from(["sum", "mean", "max", "min", "days", "excess"]),
    st.sampled_from([((7, 21), (8, 15)), ((12, 1), (2, 28)), ((2, 10), (3, 10)), ((6, 6), (6, 6))]),
    st.integers(1, 4),
)
def test_an_index_is_what_loops_over_dates_give(
    hundredths: list[int], operator: str, window: tuple[tuple[int, int], tuple[int, int]], run: int
) -> None:
    values = [h / 100 for h in hundredths]
    index = Index("tmax", *window, operator, threshold=35.0, run=run)
    first = dt.date(2003, 5, 5)  # 2004 is a leap year
    by_day = {first + dt.timedelta(days=i): value for i, value in enumerate(values)}
    wanted = {}
    for year in range(2003, 2008):
        start = dt.date(year - (window[0] > window[1]), *window[0])
        days = [start + dt.timedelta(days=i) for i in range((dt.date(year, *window[1]) - start).days + 1)]
        if all(day in by_day for day in days):
            wanted[year] = plain([by_day[day] for day in days], index)
    seasons = index.seasons(record({"tmax": values}, first="2003-05-05"))
    assert dict(zip(seasons.years.tolist(), seasons.values[:, 0].tolist(), strict=True)) == wanted


def test_cells_are_computed_alike_however_many_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    days, cells = 800, 7
    panel = np.random.default_rng(1).integers(0, 5000, (days, cells)).astype(np.int32)
    whole = Record(np.datetime64("2001-01-01"), {"rain": panel}, "x")
    index = Index("rain", (5, 1), (8, 31), "excess", threshold=20.0, run=2)
    together = index.seasons(whole).values
    monkeypatch.setattr("fusion.scenarios.weather.indices._BLOCK", 300)
    assert (index.seasons(whole).values == together).all()
    for cell in range(cells):
        alone = Record(whole.first, {"rain": panel[:, [cell]]}, "x")
        assert (index.seasons(alone).values[:, 0] == together[:, cell]).all()


def test_missing_days_within_a_season_are_an_error_and_outside_a_record_none() -> None:
    rain = np.full(3 * 365, 1.0)
    rain[500] = np.nan  # 16 May 2002
    index = Index("rain", (5, 1), (8, 31), "sum")
    with pytest.raises(InputError, match="rain of cell 0 lacks 1 days of the season 2002"):
        index.seasons(record({"rain": rain.tolist()}))
    rain[:501] = np.nan
    assert index.seasons(record({"rain": rain.tolist()})).years.tolist() == [2003]
    rain[:] = np.nan
    assert len(index.seasons(record({"rain": rain.tolist()})).years) == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ("wind", (5, 1), (8, 31), "sum"),
        ("rain", (5, 1), (8, 31), "median"),
        ("rain", (2, 29), (8, 31), "sum"),
        ("rain", (5, 32), (8, 31), "sum"),
        ("rain", (5, 1), (8, 31), "days", 0.001),
        ("rain", (5, 1), (8, 31), "days", 1.0, 0),
    ],
)
def test_an_index_that_means_nothing_is_refused(arguments: tuple[object, ...]) -> None:
    with pytest.raises(InputError):
        Index(*arguments)  # type: ignore[arg-type]


# ---- products


def test_the_days_of_product_and_record_end_alike_or_nothing_is_computed() -> None:
    one = record({"tmax": [30.0] * 400}, day_ends="24:00 local time")
    with pytest.raises(InputError, match="20:00 UTC"):
        ANHUI_RICE_HEAT.seasons(one)
    with pytest.raises(InputError, match="computed elsewhere"):
        YICHANG_FROST.seasons(one)


def test_yichang_pays_as_its_source_says() -> None:
    # 10.3969/j.issn.1674-9944.2022.14.057: 11 <= f < 16 pays 20 %, to 21 50 %, to 26 70 %, from there 90 %
    f = [0, 10.99, 11, 15.99, 16, 20.99, 21, 25.99, 26, 100]
    assert YICHANG_FROST.schedule.share(f).tolist() == [0, 0, 0.2, 0.2, 0.5, 0.5, 0.7, 0.7, 0.9, 0.9]


def test_guangzhou_counts_days_of_a_hundred_millimetres() -> None:
    rain = np.zeros(365)
    rain[[10, 200]] = 99.99, 100.0
    seasons = GUANGZHOU_RAIN.seasons(record({"rain": rain.tolist()}))
    assert (seasons.years.tolist(), seasons.values.tolist()) == ([2001], [[1.0]])
    assert GUANGZHOU_RAIN.schedule.share([0.0, 1.0, 2.0]).tolist() == [0.0, 1.0, 1.0]


def test_changfeng_pays_1_2_yuan_a_millimetre_up_to_150() -> None:
    # so 36 of 150 yuan at 200 mm, all of it at 105 mm
    assert (ANHUI_RICE_DROUGHT.schedule.share([300, 230, 200, 105, 0]) * 150).round(9).tolist() == [0, 0, 36, 150, 150]


def test_a_heat_wave_by_hand() -> None:
    tmax = np.full(365, 30.0)
    day = {name: (dt.date(2001, *name) - dt.date(2001, 1, 1)).days for name in ((7, 19), (7, 30), (8, 14))}
    tmax[day[7, 19] : day[7, 19] + 5] = 38.0  # 19 to 23 July: three days of it from the 21st
    tmax[day[7, 30] : day[7, 30] + 2] = 40.0  # two days are no run
    tmax[day[8, 14] : day[8, 14] + 3] = 36.0  # 14 to 16 August: two days in the window
    assert ANHUI_RICE_HEAT.seasons(record({"tmax": tmax.tolist()})).values.tolist() == [[9.0]]
    assert ANHUI_RICE_HEAT.schedule.share([9.99, 10, 20, 35, 40]).tolist() == [0, 0.2, 0.4, 0.7, 1.0]


@given(st.floats(-500, 500), st.floats(-100, 100), st.floats(0.01, 100))
def test_a_layer_is_linear_between_trigger_and_exit_either_way(index: float, trigger: float, width: float) -> None:
    for direction in (1, -1):
        share = float(Layer(trigger, trigger + direction * width).share(index))
        assert share == pytest.approx(min(max(direction * (index - trigger) / width, 0), 1), abs=1e-9)


def test_schedules_that_mean_nothing_are_refused() -> None:
    for least, shares in (((1.0, 1.0), (0.1, 0.2)), ((1.0,), (1.1,)), ((), ()), ((1.0,), (0.1, 0.2))):
        with pytest.raises(InputError):
            Steps(least, shares)
    for ends in ((1.0, 1.0), (np.nan, 1.0)):
        with pytest.raises(InputError):
            Layer(*ends)


def test_a_layer_is_fitted_to_each_cell_and_needs_years() -> None:
    index = np.column_stack([np.arange(21.0), np.arange(21.0) * 10])
    layer = fit_layer(index)
    assert layer.trigger == pytest.approx([4, 40])
    assert layer.exit == pytest.approx([1, 10])
    index[0, 1] = np.nan
    index[1, 1] = np.nan
    with pytest.raises(InputError, match="cell 1 has 19 seasons where 20 are needed"):
        fit_layer(index)
    with pytest.raises(InputError, match="a trigger and another exit"):
        fit_layer(np.zeros((30, 1)))


def test_shares_become_whole_thousandths() -> None:
    assert thousandths(np.array([0.0, 0.0005, 0.0015, 0.9996, 1.0])).tolist() == [0, 0, 2, 1000, 1000]
    with pytest.raises(InputError, match="no index in one of the seasons"):
        thousandths(np.array([np.nan]))


# ---- burn analysis


def test_burn_analysis_by_hand() -> None:
    payouts = np.zeros((20, 2))
    payouts[[3, 7], 0] = 50.0, 100.0
    payouts[:, 1] = 10.0
    table = burn(payouts, [100.0, 100.0], names=["a", "b"])
    assert table.loc["a", ["years", "burn rate", "paid in", "worst year"]].tolist() == [20, 0.075, 0.1, 1.0]
    assert table.loc["a", "std deviation"] == pytest.approx(np.std(payouts[:, 0] / 100, ddof=1))
    assert table.loc["a", "1 in 20 years"] == pytest.approx(0.525)  # a twentieth above: between 19th and 20th of 20
    assert table.loc["b"].tolist() == [20, pytest.approx(0.1), pytest.approx(0), 1, 0.1, 0.1, 0.1, 0.1]


def test_burn_analysis_refuses_what_a_record_cannot_show() -> None:
    with pytest.raises(InputError, match="cell 0 has 19 seasons"):
        burn(np.zeros((19, 1)), names=["a"])
    with pytest.raises(InputError, match="no rarer ones"):
        burn(np.zeros((20, 1)), names=["a"], periods=[50])
    with pytest.raises(InputError, match="positive"):
        burn(np.zeros((20, 1)), 0.0, names=["a"])
    with pytest.raises(InputError, match="a column for each name"):
        burn(np.zeros((20, 2)), names=["a"])


# ---- basis risk


@settings(max_examples=50, deadline=None)
@given(st.integers(2, 40), st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_basis_risk_from_sums_is_numpys(years: int, places: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    paid, lost = (random.integers(-800, 1001, (years, places)).clip(0) for _ in range(2))
    table = basis(Sums.of(paid, lost), [str(i) for i in range(places)])
    for i in range(places):
        x, y = paid[:, i] / 1000, lost[:, i] / 1000
        row = table.iloc[i]
        assert row["rmse"] == pytest.approx(np.sqrt(np.mean((x - y) ** 2)))
        if x.std() > 0 and y.std() > 0:
            assert row["correlation"] == pytest.approx(np.corrcoef(x, y)[0, 1])
        if (y > 0).any():
            assert row["false negatives"] == pytest.approx(np.mean(x[y > 0] == 0))
        else:
            assert np.isnan(row["false negatives"])
        if (y == 0).any():
            assert row["false positives"] == pytest.approx(np.mean(x[y == 0] > 0))


def test_basis_risk_takes_thousandths_only() -> None:
    for wrong in (np.array([[0.5]]), np.array([[1001]]), np.array([[-1]]), np.array([1])):
        with pytest.raises(InputError, match="whole thousandths"):
            Sums.of(wrong, np.array([[1]]))
    with pytest.raises(InputError, match="a row for each year"):
        Sums.of(np.array([[1]]), np.array([[1], [2]]))


# ---- allowance


def test_an_allowance_ends_and_survives_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "allowance.json"
    allowance = Allowance(2, path)
    allowance.take("insurer", ["2001", "2002"])
    allowance.take("insurer", ["2001"])
    with pytest.raises(PolicyError, match="more than its 2 totals of 2001"):
        allowance.take("insurer", ["2002", "2001"])
    again = Allowance(2, path)
    again.take("insurer", ["2002"])  # the refused one was not counted
    again.take("other", ["2001"])
    with pytest.raises(PolicyError):
        Allowance(2, path).take("insurer", ["2002"])


def test_a_query_that_asks_twice_in_one_go_counts_twice() -> None:
    with pytest.raises(PolicyError):
        Allowance(1).take("insurer", ["2001", "2001"])


@pytest.mark.parametrize("content", ["", "[]", '{"insurer": {"2001": -1}}', '{"insurer": {"2001": "one"}}'])
def test_a_spoilt_count_is_no_fresh_start(tmp_path: Path, content: str) -> None:
    path = tmp_path / "allowance.json"
    path.write_text(content, "utf-8")
    with pytest.raises(InputError, match="restore it"):
        Allowance(1, path)
