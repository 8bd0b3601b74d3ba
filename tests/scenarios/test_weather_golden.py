"""Figures of real series: the Nanling heat index, burn rates of eight stations, basis risk between them.

They were computed once, independently, from the same files: trigger and exit are the 20th and 5th percentile of each
station's own years by linear interpolation; false negatives are counted of the years with a loss, false positives of
those without.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from fusion.scenarios.weather.basis import Sums, basis
from fusion.scenarios.weather.burn import burn
from fusion.scenarios.weather.files import climate, households
from fusion.scenarios.weather.products import fit_layer, thousandths
from fusion.scenarios.weather.record import Record
from fusion.scenarios.weather_insurance import DAY_ENDS, RAIN_INDEX, RICE_HEAT

BURN_RATES = {
    "champion": 0.155,
    "brussels": 0.118,
    "cambridge": 0.117,
    "norfolk": 0.138,
    "suffolk": 0.148,
    "lincolnshire": 0.129,
    "north_yorks": 0.131,
    "northumberland": 0.131,
}
BRITISH = ("cambridge", "norfolk", "suffolk", "lincolnshire", "north_yorks", "northumberland")

Floats = npt.NDArray[np.float64]


def series(station: str) -> Record:
    days = climate(station)
    columns = {"tmin": days["tmin_c"], "tmax": days["tmax_c"], "rain": days["rain_mm"]}
    return Record.build(days["date"].to_numpy(), np.zeros(len(days), int), columns, cells=1, day_ends=DAY_ENDS)


@pytest.fixture(scope="module")
def payouts() -> dict[str, Floats]:
    shares = {}
    for station in BURN_RATES:
        seasons = RAIN_INDEX.seasons(series(station))
        shares[station] = fit_layer(seasons.values).share(seasons.values)[:, 0]
    return shares


def test_the_nanling_heat_index_on_the_champion_series() -> None:
    seasons = RICE_HEAT.seasons(series("champion"))
    index = pd.Series(seasons.values[:, 0], seasons.years)
    assert (len(index), (index > 0).sum(), (index >= 10).sum()) == (37, 20, 9)
    assert index[index >= 10].to_dict() == {
        1982: 12.82,
        1987: 29.32,
        1995: 21.67,
        1997: 10.68,
        2001: 32.08,
        2002: 14.17,
        2003: 18.26,
        2005: 28.72,
        2012: 42.68,
    }
    paid = RICE_HEAT.schedule.share(index)
    assert (paid > 0).sum() == 9
    assert paid[index.index == 2012] == [1.0]


def test_burn_rates_of_the_rain_layer(payouts: dict[str, Floats]) -> None:
    for station, rate in BURN_RATES.items():
        table = burn(payouts[station][:, None], names=[station])
        assert table.loc[station, "burn rate"] == pytest.approx(rate, abs=0.0005), station
    assert [len(payouts[station]) for station in ("champion", "brussels", "cambridge")] == [37, 30, 31]


def test_british_payouts_correlate_from_045_to_095(payouts: dict[str, Floats]) -> None:
    table = np.corrcoef([payouts[station] for station in BRITISH])
    between = table[np.triu_indices(len(BRITISH), 1)]
    assert (between.min().round(2), between.max().round(2)) == (0.45, 0.95)


@pytest.mark.parametrize(
    ("station", "correlation", "rmse", "false_negatives", "false_positives"),
    [
        ("suffolk", 0.75, 0.226, 0.33, 0.08),
        ("northumberland", 0.72, 0.237, 0.17, 0.04),
        ("lincolnshire", 0.85, 0.166, 0.17, 0.04),
    ],
)
def test_basis_risk_of_the_index_at_cambridge(
    payouts: dict[str, Floats],
    station: str,
    correlation: float,
    rmse: float,
    false_negatives: float,
    false_positives: float,
) -> None:
    paid, lost = (thousandths(payouts[name][:, None]) for name in ("cambridge", station))
    row = basis(Sums.of(paid, lost), [station]).loc[station]
    assert row["correlation"] == pytest.approx(correlation, abs=0.005)
    assert row["rmse"] == pytest.approx(rmse, abs=0.0005)
    assert row["false negatives"] == pytest.approx(false_negatives, abs=0.005)
    assert row["false positives"] == pytest.approx(false_positives, abs=0.005)


def test_a_short_record_has_too_few_seasons() -> None:
    from fusion.errors import InputError

    seasons = RAIN_INDEX.seasons(series("tunis"))
    assert len(seasons.years) >= 20
    with pytest.raises(InputError, match="20 are needed"):
        fit_layer(RAIN_INDEX.seasons(short("hyderabad")).values)


def short(station: str) -> Record:
    """A file of the same package whose columns are called otherwise: read here by position."""
    from fusion.scenarios.weather.files import _inside

    table = pd.read_csv(_inside("aquacrop", "data", f"{station}_climate.txt"), sep=r"\s+")
    dates = pd.to_datetime(table[["Year", "Month", "Day"]])
    rain = table["Precipitation"]
    return Record.build(dates.to_numpy(), np.zeros(len(table), int), {"rain": rain}, cells=1, day_ends=DAY_ENDS)


def test_the_households_are_those_of_the_paper() -> None:
    homes = households()
    assert (len(homes), homes["address"].nunique(), homes["village"].nunique()) == (1410, 166, 44)
    assert homes["takeup_survey"].mean() == pytest.approx(0.464, abs=0.0005)
    assert homes["ricearea_2010"].median() == 10
