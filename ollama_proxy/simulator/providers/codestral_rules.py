"""Owns what Mistral refuses in a request: fields outside the schema, ids, the order of turns.

Rules: Mistral's OpenAPI and error glossary, and error reports of clients, read 2026-11.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ollama_proxy.simulator.ask import Ask, dicts, image_urls, words
from ollama_proxy.simulator.models import Card
from ollama_proxy.simulator.shapes.codestral import extra_field

__all__ = ["Fault", "find_fault", "missing", "schema_findings"]

_FIELDS = {
    "chat": words(
        "model messages stream temperature top_p max_tokens stop random_seed metadata response_format tools "
        "tool_choice presence_penalty frequency_penalty n prediction parallel_tool_calls prompt_mode reasoning_effort "
        "guardrails prompt_cache_key safe_prompt"
    ),
    "fim": words(
        "model prompt suffix max_tokens min_tokens temperature top_p stop random_seed stream metadata prompt_cache_key"
    ),
    "embeddings": words("model input output_dimension output_dtype encoding_format metadata"),
}
_MESSAGE = {
    "system": frozenset({"role", "content"}),
    "user": frozenset({"role", "content"}),
    "assistant": frozenset({"role", "content", "tool_calls", "prefix"}),
    "tool": frozenset({"role", "content", "tool_call_id", "name"}),
}
_CALL = frozenset({"id", "type", "function", "index"})
_CALL_ID = re.compile(r"[A-Za-z0-9]{9}")
_CHOICES = frozenset({"auto", "none", "any", "required"})


@dataclass(frozen=True, slots=True)
class Fault:
    """One 400. name: the recorded answer it is a case of."""

    name: str
    message: str
    kind: str
    code: str | None


def missing(loc: Sequence[str | int]) -> dict[str, Any]:
    """What validation says about a field that must be there."""
    return {"type": "missing", "loc": list(loc), "msg": "Field required", "input": None}


def schema_findings(ask: Ask) -> list[dict[str, Any]]:
    """Everything that validation finds, in the order of the body."""
    allowed = _FIELDS.get(ask.operation, frozenset())
    found = [extra_field(["body", name], value) for name, value in ask.body.items() if name not in allowed]
    if ask.body.get("tools") == []:
        found.append(extra_field(["body", "tools"], []))
    found += _temperature(ask.body.get("temperature")) + _choice(ask.body.get("tool_choice"))
    for n, message in enumerate(ask.messages):
        found += _message(message, n)
    return found


def _temperature(value: Any) -> list[dict[str, Any]]:
    if not isinstance(value, (int, float)) or 0 <= value <= 1.5:
        return []
    text = "Input should be less than or equal to 1.5"
    return [{"type": "less_than_equal", "loc": ["body", "temperature"], "msg": text, "input": value}]


def _choice(value: Any) -> list[dict[str, Any]]:
    if value is None or isinstance(value, Mapping) or str(value) in _CHOICES:
        return []
    text = "Input should be 'auto', 'none', 'any' or 'required'"
    return [{"type": "enum", "loc": ["body", "tool_choice"], "msg": text, "input": value}]


def _message(message: Mapping[str, Any], n: int) -> list[dict[str, Any]]:
    role = str(message.get("role"))
    loc: list[str | int] = ["body", "messages", n]
    if role not in _MESSAGE:
        text = "Input tag does not match any of the expected tags: 'system', 'user', 'assistant', 'tool'"
        return [{"type": "union_tag_invalid", "loc": loc, "msg": text, "input": role}]
    found = [extra_field([*loc, role, name], value) for name, value in message.items() if name not in _MESSAGE[role]]
    if message.get("name") == "":
        text = "String should have at least 1 character"
        found.append({"type": "string_too_short", "loc": [*loc, role, "name"], "msg": text, "input": ""})
    for m, call in enumerate(dicts(message.get("tool_calls"))):
        place = [*loc, role, "tool_calls", m]
        found += [extra_field([*place, name], value) for name, value in call.items() if name not in _CALL]
    return found


def find_fault(ask: Ask, card: Card | None) -> Fault | None:
    """The first thing wrong beyond the schema."""
    return _order(ask.messages) or _ids(ask.messages) or _other(ask, card)


def _ids(messages: Sequence[Mapping[str, Any]]) -> Fault | None:
    given = [call.get("id") for message in messages for call in dicts(message.get("tool_calls"))]
    given += [message.get("tool_call_id") for message in messages if message.get("role") == "tool"]
    for call_id in given:
        if not _CALL_ID.fullmatch(str(call_id)):
            text = f"Tool call id was {call_id} but must be a-z, A-Z, 0-9, with a length of 9."
            return Fault("400-tool-id", text, "invalid_function_call", "3280")
    return None


def _order(messages: Sequence[Mapping[str, Any]]) -> Fault | None:
    text = _order_text(messages)
    return Fault("400-order", text, "invalid_request_message_order", "3230") if text else None


def _order_text(messages: Sequence[Mapping[str, Any]]) -> str | None:
    if not messages:
        return "Conversation must have at least one message"
    before, open_calls = "", 0
    for message in messages:
        role = str(message.get("role"))
        if role == "tool":
            if before not in {"assistant", "tool"} or open_calls == 0:
                return f"Unexpected role 'tool' after role '{before}'"
            open_calls -= 1
        elif open_calls:
            return "Not the same number of function calls and responses"
        elif role == "user" and before == "tool":
            return "Unexpected role 'user' after role 'tool'"
        elif role == "system" and before not in {"", "system"}:
            return f"Unexpected role 'system' after role '{before}'"
        if role == "assistant":
            open_calls = len(dicts(message.get("tool_calls")))
            if not open_calls and not message.get("content"):
                return "Assistant message must have either content or tool_calls, but not none."
        before = role
    if before == "assistant" and messages[-1].get("prefix") is not True:
        return "Expected last role User or Tool (or Assistant with prefix True) for serving but got assistant"
    return "Not the same number of function calls and responses" if open_calls else None


def _other(ask: Ask, card: Card | None) -> Fault | None:
    kind = "invalid_request_error"
    if card is not None and not card.vision and any(True for _ in image_urls(ask.messages)):
        return Fault("400", "Image input is not enabled for this model", kind, None)
    for tool in ask.tools:
        word = _schema_word(tool.get("parameters"))
        if word:
            return Fault("400", f"Invalid tool schema: '{word}' is not supported.", kind, None)
    return None


def _schema_word(value: Any, depth: int = 0) -> str | None:
    if depth > 40:
        return None
    if isinstance(value, list):
        return next(filter(None, (_schema_word(item, depth + 1) for item in value)), None)
    if not isinstance(value, Mapping):
        return None
    bad = next((word for word in ("$id", "$schema", "$ref") if word in value), None)
    return bad or _schema_word(list(value.values()), depth + 1)
