"""Owns Gemini's recorded answers. Rules: Google AI for Developers, OpenAI compatibility and rate limits, read 2026-11.

The compat endpoint wraps an error in a list; a bad key is a 400. Texts, ids and tokens are invented.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ollama_proxy.simulator.events import DONE, Delta
from ollama_proxy.simulator.shapes.base import Shape, stream

__all__ = ["SHAPES", "error_value"]

_HOST = "generativelanguage.googleapis.com"
_TYPES = "type.googleapis.com/google.rpc."
_STATUS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
_HELP = "https://ai.google.dev/gemini-api/docs/rate-limits"
_REQUESTS = "generate_content_free_tier_requests"
_TOKENS = "generate_content_free_tier_input_token_count"
_PER_MINUTE = "GenerateRequestsPerMinutePerProjectPerModel-FreeTier"
_PER_DAY = "GenerateRequestsPerDayPerProjectPerModel-FreeTier"
_TOKENS_PER_MINUTE = "GenerateContentInputTokensPerModelPerMinute-FreeTier"


def error_value(code: int, message: str, *, status: str = "", details: Sequence[Any] = ()) -> list[dict[str, Any]]:
    """The body of an error: a list with one object."""
    error: dict[str, Any] = {"code": code, "message": message, "status": status or _STATUS.get(code, "UNKNOWN")}
    if details:
        error["details"] = list(details)
    return [{"error": error}]


def _info(reason: str, **metadata: str) -> dict[str, Any]:
    meta = {"service": _HOST, **metadata}
    return {"@type": f"{_TYPES}ErrorInfo", "reason": reason, "domain": "googleapis.com", "metadata": meta}


def _quota(says: str, metric: str, ids: Sequence[str], facts: Mapping[str, str], *, value: bool = True) -> Shape:
    message = (
        "You exceeded your current quota, please check your plan and billing details. For more "
        "information on this error, "
        f"head to: {_HELP}. \n* Quota exceeded for metric: {_HOST}/{metric}, limit: $limit, model: $model\n"
        "Please retry in $retry.$fractions."
    )
    violations: list[dict[str, Any]] = []
    for quota_id in ids:
        violation: dict[str, Any] = {"quotaMetric": f"{_HOST}/{metric}", "quotaId": quota_id}
        violation["quotaDimensions"] = {"location": "global", "model": "$model"}
        if value:
            violation["quotaValue"] = "$limit"
        violations.append(violation)
    details = [
        {"@type": f"{_TYPES}Help", "links": [{"description": "Learn more about Gemini API quotas", "url": _HELP}]},
        {"@type": f"{_TYPES}QuotaFailure", "violations": violations},
        {"@type": f"{_TYPES}RetryInfo", "retryDelay": "$retrys"},
    ]
    return Shape(says, 429, error_value(429, message, details=details), facts={"fractions": "5s", **facts})


def _plain(says: str, code: int, message: str, **rest: Any) -> Shape:
    return Shape(says, code, error_value(code, message, **rest))


_DEAD_KEY = "API key not valid. Please pass a valid API key."
_EXPIRED = {
    "code": 400,
    "message": "API key expired. Please renew the API key.",
    "status": "INVALID_ARGUMENT",
    "details": [_info("API_KEY_INVALID")],
}

_ERRORS: dict[str, Shape] = {
    "400-context": _plain(
        "the prompt is longer than the model's window",
        400,
        "The input token count (1311072) exceeds the maximum number of tokens allowed (1048576).",
    ),
    "400-double-auth": _plain(
        "two credentials in one request", 400, "Multiple authentication credentials received. Please pass only one."
    ),
    "400-location": _plain(
        "the caller's country is not served; no key is at fault",
        400,
        "User location is not supported for the API use.",
        status="FAILED_PRECONDITION",
    ),
    "400-missing-signature": Shape(
        "a tool call came back without its thought signature",
        400,
        error_value(
            400,
            "Function call is missing a thought_signature in functionCall parts. This is required for tools to work "
            "correctly, and missing thought_signature may lead to degraded model performance. "
            "Additional data, function "
            "call `default_api:$tool` , position $position.",
        ),
        facts={"tool": "get_weather", "position": "2"},
    ),
    "400-unknown-name": Shape(
        "fields that Gemini does not know",
        400,
        error_value(
            400,
            'Invalid JSON payload received. Unknown name "seed": Cannot find field.',
            details=[
                {
                    "@type": f"{_TYPES}BadRequest",
                    "fieldViolations": [
                        {"description": 'Invalid JSON payload received. Unknown name "seed": Cannot find field.'}
                    ],
                }
            ],
        ),
    ),
    "403-disabled": _plain(
        "the key's project has the API switched off",
        403,
        "Generative Language API has not been used in project 424242424242 before or it is disabled.",
        details=[_info("SERVICE_DISABLED", consumer="projects/424242424242")],
    ),
    "404-model": _plain(
        "no such model",
        404,
        "models/$model is not found for API version v1main, or is not supported for generateContent. "
        "Call ListModels to "
        "see the list of available models and their supported methods.",
    ),
    "429": _quota("too many requests this minute", _REQUESTS, [_PER_MINUTE], {"limit": "5", "retry": "34"}),
    "429-bare": _plain(
        "too many requests, no word on how long", 429, "Resource has been exhausted (e.g. check quota)."
    ),
    "429-day": _quota(
        "the day's requests are used up; the wait it names is a lie",
        _REQUESTS,
        [_PER_DAY],
        {"limit": "20", "retry": "11"},
    ),
    "429-limit0": _quota(
        "this model is not in the free plan",
        _REQUESTS,
        [_PER_DAY, _PER_MINUTE],
        {"limit": "0", "retry": "20"},
        value=False,
    ),
    "429-tokens": _quota(
        "too many tokens this minute", _TOKENS, [_TOKENS_PER_MINUTE], {"limit": "250000", "retry": "48"}
    ),
    "500": _plain(
        "an internal error",
        500,
        "An internal error has occurred. Please retry or report in "
        "https://developers.generativeai.google/guide/troubleshooting",
    ),
    "503": _plain(
        "the model is overloaded; no key is at fault",
        503,
        "This model is currently experiencing high demand. Spikes in demand are usually temporary. "
        "Please try again later.",
    ),
    "504": _plain("the model took too long", 504, "Deadline expired before operation could complete."),
    "bad-key": _plain(
        "the key is not valid",
        400,
        _DEAD_KEY,
        details=[
            _info("API_KEY_INVALID"),
            {"@type": f"{_TYPES}LocalizedMessage", "locale": "en-US", "message": _DEAD_KEY},
        ],
    ),
    "key-expired": Shape("the key has expired (an object here, not a list)", 400, {"error": _EXPIRED}),
    "key-leaked": _plain(
        "the key was found in public",
        403,
        "Your API key was reported as leaked. Please use another API key.",
    ),
}


def _chat(number: str, model: str, finish: str, message: dict[str, Any], usage: tuple[int, int, int]) -> dict[str, Any]:
    return {
        "choices": [{"finish_reason": finish, "index": 0, "message": message}],
        "created": 1790000000,
        "id": number,
        "model": model,
        "object": "chat.completion",
        "usage": {"completion_tokens": usage[1], "prompt_tokens": usage[0], "total_tokens": usage[2]},
    }


def _call(call_id: str, name: str, arguments: str, signature: str = "") -> dict[str, Any]:
    call: dict[str, Any] = {"extra_content": {"google": {"thought_signature": signature}}} if signature else {}
    return {**call, "function": {"arguments": arguments, "name": name}, "id": call_id, "type": "function"}


def _thought(text: str) -> dict[str, Any]:
    return {"content": text, "extra_content": {"google": {"thought": True}}, "role": "assistant"}


_ANSWERS: dict[str, Shape] = {
    "chat": Shape(
        "a plain answer; the tokens between the sums are hidden thinking",
        200,
        _chat(
            "sim-gm-01", "$model", "stop", {"content": "Seoul lies on the Han river.", "role": "assistant"}, (11, 7, 64)
        ),
    ),
    "chat-tools": Shape(
        "a tool call; the message has no content at all",
        200,
        _chat(
            "sim-gm-02",
            "$model",
            "tool_calls",
            {
                "role": "assistant",
                "tool_calls": [_call("simcall11", "get_weather", '{"city":"Seoul"}', "c2ltLXNpZy0y")],
            },
            (70, 15, 150),
        ),
    ),
    "embeddings": Shape(
        "one vector, no usage",
        200,
        {
            "object": "list",
            "data": [{"object": "embedding", "index": 0, "embedding": [0.25, -0.75, 0.5, 0.125]}],
            "model": "$model",
        },
        operation="embeddings",
    ),
    "empty-choices": Shape("an answer without choices", 200, {"choices": [], "created": 1790000000, "model": "$model"}),
    "empty-safety": Shape(
        "blocked: no content, and a raw reason",
        200,
        _chat("sim-gm-03", "$model", "content_filter: PROHIBITED_CONTENT", {"role": "assistant"}, (19, 0, 19)),
    ),
    "models": Shape(
        "the compat list: ids with a prefix, and more than chat models",
        200,
        {
            "object": "list",
            "data": [
                {
                    "id": "models/gemini-2.5-flash",
                    "object": "model",
                    "owned_by": "google",
                    "display_name": "Gemini 2.5 Flash",
                },
                *(
                    {"id": f"models/{name}", "object": "model", "owned_by": "google"}
                    for name in ("gemini-embedding-001", "imagen-4.0-generate-001")
                ),
            ],
        },
        operation="models",
    ),
    "models-native": Shape(
        "the native list, with limits and a second page",
        200,
        {
            "models": [
                {
                    "name": "models/gemini-2.5-flash",
                    "version": "001",
                    "displayName": "Gemini 2.5 Flash",
                    "inputTokenLimit": 1048576,
                    "outputTokenLimit": 65536,
                    "supportedGenerationMethods": ["generateContent", "countTokens"],
                    "temperature": 1,
                    "topP": 0.95,
                    "topK": 64,
                    "maxTemperature": 2,
                    "thinking": True,
                }
            ],
            "nextPageToken": "c2ltMg==",
        },
        operation="models",
    ),
}

_STREAMS: dict[str, Shape] = {
    "stream": stream(
        "usage on every chunk, growing",
        Delta({"content": "Seoul lies", "role": "assistant"}, usage=(11, 2, 59)),
        Delta({"content": " on the Han", "role": "assistant"}, usage=(11, 5, 62)),
        Delta({"content": " river.", "role": "assistant"}, "stop", (11, 7, 64)),
        DONE,
    ),
    "stream-malformed-call": stream(
        "a tool call the model could not spell: no output",
        Delta({"role": "assistant"}, "function_call_filter: MALFORMED_FUNCTION_CALL", (88, 0, 88)),
        DONE,
    ),
    "stream-reasoning": stream(
        "thoughts inside the content, their tags cut",
        Delta(_thought("<tho"), usage=(11, 0, 41)),
        Delta(_thought("ught>A river"), usage=(11, 0, 49)),
        Delta(_thought(" is asked for.\n"), usage=(11, 0, 57)),
        Delta({"content": "</thou", "role": "assistant"}, usage=(11, 1, 58)),
        Delta({"content": "ght>The Han; 2 < 5 and <i>this</i> stay.", "role": "assistant"}, usage=(11, 7, 64)),
        Delta(
            {"extra_content": {"google": {"thought_signature": "c2ltLXNpZy0z"}}, "role": "assistant"},
            "stop",
            (11, 9, 66),
        ),
        DONE,
    ),
    "stream-tools": stream(
        "two calls, one per chunk, without index; a signature on the first only",
        Delta(
            {
                "role": "assistant",
                "tool_calls": [_call("simcall01", "get_weather", '{"city":"Seoul"}', "c2ltLXNpZy0x")],
            },
            usage=(70, 15, 150),
        ),
        Delta(
            {"role": "assistant", "tool_calls": [_call("simcall02", "get_weather", '{"city":"Busan"}')]},
            usage=(70, 30, 165),
        ),
        Delta({"role": "assistant"}, "tool_calls", (70, 30, 165)),
        DONE,
    ),
    "stream-tools-index0": stream(
        "two calls in one chunk, both with index 0 and no id; the end says stop",
        Delta(
            {
                "role": "assistant",
                "tool_calls": [
                    {"index": 0, **_call("", "get_weather", '{"city":"Seoul"}')},
                    {"index": 0, **_call("", "get_time", '{"zone":"KST"}')},
                ],
            },
            usage=(61, 21, 82),
        ),
        Delta({"role": "assistant"}, "stop", (61, 21, 82)),
        DONE,
    ),
}

SHAPES: Mapping[str, Shape] = {**_ERRORS, **_ANSWERS, **_STREAMS}
