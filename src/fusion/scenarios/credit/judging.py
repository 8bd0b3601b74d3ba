"""What the bank sees in a score: how well it tells good from bad, whom it accepts, in points and with reasons.

Everything here is the bank's own work in the clear, from its labels, the probabilities that it was given and its own
half of the model. The cleartext twin does the same with its own probabilities.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from fusion.learning import cutoffs, metrics
from fusion.learning.points import PointScale, reason_codes
from fusion.scenarios.outcome import Outcome

__all__ = ["ACCEPT", "OTHER", "SCALE", "Scores", "judge"]

Floats = npt.NDArray[np.float64]

SCALE = PointScale(pdo=20, base_points=600, base_odds=50)
ACCEPT = 0.70
"""The share of applicants accepted, by either score."""
OTHER = "elsewhere"
"""The reason that stands for all columns of the finance company."""

_CALIBRATION = 5  # bands: more would hold too few of these customers
_BIN = 20  # points, in the picture of their distribution

_EXAMPLES = 5


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """Of the customers that the bank and the finance company share, row by row.

    Attributes
    ----------
    bad : (n,) of 0 and 1
    building : (n,) of bool
        Whom the score was built on; the others judge it.
    joint, alone : (n,) floats
        Probabilities of turning bad: of the joint model, and of one that the bank has built by itself.
    parts : DataFrame of n rows
        Points that each column of the bank adds, against the average customer.
    average : float
        The points of that customer.
    """

    bad: Floats
    building: npt.NDArray[np.bool_]
    joint: Floats
    alone: Floats
    parts: pd.DataFrame
    average: float


def judge(scores: Scores, outcome: Outcome) -> None:
    """Put figures and tables of the customers that the score was not built on into the bank's outcome."""
    judged = ~scores.building
    bad, joint, alone = scores.bad[judged], scores.joint[judged], scores.alone[judged]
    figures = outcome.figures
    figures["customers to build on"] = float(scores.building.sum())
    figures["customers to judge by"] = float(judged.sum())
    for name, score in (("joint score", joint), ("bank alone", alone)):
        figures[f"AUC, {name}"] = metrics.auc(bad, score)
        figures[f"KS, {name}"] = metrics.ks(bad, score)
        figures[f"lift of a tenth, {name}"] = metrics.lift(bad, score, share=0.1)
    figures["AUC gained"], figures["standard error of that"] = cutoffs.auc_gain(bad, alone, joint)
    figures["stability, joint score"] = metrics.population_stability(scores.joint[scores.building], joint)

    swaps = cutoffs.swap_set(bad, alone, joint, accept=ACCEPT)
    outcome.tables["swap set"] = swaps
    for name, others in (("joint score", "swapped in"), ("bank alone", "swapped out")):
        taken = swaps.loc[["accepted by both", others]].sum()
        figures[f"bad rate accepted, {name}"] = float(taken["bad"] / taken["rows"])

    outcome.tables["bands"] = cutoffs.bands(bad, joint)
    outcome.tables["bands, bank alone"] = cutoffs.bands(bad, alone)
    outcome.tables["calibration"] = metrics.calibration(bad, joint, bands=_CALIBRATION)
    outcome.tables["curve"] = cutoffs.roc(bad, joint)
    outcome.tables["curve, bank alone"] = cutoffs.roc(bad, alone)
    _points(scores, outcome)


def _points(scores: Scores, outcome: Outcome) -> None:
    """Points, where they come from, and the reasons of the rejected."""
    judged = ~scores.building
    points = SCALE.points(scores.joint)
    own = scores.parts
    # what the bank's columns do not explain is the finance company's part, which any prediction gives away
    other = points - scores.average - own.sum(axis=1).to_numpy()
    reasons = reason_codes(own.assign(**{OTHER: other}))
    bad = scores.bad[judged]
    outcome.figures["mean points of the good"] = float(points[judged][bad == 0].mean())
    outcome.figures["mean points of the bad"] = float(points[judged][bad == 1].mean())

    low = np.floor(points[judged] / _BIN).astype(np.int64) * _BIN
    counted = pd.DataFrame({"points": low, "good": bad == 0, "bad": bad == 1})
    by_points = counted.groupby("points")[["good", "bad"]].sum()
    every = range(int(low.min()), int(low.max()) + _BIN, _BIN)
    outcome.tables["distribution of points"] = by_points.reindex(pd.Index(every, name="points"), fill_value=0)

    cutoff = np.sort(points[judged])[::-1][max(1, round(ACCEPT * judged.sum())) - 1]
    outcome.figures["points needed"] = float(cutoff)
    rejected = judged & (points < cutoff)
    first = reasons.loc[rejected, "1"].value_counts()
    outcome.tables["main reasons"] = first.rename_axis("main reason").rename("rejected customers").to_frame()

    sheet = pd.DataFrame(
        {
            "points": points.round(1),
            "own part": own.sum(axis=1).to_numpy().round(1),
            OTHER: other.round(1),
            **{f"reason {name}": reasons[name].to_numpy() for name in reasons.columns},
        }
    )
    # some customers across the range of the rejected, as the clerk's screen has them
    lowest = sheet[rejected].sort_values("points").reset_index(drop=True)
    chosen = lowest.iloc[np.linspace(0, len(lowest) - 1, min(_EXAMPLES, len(lowest))).round().astype(int)]
    outcome.tables["rejected customers"] = chosen.set_axis(
        pd.Index([f"customer {i}" for i in range(1, len(chosen) + 1)], name="example")
    )
