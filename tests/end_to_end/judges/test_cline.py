"""Cline with its Ollama provider: the list at the server's root, then chat with some 25 tools and `tool_choice`.

Seen on the wire of Cline 3.0.65, November 2026. Its list call drops a path prefix and the key; older versions give up
when no header of the answer came within 30 s.
"""

from __future__ import annotations

from typing import Any

from ollama_proxy.simulator import SimulatorThread
from tests.support.app_client import App, join_calls
from tests.support.judged import CHAT, every_provider
from tests.support.running import RunningProxy

HEADERS = [
    ("Content-Type", "application/json"),
    ("Accept", "application/json"),
    ("User-Agent", "ollama-js/0.6.3 (x64 linux Node.js/v22.20.0)"),
    ("Authorization", "Bearer any"),
]


def a_tool(number: int) -> dict[str, Any]:
    """Of the kinds that coding agents offer: nested, optional, with enums and bounds."""
    properties = {
        "path": {"type": "string", "description": "The path, relative to the workspace"},
        "mode": {"type": "string", "enum": ["read", "write"]},
        "limit": {"type": "integer", "minimum": 1, "maximum": 1000},
        "edits": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"old": {"type": "string"}, "new": {"type": ["string", "null"]}},
                "required": ["old"],
                "additionalProperties": False,
            },
        },
    }
    parameters = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "object",
        "properties": properties,
        "required": ["path"],
        "additionalProperties": False,
    }
    return {"type": "function", "function": {"name": f"tool_{number}", "description": "…", "parameters": parameters}}


def test_its_list(proxy: RunningProxy) -> None:
    """At the root, without a key."""
    models = App(proxy.url).get("/api/tags").ok().json()["models"]
    assert set(CHAT.values()) <= {model["name"] for model in models}


@every_provider
def test_25_tools_and_a_whole_round(proxy: RunningProxy, simulator: SimulatorThread, provider: str) -> None:
    """`tool_choice`, which Ollama does not have, and every schema are taken."""
    cline = App(proxy.url, patience_s=30)
    simulator.say(provider, calls=[("tool_7", {"path": "a.txt", "edits": [{"old": "x", "new": None}]})])
    messages: list[Any] = [{"role": "system", "content": "You are Cline."}, {"role": "user", "content": "Edit a.txt"}]
    body = {
        "model": CHAT[provider],
        "messages": messages,
        "stream": True,
        "options": {"num_ctx": 32768},
        "tools": [a_tool(number) for number in range(25)],
        "tool_choice": "auto",
    }
    (call,) = join_calls(cline.post("/api/chat", body, HEADERS).ok().lines())
    assert call["function"]["arguments"] == {"path": "a.txt", "edits": [{"old": "x", "new": None}]}
    messages += [
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "content": "done", "tool_name": "tool_7"},
    ]
    simulator.say(provider, "Edited.")
    lines = cline.post("/api/chat", body, HEADERS).ok().lines()
    assert "".join(line["message"]["content"] for line in lines) == "Edited."
