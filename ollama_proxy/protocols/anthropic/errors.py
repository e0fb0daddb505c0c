"""Owns how an error looks to an Anthropic client, before and inside a stream. Decides nothing about retries.

Shape: {"type": "error", "error": {"type", "message"}, "request_id"}; the words of `type` are Anthropic's (Anthropic
docs, "Errors", read 2026-11).
"""

from __future__ import annotations

import msgspec

from ollama_proxy.errors import ProxyError
from ollama_proxy.hub.retry_headers import retry_headers
from ollama_proxy.types import Headers
from ollama_proxy.wire.ndjson import quote

__all__ = ["error_body", "render_error"]

_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    529: "overloaded_error",
}


def error_body(error: ProxyError, request_id: str) -> bytes:
    """The JSON object for this error, on one line."""
    return b'{"type":"error","error":{"type":%b,"message":%b},"request_id":%b}' % (
        msgspec.json.encode(_type_of(error.status)),
        quote(error.message),
        quote(request_id),
    )


def render_error(error: ProxyError, request_id: str) -> tuple[int, Headers, bytes]:
    """Status, headers and body of an answer that has not begun."""
    headers: Headers = [(b"content-type", b"application/json"), *retry_headers(error)]
    return error.status, headers, error_body(error, request_id)


def _type_of(status: int) -> str:
    known = _TYPES.get(status)
    if known is not None:
        return known
    return "invalid_request_error" if 400 <= status < 500 else "api_error"
