"""The official packages of npm, and those that many apps are built on, judge the proxy with their own types.

Each script in rooms/ is a list of node's own tests. How many there are is pinned, so that none gets lost unseen.
"""

from __future__ import annotations

import json
import re

import pytest

from ollama_proxy.simulator import SimulatorThread
from tests.support.judged import CHAT
from tests.support.rooms import PLANS, node, room, run
from tests.support.running import RunningProxy

pytestmark = pytest.mark.judges

#: (room, script) -> how many of its checks must pass: all that it has.
SCRIPTS = {
    ("sdk", "ollama"): 13,
    ("sdk", "openai"): 22,
    ("sdk", "anthropic"): 19,
    ("sdk", "langchain"): 17,
    ("sdk", "ai-sdk-ollama"): 22,
    ("ai6", "ollama-ai-provider-v2"): 23,
    ("ai6", "openai-compatible"): 21,
}


@pytest.mark.parametrize(("name", "script"), SCRIPTS, ids=[script for _, script in SCRIPTS])
def test_package(proxy: RunningProxy, simulator: SimulatorThread, name: str, script: str) -> None:
    """Every check of the script passes, none is skipped."""
    here = room(name)
    proxy.forget()
    command = [node(), "--test-reporter=tap", f"{script}.mjs"]
    ended = run(command, here, {"PROXY_URL": proxy.url, "MODELS": json.dumps(CHAT)})
    proxy.forget()
    found = re.findall(r"^# (pass|fail|skipped) (\d+)$", ended.stdout, re.MULTILINE)
    counts = {what: int(number) for what, number in found}
    assert (ended.returncode, counts) == (0, {"pass": SCRIPTS[name, script], "fail": 0, "skipped": 0}), ended.stdout


def test_lists_name_no_registry() -> None:
    """Pinned by version and hash; where a package comes from is the machine's own affair."""
    for lock in PLANS.glob("*/package-lock.json"):
        packages = json.loads(lock.read_text())["packages"]
        assert not [name for name, package in packages.items() if "resolved" in package]
        assert all("integrity" in package for name, package in packages.items() if name)
