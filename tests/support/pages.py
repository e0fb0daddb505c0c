"""The project's own pages, read as far as tests ask: headings, tables, code, links."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

__all__ = [
    "BOTH",
    "PAGES",
    "ROOT",
    "Code",
    "anchors",
    "code",
    "headings",
    "links",
    "outside_code",
    "rows",
    "text",
    "twin",
]

ROOT = Path(__file__).parents[2]
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^(#{1,6}) (.+)$", re.MULTILINE)
_LINK = re.compile(r"(?<!\!)\[[^\]]*\]\(([^)\s]+)\)")
_IMAGE = re.compile(r'<img src="([^"]+)"|!\[[^\]]*\]\(([^)\s]+)\)')
#: Where a page has only one language: measurements and working notes for developers may be English alone.
_PAGES = ("README.md", "README.ko.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")

PAGES = [*(ROOT / name for name in _PAGES), *sorted((ROOT / "docs").rglob("*.md"))]
#: Pages in English that have a twin in Korean.
BOTH = [page for page in PAGES if page.name == "README.md" or page.parent == ROOT / "docs"]


@dataclass(frozen=True, slots=True)
class Code:
    """One block of code and the language that it says it is in."""

    language: str
    text: str


def twin(page: Path) -> Path:
    """The same page in Korean."""
    return page.with_name("README.ko.md") if page.name == "README.md" else page.parent / "ko" / page.name


@cache
def text(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def code(page: Path) -> list[Code]:
    """The blocks of a page, in order."""
    return [Code(match[1], match[2]) for match in _FENCE.finditer(text(page))]


def outside_code(page: Path) -> str:
    """A page without its blocks of code."""
    return _FENCE.sub("", text(page))


def headings(page: Path) -> list[tuple[int, str]]:
    """(level, words) of every heading."""
    return [(len(match[1]), match[2]) for match in _HEADING.finditer(outside_code(page))]


def anchors(page: Path) -> set[str]:
    """What can stand behind `#` in a link to this page, as GitHub makes it of a heading."""
    return {re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-") for _, words in headings(page)}


def links(page: Path) -> list[str]:
    """Where the page leads: links and pictures."""
    plain = outside_code(page)
    pictures = [a or b for a, b in _IMAGE.findall(plain)]
    return [*_LINK.findall(plain), *pictures]


def rows(page: Path) -> list[list[str]]:
    """The cells of every row of every table, without the rows that rule them off."""
    lines = (line.strip() for line in outside_code(page).splitlines())
    tables = [line[1:-1].split("|") for line in lines if line.startswith("|") and line.endswith("|")]
    cells = [[cell.strip() for cell in row] for row in tables]
    return [row for row in cells if not set("".join(row)) <= set("-: ")]
