"""Owns how an error looks to an OpenAI client, before and inside a stream. Decides nothing about retries.

Shape: {"error": {"message", "type", "param", "code"}}, all four keys always there (openai-python 3.54 and openai-node
6.49 read them, seen on the wire 2026-11).
"""

from __future__ import annotations

from typing import Any

import msgspec

from ollama_proxy.errors import Overloaded, ProxyError, ShuttingDown
from ollama_proxy.hub.retry_headers import retry_headers
from ollama_proxy.types import Headers

__all__ = ["error_body", "render_error"]

_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout",
    429: "rate_limit_error",
}


def error_body(error: ProxyError, **instead: Any) -> bytes:
    """The JSON object for this error. instead: fields that a face tells otherwise, or beside the usual ones."""
    fields = {
        # A message may quote what a client sent; lone surrogates in it must not break the answer.
        "message": error.message.encode("utf-8", "replace").decode(),
        "type": _type_of(error),
        "param": error.param,
        "code": error.code or None,
    }
    return msgspec.json.encode({"error": {**fields, **instead}})


def render_error(error: ProxyError, **instead: Any) -> tuple[int, Headers, bytes]:
    """Status, headers and body of an answer that has not begun; `instead` as above."""
    headers: Headers = [(b"content-type", b"application/json"), *retry_headers(error)]
    return error.status, headers, error_body(error, **instead)


def _type_of(error: ProxyError) -> str:
    if isinstance(error, (Overloaded, ShuttingDown)):
        return "server_overloaded"
    known = _TYPES.get(error.status)
    if known is not None:
        return known
    return "invalid_request_error" if 400 <= error.status < 500 else "api_error"
