"""Which app of the README is walked through by which test: the way from its settings page to an answer."""

from __future__ import annotations

import re
from pathlib import Path

from tests.support.source import PACKAGE

HERE = Path(__file__).parent
#: App, as the README calls it -> the test module that does what the app does.
APPS = {
    "Open WebUI": "test_open_webui",
    "Home Assistant": "test_home_assistant",
    "Continue": "test_continue",
    "VS Code Copilot": "test_vs_code_copilot",
    "Zed": "test_zed",
    "JetBrains AI Assistant": "test_jetbrains",
    "Obsidian Copilot": "test_obsidian_copilot",
    "Raycast": "test_raycast",
    "Enchanted": "test_enchanted",
    "n8n": "test_n8n",
    "LibreChat": "test_librechat",
    "Cline": "test_cline",
    "Claude Code": "test_claude_code",
    "Codex": "test_codex",
    "`ollama` command": "test_ollama_cli",
}
#: Clones of clients that people build with, or that the README has no room for.
BEYOND = {"test_goose", "test_langchain4j", "test_roo_code"}
#: The programs and libraries themselves, run by `scripts/judges`.
OTHERS = {"test_coding_commands", "test_node_packages", "test_published_suites", "test_python_packages"}


def apps_of_the_readme() -> list[str]:
    text = (PACKAGE.parent / "README.md").read_text(encoding="utf-8")
    section = text.split("\n## Point your app here\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| ([^|]+?) \|", section, re.MULTILINE)
    return [row for row in rows if row != "App" and not row.startswith("-")]


def test_every_app_of_the_readme_is_walked_through() -> None:
    """A row in the README without a test here is a promise that nobody keeps."""
    missing = set(apps_of_the_readme()) - set(APPS)
    assert len(apps_of_the_readme()) >= 10
    assert not missing, f"write a clone of {sorted(missing)}, and put it into APPS"


def test_every_clone_is_in_the_table() -> None:
    """A module that drives an app is found from the app's name."""
    clones = {path.stem for path in HERE.glob("test_*.py")} - OTHERS - {Path(__file__).stem}
    assert clones == {*APPS.values(), *BEYOND}
