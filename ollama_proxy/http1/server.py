"""Owns one client connection: HTTP/1.1 as an asyncio protocol on llhttp, hosted by uvicorn or by any asyncio server.

Knows nothing of what is served: a `Handler` decides that, an `Exchange` carries one request and its answer. Rules: RFC
9112 (HTTP/1.1), RFC 9110 (semantics). `server_input` turns bytes into requests and says what is wrong with them,
`server_pace` who is too slow; this file decides what happens next, and when.

One connection, one state (`_state`), which only moves down this list:

    OPEN      requests are read and answered. Once input has ended (a request said close, or what follows is no HTTP)
              further bytes are dropped and the answers still due are the last ones
    LINGER    the last byte is written and our half closed; what the client still sends is read and dropped for a
              moment: a reset would take the answer away from a client that is still sending (RFC 9112 §9.6)
    CLOSING   `transport.close()` was called; the socket takes what is left
    LOST      the transport is gone and forgotten

Requests go through `_input.queue` into `_exchange`, the one being read or answered, one at a time and in order. Each is
admitted when its turn comes. While one is being answered, or the client has not taken the last answer, nothing is
parsed: bytes wait in `_held` (bounded by high_water plus one read: above it reading pauses). What the client has not
taken yet waits in the transport (high_water plus one write, because the handler is told to stop).

One timer per connection. `_deadline` says when the present state ends; the timer fires at or before it, looks again and
re-arms, so a busy connection moves a number and not a timer:

    no head, or half of one        header_timeout_s in all, from the connection or from the head's first byte; then
                                   408, or a silent close if there was not a byte of it
    a body is coming               BodyPace; then 408
    between requests               keep_alive_s, then a silent close; blank lines do not extend it
    a request is being answered    none: how long that may take is the handler's business
    the client does not read       WritePace, write_idle_s; then abort, and the handler is told
    LINGER                         linger_s in all

The client has left when the connection is lost or half-closed before the answer is complete. Who sends FIN while
waiting is taken as gone (as uvicorn does), because a quota spent on nobody is worse than a rare `nc -N`. Upgrades (h2c,
websocket) are ignored, as RFC 9110 §7.8 allows: Java's HttpClient offers h2c with the first request of each connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import struct
from collections.abc import Callable
from pathlib import PurePath
from typing import Any, Protocol, cast

from ollama_proxy.http1.head import Headers
from ollama_proxy.http1.server_exchange import Exchange, render_answer
from ollama_proxy.http1.server_input import PORTION, RequestInput
from ollama_proxy.http1.server_pace import BodyPace, WritePace
from ollama_proxy.http1.server_request import Request, ServerLimits

__all__ = [
    "Answer",
    "Exchange",
    "HTTPServerProtocol",
    "Handler",
    "Headers",
    "Request",
    "ServerLimits",
    "protocol_factory",
]

logger = logging.getLogger("ollama_proxy.http1")

#: Status, headers, body. Framing fields and Date are added by the connection.
Answer = tuple[int, Headers, bytes]

_OPEN, _LINGER, _CLOSING, _LOST = range(4)
_NEVER = float("inf")
#: About a hundred requests, a millisecond.
_STEPS_PER_TURN = 256
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Handler(Protocol):
    """What a connection asks of the application. All three must return at once."""

    def admit(self, request: Request) -> Answer | None:
        """Head only, before any byte of the body is used.

        An Answer refuses the request; if a body was announced, the connection is closed after it.
        """

    def handle(self, exchange: Exchange) -> None:
        """A whole, admitted request. Answer it now or later through the exchange."""

    def fault(self, request: Request | None, status: int, message: str) -> Answer:
        """How to tell the client what is wrong. The connection is closed after it.

        The request was malformed, late or too large (400, 408, 413, 414, 417, 431, 501, 505), there are too many
        connections (503), or the handler failed (500). `request` is None as long as its head was not understood.
        """


class HTTPServerProtocol(asyncio.Protocol):
    """One connection. `connections` is the set of all of them, in which it stands from made to lost."""

    __slots__ = (
        "__weakref__",
        "_body_pace",
        "_connections",
        "_deadline",
        "_exchange",
        "_handler",
        "_head_until",
        "_held",
        "_idle_until",
        "_input",
        "_limits",
        "_loop",
        "_running",
        "_state",
        "_stopped_reading",
        "_timer",
        "_timer_at",
        "_transport",
        "_write_pace",
        "write",
    )

    def __init__(
        self, handler: Handler, limits: ServerLimits, connections: set[Any], loop: asyncio.AbstractEventLoop
    ) -> None:
        self._handler = handler
        self._limits = limits
        self._connections = connections
        self._loop = loop
        self._state = _OPEN
        self._running = False
        self._exchange: Exchange | None = None
        self._held = bytearray()
        self._stopped_reading = False
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = self._deadline = _NEVER
        #: While a body is coming.
        self._body_pace: BodyPace | None = None
        #: While the client does not take what is written, and while closing.
        self._write_pace: WritePace | None = None

    # --- called by the host ---

    def shutdown(self) -> None:
        """Drain: close when idle, which half a head is too; else after the answer, which then says close.

        Requests queued behind the current one are not run: their client sees the close and may send them again.
        """
        if self._state != _OPEN:
            return
        if self._exchange is None:
            self._close()
        else:
            self._exchange.keep_alive = False

    def abort(self) -> None:
        """Close at once, whatever is unsent; the handler is told that its client is gone."""
        if self._state != _LOST:
            self._drop()

    # --- called by the transport ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclass of asyncio's. Both set TCP_NODELAY themselves.
        self._transport = cast("asyncio.Transport", transport)
        self.write: Callable[[bytes], None] = self._transport.write
        self._transport.set_write_buffer_limits(high=self._limits.high_water)
        peer = transport.get_extra_info("peername")
        self._input = RequestInput(self, self._limits, str(peer[0]) if isinstance(peer, tuple) else "unix")
        self._head_until = self._idle_until = self._loop.time() + self._limits.header_timeout_s
        self._arm(self._idle_until)
        crowd, most = len(self._connections), self._limits.max_connections
        self._connections.add(self)
        if crowd >= most + most // 4:
            # Too many even to be told so.
            self._drop()
        elif crowd >= most:
            self._send_fault(None, 503, "There are too many connections to this server. Try again shortly.")

    def data_received(self, data: bytes) -> None:
        if self._state != _OPEN or self._input.ended:
            return
        exchange = self._exchange
        if (
            self._held
            or self._write_pace is not None
            or (exchange is not None and exchange.complete)
            or (len(data) > PORTION and len(data) > self._input.portion())
        ):
            self._held += data
        else:
            self._feed(data)
        self._run()

    def eof_received(self) -> None:
        if self._exchange is not None and self._exchange.handed:
            self._drop()
        elif self._state < _CLOSING:
            self._close()

    def pause_writing(self) -> None:
        self._watch_writing()
        self._tell_flow(True)

    def resume_writing(self) -> None:
        if self._state == _CLOSING:
            return
        self._write_pace = None
        if self._state == _LINGER:
            self._arm(self._loop.time() + self._limits.linger_s)
        else:
            self._tell_flow(False)
            self._run()

    def connection_lost(self, exc: Exception | None) -> None:
        self._state = _LOST
        self._connections.discard(self)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        exchange, self._exchange = self._exchange, None
        # Whoever still holds this object holds no socket and no bytes.
        self._input.forget()
        self._held = bytearray()
        del self._transport, self.write
        self._tell_gone(exchange)

    # --- called by the exchange ---

    def answered(self, exchange: Exchange) -> None:
        """The current answer is complete."""
        self._exchange = None
        if exchange.keep_alive:
            self._idle_until = self._loop.time() + self._limits.keep_alive_s
            self._run()
        elif self._input.queue or self._held or not exchange.complete:
            self._linger()
        else:
            self._close()

    def cut(self, *, reset: bool) -> None:
        """The current answer ends in the middle."""
        self._exchange = None
        if reset:
            self._reset_on_close()
            self._transport.abort()
        self._close()

    # --- what comes next ---

    def _run(self) -> None:
        """Go on until something has to be waited for. Not recursive: an answer given at once comes back here.

        A long pipeline is left for the next turn of the loop now and then: others want to be served too.
        """
        if self._running:
            return
        self._running = True
        steps = _STEPS_PER_TURN
        try:
            while self._state == _OPEN and steps and self._step():
                steps -= 1
        finally:
            self._running = False
        if self._state == _OPEN:
            self._settle()
            if not steps:
                self._loop.call_soon(self._run)

    def _step(self) -> bool:
        """Do one thing that can be done now. False if there is none."""
        exchange, feed = self._exchange, self._input
        if exchange is None:
            if self._write_pace is not None:
                return False
            if feed.queue:
                self._admit(feed.queue.popleft())
                return True
        elif exchange.handed:
            return False
        elif exchange.complete:
            self._hand_over(exchange)
            return True
        if feed.fault is not None:
            self._send_fault(*feed.fault)
            return False
        if not self._held or feed.ended:
            return False
        size = feed.portion()
        data = bytes(self._held[:size])
        del self._held[:size]
        self._feed(data)
        return True

    def _feed(self, data: bytes) -> None:
        again = self._input.feed(data)
        if again:
            self._held[:0] = again

    def _admit(self, exchange: Exchange) -> None:
        self._exchange = exchange
        # A head is complete: the next one has its own time.
        self._head_until = 0.0
        try:
            answer = self._handler.admit(exchange.request)
            if answer is not None:
                exchange.keep_alive = exchange.keep_alive and exchange.announced == 0
                exchange.respond(*answer)
        except Exception as error:  # noqa: BLE001 - the edge: whatever the handler raises becomes a 500
            self._failed(exchange, error)

    def _hand_over(self, exchange: Exchange) -> None:
        exchange.handed = True
        self._body_pace = None
        try:
            self._handler.handle(exchange)
        except Exception as error:  # noqa: BLE001 - the edge: whatever the handler raises becomes a 500
            self._failed(exchange, error)

    def _settle(self) -> None:
        """Nothing to do for now: say until when, and whether to read on."""
        exchange = self._exchange
        if exchange is not None and not exchange.complete:
            self._await_body(exchange)
        elif self._write_pace is not None:
            # The deadline is the reader's.
            pass
        elif exchange is not None:
            self._deadline = _NEVER
        elif self._input.in_head:
            self._await_head()
        else:
            self._arm(self._idle_until)
        if self._held or self._stopped_reading:
            self._throttle()

    def _await_head(self) -> None:
        if not self._head_until:
            self._head_until = self._loop.time() + self._limits.header_timeout_s
        self._arm(self._head_until)

    def _await_body(self, exchange: Exchange) -> None:
        now = self._loop.time()
        if self._body_pace is None:
            self._body_pace = BodyPace(self._limits.body_idle_s, self._limits.body_min_rate, exchange.received, now)
            if exchange.expects and exchange.received == 0:
                self.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self._arm(self._body_pace.note(exchange.received, now))

    def _throttle(self) -> None:
        """Reading goes on while little is held: a client that pipelines should still be seen leaving."""
        stop = self._state == _OPEN and not self._input.ended and len(self._held) > self._limits.high_water
        if stop and not self._stopped_reading:
            self._transport.pause_reading()
        elif self._stopped_reading and not stop:
            self._transport.resume_reading()
        self._stopped_reading = stop

    # --- time ---

    def _arm(self, deadline: float) -> None:
        self._deadline = deadline
        if self._timer is None or deadline < self._timer_at:
            if self._timer is not None:
                self._timer.cancel()
            self._timer_at = deadline
            self._timer = self._loop.call_at(deadline, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        now = self._loop.time()
        if now >= self._deadline:
            self._expire(now)
        elif self._deadline != _NEVER:
            self._arm(self._deadline)

    def _expire(self, now: float) -> None:
        if self._write_pace is not None:
            if self._write_pace.is_late(self._transport.get_write_buffer_size(), now):
                self._drop()
            else:
                self._arm(self._write_pace.next_look(now))
        elif self._state == _LINGER:
            self._close()
        elif self._exchange is not None:
            if self._body_pace is not None and self._body_pace.is_late(now):
                self._send_fault(self._exchange.request, 408, "The request body arrived too slowly.")
            else:
                self._run()
        elif self._input.in_head:
            self._send_fault(None, 408, "The request headers did not arrive in time.")
        else:
            self._close()

    def _watch_writing(self) -> None:
        now = self._loop.time()
        self._write_pace = WritePace(self._limits.write_idle_s, self._transport.get_write_buffer_size(), now)
        self._arm(self._write_pace.next_look(now))

    # --- the handler's other calls ---

    def _tell_flow(self, stop: bool) -> None:
        exchange = self._exchange
        if exchange is None or exchange.on_flow is None:
            return
        try:
            exchange.on_flow(stop)
        except Exception as error:  # noqa: BLE001 - the edge: whatever the handler raises becomes a 500
            self._failed(exchange, error)

    def _tell_gone(self, exchange: Exchange | None) -> None:
        if exchange is not None:
            try:
                exchange.gone()
            except Exception as error:  # noqa: BLE001 - the edge: there is nobody left to tell
                _log("Exchange.on_gone", error)

    def _failed(self, exchange: Exchange, error: Exception) -> None:
        """The handler raised. Neither the log nor the client is told what: an error may quote a secret."""
        _log("Handler", error)
        if exchange.finished:
            return
        if exchange.untouched:
            self._send_fault(exchange.request, 500, "The server failed on this request.")
        else:
            exchange.abort()

    # --- endings ---

    def _send_fault(self, request: Request | None, status: int, message: str) -> None:
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.let_go()
        try:
            answer = self._handler.fault(request, status, message)
            head, body = render_answer(request, *answer, keep_alive=False)
        except Exception as error:  # noqa: BLE001 - the last resort must not fail: plain text, no handler
            _log("Handler.fault", error)
            plain: Headers = [(b"Content-Type", b"text/plain; charset=utf-8")]
            head, body = render_answer(request, status, plain, message.encode(), keep_alive=False)
        self.write(head + body)
        self._linger()

    def _linger(self) -> None:
        """All is written: close our half, and give a client that still sends the time to read what we said."""
        self._state = _LINGER
        self._held = bytearray()
        self._throttle()
        if self._transport.can_write_eof():
            self._transport.write_eof()
        if self._write_pace is None:
            self._arm(self._loop.time() + self._limits.linger_s)

    def _close(self) -> None:
        """Close once the client has taken the rest. A TLS peer may also owe us its goodbye: hence the deadline."""
        self._state = _CLOSING
        self._transport.close()
        if self._write_pace is None:
            self._watch_writing()

    def _drop(self) -> None:
        """Close at once, unsent bytes and all."""
        self._state = _CLOSING
        exchange, self._exchange = self._exchange, None
        if exchange is not None and exchange.ends_with_connection:
            self._reset_on_close()
        self._transport.abort()
        self._tell_gone(exchange)

    def _reset_on_close(self) -> None:
        """RST instead of FIN: a stream that ends with its connection must not seem complete."""
        sock = self._transport.get_extra_info("socket")
        if sock is not None and sock.family != getattr(socket, "AF_UNIX", None):
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)


def _log(where: str, error: BaseException) -> None:
    """Type and place, never the words of an error nor a traceback: both may hold a key."""
    trace, place = error.__traceback__, "?"
    while trace is not None:
        place = f"{PurePath(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}"
        trace = trace.tb_next
    logger.error("%s raised %s at %s", where, type(error).__name__, place)


class _HostState(Protocol):
    """The one thing used of uvicorn's server state."""

    connections: set[Any]


def protocol_factory(handler: Handler, limits: ServerLimits | None = None) -> type[asyncio.Protocol]:
    """A protocol class for `uvicorn.Config(http=…)`, or for `loop.create_server` behind a lambda.

    uvicorn constructs it with these four keywords, waits for `server_state.connections` to become empty on exit, and
    calls `shutdown()` on each of them first. Nothing else of uvicorn is used.
    """
    chosen = limits or ServerLimits()

    class Connection(HTTPServerProtocol):
        __slots__ = ()

        def __init__(
            self,
            config: object,
            server_state: _HostState,
            app_state: object,
            _loop: asyncio.AbstractEventLoop | None = None,
        ) -> None:
            super().__init__(handler, chosen, server_state.connections, _loop or asyncio.get_running_loop())

    return Connection
