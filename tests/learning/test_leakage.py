"""`leakage` says what is received, all of it and nothing else; the page on learning says it in the same words."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

import fusion
from fusion.channel import Channel
from fusion.learning import VerticalGLM, VerticalLogistic, inner_products

from .clear import ClearAnswering, ClearAsking
from .parties import FEATURE, LABEL, Joined

PAGE = (Path(__file__).parents[2] / "docs" / "learning.md").read_text("utf-8")
ROLES = {LABEL: "label", FEATURE: "feature"}
A, B = 5, 2  # columns of the feature party and of the label party; rows that `Joined.draw` makes
ROWS, EPOCHS = 700, 4

# what carries a message, whatever it is for
CARRIERS = {
    *("send_numbers", "receive_numbers", "swap_numbers", "swap", "receive", "_exchange", "_swap", "_receive"),
    *("_both_ways", "shown", "_blocks"),
}
PRODUCTS = {"ClearAsking", "ClearAnswering", "Asking", "Answering"}
# why something is received, by the function that asks for it: words of `leakage`, or None if it says nothing
GLM = {
    LABEL: {
        "check_alignment": None,  # equal hashes, or the fit fails
        "swap_counts": "how many columns and rows",
        "gram": "the correlations",
        "_constants": "for means and labels apart",
        "_evaluate": "the gradient",
        "_weighted": "times the weighted labels",
        "fisher": "the Fisher matrix",
    },
    FEATURE: {
        "check_alignment": None,
        "swap_counts": "how many columns and rows",
        "serve": "in every round",
        "_answer": "standard errors",
    },
}
MASKED = dict.fromkeys(("__init__", "check_alignment", "rows", "columns", "slots", "divide"))  # keys; uniform modulo t
LOGISTIC = {
    LABEL: {
        **MASKED,
        "swap_counts": "how many columns and rows",
        "_agreed": "where the other side's checkpoint stands",
        "loss": "the mean loss on the rows held out",
        "open": "its own coefficients",
        "_check_reach": "the largest part of a linear predictor",
    },
    FEATURE: {
        **MASKED,
        "swap_counts": "how many columns and rows",
        "_agreed": "where the other side's checkpoint stands",
        "_decided": "how many epochs were run, and which the model is of",
        "open": "its own coefficients",
        "_check_reach": "the largest part of a linear predictor",
    },
}


def purpose() -> str:
    """The function that asked for what is being received."""
    frame = sys._getframe(2)
    while frame.f_code.co_name in CARRIERS or frame.f_code.co_qualname.split(".")[0] in PRODUCTS:
        frame = frame.f_back
    return frame.f_code.co_name


@pytest.fixture
def received(monkeypatch):
    """Numbers that each party receives, by purpose; of products what they are, not what the clear twin sends."""
    found = {LABEL: Counter(), FEATURE: Counter()}
    original = Channel.exchange

    def exchange(self, outgoing, widths):
        why = purpose()

        def arriving():
            for chunk in original(self, outgoing, widths):
                found[self.name][why] += chunk.rows.size / 8
                yield chunk

        return arriving()

    monkeypatch.setattr(Channel, "exchange", exchange)
    return found


class Asking(ClearAsking):
    """Counts the products that the label party learns instead of the vectors that it is sent in the clear."""

    found: Counter

    def columns(self, ours, theirs):
        return self.counted(super().columns, ours, theirs)

    def row(self, ours):
        return self.counted(super().row, ours)

    def counted(self, product, *arguments):
        why = purpose()
        before = self.found.copy()
        values = product(*arguments)
        self.found.clear()
        self.found.update(before)
        self.found[why] += values.size
        return values


def learned(model, joined):
    out = fusion.simulate(
        **{
            LABEL: lambda peer: (model().fit(peer, joined.label, joined.y, **joined.extra), peer.receipt()),
            FEATURE: lambda peer: (model().fit(peer, joined.feature), peer.receipt()),
        }
    )
    for name, (fitted, receipt) in out.items():
        said = fitted.leakage()
        assert set(said) == {"label", "feature"}
        # the receipt of both says it of both, and sizes are those of the fit
        assert receipt.learned == {party: said[role] for party, role in ROLES.items()}
        assert receipt.sizes == {LABEL: ROWS, FEATURE: ROWS}
        assert fitted.facts["rows"] == ROWS
        # sizes stand in receipt and facts: sentences hold none that could be of another fit
        assert not any(character.isdigit() for lines in said.values() for line in lines for character in line), name
    return out[LABEL][0]


def check(said, table, received):
    """Everything received is for something that is said, and everything said is of something received."""
    for party, role in ROLES.items():
        lines, expected = said[role], table[party]
        assert set(received[party]) <= set(expected)
        used = {expected[why] for why, size in received[party].items() if size and expected[why]}
        for words in used:
            assert sum(words in line for line in lines) == 1, (party, words)
        for line in lines:
            derived = DERIVED.get(next((words for words in DERIVED if words in line), ""), ())
            assert any(words in line for words in used) or set(derived) & set(received[party]), (party, line)


# computed from something else that is received: what is said, and what it comes with
DERIVED = {
    "all coefficients and standard errors": ("fisher", "_weighted"),
    "whether the other side's part of a linear predictor is out of range": ("_evaluate",),
    "the power of two next to its norm": ("gram",),
}


@pytest.mark.parametrize("family", ["gaussian", "poisson", "gamma", "tweedie"])
def test_a_generalised_linear_model(received, monkeypatch, family):
    Asking.found = received[LABEL]
    monkeypatch.setattr(inner_products, "Asking", Asking)
    monkeypatch.setattr(inner_products, "Answering", ClearAnswering)
    power = 1.5 if family == "tweedie" else None
    label = learned(lambda: VerticalGLM(family, power=power), Joined.draw(family, ROWS, power=power))
    table = GLM
    if family == "gaussian":  # asks without rounds: the coefficients beside what to do next are 0
        table = {**GLM, FEATURE: {**GLM[FEATURE], "serve": None}}
    check(label.leakage(), table, received)
    ours, pairs = B + 1, A * (A + 1) // 2
    got, theirs = received[LABEL], received[FEATURE]
    assert got["swap_counts"] == theirs["swap_counts"] == 1
    assert got["gram"] == pairs + A * B
    assert theirs["_answer"] == 2 * A
    if family == "gaussian":
        assert got["_weighted"] == pairs + A + A * ours
        assert theirs["serve"] == 3 * (1 + A)  # what to do next, and coefficients of 0
        return
    rounds = label.facts["rounds"]
    sums = A + ours + (2 if family == "tweedie" else 1)
    assert got["_evaluate"] == rounds * (1 + sums)
    assert got["_constants"] == (0 if family == "tweedie" else A)
    assert got["fisher"] == pairs + ours * (ours + 1) // 2 + A * ours + 1
    assert theirs["serve"] == (rounds + 3 + (family != "tweedie")) * (1 + A)


def test_a_logistic_model(received):
    joined = Joined.draw("poisson", ROWS)
    joined.y, joined.extra = (joined.y > np.median(joined.y)).astype(float), {}
    label = learned(lambda: VerticalLogistic(validation=0.2, epochs=EPOCHS, patience=9), joined)
    check(label.leakage(), LOGISTIC, received)
    got, theirs = received[LABEL], received[FEATURE]
    assert got["open"] == B + 1
    assert theirs["open"] == A
    assert got["loss"] == EPOCHS
    assert theirs["_decided"] == EPOCHS + 1  # whether to stop after each, and which the model is of
    for one in (got, theirs):
        assert (one["swap_counts"], one["_agreed"], one["_check_reach"]) == (1, 3, 1)


def test_under_encryption_the_label_party_receives_norms_besides(received):
    """Two bytes for each vector of the other side's, which the clear twin does not send; and keys."""
    learned(VerticalGLM, Joined.draw("poisson", ROWS))
    norms = "the power of two next to its norm"
    assert sum(norms in line for line in VerticalGLM().leakage()["label"]) == 1
    assert not any(norms in line for line in VerticalGLM().leakage()["feature"])
    for party, table in GLM.items():
        assert set(received[party]) <= {*table, "__init__"}


@pytest.mark.parametrize("model", [VerticalGLM(), VerticalLogistic(validation=0.2)], ids=lambda model: model._NAME)
def test_the_page_says_the_same(model):
    """In the cell of the table on who learns what, word for word."""
    for role, sentences in model.leakage().items():
        rows = [line for line in PAGE.splitlines() if line.startswith(f"| the {role} party | {sentences[0]}")]
        assert len(rows) == 1
        assert rows[0].split(" | ")[1] == "; ".join(sentences)
