"""Claude Code: `HEAD /`, then Anthropic's messages with some of everything that the API knows.

Seen on the wire of Claude Code 2.1.197, November 2026; the program itself judges in test_coding_commands.
"""

from __future__ import annotations

import json
from typing import Any

from ollama_proxy.simulator import SimulatorThread
from tests.support.app_client import App, Heard
from tests.support.judged import CHAT, GEMINI, every_provider
from tests.support.running import RunningProxy
from tests.support.shapes import Option, Text, check

HEADERS = [
    ("Accept", "application/json"),
    ("Content-Type", "application/json"),
    ("User-Agent", "claude-cli/2.1.197 (external, sdk-cli)"),
    ("Authorization", "Bearer any"),
    ("anthropic-version", "2023-06-01"),
    ("anthropic-beta", "claude-code-20250219,interleaved-thinking-2025-05-14,context-management-2025-06-27"),
    ("anthropic-dangerous-direct-browser-access", "true"),
    ("x-app", "cli"),
    ("X-Stainless-Retry-Count", "0"),
    ("X-Stainless-Timeout", "600"),
]
CACHED = {"type": "ephemeral"}


def tools() -> list[dict[str, Any]]:
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {"file_path": {"type": "string"}, "offset": {"type": "number", "exclusiveMinimum": 0}},
        "required": ["file_path"],
        "additionalProperties": False,
    }
    return [{"name": f"Tool{n}", "description": "A tool.", "input_schema": schema} for n in range(24)]


def body(model: str, messages: list[Any]) -> dict[str, Any]:
    return {
        "model": model,
        "messages": messages,
        "system": [
            {"type": "text", "text": "You are Claude Code.", "cache_control": CACHED},
            {"type": "text", "text": "x" * 60_000, "cache_control": CACHED},
        ],
        "tools": tools(),
        "metadata": {"user_id": "user_0_session_1"},
        "max_tokens": 32000,
        "thinking": {"type": "adaptive"},
        "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
        "output_config": {"effort": "high"},
        "stream": True,
    }


def read(heard: Heard) -> tuple[list[dict[str, Any]], str]:
    """(content blocks, stop reason) as the SDK adds them up; the order of events is part of the protocol."""
    blocks: list[dict[str, Any]] = []
    stop, names = "", []
    for event in heard.ok().events():
        data = event.json()
        assert data["type"] == event.name
        if event.name == "ping":
            continue
        names.append(event.name)
        if event.name == "message_start":
            check(data["message"], {"id": Text("msg_.+"), "role": Text("assistant"), "content": list, "usage": dict})
        elif event.name == "content_block_start":
            assert data["index"] == len(blocks)
            blocks.append({**data["content_block"], "json": ""})
        elif event.name == "content_block_delta":
            delta = data["delta"]
            kind = delta["type"]
            field = {"text_delta": "text", "thinking_delta": "thinking", "input_json_delta": "json"}.get(kind)
            if field:
                blocks[data["index"]][field] += delta["partial_json" if field == "json" else field]
        elif event.name == "message_delta":
            stop = data["delta"]["stop_reason"]
            check(data["usage"], {"output_tokens": int, "input_tokens": Option(int)})
    assert names[0] == "message_start"
    assert names[-2:] == ["message_delta", "message_stop"]
    assert names.count("content_block_start") == names.count("content_block_stop") == len(blocks)
    return blocks, stop


def ask(claude: App, model: str, messages: list[Any]) -> tuple[list[dict[str, Any]], str]:
    return read(claude.post("/v1/messages?beta=true", body(model, messages), HEADERS))


@every_provider
def test_it_goes_a_whole_round(proxy: RunningProxy, simulator: SimulatorThread, provider: str) -> None:
    """A tool's result goes back with a reminder of the system in the middle of the conversation."""
    claude = App(proxy.url)
    assert claude.send("HEAD", "/").status == 200
    simulator.say(provider, calls=[("Tool3", {"file_path": "/tmp/a"})])
    messages: list[Any] = [
        {"role": "user", "content": [{"type": "text", "text": "Read /tmp/a", "cache_control": CACHED}]},
        {"role": "system", "content": "A reminder."},
    ]
    blocks, stop = ask(claude, CHAT[provider], messages)
    (use,) = [block for block in blocks if block["type"] == "tool_use"]
    assert (stop, use["name"], json.loads(use["json"])) == ("tool_use", "Tool3", {"file_path": "/tmp/a"})
    result = {"type": "tool_result", "tool_use_id": use["id"], "content": [{"type": "text", "text": "its words"}]}
    called = {"type": "tool_use", "id": use["id"], "name": "Tool3", "input": {"file_path": "/tmp/a"}}
    messages += [
        {"role": "assistant", "content": [called]},
        {"role": "user", "content": [{**result, "is_error": False, "cache_control": CACHED}]},
    ]
    simulator.say(provider, "Read it.")
    blocks, stop = ask(claude, CHAT[provider], messages)
    assert (stop, [block["text"] for block in blocks if block["type"] == "text"]) == ("end_turn", ["Read it."])


def test_an_error_is_anthropics(proxy: RunningProxy) -> None:
    """Its type and message are shown; the request's id stands where the SDK looks for it."""
    heard = App(proxy.url).post("/v1/messages?beta=true", body("nobody", [{"role": "user", "content": "Hi"}]), HEADERS)
    assert heard.status == 404
    check(heard.json(), {"type": Text("error"), "error": {"type": Text("not_found_error"), "message": str}})
    assert heard.headers["request-id"]


def test_tokens_are_counted(proxy: RunningProxy) -> None:
    """Its estimate of the context."""
    count = {"model": GEMINI, "messages": [{"role": "user", "content": "Hi"}], "tools": tools()}
    answer = App(proxy.url).post("/v1/messages/count_tokens?beta=true", count, HEADERS).ok().json()
    assert answer["input_tokens"] > 100
