"""Owns how newline-delimited JSON is written and cut. Knows nothing about what is in it.

Written the way Go's encoding/json does (what Ollama's clients were built against): <, >, & and U+2028, U+2029 are
escaped. U+0085 is escaped as well: httpx, and so every Python client on it, splits lines there (seen 2026-11).
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

__all__ = ["MAX_LINE", "LineTooLarge", "Lines", "encode_line", "quote"]

#: Bytes of one line; as for an SSE frame.
MAX_LINE = 8 * 1024 * 1024

_encode = msgspec.json.Encoder().encode
# In JSON these bytes stand only inside strings, so they may be replaced without looking at the structure.
_ESCAPES = {
    b"<": rb"\u003c",
    b">": rb"\u003e",
    b"&": rb"\u0026",
    "\u2028".encode(): rb"\u2028",
    "\u2029".encode(): rb"\u2029",
    "\u0085".encode(): rb"\u0085",
}
_ESCAPED = re.compile(b"|".join(_ESCAPES))


class LineTooLarge(ValueError):
    """A line is over the limit."""


class Lines:
    """Cuts a byte stream into lines, in linear time, wherever the stream was cut before."""

    __slots__ = ("_limit", "_parts", "_size")

    def __init__(self, limit: int = MAX_LINE) -> None:
        self._limit = limit
        self._parts: list[bytes] = []
        self._size = 0

    def feed(self, data: bytes) -> list[bytes]:
        """Complete lines without their LF or CRLF; blank ones are left out.

        Raises: LineTooLarge.
        """
        lines = data.split(b"\n")
        rest = lines.pop()
        if lines and self._parts:
            lines[0] = b"".join([*self._parts, lines[0]])
            self._parts = []
            self._size = 0
        if rest:
            self._parts.append(rest)
            self._size += len(rest)
        if self._size > self._limit or any(len(line) > self._limit for line in lines):
            raise LineTooLarge(f"a line is larger than {self._limit} bytes")
        return [stripped for line in lines if (stripped := line.removesuffix(b"\r")).strip()]

    def finish(self) -> bytes | None:
        """What is left without a newline at the end of the stream; None for nothing."""
        rest = b"".join(self._parts)
        self._parts = []
        self._size = 0
        return rest if rest.strip() else None


def encode_line(obj: Any) -> bytes:
    """`obj` (plain Python values, msgspec.Raw allowed) as one line of JSON with its newline."""
    try:
        line = _encode(obj)
    except UnicodeEncodeError:
        line = _encode(_clean(obj))
    return _escape(line) + b"\n"


def quote(text: str) -> bytes:
    """A JSON string literal, quotes included; lone surrogates become U+FFFD."""
    try:
        literal = _encode(text)
    except UnicodeEncodeError:
        literal = _encode(_whole_characters(text))
    if text.isascii() and "<" not in text and ">" not in text and "&" not in text:
        return literal
    return _escape(literal)


def _escape(json: bytes) -> bytes:
    if _ESCAPED.search(json) is None:
        return json
    return _ESCAPED.sub(lambda match: _ESCAPES[match[0]], json)


def _whole_characters(text: str) -> str:
    """The text with surrogate pairs joined and lone halves replaced."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _clean(obj: Any) -> Any:
    if isinstance(obj, str):
        return _whole_characters(obj)
    if isinstance(obj, dict):
        return {_clean(key): _clean(value) for key, value in obj.items()}
    if isinstance(obj, (list, tuple)):
        return [_clean(value) for value in obj]
    return obj
