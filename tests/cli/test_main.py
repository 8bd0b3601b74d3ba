"""What every command has in common: help, versions, errors in one line, signals."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import typer

import fusion as package
from fusion import cli
from fusion.errors import FusionError

COMMANDS = ([], ["demo"], ["psi"], ["psi", "intersect"], ["keygen"], ["doctor"])


@pytest.mark.parametrize("command", COMMANDS, ids=lambda words: " ".join(words) or "fusion")
def test_help(fusion, command):
    ran = fusion(*command, "--help")
    assert ran.code == 0
    assert "Usage" in ran.out
    assert ran.err == ""


@pytest.mark.parametrize("group", [[], ["psi"]])
def test_a_group_alone_shows_its_help(fusion, group):
    assert fusion(*group) == fusion(*group, "--help")


def test_help_on_a_narrow_terminal_keeps_the_names_of_options_whole(start):
    ran = start("psi", "intersect", "--help", COLUMNS="40").finish()
    for option in ("--config FILE", "--peer NAME", "--on COLUMN:KIND", "--duplicates ", "--json "):
        assert f"  {option}" in ran.out


def test_help_shows_examples_exit_codes_and_plain_brackets(fusion):
    page = fusion("--help").out
    assert "\n    fusion demo medical-insurance --report report.html\n" in page
    assert "\n    0 done, 1 failed, 2 called wrongly, 128 + N ended by signal N\n" in page
    assert "  [required]" in fusion("keygen", "--help").out


def test_no_completion_options(fusion):
    assert "completion" not in fusion("--help").out


def test_version(fusion):
    ran = fusion("--version")
    assert (ran.code, ran.out, ran.err) == (0, f"{package.__version__}\n", "")


@pytest.mark.parametrize("argument", ["--version", "--help"])
def test_starts_without_heavy_packages(argument):
    code = (
        "import sys; from fusion.cli import main; main([sys.argv[1]]);"
        "print(*({'pandas', 'pyarrow', 'numpy', 'cryptography', 'cffi'} & sys.modules.keys()), file=sys.stderr)"
    )
    ran = subprocess.run([sys.executable, "-c", code, argument], capture_output=True, text=True, check=True)
    assert ran.stderr == "\n"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["nothing"], "nothing"),
        (["demo"], "Missing argument"),
        (["demo", "horoscope"], "medical-insurance"),
        (["keygen", "--colour"], "--colour"),
        (["psi", "intersect", "--config", "x.toml"], "--peer"),
        (["psi", "intersect", "--duplicates", "drop"], "drop"),
        (["doctor", "--peer", "hospital"], "--config"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(fusion, words, says):
    ran = fusion(*words)
    assert ran.code == 2
    assert ran.out == ""
    assert says in ran.one_line
    assert "--help" in ran.one_line

    ran = fusion(*words, "--json")
    assert ran.code == 2
    assert ran.json == {"error": "UsageError", "message": ran.one_line}


def command_that(monkeypatch, action):
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(action)
    monkeypatch.setattr(cli, "app", app)


def test_our_own_errors_keep_their_words(fusion, monkeypatch):
    def fail():
        raise FusionError("the well\nis dry")

    command_that(monkeypatch, fail)
    ran = fusion()
    assert (ran.code, ran.out, ran.one_line) == (1, "", "the well is dry")


def test_an_unforeseen_error_shows_no_values_and_no_traceback(fusion, monkeypatch):
    def fail(as_json: cli.psi.Json = False):
        raise KeyError("canary-110105")

    command_that(monkeypatch, fail)
    monkeypatch.delenv("FUSION_DEBUG", raising=False)
    ran = fusion("--json")
    assert ran.code == 1
    assert "KeyError" in ran.one_line
    assert "FUSION_DEBUG=1" in ran.one_line
    assert "canary" not in ran.out + ran.err
    assert ran.json == {"error": "KeyError", "message": ran.one_line}

    monkeypatch.setenv("FUSION_DEBUG", "1")
    ran = fusion("--json")
    assert ran.code == 1
    assert "Traceback" in ran.err
    assert ran.json["error"] == "KeyError"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_ends_it_with_one_line(fusion, monkeypatch, number, code):
    cleared = []

    def wait():
        try:
            os.kill(os.getpid(), number)
            time.sleep(10)
        finally:
            cleared.append(True)

    command_that(monkeypatch, wait)
    before = signal.getsignal(number)
    ran = fusion()
    assert ran.code == code
    assert ran.one_line
    assert ran.out == ""
    assert cleared == [True]
    assert signal.getsignal(number) == before


@pytest.mark.parametrize("words", [["doctor"], ["doctor", "--json"], ["--help"], ["nothing", "--json"]])
def test_a_reader_that_leaves_is_no_error_of_its_own(words):
    read, write = os.pipe()
    os.close(read)
    process = subprocess.Popen(
        [sys.executable, "-m", "fusion", *words], stdout=write, stderr=subprocess.PIPE, text=True
    )
    os.close(write)
    _, err = process.communicate(timeout=100)
    assert "Traceback" not in err
    assert "BrokenPipe" not in err
    assert process.returncode != 0


@pytest.mark.parametrize("options", [[], ["--json"]], ids=["text", "json"])
def test_a_result_that_cannot_be_written_is_one_line(options):
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "fusion", "doctor", *options]
        ran = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False, timeout=100)
    assert ran.returncode == 1
    assert ran.stderr.count("\n") == 1
    assert "No space left on device" in ran.stderr
