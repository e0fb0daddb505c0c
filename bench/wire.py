"""Reading an answer and judging whether every chunk of it came: just enough HTTP/1.1, nothing about proxies or time.

Bytes in, verdict out; no sockets. The chunks are the fake provider's: "w<answer, 8 digits>.<chunk, 5 digits> ".
Framing is taken off first, so a proxy may cut and pack the bytes as it likes (RFC 9112, sections 6 and 7).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

__all__ = ["Answer", "build_request"]

_WORD = re.compile(rb"w(\d{8}\.\d{5}) ")
_WORD_LENGTH = 16
_FIELD = re.compile(rb"\r\n(content-length|transfer-encoding|connection):[ \t]*([^\r]*)", re.IGNORECASE)


def build_request(port: int, path: str, headers: Mapping[str, str], body: bytes) -> bytes:
    """A whole POST as bytes, ready to be sent any number of times."""
    head = [f"POST {path} HTTP/1.1", f"Host: 127.0.0.1:{port}", "Content-Type: application/json", "Accept: */*"]
    head += [f"{name}: {value}" for name, value in headers.items()]
    head.append(f"Content-Length: {len(body)}")
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


class _Body:
    """Takes the framing off a response body: chunked, of known length, or everything until the connection ends."""

    __slots__ = ("_chunked", "_left", "_pending", "_skip", "_trailers", "complete", "ends_with_connection")

    def __init__(self, length: int | None, *, chunked: bool) -> None:
        self._chunked = chunked
        self.ends_with_connection = length is None and not chunked
        self.complete = length == 0 and not chunked
        self._left = 0 if chunked else (length or 0)
        self._skip = 0  # bytes of the line end after a chunk
        self._trailers = False
        self._pending = b""

    def feed(self, data: bytes) -> bytes:
        if self._chunked:
            return self._feed_chunked(data)
        if not self.ends_with_connection:
            self._left -= len(data)
            self.complete = self._left <= 0
        return data

    def _feed_chunked(self, data: bytes) -> bytes:
        if self._pending:
            data = self._pending + data
            self._pending = b""
        found: list[bytes] = []
        at = 0
        while at < len(data) and not self.complete:
            if self._left:
                piece = data[at : at + self._left]
                found.append(piece)
                at += len(piece)
                self._left -= len(piece)
                self._skip = 0 if self._left else 2
            elif self._skip:
                step = min(self._skip, len(data) - at)
                at += step
                self._skip -= step
            else:
                at = self._read_line(data, at)
        return found[0] if len(found) == 1 else b"".join(found)

    def _read_line(self, data: bytes, at: int) -> int:
        """A chunk's size, or a trailer line after the last chunk; returns where the next thing begins."""
        end = data.find(b"\r\n", at)
        if end < 0:
            self._pending = data[at:]
            return len(data)
        if self._trailers:
            self.complete = end == at
        else:
            self._left = int(data[at:end].partition(b";")[0], 16)
            self._trailers = self._left == 0
        return end + 2


class Answer:
    """One answer as it comes in.

    `fault` says in a few words what is wrong with it, None while all is well; `chunks` counts content chunks in order;
    `complete` is true once HTTP says that the answer is over; `answer_id` is the provider's number of it.
    """

    __slots__ = (
        "_body", "_head", "_mark", "_marked", "_tail",
        "answer_id", "chunks", "complete", "fault", "keep_alive", "wanted",
    )  # fmt: skip

    def __init__(self, wanted: int, end_mark: bytes) -> None:
        self.wanted = wanted
        self.chunks = 0
        self.fault: str | None = None
        self.complete = False
        self.keep_alive = True
        self.answer_id = b""
        self._mark = end_mark
        self._marked = not end_mark
        self._head = b""
        self._body: _Body | None = None
        self._tail = b""

    def feed(self, data: bytes) -> None:
        """Takes bytes from the socket."""
        if self._body is None:
            self._head += data
            head, found, data = self._head.partition(b"\r\n\r\n")
            if not found:
                return
            self._body = self._read_head(head)
        payload = self._body.feed(data)
        if payload:
            self._read_words(payload)
        if self._body.complete:
            self._finish()

    def connection_lost(self) -> None:
        """The connection ended: for a body without framing that is its end, else a fault."""
        self.keep_alive = False
        if self.complete:
            return
        if self._body is None or not self._body.ends_with_connection:
            self._blame("cut off")
        self._finish()

    def _read_head(self, head: bytes) -> _Body:
        fields = {name.lower(): value.strip().lower() for name, value in _FIELD.findall(head)}
        version, _, rest = head.partition(b" ")
        if rest[:3] != b"200":
            self._blame(f"status {rest[:3].decode('latin-1')}")
        chunked = fields.get(b"transfer-encoding") == b"chunked"
        length = int(fields[b"content-length"]) if b"content-length" in fields else None
        framed = chunked or length is not None
        self.keep_alive = framed and version == b"HTTP/1.1" and fields.get(b"connection") != b"close"
        return _Body(length, chunked=chunked)

    def _read_words(self, payload: bytes) -> None:
        text = self._tail + payload
        words: list[bytes] = _WORD.findall(text)
        if not self._marked and self._mark in text:
            self._marked = True
        if words and self.fault is None:
            self._check(words)
        # A word or mark may be cut: the end is looked at again with what follows, without any word already counted.
        keep_from = text.rfind(words[-1]) + _WORD_LENGTH - 1 if words else 0
        self._tail = text[max(keep_from, len(text) - _WORD_LENGTH - 16) :]

    def _check(self, words: list[bytes]) -> None:
        if not self.answer_id:
            self.answer_id = words[0][:8]
        for word in words:
            if word[:8] != self.answer_id:
                return self._blame("mixed with another answer")
            number = int(word[9:])
            if number != self.chunks:
                return self._blame("chunk lost" if number > self.chunks else "chunk doubled or out of order")
            self.chunks += 1
        return None

    def _finish(self) -> None:
        self.complete = True
        if self.chunks < self.wanted:
            self._blame("ended early")
        elif self.chunks > self.wanted:
            self._blame("too many chunks")
        elif not self._marked:
            self._blame("no end mark")

    def _blame(self, fault: str) -> None:
        self.fault = self.fault or fault
