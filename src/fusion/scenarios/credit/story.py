"""The report: what a risk modeller looks at first, and what the three lenders found together."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from fusion.report import Chart, Figure, Figures, Section, Table, charts
from fusion.scenarios.credit.exposures import ALL, MIN_GROUP
from fusion.scenarios.credit.judging import ACCEPT, OTHER, SCALE
from fusion.scenarios.outcome import Outcome

__all__ = ["sections", "summary"]

_JOINT, _ALONE = "joint score", "bank alone"
_LIFT = "lift of the riskiest tenth"
_POINTS = {"points": "+.1f"}
_TITLES = {"bad_rate": "bad rate", "ks": "KS"}


def summary(outcomes: Mapping[str, Outcome]) -> str:
    """What was found, in a few sentences."""
    found = outcomes["bank"].figures
    auc = found[f"AUC, {_JOINT}"]
    before, after = _bad_rates(found)
    owed = found["owed to all lenders, DM"] / found["owed to this lender, DM"]
    return (
        f"With what the finance company knows, the score's AUC rises from {found[f'AUC, {_ALONE}']:.3f} to {auc:.3f}, "
        f"and of the {ACCEPT:.0%} of applicants who are accepted, {after:.1%} turn bad instead of {before:.1%}. "
        f"Customers of all three lenders owe {owed:.1f} times what the bank sees. "
        "No lender has seen a column of another."
    )


def sections(outcomes: Mapping[str, Outcome]) -> list[Section]:
    """The scenario's own part of the report."""
    bank, finance = outcomes["bank"], outcomes["finance_company"]
    return [_separation(bank), _decisions(bank), _points(bank, finance), _exposures(bank)]


def _separation(bank: Outcome) -> Section:
    found, tables = bank.figures, bank.tables
    headlines = []
    for name, style, words in (("AUC", ".3f", "AUC"), ("KS", ".3f", "KS"), ("lift of a tenth", ".2f", _LIFT)):
        joint, alone = (format(found[f"{name}, {score}"], style) for score in (_JOINT, _ALONE))
        headlines.append(Figure(words, joint, f"bank alone {alone}"))
    stability = found["stability, joint score"]
    word = "stable" if stability < 0.1 else "to be watched" if stability < 0.25 else "shifted"
    headlines.append(Figure("population stability", f"{stability:.3f}", f"{word}; below 0.1 is stable"))
    words = (
        f"The model was fitted on {found['customers to build on']:,.0f} customers of both lenders. All "
        f"figures are of {found['customers to judge by']:,.0f} others. These are few: the gain in AUC is "
        f"{found['AUC gained']:.3f} with a standard error of {found['standard error of that']:.3f}. Bad is a loan that "
        "was not paid back as agreed."
    )
    curves = {_JOINT: tables["curve"], _ALONE: tables["curve, bank alone"]}
    roc = charts.lines(
        "ROC curve",
        {name: pd.Series(curve["bad"].to_numpy(), index=curve["good"].to_numpy()) for name, curve in curves.items()},
        x="share of the good rejected",
        y="share of the bad rejected",
        caption="The further above the diagonal, the better.",
        diagonal=True,
        write_x=_percent,
        write_y=_percent,
    )
    lift = charts.bars(
        "Lift by tenth of the customers",
        pd.DataFrame({_JOINT: tables["bands"]["lift"], _ALONE: tables["bands, bank alone"]["lift"]}),
        x="tenth, the riskiest first",
        y="bad rate, times that of all",
        reference=1.0,
        caption="A good score begins high and falls steadily.",
    )
    calibration = charts.lines(
        "Calibration of the joint score",
        {"fifths of the customers": tables["calibration"].set_index("predicted")["actual"]},
        x="predicted bad rate",
        y="actual bad rate",
        caption="Each mark is about a fifth of the customers. On the diagonal, predictions are right.",
        diagonal=True,
        marks=True,
        write_x=_percent,
        write_y=_percent,
    )
    table = Table(
        "KS table of the joint score",
        tables["bands"].rename(columns=_TITLES),
        "Tenths of the customers, the riskiest first. Caught is the share of all bad loans down to that band; KS is "
        "that share less the same of good loans, and largest where the score separates best.",
        {"bad rate": ".1%", "lift": ".2f", "caught": ".1%", "KS": ".3f"},
    )
    gap = _gap(tables["curve"], found[f"KS, {_JOINT}"])
    return Section(
        "How well the score tells good from bad", [words, Figures(headlines), roc, gap, lift, calibration, table]
    )


def _gap(curve: pd.DataFrame, ks: float) -> Chart:
    """Both distributions over points, which is where KS is seen."""
    shown = curve[np.isfinite(curve["score"])]
    points = SCALE.points(shown["score"])
    at = points[int((shown["bad"] - shown["good"]).abs().to_numpy().argmax())]
    return charts.lines(
        "Share of customers up to each score",
        {name: pd.Series(shown[name].to_numpy(), index=points) for name in ("bad", "good")},
        x="points",
        y="share with as many points or fewer",
        caption=f"KS, {ks:.3f}, is the widest gap between the two. It is at {at:.0f} points.",
        write_x=lambda value: f"{value:.0f}",
        write_y=_percent,
    )


def _decisions(bank: Outcome) -> Section:
    swaps = bank.tables["swap set"]
    before, after = _bad_rates(bank.figures)
    figures = [Figure("bad rate of the accepted", f"{after:.1%}", f"bank alone {before:.1%}")]
    for name in ("swapped in", "swapped out"):
        rows, bad = (int(swaps[column][name]) for column in ("rows", "bad"))
        figures.append(Figure(name, f"{rows:,}", f"{bad:,} of them bad"))
    words = (
        f"Either score accepts the best {ACCEPT:.0%}. The swap set are the customers whom the two scores treat "
        "differently: it pays to change the score when those swapped in turn bad less often than those swapped out."
    )
    table = Table(
        "Swap set, joint score against the bank alone", swaps.rename(columns=_TITLES), formats={"bad rate": ".1%"}
    )
    return Section("Whom the bank now decides differently", [words, Figures(figures), table])


def _points(bank: Outcome, finance: Outcome) -> Section:
    found, tables = bank.figures, bank.tables
    words = (
        f"Points are {SCALE.base_points:.0f} at {SCALE.base_odds:.0f} good customers to a bad one, and {SCALE.pdo:.0f} "
        f"more whenever these odds double. The best {ACCEPT:.0%} of applicants have "
        f"{found['points needed']:.0f} points or more. A customer's points are those of the average customer plus what "
        "each column adds or takes away."
    )
    spread = charts.bars(
        "Points of good and bad customers",
        tables["distribution of points"].rename(index=str),
        x="points, from",
        y="customers",
        caption="The two would not overlap if the score were perfect.",
    )
    reasons = charts.bars(
        "Main reason of rejection",
        tables["main reasons"],
        x=f"column; “{OTHER}”: all columns of the finance company",
        y="rejected customers",
        caption="The column that costs most points against the average customer.",
    )
    privacy = (
        f"The bank sees what each of its own columns adds, and one number, “{OTHER}”, for all columns of the finance "
        "company. Which of them make up that number only the finance company can say. It sees neither points nor "
        "outcomes, nor the bank's part."
    )
    rejected = Table(
        "Five rejected customers as the bank sees them",
        tables["rejected customers"],
        formats={"points": ".0f", "own part": "+.0f", OTHER: "+.0f"},
    )
    cards = [
        Table("Score card of the bank", tables["points by class"], formats=_POINTS, collapsed=True),
        Table(
            "Score card of the finance company (it alone holds this)",
            finance.tables["points by class"],
            formats=_POINTS,
            collapsed=True,
        ),
    ]
    return Section("Points and reasons", [words, spread, reasons, privacy, rejected, *cards])


def _exposures(bank: Outcome) -> Section:
    found, owed = bank.figures, bank.tables["what shared customers owe"]
    words = (
        f"{found['customers of all three']:,.0f} people are customers of all three lenders, who by now know this of "
        "each of them. What they owe is added up under masks, by district and decade of birth: each lender puts in its "
        "own sums and sees those of all three together. A cell of fewer than "
        f"{MIN_GROUP} people is never added up: each lender leaves it out of what it sends."
    )
    own, total = found["owed to this lender, DM"], found["owed to all lenders, DM"]
    figures = [
        Figure("owed to all three", f"{total / 1e6:.2f} m DM"),
        Figure("owed to the bank", f"{own / 1e6:.2f} m DM", f"{own / total:.0%} of it"),
        Figure("customers in the sums", f"{found['customers in them']:,.0f}", f"in {found['cells shown']:.0f} cells"),
    ]
    by_district = owed.groupby("district")[["people", "outstanding", ALL]].sum()
    sums = pd.DataFrame({"the bank": by_district["outstanding"], "all three": by_district[ALL]}, dtype=float)
    mean = charts.bars(
        "Owed by a shared customer, on average",
        sums.div(by_district["people"], axis=0),
        x="district",
        y="DM",
        caption="A bank that looks at its own book sees the shorter bars.",
        write=_whole,
    )
    cells = owed.assign(mean=owed[ALL] / owed["people"]).pivot(index="district", columns="born", values="mean")
    heat = charts.heat(
        "Owed to all three by a shared customer, DM",
        cells,
        x="born",
        caption=f"Empty: fewer than {MIN_GROUP} people, so nothing was computed.",
        write=_whole,
    )
    return Section(
        "What shared customers owe", [words, Figures(figures), mean, heat, Table("The sums", owed, collapsed=True)]
    )


def _bad_rates(found: Mapping[str, float]) -> tuple[float, float]:
    """Of the accepted: by the bank alone, and by the joint score."""
    return found[f"bad rate accepted, {_ALONE}"], found[f"bad rate accepted, {_JOINT}"]


def _percent(value: float) -> str:
    return f"{value:.0%}"


def _whole(value: float) -> str:
    return f"{value:,.0f}"
