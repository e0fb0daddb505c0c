"""Python programs and libraries that call Ollama in ways of their own: `llm` with llm-ollama, and LiteLLM."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ollama_proxy.simulator import SimulatorThread
from tests.support.judged import CHAT, EMBED, GEMINI
from tests.support.rooms import python_of, room, run
from tests.support.running import RunningProxy

pytestmark = pytest.mark.judges


def llm(folder: Path, url: str, *arguments: str, **env: str) -> str:
    """What the command prints."""
    here = room("llm")
    command: list[str | Path] = [python_of(here), "-m", "llm", *arguments]
    ended = run(command, folder, {"OLLAMA_HOST": url, "LLM_USER_PATH": str(folder), **env})
    assert ended.returncode == 0, ended.stdout
    return ended.stdout


def test_llm_lists_every_model(proxy: RunningProxy, tmp_path: Path) -> None:
    """It merges models of one digest and ignores those that neither complete nor embed."""
    printed = llm(tmp_path, proxy.url, "models")
    assert [name for name in CHAT.values() if f"ollama/{name}" not in printed] == []
    assert f"ollama/{EMBED}" in llm(tmp_path, proxy.url, "embed-models")


@pytest.mark.parametrize("provider", CHAT)
def test_llm_prompts(proxy: RunningProxy, simulator: SimulatorThread, tmp_path: Path, provider: str) -> None:
    """Streamed, and not."""
    for options in ([], ["--no-stream"]):
        simulator.say(provider, "안녕하세요, 세계.")
        printed = llm(tmp_path, proxy.url, "-m", f"ollama/{CHAT[provider]}", "-n", *options, "Say hello")
        assert printed.strip() == "안녕하세요, 세계."


def test_llm_calls_tools(proxy: RunningProxy, simulator: SimulatorThread, tmp_path: Path) -> None:
    """A function given on the command line is called, and its result comes back into the answer."""
    functions = "def get_weather(city: str) -> str:\n    'Weather of a city'\n    return 'sunny in ' + city\n"
    simulator.say("google", calls=[("get_weather", {"city": "Oslo"})])
    printed = llm(tmp_path, proxy.url, "-m", f"ollama/{GEMINI}", "-n", "--functions", functions, "Weather in Oslo?")
    assert "sunny in Oslo" in printed


def test_llm_wants_a_schema(proxy: RunningProxy, tmp_path: Path) -> None:
    """Its short form of a JSON schema."""
    printed = llm(tmp_path, proxy.url, "-m", f"ollama/{GEMINI}", "-n", "--schema", "name, age int", "Invent a dog")
    assert set(json.loads(printed)) == {"name", "age"}


def test_llm_embeds(proxy: RunningProxy, tmp_path: Path) -> None:
    """One vector, printed."""
    assert len(json.loads(llm(tmp_path, proxy.url, "embed", "-m", f"ollama/{EMBED}", "-c", "text"))) == 1536


def test_llm_shows_the_token(guarded: RunningProxy, simulator: SimulatorThread, tmp_path: Path) -> None:
    """As bearer by its variable, or as password in the address (Basic)."""
    simulator.say("google", "In.", times=2)
    basic = guarded.url.replace("://", "://user:sesame@")
    assert llm(tmp_path, guarded.url, "-m", f"ollama/{GEMINI}", "-n", "Hi", OLLAMA_API_KEY="sesame").strip() == "In."
    assert llm(tmp_path, basic, "-m", f"ollama/{GEMINI}", "-n", "Hi").strip() == "In."


def test_litellm(proxy: RunningProxy, simulator: SimulatorThread) -> None:
    """Both of its ways to Ollama: three checks for each provider, five more."""
    here = room("litellm")
    env = {"PROXY_URL": proxy.url, "MODELS": json.dumps(CHAT), "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    ended = run([python_of(here), "judge.py"], here, env)
    assert ended.returncode == 0, ended.stdout
    assert f"{3 * len(CHAT) + 5} checks passed" in ended.stdout
