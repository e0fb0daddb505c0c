"""The simulator is a foreign judge: it shares nothing with the proxy that it judges."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import ollama_proxy.simulator

ROOT = Path(ollama_proxy.simulator.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))
ALLOWED = {*sys.stdlib_module_names, "httptools", "ollama_proxy"}


def imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
    return found


def test_it_imports_nothing_of_the_proxy() -> None:
    """Only its own modules, the standard library and httptools; a shared mistake could not be seen otherwise."""
    for path in FILES:
        for name in imports(path):
            assert name.split(".")[0] in ALLOWED, (path.name, name)
            if name.startswith("ollama_proxy"):
                assert name.startswith("ollama_proxy.simulator"), (path.name, name)


def test_every_module_says_what_it_owns() -> None:
    """A docstring at the top of each file, and files that can be read in one go."""
    for path in FILES:
        text = path.read_text()
        assert (ast.get_docstring(ast.parse(text)) or "").startswith("Owns"), path
        assert len(text.splitlines()) <= 410, path


def test_names_are_loaded_when_they_are_used() -> None:
    """Importing the package loads no server."""
    program = "import sys, ollama_proxy.simulator; print('asyncio' in sys.modules, 'httptools' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False False"


def test_all_names_are_there() -> None:
    """What is promised can be imported, and an unknown name is an AttributeError."""
    for name in ollama_proxy.simulator.__all__:
        assert getattr(ollama_proxy.simulator, name)
    assert not hasattr(ollama_proxy.simulator, "nothing")
