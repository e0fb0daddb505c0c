"""Owns one request and its answer: the object a handler talks to. Knows no socket and no parser.

An answer is either `respond` (whole) or `start`, `write`…, `end` (streamed). What `start` is given waits for the first
`write` and leaves with it in one piece. Once the answer is complete, or the client is gone, or `abort` was called, the
exchange lets go of its connection: `finished` is true and every later call does nothing.

Framing (RFC 9112 §6): HTTP/1.1 streams are chunked, HTTP/1.0 streams end with the connection. HEAD, 204 and 304 have no
body (RFC 9110 §9.3.2, §15.3.5, §15.4.5).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from ollama_proxy.http1.head import Headers, render_head
from ollama_proxy.http1.server_request import Request

__all__ = ["Connection", "Exchange", "render_answer"]

#: A body above this is written by itself: copying it behind its head would cost more than a second write.
_JOIN_BYTES = 65536

# How a started answer is framed.
_UNSTARTED, _CHUNKED, _UNTIL_CLOSE, _BODILESS = range(4)


class Connection(Protocol):
    """What an exchange needs of the connection below it."""

    def write(self, data: bytes) -> None:
        """Bytes to the client, in order."""

    def answered(self, exchange: Exchange) -> None:
        """The answer is complete and all of it was given to `write`."""

    def cut(self, *, reset: bool) -> None:
        """The answer ends in the middle. `reset`: by RST, where an orderly close would look like its end."""


def _connection_field(request: Request | None, keep_alive: bool) -> bytes:
    if not keep_alive:
        return b"Connection: close\r\n"
    # HTTP/1.0 closes unless both sides say otherwise (RFC 9112 §9.3); 1.1 is silent.
    return b"Connection: keep-alive\r\n" if request is not None and request.http_version == "1.0" else b""


def render_answer(
    request: Request | None, status: int, headers: Headers, body: bytes, *, keep_alive: bool
) -> tuple[bytes, bytes]:
    """Head and body of a whole answer. The body is empty where HTTP has none; its length is still told for HEAD."""
    framing = _connection_field(request, keep_alive)
    if status in (204, 304):
        body = b""
    else:
        framing = b"Content-Length: %d\r\n%b" % (len(body), framing)
        if request is not None and request.method == "HEAD":
            body = b""
    return render_head(status, headers, framing, time.time()), body


class Exchange:
    """One request with its body, and the way to answer it.

    For the handler: `request`, `body`, `on_gone`, `on_flow`, `finished`, `respond`, `start`, `write`, `end`, `abort`.
    Callbacks may come from inside a `write`. Content-Length, Transfer-Encoding, Connection and Date are set here: do
    not pass them. The rest of the attributes is the connection's.
    """

    __slots__ = (
        "_connection",
        "_framing",
        "_held",
        "announced",
        "body",
        "complete",
        "expects",
        "handed",
        "keep_alive",
        "on_flow",
        "on_gone",
        "parts",
        "received",
        "request",
    )

    def __init__(self, connection: Connection, request: Request, keep_alive: bool) -> None:
        self._connection: Connection | None = connection
        self._framing = _UNSTARTED
        self._held: tuple[int, Headers] | None = None
        self.request = request
        #: The whole body as it came, no Content-Encoding undone.
        self.body = b""
        #: The client left before the answer was complete. Called once at most, and never after `finished`.
        self.on_gone: Callable[[], None] | None = None
        #: True: stop producing, the client reads too slowly. False: go on.
        self.on_flow: Callable[[bool], None] | None = None

        headers = request.headers
        self.keep_alive = keep_alive
        #: Bytes the head announced; -1: chunked.
        self.announced = -1 if b"transfer-encoding" in headers else int(headers.get(b"content-length", b"0"))
        #: The client waits for `100 Continue` (RFC 9110 §10.1.1; there is none in HTTP/1.0).
        self.expects = b"expect" in headers and request.http_version == "1.1"
        self.received = 0
        #: The body while it comes in more than one piece: one buffer, so that tiny chunks cost no object each.
        self.parts: bytearray | None = None
        #: The whole request is here.
        self.complete = False
        #: The handler has it.
        self.handed = False

    @property
    def finished(self) -> bool:
        """The answer is complete, or there is nobody to answer: every later call does nothing."""
        return self._connection is None

    def respond(self, status: int, headers: Headers, body: bytes = b"") -> None:
        """Send a whole answer. Raises ValueError on a line break in a header, RuntimeError after `start`."""
        connection = self._connection
        if connection is None:
            return
        if self._framing or self._held is not None:
            raise RuntimeError("respond() after start()")
        head, body = render_answer(self.request, status, headers, body, keep_alive=self.keep_alive)
        self.let_go()
        if len(body) <= _JOIN_BYTES:
            connection.write(head + body)
        else:
            connection.write(head)
            connection.write(body)
        connection.answered(self)

    def start(self, status: int, headers: Headers) -> None:
        """Begin a streamed answer. Nothing leaves before the first `write` (or `end`)."""
        if self._connection is None:
            return
        if self._framing or self._held is not None:
            raise RuntimeError("start() twice")
        self._held = (status, headers)

    def write(self, data: bytes) -> None:
        """Send one piece at once. An empty one is nothing at all: it neither ends the answer nor lets its head go.

        Raises RuntimeError before `start`, ValueError on a line break in a header given to `start`.
        """
        connection = self._connection
        if connection is None or not data:
            return
        head = self._open() if self._held is not None else b""
        if self._framing == _CHUNKED:
            connection.write(b"%b%x\r\n%b\r\n" % (head, len(data), data))
        elif self._framing == _UNTIL_CLOSE:
            connection.write(head + data)
        elif self._framing == _UNSTARTED:
            raise RuntimeError("write() before start()")
        elif head:
            connection.write(head)

    def end(self) -> None:
        """Complete a streamed answer. Without a single `write` it becomes a whole answer with an empty body."""
        connection = self._connection
        if connection is None:
            return
        tail = b""
        if self._held is not None:
            if self.request.method != "HEAD":
                (status, headers), self._held = self._held, None
                self.respond(status, headers)
                return
            tail = self._open()
        elif self._framing == _UNSTARTED:
            raise RuntimeError("end() before start()")
        if self._framing == _CHUNKED:
            tail += b"0\r\n\r\n"
        self.let_go()
        if tail:
            connection.write(tail)
        connection.answered(self)

    def abort(self) -> None:
        """Break the answer off so that no client takes it for complete. What was written before still leaves, where
        the framing shows the cut (HTTP/1.1); an HTTP/1.0 stream is reset. `on_gone` is not called.
        """
        connection = self._connection
        if connection is None:
            return
        reset = self._framing == _UNTIL_CLOSE
        self.let_go()
        connection.cut(reset=reset)

    def _open(self) -> bytes:
        """The head that `start` left behind, made now: whether the connection stays open may have changed since."""
        assert self._held is not None
        status, headers = self._held
        head_only = self.request.method == "HEAD"
        if status in (204, 304):
            framing, field = _BODILESS, b""
        elif self.request.http_version == "1.1":
            framing, field = (_BODILESS if head_only else _CHUNKED), b"Transfer-Encoding: chunked\r\n"
        else:
            framing, field = (_BODILESS if head_only else _UNTIL_CLOSE), b""
            self.keep_alive = self.keep_alive and head_only
        head = render_head(status, headers, field + _connection_field(self.request, self.keep_alive), time.time())
        self._held, self._framing = None, framing
        return head

    # --- for the connection ---

    @property
    def untouched(self) -> bool:
        """No byte of the answer has left: another one may still be sent in its place."""
        return self._framing == _UNSTARTED

    @property
    def ends_with_connection(self) -> bool:
        """An orderly close would look like a complete answer."""
        return self._framing == _UNTIL_CLOSE

    def let_go(self) -> None:
        """Finished: forget the connection and the handler's callbacks, so that neither is kept alive from here."""
        self._connection = None
        self.on_gone = self.on_flow = None

    def gone(self) -> None:
        """The client left: finished, and the handler is told."""
        on_gone = self.on_gone
        self.let_go()
        if on_gone is not None:
            on_gone()

    def take(self, piece: bytes) -> None:
        """One more piece of the body."""
        if self.received == 0:
            self.body = piece
        else:
            if self.parts is None:
                self.parts = bytearray(self.body)
            self.parts += piece
        self.received += len(piece)

    def close_body(self) -> None:
        """The request is whole."""
        if self.parts is not None:
            self.body = bytes(self.parts)
            self.parts = None
        self.complete = True
