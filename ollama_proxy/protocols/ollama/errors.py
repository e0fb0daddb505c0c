"""Owns how an error is told on /api: `{"error":"<text>"}`, always a string. Knows no endpoint.

An upstream's 401, 402 or 403 would mean "your token" to a client (the ollama CLI says "sign in", VS Code resets the
user's GitHub token), so such a status becomes 502 here whatever came before.
"""

from __future__ import annotations

from ollama_proxy.errors import ClientError, Forbidden, ProxyError, UnknownRoute, WrongMethod
from ollama_proxy.hub.retry_headers import retry_headers
from ollama_proxy.types import Headers
from ollama_proxy.wire.ndjson import quote

__all__ = ["JSON", "NDJSON", "PLAIN_JSON", "error_line", "render_error"]

JSON = b"application/json; charset=utf-8"
#: Where a stream was asked for and something else is sent, Ollama leaves the charset out.
PLAIN_JSON = b"application/json"
NDJSON = b"application/x-ndjson"
_TEXT = b"text/plain"
_OURS_ALONE = (401, 402, 403)


def render_error(error: ProxyError, *, instead_of_stream: bool = False) -> tuple[int, Headers, bytes]:
    """Status, headers and body of an error on /api.

    instead_of_stream: the answer was to be a stream, and the error came once the request had been accepted.
    """
    if isinstance(error, Forbidden):
        return error.status, [], b""
    if isinstance(error, UnknownRoute):
        return error.status, [(b"content-type", _TEXT)], b"404 page not found"
    if isinstance(error, WrongMethod):
        return error.status, [(b"content-type", _TEXT), (b"allow", error.allow.encode())], b"405 method not allowed"
    plain = instead_of_stream and not isinstance(error, ClientError)
    headers: Headers = [(b"content-type", PLAIN_JSON if plain else JSON), *retry_headers(error)]
    return _status(error), headers, error_line(error)[:-1]


def error_line(error: ProxyError) -> bytes:
    """The error as one line of a stream that has begun; nothing follows it."""
    return b'{"error":%b}\n' % quote(error.message or "unknown error")


def _status(error: ProxyError) -> int:
    return 502 if error.status in _OURS_ALONE and not isinstance(error, ClientError) else error.status
