"""Owns how a request is read and how the head of an answer is written: HTTP/1.1 on httptools. Knows no provider.

A request is handed on when its whole body is there. The limits only keep a mistaken client from filling the memory.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import parse_qsl, unquote

import httptools

__all__ = ["CONTINUE", "Refused", "Request", "RequestReader", "head"]

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_MAX_HEAD_BYTES = 64 * 1024
_MAX_BODY_BYTES = 64 * 1024 * 1024


class Refused(Exception):
    """Bytes that are no acceptable request; the connection is of no more use."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


@dataclass(frozen=True, slots=True)
class Request:
    """One whole request. Header names are lower-case; repeated fields are joined by a comma."""

    method: str
    path: str
    query: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    version: str = "1.1"
    keep_alive: bool = True


class RequestReader:
    """Bytes in, whole requests out through `on_request`. `on_continue` is called when the client waits for a 100."""

    def __init__(self, on_request: Callable[[Request], None], on_continue: Callable[[], None]) -> None:
        self._on_request = on_request
        self._on_continue = on_continue
        self._parser = httptools.HttpRequestParser(self)
        self._refused: Refused | None = None
        self._begin()

    def feed(self, data: bytes) -> None:
        """Take what came from the socket.

        Raises: Refused, after which nothing more may be fed.
        """
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            # The request is whole and is answered as if no upgrade had been offered; what follows would be no HTTP.
            return
        except httptools.HttpParserError as error:
            raise Refused(400, "This is no HTTP/1.1 request.") from error
        if self._refused is not None:
            raise self._refused

    def _begin(self) -> None:
        self._url = b""
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []
        self._head_bytes = self._body_bytes = 0

    # What httptools calls; an exception raised in these would be wrapped by it, so a refusal is only noted.

    def on_message_begin(self) -> None:
        self._begin()

    def on_url(self, url: bytes) -> None:
        self._url += url
        self._count_head(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count_head(len(name) + len(value))
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        self._headers[key] = f"{self._headers[key]}, {text}" if key in self._headers else text

    def on_headers_complete(self) -> None:
        if self._headers.get("expect", "").lower() == "100-continue":
            self._on_continue()

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        if self._body_bytes > _MAX_BODY_BYTES:
            self._refused = Refused(413, "The body is larger than 64 MiB.")
            return
        self._body.append(body)

    def on_message_complete(self) -> None:
        if self._refused is not None:
            return
        path, _, query = self._url.decode("latin-1").partition("?")
        request = Request(
            method=self._parser.get_method().decode("latin-1"),
            path=unquote(path),
            query=dict(parse_qsl(query, keep_blank_values=True)),
            headers=self._headers,
            body=b"".join(self._body),
            version=self._parser.get_http_version(),
            keep_alive=self._parser.should_keep_alive(),
        )
        self._on_request(request)

    def _count_head(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > _MAX_HEAD_BYTES:
            self._refused = Refused(431, "The header fields are larger than 64 KiB.")


def head(status: int, reason: str, headers: list[tuple[str, str]]) -> bytes:
    """Status line and header fields with the blank line after them."""
    if not reason:
        try:
            reason = HTTPStatus(status).phrase
        except ValueError:
            reason = "Unknown"
    lines = [f"HTTP/1.1 {status} {reason}", *(f"{name}: {value}" for name, value in headers), "", ""]
    return "\r\n".join(lines).encode("latin-1", "replace")
