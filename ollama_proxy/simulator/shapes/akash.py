"""Owns the recorded answers of Akash: of AkashML (vLLM behind a router) and of the older gateway (LiteLLM).

Rules: AkashML's documentation and BerriAI/litellm, read 2026-11. Texts and ids are invented.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ollama_proxy.simulator.events import DONE, Delta, Tail
from ollama_proxy.simulator.shapes.base import Shape, stream

__all__ = ["SHAPES", "error_value"]


def error_value(code: int, message: str, kind: str = "invalid_request_error") -> dict[str, Any]:
    """The body of an error (OpenAI's shape with a numeric code; AkashML documents none)."""
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def _litellm(says: str, code: int, message: str, kind: str, param: str) -> Shape:
    return Shape(says, code, {"error": {"message": message, "type": kind, "param": param, "code": str(code)}})


_ERRORS: dict[str, Shape] = {
    "200-html": Shape(
        "a web page where JSON was asked for",
        200,
        "<!DOCTYPE html><html><head><title>One moment...</title></head><body>simulated page</body></html>",
        media="text/html; charset=UTF-8",
    ),
    "400-context": Shape(
        "the prompt is longer than the model's window",
        400,
        {
            "object": "error",
            "message": "This model's maximum context length is 131072 tokens. However, you requested 150020 "
            "tokens in the "
            "messages. Please reduce the length of the messages.",
            "type": "BadRequestError",
            "param": None,
            "code": 400,
        },
    ),
    "402": Shape("the credit is used up", 402, error_value(402, "Insufficient credits", "insufficient_credits")),
    "404-model": Shape("no such model", 404, error_value(404, "The model `$model` does not exist.", "NotFoundError")),
    "429": Shape(
        "this key is too fast",
        429,
        error_value(429, "Rate limit exceeded for this API key (RPM). Please retry later.", "rate_limit_error"),
    ),
    "429-litellm": _litellm(
        "no capacity for the model; the key is fine",
        429,
        "No deployments available for selected model, Try again in 60 seconds. Passed model=$model. "
        "pre-call-checks=False, cooldown_list=[]",
        "None",
        "None",
    ),
    "502": Shape(
        "the ingress answers with a web page",
        502,
        "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad "
        "Gateway</h1></center>\r\n"
        "<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n",
        media="text/html",
    ),
    "529": Shape("no healthy backend", 529, error_value(529, "No healthy backends available", "overloaded_error")),
    "bad-key": Shape("the key is not valid", 401, error_value(401, "Invalid API key", "authentication_error")),
    "bad-key-litellm": _litellm(
        "the key is not valid (older gateway): code and param are strings",
        401,
        "Authentication Error, Invalid proxy server token passed. Received API Key = sk-...sims, Key "
        "Hash (Token) =sim0. "
        "Unable to find token in cache or `LiteLLM_VerificationTokenTable`",
        "token_not_found_in_db",
        "key",
    ),
}

_MESSAGE: dict[str, Any] = {
    "role": "assistant",
    "content": "Seoul.",
    "refusal": None,
    "annotations": None,
    "audio": None,
    "function_call": None,
    "tool_calls": [],
    "reasoning_content": None,
}
_USAGE = (40, 5, 45)
_START = Delta({"role": "assistant", "content": ""})


def _call(call: dict[str, Any]) -> Delta:
    return Delta({"tool_calls": [call]})


_ANSWERS: dict[str, Shape] = {
    "chat": Shape(
        "a plain answer with an empty list of tool calls",
        200,
        {
            "id": "chatcmpl-simakash0",
            "object": "chat.completion",
            "created": 1790000000,
            "model": "$model",
            "choices": [
                {"index": 0, "message": _MESSAGE, "logprobs": None, "finish_reason": "stop", "stop_reason": None}
            ],
            "service_tier": None,
            "system_fingerprint": None,
            "usage": {"prompt_tokens": 40, "total_tokens": 45, "completion_tokens": 5, "prompt_tokens_details": None},
            "prompt_logprobs": None,
            "kv_transfer_params": None,
        },
        headers=(("inference-id", "sim-inf-1"),),
    ),
    "models-litellm": Shape(
        "the older gateway's list: ids and nothing else",
        200,
        {
            "data": [
                {"id": name, "object": "model", "created": 1677610602, "owned_by": "openai"}
                for name in ("DeepSeek-V3-1", "Meta-Llama-3-3-70B-Instruct", "BAAI-bge-large-en-v1-5")
            ],
            "object": "list",
        },
        operation="models",
    ),
}

_STREAMS: dict[str, Shape] = {
    "stream": stream(
        "vLLM's chunks, usage in a chunk without choices",
        _START,
        Delta({"content": "Seo"}),
        Delta({"content": "ul."}),
        Delta({"content": ""}, "stop"),
        Tail(_USAGE),
        DONE,
    ),
    "stream-reasoning": stream(
        "reasoning in its own field",
        _START,
        Delta({"reasoning_content": "A city"}),
        Delta({"reasoning_content": " is wanted."}),
        Delta({"content": "\n\nSeoul."}),
        Delta({"content": ""}, "stop"),
        Tail((40, 9, 49, 4)),
        DONE,
    ),
    "stream-think-tags": stream(
        "no reasoning parser at the server: tags inline, and cut",
        _START,
        Delta({"content": "<th"}),
        Delta({"content": "ink>\nwe"}),
        Delta({"content": "ll\n</thi"}),
        Delta({"content": "nk>\n\nSeoul."}),
        Delta({}, "stop"),
        DONE,
    ),
    "stream-tools": stream(
        "a call in pieces: first without arguments, then without id",
        _START,
        _call({"id": "chatcmpl-tool-sim1", "type": "function", "index": 0, "function": {"name": "get_weather"}}),
        _call({"index": 0, "function": {"arguments": '{"city": "'}}),
        _call({"index": 0, "function": {"arguments": "Seoul"}}),
        _call({"index": 0, "function": {"arguments": '"}'}}),
        Delta({"content": ""}, "tool_calls"),
        Tail(_USAGE),
        DONE,
    ),
}

SHAPES: Mapping[str, Shape] = {**_ERRORS, **_ANSWERS, **_STREAMS}
