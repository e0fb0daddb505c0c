"""Owns the recorded answers of Mistral's Codestral host. Rules: Mistral's OpenAPI and error glossary, read 2026-11.

Error codes are strings; a validation error has an object where a text is expected. Texts and ids are invented.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ollama_proxy.simulator.events import DONE, Delta
from ollama_proxy.simulator.shapes.base import Shape, stream

__all__ = ["SHAPES", "error_value", "extra_field", "validation_value"]

_REQUEST_ID = "51m00000000000000000000000000001"


def error_value(status: int, message: str, kind: str, code: str | None) -> dict[str, Any]:
    """The body of an error."""
    return {
        "object": "error",
        "message": message,
        "type": kind,
        "param": None,
        "code": code,
        "raw_status_code": status,
    }


def extra_field(loc: Sequence[str | int], given: Any) -> dict[str, Any]:
    """What validation says about a field that must not be there."""
    return {"type": "extra_forbidden", "loc": list(loc), "msg": "Extra inputs are not permitted", "input": given}


def validation_value(findings: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The body of a 422: `message` is an object."""
    body = error_value(422, "", "invalid_request_error", None)
    return {**body, "message": {"detail": [dict(finding) for finding in findings]}}


def _plain(says: str, status: int, message: str, kind: str, code: str | None) -> Shape:
    return Shape(says, status, error_value(status, message, kind, code))


_ERRORS: dict[str, Shape] = {
    "400-context": _plain(
        "the prompt is longer than the model's window",
        400,
        "Prompt contains 301010 tokens and 0 draft tokens, too large for model with 262144 maximum context length",
        "invalid_request_prompt",
        "3051",
    ),
    "400-model": _plain("no such model", 400, "Invalid model: $model", "invalid_model", "1500"),
    "400-order": _plain(
        "the roles are in an order that Mistral refuses",
        400,
        "Expected last role User or Tool (or Assistant with prefix True) for serving but got assistant",
        "invalid_request_message_order",
        "3230",
    ),
    "400-tool-id": _plain(
        "a tool-call id that is not nine letters or digits",
        400,
        "Tool call id was call_sim_123456 but must be a-z, A-Z, 0-9, with a length of 9.",
        "invalid_function_call",
        "3280",
    ),
    "422-detail": Shape("a forbidden field, as a bare list", 422, {"detail": [extra_field(["body", "tools"], [])]}),
    "422-extra": Shape(
        "a forbidden field; `message` is an object", 422, validation_value([extra_field(["body", "seed"], 7)])
    ),
    "429": _plain("too many requests", 429, "Rate limit exceeded", "rate_limited", "1300"),
    "429-capacity": _plain(
        "no capacity for the model; the key is fine",
        429,
        "Service tier capacity exceeded for this model.",
        "service_tier_capacity_exceeded",
        "3505",
    ),
    "429-day": _plain("the day's requests are used up", 429, "Requests per day limit exceeded", "rate_limited", "1300"),
    "429-kong": Shape(
        "too many requests, said by the gateway before the API, with a wait",
        429,
        {"message": "Requests rate limit exceeded"},
        headers=(("retry-after", "$retry"),),
        facts={"retry": "2"},
    ),
    "429-month": _plain(
        "the month's spending limit is reached",
        429,
        "You have reached your monthly usage limit for this workspace.",
        "monthly_limit_exceeded",
        None,
    ),
    "503": Shape(
        "overloaded, with a wait",
        503,
        error_value(503, "Service unavailable.", "service_unavailable", None),
        headers=(("retry-after", "$retry"),),
        facts={"retry": "3"},
    ),
    "bad-key": Shape(
        "the key is not valid, or belongs to Mistral's other host",
        401,
        {"message": "Unauthorized", "request_id": _REQUEST_ID},
    ),
    "bad-key-detail": Shape("the same in the other form", 401, {"detail": "Unauthorized"}),
    "models-404": Shape(
        "this host has no list of models",
        404,
        {"message": "no Route matched with those values", "request_id": _REQUEST_ID},
        operation="models",
    ),
}

_USAGE = (15, 7, 22)
_START = Delta({"role": "assistant", "content": ""})


def _chat(content: Any, model: str = "$model") -> dict[str, Any]:
    return {
        "id": "5100d2d3e4f5061728394a5b6c7d8e00",
        "created": 1790000000,
        "model": model,
        "usage": {"prompt_tokens": 15, "total_tokens": 22, "completion_tokens": 7},
        "object": "chat.completion",
        "choices": [
            {
                "index": 0,
                "finish_reason": "stop",
                "message": {"role": "assistant", "tool_calls": None, "content": content},
            }
        ],
    }


def thought(text: str, **more: Any) -> dict[str, Any]:
    """One part of a thinking answer."""
    return {"type": "thinking", "thinking": [{"type": "text", "text": text}], **more}


def _call(call_id: str, name: str, arguments: str) -> dict[str, Any]:
    return {"id": call_id, "function": {"name": name, "arguments": arguments}}


_CALLS = [
    _call("s1mT00l01", "get_weather", '{"city": "Seoul"}'),
    _call("s1mT00l02", "get_time", '{"zone": "KST"}'),
]

_ANSWERS: dict[str, Shape] = {
    "chat": Shape(
        "a plain answer: tool_calls is null",
        200,
        _chat("echo('hello')"),
        headers=(
            ("mistral-correlation-id", "sim"),
            ("x-ratelimit-limit-req-minute", "30"),
            ("x-ratelimit-remaining-req-minute", "29"),
        ),
    ),
    "chat-content-list": Shape(
        "content as a list of thinking and text",
        200,
        _chat([thought("A city is wanted."), {"type": "text", "text": "Seoul."}]),
    ),
    "fim": Shape("filled in the middle, in chat's shape", 200, _chat("    return a * b\n"), operation="fim"),
}

_STREAMS: dict[str, Shape] = {
    "stream": stream(
        "usage on the chunk that ends",
        _START,
        Delta({"content": "echo("}),
        Delta({"content": "'hello')"}),
        Delta({"content": ""}, "stop", _USAGE),
        DONE,
    ),
    "stream-reasoning": stream(
        "content as lists while it thinks, as text afterwards",
        _START,
        Delta({"content": [thought("A city")]}),
        Delta({"content": [thought(" is wanted.")]}),
        Delta({"content": [thought("", closed=True)]}),
        Delta({"content": "Seoul."}),
        Delta({"content": ""}, "stop", _USAGE),
        DONE,
    ),
    "stream-tools": stream(
        "calls, end and usage in one chunk",
        _START,
        Delta(
            {"content": "", "tool_calls": [{**call, "index": n} for n, call in enumerate(_CALLS)]}, "tool_calls", _USAGE
        ),
        DONE,
    ),
    "stream-tools-noindex": stream(
        "the same without index",
        _START,
        Delta({"content": "", "tool_calls": _CALLS}, "tool_calls", _USAGE),
        DONE,
    ),
    "fim-stream": stream(
        "filled in the middle, in chat's chunks",
        _START,
        Delta({"content": "    return a"}),
        Delta({"content": " * b\n"}),
        Delta({"content": ""}, "stop", (8, 7, 15)),
        DONE,
        operation="fim",
    ),
}

SHAPES: Mapping[str, Shape] = {**_ERRORS, **_ANSWERS, **_STREAMS}
