"""What all clones of apps talk about: models of the simulated providers, and two tools."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.six import MODELS

__all__ = ["CALLS", "CHAT", "CODESTRAL", "EMBED", "GEMINI", "TOOLS", "every_provider", "hub_pairs"]

GEMINI = MODELS["google"]
CODESTRAL = MODELS["codestral"]
EMBED = "cohere:embed-v4.0"
#: One model of each provider that chats, calls tools, and is listed.
CHAT = MODELS
every_provider = pytest.mark.parametrize("provider", CHAT)


def _tool(name: str) -> dict[str, Any]:
    parameters = {
        "type": "object",
        "properties": {"city": {"type": "string", "description": "Where."}},
        "required": ["city"],
    }
    return {"type": "function", "function": {"name": name, "description": f"{name}.", "parameters": parameters}}


TOOLS = [_tool("get_weather"), _tool("get_time")]
#: Two calls at once, one of them twice: whoever matches results by name alone is found out.
CALLS: list[tuple[str, dict[str, Any]]] = [
    ("get_weather", {"city": "Paris"}),
    ("get_weather", {"city": "서울"}),
    ("get_time", {"city": "Oslo"}),
]


def hub_pairs(messages: list[Any]) -> list[tuple[str, str]]:
    """(arguments of a call, content of its result) as a provider sees them, paired by id."""
    results = {m["tool_call_id"]: m["content"] for m in messages if m["role"] == "tool"}
    calls = [call for m in messages for call in m.get("tool_calls") or ()]
    assert len(results) == len(calls), "an id was used twice, or a call has no result"
    return [(call["function"]["arguments"], results[call["id"]]) for call in calls]
