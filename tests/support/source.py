"""The product's source as trees: which module imports which, without importing any of them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

__all__ = ["PACKAGE", "Import", "imports_of", "modules", "name_of", "part_of", "tree_of"]

PACKAGE = Path(__file__).parents[2] / "ollama_proxy"


@dataclass(frozen=True, slots=True)
class Import:
    """One import statement: the module `target`, perhaps for a `name` in it, at `line` of `path`."""

    path: Path
    line: int
    target: str
    name: str = ""

    def __str__(self) -> str:
        return f"{self.path.relative_to(PACKAGE.parent).as_posix()}:{self.line} imports {self.target}"


def modules() -> list[Path]:
    """Every module of the package."""
    return sorted(PACKAGE.rglob("*.py"))


@cache
def tree_of(path: Path) -> ast.Module:
    """A module's syntax tree."""
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def name_of(path: Path) -> str:
    """`ollama_proxy.wire.sse` for the file that holds it."""
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def part_of(name: str) -> str:
    """The box of the map that a dotted name lies in: `wire` for `ollama_proxy.wire.sse`, "" for the package itself."""
    return name.split(".")[1] if "." in name else ""


def imports_of(path: Path) -> Iterator[Import]:
    """Every import, also those within functions and for the type checker: they are knowledge too."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(path, node.lineno, alias.name)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}:{node.lineno}: a relative import hides what it reaches"
            for alias in node.names:
                yield Import(path, node.lineno, _meant(node.module or "", alias.name), alias.name)


def _meant(module: str, name: str) -> str:
    """`from ollama_proxy.server import own_api` means a module, `from ollama_proxy.errors import TooLarge` does not."""
    inner = PACKAGE.parent.joinpath(*module.split("."), name)
    is_module = inner.with_suffix(".py").exists() or (inner / "__init__.py").exists()
    return f"{module}.{name}" if is_module else module
