"""Owns one connection to an upstream: what is written, what is parsed, and when waiting has an end.

It does not know which connection is used for what (pool.py) nor how it was opened (connect.py). llhttp, through
httptools, is the only parser of what the upstream sends (RFC 9112); we add the limits it has not.

States       FREE --send()--> BUSY --whole answer--> FREE        (the owner is told: it may be used again)
                                   --anything else--> CLOSED     (the owner is told when the socket is closed)
             FREE --a byte or EOF nobody asked for--> CLOSED     (RFC 9112 §9.6: the other side may close any time)
An answer is whole at: its last chunk; its Content-Length; EOF if it has neither; its head for HEAD, 1xx, 204 and 304
(RFC 9112 §6.3). 1xx answers are skipped, 101 is refused: we never ask for an upgrade.

Phases and the one timer, while BUSY:
             write       the upstream takes nothing of a large body for write_idle_s; looked at four times as often
             first_byte  from the end of writing to the whole head; bytes of the head and 1xx do not prolong it
             idle        between two socket reads with body bytes; stands still while the reader has paused
The timer is set lazily: reads only move `_due`; when the timer fires too early it is set again. A connection in steady
use costs one timer per timeout, not one per request or read.

Buffers: the transport has what was written (at most about 128 KiB of a large body at a time), the parser an unfinished
header field (cut off at MAX_HEAD_BYTES), `_pieces` the body bytes of the read in progress; the rest is the Response's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import httptools

from ollama_proxy.http1.faults import BadFraming, ConnectionLost, Phase, TimedOut, TransportFault
from ollama_proxy.http1.response import Response

__all__ = ["MAX_FIELDS", "MAX_HEAD_BYTES", "Connection", "Timeouts"]

#: A head beyond these is an attack or a bug; real ones have 1 to 4 KiB and 10 to 40 fields.
MAX_HEAD_BYTES = 65536
MAX_FIELDS = 200
#: Up to here head and body leave in one write; above, the body follows piece by piece as the upstream takes it.
_PIECE = 65536
_NEVER = float("inf")


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long to wait, in seconds.

    connect_s: name lookup, TCP, proxy and TLS together; where a cap on connections makes a request stand in line, as
    long again for that. first_byte_s: from the end of the request to the whole head. idle_s: between two reads with
    body bytes. write_idle_s: for the upstream to take some more of the request.
    """

    connect_s: float = 5.0
    first_byte_s: float = 120.0
    idle_s: float = 90.0
    write_idle_s: float = 30.0


_FREE, _BUSY, _CLOSED = range(3)


class _Stop(Exception):
    """The rest of this read is of no interest."""


def _nobody(_: Connection) -> None:
    """Stands in for an owner."""


class Connection(asyncio.Protocol):
    """One HTTP/1.1 connection, one exchange at a time.

    on_free, on_closed: the owner's; called when an exchange has left the connection fit for another, and once when
    the socket is closed.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.created = loop.time()
        self.has_served = False  # at least one exchange was completed
        self.on_free: Callable[[Connection], None] = _nobody
        self.on_closed: Callable[[Connection], None] = _nobody
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._state = _FREE
        # The exchange
        self._waiter: asyncio.Future[Response] | None = None
        self._response: Response | None = None
        self._timeouts = Timeouts()
        self._began = self._head_done = self._whole = self._excess = False
        self._no_body = self._tunnel = self._until_eof = self._keep_alive = False
        self._status = 0
        self._headers: dict[bytes, bytes] = {}
        self._overhead = 0  # bytes since the beginning, or since the last read with body bytes
        # The parser and what it found; `on_body` is the list's own method: no Python frame per chunk
        self._fields: list[tuple[bytes, bytes]] = []
        self._pieces: list[bytes] = []
        self.on_body = self._pieces.append
        self._parser: httptools.HttpResponseParser | None = httptools.HttpResponseParser(self)
        # Writing
        self._unsent: memoryview = memoryview(b"")
        self._clogged = False
        # Reading and time
        self._reading = True
        self._phase: Phase = "first_byte"
        self._due = _NEVER
        self._timer: asyncio.TimerHandle | None = None
        self._fires = _NEVER
        self._left, self._progress_at = 0, 0.0

    # What the owner uses

    @property
    def is_closed(self) -> bool:
        """No further exchange is possible."""
        return self._state is _CLOSED

    def send(
        self, head: bytes, body: bytes, timeouts: Timeouts, *, no_body: bool = False, tunnel: bool = False
    ) -> asyncio.Future[Response]:
        """Begin an exchange. The future gets the Response when its head is here, or a TransportFault.

        no_body: the answer has none whatever its head says (HEAD). tunnel: neither has the answer to CONNECT, and
        after a 2xx the connection is open for something else: surrender() hands it over.
        The connection must be free. To give up: abort(), unless the future already has its Response (then close that).
        """
        transport = self._transport
        if transport is None or self._state is not _FREE or transport.is_closing():
            raise ConnectionLost("the connection was closed before use", sent_anything=False)
        self._state = _BUSY
        self._timeouts = timeouts
        self._no_body, self._tunnel = no_body or tunnel, tunnel
        self._began = self._head_done = self._whole = self._excess = False
        self._overhead = 0
        self._fields = []
        self._waiter = waiter = self._loop.create_future()
        now = self._loop.time()
        if len(body) <= _PIECE:
            transport.write(head + body if body else head)
            self._await_head(now)
        else:
            transport.write(head)
            self._unsent = memoryview(body)
            self._phase, self._progress_at = "write", now
            self._due = now + timeouts.write_idle_s / 4
            self._pump()
            self._left = self._to_write()
        self._set_timer()
        return waiter

    def abort(self) -> None:
        """Close at once, unsent bytes and all; idempotent. Nobody is told but the owner, later, by on_closed."""
        self._state = _CLOSED
        self._response = self._waiter = None
        self._unsent = memoryview(b"")
        self._due = _NEVER
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._transport is not None:
            self._transport.abort()

    def fail(self, fault: TransportFault) -> None:
        """End the exchange, if there is one, with this fault: close first, then tell."""
        response, waiter = self._response, self._waiter
        self.abort()
        if waiter is not None:
            if not waiter.done():
                waiter.set_exception(fault)
        elif response is not None:
            response.finish(fault)

    def surrender(self) -> asyncio.Transport | None:
        """The bare transport, for TLS; None if it is no longer good. For us it is closed."""
        transport = self._transport
        if transport is None or self._state is not _FREE or transport.is_closing():
            self.abort()
            return None
        self._state = _CLOSED
        if self._timer is not None:
            self._timer.cancel()
        return transport

    # What the Response uses (response.Source)

    def hold(self) -> None:
        self.stop_reading()
        if self._state is _BUSY:
            self._due = _NEVER

    def stop_reading(self) -> None:
        if self._reading and self._transport is not None:
            self._reading = False
            self._transport.pause_reading()

    def go_on(self) -> None:
        if not self._reading and self._transport is not None and self._state is _BUSY:
            self._reading = True
            self._due = self._loop.time() + self._timeouts.idle_s
            self._set_timer()
            self._transport.resume_reading()

    # What the event loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclasses of asyncio.Transport: the type is a promise, not a fact.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if self._state is not _BUSY or self._parser is None:
            self.abort()  # nobody asked: a second answer, or a goodbye (RFC 9112 §9.2)
            return
        self._began = True
        self._overhead += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            if not self._whole:
                self._broken(error)
                return
            self._excess = True
        if self._waiter is not None and self._head_done:
            self._announce()
        if self._pieces:
            self._pass_on()
        elif self._overhead > MAX_HEAD_BYTES and not self._whole:
            self.fail(BadFraming("the upstream sends endless head, chunk extension or trailer bytes"))
        if self._whole and self._state is _BUSY:
            self._end()

    def eof_received(self) -> None:
        self._lost(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost(exc)
        self._transport = self._parser = None  # ends the cycle with the parser
        on_closed, self.on_free, self.on_closed = self.on_closed, _nobody, _nobody
        on_closed(self)

    def pause_writing(self) -> None:
        self._clogged = True

    def resume_writing(self) -> None:
        self._clogged = False
        if self._unsent:
            self._pump()

    # What the parser calls

    def on_message_begin(self) -> None:
        if self._whole:
            raise _Stop  # the beginning of an answer to nothing

    def on_header(self, name: bytes, value: bytes) -> None:
        self._fields.append((name, value))  # trailers come here too, later, and are dropped (RFC 9110 §6.5.1)
        if len(self._fields) > MAX_FIELDS:
            raise BadFraming(f"the upstream sends more than {MAX_FIELDS} header fields")

    def on_headers_complete(self) -> None:
        parser = self._parser
        assert parser is not None
        status = parser.get_status_code()
        if status == 101 or status < 100:
            raise BadFraming(f"the upstream answers with status {status}")
        if status < 200:
            return
        headers = _merge(self._fields)
        if self._overhead > MAX_HEAD_BYTES and sum(len(n) + len(v) for n, v in headers.items()) > MAX_HEAD_BYTES:
            raise BadFraming(f"the upstream sends more than {MAX_HEAD_BYTES} bytes of header fields")
        coding = headers.get(b"transfer-encoding")
        if coding is not None and coding.strip().lower() != b"chunked":
            raise BadFraming("the upstream uses an unknown transfer coding")
        self._until_eof = coding is None and b"content-length" not in headers
        # A transfer coding in HTTP/1.0 is faulty framing: not to be trusted further (RFC 9112 §6.1).
        self._keep_alive = parser.should_keep_alive() and (coding is None or parser.get_http_version() == "1.1")
        if self._tunnel:
            self._keep_alive = status < 300
        self._fields = []
        self._head_done = True
        self._whole = self._no_body
        self._status, self._headers = status, headers

    def on_message_complete(self) -> None:
        if self._head_done:
            self._whole = True
        else:
            self._fields = []  # a 1xx: the real answer follows

    # Reading

    def _announce(self) -> None:
        """The head is here: whoever waits for it gets the Response, on the next turn of the loop."""
        waiter, self._waiter = self._waiter, None
        if waiter is None or waiter.done():
            self.abort()  # cancelled a moment ago
            return
        self._phase = "idle"
        if not self._whole:
            self._due = self._loop.time() + self._timeouts.idle_s
            self._set_timer()
        response = Response(self._status, self._headers, self)
        if self._state is _BUSY:  # a coding that we refuse closes the connection
            self._response = response
        waiter.set_result(response)

    def _pass_on(self) -> None:
        """The body bytes of this read, as one piece."""
        pieces, response = self._pieces, self._response
        data = b"".join(pieces)
        pieces.clear()
        if self._no_body:
            self._excess = True
            return
        self._overhead = 0
        if self._reading and not self._whole:
            self._due = self._loop.time() + self._timeouts.idle_s
        if response is not None:
            response.feed(data)

    def _end(self) -> None:
        """The answer is whole. First the connection is let go, then the end is told."""
        response, self._response = self._response, None
        self._due = _NEVER
        # An answer that came before the whole request had left leaves the connection out of step.
        if self._keep_alive and not self._excess and not self._unsent and not self._clogged:
            self._become_free()
        else:
            self.abort()
        if response is not None:
            response.finish(None)

    def _become_free(self) -> None:
        self._state = _FREE
        self.has_served = True
        if not self._reading and self._transport is not None:
            self._reading = True
            self._transport.resume_reading()  # a free connection watches for EOF
        if self._no_body:
            self._parser = httptools.HttpResponseParser(self)  # the old one waits for the body that its head announced
        self.on_free(self)

    def _broken(self, error: Exception) -> None:
        """The parser gave up, or one of our limits made it; what came before that is passed on."""
        if self._waiter is not None and self._head_done:
            self._announce()
        if self._pieces:
            self._pass_on()
        cause = error.__context__ if isinstance(error, httptools.HttpParserCallbackError) else None
        if not isinstance(cause, TransportFault):
            cause = BadFraming(f"the upstream does not answer in HTTP/1.1 ({error})")
            cause.__cause__ = error
        self.fail(cause)

    def _lost(self, exc: Exception | None) -> None:
        """EOF or a broken connection."""
        if self._state is not _BUSY:
            self.abort()
        elif exc is None and self._head_done and self._until_eof:
            self._keep_alive = False
            self._end()
        else:
            how = "closed" if exc is None else "reset"
            where = "in the middle of" if self._began else "before"
            fault = ConnectionLost(f"the upstream {how} the connection {where} its answer", response_began=self._began)
            fault.__cause__ = exc
            self.fail(fault)

    # Writing

    def _pump(self) -> None:
        """Hand over as much of the body as the transport takes without hoarding."""
        while self._unsent and not self._clogged and self._transport is not None:
            piece, self._unsent = self._unsent[:_PIECE], self._unsent[_PIECE:]
            self._transport.write(piece)
        if not self._unsent and not self._head_done and self._state is _BUSY:
            self._await_head(self._loop.time())
            self._set_timer()

    def _await_head(self, now: float) -> None:
        self._phase = "first_byte"
        self._due = now + self._timeouts.first_byte_s

    # Time

    def _set_timer(self) -> None:
        if self._timer is None:
            if self._due == _NEVER:
                return
        elif self._fires <= self._due:
            return
        else:
            self._timer.cancel()
        self._fires = self._due
        self._timer = self._loop.call_at(self._due, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        now = self._loop.time()
        if now < self._due:
            self._set_timer()
        elif self._phase == "write" and self._has_written(now):
            self._due = now + self._timeouts.write_idle_s / 4
            self._set_timer()
        else:
            self.fail(TimedOut(self._phase, self._seconds()))

    def _has_written(self, now: float) -> bool:
        """Whether the upstream took something within write_idle_s, as far as the buffers show it."""
        left = self._to_write()
        if left != self._left:
            self._left, self._progress_at = left, now
        return now - self._progress_at < self._timeouts.write_idle_s

    def _to_write(self) -> int:
        return len(self._unsent) + (self._transport.get_write_buffer_size() if self._transport is not None else 0)

    def _seconds(self) -> float:
        timeouts = self._timeouts
        return {"write": timeouts.write_idle_s, "first_byte": timeouts.first_byte_s}.get(self._phase, timeouts.idle_s)


def _merge(fields: list[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Lower-case names; a repeated field's values joined by b", " (RFC 9110 §5.3)."""
    headers: dict[bytes, bytes] = {}
    for name, value in fields:
        key = name.lower()
        headers[key] = headers[key] + b", " + value if key in headers else value
    return headers
