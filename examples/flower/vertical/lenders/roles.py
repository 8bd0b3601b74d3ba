"""What the two lenders do together. A role sees its own rows; what it returns goes to the server."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

import fusion
from fusion.channel import Channel
from fusion.learning import VerticalGLM
from fusion.learning.metrics import auc


def match(peer: Channel, parameters: Mapping[str, Any], node: Mapping[str, Any]) -> dict[str, Any]:
    """Find the applicants that both know, and keep our rows of them, in the order that both have."""
    table = pd.read_csv(node["data"])
    rows = fusion.psi.intersect(peer, table, on={"applicant": "text"})
    rows.to_parquet(matched(node))
    return {"rows": len(rows)}


def model(peer: Channel, parameters: Mapping[str, Any], node: Mapping[str, Any]) -> dict[str, Any]:
    """Fit the risk of default to the columns of both; each keeps the coefficients of its own columns."""
    rows = pd.read_parquet(matched(node)).drop(columns="applicant")
    labels = rows.pop("default") if "default" in rows else None
    glm = VerticalGLM("poisson", ridge=1e-3)  # of a yes or no: the coefficients are logarithms of relative risks
    glm.fit(peer, rows, labels)
    score = glm.predict(peer, rows)
    glm.coefficients.to_csv(Path(node["data"]).with_name("coefficients.csv"))
    return {} if labels is None else {"AUC": round(float(auc(labels, score)), 4), "rows": len(rows)}


def matched(node: Mapping[str, Any]) -> Path:
    """Where the rows of shared applicants are kept between the two."""
    return Path(node["data"]).with_name("matched.parquet")
