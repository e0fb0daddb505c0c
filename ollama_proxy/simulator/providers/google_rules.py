"""Owns what Gemini's compat endpoint refuses in a request: unknown names, schema words, orders of turns.

Rules: Google AI for Developers (OpenAI compatibility, function calling) and error reports of clients, read 2026-11. The
endpoint is stricter than its documentation; where reports differ, the stricter one stands here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ollama_proxy.simulator.ask import Ask, dicts, image_urls, mime_of, words

__all__ = ["calls_to_check", "find_fault", "thinking_config", "unknown_names"]

_CHAT = words(
    "model messages stream stream_options temperature top_p max_tokens stop tools tool_choice response_format "
    "reasoning_effort extra_body"
)
_EMBEDDINGS = words("model input dimensions encoding_format")
_MESSAGE = words("role content name tool_calls tool_call_id extra_content")
_CALL = words("id type function extra_content index")
_FUNCTION = words("name description parameters")
_THINKING = words("thinking_budget thinking_level include_thoughts")
#: What is left of JSON schema (OpenAPI 3.0, in part).
_SCHEMA = words(
    "type description enum items properties required nullable anyOf minItems maxItems minimum maximum format pattern "
    "minLength maxLength"
)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.\-]{0,63}")
_EFFORTS = ("high", "low", "medium", "none")
_FORMATS = {"string": {"enum", "date-time"}, "integer": {"int32", "int64"}, "number": {"float", "double"}}
_PATH = "GenerateContentRequest.tools[0].function_declarations"


def unknown_names(ask: Ask) -> list[str]:
    """Each name that the endpoint does not know, quoted, with its place where it is not the top."""
    allowed = _EMBEDDINGS if ask.operation == "embeddings" else _CHAT
    found = [f'"{name}"' for name in ask.body if name not in allowed]
    for n, message in enumerate(ask.messages):
        found += _extra(message, _MESSAGE, f"messages[{n}]")
        for m, call in enumerate(dicts(message.get("tool_calls"))):
            found += _extra(call, _CALL, f"messages[{n}].tool_calls[{m}]")
    found += _extra_body(ask)
    for n, tool in enumerate(ask.tools):
        found += _extra(tool, _FUNCTION, f"tools[{n}].function")
        found += _schema_names(tool.get("parameters"), f"tools[0].function_declarations[{n}].parameters")
    found += _schema_names(_answer_schema(ask), "generation_config.response_schema")
    return found


def _extra(value: Mapping[str, Any], allowed: frozenset[str], place: str) -> list[str]:
    return [f"\"{name}\" at '{place}'" for name in value if name not in allowed]


def _extra_body(ask: Ask) -> list[str]:
    extra = ask.body.get("extra_body")
    if not isinstance(extra, Mapping):
        return []
    found = _extra(extra, frozenset({"google"}), "extra_body")
    google = extra.get("google")
    if isinstance(google, Mapping):
        found += _extra(google, frozenset({"thinking_config", "cached_content"}), "extra_body.google")
    return found + _extra(thinking_config(ask), _THINKING, "extra_body.google.thinking_config")


def thinking_config(ask: Ask) -> Mapping[str, Any]:
    """`extra_body.google.thinking_config`, empty if there is none."""
    value: Any = ask.body
    for step in ("extra_body", "google", "thinking_config"):
        value = value.get(step) if isinstance(value, Mapping) else None
    return value if isinstance(value, Mapping) else {}


def _answer_schema(ask: Ask) -> Any:
    wanted = ask.body.get("response_format")
    holder = wanted.get("json_schema") if isinstance(wanted, Mapping) else None
    return holder.get("schema") if isinstance(holder, Mapping) else None


def _schema_names(schema: Any, place: str, depth: int = 0) -> list[str]:
    if not isinstance(schema, Mapping) or depth > 40:
        return []
    found = _extra(schema, _SCHEMA, place)
    for child, below in _children(schema, place):
        found += _schema_names(child, below, depth + 1)
    return found


def _children(schema: Mapping[str, Any], place: str) -> Iterator[tuple[Any, str]]:
    properties = schema.get("properties")
    if isinstance(properties, Mapping):
        for n, (_, child) in enumerate(properties.items()):
            yield child, f"{place}.properties[{n}].value"
    if "items" in schema:
        yield schema["items"], f"{place}.items"
    options = schema.get("anyOf")
    for n, child in enumerate(options if isinstance(options, list) else ()):
        yield child, f"{place}.any_of[{n}]"


def find_fault(ask: Ask) -> str | None:
    """The message of the first fault beyond unknown names."""
    return _values(ask) or _tools(ask) or _turns(ask) or _images(ask)


def _values(ask: Ask) -> str | None:
    effort = ask.body.get("reasoning_effort")
    if effort is not None and effort not in _EFFORTS:
        return f"Invalid reasoning_effort: {effort}. Valid values are: {', '.join(_EFFORTS)}"
    if effort is not None and thinking_config(ask):
        return "Expected one of either `reasoning_effort` or custom `thinking_config`; found both."
    stops = ask.body.get("stop")
    if isinstance(stops, list) and len(stops) > 5:
        return "The number of stop sequences must be at most 5."
    return None


def _tools(ask: Ask) -> str | None:
    for n, tool in enumerate(ask.tools):
        if not _NAME.fullmatch(str(tool.get("name"))):
            return (
                f"* {_PATH}[{n}].name: Invalid function name. Must start with a letter or an underscore. Must be "
                "alphanumeric (a-z, A-Z, 0-9), underscores (_), dots (.) or dashes (-), with a maximum length of 64."
            )
        if "parameters" in tool:
            fault = _schema_fault(tool["parameters"], f"{_PATH}[{n}].parameters")
            if fault:
                return fault
    return _schema_fault(_answer_schema(ask), "GenerateContentRequest.generation_config.response_schema")


def _schema_fault(schema: Any, place: str, depth: int = 0) -> str | None:
    if not isinstance(schema, Mapping) or depth > 40:
        return None
    kind = schema.get("type")
    if isinstance(kind, list):
        return f"Invalid JSON payload received. Proto field is not repeating, cannot start list: {place}.type"
    own = _object_fault(schema, kind, place) or _scalar_fault(schema, kind, place)
    if own:
        return own
    faults = (_schema_fault(child, below, depth + 1) for child, below in _children(schema, place))
    return next(filter(None, faults), None)


def _object_fault(schema: Mapping[str, Any], kind: Any, place: str) -> str | None:
    properties = schema.get("properties")
    if str(kind).lower() == "object" and not properties:
        return f"* {place}.properties: should be non-empty for OBJECT type"
    if str(kind).lower() == "array" and not schema.get("items"):
        return f"* {place}.items: missing field."
    if "properties" in schema and str(kind).lower() != "object":
        return f"* {place}.properties: only allowed for OBJECT type"
    required = schema.get("required")
    for n, name in enumerate(required if isinstance(required, list) else ()):
        if not isinstance(properties, Mapping) or str(name) not in properties:
            return f"* {place}.required[{n}]: property is not defined"
    return None


def _scalar_fault(schema: Mapping[str, Any], kind: Any, place: str) -> str | None:
    enum = schema.get("enum")
    if isinstance(enum, list) and (str(kind).lower() != "string" or not all(isinstance(e, str) and e for e in enum)):
        return f"* {place}.enum: only allowed for STRING type"
    allowed = _FORMATS.get(str(kind).lower())
    if "format" in schema and (allowed is None or str(schema["format"]) not in allowed):
        return f"* {place}.format: only 'enum' and 'date-time' are supported for STRING type"
    return None


def _turns(ask: Ask) -> str | None:
    spoken = [m for m in ask.messages if m.get("role") not in ("system", "developer")]
    if not spoken:
        return "* GenerateContentRequest.contents: contents is not specified"
    for n, message in enumerate(spoken):
        if message.get("role") == "user" and _is_empty(message.get("content")):
            return f"* GenerateContentRequest.contents[{n}].parts: contents.parts must not be empty."
        if message.get("role") == "assistant" and _is_empty(message.get("content")) and not message.get("tool_calls"):
            return f"* GenerateContentRequest.contents[{n}].parts: contents.parts must not be empty."
    return _call_turns(spoken)


def _is_empty(content: Any) -> bool:
    if isinstance(content, list):
        return not content or any(p.get("type") == "text" and not p.get("text") for p in dicts(content))
    return not content


def _call_turns(spoken: Sequence[Mapping[str, Any]]) -> str | None:
    before = ""
    for n, message in enumerate(spoken):
        calls = dicts(message.get("tool_calls"))
        if calls:
            if before not in {"user", "tool"}:
                return (
                    "Please ensure that function call turn comes immediately after a user turn or after a function "
                    "response turn."
                )
            answers = 0
            while n + 1 + answers < len(spoken) and spoken[n + 1 + answers].get("role") == "tool":
                answers += 1
            if answers != len(calls):
                return (
                    "Please ensure that the number of function response parts is equal to the number of function call "
                    "parts of the function call turn."
                )
        before = str(message.get("role"))
    return None


def _images(ask: Ask) -> str | None:
    for url in image_urls(ask.messages):
        if not url.startswith("data:"):
            return "Cannot fetch content from the provided URL."
        if mime_of(url) is None:
            return "Provided image is not valid."
    return None


def calls_to_check(ask: Ask) -> Iterator[tuple[int, Mapping[str, Any], str]]:
    """Position, function and signature of the first call of each turn since the last user message."""
    messages = ask.messages
    last_user = max((n for n, m in enumerate(messages) if m.get("role") == "user"), default=-1)
    for n in range(last_user + 1, len(messages)):
        for call in dicts(messages[n].get("tool_calls"))[:1]:
            extra = call.get("extra_content")
            google = extra.get("google") if isinstance(extra, Mapping) else None
            given = google.get("thought_signature") if isinstance(google, Mapping) else None
            function = call.get("function")
            yield n + 1, function if isinstance(function, Mapping) else {}, given if isinstance(given, str) else ""
