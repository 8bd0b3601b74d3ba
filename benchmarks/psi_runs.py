"""One run of an intersection, ours or a peer's: tables, processes, and whether the result is right."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import csv, parquet

from benchmarks import BenchmarkError
from benchmarks.children import Child, Report, free_ports, run_together
from benchmarks.link import Link, between
from benchmarks.pair import RECEIVER, SENDER, run_pair

__all__ = ["FILES", "PARTIES", "Run", "Setting", "openmined", "ours", "secretflow"]

PARTIES = (RECEIVER, SENDER)
FILES = ("csv", "parquet")
Run = Callable[[], Mapping[str, Report]]
_ON = "id"
_SECONDS_PER_ROW = 0.003  # ten times what the slowest of all needs


@dataclass(frozen=True, slots=True)
class Setting:
    """What all runs of one size have in common.

    Attributes
    ----------
    folder : Path
        Holds the tables and takes the results.
    n, shared : int
        Rows of each party, and how many of them both have.
    link : Link, optional
        What lies between the parties; None is the loopback interface.
    files : str
        Of `FILES`: what tables and results are.
    """

    folder: Path
    n: int
    shared: int
    link: Link | None
    files: str = "csv"

    @classmethod
    def create(cls, folder: Path, n: int, link: Link | None, files: str = "csv") -> Setting:
        """Write a file of 18-digit ids for each party, in random order."""
        setting = cls(folder, n, n - n // 2, link, files)
        for rank, party in enumerate(PARTIES):
            numbers = np.arange(n, dtype=np.int64) + rank * (n // 2)
            np.random.default_rng(rank).shuffle(numbers)
            ids = np.char.zfill((numbers * 7919 + 100_000_000_000_000_003).astype("U18"), 18)
            table = pa.table({_ON: ids})
            if files == "csv":
                csv.write_csv(table, setting.table(party), csv.WriteOptions(quoting_style="none"))
            else:
                parquet.write_table(table, setting.table(party))
        return setting

    def table(self, party: str) -> Path:
        """The rows of a party."""
        return self.folder / f"{party}.{self.files}"

    def out(self, party: str) -> Path:
        """Where the result of a party goes."""
        return self.folder / f"{party}-result.{self.files}"

    def result(self, party: str) -> pa.Table:
        """What the party wrote, as text."""
        if self.files == "parquet":
            return parquet.read_table(self.out(party))
        types = csv.ConvertOptions(column_types={_ON: pa.string()})
        return csv.read_csv(self.out(party), convert_options=types)

    @property
    def seconds(self) -> float:
        """Who is not done after this hangs."""
        return 120 + _SECONDS_PER_ROW * self.n


def ours(setting: Setting, protocol: str, learn: str) -> dict[str, Report]:
    """Fusion: two processes with TLS between them."""
    jobs = {
        party: {
            "table": str(setting.table(party)),
            "out": str(setting.out(party)),
            "on": _ON,
            "learn": "both" if learn == "both" else RECEIVER,
            "protocol": protocol,
        }
        for party in PARTIES
    }
    reports = run_pair("benchmarks.psi_party", setting.folder, jobs, seconds=setting.seconds, link=setting.link)
    _check_results("fusion", setting, reports, learn)
    return reports


def secretflow(setting: Setting, python: Path, protocol: str, learn: str) -> dict[str, Report]:
    """SecretFlow: two processes, each listening for the other, without TLS."""
    listening = free_ports(2)
    with between(setting.link, listening) as dialled:
        children = {
            party: Child(
                "benchmarks.peers.secretflow_psi",
                {
                    "rank": rank,
                    "ports": [listening[i] if i == rank else dialled[i] for i in range(2)],
                    "table": str(setting.table(party)),
                    "out": str(setting.out(party)),
                    "on": _ON,
                    "both": learn == "both",
                    "protocol": protocol,
                },
                python,
            )
            for rank, party in enumerate(PARTIES)
        }
        reports = run_together(children, seconds=setting.seconds)
    _check_results("secretflow", setting, reports, learn)
    return reports


def openmined(setting: Setting, python: Path) -> dict[str, Report]:
    """OpenMined: client and server in one process, without network and files; the client learns."""
    job = {"client": str(setting.table(RECEIVER)), "server": str(setting.table(SENDER))}
    reports = run_together({"both": Child("benchmarks.peers.openmined_psi", job, python)}, seconds=setting.seconds)
    _check_rows("openmined", reports["both"].details["rows"], setting.shared)
    return reports


def _check_results(who: str, setting: Setting, reports: Mapping[str, Report], learn: str) -> None:
    learners = PARTIES if learn == "both" else (RECEIVER,)
    for party in learners:
        _check_rows(who, reports[party].details["rows"], setting.shared)
    # with one column each, results that are aligned are the same
    results = [setting.result(party) for party in learners]
    for party in learners:
        setting.out(party).unlink()  # so that the next run cannot be taken for this one
    if any(not result.equals(results[0]) for result in results):
        raise BenchmarkError(f"{who} gave two results that are not aligned")
    if results[0].num_rows != setting.shared:
        raise BenchmarkError(f"{who} wrote a result of another length than it reported")


def _check_rows(who: str, rows: int | None, shared: int) -> None:
    if rows != shared:
        raise BenchmarkError(f"{who} found {rows} shared rows where there are {shared}")
