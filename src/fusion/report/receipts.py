"""Sections made of receipts: who learned what, what it took, and the receipts themselves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import msgspec
import pandas as pd

from fusion.channel.transcript import Receipt
from fusion.report.content import Section, Table

__all__ = ["Step", "learned", "receipts", "taught", "traffic"]


class Step(msgspec.Struct, frozen=True):
    """An operation as one party's receipt has it.

    Attributes
    ----------
    name : str
        What the operation was for, such as ``"find the members"``.
    receipt : Receipt
    """

    name: str
    receipt: Receipt


def taught(party: str, steps: Sequence[Step]) -> list[tuple[str, list[str]]]:
    """What a party learned: names of steps, and sentences. Steps that taught it alike stand together."""
    alike: dict[tuple[str, ...], list[str]] = {}
    for step in steps:
        alike.setdefault(tuple(step.receipt.learned.get(party, [])), []).append(step.name)
    return [(", ".join(dict.fromkeys(names)), list(said)) for said, names in alike.items() if said]


def learned(steps: Mapping[str, Sequence[Step]]) -> Section:
    """What each party learned, in the order in which it did.

    Parameters
    ----------
    steps : mapping of str to sequence of Step
        For each party, its own.
    """
    tables = []
    for party, own in steps.items():
        rows = [(names if i == 0 else "", s) for names, said in taught(party, own) for i, s in enumerate(said)]
        tables.append(Table(party, pd.DataFrame(rows, columns=["step", "what it learned"])))
    words = "Each party's receipts say what it learned beside its own result. What is not listed stayed where it was."
    return Section("Who learned what", [words, *tables])


def traffic(steps: Mapping[str, Sequence[Step]]) -> Section:
    """Sizes, bytes and time of every operation: a line for each party that took part in it."""
    rows = [
        {
            "step": step.name if place == 0 else "",
            "operation": step.receipt.operation if place == 0 else "",
            "party": party,
            "rows": step.receipt.sizes.get(party),
            "bytes sent": step.receipt.bytes_sent,
            "seconds": step.receipt.seconds,
            "CPU seconds": step.receipt.cpu_seconds,
        }
        for runs in _sessions(steps)
        for place, (party, step) in enumerate(runs)
    ]
    columns = ["step", "operation", "party", "rows", "bytes sent", "seconds", "CPU seconds"]
    frame = pd.DataFrame(rows, columns=columns).astype({"rows": "Int64", "bytes sent": "Int64"})
    total = sum(step.receipt.bytes_sent for own in steps.values() for step in own)
    words = f"All parties together sent {total:,} bytes, counted before the encryption of the connection."
    table = Table("", frame, formats={"seconds": ".2f", "CPU seconds": ".2f"})
    return Section("Sizes, bytes and time", [words, table])


def receipts(steps: Mapping[str, Sequence[Step]]) -> Section:
    """Every receipt in full, shown on request."""
    tables = []
    for party, own in steps.items():
        for step in own:
            receipt = step.receipt
            content = {
                "operation": receipt.operation,
                "with": receipt.parties[1],
                "session": receipt.session,
                "transcript": receipt.transcript,
                "wire version": str(receipt.wire),
                "who learns the result": receipt.learn,
                "kinds of key": ", ".join(receipt.kinds),
                **{f"parameter {name}": str(value) for name, value in receipt.parameters.items()},
                **{f"rows of {name}": f"{size:,}" for name, size in receipt.sizes.items()},
                "bytes sent": f"{receipt.bytes_sent:,}",
                "bytes received": f"{receipt.bytes_received:,}",
                "seconds": f"{receipt.seconds:.3f}",
                "CPU seconds": f"{receipt.cpu_seconds:.3f}",
                "began": receipt.started,
                "notes": " ".join(receipt.notes),
            }
            frame = pd.DataFrame({"entry": content.keys(), "value": content.values()})
            tables.append(Table(f"{party}: {step.name}", frame[frame["value"] != ""], collapsed=True))
    words = (
        "A receipt is what a party keeps of an operation. The session and the transcript, a hash of all bytes both "
        "ways, stand in the receipts of both sides; equal ones show that both saw the same."
    )
    return Section("Receipts", [words, *tables])


def _sessions(steps: Mapping[str, Sequence[Step]]) -> Iterator[list[tuple[str, Step]]]:
    """The receipts of one session together, in the order in which sessions first appear."""
    found: dict[str, list[tuple[str, Step]]] = {}
    for party, own in steps.items():
        for step in own:
            found.setdefault(step.receipt.session, []).append((party, step))
    yield from found.values()
