"""Owns recorded answers of further OpenAI-compatible servers. Rules: their documentation and reports, read 2026-11.

Any provider of the simulator can be told to play one of these; their names begin with the server's.
"""

from __future__ import annotations

from collections.abc import Mapping

from ollama_proxy.simulator.shapes.base import Shape

__all__ = ["SHAPES"]

_GROQ_MODEL = "openai/gpt-oss-120b"
_GROQ_TIER = f"model `{_GROQ_MODEL}` in organization `org_sim` service tier `on_demand` on tokens per minute (TPM)"

SHAPES: Mapping[str, Shape] = {
    "cerebras-400-context": Shape(
        "too long a prompt, as a flat error",
        400,
        {
            "message": "Please reduce the length of the messages or completion. Current length is 9100 while "
            "limit is 8192",
            "type": "invalid_request_error",
            "param": "messages",
            "code": "context_length_exceeded",
            "id": "",
        },
    ),
    "deepseek-402": Shape(
        "out of money",
        402,
        {
            "error": {
                "message": "Insufficient Balance",
                "type": "unknown_error",
                "param": None,
                "code": "invalid_request_error",
            }
        },
    ),
    "github-models-410": Shape(
        "a service that has ended", 410, {"error": {"code": "gone", "message": "GitHub Models has been retired"}}
    ),
    "groq-400-tool-use-failed": Shape(
        "the model's tool call could not be read",
        400,
        {
            "error": {
                "message": "Failed to call a function. Please adjust your prompt. See 'failed_generation' for "
                "more details.",
                "type": "invalid_request_error",
                "code": "tool_use_failed",
                "failed_generation": '<function=get_weather>{"city": "Seoul"}</function>',
            }
        },
    ),
    "groq-413": Shape(
        "one request is larger than the minute's tokens",
        413,
        {
            "error": {
                "message": f"Request too large for {_GROQ_TIER}: Limit 8000, Requested 12500, please reduce your "
                "message "
                "size and try again.",
                "type": "tokens",
                "code": "rate_limit_exceeded",
            }
        },
    ),
    "groq-429": Shape(
        "too many tokens this minute; durations in the headers",
        429,
        {
            "error": {
                "message": f"Rate limit reached for {_GROQ_TIER}: Limit 8000, Used 7900, Requested 1100. Please "
                "try again in "
                "7.66s. Need more tokens? Upgrade to Dev Tier today at https://console.groq.com/settings/billing",
                "type": "tokens",
                "code": "rate_limit_exceeded",
            }
        },
        headers=(
            ("retry-after", "8"),
            ("x-ratelimit-limit-requests", "1000"),
            ("x-ratelimit-remaining-requests", "900"),
            ("x-ratelimit-reset-requests", "2m59.56s"),
            ("x-ratelimit-limit-tokens", "8000"),
            ("x-ratelimit-remaining-tokens", "100"),
            ("x-ratelimit-reset-tokens", "7.66s"),
        ),
    ),
    "llamacpp-400-context": Shape(
        "too long a prompt, with numbers",
        400,
        {
            "error": {
                "code": 400,
                "message": "the request exceeds the available context size, try increasing it",
                "type": "exceed_context_size_error",
                "n_prompt_tokens": 5200,
                "n_ctx": 4096,
            }
        },
    ),
    "lmstudio-string-error": Shape(
        "an error as a text, with status 200", 200, {"error": "Unexpected endpoint or method. (GET /v1/sim)"}
    ),
    "nim-400-degraded": Shape(
        "a sick deployment, said as a 400",
        400,
        {
            "status": 400,
            "title": "Bad Request",
            "detail": "Function id '51051051-0510-5105-1051-051051051051': DEGRADED function cannot be invoked",
        },
        media="application/problem+json",
    ),
    "nim-400-single-tool": Shape(
        "one tool call at a time",
        400,
        {
            "object": "error",
            "message": "This model only supports single tool-calls at once!",
            "type": "BadRequestError",
            "param": None,
            "code": 400,
        },
    ),
    "ollama-cloud-429": Shape(
        "the session's allowance is used up; the error is a text",
        429,
        {
            "error": "you (simulated) have reached your session usage limit, upgrade for higher limits: "
            "https://ollama.com/upgrade"
        },
    ),
    "openai-429-quota": Shape(
        "no money left, said as a 429",
        429,
        {
            "error": {
                "message": "You exceeded your current quota, please check your plan and billing details.",
                "type": "insufficient_quota",
                "param": None,
                "code": "insufficient_quota",
            }
        },
    ),
    "together-models": Shape(
        "a list of models that is a bare array",
        200,
        [
            {
                "id": "meta-llama/Llama-3.3-70B-Instruct-Turbo",
                "object": "model",
                "created": 0,
                "type": "chat",
                "display_name": "Llama 3.3 70B",
                "context_length": 131072,
                "pricing": {"input": 0.88, "output": 0.88},
            }
        ],
        operation="models",
    ),
    "vllm-models": Shape(
        "vLLM's list of models",
        200,
        {
            "object": "list",
            "data": [
                {
                    "id": "Qwen/Qwen3-8B",
                    "object": "model",
                    "created": 1790000000,
                    "owned_by": "vllm",
                    "root": "Qwen/Qwen3-8B",
                    "parent": None,
                    "max_model_len": 40960,
                    "permission": [],
                }
            ],
        },
        operation="models",
    ),
}
