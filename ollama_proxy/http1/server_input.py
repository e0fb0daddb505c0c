"""Owns the way from bytes to requests: the parser, the limits of a head and a body, the first fault.

Sans-IO: knows no socket, no timer and no handler. The connection feeds bytes in portions and takes requests from
`queue`, in order; the last one may still lack (part of) its body and is completed in place. After a `fault`, or a
request that says close, input is `ended`: nothing behind it is ever parsed (RFC 9112 §9.6, §11.2).

Who owns which bytes: llhttp one unfinished field, bounded by `_head_raw` and `_slack`; the exchange its body, bounded
by `max_body_bytes`. A portion is 4 KB, or what an announced body still lacks, so that a burst of pipelined requests
cannot pile up objects: at most 157 fit in.
"""

from __future__ import annotations

from collections import deque
from typing import NoReturn

import httptools

from ollama_proxy.http1.server_exchange import Connection, Exchange
from ollama_proxy.http1.server_request import (
    Field,
    Request,
    ServerLimits,
    merge_fields,
    objection,
    size_of,
    without_upgrade,
)

__all__ = ["PORTION", "Fault", "RequestInput"]

#: What is wrong: with which request (None: its head was not understood), status, message.
Fault = tuple[Request | None, int, str]

PORTION = 4096
#: What chunk sizes, extensions and ends may cost per body byte before they count as abuse (one-byte chunks cost 5).
_CHUNK_COST = 16


class _RefusedError(Exception):
    """Stops the parser from inside a callback; why is in `fault`."""


class RequestInput:
    """The requests of one connection, as they come."""

    __slots__ = (
        "_connection",
        "_fields",
        "_head_raw",
        "_limits",
        "_parser",
        "_peer",
        "_reading",
        "_retry",
        "_slack",
        "_target",
        "ended",
        "fault",
        "in_head",
        "queue",
    )

    def __init__(self, connection: Connection, limits: ServerLimits, peer: str) -> None:
        self._connection = connection
        self._limits = limits
        self._peer = peer
        self._parser = httptools.HttpRequestParser(self)
        #: Requests whose head is known, oldest first.
        self.queue: deque[Exchange] = deque()
        self.fault: Fault | None = None
        #: Nothing more will be parsed.
        self.ended = False
        #: Part of a head is here.
        self.in_head = False
        self._head_raw = 0
        self._target = b""
        self._fields: list[Field] = []
        self._reading: Exchange | None = None
        self._slack = 0
        self._retry = b""

    def portion(self) -> int:
        """How many bytes may be fed at once."""
        reading = self._reading
        return PORTION if reading is None else max(PORTION, reading.announced - reading.received)

    def feed(self, data: bytes) -> bytes:
        """Parse one portion. Returns bytes that have to be fed again, before any others; nearly always none."""
        reading = self._reading
        before = 0 if reading is None else reading.received
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as pause:
            # llhttp takes the rest for another protocol. It is HTTP: read it again, without the offer to upgrade.
            self._parser = httptools.HttpRequestParser(self)
            return self._retry + data[pause.args[0] :]
        except httptools.HttpParserError as error:
            self._garbled(error)
        else:
            if self.in_head:
                self._count_head(len(data))
            elif reading is not None and reading.announced < 0 and reading is self._reading:
                self._count_chunks(reading, len(data) - _CHUNK_COST * (reading.received - before))
        return b""

    def forget(self) -> None:
        """The connection is over: break the circle with the parser, which knows our methods."""
        self.ended = True
        self.queue.clear()
        self._reading = None
        del self._parser, self._connection

    # --- called by the parser ---

    def on_message_begin(self) -> None:
        self.in_head = True
        self._head_raw = 0
        self._target = b""
        # Trailers of the message before are in the old list and go with it: its headers were copied when they were
        # complete (RFC 9110 §6.5.1).
        self._fields = []

    def on_url(self, part: bytes) -> None:
        self._target += part
        most = self._limits.max_target_bytes
        if len(self._target) > most:
            self._refuse(None, 414, f"The request target is too long. At most {most} bytes are accepted.")

    def on_header(self, name: bytes, value: bytes) -> None:
        self._fields.append((name.lower(), value.rstrip()))

    def on_headers_complete(self) -> None:
        parser = self._parser
        fields = self._fields
        self.in_head = False
        method, version = parser.get_method(), parser.get_http_version()
        if parser.should_upgrade() and method != b"CONNECT":
            self._retry = without_upgrade(method, self._target, version, fields)
            return
        headers = self._checked(fields)
        request = Request(method.decode("ascii"), self._target, headers, version, self._peer)
        problem = objection(request, self._limits.max_body_bytes)
        if problem is not None:
            self._refuse(request, *problem)
        self._slack = 0
        self._reading = exchange = Exchange(self._connection, request, parser.should_keep_alive())
        self.queue.append(exchange)

    def on_body(self, piece: bytes) -> None:
        exchange = self._reading
        assert exchange is not None
        exchange.take(piece)
        most = self._limits.max_body_bytes
        if exchange.received > most:
            self._refuse(exchange.request, 413, f"The request body is too large. At most {most} bytes are accepted.")

    def on_message_complete(self) -> None:
        exchange = self._reading
        if exchange is None:
            # The first pass over a head with an upgrade in it.
            return
        self._reading = None
        exchange.close_body()
        if not exchange.keep_alive:
            self.ended = True

    # --- limits and faults ---

    def _checked(self, fields: list[Field]) -> dict[bytes, bytes]:
        limits = self._limits
        # Adding up every field is for heads long enough to be in question: `_head_raw` lacks at most one portion.
        if len(fields) > limits.max_headers or (
            self._head_raw + PORTION > limits.max_header_bytes and size_of(fields) > limits.max_header_bytes
        ):
            self._refuse(None, 431, self._head_too_large())
        headers = dict(fields)
        if len(headers) == len(fields):
            return headers
        merged = merge_fields(fields)
        if isinstance(merged, bytes):
            self._refuse(None, 400, f"The header `{merged.decode('latin-1')}` may be sent only once.")
        return merged

    def _count_head(self, size: int) -> None:
        """A head that is not complete yet: llhttp would collect an endless field without a word."""
        self._head_raw += size
        limits = self._limits
        if self._head_raw > limits.max_header_bytes + limits.max_target_bytes or len(self._fields) > limits.max_headers:
            self._end((None, 431, self._head_too_large()))

    def _head_too_large(self) -> str:
        limits = self._limits
        return (
            "The request headers are too large. "
            f"At most {limits.max_headers} of them, {limits.max_header_bytes} bytes in all, are accepted."
        )

    def _count_chunks(self, exchange: Exchange, overhead: int) -> None:
        """Chunk extensions and trailers bring no body byte, and llhttp would collect an endless trailer too."""
        self._slack = max(0, self._slack + overhead)
        if self._slack > self._limits.max_header_bytes:
            self._end((exchange.request, 400, "The chunked body holds too little data for its size."))

    def _refuse(self, request: Request | None, status: int, message: str) -> NoReturn:
        """From inside a callback: this request, and nothing after it."""
        self.fault = (request, status, message)
        raise _RefusedError

    def _garbled(self, error: httptools.HttpParserError) -> None:
        if self.ended:
            # Bytes behind a request that said close: nobody's.
            return
        fault = self.fault
        if fault is None:
            fault = (None if self._reading is None else self._reading.request, 400, _describe(error))
        self._end(fault)

    def _end(self, fault: Fault) -> None:
        self.ended = True
        self.fault = fault


def _describe(error: httptools.HttpParserError) -> str:
    """What to tell the client. The words of llhttp are fixed strings: they quote nothing of the request."""
    if isinstance(error, httptools.HttpParserInvalidMethodError):
        return "This is not an HTTP/1.1 request. If the client was given an https:// address, give it http:// instead."
    return f"This is not a valid HTTP/1.1 request: {error}."
