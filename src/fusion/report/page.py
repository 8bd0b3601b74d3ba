"""Reports as one HTML file that loads nothing: no script, no font, no picture from elsewhere.

A Content-Security-Policy in the page says so to the browser: nothing is fetched and nothing runs, and the only style
is the one whose hash stands there. Every text is escaped, so that a name of a column can only be a name.
"""

from __future__ import annotations

import base64
import contextlib
import datetime as dt
import hashlib
import itertools
import os
import secrets
from collections.abc import Iterator, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import fusion
from fusion.errors import InputError
from fusion.report.content import Part, Report
from fusion.report.drawing import Drawn

__all__ = ["render", "require", "write"]


def require() -> Any:
    """Return the package that fills the page, to find out early whether it is there.

    Raises
    ------
    InputError
        When it is not installed.
    """
    try:
        import jinja2
    except ImportError:
        raise InputError('reports need one package more: pip install "privacy-fusion[report]"') from None
    return jinja2


def render(report: Report) -> str:
    """Return the page as HTML.

    Raises
    ------
    InputError
        When the extra ``report`` is not installed.
    """
    jinja2 = require()
    folder = resources.files("fusion.report")
    style = "\n" + folder.joinpath("page.css").read_text("utf-8")
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    page = environment.from_string(folder.joinpath("page.html").read_text("utf-8"))
    text: str = page.render(
        report=report,
        runs=_runs,
        style=Drawn(style),
        style_hash=base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
        version=fusion.__version__,
        made=dt.datetime.now(dt.UTC).strftime("%Y-%m-%d, %H:%M UTC"),
    )
    return text


def write(report: Report, path: str | os.PathLike[str]) -> None:
    """Write the page to a file, which appears whole or not at all and only its owner may read.

    Raises
    ------
    InputError
        When the extra ``report`` is not installed, or the file cannot be written.
    """
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_file():
        raise InputError(f"cannot write {path}: it is no regular file; choose another")
    content = render(report).encode()
    beside = target.with_name(f".fusion-{secrets.token_hex(8)}.part")
    try:
        try:
            with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:  # noqa: PTH123
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(target)
        finally:
            with contextlib.suppress(OSError):
                beside.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from None


def _runs(parts: Sequence[Part]) -> Iterator[tuple[str, list[Part]]]:
    """Parts of one kind that follow each other, together."""
    for kind, group in itertools.groupby(parts, key=lambda part: type(part).__name__):
        yield kind, list(group)
