"""Goose with its built-in Ollama provider: Ollama's list, OpenAI's chat with an `options` of Ollama's, no token at all.

Read in block/goose, `crates/goose/src/providers/ollama.rs`, 2026-11. It reads the stream in lines, whatever is in them.
"""

from __future__ import annotations

import json
from typing import Any

from ollama_proxy.simulator import SimulatorThread
from tests.support.app_client import App, Heard
from tests.support.judged import CALLS, CHAT, TOOLS, every_provider
from tests.support.running import RunningProxy

HEADERS = [("Content-Type", "application/json"), ("Accept", "*/*"), ("goose-session-id", "20261122_1")]


def read(heard: Heard) -> tuple[str, dict[int, list[str]]]:
    """(text, calls by index: id, name, arguments)."""
    text, calls = "", dict[int, list[str]]()
    for line in heard.ok().body.decode().split("\n"):
        data = line.removeprefix("data: ")
        if data == line or data == "[DONE]":
            continue
        for choice in json.loads(data)["choices"]:
            delta = choice["delta"]
            text += delta.get("content") or ""
            for part in delta.get("tool_calls") or ():
                call = calls.setdefault(part["index"], ["", "", ""])
                function = part.get("function") or {}
                pieces = (part.get("id"), function.get("name"), function.get("arguments"))
                calls[part["index"]] = [old + (new or "") for old, new in zip(call, pieces, strict=True)]
    return text, calls


def test_its_list(proxy: RunningProxy) -> None:
    """Names, sorted."""
    models = App(proxy.url).get("/api/tags").ok().json()["models"]
    assert set(CHAT.values()) <= {model["name"] for model in models}


@every_provider
def test_its_chat_goes_a_whole_round(proxy: RunningProxy, simulator: SimulatorThread, provider: str) -> None:
    """`options` does not disturb a provider that refuses fields which it does not know."""
    goose = App(proxy.url)
    simulator.say(provider, calls=CALLS)
    messages: list[Any] = [{"role": "system", "content": "You are goose"}, {"role": "user", "content": "Use the tools"}]
    body = {
        "model": CHAT[provider],
        "messages": messages,
        "tools": TOOLS,
        "stream": True,
        "stream_options": {"include_usage": True},
        "options": {"num_ctx": 128000},
    }
    _, calls = read(goose.post("/v1/chat/completions", body, HEADERS))
    assert [(name, json.loads(arguments)) for _, name, arguments in calls.values()] == CALLS
    turn = [
        {"id": i, "type": "function", "function": {"name": name, "arguments": arguments}}
        for i, name, arguments in calls.values()
    ]
    messages.append({"role": "assistant", "tool_calls": turn})
    messages += [{"role": "tool", "content": "fine", "tool_call_id": call["id"]} for call in turn]
    simulator.say(provider, "Done.")
    assert read(goose.post("/v1/chat/completions", body, HEADERS))[0] == "Done."


def test_a_token_in_the_address_lets_it_in(guarded: RunningProxy) -> None:
    """It has no other way to show one."""
    assert App(f"{guarded.url}/sesame").get("/api/tags").status == 200
