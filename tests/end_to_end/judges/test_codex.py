"""Codex with `--oss --local-provider ollama`: models, version, list, then OpenAI's Responses API and nothing else.

Seen on the wire of Codex 0.169, November 2026; the program itself judges in test_coding_commands. It looks for the
model's name letter by letter in the list, and pulls it where it is absent.
"""

from __future__ import annotations

import json
from typing import Any

from ollama_proxy.simulator import Say, SimulatorThread
from tests.support.app_client import App, Heard
from tests.support.judged import CHAT, every_provider
from tests.support.running import RunningProxy
from tests.support.shapes import check, unsigned

HEADERS = [
    ("Accept", "text/event-stream"),
    ("Content-Type", "application/json"),
    ("originator", "codex_exec"),
    ("User-Agent", "codex_exec/0.169.0 (Debian 12; x86_64) dumb"),
    ("session_id", "019aa5b2-0000-7000-8000-000000000000"),
]
TOOLS = [
    {
        "type": "function",
        "name": "shell",
        "description": "Runs a shell command",
        "strict": False,
        "parameters": {
            "type": "object",
            "properties": {
                "command": {"type": "array", "items": {"type": "string"}},
                "timeout_ms": {"type": "number"},
            },
            "required": ["command"],
            "additionalProperties": False,
        },
    },
    {
        "type": "namespace",
        "name": "agents",
        "description": "Helpers",
        "tools": [
            {
                "type": "function",
                "name": "spawn",
                "description": "Starts one",
                "strict": False,
                "parameters": {"type": "object", "properties": {"task": {"type": "string"}}, "required": ["task"]},
            }
        ],
    },
    {"type": "web_search", "external_web_access": True},
]


def said(role: str, text: str) -> dict[str, Any]:
    return {"type": "message", "role": role, "content": [{"type": "input_text", "text": text}]}


def body(model: str, items: list[Any]) -> dict[str, Any]:
    return {
        "model": model,
        "instructions": "You are Codex.",
        "input": items,
        "tools": TOOLS,
        "tool_choice": "auto",
        "parallel_tool_calls": False,
        "reasoning": None,
        "store": False,
        "stream": True,
        "include": ["reasoning.encrypted_content"],
        "prompt_cache_key": "019aa5b2-0000-7000-8000-000000000000",
        "client_metadata": {"x-codex-installation-id": "0"},
    }


def read(heard: Heard) -> list[dict[str, Any]]:
    """The items that are done; the stream begins with `created` and ends with `completed` and its usage."""
    events = [event.json() for event in heard.ok().events() if event.data != "[DONE]"]
    assert events[0]["type"] == "response.created"
    assert events[-1]["type"] == "response.completed"
    usage = {"input_tokens": unsigned, "output_tokens": unsigned, "total_tokens": unsigned}
    check(events[-1]["response"], {"id": str, "usage": usage})
    return [event["item"] for event in events if event["type"] == "response.output_item.done"]


def test_it_starts_up(proxy: RunningProxy) -> None:
    """The version is high enough, and the model is on the list under its own name: nothing is pulled."""
    codex = App(proxy.url)
    codex.get("/v1/models").ok()
    version = codex.get("/api/version").ok().json()["version"]
    assert [int(part) for part in version.split(".")] >= [0, 13, 4]
    names = [model["name"] for model in codex.get("/api/tags").ok().json()["models"]]
    assert set(CHAT.values()) <= set(names)


@every_provider
def test_it_goes_a_whole_round(proxy: RunningProxy, simulator: SimulatorThread, provider: str) -> None:
    """Developer's messages, a namespace of tools and a search that nobody has: the call comes, and its result goes."""
    codex = App(proxy.url)
    items = [said("developer", "<permissions>"), said("user", "<environment>"), said("user", "List the files")]
    simulator.say(provider, calls=[("shell", {"command": ["ls"]})])
    told = read(codex.post("/v1/responses", body(CHAT[provider], items), HEADERS))
    (call,) = [item for item in told if item["type"] == "function_call"]
    assert (call["name"], json.loads(call["arguments"])) == ("shell", {"command": ["ls"]})
    items += [*told, {"type": "function_call_output", "call_id": call["call_id"], "output": "a.txt"}]
    simulator.say(provider, "One file.")
    (message,) = read(codex.post("/v1/responses", body(CHAT[provider], items), HEADERS))
    assert (message["role"], message["content"][0]["text"]) == ("assistant", "One file.")


@every_provider
def test_a_tool_of_a_namespace_comes_back_as_one(
    proxy: RunningProxy, simulator: SimulatorThread, provider: str
) -> None:
    """The provider sees plain functions; Codex finds its own tool again."""
    codex = App(proxy.url)
    items = [said("user", "Start a helper, please")]
    simulator.on(provider, _call_spawn, times=1)
    told = read(codex.post("/v1/responses", body(CHAT[provider], items), HEADERS))
    (call,) = [item for item in told if item["type"] == "function_call"]
    assert "spawn" in call["name"]
    assert json.loads(call["arguments"]) == {"task": "look"}
    items += [*told, {"type": "function_call_output", "call_id": call["call_id"], "output": "started"}]
    simulator.say(provider, "It runs.")
    (message,) = read(codex.post("/v1/responses", body(CHAT[provider], items), HEADERS))
    assert message["content"][0]["text"] == "It runs."


def _call_spawn(ask: Any) -> Any:
    (name,) = [tool["name"] for tool in ask.tools if "spawn" in tool["name"]]
    return Say(calls=[(name, {"task": "look"})])
