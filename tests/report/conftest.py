"""A page as a reader of HTML sees it: by a parser everywhere, and by a browser where one is installed."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

import pytest

VOID = {"meta", "link", "br", "img", "input", "hr", "base"}
BROWSERS = [path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))][:1]


@dataclass
class Seen(HTMLParser):
    """What is in a page: elements with their attributes, and the text in them."""

    elements: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)
    texts: list[tuple[str, str]] = field(default_factory=list)
    unbalanced: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._open: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if not self._open or self._open.pop() != tag:
            self.unbalanced.append(tag)

    def handle_data(self, data):
        if data.strip():
            self.texts.append((self._open[-1] if self._open else "", data))

    @classmethod
    def of(cls, text: str) -> Seen:
        seen = cls()
        seen.feed(text)
        seen.close()
        seen.unbalanced += seen._open
        return seen

    def count(self, tag: str) -> int:
        return sum(name == tag for name, _ in self.elements)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def text(self) -> str:
        return " ".join(text for tag, text in self.texts if tag != "style")


def by_parser(path: Path) -> str:
    return path.read_text("utf-8")


def by_browser(path: Path) -> str:
    ran = subprocess.run(
        [
            BROWSERS[0],
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--enable-logging=stderr",
            f"--user-data-dir={path.parent / 'profile'}",
            "--dump-dom",
            path.as_uri(),
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=100,
    )
    refused = [line for line in ran.stderr.splitlines() if "CONSOLE" in line or "Refused" in line]
    assert refused == [], "the page's own policy stops a part of it"
    return ran.stdout


@pytest.fixture(params=[by_parser, *([by_browser] if BROWSERS else [])])
def read(request):
    """How a page is read."""
    return lambda path: Seen.of(request.param(path))
