"""The report: what a risk modeller looks at first, and what the three lenders found together."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from fusion.report import Chart, Figure, Figures, Section, Table, charts
from fusion.scenarios._credit.exposures import ALL, MIN_GROUP
from fusion.scenarios._credit.judging import ACCEPT, OTHER, SCALE
from fusion.scenarios.outcome import Outcome

__all__ = ["sections", "summary"]

_JOINT, _ALONE = "joint score", "bank alone"


def summary(outcomes: Mapping[str, Outcome]) -> str:
    """What was found, in two sentences."""
    found = outcomes["bank"].figures
    gain = found[f"AUC, {_JOINT}"] - found[f"AUC, {_ALONE}"]
    return (
        f"With what the finance company knows, the score's AUC rises by {gain:.3f} to {found[f'AUC, {_JOINT}']:.3f}, and "
        f"of the {ACCEPT:.0%} of applicants that are accepted {_percent(found[f'bad rate of the accepted, {_JOINT}'])} "
        f"turn bad instead of {_percent(found[f'bad rate of the accepted, {_ALONE}'])}. The customers of all three "
        f"lenders owe {found['owed to all lenders, DM'] / found['owed to this lender, DM']:.1f} times what the bank "
        "sees. No lender has seen a row of another."
    )


def sections(outcomes: Mapping[str, Outcome]) -> list[Section]:
    """The scenario's own part of the report."""
    bank, finance = outcomes["bank"], outcomes["finance_company"]
    return [_separation(bank), _decisions(bank), _points(bank, finance), _exposures(bank)]


def _separation(bank: Outcome) -> Section:
    found, tables = bank.figures, bank.tables
    headlines = []
    for name, style in (("AUC", ".3f"), ("KS", ".3f"), ("lift of the riskiest tenth", ".2f")):
        joint, alone = found[f"{name}, {_JOINT}"], found[f"{name}, {_ALONE}"]
        headlines.append(Figure(name, format(joint, style), f"bank alone {alone:{style}}"))
    stability = found["stability of the joint score"]
    word = "stable" if stability < 0.1 else "to be watched" if stability < 0.25 else "shifted"
    headlines.append(Figure("population stability", f"{stability:.3f}", f"{word}; below 0.1 is stable"))
    words = (
        f"The model was fitted on {found['customers the score is built on']:,.0f} customers of both lenders. All figures "
        f"are of {found['customers who judge it']:,.0f} others, so that the next sample of this size may differ by "
        "some hundredths of AUC. Bad is a loan that was not paid back as agreed."
    )
    curves = {_JOINT: tables["curve"], _ALONE: tables["curve, bank alone"]}
    return Section(
        "How well the score tells good from bad",
        [
            words,
            Figures(headlines),
            charts.lines(
                "ROC curve",
                {name: pd.Series(c["bad"].to_numpy(), index=c["good"].to_numpy()) for name, c in curves.items()},
                x="share of the good rejected",
                y="share of the bad rejected",
                caption="The further above the diagonal, the better. A cut-off is a point of the curve.",
                diagonal=True,
                write_x=_percent,
                write_y=_percent,
            ),
            _gap(tables["curve"], found[f"KS, {_JOINT}"]),
            _lift(tables["bands"], tables["bands, bank alone"]),
            charts.lines(
                "Calibration of the joint score",
                {"fifths of the customers": tables["calibration"].set_index("predicted")["actual"]},
                x="predicted bad rate",
                y="actual bad rate",
                caption="Each mark is about a fifth of the customers. On the diagonal, predictions are right on average.",
                diagonal=True,
                marks=True,
                write_x=_percent,
                write_y=_percent,
            ),
            Table(
                "KS table of the joint score",
                tables["bands"],
                "Tenths of the customers, the riskiest first. Caught is the share of all bad loans down to that band; KS "
                "is that share less the same of good loans, and largest where the score separates best.",
                {"bad_rate": ".1%", "lift": ".2f", "caught": ".1%", "ks": ".3f"},
            ),
        ],
    )


def _gap(curve: pd.DataFrame, ks: float) -> Chart:
    """Both distributions over points, which is where KS is seen."""
    shown = curve[np.isfinite(curve["score"])]
    points = SCALE.points(shown["score"])
    series = {
        "bad": pd.Series(shown["bad"].to_numpy(), index=points),
        "good": pd.Series(shown["good"].to_numpy(), index=points),
    }
    at = points[int((shown["bad"] - shown["good"]).abs().to_numpy().argmax())]
    return charts.lines(
        "Share of customers up to each score",
        series,
        x="points",
        y="share with as many points or fewer",
        caption=f"KS, {ks:.3f}, is the widest gap between the two. It is at {at:.0f} points.",
        write_x=lambda value: f"{value:.0f}",
        write_y=_percent,
    )


def _lift(joint: pd.DataFrame, alone: pd.DataFrame) -> Chart:
    bands = pd.DataFrame({_JOINT: joint["lift"], _ALONE: alone["lift"]})
    return charts.bars(
        "Lift by tenth of the customers",
        bands,
        x="tenth, the riskiest first",
        y="bad rate, times that of all",
        reference=1.0,
        caption="A good score begins high and falls steadily.",
    )


def _decisions(bank: Outcome) -> Section:
    found, tables = bank.figures, bank.tables
    swaps = tables["swap set"]
    before, after = (found[f"bad rate of the accepted, {name}"] for name in (_ALONE, _JOINT))
    figures = Figures(
        [
            Figure("bad rate of the accepted", _percent(after), f"bank alone {_percent(before)}"),
            Figure(
                "swapped in", f"{swaps.loc['swapped in', 'rows']:,}", f"{swaps.loc['swapped in', 'bad']} of them bad"
            ),
            Figure(
                "swapped out", f"{swaps.loc['swapped out', 'rows']:,}", f"{swaps.loc['swapped out', 'bad']} of them bad"
            ),
        ]
    )
    words = (
        f"Either score accepts the best {ACCEPT:.0%}. The swap set are the customers whom the two scores treat "
        "differently: it pays to change the score when those swapped in turn bad less often than those swapped out."
    )
    table = Table("Swap set, joint score against the bank alone", swaps, formats={"bad_rate": ".1%"})
    return Section("Whom the bank now decides differently", [words, figures, table])


def _points(bank: Outcome, finance: Outcome) -> Section:
    found, tables = bank.figures, bank.tables
    words = (
        f"Points are {SCALE.base_points:.0f} at {SCALE.base_odds:.0f} good customers to a bad one, and {SCALE.pdo:.0f} "
        f"more whenever these odds double. {ACCEPT:.0%} of applicants have {found['points needed']:.0f} points or more. "
        "A customer's points are those of the average customer plus what each column adds or takes away."
    )
    privacy = (
        f"The bank sees what each of its own columns adds, and one number for all columns of the finance company, "
        f"“{OTHER}”. What makes up that number only the finance company can say. "
        "It does not see points, outcomes or the bank's part."
    )
    spread = tables["distribution of points"]
    return Section(
        "Points and reasons",
        [
            words,
            charts.bars(
                "Points of good and bad customers",
                spread.rename(index=lambda low: f"{low}"),
                x="points, from",
                y="customers",
                caption="The two would not overlap if the score were perfect.",
            ),
            charts.bars(
                "Main reason of rejection",
                tables["main reasons"],
                x="",
                y="rejected customers",
                caption="The column that costs most points against the average customer.",
            ),
            privacy,
            Table(
                "Five rejected customers as the bank sees them",
                tables["rejected customers"],
                formats={name: "+.0f" for name in ("own part", OTHER)} | {"points": ".0f"},
            ),
            Table("Score card of the bank", tables["points by class"], formats={"points": "+.1f"}, collapsed=True),
            Table(
                "Score card of the finance company (it alone holds this)",
                finance.tables["points by class"],
                formats={"points": "+.1f"},
                collapsed=True,
            ),
        ],
    )


def _exposures(bank: Outcome) -> Section:
    owed = bank.tables["what shared customers owe"]
    found = bank.figures
    words = (
        f"{found['customers of all three']:,.0f} people are customers of all three lenders, who know this of each of "
        "them by now. What they owe is added up under masks, by district and decade of birth: each lender puts in its own "
        "sums and sees the sums of all three, and what another lender is owed stays with that lender. Cells of fewer than "
        f"{MIN_GROUP} people are never added up: each lender leaves them out of what it sends."
    )
    figures = Figures(
        [
            Figure("owed to all three", f"{found['owed to all lenders, DM'] / 1e6:.2f} m DM"),
            Figure(
                "of this, to the bank", _percent(found["owed to this lender, DM"] / found["owed to all lenders, DM"])
            ),
            Figure(
                "customers in the sums", f"{found['customers in them']:,.0f}", f"in {found['cells shown']:.0f} cells"
            ),
        ]
    )
    by_district = owed.groupby("district")[["people", "outstanding", ALL]].sum()
    a_head = pd.DataFrame(
        {"the bank": by_district["outstanding"], "all three lenders": by_district[ALL]}, dtype=float
    ).div(by_district["people"], axis=0)
    table = owed.pivot(index="district", columns="born", values=ALL) / owed.pivot(
        index="district", columns="born", values="people"
    )
    return Section(
        "What shared customers owe",
        [
            words,
            figures,
            charts.bars(
                "Owed by a customer, on average",
                a_head,
                x="district",
                y="DM a customer",
                caption="What a bank that looks at its own book alone does not see.",
                write=lambda value: f"{value:,.0f}",
            ),
            charts.heat(
                "Owed to all three by a customer, DM",
                table,
                x="born",
                caption=f"Empty: fewer than {MIN_GROUP} shared customers, so nothing was computed.",
                write=lambda value: f"{value:,.0f}",
            ),
            Table("The sums", owed, formats={"outstanding": ",.0f", ALL: ",.0f"}, collapsed=True),
        ],
    )


def _percent(value: float) -> str:
    return f"{value:.1%}" if abs(value) < 0.3 and value not in (0.0, 0.2) else f"{value:.0%}"
