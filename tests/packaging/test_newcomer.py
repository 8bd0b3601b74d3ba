"""A newcomer clones the repository and types what the README says."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")
CONSOLE = re.findall(r"^```console\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
TOML = dict(re.findall(r"^```toml\n# (\w+)\.toml\n(.*?)^```$", README, re.MULTILINE | re.DOTALL))


def block(start: str) -> tuple[list[str], str]:
    """The commands of the console block that starts so, and what it shows below them."""
    (text,) = (each for each in CONSOLE if each.startswith(f"$ {start}"))
    commands = re.findall(r"^\$ ((?:.*\\\n)*.*)\n", text, re.MULTILINE)
    return commands, text.rpartition(commands[-1])[2]


def shape(text: str) -> str:
    """Text with every figure masked, columns as narrow as may be, and no empty lines."""
    masked = re.sub(r"\d[\d,.]*\d|\d", "#", text)
    lines = (re.sub(r"[ -]+", " ", line).strip() for line in masked.splitlines())
    return "\n".join(line for line in lines if line)


def machine() -> dict[str, str]:
    """The environment of somebody who has not got this project: none of the developer's own."""
    ours = str(Path(sys.executable).parent)
    left_out = {"PYTHONPATH", "VIRTUAL_ENV", "MAKEFLAGS", "MAKELEVEL"}  # make speaks of folders when make called it
    kept = {name: value for name, value in os.environ.items() if name not in left_out}
    path = [folder for folder in kept["PATH"].split(os.pathsep) if folder != ours]
    return {**kept, "PATH": os.pathsep.join(path), "COLUMNS": "80"}


def shell(command: str, folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        ["/bin/sh", "-c", command],
        cwd=folder,
        env=machine(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def said(running: subprocess.Popen[str]) -> str:
    output, errors = running.communicate(timeout=800)
    assert running.returncode == 0, f"{running.args}\n{output}\n{errors}"
    return output


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("newcomer") / "fusion"
    subprocess.run(["git", "clone", "--quiet", ROOT, folder], check=True)
    return folder


@pytest.fixture(scope="module")
def shown(clone: Path) -> str:
    """What the first command of the README prints."""
    (command,), _ = block("make demo")
    return said(shell(command, clone))


def test_the_first_command_shows_what_the_readme_shows(shown: str) -> None:
    _, expected = block("make demo")
    rest = shape(shown)
    for part in re.split(r"^\.\.\.\n", expected, flags=re.MULTILINE):
        before, found, rest = rest.partition(shape(part))
        assert found, f"this part of the README is not in what follows it:\n{part}\n{before}"
    assert not rest.strip()


class Page(HTMLParser):
    """The tags of a page, and what of it is text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.words += data


@pytest.mark.usefixtures("shown")
def test_the_second_command_writes_a_report(clone: Path) -> None:
    (command,), _ = block(".venv/bin/fusion demo")
    said(shell(command, clone))
    (name,) = re.findall(r"--report (\S+)", command)
    page = Page((clone / name).read_text("utf-8"))
    assert {"h1", "h2", "svg", "table"} <= set(page.tags)
    assert "cleartext" in page.words


def identity_numbers(count: int) -> np.ndarray:
    """Valid numbers by GB 11643-1999: a district, a day of birth, an order code, a checksum."""
    born = pd.date_range("1950-01-01", periods=count, freq="37D").strftime("%Y%m%d")
    stems = [f"110101{day}{number % 1000:03d}" for number, day in enumerate(born)]
    weights = [2 ** (17 - place) % 11 for place in range(17)]
    checks = [sum(int(digit) * weight for digit, weight in zip(stem, weights, strict=True)) % 11 for stem in stems]
    return np.array([stem + "10X98765432"[check] for stem, check in zip(stems, checks, strict=True)])


@pytest.mark.usefixtures("shown")
def test_two_companies_find_whom_they_share(clone: Path, tmp_path: Path) -> None:
    (activate,) = re.findall(r"`\. (\.venv/bin/activate)`", README)
    entered = f". {clone / activate} && "
    folders = {party: tmp_path / party for party in TOML}
    printed = {}
    commands, _ = block("fusion keygen")
    for command in commands:
        party = command.split()[2]
        folders[party].mkdir()
        (printed[party],) = re.findall("ed25519:[0-9a-f]{64}", said(shell(entered + command, folders[party])))
    assert set(printed) == set(TOML)

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    for party, text in TOML.items():
        (other,) = set(TOML) - {party}
        known = text.replace("ed25519:...", printed[other])
        placed = re.sub(r'(listen|address) = "[^"]*"', rf'\1 = "127.0.0.1:{port}"', known)
        (folders[party] / f"{party}.toml").write_text(placed)

    numbers = identity_numbers(300)
    dates = pd.to_datetime(numbers.astype("U14").astype(object), format="110101%Y%m%d")
    policies = pd.DataFrame({"id_number": numbers, "birth_date": dates.strftime("%Y/%m/%d"), "premium": range(300)})
    patients = pd.DataFrame({"cert_no": numbers, "born": dates.strftime("%Y-%m-%d"), "stays": range(300)})
    policies[:200].to_csv(folders["insurer"] / "policies.csv", index=False)
    patients[120:][::-1].to_parquet(folders["hospital"] / "patients.parquet", index=False)

    both = [text for text in CONSOLE if text.startswith("$ fusion psi intersect")]
    running = []
    for text in both:
        (party,) = re.findall(r"--config (\w+)\.toml", text)
        running.append(shell(entered + text.removeprefix("$ "), folders[party]))
    for each in running:
        said(each)
    ours = pd.read_csv(folders["insurer"] / "matched.csv", dtype=str)
    theirs = pd.read_parquet(folders["hospital"] / "matched.parquet")
    assert len(ours) == 80
    assert ours["id_number"].tolist() == theirs["cert_no"].tolist()
