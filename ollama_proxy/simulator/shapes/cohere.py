"""Owns the recorded answers of Cohere's compatibility API. Rules: Cohere's documentation and OpenAPI, read 2026-11.

Errors are flat: a `message`, sometimes an `id`. Texts and ids are invented.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ollama_proxy.simulator.events import DONE, Delta
from ollama_proxy.simulator.shapes.base import Shape, stream

__all__ = ["SHAPES", "error_value"]


def error_value(message: str, request_id: str = "sim-req-1") -> dict[str, Any]:
    """The body of an error."""
    return {"id": request_id, "message": message} if request_id else {"message": message}


def _trial(limit: str) -> str:
    return (
        f"You are using a Trial key, which is limited to {limit}. You can continue to use the Trial "
        "key for free or upgrade "
        "to a Production key with higher rate limits at 'https://dashboard.cohere.com/api-keys'."
    )


_ERRORS: dict[str, Shape] = {
    "400-context": Shape(
        "the prompt is longer than the model's window",
        400,
        error_value(
            "too many tokens: total number of tokens in the prompt exceeds the limit of 128000 - try using a shorter "
            "prompt, or enable prompt truncating. See https://docs.cohere.com/reference/generate for more details."
        ),
    ),
    "402": Shape(
        "a payment method is missing",
        402,
        error_value(
            "Please add or update your payment method at https://dashboard.cohere.com/billing?tab=payment to continue",
            "",
        ),
    ),
    "404-model": Shape(
        "no such model",
        404,
        error_value(
            "model '$model' not found, make sure the correct model ID was used and that you have access to the model."
        ),
    ),
    "422-unknown-field": Shape(
        "a field that Cohere does not know",
        422,
        error_value("unknown field: parameter 'strict' is not a valid field, "),
    ),
    "429": Shape(
        "too many calls this minute (trial key)",
        429,
        error_value(_trial("$limit API calls / minute")),
        facts={"limit": "20"},
    ),
    "429-month": Shape(
        "the month's calls are used up (trial key)",
        429,
        error_value(_trial("$limit API calls / month"), ""),
        facts={"limit": "1000"},
    ),
    "429-tokens": Shape(
        "too many tokens this minute (trial key)",
        429,
        error_value("trial token rate limit exceeded, limit is 100000 tokens per minute", ""),
    ),
    "498": Shape("the prompt was blocked", 498, error_value("the prompt was blocked by the content filter")),
    "500": Shape(
        "an internal error",
        500,
        error_value("internal server error, this has been reported to our developers. id sim-req-9", ""),
    ),
    "bad-key": Shape("the key is not valid", 401, error_value("invalid api token")),
    "401-missing": Shape("no key was sent", 401, error_value("no api key supplied")),
}

_START = Delta({"role": "assistant", "content": ""})
_USAGE = (20, 6, 26)


def _call(call: dict[str, Any]) -> Delta:
    return Delta({"tool_calls": [{"index": 0, **call}]})


_ANSWERS: dict[str, Shape] = {
    "chat": Shape(
        "a plain answer",
        200,
        {
            "id": "sim-cohere-0",
            "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Seoul."}}],
            "created": 1790000000,
            "model": "$model",
            "object": "chat.completion",
            "usage": {"prompt_tokens": 20, "completion_tokens": 6, "total_tokens": 26},
        },
    ),
    "embeddings": Shape(
        "one vector with usage",
        200,
        {
            "object": "list",
            "data": [{"object": "embedding", "index": 0, "embedding": [0.02, -0.04, 0.06]}],
            "model": "$model",
            "usage": {"prompt_tokens": 3, "total_tokens": 3},
        },
        operation="embeddings",
    ),
}

_STREAMS: dict[str, Shape] = {
    "stream": stream(
        "usage on the chunk that ends",
        _START,
        Delta({"content": "Seo"}),
        Delta({"content": "ul."}),
        Delta({}, "stop", _USAGE),
        DONE,
    ),
    "stream-reasoning": stream(
        "reasoning in its own field (not documented for this API)",
        _START,
        Delta({"reasoning_content": "A city"}),
        Delta({"reasoning_content": " is wanted."}),
        Delta({"content": "Seoul."}),
        Delta({}, "stop", _USAGE),
        DONE,
    ),
    "stream-tools": stream(
        "the plan as text, then the call in pieces",
        _START,
        Delta({"content": "I will ask for the weather."}),
        _call(
            {"id": "get_weather_sim0a1b2c3d4", "type": "function", "function": {"name": "get_weather", "arguments": ""}}
        ),
        _call({"function": {"arguments": '{"city":'}}),
        _call({"function": {"arguments": ' "Seoul"}'}}),
        Delta({}, "tool_calls", _USAGE),
        DONE,
    ),
}

SHAPES: Mapping[str, Shape] = {**_ERRORS, **_ANSWERS, **_STREAMS}
