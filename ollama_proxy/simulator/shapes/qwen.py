"""Owns the recorded answers of Qwen: of DashScope's compatible mode, and of the closed OAuth portal where it differed.

Rules: Alibaba Model Studio (error codes, rate limits) and QwenLM/qwen-code, read 2026-11. Texts and ids are invented.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ollama_proxy.simulator.events import DONE, Delta, Tail, Whole
from ollama_proxy.simulator.shapes.base import Shape, stream

__all__ = ["INSPECTION", "SHAPES", "error_value"]

_DOC = "https://help.aliyun.com/zh/model-studio/error-code"


def error_value(message: str, code: str | None, kind: str = "invalid_request_error") -> dict[str, Any]:
    """The body of an error."""
    return {"error": {"message": message, "type": kind, "param": None, "code": code}, "request_id": "sim-qwen-1"}


def _same(says: str, status: int, code: str, message: str) -> Shape:
    return Shape(says, status, error_value(message, code, code))


_INSPECTED = {
    "code": "data_inspection_failed",
    "param": None,
    "message": "Output data may contain inappropriate content.",
    "type": "data_inspection_failed",
}
INSPECTION = Whole({"error": _INSPECTED, "id": "chatcmpl-simqwen1", "request_id": "sim-qwen-2"})

_ERRORS: dict[str, Shape] = {
    "400-arrearage": _same(
        "the account owes money",
        400,
        "Arrearage",
        "Access denied, please make sure your account is in good standing.",
    ),
    "400-context": Shape(
        "the prompt is longer than the model's window",
        400,
        error_value(
            "<400> InternalError.Algo.InvalidParameter: Range of input length should be [1, 258048]",
            "invalid_parameter_error",
        ),
    ),
    "400-empty-tools": Shape("`tools` is an empty list", 400, error_value("[] is too short - 'tools'", None)),
    "400-inspection": _same(
        "the prompt was refused for its content",
        400,
        "data_inspection_failed",
        "Input data may contain inappropriate content.",
    ),
    "400-thinking": Shape(
        "thinking was asked for without a stream",
        400,
        {
            "error": error_value(
                "parameter.enable_thinking must be set to false for non-streaming calls", "invalid_parameter_error"
            )["error"],
            "id": "chatcmpl-simqwen9",
            "request_id": "sim-qwen-9",
        },
    ),
    "403-free-only": _same(
        "this model's free allowance is used up",
        403,
        "AllocationQuota.FreeTierOnly",
        "The free tier of the model has been exhausted. If you wish to continue access the model on "
        "a paid basis, please "
        'disable the "use free tier only" mode in the management console.',
    ),
    "404-model": Shape(
        "no such model",
        404,
        error_value("The model `$model` does not exist or you do not have access to it.", "model_not_found"),
    ),
    "429": _same(
        "too many requests this minute",
        429,
        "limit_requests",
        f"Requests rate limit exceeded, please try again later. For details, see: {_DOC}#rate-limit",
    ),
    "429-burst": _same(
        "the rate grows too fast: seconds only",
        429,
        "limit_burst_rate",
        "Request rate increased too quickly. To ensure system stability, please adjust your client "
        "logic to scale requests "
        "more smoothly over time.",
    ),
    "429-native": Shape(
        "too many requests, in DashScope's own shape",
        429,
        {
            "code": "Throttling.RateQuota",
            "message": "Requests rate limit exceeded, please try again later.",
            "request_id": "sim-qwen-3",
        },
    ),
    "429-tpm": _same(
        "too many tokens this minute, though it speaks of billing",
        429,
        "insufficient_quota",
        "You exceeded your current quota, please check your plan and billing details. For details, "
        f"see: {_DOC}#token-limit",
    ),
    "500": _same("an internal error", 500, "internal_error", "<500> InternalError.Algo: inference error"),
    "bad-key": Shape(
        "the key is not valid, or belongs to another region",
        401,
        error_value(f"Incorrect API key provided. For details, see: {_DOC}#apikey-error", "invalid_api_key"),
    ),
    "oauth-401": Shape(
        "portal: the token is refused, however fresh",
        401,
        {
            "error": {
                "message": "invalid access token or token expired",
                "type": "invalid_request_error",
                "param": None,
                "code": "invalid_api_key",
            }
        },
    ),
    "oauth-429-quota": _same(
        "portal: the day's free requests are used up", 429, "insufficient_quota", "Free allocated quota exceeded."
    ),
    "waf": Shape(
        "a firewall's web page",
        405,
        "<!doctypehtml><html><head><title>405</title></head><body>Your request has been blocked "
        "(simulated)</body></html>",
        media="text/html",
    ),
}

_OAUTH: dict[str, Shape] = {
    "device-pending": Shape(
        "portal: the person has not agreed yet",
        400,
        {"error": "authorization_pending", "error_description": "The authorization request is still pending"},
        operation="token",
    ),
    "token-refresh-invalid": Shape(
        "portal: the refresh token is dead; `error` is a text",
        400,
        {"error": "invalid_request", "error_description": "Invalid refresh token or client_id"},
        operation="token",
    ),
    "token-refresh-ok": Shape(
        "portal: a new pair of tokens",
        200,
        {
            "access_token": "$access",
            "refresh_token": "$refresh",
            "token_type": "Bearer",
            "expires_in": 21600,
            "resource_url": "$resource",
        },
        facts={"access": "SIM-access-token-2", "refresh": "SIM-refresh-token-2", "resource": "portal.qwen.ai"},
        operation="token",
    ),
}

_USAGE = (21, 3, 24)


def _call(call_id: str, function: dict[str, Any]) -> Delta:
    return Delta({"tool_calls": [{"index": 0, "id": call_id, "type": "function", "function": function}]})


_STREAMS: dict[str, Shape] = {
    "stream": stream(
        "end and usage in chunks of their own",
        Delta({"content": "", "role": "assistant"}),
        Delta({"content": "Seo"}),
        Delta({"content": "ul."}),
        Delta({"content": ""}, "stop"),
        Tail(_USAGE),
        DONE,
    ),
    "stream-error": stream(
        "refused in the middle: an error, then nothing, not even an end mark",
        Delta({"content": "", "role": "assistant"}),
        Delta({"content": "Seo"}),
        INSPECTION,
    ),
    "stream-reasoning": stream(
        "reasoning while content is null",
        Delta({"content": None, "role": "assistant", "reasoning_content": ""}),
        Delta({"content": None, "reasoning_content": "A city"}),
        Delta({"content": None, "reasoning_content": " is wanted."}),
        Delta({"content": "Seoul.", "reasoning_content": None}),
        Delta({"content": "", "reasoning_content": None}, "stop"),
        Tail((21, 16, 37, 8)),
        DONE,
    ),
    "stream-tools": stream(
        "a call in pieces; id and name become empty texts, arguments null",
        Delta({"content": None, "role": "assistant"}),
        _call("call_simqwen01", {"name": "get_weather", "arguments": ""}),
        _call("", {"name": "", "arguments": '{"city": '}),
        _call("", {"arguments": '"Seoul"}'}),
        _call("", {"arguments": None}),
        Delta({"content": ""}, "tool_calls"),
        Tail((21, 16, 37, 8)),
        DONE,
    ),
}

_ANSWERS: dict[str, Shape] = {
    "chat": Shape(
        "a plain answer",
        200,
        {
            "choices": [
                {
                    "message": {"role": "assistant", "content": "Seoul."},
                    "finish_reason": "stop",
                    "index": 0,
                    "logprobs": None,
                }
            ],
            "object": "chat.completion",
            "usage": {
                "prompt_tokens": 21,
                "completion_tokens": 3,
                "total_tokens": 24,
                "prompt_tokens_details": {"cached_tokens": 0},
            },
            "created": 1790000000,
            "system_fingerprint": None,
            "model": "$model",
            "id": "chatcmpl-simqwen0",
        },
    ),
}

SHAPES: Mapping[str, Shape] = {**_ERRORS, **_OAUTH, **_ANSWERS, **_STREAMS}
