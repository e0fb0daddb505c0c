"""Zed's Ollama provider: the list, show for each model five at a time, chat streamed. Its types are Rust's.

Read in zed-industries/zed, `crates/ollama`, two versions (mid-2025 and after #42284). One field of the wrong type, or
one model that cannot be shown, and Zed offers no model at all.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from ollama_proxy.simulator import SimulatorThread
from tests.support.app_client import App, join_calls
from tests.support.judged import CALLS, CHAT, GEMINI, TOOLS, every_provider, hub_pairs
from tests.support.running import RunningProxy
from tests.support.shapes import Option, Text, Unless, check, unsigned

TAGS = {
    "models": [
        {
            "name": str,
            "modified_at": str,
            "size": unsigned,
            "digest": str,
            "details": {
                "format": str,
                "family": str,
                "families": Option([str]),
                "parameter_size": str,
                "quantization_level": str,
            },
        }
    ]
}
SHOW = {"capabilities": Unless([str]), "model_info": Unless(dict)}
LINE = {
    "model": str,
    "created_at": str,
    "message": {
        "role": Text("assistant"),
        "content": str,
        "thinking": Option(str),
        "images": Option([str]),
        "tool_calls": Option([{"id": str, "function": {"name": str, "arguments": dict}}]),
    },
    "done_reason": Option(str),
    "done": bool,
    "prompt_eval_count": Option(unsigned),
    "eval_count": Option(unsigned),
}
JSON = ("Content-Type", "application/json")


class Zed(App):
    """What its provider does. key: of its settings, sent with every call."""

    def __init__(self, url: str, key: str = "") -> None:
        super().__init__(url, [("Authorization", f"Bearer {key}")] if key else [])

    def models(self) -> dict[str, dict[str, Any]]:
        listed = self.get("/api/tags", [("Accept", "application/json")]).ok().json()
        check(listed, TAGS)
        names = [model["name"] for model in listed["models"] if "-embed" not in model["name"]]
        with ThreadPoolExecutor(5) as five:
            return dict(zip(names, five.map(self.show, names), strict=True))

    def show(self, model: str) -> dict[str, Any]:
        told = self.post("/api/show", {"model": model}, [JSON]).ok().json()
        check(told, SHOW)
        can, info = told["capabilities"], told["model_info"]
        window = info.get(f"{info.get('general.architecture')}.context_length", 4096)
        assert unsigned(window)
        return {"window": window, **{ability: ability in can for ability in ("tools", "vision", "thinking")}}

    def chat(self, model: str, messages: list[Any], window: int, **more: Any) -> list[dict[str, Any]]:
        options = {"num_ctx": window, "num_predict": None, "stop": None, "temperature": 1.0, "top_p": None}
        body = {
            "model": model,
            "messages": messages,
            "stream": True,
            "keep_alive": -1,
            "options": options,
            "tools": [],
            "think": None,
            **more,
        }
        lines = self.post("/api/chat", body, [JSON]).ok().lines()
        check(lines, [LINE])
        return lines


@pytest.fixture
def zed(proxy: RunningProxy) -> Zed:
    return Zed(proxy.url)


def test_its_list_is_filled(zed: Zed) -> None:
    """Types, windows and abilities of all models."""
    models = zed.models()
    assert set(CHAT.values()) <= set(models)
    assert models[GEMINI] == {"window": 1_048_576, "tools": True, "vision": True, "thinking": True}
    assert models[CHAT["openrouter"]] == {"window": 262_000, "tools": True, "vision": False, "thinking": False}


@every_provider
def test_its_agent_goes_a_whole_round(zed: Zed, simulator: SimulatorThread, provider: str) -> None:
    """Every call has an id; results come back by `tool_name` alone, two of them by the same name."""
    simulator.say(provider, calls=CALLS)
    messages: list[Any] = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Use the tools"},
    ]
    lines = zed.chat(CHAT[provider], messages, 16384, tools=TOOLS)
    calls = join_calls(lines)
    assert [(c["function"]["name"], c["function"]["arguments"]) for c in calls] == CALLS
    assert len({c["id"] for c in calls}) == len(CALLS)
    assert lines[-1]["eval_count"] > 0
    turn = [{"id": c["id"], "function": {k: c["function"][k] for k in ("name", "arguments")}} for c in calls]
    messages.append({"role": "assistant", "content": "", "tool_calls": turn, "thinking": None})
    messages += [
        {"role": "tool", "tool_name": c["function"]["name"], "content": c["function"]["arguments"]["city"]}
        for c in calls
    ]
    simulator.say(provider, "Done.")
    lines = zed.chat(CHAT[provider], messages, 16384, tools=TOOLS)
    assert "".join(line["message"]["content"] for line in lines) == "Done."
    sent = simulator.calls(provider, path="/chat/completions")[-1].body["messages"]
    assert all(result in arguments for arguments, result in hub_pairs(sent))


@pytest.mark.parametrize("think", [True, False])
def test_thinking_is_switched(zed: Zed, think: bool) -> None:
    """Lines with thoughts have an empty content; without `think` there are none."""
    lines = zed.chat(GEMINI, [{"role": "user", "content": "Why?"}], 4096, think=think)
    assert any(line["message"].get("thinking") for line in lines) is think


def test_its_key_goes_with_every_call(guarded: RunningProxy) -> None:
    """Without it there is no list."""
    assert GEMINI in Zed(guarded.url, "sesame").models()
    assert Zed(guarded.url).get("/api/tags").status == 401
