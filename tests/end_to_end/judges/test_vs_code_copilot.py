"""VS Code's Copilot Chat with its Ollama provider: version, tags, show per model, then OpenAI's chat completions.

Read in microsoft/vscode-copilot-chat, provider of March 2026. It is given an address and nothing else, so it shows no
token in its list calls and an empty bearer in its chat.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from ollama_proxy.simulator import SimulatorThread
from tests.support.app_client import App, Heard
from tests.support.judged import CALLS, CHAT, GEMINI, TOOLS, every_provider
from tests.support.running import RunningProxy
from tests.support.shapes import check

AGENT = [("User-Agent", "GitHubCopilotChat/0.38.0")]
CHAT_HEADERS = [
    ("Authorization", "Bearer "),
    ("X-Request-Id", "5f6a2b8e-6d0e-4c55-9d59-0f0e7d0b6c11"),
    ("OpenAI-Intent", "conversation-agent"),
    ("X-GitHub-Api-Version", "2025-05-01"),
    ("X-Interaction-Type", "conversation-agent"),
    ("X-Agent-Task-Id", "3c5f3f0a-1c62-4c11-a9f5-6f2f8c6bb2aa"),
    ("Content-Type", "application/json"),
]
SHOW = {
    "template": str,
    "capabilities": [str],
    "details": {"family": str},
    "model_info": {"general.basename": str, "general.architecture": str},
}
#: Each has a meaning of its own in Copilot: sign in again, quota used up, filtered, a rate limit.
TRAPS = {401, 402, 403, 422, 466, 499}


class Copilot(App):
    """What the provider does, in its order. url: without a slash at the end; it only ever appends."""

    def check_version(self) -> None:
        version = self.get("/api/version", AGENT).ok().json()["version"]
        assert [int(part) for part in version.split(".")] >= [0, 6, 4]

    def models(self) -> dict[str, dict[str, Any]]:
        """Id -> what the model picker knows of it."""
        self.check_version()
        return {
            model["model"]: self.show(model["model"]) for model in self.get("/api/tags", AGENT).ok().json()["models"]
        }

    def show(self, model: str) -> dict[str, Any]:
        told = self.post("/api/show", {"model": model}, [*AGENT, ("Content-Type", "application/json")]).ok().json()
        check(told, SHOW)
        info = told["model_info"]
        window = info.get(f"{info['general.architecture']}.context_length", 32768)
        output = window // 2 if window < 4096 else 4096
        return {
            "name": info["general.basename"],
            "input": window - output,
            "tools": "tools" in told["capabilities"],
            "vision": "vision" in told["capabilities"],
        }

    def chat(self, model: str, messages: list[Any], **more: Any) -> Heard:
        body = {
            "messages": messages,
            "model": model,
            "temperature": 0.1,
            "top_p": 1,
            "n": 1,
            "stream": True,
            "stream_options": {"include_usage": True},
            **more,
        }
        return self.post("/v1/chat/completions", body, [*AGENT, *CHAT_HEADERS])


def read(heard: Heard) -> tuple[str, list[dict[str, Any]], Any]:
    """(text, tool calls, usage) as its stream reader makes them: deltas of calls are joined by id."""
    text, usage, calls = "", None, list[dict[str, Any]]()
    for event in heard.ok().events():
        if event.data == "[DONE]":
            break
        chunk = event.json()
        assert "error" not in chunk or chunk.get("choices")
        usage = chunk.get("usage") or usage
        for choice in chunk["choices"]:
            delta = choice["delta"]
            text += delta.get("content") or ""
            for part in delta.get("tool_calls") or ():
                _join(calls, part)
    return text, calls, usage


def _join(calls: list[dict[str, Any]], part: dict[str, Any]) -> None:
    if part.get("id") and (not calls or calls[-1]["id"] != part["id"]):
        calls.append({"id": part["id"], "name": "", "arguments": ""})
    function = part.get("function") or {}
    calls[-1]["name"] = calls[-1]["name"] or function.get("name") or ""
    calls[-1]["arguments"] += function.get("arguments") or ""


@pytest.fixture
def copilot(proxy: RunningProxy) -> Copilot:
    return Copilot(proxy.url)


def test_its_model_picker_is_filled(copilot: Copilot) -> None:
    """Every listed model can be shown, by its own name, and says what it can do."""
    models = copilot.models()
    assert set(CHAT.values()) <= set(models)
    assert all(known["name"] == model for model, known in models.items())
    assert models[GEMINI] == {"name": GEMINI, "input": 1_048_576 - 4096, "tools": True, "vision": True}


@every_provider
def test_its_chat_streams(copilot: Copilot, simulator: SimulatorThread, provider: str) -> None:
    """An answer in pieces, with usage at its end."""
    simulator.say(provider, "A short answer.")
    text, calls, usage = read(copilot.chat(CHAT[provider], [{"role": "user", "content": "Hi"}]))
    assert (text, calls) == ("A short answer.", [])
    assert usage["prompt_tokens"] > 0


@every_provider
def test_its_agent_goes_a_whole_round(copilot: Copilot, simulator: SimulatorThread, provider: str) -> None:
    """Calls joined by id are the calls that were made, however the provider sends them; so are their results."""
    simulator.say(provider, calls=CALLS)
    question = {"role": "user", "content": "Use the tools"}
    _, calls, _ = read(copilot.chat(CHAT[provider], [question], tools=TOOLS))
    assert [(c["name"], json.loads(c["arguments"])) for c in calls] == CALLS
    assert len({c["id"] for c in calls}) == len(CALLS)
    history = [
        question,
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [
                {"type": "function", "id": c["id"], "function": {"name": c["name"], "arguments": c["arguments"]}}
                for c in calls
            ],
        },
        *({"role": "tool", "tool_call_id": c["id"], "content": f"Result for {c['arguments']}"} for c in calls),
    ]
    simulator.say(provider, "Done.")
    assert read(copilot.chat(CHAT[provider], history, tools=TOOLS))[0] == "Done."


def test_calls_without_ids_get_them(copilot: Copilot, simulator: SimulatorThread) -> None:
    """Gemini has sent calls whose ids are empty; joined by id they would be one."""
    simulator.play("google", "stream-tools-index0")
    _, calls, _ = read(copilot.chat(GEMINI, [{"role": "user", "content": "Weather?"}], tools=TOOLS))
    assert len(calls) == 2
    assert all(call["arguments"].startswith("{") and call["arguments"].endswith("}") for call in calls)


def test_a_token_in_the_address_lets_it_in(guarded: RunningProxy, simulator: SimulatorThread) -> None:
    """The only place that it has for one; its empty bearer is no token."""
    simulator.say("google", "Come in.")
    copilot = Copilot(f"{guarded.url}/sesame")
    assert GEMINI in copilot.models()
    assert read(copilot.chat(GEMINI, [{"role": "user", "content": "Hi"}]))[0] == "Come in."
    assert Copilot(guarded.url).get("/api/tags").status == 401


@pytest.mark.parametrize("name", ["bad-key", "403-disabled", "429-day", "503", "400-unknown-name"])
def test_a_providers_refusal_is_no_trap(
    copilot: Copilot, simulator: SimulatorThread, name: str, proxy: RunningProxy
) -> None:
    """What means "sign in again" or "quota used up" to Copilot is never passed on; the message is an object's."""
    simulator.play("google", name, times=None)
    heard = copilot.chat(GEMINI, [{"role": "user", "content": "Hi"}])
    proxy.forget()
    assert heard.status >= 400
    assert heard.status not in TRAPS
    check(heard.json(), {"error": {"message": str, "type": str}})
