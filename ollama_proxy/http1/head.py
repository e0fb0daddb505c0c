"""Owns the head of an answer as bytes: status line, Date, the handler's fields, our framing fields.

Knows no connection and no clock: the wall time comes in. Rules: RFC 9112 §4 (status line; a server sends its own
version, HTTP/1.1, whatever the client spoke), RFC 9110 §6.6.1 (Date), §5.5 (no line break inside a field).
"""

from __future__ import annotations

from email.utils import formatdate
from http import HTTPStatus

__all__ = ["Headers", "render_head"]

Headers = list[tuple[bytes, bytes]]

_PHRASES = {status.value: status.phrase.encode() for status in HTTPStatus}


class _Openings:
    """Status line and Date of each status, made once per second."""

    __slots__ = ("_lines", "_second")

    def __init__(self) -> None:
        self._second = -1
        self._lines: dict[int, bytes] = {}

    def get(self, status: int, wall: float) -> bytes:
        second = int(wall)
        if second != self._second:
            self._second = second
            self._lines.clear()
        line = self._lines.get(status)
        if line is None:
            date = formatdate(second, usegmt=True).encode()
            line = b"HTTP/1.1 %d %b\r\nDate: %b\r\n" % (status, _PHRASES.get(status, b""), date)
            self._lines[status] = line
        return line


_openings = _Openings()


def render_head(status: int, headers: Headers, framing: bytes, wall: float) -> bytes:
    """The whole head, blank line included. `framing`: our own complete field lines, each with its CRLF.

    Raises ValueError when a field holds a line break: the answer would be split in two (RFC 9112 §11.1).
    """
    fields = b"".join([b"%b: %b\r\n" % field for field in headers])
    if fields.count(b"\n") != len(headers) or fields.count(b"\r") != len(headers):
        raise ValueError("a response header holds a line break")
    return b"%b%b%b\r\n" % (_openings.get(status, wall), fields, framing)
