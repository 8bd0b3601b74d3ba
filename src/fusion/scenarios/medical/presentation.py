"""The report of the medical-insurance scenario."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from fusion.report import Chart, Figure, Figures, Part, Report, Section, Table, charts
from fusion.scenarios.medical.models import MODELS, Model
from fusion.scenarios.outcome import Outcome

__all__ = ["present"]

_BOTH, _ALONE = "both sides' columns", "insurer alone"

_MEANINGS = {
    "coins": "coinsurance, percent",
    "idp": "individual deductible",
    "lpi": "log incentive payment",
    "fmde": "log maximum expenditure",
    "income": "income, dollars a year",
    "age": "age, years",
    "sex[male]": "male",
    "sex[female]": "female",
    "physlm": "physical limitation",
    "disea": "chronic diseases, index",
    "hlthg": "health good",
    "hlthf": "health fair",
    "hlthp": "health poor",
    "mhi": "mental health, index",
}


def present(outcomes: Mapping[str, Outcome], *, title: str, kicker: str, source: str) -> Report:
    """Show figures, relativities, and how well models with and without the hospital's columns predict."""
    figures = outcomes["insurer"].figures
    visits = [figures[f"visits: D2{who}"] for who in ("", ", insurer alone")]
    summary = (
        f"{figures['members']:,.0f} people are known to both. With the hospital's columns the insurer explains "
        f"{visits[0]:.1%} of the deviance of visits instead of {visits[1]:.1%}, and neither side saw a column of the "
        "other's."
    )
    sections = [_members(figures), *(_model(model, outcomes) for model in MODELS)]
    return Report(title, sections, kicker=kicker, summary=summary, source=source)


def _members(figures: Mapping[str, float]) -> Section:
    fitted = figures["members to fit on"]
    shown = [
        Figure("people known to both", f"{figures['members']:,.0f}"),
        Figure("to fit on", f"{fitted:,.0f}"),
        Figure("to judge by", f"{figures['members'] - fitted:,.0f}", "not fitted on"),
    ]
    words = (
        "The two sides found the people they share by private set intersection. Each now knows who of its own people "
        "is also known to the other side: a plain alignment tells that, so it needs the consent of these people, or "
        "another basis in law, before it runs. Of everybody else each side learned only how many there are."
    )
    note = "This page shows what both sides hold next to each other, as only a demonstration can."
    return Section("Who is known to both", [Figures(shown), words, note])


def _model(model: Model, outcomes: Mapping[str, Outcome]) -> Section:
    """What one model says, and how good it is."""
    name, insurer = model.label, outcomes["insurer"]
    power = f" of power {model.power:g}" if model.power else ""
    words = (
        f"A {model.family.capitalize()} regression{power} with log link, the years insured as exposure. It is the fit "
        "of the pooled columns; nothing is approximated. Each side holds the coefficients of its own columns."
    )
    if model.family == "poisson":
        dispersion = insurer.figures[f"{name}: dispersion, insurer alone"]
        words += (
            f" Visits scatter more than a Poisson variable does, by a factor of {dispersion:.1f} in the variance under "
            "the insurer's own model. It weighs every row by one over that, which gives both sides the errors of a "
            "quasi-Poisson model."
        )
    relativities = {party: outcomes[party].tables[f"{name}: relativities"] for party in outcomes}
    judged = f"How well it predicts the people that it was not fitted on, beside a model of the {_ALONE}:"
    parts: list[Part] = [words, _forest(name, relativities), judged, Figures(_figures(name, insurer.figures))]
    parts += _quality(model, insurer.tables)
    for party, table in relativities.items():
        parts.append(Table(f"Relativities of the {party}'s columns", _named(table), formats=_FORMATS, collapsed=True))
        units = outcomes[party].tables[f"{name}: coefficients"].drop(columns="relativity")
        parts.append(Table(f"Coefficients of the {party}'s columns, per unit", units, collapsed=True))
    return Section({"visits": "How often: visits to a physician", "claims": "How much: claims"}[name], parts)


_FORMATS = {"relativity": ".3f", "lower": ".3f", "upper": ".3f", "std err": ".4f", "p": ".4f"}


def _figures(name: str, figures: Mapping[str, float]) -> list[Figure]:
    alone = {what: figures[f"{name}: {what}, insurer alone"] for what in ("D2", "Gini")}
    both = {what: figures[f"{name}: {what}"] for what in ("D2", "Gini")}
    error = f"plus {both['D2'] - alone['D2']:.3f} ± {figures[f'{name}: its error']:.3f}, one standard error"
    return [
        Figure(f"D2, {_ALONE}", f"{alone['D2']:.3f}", "of the deviance explained"),
        Figure(f"D2, {_BOTH}", f"{both['D2']:.3f}", error),
        Figure(f"Gini, {_ALONE}", f"{alone['Gini']:.3f}", "of the ordered Lorenz curve"),
        Figure(f"Gini, {_BOTH}", f"{both['Gini']:.3f}", f"plus {both['Gini'] - alone['Gini']:.3f}"),
    ]


def _named(table: pd.DataFrame) -> pd.DataFrame:
    return table.rename(index=lambda name: _MEANINGS.get(name, name))


def _forest(name: str, relativities: Mapping[str, pd.DataFrame]) -> Chart:
    return charts.intervals(
        f"Relativities of {name}",
        {f"{party}'s columns": _named(table) for party, table in relativities.items()},
        x="relativity, with its 95% interval",
        caption="Of one standard deviation more, or of yes against no; right of 1 means more.",
        reference=1.0,
        log=True,
    )


def _quality(model: Model, tables: Mapping[str, pd.DataFrame]) -> list[Chart]:
    """On people that were not fitted on."""
    name = model.label
    bands = {who: tables[f"{name}: bands{key}"] for who, key in ((_BOTH, ""), (_ALONE, ", insurer alone"))}
    curves = {who: tables[f"{name}: Lorenz curve{key}"] for who, key in ((_BOTH, ""), (_ALONE, ", insurer alone"))}
    lift = pd.DataFrame({who: _over_mean(table) for who, table in bands.items()})
    double = tables[f"{name}: double lift"]
    rates = double[["actual", "first", "second"]].div(double["exposure"], axis=0)
    return [
        charts.bars(
            "Lift",
            lift,
            x="tenth of the people's years, lowest predicted first",
            y=f"{name} over their mean",
            reference=1.0,
            caption="The steeper, the better the model tells people apart.",
        ),
        charts.actual_expected(
            "Actual and expected",
            bands[_BOTH],
            y=model.unit,
            caption="Bars that follow the line: the model is right at every level, not only on average.",
        ),
        charts.lorenz(
            "Lorenz curve",
            curves,
            y=name,
            caption="The further below the diagonal, the better people are put in order.",
        ),
        charts.bars(
            "Double lift",
            rates[["actual"]],
            x="fifth of the people's years, by the ratio of the two predictions",
            y=model.unit,
            over=rates[["second", "first"]].rename(columns={"second": _BOTH, "first": _ALONE}),
            caption="The hospital's columns lower the prediction most on the left, and raise it most on the right. "
            "The line that follows the bars is right.",
        ),
    ]


def _over_mean(bands: pd.DataFrame) -> pd.Series:
    rate: pd.Series = bands["actual"] / bands["exposure"]
    return rate / (bands["actual"].sum() / bands["exposure"].sum())
