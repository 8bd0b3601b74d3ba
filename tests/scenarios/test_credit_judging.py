"""What the bank sees in a score, against loops over customers."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import sklearn.metrics as peer

from fusion.scenarios.credit import judging
from fusion.scenarios.credit.judging import OTHER, SCALE, Scores
from fusion.scenarios.outcome import Outcome


def scores(n=400, seed=1) -> Scores:
    random = np.random.default_rng(seed)
    own = pd.DataFrame(random.normal(0, 15, (n, 3)), columns=["account", "months", "age"])
    other = random.normal(0, 15, n)
    average = 530.0
    joint = SCALE.probability(average + own.sum(axis=1).to_numpy() + other)
    alone = SCALE.probability(average + own.sum(axis=1).to_numpy())
    bad = (random.random(n) < joint).astype(float)
    return Scores(bad, random.random(n) < 0.7, joint, alone, own, average)


@pytest.fixture
def judged() -> tuple[Scores, Outcome]:
    found, outcome = scores(), Outcome()
    judging.judge(found, outcome)
    return found, outcome


def test_figures_are_of_the_customers_that_the_score_was_not_built_on(judged):
    found, outcome = judged
    test = ~found.building
    figures = outcome.figures
    assert figures["customers to build on"] == found.building.sum()
    assert figures["customers to judge by"] == test.sum()
    for name, score in (("joint score", found.joint), ("bank alone", found.alone)):
        assert figures[f"AUC, {name}"] == pytest.approx(peer.roc_auc_score(found.bad[test], score[test]))
        false, true, _ = peer.roc_curve(found.bad[test], score[test])
        assert figures[f"KS, {name}"] == pytest.approx((true - false).max())
    assert all(map(math.isfinite, figures.values()))


def test_bad_rates_of_the_accepted_are_those_of_a_plain_loop(judged):
    found, outcome = judged
    test = ~found.building
    for name, score in (("joint score", found.joint[test]), ("bank alone", found.alone[test])):
        best = np.argsort(score)[: round(0.7 * len(score))]
        assert outcome.figures[f"bad rate accepted, {name}"] == pytest.approx(found.bad[test][best].mean())


def test_as_many_have_the_points_needed_as_are_accepted(judged):
    found, outcome = judged
    points = SCALE.points(found.joint[~found.building])
    accepted = (points >= outcome.figures["points needed"]).sum()
    swaps = outcome.tables["swap set"]["rows"]
    assert accepted == round(0.7 * len(points)) == swaps["accepted by both"] + swaps["swapped in"]
    assert outcome.tables["main reasons"]["rejected customers"].sum() == len(points) - accepted


def test_the_distribution_holds_every_customer_once(judged):
    found, outcome = judged
    table = outcome.tables["distribution of points"]
    test = ~found.building
    assert table["bad"].sum() == found.bad[test].sum()
    assert table.to_numpy().sum() == test.sum()
    assert (np.diff(table.index) == 20).all()


def test_points_of_an_example_are_its_parts(judged):
    found, outcome = judged
    sheet = outcome.tables["rejected customers"]
    assert len(sheet) == 5
    assert sheet["points"].to_numpy() == pytest.approx(
        found.average + sheet["own part"].to_numpy() + sheet[OTHER].to_numpy(), abs=0.16
    )
    assert (sheet["points"] < outcome.figures["points needed"]).all()
    assert sheet["points"].is_monotonic_increasing


def test_outcomes_survive_the_way_between_processes(judged, tmp_path):
    _, outcome = judged
    outcome.write(tmp_path / "outcome")
    back = Outcome.read(tmp_path / "outcome")
    assert back.figures == outcome.figures
    for name, table in outcome.tables.items():
        pd.testing.assert_frame_equal(back.tables[name], table, check_dtype=False)
