"""Which tests show which of the checks C1 to C240, by their docstrings; and the line that scripts/contract prints."""

from __future__ import annotations

import ast
import re
import runpy
import sys
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

__all__ = ["CHECKS", "CONTRACT", "DECIDED", "NOT_KEPT", "SET_ASIDE", "TESTS", "citations", "main", "missing", "report"]

TESTS = Path(__file__).parents[1]
CONTRACT = TESTS / "end_to_end" / "contract"
_CITED = re.compile(r"\bC(\d{1,3})(?:[-–]C?(\d{1,3}))?\b")

_table: Mapping[str, Any] = runpy.run_path(str(CONTRACT / "table.py"))
SET_ASIDE: Mapping[int, tuple[str, str]] = _table["SET_ASIDE"]
NOT_KEPT: Mapping[int, tuple[str, str]] = _table["NOT_KEPT"]
DECIDED: Mapping[int, str] = _table["DECIDED"]
CHECKS = range(1, _table["LAST"] + 1)


def citations() -> dict[int, list[str]]:
    """The tests that cite each check: `tests/…/test_x.py::test_y`."""
    found: dict[int, list[str]] = defaultdict(list)
    for path in sorted(TESTS.rglob("test_*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) or not node.name.startswith("test_"):
                continue
            name = f"{path.relative_to(TESTS.parent).as_posix()}::{node.name}"
            for first, last in _CITED.findall(ast.get_docstring(node) or ""):
                for number in range(int(first), int(last or first) + 1):
                    found[number].append(name)
    return found


def missing(cited: Mapping[int, list[str]]) -> list[int]:
    """The checks that nobody shows, and for which there is no reason."""
    return [number for number in CHECKS if number not in {*SET_ASIDE, *NOT_KEPT} and not cited.get(number)]


def report(cited: Mapping[int, list[str]]) -> str:
    """What is covered, what is set aside or not kept and why, what was decided otherwise."""
    due = len(CHECKS) - len(SET_ASIDE)
    covered = due - len(NOT_KEPT) - len(missing(cited))
    lines = [f"contract: {covered} of {due} checks covered, {len(SET_ASIDE)} set aside"]
    for title, table in (("set aside:", SET_ASIDE), ("not kept:", NOT_KEPT)):
        lines += ["", title, *(f"  C{number}: {why}" for number, (why, _) in table.items())]
    lines += ["", "tested in another form:", *(f"  C{number}: {how}" for number, how in DECIDED.items())]
    if missing(cited):
        lines += ["", "without a test: " + ", ".join(f"C{number}" for number in missing(cited))]
    return "\n".join(lines)


def main() -> int:
    """Runs the tests that cite a check, then prints the report; with `--list` it only prints. 0: all is well."""
    cited = citations()
    wrong = 0
    if "--list" not in sys.argv[1:]:
        names = sorted({name for number in CHECKS for name in cited.get(number, ())})
        wrong = int(pytest.main(["-q", "--no-header", "-p", "no:cacheprovider", *names]))
    print(report(cited))
    return wrong or int(bool(missing(cited)))


if __name__ == "__main__":
    sys.exit(main())
