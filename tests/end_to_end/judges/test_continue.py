"""Continue in VS Code and JetBrains: show by `name`, chat, autocomplete by generate with a suffix, embeddings by 64.

Read in continuedev/continue, `core/llm/llms/Ollama.ts`, June 2026. Its window comes from the text of `parameters`, its
autocomplete from the template; a key `error` or `type` in a good line is a failure to it.
"""

from __future__ import annotations

import re
from typing import Any

import pytest

from ollama_proxy.simulator import SimulatorThread
from tests.support.app_client import App
from tests.support.judged import CALLS, CHAT, CODESTRAL, GEMINI, TOOLS, every_provider, hub_pairs
from tests.support.running import RunningProxy

HEADERS = [("Accept", "*/*"), ("User-Agent", "node-fetch"), ("Content-Type", "application/json")]
PARAMETER = re.compile(r"^(\S+)\s+((?:\".*\")|\S+)$")
OPTIONS = {"num_ctx": 1_048_576, "num_predict": 4096, "temperature": 0.5}


class Continue(App):
    """What its provider does. url: with a slash at its end, as `apiBase` wants it."""

    def __init__(self, url: str, key: str = "") -> None:
        super().__init__(url, [*HEADERS, *([("Authorization", f"Bearer {key}")] if key else [])])

    def learn(self, model: str) -> tuple[int, bool]:
        """(window, whether it completes code). A line of `parameters` that does not match would end its reading."""
        told = self.post("api/show", {"name": model}, ()).ok().json()
        found = [PARAMETER.match(line) for line in told["parameters"].split("\n")]
        window = next(int(match[2]) for match in found if match and match[1] == "num_ctx")
        assert all(found)
        return window, ".Suffix" in told["template"]

    def stream(self, path: str, body: dict[str, Any]) -> list[dict[str, Any]]:
        lines = self.post(path, {"keep_alive": 1800, "stream": True, "options": OPTIONS, **body}, ()).ok().lines()
        assert not [line for line in lines if "error" in line or "type" in line]
        return lines

    def chat(self, model: str, messages: list[Any], **more: Any) -> tuple[str, list[Any]]:
        """(text, calls)."""
        told = [line["message"] for line in self.stream("api/chat", {"model": model, "messages": messages, **more})]
        assert {message["role"] for message in told} == {"assistant"}
        return "".join(m["content"] for m in told), [call for m in told for call in m.get("tool_calls") or ()]


@pytest.fixture
def extension(proxy: RunningProxy) -> Continue:
    return Continue(f"{proxy.url}/")


def test_it_learns_the_window_and_who_completes(extension: Continue) -> None:
    """Without `num_ctx` it would trim every prompt to 8192 tokens; without `.Suffix` it never asks to fill in."""
    assert extension.learn(GEMINI) == (1_048_576, False)
    assert extension.learn(CODESTRAL) == (256_000, True)


def test_its_list(extension: Continue) -> None:
    """By name; models are also found by itself (AUTODETECT)."""
    names = [model["name"] for model in extension.get("api/tags").ok().json()["models"]]
    assert set(CHAT.values()) <= set(names)


@every_provider
def test_a_round_with_tools(extension: Continue, simulator: SimulatorThread, provider: str) -> None:
    """After a result the history holds calls, but the request no tools; results carry neither id nor name."""
    simulator.say(provider, calls=CALLS)
    messages: list[Any] = [{"role": "user", "content": "Use the tools"}]
    _, calls = extension.chat(CHAT[provider], messages, tools=TOOLS)
    turn = [{"function": {"name": c["function"]["name"], "arguments": c["function"]["arguments"]}} for c in calls]
    messages.append({"role": "assistant", "content": "", "tool_calls": turn})
    messages += [{"role": "tool", "content": c["function"]["arguments"]["city"]} for c in calls]
    simulator.say(provider, "Done.")
    assert extension.chat(CHAT[provider], messages)[0] == "Done."
    sent = simulator.calls(provider, path="/chat/completions")[-1].body["messages"]
    assert all(result in arguments for arguments, result in hub_pairs(sent))


def test_autocomplete_fills_in_the_middle(extension: Continue, simulator: SimulatorThread) -> None:
    """Generate with prefix and suffix reaches Codestral's own endpoint for it."""
    body = {"model": CODESTRAL, "prompt": "def add(a, b):\n", "suffix": "\nprint(add(1, 2))\n", "raw": True}
    options = {"num_predict": 256, "stop": ["\n\n"], "temperature": 0.01}
    lines = extension.stream("api/generate", {**body, "options": options})
    assert "return a + b" in "".join(line["response"] for line in lines)
    (arrival,) = simulator.calls("codestral", path="/fim/completions")
    assert (arrival.body["prompt"], arrival.body["suffix"]) == (body["prompt"], body["suffix"])


@pytest.mark.parametrize("model", ["google:gemini-embedding-001", "cohere:embed-v4.0", "qwen:text-embedding-v4"])
def test_a_code_base_is_embedded_by_64(extension: Continue, model: str) -> None:
    """However few texts the provider takes at once, 64 vectors come back in their order."""
    texts = [f"chunk {number}" for number in range(64)]
    vectors = extension.post("api/embed", {"model": model, "input": texts}, ()).ok().json()["embeddings"]
    assert len(vectors) == 64
    last = extension.post("api/embed", {"model": model, "input": texts[-1:]}, ()).ok().json()["embeddings"]
    assert vectors[-1] == last[0]


def test_an_unknown_model_is_recognised(extension: Continue) -> None:
    """It parses a 404 as JSON and looks for Ollama's words."""
    heard = extension.post("api/chat", {"model": "nobody", "messages": [{"role": "user", "content": "Hi"}]}, ())
    assert heard.status == 404
    assert heard.json()["error"] == "model 'nobody' not found"


def test_its_key_is_the_token(guarded: RunningProxy) -> None:
    """`apiKey` goes as bearer."""
    assert Continue(f"{guarded.url}/", "sesame").learn(GEMINI)[0]
