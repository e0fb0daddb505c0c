"""What the tests of the providers' behaviours share: a model of each, and what a client was told, in one form."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.client_kinds import STREAMS, WAYS, Told, Way
from tests.support.faulty_world import World
from tests.support.sim_kit import SIX

__all__ = [
    "MODELS",
    "PLAIN",
    "calls_of",
    "counts_of",
    "every_conversation",
    "rests_of",
    "said_by",
    "thinking_streams",
    "tool",
]

#: A model of each provider, as clients name it.
MODELS = {provider: f"{provider}:{model}" for provider, model in SIX.items()}
PLAIN = Way.find("openai", stream=False)
_CONVERSING = [way for way in WAYS if way.name != "ollama-generate"]
#: Every protocol that knows tools, streaming or not.
every_conversation = pytest.mark.parametrize("way", _CONVERSING, ids=str)
#: The protocols that have a place for thoughts; OpenAI's is a pass-through and shows what the provider sent.
thinking_streams = pytest.mark.parametrize("way", [way for way in STREAMS if way.name != "openai"], ids=str)


def tool(name: str = "get_weather") -> dict[str, Any]:
    """A tool as Ollama's and OpenAI's clients name one."""
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    return {"type": "function", "function": {"name": name, "description": "Looks it up.", "parameters": schema}}


def calls_of(told: Told) -> list[tuple[str, Any]]:
    """(name, arguments as an object) of each tool call: OpenAI tells them as text."""
    return [(name, json.loads(given) if isinstance(given, str) else given) for name, given in told.calls]


def counts_of(told: Told) -> tuple[int, int]:
    """Tokens in and out."""
    usage = told.usage
    return (usage["prompt_tokens"], usage["completion_tokens"]) if isinstance(usage, dict) else usage


def said_by(world: World, provider: str, shape: str, way: Way, **rule: Any) -> Told:
    """What a client is told when this provider gives this recorded answer once."""
    world.sim.play(provider, shape, **rule)
    return world.ask(way, MODELS[provider])


def rests_of(world: World, label: str) -> list[tuple[str, str, str, float]]:
    """(name, state, cause, seconds to go) of whatever rests of a key; the key itself is ""."""
    key = world.key(label)
    whole = [("", key["state"], key.get("cause", ""), key["until_s"])] if key["state"] != "healthy" else []
    return whole + [(rest["name"], rest["state"], rest["cause"], rest["until_s"]) for rest in key["rests"]]
