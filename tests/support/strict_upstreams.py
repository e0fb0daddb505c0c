"""What the strict providers refuse, as checks over a request body. Written from their errors, not from our profiles.

Each check raises AssertionError with the words that the provider would use.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgspec

__all__ = ["STRICT", "as_json"]

_GOOGLE = {
    "model", "messages", "stream", "temperature", "top_p", "max_tokens", "stop", "tools", "tool_choice",
    "response_format", "reasoning_effort", "extra_body",
}  # fmt: skip
_COHERE = {
    "model", "messages", "stream", "reasoning_effort", "response_format", "tools", "temperature", "max_tokens", "stop",
    "seed", "top_p", "frequency_penalty", "presence_penalty",
}  # fmt: skip
_MISTRAL = {
    "model", "messages", "stream", "temperature", "top_p", "max_tokens", "stop", "random_seed", "metadata",
    "response_format", "tools", "tool_choice", "presence_penalty", "frequency_penalty", "n", "prediction",
    "parallel_tool_calls", "prompt_mode", "reasoning_effort", "guardrails", "prompt_cache_key", "safe_prompt",
}  # fmt: skip
_GOOGLE_SCHEMA = {
    "type", "description", "enum", "items", "properties", "required", "nullable", "anyOf", "minItems", "maxItems",
    "minimum", "maximum", "format",
}  # fmt: skip


def as_json(body: dict[str, Any]) -> dict[str, Any]:
    """The body as it arrives upstream."""
    decoded: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(body))
    return decoded


def google(body: dict[str, Any]) -> None:
    """Gemini's compatible endpoint."""
    assert body.keys() <= _GOOGLE, f"Unknown name: {body.keys() - _GOOGLE}"
    assert len(body.get("stop") or []) <= 5 or isinstance(body["stop"], str)
    assert body.get("reasoning_effort") in (None, "none", "low", "medium", "high")
    config = body.get("extra_body", {}).get("google", {}).get("thinking_config")
    assert config is None or "reasoning_effort" not in body
    _has_tools(body)
    for tool in body.get("tools", []):
        assert tool.keys() <= {"type", "function"}
        assert tool["function"].keys() <= {"name", "description", "parameters"}
        assert re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}", tool["function"]["name"])
        if "parameters" in tool["function"]:
            google_schema(tool["function"]["parameters"])
    _google_turns(body["messages"])


def _google_turns(messages: list[dict[str, Any]]) -> None:
    assert any(m["role"] != "system" for m in messages), "contents is not specified"
    before = None
    for message in messages:
        assert message["role"] in ("system", "user", "assistant", "tool")
        assert message.keys() <= {"role", "content", "name", "tool_calls", "tool_call_id", "extra_content"}
        assert message["role"] == "tool" or "name" not in message
        assert message["role"] == "tool" or message.get("content") or message.get("tool_calls"), "empty text parameter"
        if message.get("tool_calls"):
            assert before in ("user", "tool"), "function call turn comes immediately after a user turn"
        before = message["role"]
    _answers_follow_calls(messages)


def google_schema(schema: dict[str, Any], *, nested: bool = False) -> None:
    """The subset of OpenAPI that Gemini takes."""
    assert schema.keys() <= _GOOGLE_SCHEMA, f"Unknown name: {schema.keys() - _GOOGLE_SCHEMA}"
    if "anyOf" in schema:
        assert schema.keys() == {"anyOf"}, "When using any_of, it must be the only field set"
        for branch in schema["anyOf"]:
            google_schema(branch, nested=True)
        return
    assert schema["type"] in ("string", "number", "integer", "boolean", "array", "object")
    assert schema["type"] != "array" or "items" in schema, "items: missing field"
    assert schema["type"] != "object" or schema.get("properties"), "should be non-empty for OBJECT type"
    assert "enum" not in schema or schema["type"] == "string"
    assert all(isinstance(value, str) and value for value in schema.get("enum", []))
    assert set(schema.get("required", [])) <= set(schema.get("properties", {}))
    for inner in schema.get("properties", {}).values():
        google_schema(inner, nested=True)
    if "items" in schema:
        google_schema(schema["items"], nested=True)


def cohere(body: dict[str, Any]) -> None:
    """Cohere's compatibility API."""
    assert body.keys() <= _COHERE, f"unknown field: {body.keys() - _COHERE}"
    assert 0 <= body.get("temperature", 0) <= 1
    assert not (body.get("frequency_penalty") and body.get("presence_penalty"))
    assert body.get("reasoning_effort") in (None, "none", "high")
    _has_tools(body)
    for tool in body.get("tools", []):
        assert tool["function"].keys() <= {"name", "description", "parameters"}, (
            "parameter 'strict' is not a valid field"
        )
        assert re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", tool["function"]["name"])
    for index, message in enumerate(body["messages"]):
        assert message.keys() <= {"role", "content", "tool_calls", "tool_call_id"}
        assert message["role"] != "system" or index == 0
        assert message["role"] == "tool" or message.get("content") or message.get("tool_calls"), "at least 1 token long"
        for call in message.get("tool_calls", []):
            assert call.keys() <= {"id", "type", "function"}, "tool_calls[].index"
            assert call["function"].keys() <= {"name", "arguments"}
    _answers_follow_calls(body["messages"])


def mistral(body: dict[str, Any]) -> None:
    """Codestral and La Plateforme."""
    assert body.keys() <= _MISTRAL, f"extra_forbidden: {body.keys() - _MISTRAL}"
    assert 0 <= body.get("temperature", 0) <= 1.5
    _has_tools(body)
    messages = body["messages"]
    for index, message in enumerate(messages):
        assert message["role"] in ("system", "user", "assistant", "tool")
        assert message.keys() <= {"role", "content", "name", "tool_calls", "tool_call_id", "prefix"}
        assert message["role"] != "system" or index == 0
        assert message["role"] != "assistant" or message.get("content") or message.get("tool_calls")
        assert index == 0 or (messages[index - 1]["role"], message["role"]) != ("tool", "user")
        for name in [message.get("tool_call_id"), *(call["id"] for call in message.get("tool_calls", []))]:
            assert name is None or re.fullmatch(r"[A-Za-z0-9]{9}", name), f"Tool call id was {name}"
    last = messages[-1]
    assert last["role"] in ("user", "tool") or last.get("prefix") is True, "Expected last role User or Tool"
    _answers_follow_calls(messages)


def qwen(body: dict[str, Any]) -> None:
    """DashScope."""
    _has_tools(body)
    assert "stream_options" not in body or body["stream"]
    assert body.get("enable_thinking") is not True or body["stream"], "must be set to false for non-streaming calls"
    assert body.get("enable_thinking") is not True or body.get("tool_choice") in (None, "auto", "none")
    assert body.get("temperature", 0) < 2
    for tool in body.get("tools", []):
        assert "strict" not in tool["function"]
    _answers_follow_calls(body["messages"])


def openrouter(body: dict[str, Any]) -> None:
    """OpenRouter is lenient; what its suppliers refuse is not."""
    _has_tools(body)
    assert body.get("reasoning_effort") != "max"
    assert not ("reasoning_effort" in body and "reasoning" in body)
    assert "think" not in body


def akash(body: dict[str, Any]) -> None:
    """AkashML, as vLLM does."""
    _has_tools(body)
    assert "reasoning_effort" not in body
    assert all(message["role"] != "developer" for message in body["messages"])


def _has_tools(body: dict[str, Any]) -> None:
    assert "tools" not in body or body["tools"], "[] is too short - 'tools'"
    assert "tools" in body or not {"tool_choice", "parallel_tool_calls"} & body.keys()


def _answers_follow_calls(messages: list[dict[str, Any]]) -> None:
    """Not the same number of function calls and responses; unexpected role 'tool'."""
    waiting: list[str] = []
    for message in messages:
        if message["role"] == "tool":
            assert message["tool_call_id"] in waiting, "tool without a call"
            waiting.remove(message["tool_call_id"])
            continue
        assert not waiting, "calls without answers"
        waiting = [call["id"] for call in message.get("tool_calls") or []]
        assert len(set(waiting)) == len(waiting)
        assert all(isinstance(call["function"]["arguments"], str) for call in message.get("tool_calls") or [])
    assert not waiting, "calls without answers"


STRICT: dict[str, Callable[[dict[str, Any]], None]] = {
    "google": google,
    "cohere": cohere,
    "codestral": mistral,
    "qwen": qwen,
    "openrouter": openrouter,
    "akash": akash,
}
