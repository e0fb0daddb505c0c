"""Owns OpenRouter's recorded answers. Rules: OpenRouter's documentation and error reports, read 2026-11.

Errors carry their status again as `code`, and more in `metadata`; some arrive inside a 200. Texts and ids are invented.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ollama_proxy.simulator.events import DONE, Comment, Delta, Event, Whole
from ollama_proxy.simulator.shapes.base import Shape, stream

__all__ = ["PROCESSING", "SHAPES", "error_value"]

_USER = "user_sim"
PROCESSING = Comment("OPENROUTER PROCESSING")


def error_value(code: int, message: str, metadata: Mapping[str, Any] | None = None, user: str = "") -> dict[str, Any]:
    """The body of an error."""
    error: dict[str, Any] = {"message": message, "code": code}
    if metadata is not None:
        error["metadata"] = dict(metadata)
    return {"error": error, "user_id": user} if user else {"error": error}


def _plain(says: str, code: int, message: str, metadata: Mapping[str, Any] | None = None, user: str = "") -> Shape:
    return Shape(says, code, error_value(code, message, metadata, user))


def _limit(says: str, message: str, limit: str, reset: str, *, on_wire: bool) -> Shape:
    headers = {"X-RateLimit-Limit": limit, "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": reset}
    body = error_value(429, message, {"headers": headers, "provider_name": None}, _USER)
    return Shape(says, 429, body, headers=tuple(headers.items()) if on_wire else (), facts={"limit": limit})


_UPSTREAM_BUSY = (
    "$model is temporarily rate-limited upstream. Please retry shortly, or add your own key to accumulate your rate "
    "limits: https://openrouter.ai/settings/integrations"
)

_ERRORS: dict[str, Shape] = {
    "200-error": Shape(
        "an error as whole answer, with status 200",
        200,
        error_value(502, "Provider returned error", {"raw": "no healthy upstream", "provider_name": "SimHost"}, _USER),
    ),
    "400-context": _plain(
        "the prompt is longer than the model's window",
        400,
        "This endpoint's maximum context length is 131072 tokens. However, you requested about "
        "150020 tokens (148020 of "
        'text input, 2000 in the output). Please reduce the length of either one, or use the "middle-out" transform to '
        "compress your prompt automatically.",
        {"provider_name": None, "error_type": "context_length_exceeded"},
    ),
    "400-model": _plain("no such model id", 400, "$model is not a valid model ID", user=_USER),
    "401-missing": _plain("no key was sent", 401, "No auth credentials found"),
    "402": _plain(
        "out of credits; `:free` models may still answer",
        402,
        "This request requires more credits, or fewer max_tokens. You requested up to 32000 tokens, "
        "but can only afford "
        "1810. To increase, visit https://openrouter.ai/settings/credits and upgrade to a paid account",
        {"provider_name": None},
        _USER,
    ),
    "403": _plain(
        "the key's own limit is reached", 403, "Key limit exceeded (total limit). Manage it in the key settings."
    ),
    "403-moderation": _plain(
        "the prompt was flagged; the key is fine",
        403,
        "Input was flagged",
        {
            "reasons": ["violence"],
            "flagged_input": "simulated text",
            "provider_name": "SimHost",
            "model_slug": "$model",
        },
    ),
    "404-images": _plain("the model takes no images", 404, "No endpoints found that support image input"),
    "404-model": _plain("nobody serves this model now", 404, "No endpoints found for $model.", user=_USER),
    "404-tools": _plain(
        "the model takes no tools",
        404,
        "No endpoints found that support tool use. To learn more about provider routing, visit: "
        "https://openrouter.ai/docs/provider-routing",
    ),
    "429": _limit(
        "too many `:free` requests this minute",
        "Rate limit exceeded: free-models-per-min. ",
        "20",
        "$minute_ms",
        on_wire=True,
    ),
    "429-day": _limit(
        "the day's `:free` requests of the account are used up",
        "Rate limit exceeded: free-models-per-day. Add 10 credits to unlock 1000 free model requests per day",
        "50",
        "$day_ms",
        on_wire=False,
    ),
    "429-upstream": _plain(
        "the model's host is busy; the key is fine",
        429,
        "Provider returned error",
        {"raw": _UPSTREAM_BUSY, "provider_name": "SimHost", "is_byok": False},
        _USER,
    ),
    "503": _plain(
        "no host for the model just now",
        503,
        "No instances available",
        {"provider_name": "SimHost", "error_type": "provider_overloaded"},
    ),
    "bad-key": _plain("the key is unknown", 401, "User not found."),
}


def _chunk(error: dict[str, Any], delta: dict[str, Any]) -> Whole:
    return Whole(
        {
            "id": "gen-sim-e1",
            "object": "chat.completion.chunk",
            "created": 1790000000,
            "model": "$model",
            "provider": "SimHost",
            "error": error,
            "choices": [{"index": 0, "delta": delta, "finish_reason": "error"}],
        }
    )


#: Where the model's host fails after it began to speak.
LOST_HOST: Event = _chunk(
    {"code": 502, "message": "Provider disconnected unexpectedly", "metadata": {"error_type": "provider_unavailable"}},
    {"content": ""},
)
#: Where it fails before that.
BUSY_HOST: Event = _chunk(
    {
        "code": 429,
        "message": "Provider returned error",
        "metadata": {"raw": _UPSTREAM_BUSY, "provider_name": "SimHost", "error_type": "rate_limit_exceeded"},
    },
    {"role": "assistant", "content": ""},
)


def _said(content: str | None = "", **more: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": content, **more}


def _call(index: int, call_id: str | None, name: str | None, arguments: str) -> dict[str, Any]:
    call = {"index": index, "id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}
    return _said(None, tool_calls=[call])


def _thought(text: str) -> dict[str, Any]:
    details = [{"type": "reasoning.text", "text": text, "format": "unknown", "index": 0}]
    return _said(reasoning=text, reasoning_details=details)


_USAGE = (17, 8, 25)
_SEALED = [
    {
        "type": "reasoning.encrypted",
        "data": "c2ltLXNlYWxlZA==",
        "format": "google-gemini-v1",
        "id": "call_sim_a",
        "index": 0,
    }
]

_STREAMS: dict[str, Shape] = {
    "stream": stream(
        "comments between the chunks; usage in one more chunk with an empty delta",
        PROCESSING,
        PROCESSING,
        Delta(_said()),
        Delta(_said("Seo")),
        PROCESSING,
        Delta(_said("ul.")),
        Delta(_said(), "stop"),
        Delta(_said(), usage=_USAGE),
        DONE,
    ),
    "stream-error-first": stream("an error in a 200 stream, before any text", PROCESSING, PROCESSING, BUSY_HOST, DONE),
    "stream-midstream-error": stream(
        "an error in a 200 stream, after text", PROCESSING, Delta(_said("Seo")), LOST_HOST, DONE
    ),
    "stream-reasoning": stream(
        "reasoning said twice, in two fields",
        PROCESSING,
        Delta(_thought("Rivers")),
        Delta(_thought(" first.")),
        Delta(_said(reasoning=None, reasoning_details=_SEALED)),
        Delta(_said("7")),
        Delta(_said(), "stop"),
        Delta(_said(), usage=_USAGE),
        DONE,
    ),
    "stream-tools": stream(
        "two calls in pieces, ids and names null later on; the end said twice",
        PROCESSING,
        Delta(_said(None)),
        Delta(_call(0, "call_sim_a", "get_weather", "")),
        Delta(_call(0, None, None, '{"city":')),
        Delta(_call(0, None, None, '"Seoul"}')),
        Delta(_call(1, "call_sim_b", "get_time", "{}")),
        Delta(_said(), "tool_calls"),
        Delta(_said(), "tool_calls", _USAGE),
        DONE,
    ),
}

_CHAT = {
    "id": "gen-1790000000-sim",
    "provider": "SimHost",
    "model": "$model",
    "object": "chat.completion",
    "created": 1790000000,
    "choices": [
        {
            "logprobs": None,
            "finish_reason": "stop",
            "native_finish_reason": "stop",
            "index": 0,
            "message": {"role": "assistant", "content": "Seoul.", "refusal": None, "reasoning": None},
        }
    ],
    "usage": {
        "prompt_tokens": 17,
        "completion_tokens": 8,
        "total_tokens": 25,
        "cost": 0,
        "is_byok": False,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "cost_details": {"upstream_inference_cost": None},
        "completion_tokens_details": {"reasoning_tokens": 0},
    },
}

_ANSWERS: dict[str, Shape] = {
    "chat": Shape("a plain answer", 200, _CHAT),
    "chat-leading-ws": Shape(
        "blank lines before the JSON, to keep the connection alive",
        200,
        "\n     \n\n     "
        '\n{"id":"gen-sim-ws","model":"$model","object":"chat.completion","created":1790000000,"choices":'
        '[{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":"fine"}}]}',
    ),
    "key": Shape(
        "what the key may still spend",
        200,
        {
            "data": {
                "label": "sk-or-v1-sim...key",
                "limit": None,
                "usage": 0,
                "is_free_tier": True,
                "limit_remaining": None,
                "rate_limit": {"requests": -1, "interval": "10s", "note": "deprecated"},
            }
        },
        operation="key",
    ),
}

SHAPES: Mapping[str, Shape] = {**_ERRORS, **_ANSWERS, **_STREAMS}
