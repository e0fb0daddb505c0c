"""Roo Code: before each message the list and show of every model at once, then chat by ollama-js.

Read in RooCodeInc/Roo-Code, April 2026. Its schemas are strict; models without `tools` are hidden.
In its history tool results are the user's messages, so a strict provider would see calls without answers.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from ollama_proxy.simulator import SimulatorThread
from tests.support.app_client import App, join_calls
from tests.support.judged import CALLS, CHAT, GEMINI, TOOLS, every_provider
from tests.support.running import RunningProxy
from tests.support.shapes import Option, Unless, check

AXIOS = [("Accept", "application/json, text/plain, */*"), ("User-Agent", "axios/1.12.0")]
OLLAMA_JS = [
    ("Content-Type", "application/json"),
    ("Accept", "application/json"),
    ("User-Agent", "ollama-js/0.5.17 (x64 linux Node.js/v22.20.0)"),
]
DETAILS = {
    "family": str,
    "families": Unless(Option([str])),
    "format": Unless(str),
    "parameter_size": str,
    "parent_model": Unless(str),
    "quantization_level": Unless(str),
}
TAGS = {
    "models": [
        {
            "name": str,
            "model": str,
            "digest": Unless(str),
            "modified_at": Unless(str),
            "size": Unless(float),
            "details": DETAILS,
        }
    ]
}
SHOW = {
    "modelfile": Unless(str),
    "parameters": Unless(str),
    "template": Unless(str),
    "details": DETAILS,
    "model_info": dict,
    "capabilities": Unless([str]),
}


class RooCode(App):
    """What it does."""

    def models(self) -> dict[str, int]:
        """Name -> window, of those that it offers."""
        listed = self.get("/api/tags", AXIOS).ok().json()
        check(listed, TAGS)
        names = [model["model"] for model in listed["models"]]
        with ThreadPoolExecutor(len(names)) as all_at_once:
            shown = all_at_once.map(self.show, names)
            return {name: window for name, window in zip(names, shown, strict=True) if window is not None}

    def show(self, model: str) -> int | None:
        told = self.post("/api/show", {"model": model}, [*AXIOS, ("Content-Type", "application/json")]).ok().json()
        check(told, SHOW)
        if "tools" not in told["capabilities"]:
            return None
        # The first key that holds the word, whichever it is.
        window = next(value for key, value in told["model_info"].items() if "context_length" in key)
        assert type(window) is int
        return window

    def chat(self, model: str, messages: list[Any], **more: Any) -> tuple[str, list[Any]]:
        """(text, calls) by ollama-js: an `error` throws, and so does an end without `done`."""
        self.models()
        body = {"model": model, "messages": messages, "stream": True, "options": {"temperature": 0}, **more}
        lines = self.post("/api/chat", body, OLLAMA_JS).ok().lines()
        assert not [line for line in lines if "error" in line]
        assert lines[-1]["done"] is True
        return "".join(line["message"]["content"] for line in lines), join_calls(lines)


@pytest.fixture
def roo(proxy: RunningProxy) -> RooCode:
    return RooCode(proxy.url)


def test_its_list_is_filled(roo: RooCode, simulator: SimulatorThread) -> None:
    """All with tools, none without; and nobody asked a provider for it."""
    models = roo.models()
    assert set(CHAT.values()) <= set(models)
    assert "openrouter:nousresearch/hermes-3-llama-3.1-405b:free" not in models
    assert models[GEMINI] == 1_048_576
    assert simulator.log == []


@every_provider
def test_results_as_user_messages(roo: RooCode, simulator: SimulatorThread, provider: str) -> None:
    """The provider takes a history whose calls are answered by the user's words."""
    simulator.say(provider, calls=CALLS)
    messages: list[Any] = [{"role": "system", "content": "You are Roo."}, {"role": "user", "content": "Do it"}]
    _, calls = roo.chat(CHAT[provider], messages, tools=TOOLS)
    turn = [{"function": {"name": c["function"]["name"], "arguments": c["function"]["arguments"]}} for c in calls]
    messages.append({"role": "assistant", "content": "", "tool_calls": turn})
    messages += [{"role": "user", "content": f"result of {c['function']['name']}"} for c in calls]
    simulator.say(provider, "All done.")
    assert roo.chat(CHAT[provider], messages, tools=TOOLS)[0] == "All done."
    sent = simulator.calls(provider, path="/chat/completions")[-1].body["messages"]
    assert "result of get_time" in str(sent)
    answered = {m["tool_call_id"] for m in sent if m["role"] == "tool"}
    assert {call["id"] for m in sent for call in m.get("tool_calls") or ()} == answered
