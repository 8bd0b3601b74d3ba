"""Reports: what was computed and what each party learned, as one self-contained HTML file.

A `Report` is data: sections of text, `Figures`, `Table` and `Chart`. `charts` draws from tables and series and needs
nothing else; `render` and `write` make the page and need the extra ``report``.
"""

from __future__ import annotations

from fusion.report import charts
from fusion.report.content import Chart, Figure, Figures, Part, Report, Section, Table
from fusion.report.page import render, require, write
from fusion.report.receipts import Step, learned, receipts, taught, traffic

__all__ = [
    "Chart",
    "Figure",
    "Figures",
    "Part",
    "Report",
    "Section",
    "Step",
    "Table",
    "charts",
    "learned",
    "receipts",
    "render",
    "require",
    "taught",
    "traffic",
    "write",
]
