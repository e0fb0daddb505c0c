"""Owns how server-sent events are cut out of a byte stream. Knows nothing about what is in them.

Rules: WHATWG HTML Living Standard, "Server-sent events", 9.2.5 (parsing) and 9.2.6 (interpreting), read 2026-11.
A frame is everything up to and including the blank line that ends an event. Frames keep their bytes exactly, so that
a relay can pass them on; only a byte order mark at the very start is dropped, as the standard says.
Line ends are LF, CRLF and CR, and nothing else: U+2028, U+0085, VT and FF are ordinary text.
"""

from __future__ import annotations

import re

__all__ = ["MAX_FRAME", "FrameTooLarge", "Frames", "event_of"]

#: Bytes of one frame. A 7 MB line (an image as base64) is real; beyond 8 MB somebody forgot to end a line.
MAX_FRAME = 8 * 1024 * 1024

_BOM = b"\xef\xbb\xbf"
# Two line ends in a row. A CR that is the last byte so far may be half of a CRLF, so nothing is decided on it.
_BLANK = re.compile(rb"(?:\r\n|\n|\r(?!\n))(?:\r\n|\n|\r(?=[^\n]))")
_LINE_END = re.compile(rb"\r\n|\n|\r")


class FrameTooLarge(ValueError):
    """A frame is over the limit."""


class Frames:
    """Cuts a byte stream into raw frames, in linear time, wherever the stream was cut before."""

    __slots__ = ("_buffer", "_head", "_limit", "_refused", "_scanned", "_sees_cr")

    def __init__(self, limit: int = MAX_FRAME) -> None:
        self._limit = limit
        self._buffer = bytearray()
        self._scanned = 0  # no blank line starts before this offset of the buffer
        self._sees_cr = False
        self._head: bytes | None = b""  # the first bytes, until they cannot be a BOM any more; then None
        self._refused = False

    def feed(self, data: bytes) -> list[bytes]:
        """Complete raw frames, each with its own blank line; [] when none is complete.

        Raises: FrameTooLarge; frames that were complete before the large one are returned first.
        """
        if self._refused:
            raise FrameTooLarge(f"an event is larger than {self._limit} bytes")
        if self._head is not None:
            data = self._without_bom(data)
        return self._cut(data)

    def lone(self, data: bytes) -> bytes | None:
        """The data of `data` where that is one whole plain frame (`data: ...` and a blank line) and nothing is pending.

        What nearly every read of a live stream is, told at the price of a few counts. None means: call `feed`.
        """
        if self._buffer or self._head is not None or not data.startswith(b"data: ") or len(data) > self._limit:
            return None
        if data.endswith(b"\n\n"):
            return data[6:-2] if data.count(b"\n") == 2 and b"\r" not in data else None
        if data.endswith(b"\r\n\r\n") and data.count(b"\n") == 2 and data.count(b"\r") == 2:
            return data[6:-4]
        return None

    def finish(self) -> bytes | None:
        """What is left without a blank line at the end of the stream; None for nothing but line ends.

        Raises: FrameTooLarge.
        """
        if self._refused:
            raise FrameTooLarge(f"an event is larger than {self._limit} bytes")
        rest = (self._head or b"") + bytes(self._buffer)
        self._buffer.clear()
        self._head = None
        self._scanned = 0
        return rest if rest.strip(b"\r\n") else None

    def _without_bom(self, data: bytes) -> bytes:
        head = (self._head or b"") + data
        if len(head) < len(_BOM) and _BOM.startswith(head):
            self._head = head
            return b""
        self._head = None
        return head.removeprefix(_BOM)

    def _cut(self, data: bytes) -> list[bytes]:
        if not self._sees_cr and b"\r" in data:
            self._sees_cr = True
        buffer = self._buffer
        if not buffer:
            whole = data
        else:
            buffer += data
            if not self._has_blank():
                self._scanned = max(0, len(buffer) - 3)
                return self._within_limit([])
            whole = bytes(buffer)
        frames, rest = _split_any(whole) if self._sees_cr else _split_lf(whole)
        self._buffer = bytearray(rest)
        # A blank line is at most four bytes, so it may have begun in the last three.
        self._scanned = max(0, len(rest) - 3)
        return self._within_limit(frames)

    def _has_blank(self) -> bool:
        if self._sees_cr:
            return _BLANK.search(self._buffer, self._scanned) is not None
        return self._buffer.find(b"\n\n", self._scanned) >= 0

    def _within_limit(self, frames: list[bytes]) -> list[bytes]:
        good = frames
        if sum(map(len, frames)) > self._limit:
            for position, frame in enumerate(frames):
                if len(frame) > self._limit:
                    good = frames[:position]
                    self._refused = True
                    break
        self._refused = self._refused or len(self._buffer) > self._limit
        if self._refused:
            self._buffer = bytearray()
            if not good:
                raise FrameTooLarge(f"an event is larger than {self._limit} bytes")
        return good


def _split_lf(whole: bytes) -> tuple[list[bytes], bytes]:
    parts = whole.split(b"\n\n")
    rest = parts.pop()
    return [part + b"\n\n" for part in parts], rest


def _split_any(whole: bytes) -> tuple[list[bytes], bytes]:
    frames = []
    start = 0
    for blank in _BLANK.finditer(whole):
        frames.append(whole[start : blank.end()])
        start = blank.end()
    return frames, whole[start:]


def event_of(frame: bytes) -> tuple[bytes, bytes] | None:
    """(event name, data) of a raw frame; None when it has no data (a comment, an id, a blank line).

    Several data lines are joined by LF, the name is `message` unless the frame says otherwise; comments, `id`, `retry`
    and unknown fields mean nothing here. The blank line at the end may be missing.
    """
    if frame.startswith(b"data: "):
        if frame.endswith(b"\n\n") and frame.count(b"\n") == 2 and b"\r" not in frame:
            return b"message", frame[6:-2]
        if frame.endswith(b"\r\n\r\n") and frame.count(b"\n") == 2 and frame.count(b"\r") == 2:
            return b"message", frame[6:-4]
    return _event_of_lines(_LINE_END.split(frame))


def _event_of_lines(lines: list[bytes]) -> tuple[bytes, bytes] | None:
    name = b""
    data: list[bytes] = []
    for line in lines:
        field, _, value = line.partition(b":")
        if field == b"data":
            data.append(value.removeprefix(b" "))
        elif field == b"event":
            name = value.removeprefix(b" ")
    if not data:
        return None
    return name or b"message", b"\n".join(data)
