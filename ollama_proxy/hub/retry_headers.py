"""Owns the headers that tell a client's SDK whether and when another try makes sense. Knows no body shape."""

from __future__ import annotations

from ollama_proxy.errors import ProxyError
from ollama_proxy.types import Headers

__all__ = ["retry_headers"]


def retry_headers(error: ProxyError) -> Headers:
    """`retry-after`, `retry-after-ms` and `x-should-retry`, as far as the error knows."""
    headers: Headers = []
    if error.retry_after_s is not None:
        headers.append((b"retry-after", b"%d" % error.retry_after_s))
        headers.append((b"retry-after-ms", b"%d" % (error.retry_after_s * 1000)))
    if error.hopeless:
        headers.append((b"x-should-retry", b"false"))
    return headers
