"""Codex, Claude Code, Copilot CLI, OpenCode and Continue CLI themselves, headless; a simulated model uses their tools.

Each prompt is several requests; each program is given a home of its own, and a minute.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ollama_proxy.simulator import Say, SimulatorThread
from tests.support.judged import CHAT, GEMINI, every_provider
from tests.support.rooms import node, room, run
from tests.support.running import RunningProxy

pytestmark = pytest.mark.judges

SECRET = "the cat is called Moritz"


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A folder to work in, with something to read."""
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / "note.txt").write_text(f"{SECRET}\n")
    return folder


def binary(name: str, pattern: str) -> Path:
    """The program of the platform's own package: install scripts are off."""
    found = sorted((room(name) / "node_modules").glob(pattern))
    if not found:
        pytest.skip("its package brings no program for this platform")
    return found[0]


def codex(proxy: RunningProxy, work: Path, model: str, prompt: str) -> tuple[int, str]:
    home = work.parent / "codex"
    home.mkdir(exist_ok=True)
    program = binary("coding", "@openai/codex-*/vendor/*/bin/codex*")
    command: list[str | Path] = [
        program,
        "exec",
        "--oss",
        "--local-provider",
        "ollama",
        "-m",
        model,
        "--skip-git-repo-check",
    ]
    command += ["--dangerously-bypass-approvals-and-sandbox", prompt]
    ended = run(command, work, {"CODEX_HOME": str(home), "CODEX_OSS_BASE_URL": f"{proxy.url}/v1"})
    return ended.returncode, ended.stdout


def claude(proxy: RunningProxy, work: Path, model: str, prompt: str) -> tuple[int, str]:
    home = work.parent / "claude"
    home.mkdir(exist_ok=True)
    program = binary("coding", "@anthropic-ai/claude-code-*/claude*")
    command: list[str | Path] = [program, "-p", prompt, "--model", model, "--allowedTools", "Read"]
    quiet = {"CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1", "DISABLE_AUTOUPDATER": "1"}
    auth = {"ANTHROPIC_BASE_URL": proxy.url, "ANTHROPIC_AUTH_TOKEN": "any"}
    ended = run(command, work, {"CLAUDE_CONFIG_DIR": str(home), **auth, **quiet})
    return ended.returncode, ended.stdout


def copilot(proxy: RunningProxy, work: Path, model: str, prompt: str) -> tuple[int, str]:
    program = binary("agents", ".bin/copilot")
    env = {"COPILOT_OFFLINE": "true", "COPILOT_PROVIDER_BASE_URL": f"{proxy.url}/v1", "COPILOT_MODEL": model}
    ended = run([node(), program, "-p", prompt, "--allow-all-tools"], work, {"XDG_STATE_HOME": str(work.parent), **env})
    return ended.returncode, ended.stdout


def opencode(proxy: RunningProxy, work: Path, model: str, prompt: str) -> tuple[int, str]:
    program = binary("agents", "opencode-*-*/bin/opencode*")
    options = {"baseURL": f"{proxy.url}/v1", "apiKey": "any"}
    provider = {"npm": "@ai-sdk/openai-compatible", "options": options, "models": {model: {"name": model}}}
    settings = {"provider": {"proxy": provider}, "autoupdate": False, "share": "disabled"}
    (work / "opencode.json").write_text(json.dumps(settings))
    ended = run([program, "run", "-m", f"proxy/{model}", prompt], work, {})
    return ended.returncode, ended.stdout


def cn(proxy: RunningProxy, work: Path, model: str, prompt: str) -> tuple[int, str]:
    """Continue's own command. Its settings are YAML, of which JSON is a part."""
    program = binary("agents", ".bin/cn")
    entry = {"name": "m", "provider": "ollama", "model": model, "apiBase": f"{proxy.url}/", "apiKey": "any"}
    settings = {"name": "judge", "version": "1.0.0", "schema": "v1", "models": [{**entry, "roles": ["chat"]}]}
    (work.parent / "config.yaml").write_text(json.dumps(settings))
    ended = run([node(), program, "-p", prompt, "--config", work.parent / "config.yaml"], work, {})
    return ended.returncode, ended.stdout


def call_once(tool: str, arguments: dict[str, Any]) -> Any:
    """A model that calls this tool where it is offered, and then says what came back."""

    def decide(ask: Any) -> Say | None:
        results = [message for message in ask.messages if message.get("role") == "tool"]
        if results:
            return Say(f"It says: {results[-1]['content']}")
        return Say(calls=[(tool, arguments)]) if tool in {one["name"] for one in ask.tools} else None

    return decide


@every_provider
def test_codex_runs_a_command(proxy: RunningProxy, simulator: SimulatorThread, work: Path, provider: str) -> None:
    """Start, list, a call of its shell, the result, the answer."""
    simulator.on(provider, call_once("exec_command", {"cmd": "cat note.txt"}))
    code, printed = codex(proxy, work, CHAT[provider], "What is in the note?")
    assert code == 0, printed
    assert SECRET in printed.split("It says:")[-1]


def test_codex_patches_a_file(simulator: SimulatorThread, work: Path, tmp_path: Path) -> None:
    """C208: for a model that it knows by name it brings its tool for patches, which is called with free text."""
    (tmp_path / "ollama-proxy.toml").write_text(f'[aliases]\n"gpt-5.5" = "{GEMINI}"\n')
    patch = f"*** Begin Patch\n*** Update File: note.txt\n@@\n-{SECRET}\n+the cat is asleep\n*** End Patch\n"
    simulator.on("google", call_once("apply_patch", {"input": patch}))
    with RunningProxy(simulator.env({"google": ["one"]}), tmp_path) as proxy:
        code, printed = codex(proxy, work, "gpt-5.5", "Change the note, please")
    assert code == 0, printed
    assert (work / "note.txt").read_text() == "the cat is asleep\n"
    assert "It says:" in printed


@every_provider
def test_claude_code_reads_a_file(proxy: RunningProxy, simulator: SimulatorThread, work: Path, provider: str) -> None:
    """Its greeting, a call of Read, the result, the answer."""
    simulator.on(provider, call_once("Read", {"file_path": str(work / "note.txt")}))
    code, printed = claude(proxy, work, CHAT[provider], "What is in the note?")
    assert code == 0, printed
    assert SECRET in printed.split("It says:")[-1]


# Continue's command starts its text anew at each chunk with usage, which Gemini puts on all of them: not with google.
@pytest.mark.parametrize(
    ("program", "tool", "argument", "provider"),
    [
        (copilot, "view", "path", "google"),
        (opencode, "read", "filePath", "google"),
        (cn, "Read", "filepath", "cohere"),
    ],
)
def test_others_read_a_file(
    proxy: RunningProxy,
    simulator: SimulatorThread,
    work: Path,
    program: Any,
    tool: str,
    argument: str,
    provider: str,
) -> None:
    """Their list of tools, a call of the one that reads, the result, the answer."""
    simulator.on(provider, call_once(tool, {argument: str(work / "note.txt")}))
    code, printed = program(proxy, work, CHAT[provider], "What is in the note?")
    assert code == 0, printed
    assert SECRET in printed.split("It says:")[-1]


@pytest.mark.parametrize("program", [codex, claude])
def test_a_used_up_key_is_changed_unseen(
    proxy: RunningProxy, simulator: SimulatorThread, work: Path, program: Any
) -> None:
    """The first key's day is over; the program gets its answer and does not hear of it."""
    proxy.forget()
    simulator.play("google", "429-day", key="one", times=None)
    simulator.say("google", "Hello from the other key.", key="two", times=None)
    code, printed = program(proxy, work, GEMINI, "Say hello")
    proxy.forget()
    assert (code, "Hello from the other key." in printed) == (0, True), printed


# OpenCode and Continue try for ever, whatever they are told.
@pytest.mark.parametrize(("program", "word"), [(claude, "key"), (copilot, "key"), (codex, "again at")])
def test_a_used_up_day_is_not_hammered(
    proxy: RunningProxy, simulator: SimulatorThread, work: Path, program: Any, word: str
) -> None:
    """F14: told that waiting is useless, it stops: each key was asked once, and its user reads why or until when."""
    proxy.forget()
    simulator.play("google", "429-day", times=None)
    code, printed = program(proxy, work, GEMINI, "Say hello")
    asked = simulator.calls("google", path="/chat/completions")
    proxy.forget()
    assert code != 0
    assert word in printed
    assert len(asked) == 2, printed
