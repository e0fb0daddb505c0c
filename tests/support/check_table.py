"""Which tests show which numbered checks, by their docstrings; and what scripts/contract and scripts/faults print.

What a check means stands in docs/checks.md. What becomes of it where that is not simply "a test shows it" is data, in
the table.py of the folder where most of its tests are.
"""

from __future__ import annotations

import ast
import re
import runpy
import sys
from collections import defaultdict
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

__all__ = ["CONTRACT", "FAULTS", "TESTS", "Table", "main"]

TESTS = Path(__file__).parents[1]


class Table:
    """The checks of one letter.

    set_aside: number -> why, and the test of what happens instead; such a check is cited by no test.
    not_kept: the same for what may yet be kept. decided: number -> what is tested in place of its own letter.
    """

    def __init__(self, name: str, letter: str, folder: Path) -> None:
        data: Mapping[str, Any] = runpy.run_path(str(folder / "table.py"))
        self.name = name
        self.letter = letter
        self.folder = folder
        self.checks = range(1, data["LAST"] + 1)
        self.set_aside: Mapping[int, tuple[str, str]] = data["SET_ASIDE"]
        self.not_kept: Mapping[int, tuple[str, str]] = data["NOT_KEPT"]
        self.decided: Mapping[int, str] = data["DECIDED"]

    @cached_property
    def meanings(self) -> dict[int, str]:
        """What each check means, in the words of docs/checks.md."""
        text = (TESTS.parent / "docs" / "checks.md").read_text(encoding="utf-8")
        found = re.findall(rf"(?m)^\| {self.letter}(\d+) \| (.+) \|$", text)
        return {int(number): words for number, words in found}

    def citations(self) -> dict[int, list[str]]:
        """The tests that cite each check: `tests/…/test_x.py::test_y`."""
        cited = re.compile(rf"\b{self.letter}(\d{{1,3}})(?:[-–]{self.letter}?(\d{{1,3}}))?\b")
        found: dict[int, list[str]] = defaultdict(list)
        for path in sorted(TESTS.rglob("test_*.py")):
            for node in ast.parse(path.read_text(encoding="utf-8")).body:
                if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) or not node.name.startswith("test_"):
                    continue
                name = f"{path.relative_to(TESTS.parent).as_posix()}::{node.name}"
                for first, last in cited.findall(ast.get_docstring(node) or ""):
                    for number in range(int(first), int(last or first) + 1):
                        found[number].append(name)
        return found

    def missing(self, cited: Mapping[int, list[str]]) -> list[int]:
        """The checks that nobody shows, and for which there is no reason."""
        return [n for n in self.checks if n not in {*self.set_aside, *self.not_kept} and not cited.get(n)]

    def rows(self, cited: Mapping[int, list[str]]) -> str:
        """Every check: its number, what it means, and the tests that cite it or the reason why there is none."""
        lines = []
        for number in self.checks:
            lines.append(f"{self.letter}{number}  {self.meanings.get(number, '')}")
            lines += [f"    {told}" for told in self._shown(number, cited.get(number, []))]
        return "\n".join(lines)

    def _shown(self, number: int, names: list[str]) -> list[str]:
        for title, table in (("set aside", self.set_aside), ("not kept", self.not_kept)):
            if number in table:
                return [f"{title}: {table[number][0]}"]
        by_file: dict[str, list[str]] = defaultdict(list)
        for name in names:
            file, _, test = name.partition("::")
            by_file[file].append(test)
        return [f"{file}: {', '.join(tests)}" for file, tests in by_file.items()] or ["no test"]

    def report(self, cited: Mapping[int, list[str]]) -> str:
        """What is covered, what is set aside or not kept and why, what was decided otherwise."""
        due = len(self.checks) - len(self.set_aside)
        missing = self.missing(cited)
        covered = due - len(self.not_kept) - len(missing)
        lines = [f"{self.name}: {covered} of {due} checks covered, {len(self.set_aside)} set aside"]
        for title, table in (("set aside:", self.set_aside), ("not kept:", self.not_kept)):
            if not table:
                continue
            lines += ["", title, *(f"  {self.letter}{number}: {why}" for number, (why, _) in table.items())]
        lines += ["", "tested in another form:"]
        lines += [f"  {self.letter}{number}: {how}" for number, how in self.decided.items()]
        if missing:
            lines += ["", "without a test: " + ", ".join(f"{self.letter}{number}" for number in missing)]
        return "\n".join(lines)


CONTRACT = Table("contract", "C", TESTS / "end_to_end" / "contract")
FAULTS = Table("faults", "F", TESTS / "end_to_end" / "faults")


def main(name: str, *options: str) -> int:
    """Runs the tests that cite a check of this table, then prints the report; 0: all is well.

    With `--list` nothing runs, and all rows come before the report.
    """
    table = {"contract": CONTRACT, "faults": FAULTS}[name]
    cited = table.citations()
    wrong = 0
    if "--list" in options:
        print(table.rows(cited), end="\n\n")
    else:
        names = sorted({name for number in table.checks for name in cited.get(number, ())})
        wrong = int(pytest.main(["-q", "--no-header", "-p", "no:cacheprovider", *names]))
    print(table.report(cited))
    return wrong or int(bool(table.missing(cited)))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
